#include "control/weftctl/arguments.hh"

#include "control/socket_path.hh"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <functional>
#include <memory>
#include <utility>

namespace weft::ctl {

namespace {

constexpr const char* relations =
    "bridge, port, table, flow, group, meter, port_status, learned_mac";
constexpr const char* part_help = "K/N: only rows in part K of N, as digests are narrowed";

/// Puts the subcommands into `app`; the one that is given becomes arguments.command.
class Grammar {
public:
    Grammar(CLI::App& app, Arguments& arguments) : app_{app}, arguments_{arguments} {}
    void build();

private:
    template <class Options>
    std::pair<CLI::App*, std::shared_ptr<Options>>
    command(CLI::App& under, const std::string& name, const std::string& what) {
        auto options = std::make_shared<Options>();
        CLI::App* sub = under.add_subcommand(name, what);
        sub->callback([this, options] { arguments_.command = *options; });
        return {sub, options};
    }
    static void bridge(CLI::App* sub, std::string& value) {
        sub->add_option("--bridge", value, "the bridge; main where not given");
    }
    static void packet(CLI::App* sub, PacketSource& source) {
        auto* hex = sub->add_option("--hex", source.hex, "the packet's bytes in hexadecimal");
        sub->add_option(
               "--pcap", source.pcap, "packet N of a capture, FILE[:N], the first if not given"
        )
            ->excludes(hex);
    }
    void rows();
    void seeing();
    void ports();
    void acting();

