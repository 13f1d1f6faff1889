// Rules that ask for a name in the payload.
#include "control/language/language.hh"
#include "tests/story/net.hh"
#include "tests/support/name_payloads.hh"

namespace weft::test {

namespace {

constexpr auto sni = FieldId::tls_sni;
constexpr auto host = FieldId::http_host;
constexpr auto qname = FieldId::dns_qname;

Net& three_ports(Net& net) {
    return net.port("client").port("web").port("other");
}

std::uint64_t name_bytes_max(Net& net) {
    return net.tables().report().front().name_bytes_max;
}

} // namespace

TEST(Names, an_exact_name_decides_and_everything_else_goes_on) {
    Net net;
    three_ports(net)
        .flow(0, 10, R"(dns.qname == "www.example.com")", R"(output("web");)")
        .flow(0, 5, "udp", R"(output("other");)");
    net.from("client").sends(asking(qname, "www.example.com")).leaves_at("web");
    net.from("client").sends(asking(qname, "WWW.EXAMPLE.COM")).leaves_at("web");
    net.from("client").sends(asking(qname, "www.example.org")).leaves_at("other");
    net.from("client").sends(udp("10.0.0.1:1 > 10.0.0.2:53")).leaves_at("other");
    net.from("client").sends(asking(sni, "www.example.com")).is_dropped(Drop::no_match);
    EXPECT_EQ(net.counters(0, 10, R"(dns.qname == "www.example.com")").packets, 2u);
}

TEST(Names, each_field_sees_its_own_protocol_alone) {
    Net net;
    three_ports(net)
        .flow(0, 10, R"(tls.sni == "a.example")", R"(output("web");)")
        .flow(0, 10, R"(http.host == "b.example")", R"(output("other");)");
    net.from("client").sends(asking(sni, "a.example")).leaves_at("web");
    net.from("client").sends(asking(host, "b.example")).leaves_at("other");
    net.from("client").sends(asking(host, "a.example")).is_dropped(Drop::no_match);
    net.from("client").sends(asking(sni, "b.example")).is_dropped(Drop::no_match);
    net.from("client").sends(asking(qname, "a.example")).is_dropped(Drop::no_match);
}

TEST(Names, of_equal_priority_the_more_specific_name_wins) {
    Net net;
    net.port("in");
    for (const char* port : {"any", "short", "long", "wild", "exact"})
        net.port(port);
    net.flow(0, 10, R"(tls.sni == "*")", R"(output("any");)")
        .flow(0, 10, R"(tls.sni == "*.com")", R"(output("short");)")
        .flow(0, 10, R"(tls.sni == "*.example.com")", R"(output("long");)")
        .flow(0, 10, R"(tls.sni == "api-*.example.net")", R"(output("wild");)")
        .flow(0, 10, R"(tls.sni == "www.example.com")", R"(output("exact");)")
        .flow(0, 9, R"(tls.sni == "top.example.com")", R"(output("any");)");
    net.from("in").sends(asking(sni, "www.example.com")).leaves_at("exact");
    net.from("in").sends(asking(sni, "x.www.example.com")).leaves_at("long");
    net.from("in").sends(asking(sni, "example.com")).leaves_at("short");
    net.from("in").sends(asking(sni, "top.example.com")).leaves_at("long");
    net.from("in").sends(asking(sni, "com")).leaves_at("any");
    net.from("in").sends(asking(sni, "api-7.example.net")).leaves_at("any");
    net.flow(0, 11, R"(tls.sni == "api-*.example.net")", R"(output("wild");)");
    net.from("in").sends(asking(sni, "api-7.example.net")).leaves_at("wild");
}

TEST(Names, stand_beside_other_conditions_and_other_rules) {
    Net net;
    three_ports(net)
        .flow(0, 10, R"(ip4.src == 10.0.0.1 && tls.sni == {"a.example", "*.b.example"})", "drop;")
        .flow(0, 10, R"(ip4.src == 10.0.0.9 && tls.sni == "c.example")", "drop;")
        .flow(0, 20, "tcp.dst == 8443", R"(output("other");)")
        .flow(0, 1, "tcp", R"(output("web");)");
    net.from("client").sends(asking(sni, "a.example")).is_dropped(Drop::policy);
    net.from("client").sends(asking(sni, "x.b.example")).is_dropped(Drop::policy);
    net.from("client").sends(asking(sni, "c.example")).leaves_at("web");
    net.from("client")
        .sends(tcp("10.0.0.1:1 > 10.0.0.2:8443").payload(client_hello("a.example")))
        .leaves_at("other");
    net.from("client").sends(tcp("10.0.0.1:1 > 10.0.0.2:443").syn()).leaves_at("web");
}

TEST(Names, a_row_may_ask_for_a_name_or_for_something_else) {
    Net net;
    three_ports(net)
        .flow(0, 10, R"(tls.sni == "*.bad.example" || tcp.dst == 25)", "drop;")
        .flow(0, 1, "1", R"(output("web");)");
    net.from("client").sends(asking(sni, "x.bad.example")).is_dropped(Drop::policy);
    net.from("client").sends(tcp("10.0.0.1:1 > 10.0.0.2:25").syn()).is_dropped(Drop::policy);
    net.from("client").sends(asking(sni, "good.example")).leaves_at("web");
    net.unflow(0, 10, R"(tls.sni == "*.bad.example" || tcp.dst == 25)");
    net.from("client").sends(asking(sni, "x.bad.example")).leaves_at("web");
    net.from("client").sends(tcp("10.0.0.1:1 > 10.0.0.2:25").syn()).leaves_at("web");
}

TEST(Names, are_seen_in_every_table_of_a_walk_also_after_edits) {
    Net net;
    three_ports(net)
        .flow(0, 1, "udp", "udp.dst = 5353; ip4.dst = 10.9.9.9; vlan.push(0x8100); call(7);")
        .flow(
            7,
            1,
            R"(dns.qname == "*.example")",
            "vlan.pop; udp.dst = 53; ip4.dst = 10.0.0.2; output(\"web\");"
        )
        .flow(7, 1, R"(tls.sni == "*.example")", "drop;");
    net.from("client").sends(asking(qname, "a.example")).leaves_at("web");
}

TEST(Names, stand_beside_routes_and_conjunctions) {
    Net net;
    three_ports(net);
    for (int i = 8; i < 28; ++i)
        net.flow(
            0,
            100u + static_cast<unsigned>(i),
            "ip4.dst == 10.0.0.0/" + std::to_string(i),
            R"(output("web");)"
        );
    net.flow(0, 115, R"(tls.sni == "*.example")", R"(output("other");)");
    net.from("client").sends(asking(sni, "a.example")).leaves_at("web");
    net.flow(0, 200, R"(tls.sni == "*.example")", R"(output("other");)");
    net.from("client").sends(asking(sni, "a.example")).leaves_at("other");

    net.flow(1, 10, "ip4.src == 10.0.0.1", "conjunction(1, 1/2);")
        .flow(1, 10, "tcp.dst == 443", "conjunction(1, 2/2);")
        .flow(1, 10, "conj_id == 1", R"(output("web");)")
        .flow(1, 9, R"(tls.sni == "low.example")", "drop;")
        .flow(1, 11, R"(tls.sni == "high.example")", "drop;")
        .flow(0, 300, "1", "goto(1);");
    net.from("client").sends(asking(sni, "low.example")).leaves_at("web");
    net.from("client").sends(asking(sni, "high.example")).is_dropped(Drop::policy);
}

TEST(Names, do_not_go_into_conjunctions) {
    Net net;
    const TableId table = net.tables().table_id(BridgeId::main, 0).value();
    const Match named = *parse_match(R"(tls.sni == "a.example")");
    const Match with_id = *parse_match(R"(tls.sni == "a.example" && conj_id == 1)");
    const Actions clause = *parse_actions("conjunction(1, 1/2);"), nothing;
    for (const auto& [match, actions] : {std::pair{&named, &clause}, {&with_id, &nothing}}) {
        const auto made = net.tables().insert_rule(
            {.table = table, .priority = 1, .match = *match, .actions = *actions}
        );
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, "bad_value");
    }
}

