#include "pipeline/world.hh"
#include "tests/story/net.hh"

#include <gtest/gtest.h>

namespace weft::test {
namespace {

const auto hello = [] { return udp("10.10.10.101:7 > 10.10.10.102:9").payload("hello"); };

TEST(Walk, a_packet_that_no_rule_matches_drops_as_no_match) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "ip4.dst == 10.10.10.103", "output(\"p2\");");
    net.from("p1").sends(hello()).is_dropped(Drop::no_match);
}

TEST(Walk, the_rule_of_the_highest_priority_decides) {
    Net net;
    net.port("p1").port("p2").port("p3");
    net.flow(0, 10, "ip4", "output(\"p2\");")
        .flow(0, 20, "udp", "output(\"p3\");")
        .flow(0, 5, "1", "drop;");
    net.from("p1").sends(hello()).leaves_at("p3");
    net.from("p1").sends(tcp("10.0.0.1:1 > 10.0.0.2:2")).leaves_at("p2");
    net.from("p1").sends(arp_request("10.0.0.1 > 10.0.0.2")).is_dropped(Drop::policy);
}

TEST(Walk, of_equal_priorities_the_more_specific_rule_wins_whatever_came_first) {
    Net net;
    net.port("p1").port("p2").port("p3");
    net.flow(0, 10, "ip4.dst == 10.10.10.0/24", "output(\"p2\");")
        .flow(0, 10, "ip4.dst == 10.10.10.102", "output(\"p3\");");
    net.from("p1").sends(hello()).leaves_at("p3");
    Net other;
    other.port("p1").port("p2").port("p3");
    other.flow(0, 10, "ip4.dst == 10.10.10.102", "output(\"p3\");")
        .flow(0, 10, "ip4.dst == 10.10.10.0/24", "output(\"p2\");");
    other.from("p1").sends(hello()).leaves_at("p3");
}

TEST(Walk, an_output_to_the_ingress_port_is_a_named_drop_unless_the_action_says_inport) {
    Net net;
    net.port("p1").flow(0, 10, "ip4", "output(\"p1\");").flow(0, 10, "arp", "output(inport);");
    net.from("p1").sends(hello()).is_dropped(Drop::output_to_ingress_port);
    net.from("p1").sends(arp_request("10.0.0.1 > 10.0.0.2")).leaves_at("p1");
}

TEST(Walk, a_cleared_inport_hairpins) {
    Net net;
    net.port("p1").flow(0, 10, "1", "inport = 0; output(\"p1\");");
    net.from("p1").sends(hello()).leaves_at("p1");
}

TEST(Walk, outputs_to_missing_and_dead_ports_say_so) {
    Net net;
    net.port("p1")
        .port("p2")
        .flow(0, 10, "ip4", "output(\"p2\");")
        .flow(0, 10, "arp", "output(\"nowhere\");");
    net.from("p1").sends(arp_request("10.0.0.1 > 10.0.0.2")).is_dropped(Drop::no_such_port);
    net.link("p2", false).from("p1").sends(hello()).is_dropped(Drop::port_down);
    net.link("p2", true).from("p1").sends(hello()).leaves_at("p2");
    net.unplug("p2").from("p1").sends(hello()).is_dropped(Drop::no_such_port);
}

TEST(Walk, a_port_that_arrives_after_its_rule_is_reached) {
    Net net;
    net.port("p1").flow(0, 10, "1", "output(\"late\");");
    net.from("p1").sends(hello()).is_dropped(Drop::no_such_port);
    net.port("late").from("p1").sends(hello()).leaves_at("late");
}

TEST(Walk, another_setting_of_a_port_leaves_its_bridges_list_of_ports_as_it_is) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "1", "output(flood);");
    net.from("p1").sends(hello()).leaves_at("p2");
    const BridgeView* const before = net.tables().world().bridges.find(0);
    net.port("p2", {.down = true}).from("p1").sends(hello()).is_dropped(Drop::no_output);
    EXPECT_EQ(net.tables().world().bridges.find(0), before) << "the cost of a list of all ports";
    net.unplug("p2").port("p2").from("p1").sends(hello()).leaves_at("p2");
    EXPECT_NE(net.tables().world().bridges.find(0), before);
}

