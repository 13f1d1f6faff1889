// What weftctl is asked to do, from its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft::ctl {

/// What weftctl ends with; scripts rely on the numbers.
enum class Exit : int { done = 0, refused = 1, usage = 2, no_connection = 3 };

/// A packet given as bytes; at most one of the two.
struct PacketSource {
    std::string hex;  // "00 11 22", "001122"; whitespace, ':' and '.' between bytes
    std::string pcap; // FILE[:N], the packet N of a capture, from 1
};

struct Apply {
    std::string file; // "-": standard input
    std::string format;
};
struct Dump {
    std::string relation;
    std::string bridge, name, owner, scope;
    std::optional<std::uint32_t> table;
    bool all = false; // also owner, scope, version, generation
    std::string part; // K/N
};
struct Sweep {
    std::string owner, scope;
    std::uint64_t before = ~std::uint64_t{0};
};
struct Watch {
    std::vector<std::string> topics;
    std::string bridge;
    std::uint64_t from_seq = 0;
    std::uint64_t count = 0; // ends after as many events; 0: never
};
struct Trace {
    std::string bridge, port, match;
    PacketSource packet;
};
struct Stats {
    std::vector<std::string> kinds;
};
struct Drops {
    bool all = false; // also those that did not happen
};
struct Pending {};
struct Explain {
    std::string bridge;
    std::optional<std::uint32_t> table;
};
struct PortAdd {
    std::string bridge, name, devargs;
    std::vector<std::string> options; // FIELD[=VALUE][,...]
};
struct PortDel {
    std::string bridge, name;
};
struct PortList {
    std::string bridge;
};
struct Barrier {
    std::uint64_t generation = 0;
    std::uint32_t timeout_ms = 0;
};
struct Release {
    std::string bridge, port;
    std::uint64_t packets = 0;
};
struct ClockAdvance {
    std::uint64_t ms = 0;
};
struct PacketOut {
    std::string bridge, port, actions;
    PacketSource packet;
};
struct Digest {
    std::string relation, scope;
    std::string part; // K/N
};
struct Hello {};
struct Status {};
struct Version {};
struct Top {
    bool once = false;
    std::uint32_t interval_ms = 1'000;
};

using Command = std::variant<
    Apply,
    Dump,
    Watch,
    Trace,
    Stats,
    Drops,
    Pending,
    Explain,
    PortAdd,
    PortDel,
    PortList,
    Barrier,
    Release,
    ClockAdvance,
    PacketOut,
    Digest,
    Sweep,
    Hello,
    Status,
    Version,
    Top>;

struct Arguments {
    std::string socket;
    std::string client; // a name to say hello with; empty: none
    bool json = false;
    std::uint32_t timeout_ms = 30'000;
    Command command;
};

/// Of "K/N"; nothing where it is none. "": all rows, as 0/0.
struct Part {
    std::uint32_t part = 0, parts = 0;
};
std::optional<Part> part_of(const std::string& text);

/// The command, or what to end with at once: --help and --version were answered on stdout, wrong
/// usage with one line on stderr.
std::variant<Arguments, Exit> parse_arguments(int argc, const char* const* argv);

} // namespace weft::ctl
