#include "base/drop.hh"

#include <array>

namespace weft {

namespace {

constexpr std::array<std::string_view, drop_count> names = {
    "none",
    "truncated",
    "malformed",
    "reserved_multicast",
    "no_match",
    "policy",
    "no_output",
    "no_such_port",
    "no_such_group",
    "no_such_meter",
    "no_such_table",
    "port_down",
    "output_to_ingress_port",
    "ttl_exceeded",
    "unsupported_action",
    "depth_exceeded",
    "steps_exceeded",
    "clones_exceeded",
    "effects_exceeded",
    "stack_underflow",
    "stack_overflow",
    "vlan_tags_exceeded",
    "group_no_bucket",
    "vlan_filtered",
    "punt_queue_full",
    "punt_rate",
    "mtu",
    "queue_full",
    "ring_full",
    "no_buffers",
    "port_closed",
};
static_assert(!names.back().empty(), "a reason without a name");

} // namespace

std::string_view name(Drop reason) noexcept {
    return names[static_cast<std::size_t>(reason)];
}

std::optional<Drop> drop_from(std::string_view name) noexcept {
    for (std::size_t i = 0; i < drop_count; ++i)
        if (names[i] == name)
            return static_cast<Drop>(i);
    return std::nullopt;
}

} // namespace weft
