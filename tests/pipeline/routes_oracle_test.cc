// Tables of routes against the naive interpreter: several routing tables in one, IPv4 and IPv6,
// rules among them that are no routes or rank otherwise, while routes enter and leave the part that
// longest prefix match serves and every held generation is asked.
#include "control/language/language.hh"
#include "tests/oracle/pair.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <string>

namespace weft::oracle {
namespace {

constexpr TableLimits limits{
    .ports = 16, .groups = 4, .tables = 8, .bridges = 2, .rules = 20'000, .macs_per_bridge = 4};

std::string ip4(std::uint32_t address) {
    return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
           std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
}

std::string hex(std::uint64_t number) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (int shift = 12; shift >= 0; shift -= 4)
        text += digits[number >> shift & 15];
    return text;
}

/// Routes of one kind: what they ask for beside the prefix, and how their priorities follow it.
struct Kind {
    std::string_view before; // with '#' where the number of the routing table stands
    bool wide;
};

constexpr std::array kinds = {
    Kind{"", false},
    Kind{"metadata == # && ", false},
    Kind{"reg7 == # && ", true},
    Kind{"metadata == # && reg7 == 1 && ", true},
};

class RandomRouter {
public:
    explicit RandomRouter(std::uint64_t seed) : random_{seed}, pair_{limits, random_()} {
        pair_.bridge("main");
        for (std::uint32_t i = 0; i < ports_.size(); ++i) {
            const std::string name = "p" + std::to_string(i + 1);
            ports_[i] = pair_.port(BridgeId::main, name, {});
            // Which routing table a packet is for follows from where it came in.
            Term in;
            static_cast<void>(
                add(in, info(FieldId::inport), U128{std::uint64_t{i} + 1}, low_bits(32))
            );
            pair_.insert(
                BridgeId::main,
                0,
                1,
                canonical({in}),
                *parse_actions(
                    "metadata = " + std::to_string(i) + "; reg7 = " + std::to_string(i % 3) +
                    "; goto(1);"
                )
            );
        }
        used_ = {below(random_, kinds.size()), below(random_, kinds.size())};
    }

