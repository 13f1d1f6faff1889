// Why a packet was dropped: every reason has a name that operators and scripts rely on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

// clang-format off
/// Names are binding (docs/operating.md lists them with what to do about each); append, never rename.
enum class Drop : std::uint8_t {
    none,                    // not dropped
    // receive and parse
    truncated,               // shorter than its headers say, or than an Ethernet header
    malformed,               // a header contradicts itself (lengths, versions, offsets)
    reserved_multicast,      // 01:80:C2:00:00:0x, and the bridge drops those
    // tables
    no_match,                // a table's miss said drop
    policy,                  // a rule said drop
    no_output,               // the walk ended without an output
    no_such_port,            // output to a port that is not there
    no_such_group,
    no_such_meter,
    no_such_table,
    port_down,               // the port is there, its link or admin state is down
    output_to_ingress_port,  // output to the port in the field inport, without saying inport
    ttl_exceeded,
    unsupported_action,      // an action this build does not do (explain lists the rules)
    depth_exceeded,          // calls, clones or patch ports nested deeper than 64
    steps_exceeded,          // more than 4,096 steps in one walk
    clones_exceeded,         // more clones in one walk than allowed
    effects_exceeded,        // more outputs in one burst than the worker's memory holds
    stack_underflow,         // pop from an empty packet stack
    stack_overflow,          // push onto a full packet stack
    vlan_tags_exceeded,      // push onto two tags that are already there
    group_no_bucket,         // a select group without a live bucket
    vlan_filtered,           // the port's VLAN mode does not admit the tag
    // punts
    punt_queue_full,         // the record queue to the control thread was full
    punt_rate,               // over the rate of its port and class
    // transmit
    mtu,                     // larger than the port's MTU after everything
    queue_full,              // the device's transmit queue took no more
    ring_full,               // the hand-over ring to another worker was full
    no_buffers,              // the worker's pool for copies and made packets was empty
    port_closed,             // the port went away before it was sent
    count_,
};
// clang-format on

inline constexpr std::size_t drop_count = static_cast<std::size_t>(Drop::count_);

std::string_view name(Drop reason) noexcept;
std::optional<Drop> drop_from(std::string_view name) noexcept;

} // namespace weft