TEST(Names, count_in_the_tables_bound_and_only_while_there_are_some) {
    Net net;
    three_ports(net).flow(0, 1, "1", R"(output("web");)");
    EXPECT_EQ(name_bytes_max(net), 0u);
    EXPECT_EQ(net.tables().report().front().engine, "linear");
    net.flow(0, 10, R"(tls.sni == "*.example")", "drop;");
    net.from("client").sends(asking(sni, "a.example")).is_dropped(Drop::policy);
    EXPECT_GE(name_bytes_max(net), 1'500u);
    EXPECT_EQ(net.tables().report().front().engine, "linear + names (1 patterns)");
    net.unflow(0, 10, R"(tls.sni == "*.example")");
    net.from("client").sends(asking(sni, "a.example")).leaves_at("web");
    EXPECT_EQ(name_bytes_max(net), 0u);
}

TEST(Names, wildcards_mean_the_same_once_they_are_compiled) {
    Net net;
    three_ports(net)
        .flow(0, 10, R"(http.host == "api-*.example")", R"(output("web");)")
        .flow(0, 10, R"(tls.sni == "*.api-*.example")", R"(output("other");)");
    const auto asks = [&] {
        net.from("client").sends(asking(host, "api-1.example")).leaves_at("web");
        net.from("client").sends(asking(sni, "x.api-1.example")).leaves_at("other");
        net.from("client").sends(asking(sni, "api-1.example")).is_dropped(Drop::no_match);
    };
    asks();
    auto job = net.tables().next_names();
    ASSERT_TRUE(job);
    net.tables().adopt_wildcards(job->table, CompiledWildcards::compile(job->wildcards));
    EXPECT_FALSE(net.tables().next_names());
    asks();
}

} // namespace weft::test