    /// Some rules come, some leave, some change, as one generation.
    void change(std::size_t changes) {
        if (chance(random_, 4)) // another controller, another scheme
            slope_ = 1 + below(random_, 3);
        const unsigned leaving = chance(random_, 20) ? 80 : 35;
        for (std::size_t i = 0; i < changes; ++i) {
            const std::size_t count = pair_.rules(BridgeId::main, 1).size();
            const std::size_t kind = below(random_, 100);
            if (kind < leaving && count != 0)
                pair_.erase(BridgeId::main, 1, below(random_, count));
            else if (kind < leaving + 10 && count != 0)
                pair_.replace(BridgeId::main, 1, below(random_, count), *parse_actions(actions()));
            else if (kind < 92)
                add_route(0);
            else if (kind < 96)
                add_route(1 + below(random_, 60)); // an odd one
            else
                insert(1, static_cast<std::uint32_t>(below(random_, 200)), other(), actions());
        }
        pair_.commit();
        while (pair_.held() > 5 || (pair_.held() > 1 && chance(random_, 40)))
            pair_.release(below(random_, pair_.held() - 1));
    }
    void erase_all() {
        while (!pair_.rules(BridgeId::main, 1).empty())
            pair_.erase(BridgeId::main, 1, 0);
        for (int i = 0; i < 3; ++i) {
            pair_.commit();
            pair_.release(0);
        }
        while (pair_.held() > 1)
            pair_.release(0);
        pair_.commit();
        pair_.release(0);
    }
    std::optional<std::string> ask() {
        const PortId ingress = ports_[below(random_, ports_.size())];
        std::vector<Question> questions;
        for (std::size_t i = below(random_, 8) + 1; i > 0; --i)
            questions.push_back({packet(), ingress, BridgeId::main, nullptr, nullptr});
        return pair_.ask_burst(questions, below(random_, pair_.held()));
    }
    TableReport report() {
        for (TableReport& table : pair_.tables().report())
            if (table.number == 1)
                return table;
        return {};
    }
    Pair& pair() { return pair_; }
    std::optional<std::string> compare_counters() const { return pair_.compare_counters(); }

private:
    std::string prefix(const Kind& kind, unsigned& length) {
        const unsigned bits = kind.wide ? 128 : 32;
        static constexpr std::array<unsigned, 6> eighths{0, 2, 3, 4, 6, 8};
        length = chance(random_, 70) ? eighths[below(random_, 6)] * bits / 8
                                     : static_cast<unsigned>(below(random_, bits + 1));
        if (length == 0)
            return kind.wide ? "ip6" : "ip4";
        // Few different ones, so that they lie inside one another.
        const auto piece = [&] { return std::uint64_t{below(random_, 3) == 0}; };
        if (kind.wide) {
            const U128 address{
                0xfd00'0000'0000'0000 | piece() << 32 | piece() << 8, piece() << 40 | piece()};
            const U128 net = address & ~low_bits(128 - length);
            std::string text = "ip6.dst == ";
            for (int i = 0; i < 8; ++i)
                text +=
                    (i == 0 ? "" : ":") +
                    hex((i < 4 ? net.high >> (48 - 16 * i) : net.low >> (112 - 16 * i)) & 0xffff);
            return text + "/" + std::to_string(length);
        }
        const auto address = static_cast<std::uint32_t>(
            10 << 24 | piece() << 20 | piece() << 9 | piece() << 8 | below(random_, 3)
        );
        const auto mask = static_cast<std::uint32_t>(~std::uint64_t{0} << (32 - length));
        return "ip4.dst == " + ip4(address & mask) + "/" + std::to_string(length);
    }
    void add_route(std::size_t odd) {
        const Kind& kind = kinds[used_[below(random_, used_.size())]];
        unsigned length = 0;
        std::string match{kind.before};
        if (const auto at = match.find('#'); at != match.npos)
            match.replace(at, 1, std::to_string(below(random_, ports_.size())));
        match += prefix(kind, length);
        const auto priority =
            static_cast<std::uint32_t>(odd != 0 ? odd : 20 + length / 4 * slope_ * (slope_ - 1));
        insert(1, priority, match, actions());
    }
    std::string other() {
        static constexpr std::array<std::string_view, 7> some = {
            "1",
            "tcp.dst == 80",
            "ip4.src == 10.0.0.0/24 && ip4.dst == 10.0.0.0/8",
            "eth.dst == 02:00:00:00:00:01",
            "ip4.dst == {10.0.0.0/8, 10.16.0.0/12}",
            "ip6 && udp",
            "ip.ttl == 1",
        };
        return std::string{some[below(random_, some.size())]};
    }
    std::string actions() {
        static constexpr std::array<std::string_view, 5> some = {
            "ip.ttl--; eth.src = 02:00:00:00:00:aa; eth.dst = 02:00:00:00:00:bb; output(\"p@\");",
            "output(\"p@\");",
            "ip.ttl--; output(\"p@\"); reg7 = 2; output(\"p1\");",
            "drop;",
            "eth.src = eth.dst; eth.dst = 02:00:00:00:00:0@; output(\"p@\");",
        };
        std::string text{some[below(random_, some.size())]};
        const char digit = static_cast<char>('1' + below(random_, ports_.size()));
        std::replace(text.begin(), text.end(), '@', digit);
        return text;
    }
    void insert(
        std::uint32_t table,
        std::uint32_t priority,
        const std::string& match,
        const std::string& actions
    ) {
        const Match parsed = *parse_match(match);
        for (const SpecRule& known : pair_.rules(BridgeId::main, table))
            if (known.priority == priority && known.match == parsed)
                return;
        pair_.insert(BridgeId::main, table, priority, parsed, *parse_actions(actions));
    }
    test::Bytes packet() {
        Term term;
        const auto& rules = pair_.rules(BridgeId::main, 1);
        if (!rules.empty()) {
            const Match& match = rules[below(random_, rules.size())].match;
            term = match.terms[below(random_, match.terms.size())];
        }
        FlowKey key = random_key(random_, values_, term);
        if (chance(random_, 30)) // just outside
            key.word[3] ^= std::uint64_t{1} << below(random_, 32);
        return packet_bytes(key, below(random_, 40));
    }

    Random random_;
    Pair pair_;
    Values values_;
    std::array<PortId, 5> ports_{};
    std::array<std::size_t, 2> used_{};
    std::size_t slope_ = 2;
};

TEST(RoutesOracle, packets_take_the_longest_prefix_or_what_ranks_above_it_at_every_generation) {
    std::uint64_t with_part = 0, without = 0, alone = 0, came_and_went = 0;
    Tally tally;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        RandomRouter router{seed};
        Random random{seed};
        router.change(10 + below(random, 150));
        bool had_part = false;
        for (int round = 0; round < 40; ++round) {
            router.change(1 + below(random, chance(random, 20) ? 60 : 6));
            const bool has_part = router.report().engine.starts_with("lpm (");
            came_and_went += std::uint64_t{has_part != had_part};
            had_part = has_part;
            ++(has_part ? with_part : without);
            alone += std::uint64_t{router.report().engine.ends_with("nodes)")};
            for (int packet = 0; packet < 6; ++packet) {
                const auto difference = router.ask();
                ASSERT_FALSE(difference)
                    << "seed " << seed << ", round " << round << ": " << *difference;
            }
        }
        const auto difference = router.compare_counters();
        ASSERT_FALSE(difference) << "seed " << seed << ": " << *difference;
        tally.add(router.pair().tally());
        router.erase_all();
        EXPECT_FALSE(router.report().engine.starts_with("lpm (")) << "seed " << seed;
        EXPECT_EQ(router.report().rules, 0u) << "seed " << seed;
    }
    std::cout << with_part << " rounds with a part, " << without << " without, " << alone
              << " with nothing else; " << came_and_went << " changes; " << tally.walks
              << " walks, " << tally.outputs << " outputs, " << tally.edited << " edited\n";
    EXPECT_GT(with_part, 600u);
    EXPECT_GT(without, 200u);
    EXPECT_GT(came_and_went, 80u);
}

/// How one table of routes is served.
class Served {
public:
    Served() {
        pair_.bridge("main");
        pair_.port(BridgeId::main, "p1", {});
        pair_.port(BridgeId::main, "p2", {});
    }
    void route(std::uint32_t priority, const std::string& match) {
        pair_.insert(
            BridgeId::main, 0, priority, *parse_match(match), *parse_actions("output(\"p2\");")
        );
    }
    /// `count` routes of the lengths 16 to 31, as a routing table has them.
    void routes(std::size_t count, std::uint32_t base = 100) {
        for (std::size_t i = 0; i < count; ++i) {
            const unsigned length = 16 + static_cast<unsigned>(i % 16);
            const auto net = static_cast<std::uint32_t>(i + 1) << 16;
            route(base + length, "ip4.dst == " + ip4(net) + "/" + std::to_string(length));
        }
    }
    /// When nobody sees any more what was there before.
    TableReport report() {
        for (int graces = 0; graces < 3; ++graces) {
            pair_.commit();
            while (pair_.held() > 1)
                pair_.release(0);
        }
        return pair_.tables().report()[0];
    }
    Pair& pair() { return pair_; }

private:
    Pair pair_{limits};
};

TEST(RouteParts, a_table_of_routes_alone_is_served_by_longest_prefix_match_alone) {
    Served few;
    few.routes(15);
    EXPECT_EQ(few.report().engine, "linear");
    Served served;
    served.routes(500);
    served.route(100, "ip4");
    const TableReport report = served.report();
    EXPECT_THAT(report.engine, testing::MatchesRegex("lpm .[0-9]+ nodes."));
    EXPECT_EQ(report.rules, 501u);
    EXPECT_EQ(report.probes_max, 0u);
    EXPECT_GE(report.nodes_max, 2u);
    EXPECT_LE(report.nodes_max, 6u);
}

TEST(RouteParts, a_row_that_is_there_twice_is_held_by_the_tuple_space) {
    Served served;
    served.routes(50);
    served.routes(20);
    const TableReport report = served.report();
    EXPECT_THAT(report.engine, testing::MatchesRegex("lpm .[0-9]+ nodes. . tuple space"));
    EXPECT_EQ(report.rules, 70u);
}

TEST(RouteParts, rules_that_are_no_routes_and_odd_ones_stay_beside_it) {
    Served served;
    served.route(7, "ip4.dst == 0.1.0.0/16"); // an odd one before the others
    served.routes(200);
    served.route(0, "1");
    served.route(500, "tcp.dst == 80");
    served.route(999, "ip4.dst == 0.2.0.0/17");
    const TableReport report = served.report();
    EXPECT_THAT(report.engine, testing::MatchesRegex("lpm .[0-9]+ nodes. . tuple space"));
    EXPECT_EQ(report.rules, 204u);
    EXPECT_LE(report.entries_max, 4u);
}

TEST(RouteParts, host_routes_of_one_length_stay_in_a_hash) {
    Served served;
    for (std::uint32_t i = 0; i < 300; ++i)
        served.route(100, "ip4.dst == " + ip4(0x0a00'0000 + i));
    EXPECT_EQ(served.report().engine, "exact match");
}

TEST(RouteParts, small_values_of_one_word_are_a_direct_index) {
    Served served;
    for (std::uint32_t i = 0; i < 300; ++i)
        served.route(100, "reg0 == " + std::to_string(i));
    served.route(0, "1");
    EXPECT_EQ(served.report().engine, "direct index");
    EXPECT_EQ(served.report().cache_lines_max, 2u + 2u) << "the default is asked like any rule";
    served.route(100, "reg0 == 4096");
    EXPECT_EQ(served.report().engine, "exact match");
}

TEST(RouteParts, filters_whose_priorities_do_not_follow_the_prefix_get_no_part) {
    Served served;
    Random random{3};
    for (std::uint32_t i = 0; i < 600; ++i) {
        const auto length = 8 + static_cast<unsigned>(below(random, 25));
        const auto net = static_cast<std::uint32_t>(random()) & ~std::uint32_t{0} << (32 - length);
        served.route(1'000 - i, "ip4.dst == " + ip4(net) + "/" + std::to_string(length));
    }
    EXPECT_EQ(served.report().engine, "tuple space");
}

TEST(RouteParts, where_another_order_becomes_that_of_the_many_the_part_is_made_anew) {
    Served served;
    served.routes(20, 100);
    EXPECT_THAT(served.report().engine, testing::MatchesRegex("lpm .[0-9]+ nodes."));
    for (std::size_t i = 0; i < 400; ++i) { // a flat order: priorities descend against the first
        const unsigned length = 16 + static_cast<unsigned>(i % 16);
        served.route(
            50,
            "ip4.dst == " + ip4(static_cast<std::uint32_t>(i + 1) << 16) + "/" +
                std::to_string(length)
        );
    }
    for (int i = 0; i < 60; ++i)
        served.report();
    EXPECT_THAT(served.report().engine, testing::MatchesRegex("lpm .[0-9]+ nodes. . tuple space"));
    EXPECT_EQ(served.report().entries_max <= 40, true) << served.report().entries_max;
}

TEST(RouteParts, thousands_of_routing_tables_share_one_part) {
    Served served;
    for (std::size_t vrf = 0; vrf < 2'000; ++vrf)
        for (const char* prefix : {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"}) {
            const auto length =
                static_cast<std::uint32_t>(std::stoul(std::strchr(prefix, '/') + 1));
            served.route(
                100 + length, "metadata == " + std::to_string(vrf) + " && ip4.dst == " + prefix
            );
        }
    const TableReport report = served.report();
    EXPECT_THAT(report.engine, testing::MatchesRegex("lpm .[0-9]+ nodes."));
    EXPECT_EQ(report.rules, 6'000u);
    EXPECT_LE(report.probes_max, 1u);
    EXPECT_LE(report.memory_bytes, 6'000u * 200u);
}

} // namespace
} // namespace weft::oracle
