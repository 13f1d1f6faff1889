// What a rule does to a packet, as a list of statements: the canonical structure behind text and
// messages.
#pragma once

#include "base/field.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

struct Action;
using Actions = std::vector<Action>;

// clang-format off
namespace action {

/// Special outputs that OVS has, beside ports.
enum class Reserved : std::uint8_t { inport, normal, flood, all };
/// output("p3"); output(reg15); output(inport); output(normal); output("p3", max_bytes=64);
/// A field holds a port number of the bridge.
struct Output { std::variant<std::string, FieldSlice, Reserved> to; std::uint32_t max_bytes = 0; /* 0: whole */ bool operator==(const Output&) const = default; };
/// drop;
struct Drop { bool operator==(const Drop&) const = default; };
/// reg0 = 5; ip4.src = 10.0.0.1; reg0[3..7] = 2; inport = "p1"; -- `port` names the value where the field holds a port.
struct Set { FieldSlice to; U128 value; std::string port; bool operator==(const Set&) const = default; };
/// reg0 = reg1; xxreg0[0..31] = ip4.dst; -- equal widths.
struct Move { FieldSlice from; FieldSlice to; bool operator==(const Move&) const = default; };
/// push(reg0); pop(reg0[0..15]); -- the packet's own stack
struct Push { FieldSlice from; bool operator==(const Push&) const = default; };
struct Pop { FieldSlice to; bool operator==(const Pop&) const = default; };
/// vlan.push(0x8100); vlan.push(0x88a8); the new tag is 0 until vlan.vid and vlan.pcp are set.  vlan.pop;
struct PushVlan { std::uint16_t tpid = 0x8100; bool operator==(const PushVlan&) const = default; };
struct PopVlan { bool operator==(const PopVlan&) const = default; };
/// ip.ttl--; a packet whose TTL would become 0 drops as ttl_exceeded.
struct DecTtl { bool operator==(const DecTtl&) const = default; };
/// call(12); come back after it.  goto(12); do not.
struct Call { std::uint32_t table = 0; bool operator==(const Call&) const = default; };
struct Goto { std::uint32_t table = 0; bool operator==(const Goto&) const = default; };
/// clone { ... } runs on a copy of the state, which is restored afterwards.
struct Clone { Actions body; bool operator==(const Clone&) const; };
/// group(5);
struct Group { std::uint32_t group = 0; bool operator==(const Group&) const = default; };
/// meter(1);
struct Meter { std::uint32_t meter = 0; bool operator==(const Meter&) const = default; };
/// ct(zone=reg13[0..15], commit, force, nat(...), next=21, exec { ct_mark = 2; });
struct Nat {
    enum class Kind : std::uint8_t { restore, src, dst } kind{};  // nat: undo what the connection has;
    bool has_address = false, is_ip6 = false;                     // nat(src) without an address: all-zero SNAT
    U128 address_first, address_last;
    std::uint16_t port_first = 0, port_last = 0;                  // 0: not given
    bool hash = false, random = false, persistent = false;
    bool operator==(const Nat&) const = default;
};
struct Ct {
    std::variant<std::uint16_t, FieldSlice> zone{std::uint16_t{0}};
    bool commit = false, force = false;
    std::optional<Nat> nat;
    std::optional<std::uint32_t> next;
    Actions exec; // only Set and Move into ct_mark and ct_label
    bool operator==(const Ct&) const;
};
/// ct_clear;
struct CtClear { bool operator==(const CtClear&) const = default; };
/// learn(table=69, priority=100, idle_timeout=20, hard_timeout=30, cookie=0x1, delete_learned, match(field = field or value, ...), actions(...));
struct Learn {
    struct Spec { FieldSlice to; std::optional<FieldSlice> from; U128 value; bool operator==(const Spec&) const = default; };
    std::uint32_t table = 0, priority = 32768;
    std::uint32_t idle_timeout_s = 0, hard_timeout_s = 0;
    std::uint64_t cookie = 0;
    bool delete_learned = false;
    std::vector<Spec> match, load;
    std::optional<FieldSlice> output; // to the port number that the field holds when the packet is learned from
    bool operator==(const Learn&) const = default;
};
/// conjunction(100, 2/3); clause 1..count of conjunction 100; such a rule has only these.
struct Conjunction { std::uint32_t id = 0; std::uint8_t clause = 0, count = 0; bool operator==(const Conjunction&) const = default; };
/// controller(reason=1, max_bytes=128, userdata=00.00.00.07, meter=1, pause);
struct Controller {
    std::uint8_t reason = 1;       // OpenFlow's OFPR_ACTION
    std::uint16_t max_bytes = 0xffff;
    std::string userdata;          // bytes
    std::uint32_t meter = 0;
    bool pause = false;
    bool operator==(const Controller&) const = default;
};
/// sample(probability=655, collector=1, domain=2, point=reg0);
struct Sample {
    std::uint16_t probability = 0; // of 65535
    std::uint32_t collector = 0, domain = 0;
    std::variant<std::uint32_t, FieldSlice> point{std::uint32_t{0}};
    bool operator==(const Sample&) const = default;
};
/// reg9[1] = check_pkt_larger(1414);
struct CheckPacketLarger { std::uint16_t bytes = 0; FieldSlice to; bool operator==(const CheckPacketLarger&) const = default; };
/// set_queue(1);
struct SetQueue { std::uint32_t queue = 0; bool operator==(const SetQueue&) const = default; };
/// bundle(eth_src, active_backup, ports("p1", "p2")); accepted for what controllers send, not done yet.
struct Bundle { std::vector<std::string> ports; bool operator==(const Bundle&) const = default; };

} // namespace action

struct Action {
    std::variant<
        action::Output, action::Drop, action::Set, action::Move, action::Push, action::Pop, action::PushVlan, action::PopVlan,
        action::DecTtl, action::Call, action::Goto, action::Clone, action::Group, action::Meter, action::Ct, action::CtClear,
        action::Learn, action::Conjunction, action::Controller, action::Sample, action::CheckPacketLarger, action::SetQueue,
        action::Bundle>
        of;
    bool operator==(const Action&) const = default;
};
// clang-format on

inline bool action::Clone::operator==(const Clone& other) const {
    return body == other.body;
}
inline bool action::Ct::operator==(const Ct& other) const {
    return zone == other.zone && commit == other.commit && force == other.force &&
           nat == other.nat && next == other.next && exec == other.exec;
}

/// The first word of a statement's text form ("ct", "learn", "output" ...): what `unsupported`
/// messages name.
std::string_view name(const Action& action) noexcept;
/// True where this build carries the statement out; false where a packet that reaches it drops as
/// unsupported_action.
bool supported(const Action& action) noexcept;

} // namespace weft
