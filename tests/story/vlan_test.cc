#include "tests/story/net.hh"

#include <gtest/gtest.h>

namespace weft::test {
namespace {

const auto hello = [] { return udp("10.0.0.1:7 > 10.0.0.2:9").payload("hello"); };

TEST(Vlan, push_rewrite_and_pop) {
    Net net;
    net.port("p1").port("p2");
    net.flow(
        0, 10, "!vlan.present", "vlan.push(0x8100); vlan.vid = 10; vlan.pcp = 3; output(\"p2\");"
    );
    net.flow(0, 10, "vlan.vid == 10", "vlan.vid = 20; output(\"p2\");");
    net.flow(0, 10, "vlan.vid == 30", "vlan.pop; output(\"p2\");");
    net.from("p1").sends(hello()).leaves_at("p2", hello().vlan(10, 3));
    net.from("p1").sends(hello().vlan(10)).leaves_at("p2", hello().vlan(20));
    net.from("p1").sends(hello().vlan(30)).leaves_at("p2", hello());
}

TEST(Vlan, a_service_tag_goes_outside_and_comes_off_again) {
    Net net;
    net.port("p1").port("p2");
    net.flow(0, 10, "inport == \"p1\"", "vlan.push(0x88a8); vlan.vid = 100; output(\"p2\");");
    net.flow(0, 10, "inport == \"p2\"", "vlan.pop; output(\"p1\");");
    net.from("p1").sends(hello().vlan(10)).leaves_at("p2", hello().qinq(100, 10));
    net.from("p2").sends(hello().qinq(100, 10)).leaves_at("p1", hello().vlan(10));
}

TEST(Vlan, a_tag_pushed_and_popped_leaves_the_packet_as_it_was) {
    Net net;
    net.port("p1").port("p2").flow(
        0, 10, "1", "vlan.push(0x8100); vlan.vid = 5; vlan.pop; output(\"p2\");"
    );
    net.from("p1").sends(hello().vlan(10)).leaves_at("p2");
    net.from("p1").sends(hello()).leaves_at("p2");
    net.from("p1").sends(hello().qinq(1, 2)).is_dropped(Drop::vlan_tags_exceeded);
}

TEST(Vlan, both_tags_can_be_rewritten) {
    Net net;
    net.port("p1").port("p2").flow(
        0, 10, "vlan1.vid == 2", "vlan1.vid = 22; vlan.vid = 11; output(\"p2\");"
    );
    net.from("p1").sends(hello().qinq(1, 2)).leaves_at("p2", hello().qinq(11, 22));
}

TEST(Vlan, an_access_port_speaks_untagged_and_a_trunk_tagged) {
    Net net;
    net.flow(0, 0, "1", "output(normal);");
    net.port("a10", {.vlan_mode = VlanMode::access, .vlan_tag = 10})
        .port("b10", {.vlan_mode = VlanMode::access, .vlan_tag = 10});
    net.port("c20", {.vlan_mode = VlanMode::access, .vlan_tag = 20})
        .port("trunk", {.vlan_mode = VlanMode::trunk});
    net.from("a10").sends(hello()).leaves_at("b10").leaves_at("trunk", hello().vlan(10));
    net.from("trunk").sends(hello().vlan(20)).leaves_at("c20", hello());
    net.from("a10").sends(hello().vlan(10)).is_dropped(Drop::vlan_filtered);
}

TEST(Vlan, a_trunk_carries_only_its_vlans) {
    Net net;
    net.flow(0, 0, "1", "output(normal);");
    net.port(
           "t1", {.vlan_mode = VlanMode::trunk, .vlan_trunks = {10, 20}}
    ).port("t2", {.vlan_mode = VlanMode::trunk, .vlan_trunks = {20}});
    net.from("t1").sends(hello().vlan(20)).leaves_at("t2");
    net.from("t1").sends(hello().vlan(10)).is_dropped(Drop::no_output);
    net.from("t1").sends(hello().vlan(30)).is_dropped(Drop::vlan_filtered);
}

TEST(Vlan, native_ports_differ_only_in_what_they_send) {
    Net net;
    net.flow(0, 0, "1", "output(normal);");
    net.port("nt", {.vlan_mode = VlanMode::native_tagged, .vlan_tag = 10})
        .port("nu", {.vlan_mode = VlanMode::native_untagged, .vlan_tag = 10});
    net.port("a10", {.vlan_mode = VlanMode::access, .vlan_tag = 10});
    net.from("a10").sends(hello()).leaves_at("nt", hello().vlan(10)).leaves_at("nu", hello());
    net.from("nt").sends(hello()).leaves_at("nu", hello()).leaves_at("a10", hello());
    net.from("nu").sends(hello().vlan(10)).leaves_at("nt").leaves_at("a10", hello());
}

TEST(Normal, a_bridge_floods_until_it_has_learned) {
    Net net;
    net.port("p1").port("p2").port("p3").flow(0, 0, "1", "output(normal);");
    const auto there = udp("10.0.0.1:7 > 10.0.0.2:9").eth("02:00:00:00:00:01 > 02:00:00:00:00:02");
    const auto back = udp("10.0.0.2:9 > 10.0.0.1:7").eth("02:00:00:00:00:02 > 02:00:00:00:00:01");
    net.from("p1").sends(there).leaves_at("p2").leaves_at("p3");
    net.learns().from("p2").sends(back).leaves_at("p1");
    net.learns().from("p1").sends(there).leaves_at("p2");
    net.from("p3").sends(there).leaves_at("p2"); // the address moves to p3
    net.learns().from("p2").sends(back).leaves_at("p3");
}

TEST(Normal, a_learned_address_whose_port_is_gone_is_said) {
    Net net;
    net.port("p1").port("p2").flow(0, 0, "1", "output(normal);");
    net.from("p2").sends(hello().eth("02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff")).leaves_at("p1");
    net.learns().unplug("p2");
    net.from("p1")
        .sends(hello().eth("02:00:00:00:00:01 > 02:00:00:00:00:02"))
        .is_dropped(Drop::no_such_port);
}

TEST(Normal, vlans_are_separate_learning_domains) {
    Net net;
    net.port("p1").port("p2").port("p3").flow(0, 0, "1", "output(normal);");
    net.from("p2")
        .sends(hello().eth("02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff").vlan(10))
        .leaves_at("p1")
        .leaves_at("p3");
    net.learns();
    net.from("p1").sends(hello().vlan(10)).leaves_at("p2");
    net.from("p1").sends(hello().vlan(20)).leaves_at("p2").leaves_at("p3");
}

TEST(ReservedMulticast, is_dropped_passed_or_punted_as_the_bridge_says) {
    const auto stp = [] {
        return frame(0x88cc, text_bytes("lldp")).eth("02:00:00:00:00:01 > 01:80:c2:00:00:0e");
    };
    Net net;
    net.port("p1").port("p2").flow(0, 0, "1", "output(\"p2\");");
    net.from("p1").sends(stp()).is_dropped(Drop::reserved_multicast);
    net.bridge("main", {.reserved_multicast = ReservedMulticast::pass})
        .from("p1")
        .sends(stp())
        .leaves_at("p2");
    net.bridge("main", {.reserved_multicast = ReservedMulticast::punt})
        .from("p1")
        .sends(stp())
        .is_punted(0);
}

} // namespace
} // namespace weft::test