TEST(Walk, several_outputs_carry_the_edits_made_before_each) {
    Net net;
    net.port("p1").port("p2").port("p3").port("p4");
    net.flow(
        0,
        10,
        "1",
        "output(\"p2\"); eth.dst = 02:00:00:00:00:99; output(\"p3\"); ip.ttl--; output(\"p4\");"
    );
    net.from("p1")
        .sends(hello())
        .leaves_at("p2")
        .leaves_at("p3", hello().eth("02:00:00:00:00:01 > 02:00:00:00:00:99"))
        .leaves_at("p4", hello().eth("02:00:00:00:00:01 > 02:00:00:00:00:99").ttl(63));
}

TEST(Walk, a_called_table_comes_back_and_a_goto_does_not) {
    Net net;
    net.port("p1").port("p2").port("p3");
    net.flow(0, 10, "ip4", "call(1); output(\"p3\");").flow(1, 10, "1", "output(\"p2\");");
    net.flow(0, 10, "arp", "goto(1); output(\"p3\");");
    net.from("p1").sends(hello()).leaves_at("p2").leaves_at("p3");
    const auto who = arp_request("10.0.0.1 > 10.0.0.2");
    net.from("p1").sends(who).leaves_at("p2");
}

TEST(Walk, a_clone_gives_back_the_state_it_was_made_from) {
    Net net;
    net.port("p1").port("p2").port("p3");
    net.flow(
        0, 10, "1", "reg0 = 1; clone { reg0 = 2; eth.src = 02:00:00:00:00:77; goto(1); } goto(1);"
    );
    net.flow(1, 10, "reg0 == 2", "output(\"p2\");").flow(1, 10, "reg0 == 1", "output(\"p3\");");
    net.from("p1")
        .sends(hello())
        .leaves_at("p2", hello().eth("02:00:00:00:00:77 > 02:00:00:00:00:02"))
        .leaves_at("p3");
}

TEST(Walk, the_packet_stack_carries_values_between_fields) {
    Net net;
    net.port("p1").port("p2");
    net.flow(
        0, 10, "1", "push(eth.src); push(eth.dst); pop(eth.src); pop(eth.dst); output(\"p2\");"
    );
    net.from("p1").sends(hello()).leaves_at(
        "p2", hello().eth("02:00:00:00:00:02 > 02:00:00:00:00:01")
    );
}

TEST(Walk, loops_end_by_limits_with_names) {
    Net net;
    net.port("p1").port("p2");
    net.flow(0, 10, "ip4", "goto(0);")
        .flow(0, 10, "arp", "call(0); drop;")
        .flow(0, 10, "ip6", "pop(reg0);");
    net.flow(0, 20, "tcp", "clone { call(0); } clone { call(0); } drop;");
    net.from("p1").sends(hello()).is_dropped(Drop::steps_exceeded);
    net.from("p1").sends(arp_request("10.0.0.1 > 10.0.0.2")).is_dropped(Drop::depth_exceeded);
    net.from("p1").sends(udp("[fd00::1]:5 > [fd00::2]:53")).is_dropped(Drop::stack_underflow);
    net.from("p1").sends(tcp("10.0.0.1:1 > 10.0.0.2:2")).is_dropped(Drop::depth_exceeded);
}

TEST(Walk, more_than_the_allowed_clones_end_the_walk) {
    Net net;
    net.port("p1").flow(0, 10, "1", "call(1); call(1); call(1); call(1); call(1);");
    std::string thousand;
    for (int i = 0; i < 250; ++i)
        thousand += "clone { drop; } ";
    net.flow(1, 10, "1", thousand);
    net.from("p1").sends(hello()).is_dropped(Drop::clones_exceeded);
}

TEST(Walk, a_ttl_of_one_ends_at_its_decrement) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "ip", "ip.ttl--; output(\"p2\");");
    net.from("p1").sends(hello().ttl(1)).is_dropped(Drop::ttl_exceeded);
    net.from("p1").sends(hello().ttl(2)).leaves_at("p2", hello().ttl(1));
}

TEST(Walk, an_unsupported_action_drops_the_packet_that_reaches_it) {
    Net net;
    net.port("p1")
        .port("p2")
        .flow(0, 10, "udp", "ct(zone=1, next=3);")
        .meter(1)
        .flow(0, 10, "tcp", "output(\"p2\"); meter(1); output(\"p2\");");
    net.from("p1").sends(hello()).is_dropped(Drop::unsupported_action);
    net.from("p1")
        .sends(tcp("10.0.0.1:1 > 10.0.0.2:2"))
        .leaves_at("p2")
        .is_dropped(Drop::unsupported_action);
}