    CLI::App& app_;
    Arguments& arguments_;
};

void Grammar::rows() {
    {
        auto [sub, options] = command<Apply>(app_, "apply", "Send requests, print the replies");
        sub->add_option("file", options->file, "JSON lines, one request each; - for standard input")
            ->required();
        sub->add_option(
               "--format", options->format, "json, or ddlog: the text of 'commit dump_changes'"
        )
            ->check(CLI::IsMember({"json", "ddlog"}))
            ->default_val("json");
    }
    {
        auto [sub, options] = command<Dump>(app_, "dump", "Print the rows of a relation");
        sub->add_option("relation", options->relation, relations)->required();
        sub->add_option("--bridge", options->bridge, "only rows of this bridge");
        sub->add_option("--table", options->table, "only rows of this table");
        sub->add_option("--name", options->name, "only the row of this name");
        sub->add_option("--owner", options->owner, "only rows of this owner");
        sub->add_option("--scope", options->scope, "only rows of this scope");
        sub->add_flag("--all", options->all, "also owner, scope, version and generation");
        sub->add_option("--part", options->part, part_help);
    }
    {
        auto [sub, options] = command<Digest>(app_, "digest", "Print counts and digests of rows");
        sub->add_option("relation", options->relation, "only of this relation");
        sub->add_option("--scope", options->scope, "only of this scope");
        sub->add_option("--part", options->part, part_help);
    }
    {
        auto [sub, options] =
            command<Sweep>(app_, "sweep", "Take away what an owner asserted and does not any more");
        sub->add_option("owner", options->owner, "whose rows")->required();
        sub->add_option(
            "--before", options->before, "only of lives of it before this epoch; all if not given"
        );
        sub->add_option("--scope", options->scope, "only rows of this scope");
    }
    command<Pending>(app_, "pending", "Print rows that wait for something that is not there");
}

void Grammar::seeing() {
    {
        auto [sub, options] = command<Watch>(app_, "watch", "Print events as they happen");
        sub->add_option(
            "topics", options->topics, "port, packet_in, mac, flow, limit, commit; all if none"
        );
        sub->add_option("--bridge", options->bridge, "only events of this bridge");
        sub->add_option("--from-seq", options->from_seq, "begin with the event of this number");
        sub->add_option("--count", options->count, "end after as many events");
    }
    {
        auto [sub, options] = command<Trace>(app_, "trace", "Tell what would happen to a packet");
        sub->add_option("--port", options->port, "where the packet comes in")->required();
        bridge(sub, options->bridge);
        sub->add_option(
            "match", options->match, "the packet, such as 'ip4.dst == 10.0.0.1 && tcp.dst == 80'"
        );
        packet(sub, options->packet);
    }
    {
        auto [sub, options] = command<Stats>(app_, "stats", "Print counters");
        sub->add_option(
            "kinds", options->kinds, "ports, workers, drops, tables, memory, control; all if none"
        );
    }
    {
        auto [sub, options] =
            command<Drops>(app_, "drops", "Print how many packets were dropped, and why");
        sub->add_flag("--all", options->all, "also reasons that did not happen");
    }
    {
        auto [sub, options] = command<Explain>(
            app_, "explain", "Print how tables are searched, and what a lookup costs at most"
        );
        sub->add_option("table", options->table, "only this table");
        bridge(sub, options->bridge);
    }
    {
        auto [sub, options] =
            command<Top>(app_, "top", "Show ports, workers and drops live; q ends it");
        sub->add_flag("--once", options->once, "print one screen and end");
        sub->add_option("--interval-ms", options->interval_ms, "between two looks")
            ->check(CLI::Range(10, 3'600'000));
    }
    command<Hello>(app_, "hello", "Print what the switch says of itself");
    command<Status>(app_, "status", "Print the switch and its ports in short");
    command<Version>(app_, "version", "Print the versions of weftctl and weftd");
}

void Grammar::ports() {
    CLI::App* port = app_.add_subcommand("port", "Add, remove and list ports");
    port->require_subcommand(1);
    {
        auto [sub, options] =
            command<PortAdd>(*port, "add", "Add a port and wait until it is open");
        sub->add_option("name", options->name, "of the port")->required();
        sub->add_option(
            "devargs",
            options->devargs,
            "DPDK device arguments, such as net_tap0,iface=tap0; none for a patch port"
        );
        sub->add_option(
               "--option,-o",
               options->options,
               "FIELD[=VALUE][,...] of the port row, such as queues=2 or hold or peer=p2"
        )
            ->allow_extra_args(false);
        bridge(sub, options->bridge);
    }
    {
        auto [sub, options] = command<PortDel>(*port, "del", "Remove a port");
        sub->add_option("name", options->name, "of the port")->required();
        bridge(sub, options->bridge);
    }
    {
        auto [sub, options] = command<PortList>(*port, "list", "Print the ports and their states");
        sub->add_option("--bridge", options->bridge, "only ports of this bridge");
    }
}

void Grammar::acting() {
    {
        auto [sub, options] =
            command<Barrier>(app_, "barrier", "Wait until all workers run a generation");
        sub->add_option("--generation", options->generation, "the newest if not given");
        sub->add_option("--timeout-ms", options->timeout_ms, "how long to wait");
    }
    {
        auto [sub, options] = command<Release>(app_, "release", "Read packets from a held port");
        sub->add_option("port", options->port, "its name")->required();
        sub->add_option(
            "packets", options->packets, "how many; from now on without limit if not given"
        );
        bridge(sub, options->bridge);
    }
    {
        CLI::App* clock =
            app_.add_subcommand("clock", "The switch's clock, where it is --clock manual");
        clock->require_subcommand(1);
        auto [sub, options] = command<ClockAdvance>(*clock, "advance", "Advance it");
        sub->add_option("ms", options->ms, "milliseconds")->required();
    }
    {
        auto [sub, options] =
            command<PacketOut>(app_, "packet-out", "Run actions on a packet of yours");
        sub->add_option("actions", options->actions, "such as 'output(\"p1\");'")->required();
        sub->add_option(
            "--port", options->port, "the port that it is treated as coming from; none if not given"
        );
        bridge(sub, options->bridge);
        packet(sub, options->packet);
    }
}

void Grammar::build() {
    app_.add_option(
        "--socket",
        arguments_.socket,
        "the control socket; $WEFT_SOCKET, else the user's or the machine's weftd"
    );
    app_.add_option(
        "--client", arguments_.client, "say hello under this name: rows and ids belong to it"
    );
    app_.add_option("--timeout-ms", arguments_.timeout_ms, "how long to wait for an answer")
        ->check(CLI::Range(1, 3'600'000));
    app_.add_flag("--json", arguments_.json, "print JSON, one object a line");
    app_.set_version_flag("-V,--version", "weftctl " WEFT_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough(); // options of all commands may stand behind the command
    rows();
    seeing();
    ports();
    acting();
}

bool one_packet(const std::string& match, const PacketSource& packet) {
    return static_cast<int>(!match.empty()) + static_cast<int>(!packet.hex.empty()) +
               static_cast<int>(!packet.pcap.empty()) ==
           1;
}

/// What the options alone cannot say.
std::string judge(const Command& command) {
    if (const auto* trace = std::get_if<Trace>(&command);
        trace != nullptr && !one_packet(trace->match, trace->packet))
        return "trace: the packet must be given once, by a match, --hex or --pcap";
    const auto* dump = std::get_if<Dump>(&command);
    const auto* digest = std::get_if<Digest>(&command);
    const std::string part = dump != nullptr ? dump->part : digest != nullptr ? digest->part : "";
    if (!part_of(part))
        return "--part " + part + ": it must be K/N, such as 3/16";
    if (const auto* out = std::get_if<PacketOut>(&command);
        out != nullptr && !one_packet({}, out->packet))
        return "packet-out: the packet must be given by --hex or --pcap";
    return {};
}

} // namespace

std::optional<Part> part_of(const std::string& text) {
    if (text.empty())
        return Part{};
    Part part;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, part.part);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '/')
        return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, part.parts);
    return second.ec == std::errc{} && second.ptr == end ? std::optional{part} : std::nullopt;
}

std::variant<Arguments, Exit> parse_arguments(int argc, const char* const* argv) {
    Arguments arguments;
    CLI::App app{"Talks to weftd, the weft switch.", "weftctl"};
    Grammar grammar{app, arguments};
    grammar.build();
    std::string wrong;
    try {
        app.parse(argc, argv);
        wrong = judge(arguments.command);
    } catch (const CLI::ParseError& problem) {
        if (problem.get_exit_code() == 0) { // --help, --version
            app.exit(problem);
            return Exit::done;
        }
        const auto extras = app.remaining();
        wrong = extras.empty() || dynamic_cast<const CLI::RequiredError*>(&problem) == nullptr
                    ? problem.what()
                    : "\"" + extras.front() + "\" is not a command";
    }
    if (!wrong.empty()) {
        std::fprintf(stderr, "weftctl: %s (see weftctl --help)\n", wrong.c_str());
        return Exit::usage;
    }
    if (arguments.socket.empty())
        arguments.socket = default_socket_to_call();
    return arguments;
}

} // namespace weft::ctl
