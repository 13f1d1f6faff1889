// A router with several next hops for one prefix: a select group whose buckets rewrite MACs.
#include "tests/story/net.hh"

#include <gtest/gtest.h>

namespace weft::test {
namespace {

constexpr int flows = 200;

struct NextHop {
    std::string port, mac; // the router's own address there is 02:00:00:00:99:00
    std::string actions() const {
        return "eth.src = 02:00:00:00:99:00; eth.dst = " + mac + "; output(\"" + port + "\");";
    }
};
const NextHop left{"p2", "02:00:00:00:02:02"}, middle{"p3", "02:00:00:00:03:03"},
    right{"p4", "02:00:00:00:04:04"};

PacketSpec packet(int flow, std::uint8_t ttl = 64) {
    return udp("10.1.0." + std::to_string(flow) + ":4000 > 10.2.0.9:53").ttl(ttl);
}

class Ecmp : public testing::Test {
protected:
    Ecmp() {
        net_.port("p1").port("p2").port("p3").port("p4");
        net_.flow(0, 16, "ip4.dst == 10.0.0.0/8", "ip.ttl--; group(1);");
        net_.flow(0, 24, "ip4.dst == 10.3.0.0/24", "ip.ttl--; output(\"p3\");");
    }
    void hops(std::initializer_list<std::pair<std::uint32_t, NextHop>> hops) {
        std::vector<std::pair<std::uint32_t, std::string>> buckets;
        for (const auto& [weight, hop] : hops)
            buckets.emplace_back(weight, hop.actions());
        net_.group(1, GroupType::select, buckets);
    }
    /// Sends one packet of each flow; each leaves once, as a router sends it, and this says where.
    std::vector<std::string> route() {
        std::vector<std::string> ports;
        for (int i = 0; i < flows; ++i) {
            Outcome outcome = net_.from("p1").sends(packet(i));
            ports.push_back(outcome.port());
            for (const NextHop& hop : {left, middle, right})
                if (hop.port == ports.back())
                    outcome.leaves_at(
                        hop.port, packet(i, 63).eth("02:00:00:00:99:00 > " + hop.mac)
                    );
        }
        return ports;
    }

    Net net_;
};

TEST_F(Ecmp, flows_spread_over_next_hops_and_each_keeps_its_own) {
    hops({{1, left}, {1, middle}, {1, right}});
    const auto ports = route();
    for (const NextHop& hop : {left, middle, right})
        EXPECT_GT(std::count(ports.begin(), ports.end(), hop.port), flows / 6) << hop.port;
    EXPECT_EQ(route(), ports);
}

TEST_F(Ecmp, a_next_hop_that_goes_takes_its_own_flows_and_no_other) {
    hops({{1, left}, {1, middle}, {1, right}});
    const auto before = route();
    hops({{1, middle}, {1, right}}); // the others' places move up
    const auto after = route();
    for (int i = 0; i < flows; ++i) {
        const auto at = static_cast<std::size_t>(i);
        EXPECT_TRUE(after[at] == before[at] || before[at] == left.port) << i;
    }
    EXPECT_EQ(std::count(after.begin(), after.end(), left.port), 0);
    hops({{1, right}, {1, left}, {1, middle}});
    EXPECT_EQ(route(), before) << "and they come back to it";
}

TEST_F(Ecmp, both_directions_of_a_connection_take_one_next_hop) {
    hops({{1, left}, {2, middle}, {1, right}});
    for (int i = 0; i < flows; ++i) {
        const std::string host = "10.1.0." + std::to_string(i) + ":80";
        Outcome there = net_.from("p1").sends(tcp(host + " > 10.2.0.9:3000").ttl(9));
        Outcome back = net_.from("p1").sends(tcp("10.2.0.9:3000 > " + host).ttl(9));
        const std::string port = there.port();
        EXPECT_EQ(back.port(), port);
        for (const NextHop& hop : {left, middle, right})
            if (hop.port == port) {
                const std::string macs = "02:00:00:00:99:00 > " + hop.mac;
                there.leaves_at(port, tcp(host + " > 10.2.0.9:3000").ttl(8).eth(macs));
                back.leaves_at(port, tcp("10.2.0.9:3000 > " + host).ttl(8).eth(macs));
            }
    }
}

TEST_F(Ecmp, a_longer_prefix_goes_its_own_way_and_a_spent_ttl_ends_before_the_group) {
    hops({{1, left}});
    net_.from("p1")
        .sends(udp("10.1.0.1:4000 > 10.3.0.9:53").ttl(5))
        .leaves_at("p3", udp("10.1.0.1:4000 > 10.3.0.9:53").ttl(4));
    net_.from("p1").sends(packet(1, 1)).is_dropped(Drop::ttl_exceeded);
    net_.group(1, GroupType::select, {});
    net_.from("p1").sends(packet(1)).is_dropped(Drop::group_no_bucket);
}

} // namespace
} // namespace weft::test