TEST(Walk, what_needs_a_meter_that_is_not_there_drops_by_its_name) {
    Net net;
    net.port("p1")
        .meter(1)
        .flow(0, 10, "udp", "meter(2);")
        .flow(0, 10, "tcp", "controller(meter=2);")
        .flow(0, 10, "icmp4", "controller(meter=1);");
    net.from("p1").sends(hello()).is_dropped(Drop::no_such_meter);
    net.from("p1").sends(tcp("10.0.0.1:1 > 10.0.0.2:2")).is_dropped(Drop::no_such_meter);
    net.from("p1").sends(icmp("10.0.0.1 > 10.0.0.2")).is_dropped(Drop::unsupported_action);
    net.meter(2).from("p1").sends(hello()).is_dropped(Drop::unsupported_action);
}

TEST(Walk, a_table_exists_while_a_row_names_its_number) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "1", "goto(3);");
    net.from("p1").sends(hello()).is_dropped(Drop::no_such_table);
    net.flow(3, 10, "tcp", "output(\"p2\");");
    net.from("p1").sends(hello()).is_dropped(Drop::no_match);
    net.unflow(3, 10, "tcp").from("p1").sends(hello()).is_dropped(Drop::no_such_table);
    net.miss(3, "output(\"p2\");").from("p1").sends(hello()).leaves_at("p2");
}

TEST(Walk, table_0_is_always_there) {
    Net net;
    net.port("p1").from("p1").sends(hello()).is_dropped(Drop::no_match);
}

TEST(Walk, what_was_sent_before_a_missing_table_stays_sent) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "1", "call(9); output(\"p2\");");
    net.from("p1").sends(hello()).leaves_at("p2");
}

TEST(Walk, a_standalone_bridge_is_a_learning_switch_until_table_0_has_a_rule) {
    Net net;
    net.port("p1").port("p2").port("p3").bridge("main", {.standalone = true});
    const auto there = udp("10.0.0.1:1 > 10.0.0.2:2").eth("02:00:00:00:00:0a > 02:00:00:00:00:0b");
    const auto back = udp("10.0.0.2:2 > 10.0.0.1:1").eth("02:00:00:00:00:0b > 02:00:00:00:00:0a");
    net.from("p1").sends(there).leaves_at("p2").leaves_at("p3");
    net.learns().from("p2").sends(back).leaves_at("p1");
    net.flow(0, 1, "tcp", "drop;").from("p2").sends(back).is_dropped(Drop::no_match);
    net.unflow(0, 1, "tcp").from("p2").sends(back).leaves_at("p1");
    net.miss(0, "output(\"p3\");").from("p2").sends(back).leaves_at("p3");
    net.bridge("main", {}).from("p2").sends(back).leaves_at("p3");
}

TEST(Walk, controller_punts_with_its_reason) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "1", "controller(reason=3); output(\"p2\");");
    net.from("p1").sends(hello()).is_punted(3).leaves_at("p2");
}

TEST(Walk, a_tables_miss_does_what_the_table_says) {
    Net net;
    net.port("p1").port("p2").miss(0, "output(\"p2\");");
    net.from("p1").sends(hello()).leaves_at("p2");
}

TEST(Walk, flood_reaches_every_other_port_and_all_buckets_run_in_turn) {
    Net net;
    net.port("p1").port("p2").port("p3").port("p4").link("p4", false);
    net.flow(0, 10, "ip4", "output(flood);").flow(0, 10, "arp", "group(7);");
    net.group(
        7,
        GroupType::all,
        {{1, "eth.src = 02:00:00:00:00:77; output(\"p2\");"}, {1, "output(\"p3\");"}}
    );
    net.from("p1").sends(hello()).leaves_at("p2").leaves_at("p3");
    const auto who = arp_request("10.0.0.1 > 10.0.0.2");
    net.from("p1")
        .sends(who)
        .leaves_at(
            "p2", arp_request("10.0.0.1 > 10.0.0.2").eth("02:00:00:00:00:77 > ff:ff:ff:ff:ff:ff")
        )
        .leaves_at("p3");
}

