// Actions: every statement in its text form, how it is printed, how it is refused.
#include "control/language/encode.hh"
#include "control/language/language.hh"

#include <gtest/gtest.h>

namespace weft {

namespace {

std::string printed(std::string_view text) {
    const auto actions = parse_actions(text);
    if (!actions)
        return actions.error().code + ": " + actions.error().what;
    const std::string canonical = print(*actions);
    const auto again = parse_actions(canonical);
    EXPECT_TRUE(again) << again.error().what;
    EXPECT_EQ(*again, *actions) << canonical;
    EXPECT_EQ(*checked(*actions), *actions);
    return canonical;
}

Actions actions_of(std::string_view text) {
    const auto actions = parse_actions(text);
    EXPECT_TRUE(actions) << actions.error().what;
    return actions ? *actions : Actions{};
}

void stays(std::string_view text) {
    EXPECT_EQ(printed(text), text);
}

std::string refusal(Actions actions) {
    const auto result = checked(std::move(actions));
    return result ? "accepted" : result.error().code;
}

} // namespace

TEST(ActionText, statements_become_a_list) {
    const Actions wanted{
        {action::DecTtl{}},
        {action::Set{whole(info(FieldId::eth_dst)), 1, ""}},
        {action::Output{"p3", 0}},
    };
    EXPECT_EQ(actions_of("ip.ttl--; eth.dst = 00:00:00:00:00:01; output(\"p3\");"), wanted);
    EXPECT_EQ(actions_of(" // nothing"), Actions{});
}

TEST(ActionText, outputs) {
    stays("output(\"p3\"); output(reg15); output(reg15[0..15]); output(inport);");
    stays("output(normal); output(flood); output(all); output(\"p3\", max_bytes=64);");
    stays("output(inport[0..31]);");
    EXPECT_EQ(printed("output;"), "output(outport);");
    EXPECT_EQ(
        actions_of("output(inport);"), (Actions{{action::Output{action::Reserved::inport, 0}}})
    );
}

TEST(ActionText, fields_are_set_and_moved) {
    stays("reg0 = 5; ip4.src = 10.0.0.1; reg0[3..7] = 2; inport = \"p1\"; outport = 7;");
    stays("reg0 = reg1; ip4.dst = reg3; push(reg0); pop(reg0[0..15]);");
    stays("xxreg0 = 0xfe800000000000000000000000000001; ip6.src = fe80::1; metadata = 0x10;");
    stays("vlan.vid = 5; vlan.pcp = 3; ip.dscp = 46; ip.ecn = 1; vlan1.vid = 7;");
    EXPECT_EQ(
        printed("xxreg0[0..31] = ip4.dst; xxreg0[64..127] = 5;"), "reg3 = ip4.dst; xreg0 = 5;"
    );
    EXPECT_EQ(
        printed("vlan.pcp[2] = 1; xreg1[0..7] = 0x10;"), "vlan.tci[15] = 1; reg3[0..7] = 0x10;"
    );
}

TEST(ActionText, tables_clones_and_the_rest) {
    stays("call(12); goto(4294967295);");
    stays("clone { reg0 = 1; clone { output(\"x\"); }; }; drop;");
    EXPECT_EQ(printed("clone{output;}drop;"), "clone { output(outport); }; drop;");
    stays("group(5); meter(1); set_queue(3); reg9[1] = check_pkt_larger(1414);");
    stays("vlan.push(0x8100); vlan.push(0x88a8); vlan.pop; ip.ttl--; ct_clear;");
    stays("conjunction(100, 2/3); conjunction(101, 1/64);");
    stays("bundle(eth_src, active_backup, ports(\"p1\", \"p2\"));");
    stays("sample(probability=655, collector=1, domain=2, point=reg0);");
    stays("controller(); controller(reason=0, max_bytes=128, userdata=00.00.00.07, meter=1, pause);"
    );
    EXPECT_EQ(printed("controller(reason=1, userdata=0.ff);"), "controller(userdata=00.ff);");
}

TEST(ActionText, connections) {
    stays("ct(); ct(zone=5, nat, next=3); ct(commit, nat(dst)); ct(zone=reg13[0..15], next=21);");
    stays("ct(commit, force, nat(src=10.0.0.1..10.0.0.9, ports=1024..2048, random, persistent), "
          "next=0);");
    stays("ct(commit, nat(dst=fe80::1, ports=80, hash), exec { ct_mark = 2; ct_label[0..3] = "
          "reg0[0..3]; });");
    EXPECT_EQ(printed("ct(next=3, zone=0, commit);"), "ct(commit, next=3);");
}

TEST(ActionText, learn) {
    stays(
        "learn(table=69, priority=100, idle_timeout=20, hard_timeout=30, cookie=1, delete_learned, "
        "match(eth.dst = eth.src, vlan.vid = vlan.vid, eth.type = 0x800), "
        "actions(reg0 = reg1, output(inport)));"
    );
    EXPECT_EQ(printed("learn(table=1);"), "learn(table=1, priority=32768);");
}

TEST(ActionText, what_is_not_the_language_is_refused_with_its_place) {
    EXPECT_EQ(
        printed("output(\"p1\")"), "bad_actions: actions column 13: expected \";\", found the end"
    );
    EXPECT_EQ(
        printed("outptu(\"p1\");"),
        "bad_actions: actions column 1: \"outptu\" is neither an action nor a field; did you mean "
        "\"output\"?"
    );
    EXPECT_EQ(printed("reg0 == 5;"), "bad_actions: actions column 6: expected \"=\", found \"==\"");
    EXPECT_EQ(
        printed("clone { drop;"),
        "bad_actions: actions column 14: expected an action, found the end"
    );
    EXPECT_EQ(
        printed("ct(zoen=5);"),
        "bad_actions: actions column 4: expected zone, commit, force, nat, next or exec, found "
        "\"zoen\""
    );
    EXPECT_EQ(
        printed("output(tcp);"),
        "bad_value: actions column 8: \"tcp\" is true or false, and not a field"
    );
    EXPECT_EQ(
        printed("reg0 = reg99;"),
        "unknown_field: actions column 8: \"reg99\" is not a field; did you mean \"reg9\"?"
    );
}

TEST(ActionText, values_that_cannot_be_are_refused) {
    EXPECT_EQ(
        printed("tcp.dst = 70000;"),
        "bad_value: actions column 11: 70000 does not fit tcp.dst, which has 16 bits"
    );
    EXPECT_EQ(
        printed("reg0 = reg1[0..15];"),
        "bad_value: actions column 8: reg1[0..15] has 16 bits and reg0 has 32 bits: both need the "
        "same"
    );
    EXPECT_EQ(
        printed("call(4294967296);"),
        "bad_value: actions column 6: 4294967296 is too large for a table, which is at most "
        "4294967295"
    );
    EXPECT_EQ(
        printed("reg0 = 4/4;"),
        "bad_value: actions column 8: some bits of a field are set as a slice: reg0[3..7] = 2"
    );
    EXPECT_EQ(
        printed("reg0 = \"p1\";"),
        "bad_value: actions column 8: \"p1\" is a name, and only inport and outport hold ports"
    );
    EXPECT_EQ(printed("output(\"\");"), "bad_value: actions column 8: a port's name is not empty");
    EXPECT_EQ(
        printed("conjunction(1, 4/3);"),
        "bad_value: actions column 1: clause 4 is not one of 1 to 3"
    );
    EXPECT_EQ(
        printed("conjunction(1, 1/65);"),
        "bad_value: actions column 1: a conjunction has 2 to 64 clauses, and not 65"
    );
    EXPECT_EQ(
        printed("conjunction(1, 1/2); drop;"),
        "bad_value: actions column 1: a rule with conjunction has no other actions"
    );
    EXPECT_EQ(
        printed("clone { conjunction(1, 1/2); };"),
        "bad_value: actions column 9: conjunction stands in a rule of its own and not in braces"
    );
    EXPECT_EQ(
        printed("vlan.push(0x9100);"),
        "bad_value: actions column 1: 0x9100 is no VLAN type: only 0x8100 and 0x88a8 are"
    );
    EXPECT_EQ(
        printed("reg9 = check_pkt_larger(5);"),
        "bad_value: actions column 1: check_pkt_larger gives 1 bit, and reg9 has 32 bits"
    );
    EXPECT_EQ(
        printed("ct(exec { reg0 = 1; });"),
        "bad_value: actions column 11: exec only sets ct_mark and ct_label, and not reg0"
    );
    EXPECT_EQ(
        printed("ct(commit, nat(src=10.0.0.9..10.0.0.1));"),
        "bad_value: actions column 20: 10.0.0.9..10.0.0.1 is empty: the lower value comes first"
    );
    EXPECT_EQ(
        printed("output(xxreg0);"),
        "bad_value: actions column 1: a port number has at most 32 bits, and xxreg0 has 128 bits"
    );
}

TEST(ActionText, fields_that_describe_the_packet_cannot_be_set) {
    EXPECT_EQ(
        printed("eth.type = 5;"),
        "read_only_field: actions column 1: eth.type cannot be set: it is what the packet has"
    );
    EXPECT_EQ(
        printed("ct_mark = 5;"),
        "read_only_field: actions column 1: ct_mark is only set inside ct(commit, exec { ... })"
    );
    EXPECT_EQ(
        printed("pop(ip.proto);"),
        "read_only_field: actions column 1: ip.proto cannot be set: it is what the packet has"
    );
}

TEST(ActionText, size_and_depth_are_bounded) {
    std::string many, deep;
    for (int i = 0; i < 4'096; ++i)
        many += "drop;";
    EXPECT_EQ(actions_of(many).size(), 4'096u);
    EXPECT_TRUE(printed(many + "drop;").starts_with("too_many_actions: actions column 20481: "));
    for (int i = 0; i < 16; ++i)
        deep += "clone { ";
    EXPECT_TRUE(printed(deep + std::string(16, '}')).starts_with("clone { clone {"));
    EXPECT_TRUE(printed(deep + "clone { }")
                    .starts_with("bad_actions: actions column 135: clones are nested"));
}

TEST(Checked, actions_of_messages_obey_the_same_rules) {
    const FieldSlice reg0 = whole(info(FieldId::reg0)), vid = whole(info(FieldId::vlan_vid));
    EXPECT_EQ(*checked({{action::Set{vid, 5, ""}}}), actions_of("vlan.tci[0..11] = 5;"));
    EXPECT_EQ(refusal({{action::Set{{FieldId::reg0, 30, 8}, 5, ""}}}), "bad_value");
    EXPECT_EQ(refusal({{action::Set{{static_cast<FieldId>(500), 0, 8}, 5, ""}}}), "unknown_field");
    EXPECT_EQ(refusal({{action::Set{{FieldId::shape, 0, 8}, 5, ""}}}), "unknown_field");
    EXPECT_EQ(refusal({{action::Move{reg0, vid}}}), "bad_value");
    EXPECT_EQ(refusal({{action::Output{static_cast<action::Reserved>(9), 0}}}), "bad_value");
    EXPECT_EQ(refusal({{action::Clone{{{action::Set{reg0, 5, "p1"}}}}}}), "bad_value");
    EXPECT_EQ(refusal(Actions(4'097, {action::Drop{}})), "too_many_actions");
    Actions deep{{action::Drop{}}};
    for (int i = 0; i < 17; ++i)
        deep = {{action::Clone{std::move(deep)}}};
    EXPECT_EQ(refusal(deep), "bad_actions");
}

TEST(Encode, bytes_of_actions_are_for_ever) {
    std::string bytes;
    encode(actions_of("output(\"p3\"); reg0 = 300; clone { drop; };"), bytes);
    EXPECT_EQ(
        bytes, std::string("\x03\x01\x00\x02p3\x00\x03\x04\x00\x20\x00\xac\x02\x0c\x01\x02", 17)
    );
}

TEST(ActionNames, say_the_word_and_whether_it_is_done) {
    EXPECT_EQ(name(actions_of("ct(next=3);")[0]), "ct");
    EXPECT_EQ(name(actions_of("vlan.push(0x8100);")[0]), "vlan.push");
    EXPECT_FALSE(supported(actions_of("clone { ct_clear; };")[0]));
    EXPECT_TRUE(supported(actions_of("clone { tun_id = 5; output; };")[0]));
    EXPECT_FALSE(supported(actions_of("controller(pause);")[0]));
    EXPECT_TRUE(supported(actions_of("controller(userdata=01);")[0]));
}

} // namespace weft
