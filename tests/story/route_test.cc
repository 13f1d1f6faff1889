// Packets through routers made of flow rows: the longest prefix decides, the time to live goes
// down, both MACs are the next hop's; several routing tables, chosen by where a packet came in
// (the longest-prefix parts of OVN-5 and OVN-6).
#include "tests/story/net.hh"

#include <gtest/gtest.h>

#include <array>

namespace weft::test {
namespace {

constexpr std::string_view host = "02:00:00:00:00:01 > 02:00:00:00:00:fe"; // to the router
constexpr std::string_view hop = "02:00:00:00:00:fe > 02:00:00:00:00:0"; // from it, to a neighbour

/// The next hop behind a port, by its last digit.
std::string to(char port) {
    return std::string{"ip.ttl--; eth.src = 02:00:00:00:00:fe; eth.dst = 02:00:00:00:00:0"} + port +
           "; output(\"p" + port + "\");";
}
std::string eth(char port) {
    return std::string{hop} + port;
}

class Routes : public testing::Test {
public:
    Net net;

    Routes() {
        for (const char* name : {"p1", "p2", "p3", "p4", "p5", "p6"})
            net.port(name);
    }
    /// As controllers write them: the priority follows the length.
    Routes& route(std::string_view before, const std::string& prefix, char port) {
        const bool wide = prefix.find(':') != prefix.npos;
        const auto slash = prefix.find('/');
        const auto length = static_cast<std::uint32_t>(std::stoul(prefix.substr(slash + 1)));
        const std::string match = length != 0 ? (wide ? "ip6.dst == " : "ip4.dst == ") + prefix
                                  : wide      ? "ip6"
                                              : "ip4";
        net.flow(1, 100 + length, std::string{before} + match, to(port));
        return *this;
    }
    /// Others, so that the table is one of routes.
    void fill(std::string_view before) {
        for (unsigned i = 0; i < 30; ++i) {
            const std::string at = std::to_string(i);
            route(before, "172." + at + ".0.0/16", '6').route(before, "172." + at + ".8.0/24", '6');
            route(before, "2001:db8:" + at + "::/48", '6');
            route(before, "2001:db8:" + at + ":1::/64", '6');
        }
    }
    std::string engine() {
        for (const TableReport& table : net.tables().report())
            if (table.number == 1)
                return table.engine;
        return "";
    }
    static PacketSpec to4(std::string_view address, std::uint8_t ttl = 64) {
        return udp("10.9.9.9:7 > " + std::string{address} + ":9").ttl(ttl).payload("hello");
    }
    static PacketSpec to6(std::string_view address, std::uint8_t ttl = 64) {
        return udp("[fd00::9]:7 > [" + std::string{address} + "]:9").ttl(ttl).payload("hello");
    }
    void goes(const PacketSpec& packet, char port) {
        PacketSpec came = packet, leaves = packet;
        net.from("p1")
            .sends(came.eth(host))
            .leaves_at(std::string{"p"} + port, leaves.eth(eth(port)).ttl(63));
    }
};

TEST_F(Routes, of_overlapping_prefixes_the_longest_decides) {
    net.flow(0, 1, "ip4", "goto(1);");
    fill("");
    route("", "0.0.0.0/0", '2')
        .route("", "10.1.0.0/16", '3')
        .route("", "10.1.2.0/24", '4')
        .route("", "10.1.2.3/32", '5');
    goes(to4("9.0.0.1"), '2');
    goes(to4("10.1.9.1"), '3');
    goes(to4("10.1.2.9"), '4');
    goes(to4("10.1.2.3"), '5');
    goes(to4("172.7.8.1"), '6');
    EXPECT_TRUE(engine().starts_with("lpm (")) << engine();
    net.unflow(1, 132, "ip4.dst == 10.1.2.3");
    goes(to4("10.1.2.3"), '4');
    net.unflow(1, 124, "ip4.dst == 10.1.2.0/24").unflow(1, 116, "ip4.dst == 10.1.0.0/16");
    goes(to4("10.1.2.3"), '2');
    net.unflow(1, 100, "ip4");
    net.from("p1").sends(to4("10.1.2.3").eth(host)).is_dropped(Drop::no_match);
    EXPECT_EQ(net.counters(1, 124, "ip4.dst == 172.7.8.0/24").packets, 1u);
}

TEST_F(Routes, ipv6_prefixes_and_its_default_route_likewise) {
    net.flow(0, 1, "ip6", "goto(1);");
    fill("");
    route("", "::/0", '2')
        .route("", "fd00::/16", '3')
        .route("", "fd00:1::/32", '4')
        .route("", "fd00:1::3/128", '5');
    goes(to6("2002::1"), '2');
    goes(to6("fd00:2::1"), '3');
    goes(to6("fd00:1::1"), '4');
    goes(to6("fd00:1::3"), '5');
    goes(to6("2001:db8:7:1::9"), '6');
    EXPECT_TRUE(engine().starts_with("lpm (")) << engine();
}

TEST_F(Routes, each_routing_table_has_its_own_routes_for_the_same_prefixes) {
    net.flow(0, 1, "inport == \"p1\"", "metadata = 7; goto(1);")
        .flow(0, 1, "inport == \"p6\"", "metadata = 8; goto(1);")
        .flow(0, 1, "inport == \"p5\"", "metadata = 9; goto(1);");
    fill("metadata == 7 && ");
    route("metadata == 7 && ", "10.1.0.0/16", '2').route("metadata == 7 && ", "10.1.2.0/24", '3');
    route("metadata == 8 && ", "10.1.0.0/16", '4').route("metadata == 8 && ", "0.0.0.0/0", '5');
    goes(to4("10.1.2.1"), '3');
    goes(to4("10.1.3.1"), '2');
    net.from("p6")
        .sends(to4("10.1.2.1").eth(host))
        .leaves_at("p4", to4("10.1.2.1", 63).eth(eth('4')));
    net.from("p6")
        .sends(to4("9.1.2.1").eth(host))
        .leaves_at("p5", to4("9.1.2.1", 63).eth(eth('5')));
    net.from("p1").sends(to4("9.1.2.1").eth(host)).is_dropped(Drop::no_match);
    net.from("p5").sends(to4("10.1.2.1").eth(host)).is_dropped(Drop::no_match);
    EXPECT_TRUE(engine().starts_with("lpm (")) << engine();
}

TEST_F(Routes, a_rule_above_the_routes_and_one_among_them_have_their_say) {
    net.flow(0, 1, "1", "goto(1);");
    fill("");
    route("", "10.0.0.0/8", '2').route("", "10.1.2.0/24", '3');
    net.flow(1, 900, "udp.dst == 9 && ip4.dst == 10.1.2.9", "drop;")
        .flow(1, 110, "ip4.dst == 10.1.2.8", to('4')) // below the /24, above the /8
        .flow(1, 131, "ip4.dst == 10.1.2.7", to('5')) // odd, and above both
        .flow(1, 0, "1", to('6'));
    goes(to4("10.1.2.1"), '3');
    goes(to4("10.1.2.8"), '3');
    goes(to4("10.1.2.7"), '5');
    goes(to4("11.0.0.1"), '6');
    net.from("p1").sends(to4("10.1.2.9").eth(host)).is_dropped(Drop::policy);
    net.unflow(1, 124, "ip4.dst == 10.1.2.0/24");
    goes(to4("10.1.2.8"), '4');
}

TEST_F(Routes, in_the_first_table_too_a_packet_whose_time_is_over_is_dropped_and_no_other) {
    net.flow(0, 124, "ip4.dst == 10.1.2.0/24", to('2'))
        .flow(0, 108, "ip4.dst == 10.0.0.0/8", to('3'));
    net.flow(0, 164, "ip6.dst == fd00::/64", to('2')).flow(0, 50, "arp", to('4'));
    for (const std::uint8_t ttl : std::array<std::uint8_t, 2>{1, 0}) {
        net.from("p1").sends(to4("10.1.2.1", ttl).eth(host)).is_dropped(Drop::ttl_exceeded);
        net.from("p1").sends(to6("fd00::1", ttl).eth(host)).is_dropped(Drop::ttl_exceeded);
    }
    net.from("p1")
        .sends(to4("10.1.2.1", 2).eth(host))
        .leaves_at("p2", to4("10.1.2.1", 1).eth(eth('2')));
    net.from("p1")
        .sends(to6("fd00::1", 2).eth(host))
        .leaves_at("p2", to6("fd00::1", 1).eth(eth('2')));
    net.from("p1")
        .sends(to4("10.1.2.1").vlan(5).eth(host))
        .leaves_at("p2", to4("10.1.2.1", 63).vlan(5).eth(eth('2')));
    // No time to live: the actions' other parts happen.
    net.from("p1")
        .sends(arp_request("10.0.0.1 > 10.0.0.2").eth(host))
        .leaves_at("p4", arp_request("10.0.0.1 > 10.0.0.2").eth(eth('4')));
    net.from("p2").sends(to4("10.1.2.1").eth(host)).is_dropped(Drop::output_to_ingress_port);
    net.link("p3", false).from("p1").sends(to4("10.2.0.1").eth(host)).is_dropped(Drop::port_down);
    EXPECT_EQ(net.counters(0, 124, "ip4.dst == 10.1.2.0/24").packets, 5u);
}

} // namespace
} // namespace weft::test