TEST(Walk, a_select_group_keeps_a_flow_on_its_bucket_in_both_directions) {
    Net net;
    net.port("p1").port("p2").port("p3").flow(0, 10, "1", "group(1);");
    net.group(1, GroupType::select, {{1, "output(\"p2\");"}});
    net.from("p1").sends(hello()).leaves_at("p2");
    net.group(1, GroupType::select, {{0, "output(\"p2\");"}, {3, "output(\"p3\");"}});
    net.from("p1").sends(hello()).leaves_at("p3");
    net.group(1, GroupType::select, {});
    net.from("p1").sends(hello()).is_dropped(Drop::group_no_bucket);
    net.flow(0, 20, "1", "group(99);").from("p1").sends(hello()).is_dropped(Drop::no_such_group);
}

TEST(Walk, conjunctions_match_the_product_of_their_clauses) {
    Net net;
    net.port("p1").port("p2").port("p3");
    net.flow(0, 10, "ip4.src == {10.0.0.1, 10.0.0.2}", "conjunction(5, 1/2);");
    net.flow(0, 10, "udp.dst == {53, 123}", "conjunction(5, 2/2);");
    net.flow(0, 10, "conj_id == 5 && ip4", "output(\"p2\");").flow(0, 1, "1", "output(\"p3\");");
    net.from("p1").sends(udp("10.0.0.2:9 > 10.9.9.9:53")).leaves_at("p2");
    net.from("p1").sends(udp("10.0.0.3:9 > 10.9.9.9:53")).leaves_at("p3");
    net.from("p1").sends(udp("10.0.0.1:9 > 10.9.9.9:54")).leaves_at("p3");
}

TEST(Walk, patch_ports_join_bridges_inside_one_walk) {
    Net net;
    net.port("p1").patch("to-b", "main", "to-a", "b").port("x1", {}, "b");
    net.flow(0, 10, "1", "reg0 = 5; output(\"to-b\"); output(inport);");
    net.flow(0, 10, "reg0 == 0 && inport == \"to-a\"", "ip.ttl--; output(\"x1\");", "b");
    net.from("p1").sends(hello()).leaves_at("x1", hello().ttl(63)).leaves_at("p1");
}

TEST(Walk, patch_ports_that_chase_each_other_end_by_a_limit) {
    Net net;
    net.port("p1").patch("to-b", "main", "to-a", "b");
    net.flow(0, 10, "1", "inport = 0; output(\"to-b\");")
        .flow(0, 10, "1", "inport = 0; output(\"to-a\");", "b");
    net.from("p1").sends(hello()).is_dropped(Drop::depth_exceeded);
}

TEST(Walk, counters_count_and_outlive_other_changes) {
    Net net;
    net.port("p1").port("p2").flow(0, 10, "ip4", "output(\"p2\");");
    net.from("p1").sends(hello()).leaves_at("p2");
    net.flow(0, 20, "arp", "drop;").from("p1").sends(hello()).leaves_at("p2");
    EXPECT_EQ(net.counters(0, 10, "ip4").packets, 2u);
    EXPECT_EQ(net.counters(0, 10, "ip4").bytes, 2 * hello().bytes().size());
}

TEST(Walk, a_packet_out_runs_its_own_actions_and_may_enter_the_tables) {
    Net net;
    net.port("p1").port("p2").port("p3").flow(0, 10, "inport == \"p3\"", "output(\"p2\");");
    net.sends_out("", "output(\"p1\"); output(\"p2\");", hello()).leaves_at("p1").leaves_at("p2");
    net.sends_out("p3", "eth.src = 02:00:00:00:00:55; goto(0);", hello())
        .leaves_at("p2", hello().eth("02:00:00:00:00:55 > 02:00:00:00:00:02"));
}

TEST(Walk, check_pkt_larger_and_masked_registers_steer) {
    Net net;
    net.port("p1").port("p2").port("p3").flow(
        0, 10, "1", "reg9[1] = check_pkt_larger(100); goto(1);"
    );
    net.flow(1, 10, "reg9[1] == 1", "output(\"p2\");")
        .flow(1, 10, "reg9[1] == 0", "output(\"p3\");");
    net.from("p1").sends(hello()).leaves_at("p3");
    net.from("p1").sends(hello().size(101)).leaves_at("p2");
}

TEST(Walk, a_field_that_the_packet_lacks_is_neither_matched_nor_set) {
    Net net;
    net.port("p1")
        .port("p2")
        .flow(0, 10, "tcp.dst == 0", "drop;")
        .flow(0, 5, "1", "tcp.dst = 80; ip4.src = 1.2.3.4; output(\"p2\");");
    net.from("p1").sends(arp_request("10.0.0.1 > 10.0.0.2")).leaves_at("p2");
}

} // namespace
} // namespace weft::test
