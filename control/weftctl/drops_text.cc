#include "control/weftctl/drops_text.hh"

namespace weft::ctl {

std::string_view meaning_of(Drop reason) noexcept {
    switch (reason) {
    case Drop::none:
        return "not dropped";
    case Drop::truncated:
        return "shorter than its headers say";
    case Drop::malformed:
        return "a header contradicts itself";
    case Drop::reserved_multicast:
        return "to 01:80:c2:00:00:0x, which the bridge drops";
    case Drop::no_match:
        return "no rule matched, and the table's miss says drop";
    case Drop::policy:
        return "a rule says drop";
    case Drop::no_output:
        return "the rules ended without an output";
    case Drop::no_such_port:
        return "output to a port that is not there";
    case Drop::no_such_group:
        return "a group that is not there";
    case Drop::no_such_meter:
        return "a meter that is not there";
    case Drop::no_such_table:
        return "a table that is not there";
    case Drop::port_down:
        return "output to a port that is down";
    case Drop::output_to_ingress_port:
        return "output to where it came from, without saying inport";
    case Drop::ttl_exceeded:
        return "ttl or hop limit ran out";
    case Drop::unsupported_action:
        return "an action that this build does not do (weftctl explain)";
    case Drop::depth_exceeded:
        return "calls, clones or patch ports nested deeper than 64";
    case Drop::steps_exceeded:
        return "more than 4,096 steps in one walk";
    case Drop::clones_exceeded:
        return "more clones in one walk than allowed";
    case Drop::effects_exceeded:
        return "more outputs in one burst than there is memory for";
    case Drop::stack_underflow:
        return "pop from an empty packet stack";
    case Drop::stack_overflow:
        return "push onto a full packet stack";
    case Drop::vlan_tags_exceeded:
        return "a third VLAN tag";
    case Drop::group_no_bucket:
        return "a select group without a live bucket";
    case Drop::vlan_filtered:
        return "the port's VLAN mode does not admit the tag";
    case Drop::punt_queue_full:
        return "too many packets on their way to controllers";
    case Drop::punt_rate:
        return "over the rate of packets to controllers";
    case Drop::mtu:
        return "larger than the port's MTU";
    case Drop::queue_full:
        return "the device's transmit queue was full";
    case Drop::ring_full:
        return "the ring to another worker was full";
    case Drop::no_buffers:
        return "no buffer for a copy or a made packet";
    case Drop::port_closed:
        return "the port went away before it was sent";
    case Drop::count_:
        break;
    }
    return "";
}

} // namespace weft::ctl
