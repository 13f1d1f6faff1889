// Matches: what is understood, what it comes to, how it is printed, how it is refused.
#include "control/language/encode.hh"
#include "control/language/language.hh"

#include <gtest/gtest.h>

namespace weft {

namespace {

/// The canonical text of a match, which must parse into the same match; or the message.
std::string match_printed(std::string_view text) {
    const auto match = parse_match(text);
    if (!match)
        return match.error().code + ": " + match.error().what;
    const std::string canonical = print(*match);
    const auto again = parse_match(canonical);
    EXPECT_TRUE(again) << again.error().what;
    EXPECT_EQ(*again, *match) << canonical;
    EXPECT_EQ(print(*again), canonical);
    EXPECT_EQ(*checked(match->terms), *match);
    return canonical;
}

Match match_of(std::string_view text) {
    const auto match = parse_match(text);
    EXPECT_TRUE(match) << match.error().what;
    return match ? *match : Match{};
}

std::size_t terms(std::string_view text) {
    return match_of(text).terms.size();
}

constexpr auto bits_of = [](Shape shape) { return U128{static_cast<std::uint16_t>(shape)}; };

} // namespace

TEST(MatchText, a_comparison_becomes_a_term_with_its_prerequisites) {
    const U128 shape = bits_of(Shape::tcp | Shape::ip);
    const Match wanted{{Term{{{FieldId::shape, shape, shape}, {FieldId::tcp_dst, 80, 0xffff}}}}};
    EXPECT_EQ(match_of("tcp.dst == 80"), wanted);
}

TEST(MatchText, one_matches_everything_and_zero_nothing) {
    EXPECT_EQ(match_of("1"), Match{{Term{}}});
    EXPECT_EQ(match_of("0"), Match{});
    EXPECT_EQ(match_printed("1 || ip4"), "1");
    EXPECT_EQ(match_printed("!1 || ip4"), "ip4");
    EXPECT_EQ(match_printed("tcp && udp"), "0");
    EXPECT_EQ(match_printed("ip4.src != 0.0.0.0/0"), "0");
}

TEST(MatchText, prerequisites_that_fields_imply_are_not_printed) {
    EXPECT_EQ(match_printed("ip && ip4 && tcp && tcp.dst == 80"), "ip4 && tcp.dst == 80");
    EXPECT_EQ(match_printed("ip4.src == 1.2.3.4 && ip4"), "ip4.src == 1.2.3.4");
    EXPECT_EQ(match_printed("vlan.present && vlan1.present"), "vlan1.present");
    EXPECT_EQ(match_printed("ip4.src == 0.0.0.0/0"), "ip4");
}

TEST(MatchText, spelling_makes_no_other_match) {
    EXPECT_EQ(match_of("80 == tcp.dst"), match_of("tcp.dst==0x50"));
    EXPECT_EQ(match_of("tcp.dst == {443, 80}"), match_of("tcp.dst == 80 || tcp.dst == 443"));
    EXPECT_EQ(match_of("vlan.vid == 5"), match_of("vlan.tci[0..11] == 5"));
    EXPECT_EQ(match_of("xxreg0[0..31] == 7"), match_of("reg3 == 7"));
    EXPECT_EQ(match_of("ip && !ip4"), match_of("ip6"));
    EXPECT_EQ(match_of("!(tcp.dst == 80)"), match_of("tcp.dst < 80 || tcp.dst > 80"));
    EXPECT_EQ(match_of("!(ip4 || tcp)"), match_of("!ip4 && !tcp"));
    EXPECT_EQ(match_of("ip4 == 1 && tcp == 0"), match_of("ip4 && tcp != 1"));
    EXPECT_EQ(match_of("/* both */ ip4 // families\n|| ip6"), match_of("ip6||ip4"));
    EXPECT_EQ(match_of("tcp.dst != 80 && tcp.dst != 443"), match_of("tcp.dst != {443 80}"));
}

TEST(MatchText, ranges_become_the_fewest_prefixes_and_ranges_again) {
    EXPECT_EQ(terms("tcp.dst == 80..90"), 3u);
    EXPECT_EQ(terms("1024 <= tcp.src <= 49151"), 6u);
    EXPECT_EQ(terms("tcp.dst == 0..65535"), 1u);
    EXPECT_EQ(match_printed("tcp.dst == {95, 80..90, 443}"), "tcp.dst == {80..90, 95, 443}");
    EXPECT_EQ(match_printed("1024 <= tcp.src <= 49151"), "tcp.src == 1024..49151");
    EXPECT_EQ(match_printed("49151 >= tcp.src > 1023"), "tcp.src == 1024..49151");
    EXPECT_EQ(match_printed("tcp.dst == 0..65535"), "tcp");
    EXPECT_EQ(match_printed("xxreg0 >= 0"), "1");
    EXPECT_EQ(match_printed("tcp.dst < 0"), "0");
    EXPECT_EQ(match_printed("vlan.vid == 10..20"), "vlan.vid == 10..20");
    EXPECT_EQ(match_printed("reg0 > 5"), "reg0 == 6..0xffffffff");
    EXPECT_EQ(
        match_printed("ip4.src == 10.0.0.1..10.0.0.9"),
        "ip4.src == {10.0.0.1, 10.0.0.2/31, 10.0.0.4/30, 10.0.0.8/31}"
    );
}

TEST(MatchText, neighbours_stay_apart_where_they_were_written_apart) {
    EXPECT_EQ(match_printed("tcp.dst == {80, 81}"), "tcp.dst == {80, 81}");
    EXPECT_EQ(match_printed("tcp.dst == 80..81"), "tcp.dst == 80..81");
    EXPECT_NE(match_of("tcp.dst == {80, 81}"), match_of("tcp.dst == 80..81"));
}

TEST(MatchText, a_range_or_set_comes_together_with_other_fields_in_any_order) {
    const std::string wanted = "ip.ttl == 3 && ip4.dst == 10.0.0.1 && tcp.dst == 1..20";
    for (const char* text :
         {"tcp.dst == 1..20 && ip4.dst == 10.0.0.1 && ip.ttl == 3",
          "ip4.dst == 10.0.0.1 && tcp.dst == 1..20 && ip.ttl == 3",
          "ip.ttl == 3 && ip4.dst == 10.0.0.1 && tcp.dst == {1..10, 5..20}",
          "ip.ttl == 3 && tcp.dst == 0..63 && ip4.dst == 10.0.0.1 && tcp.dst == 1..20",
          "!(tcp.dst == 21..65535) && tcp && !(tcp.dst == 0) && ip4.dst == 10.0.0.1 && ip.ttl == "
          "3"})
        EXPECT_EQ(match_printed(text), wanted) << text;
    EXPECT_EQ(
        match_printed("ip4.dst == {10.0.0.0/8, 10.1.0.0/16, 11.0.0.1} && ip4"),
        "ip4.dst == {10.0.0.0/8, 11.0.0.1}"
    );
    EXPECT_EQ(match_printed("tcp.dst == {1, 2} && udp"), "0");
    EXPECT_EQ(match_printed("tcp.dst == {1, 2} && tcp.dst == {2, 3}"), "tcp.dst == 2");
    EXPECT_EQ(match_printed("tcp.dst == {1..4, 7..9} && tcp.dst == 4..7"), "tcp.dst == {4, 7}");
    EXPECT_EQ(
        match_of("(tcp || udp) && ip4.dst == {10.0.0.1, 10.0.0.2}"),
        match_of("tcp && ip4.dst == {10.0.0.1, 10.0.0.2} || udp && ip4.dst == {10.0.0.1, 10.0.0.2}")
    );
}

TEST(MatchText, inequalities_expand_by_bits_and_print_as_what_they_were) {
    EXPECT_EQ(terms("tcp.dst != 80"), 16u);
    EXPECT_EQ(match_printed("tcp.dst != 80"), "tcp.dst != 80");
    EXPECT_EQ(match_printed("ip4.src != 10.0.0.1"), "ip4.src != 10.0.0.1");
    EXPECT_EQ(match_printed("reg0[3..7] != 2"), "reg0[3..7] != 2");
    EXPECT_EQ(match_printed("tcp.dst != {80, 443}"), "tcp.dst == {0..79, 81..442, 444..65535}");
    EXPECT_EQ(match_printed("tcp.flags != 2/0x12"), "tcp.flags == {0/0x12, 0x10/0x10}");
    EXPECT_EQ(match_printed("reg0 != {1/1, 4/4}"), "reg0 == 0/5");
}

TEST(MatchText, comparisons_keep_their_prerequisites_when_negated) {
    EXPECT_EQ(match_printed("!(tcp.dst == 80)"), "tcp.dst != 80");
    EXPECT_EQ(match_printed("!(reg0[4] && tcp.dst[0])"), "!tcp.dst[0] || !reg0[4]");
    EXPECT_EQ(match_printed("!ct.new"), "!ct.new");
    EXPECT_EQ(match_printed("ct.trk && ct_state == 0/1"), "!ct.new");
    EXPECT_EQ(match_printed("!!(ip4)"), "ip4");
}

TEST(MatchText, predicates_are_negated_as_a_whole) {
    EXPECT_EQ(match_printed("!tcp"), "!tcp");
    EXPECT_EQ(match_printed("!icmp"), "!icmp4 && !icmp6");
    EXPECT_EQ(match_printed("!arp"), "!arp.present || rarp");
    EXPECT_EQ(match_printed("!ip.is_frag"), "!ip || !ip.frag[0]");
    EXPECT_EQ(match_printed("!eth.bcast"), "eth.dst != ff:ff:ff:ff:ff:ff");
    EXPECT_EQ(
        match_printed("!ip4.mcast"),
        "!ip4 || (!eth.mcast && ip4) || "
        "ip4.dst == {0.0.0.0/1, 128.0.0.0/2, 192.0.0.0/3, 240.0.0.0/4}"
    );
}

TEST(MatchText, predicates_have_their_names_back) {
    EXPECT_EQ(match_printed("arp && arp.op == 1"), "arp && arp.op == 1");
    EXPECT_EQ(match_printed("arp.op == 1"), "arp.op == 1");
    EXPECT_EQ(match_printed("rarp.tpa == 10.0.0.1"), "rarp && arp.tpa == 10.0.0.1");
    EXPECT_EQ(match_printed("nd_ns && nd.target == fe80::1"), "nd_ns && nd.target == fe80::1");
    EXPECT_EQ(match_printed("nd.target == fe80::1"), "nd.target == fe80::1");
    EXPECT_EQ(match_printed("ip.ttl == 255 && nd.present"), "nd");
    EXPECT_EQ(match_printed("ct.trk && ct.est && !ct.rpl"), "ct.est && !ct.rpl");
    EXPECT_EQ(match_printed("ct_state == 0x81/0x83"), "ct_state == 0x81/0x83");
    EXPECT_EQ(match_printed("!ct.trk"), "!ct.trk");
    EXPECT_EQ(match_printed("eth.dst[40] == 1"), "eth.mcast");
    EXPECT_EQ(match_printed("ip.first_frag"), "ip.first_frag");
    EXPECT_EQ(match_printed("nd.tll == 00:00:00:00:00:01"), "nd.tll == 00:00:00:00:00:01");
    EXPECT_EQ(
        match_printed("icmp && tun.present && !vlan.present"),
        "(tun.present && !vlan.present && icmp4) || (tun.present && !vlan.present && icmp6)"
    );
}

TEST(MatchText, what_excludes_or_implies_something_says_it_only_once) {
    EXPECT_EQ(match_printed("ip4 && !ip6 && !arp"), "ip4");
    EXPECT_EQ(match_printed("!ip && !ip4 && !tcp"), "!ip");
    EXPECT_EQ(match_printed("!ip4 && !ip6"), "!ip");
    EXPECT_EQ(match_printed("tcp || !udp"), "!udp");
    EXPECT_EQ(match_printed("tcp && ip4.src == 10.0.0.0/8 || ip4"), "ip4");
    EXPECT_EQ(match_printed("ip4 && arp.op == 1"), "0");
}

TEST(MatchText, terms_that_differ_in_one_field_print_as_a_set) {
    EXPECT_EQ(
        match_printed("tcp.dst == {80, 443} && ip4.src == {10.0.0.1, 10.0.0.2/31}"),
        "ip4.src == {10.0.0.1, 10.0.0.2/31} && tcp.dst == {80, 443}"
    );
    EXPECT_EQ(
        match_printed(
            "(ip4.src == 10.0.0.1 && tcp.dst == 80) || (ip4.src == 10.0.0.2 && tcp.dst == 81)"
        ),
        "(ip4.src == 10.0.0.1 && tcp.dst == 80) || (ip4.src == 10.0.0.2 && tcp.dst == 81)"
    );
    EXPECT_EQ(match_printed("ip6 || ip4 || arp"), "arp || ip4 || ip6");
}

TEST(MatchText, slices_and_views_print_as_the_smallest_thing_with_a_name) {
    EXPECT_EQ(match_printed("reg0 == 0x28/0xf8"), "reg0[3..7] == 5");
    EXPECT_EQ(match_printed("reg0 == 0x12340000/0xffff0000"), "reg0[16..31] == 0x1234");
    EXPECT_EQ(match_printed("reg0 == 0x5/0x15"), "reg0 == 5/0x15");
    EXPECT_EQ(match_printed("vlan.tci == 0x6005/0xefff"), "vlan.vid == 5 && vlan.pcp == 3");
    EXPECT_EQ(match_printed("vlan.vid == {5, 7}"), "vlan.vid == {5, 7}");
    EXPECT_EQ(match_printed("ip.dscp == 46 && ip.ecn == 0"), "ip.tos == 0xb8");
    EXPECT_EQ(
        match_printed("xxreg1 == 2001:db8::1"), "xxreg1 == 0x20010db8000000000000000000000001"
    );
    EXPECT_EQ(match_printed("xreg0 == 0x100000002"), "reg0 == 1 && reg1 == 2");
    EXPECT_EQ(
        match_printed("eth.dst == 00:00:00:00:00:02/00:00:00:00:00:0f"),
        "eth.dst == 00:00:00:00:00:02/00:00:00:00:00:0f"
    );
    EXPECT_EQ(match_printed("ip4.src == 10.0.0.1/255.0.0.255"), "ip4.src == 10.0.0.1/255.0.0.255");
    EXPECT_EQ(match_printed("ip6.src == ::ffff:1.2.3.4/128"), "ip6.src == ::ffff:1.2.3.4");
}

TEST(MatchText, ports_are_kept_by_name) {
    const Match match = match_of("inport == {\"b\", \"a\", 8}");
    ASSERT_EQ(match.terms.size(), 3u);
    EXPECT_EQ(match.terms[0].fields[0], (FieldMatch{FieldId::inport, 0, 0xffff'ffff, "a"}));
    EXPECT_EQ(match.terms[2].fields[0], (FieldMatch{FieldId::inport, 8, 0xffff'ffff}));
    EXPECT_EQ(match_printed("inport == {\"b\", \"a\", 8}"), "inport == {\"a\", \"b\", 8}");
    EXPECT_EQ(match_printed("inport == \"a\" && inport == \"a\""), "inport == \"a\"");
    EXPECT_EQ(match_printed("inport == \"a\" && inport == \"b\""), "0");
    EXPECT_EQ(
        match_printed(R"(inport == "q\"\\\u00e9\n")"), "inport == \"q\\\"\\\\\xc3\xa9\\u000a\""
    );
}

TEST(MatchText, names_in_payloads_are_kept_in_canonical_form) {
    EXPECT_EQ(match_printed(R"(tls.sni == "WWW.Example.com.")"), R"(tls.sni == "www.example.com")");
    EXPECT_EQ(match_printed(R"(tcp && http.host == {"*.B", "a"})"), R"(http.host == {"*.b", "a"})");
    EXPECT_EQ(
        match_printed(R"("*" == dns.qname && udp.dst == 53)"),
        R"(udp.dst == 53 && dns.qname == "*")"
    );
    EXPECT_EQ(match_printed(R"(tls.sni == "a" && tls.sni == "A.")"), R"(tls.sni == "a")");
    EXPECT_EQ(match_printed(R"(tls.sni == "a" && tls.sni == "b")"), "0");
    EXPECT_EQ(match_printed(R"(tls.sni == "*.a" && http.host == "*.a")"), "0");
    EXPECT_EQ(match_printed(R"(tls.sni == "a" && udp)"), "0");
    EXPECT_EQ(
        match_printed(R"(tls.sni == "a" || tls.sni == "*" || ip6)"),
        R"(ip6 || tls.sni == {"*", "a"})"
    );
}

TEST(MatchText, what_names_cannot_do_is_refused_by_name_value_and_rule) {
    const std::string only =
        "bad_value: match column 12: tls.sni is a name: it can only be compared "
        "with ==, not negated, and with names in quotes";
    EXPECT_EQ(match_printed(R"(tls.sni != "a.b")"), only);
    EXPECT_EQ(match_printed("tls.sni == 5"), only);
    EXPECT_EQ(match_printed(R"(tls.sni == 0x1/0x1)"), only);
    EXPECT_EQ(
        match_printed(R"(!(tls.sni == "a.b"))"),
        "bad_value: match column 14: tls.sni is a name: it can only be compared with ==, not "
        "negated, and with names in quotes"
    );
    EXPECT_EQ(
        match_printed(R"(tls.sni < "a.b")"),
        "bad_value: match column 11: tls.sni is a name: it can only be compared with ==, not "
        "negated, and with names in quotes"
    );
    EXPECT_EQ(
        match_printed(R"(tls.sni[0..7] == "a.b")"),
        "bad_value: match column 18: tls.sni is a name, which has no bits"
    );
    EXPECT_EQ(
        match_printed(R"(dns.qname == "a..b")"),
        "bad_value: match column 14: dns.qname: \"a..b\" is no name: a label is empty"
    );
    EXPECT_EQ(
        match_printed(R"(tls.sni == "*.a" && tls.sni == "b.a")"),
        "bad_value: match column 37: one name field is asked for two patterns at once: use one "
        "that says both"
    );
    EXPECT_EQ(
        match_printed(R"(inport == "p1" && tcp.dst == "a.b")"),
        "bad_value: match column 30: \"a.b\" is a name, and only inport and outport hold ports"
    );
    for (const char* actions :
         {"push(tls.sni);", "reg0 = dns.qname[0..31];", "pop(http.host);", "tls.sni = 5;"}) {
        const auto refused = parse_actions(actions);
        ASSERT_FALSE(refused) << actions;
        EXPECT_EQ(refused.error().code, "bad_value") << actions;
        EXPECT_NE(
            refused.error().what.find(" is a name: only matches can use it"), std::string::npos
        ) << refused.error().what;
    }
}

TEST(MatchText, what_is_not_the_language_is_refused_with_its_place) {
    EXPECT_EQ(
        match_printed(""),
        "bad_match: match column 1: expected a field, a predicate or \"(\", found the end"
    );
    EXPECT_EQ(
        match_printed("ip4 &&"),
        "bad_match: match column 7: expected a field, a predicate or \"(\", found the end"
    );
    EXPECT_EQ(
        match_printed("ip4 ||\n  (tcp"),
        "bad_match: match line 2 column 7: expected \")\", found the end"
    );
    EXPECT_EQ(
        match_printed("tcp.dst = 80"),
        "bad_match: match column 9: expected a comparison with tcp.dst, found \"=\""
    );
    EXPECT_EQ(
        match_printed("ip4 ip6"),
        "bad_match: match column 5: expected &&, || or the end, found \"ip6\""
    );
    EXPECT_EQ(
        match_printed("!tcp.dst == 80"),
        "bad_match: match column 10: ! stands before a comparison: write !(...) with parentheses "
        "around it"
    );
    EXPECT_EQ(
        match_printed("ip4.src == 10.0.0.256"),
        "bad_match: match column 12: \"10.0.0.256\" is not an IPv4 address"
    );
    EXPECT_EQ(
        match_printed("inport == \"p1"), "bad_match: match column 11: \"p1 has no closing quote"
    );
    EXPECT_EQ(
        match_printed("ip4 \xc3\xa9"), "bad_match: match column 5: \"\\xc3\" has no meaning here"
    );
    EXPECT_EQ(
        match_printed("tcp.dst == {}"), "bad_match: match column 13: expected a value, found \"}\""
    );
    EXPECT_EQ(
        match_printed("5"), "bad_match: match column 2: expected a comparison, found the end"
    );
}

TEST(MatchText, unknown_fields_are_refused_with_the_nearest_one) {
    EXPECT_EQ(
        match_printed("ip4 && tcp.prot == 5"),
        "unknown_field: match column 8: \"tcp.prot\" is not a field; did you mean \"ip.proto\"?"
    );
    EXPECT_EQ(
        match_printed("shape == 5"), "unknown_field: match column 1: \"shape\" is not a field"
    );
}

TEST(MatchText, values_that_cannot_be_are_refused) {
    EXPECT_EQ(
        match_printed("tcp.dst == 70000"),
        "bad_value: match column 12: 70000 does not fit tcp.dst, which has 16 bits"
    );
    EXPECT_EQ(
        match_printed("tcp.dst == 1..70000"),
        "bad_value: match column 12: 70000 does not fit tcp.dst, which has 16 bits"
    );
    EXPECT_EQ(
        match_printed("reg0[3..40] == 5"),
        "bad_value: match column 5: [3..40] is no part of reg0, which has 32 bits counted from 0, "
        "the lowest first"
    );
    EXPECT_EQ(
        match_printed("ip4.src == 10.0.0.5/8"),
        "bad_value: match column 12: 10.0.0.5/8 has bits outside its mask"
    );
    EXPECT_EQ(
        match_printed("ip4.src == 10.0.0.0/33"),
        "bad_value: match column 21: 33 is too large for a prefix, which is at most 32"
    );
    EXPECT_EQ(
        match_printed("tcp.dst == 90..80"),
        "bad_value: match column 12: 90..80 is empty: the lower value comes first"
    );
    EXPECT_EQ(
        match_printed("tcp.dst < {1, 2}"),
        "bad_value: match column 12: <, <=, > and >= compare with one plain value"
    );
    EXPECT_EQ(
        match_printed("ip4 == 2"),
        "bad_value: match column 8: ip4 is true or false: it can only be == 1 or == 0"
    );
    EXPECT_EQ(
        match_printed("tcp.dst == \"p1\""),
        "bad_value: match column 12: \"p1\" is a name, and only inport and outport hold ports"
    );
    EXPECT_EQ(
        match_printed("!(inport == \"p1\")"),
        "bad_value: match column 13: a port's name can only be compared with ==, and not negated"
    );
    EXPECT_EQ(
        match_printed("inport == \"\""), "bad_value: match column 11: a port's name is not empty"
    );
    EXPECT_EQ(
        match_printed("inport == \"p1\" && inport == 8"),
        "bad_value: match column 30: one port is asked for both by name and by number: use one of "
        "the two"
    );
}

TEST(MatchText, a_match_of_too_many_terms_is_refused_before_it_grows) {
    const std::string too_many =
        "the match comes to more than 4096 terms: its sets, ranges and inequalities multiply";
    EXPECT_EQ(
        match_printed("tcp.dst != 1 && tcp.src != 1 && ip4.src != 0.0.0.1"),
        "too_many_terms: match column 51: " + too_many
    );
    std::string chain = "reg0 != 1";
    for (int reg = 1; reg < 16; ++reg)
        chain += " && reg" + std::to_string(reg) + " != 1";
    EXPECT_TRUE(match_printed(chain).starts_with("too_many_terms"));
    std::string set = "reg0 == {0";
    for (int value = 1; value < 4'096; ++value)
        set += ", " + std::to_string(2 * value);
    EXPECT_EQ(terms(set + "}"), 4'096u);
    EXPECT_TRUE(match_printed(set + ", 1}").starts_with("too_many_terms"));
    EXPECT_EQ(terms(set + ", 0}"), 4'096u);
    EXPECT_EQ(match_printed(set + "} && reg0[0]"), "0");
}

TEST(MatchText, deep_nesting_is_refused) {
    const std::string open(101, '('), close(101, ')');
    EXPECT_EQ(
        match_printed(open + "ip4" + close),
        "bad_match: match column 101: parentheses are nested deeper than 100"
    );
    EXPECT_EQ(match_printed(open.substr(1) + "ip4" + close.substr(1)), "ip4");
    EXPECT_EQ(match_printed(std::string(100'001, '!') + "ip4"), "!ip4");
}

TEST(Checked, terms_of_messages_are_put_into_canonical_form_or_refused) {
    EXPECT_EQ(*checked({Term{{{FieldId::tcp_dst, 80, 0xffff}}}}), match_of("tcp.dst == 80"));
    EXPECT_EQ(*checked({Term{{{FieldId::vlan_vid, 5, 0xfff}}}}), match_of("vlan.vid == 5"));
    EXPECT_EQ(*checked({Term{{{FieldId::inport, 0, 0, "p1"}}}}), match_of("inport == \"p1\""));
    EXPECT_EQ(checked({Term{{{static_cast<FieldId>(999), 0, 0}}}}).error().code, "unknown_field");
    EXPECT_EQ(checked({Term{{{FieldId::tcp_dst, 0, 0x1'ffff}}}}).error().code, "bad_value");
    EXPECT_EQ(checked({Term{{{FieldId::tcp_dst, 3, 1}}}}).error().code, "bad_value");
    EXPECT_EQ(checked({Term{{{FieldId::reg0, 0, 0, "p1"}}}}).error().code, "bad_value");
    EXPECT_EQ(
        checked({Term{{{FieldId::inport, 0, 0, "p1"}, {FieldId::inport, 1, 1}}}}).error().code,
        "bad_value"
    );
    EXPECT_EQ(checked(std::vector<Term>(4'097)).error().code, "too_many_terms");
}

TEST(Encode, bytes_of_a_match_are_for_ever) {
    std::string bytes;
    encode(match_of("tcp.dst == 80 || inport == \"p1\""), bytes);
    // field 0 is the shape, here ip and tcp; field 59 is tcp.dst; an odd number has a name behind
    EXPECT_EQ(
        bytes,
        std::string("\x02\x02\x00\xa0\x80\x02\xa0\x80\x02", 9) + "\x76\x50\xff\xff\x03" +
            "\x01\x03\x02p1"
    );
}

} // namespace weft
