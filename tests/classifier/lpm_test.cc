#include "classifier/lpm.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/routes.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace weft {
namespace {

using test::internet_routes4;
using test::internet_routes6;
using test::ManualReclaimer;
using test::masked;
using test::Route;

/// The specification: every route is tried, the longest that matches wins.
template <class Address>
using Naive = std::map<Route<Address>, std::uint64_t>;

template <class Address>
std::uint64_t longest_match(const Naive<Address>& routes, Address address) {
    std::uint64_t best = 0;
    int longest = -1;
    for (const auto& [route, value] : routes)
        if (masked(address, route.length) == route.prefix &&
            static_cast<int>(route.length) > longest) {
            longest = static_cast<int>(route.length);
            best = value;
        }
    return best;
}

/// The same by one search per length: for many routes.
template <class Address>
std::uint64_t longest_match_by_length(const Naive<Address>& routes, Address address) {
    for (unsigned length = sizeof(Address) * 8 + 1; length-- != 0;)
        if (const auto at = routes.find({masked(address, length), length}); at != routes.end())
            return at->second;
    return 0;
}

template <class Address>
struct Randomness {
    std::mt19937_64 engine;
    explicit Randomness(std::uint64_t seed) : engine{seed} {}
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
    static constexpr unsigned bits = sizeof(Address) * 8;

    Address any() {
        if constexpr (bits == 32)
            return static_cast<std::uint32_t>(engine());
        else
            return U128{engine(), engine()};
    }
    static Address bit(unsigned at) { return masked(~Address{}, at + 1) ^ masked(~Address{}, at); }
    /// Few different ones, which share beginnings of every length.
    Address near() {
        Address address = below(2) != 0 ? ~Address{} : Address{};
        for (std::uint64_t flips = below(4); flips != 0; --flips)
            address = address ^ bit(static_cast<unsigned>(below(bits)));
        return address;
    }
    unsigned length() {
        switch (below(8)) {
        case 0:
            return 0;
        case 1:
            return bits;
        case 2:
            return 1 + static_cast<unsigned>(below(8));
        default:
            return static_cast<unsigned>(below(bits + 1));
        }
    }
    Route<Address> route() {
        const unsigned n = length();
        return {masked(below(4) != 0 ? near() : any(), n), n};
    }
};

template <class Address>
class LpmTables : public testing::Test {
protected:
    static constexpr unsigned bits = sizeof(Address) * 8;
    ManualReclaimer reclaimer;
    Lpm<Address> lpm{reclaimer};

    void set(LpmRoot& root, Address prefix, unsigned length, std::uint64_t value) {
        ASSERT_EQ(lpm.set(root, prefix, length, value), LpmChange::done);
    }
    void erase(LpmRoot& root, Address prefix, unsigned length) {
        ASSERT_EQ(lpm.erase(root, prefix, length), LpmChange::done);
    }
    void commit() {
        lpm.commit();
        reclaimer.run_all();
    }
    /// First and last address of each route and those on either side, in bursts.
    void expect_corners(LpmRoot root, const Naive<Address>& routes) {
        for (const auto& [route, value] : routes) {
            const Address last = route.prefix | ~masked(~Address{}, route.length);
            std::array<Address, 4> corners{
                route.prefix, last, route.prefix - Address{1}, last + Address{1}};
            const std::array<LpmRoot, 4> roots{root, root, root, root};
            std::array<std::uint64_t, 4> values{};
            lpm.lookup(roots.data(), corners.data(), 0xf, values.data());
            for (std::size_t i = 0; i < corners.size(); ++i)
                ASSERT_EQ(values[i], longest_match(routes, corners[i]));
            std::array<std::uint64_t, 4> again{};
            lpm.lookup(root, corners.data(), 0xf, again.data());
            ASSERT_EQ(again, values);
        }
    }
    /// An address of zeros but for this number, the last bit of which is bit `end - 1`.
    static Address number_before(std::uint32_t number, unsigned end) {
        Address address{number};
        for (unsigned shift = end; shift < bits; ++shift)
            address = address + address;
        return address;
    }
};
using Addresses = testing::Types<std::uint32_t, U128>;
TYPED_TEST_SUITE(LpmTables, Addresses);

TYPED_TEST(LpmTables, an_empty_table_has_nothing_and_costs_nothing) {
    const LpmRoot root;
    EXPECT_EQ(this->lpm.lookup(root, TypeParam{}), 0u);
    EXPECT_EQ(this->lpm.lookup(root, ~TypeParam{}), 0u);
    EXPECT_EQ(this->lpm.nodes_max(root), 0u);
    EXPECT_EQ(this->lpm.lines_max(root), 0u);
    EXPECT_EQ(this->lpm.used_bytes(), 0u);
}

TYPED_TEST(LpmTables, two_routes_that_part_at_any_bit) {
    for (unsigned bit = 0; bit < this->bits; ++bit)
        for (const unsigned length : {bit + 1, std::min(bit + 7, this->bits), this->bits}) {
            LpmRoot root;
            const TypeParam one = ~TypeParam{};
            const TypeParam other = one ^ Randomness<TypeParam>::bit(bit);
            Naive<TypeParam> routes{{{one, this->bits}, 1}, {{masked(other, length), length}, 2}};
            this->set(root, one, this->bits, 1);
            this->commit();
            this->set(root, other, length, 2);
            this->expect_corners(root, routes);
            this->commit();
            this->erase(root, one, this->bits);
            routes.erase({one, this->bits});
            this->expect_corners(root, routes);
            EXPECT_EQ(this->lpm.find(root, one, this->bits), 0u);
            EXPECT_EQ(this->lpm.find(root, other, length), 2u);
            this->erase(root, other, length);
            this->commit();
            EXPECT_EQ(root, LpmRoot{});
            EXPECT_EQ(this->lpm.used_bytes(), 0u);
        }
}

TYPED_TEST(LpmTables, a_node_gets_many_children_and_loses_them_while_every_root_is_held) {
    struct Held {
        LpmRoot root;
        Naive<TypeParam> routes;
    };
    for (const unsigned level : {1u, 2u, 3u, 4u}) {
        const unsigned before = 6 * level - 5, through = 6 * level + 1;
        Randomness<TypeParam> random{level};
        std::vector<Held> held{{}};
        const auto change = [&](std::uint32_t number, unsigned length, bool is_there) {
            Held next = held.back();
            const TypeParam prefix = this->number_before(number, length);
            if (is_there)
                this->set(next.root, prefix, length, next.routes[{prefix, length}] = held.size());
            else if (next.routes.erase({prefix, length}) != 0)
                this->erase(next.root, prefix, length);
            this->lpm.commit(); // and no grace period: all roots are held
            held.push_back(next);
        };
        for (const bool is_there : {true, false, true, false}) {
            std::array<std::uint32_t, 64> chunks;
            for (std::uint32_t chunk = 0; chunk < chunks.size(); ++chunk)
                chunks[chunk] = chunk;
            std::shuffle(chunks.begin(), chunks.end(), random.engine);
            for (const std::uint32_t chunk : chunks) { // a child each, and prefixes of the node
                change(
                    chunk << 5 | static_cast<std::uint32_t>(random.below(2)), through + 5, is_there
                );
                if (random.below(4) == 0) {
                    const auto n = static_cast<unsigned>(random.below(6));
                    change(chunk >> (6 - n), before + n, random.below(2) == 0);
                }
            }
        }
        for (const Held& each : held)
            this->expect_corners(each.root, each.routes);
        this->lpm.clear(held.back().root);
        this->commit();
        EXPECT_EQ(this->lpm.used_bytes(), 0u);
    }
}

TYPED_TEST(LpmTables, many_children_change_hands_in_one_commit) {
    Randomness<TypeParam> random{17};
    LpmRoot root;
    Naive<TypeParam> routes;
    for (int commit = 0; commit < 60; ++commit) {
        const LpmRoot old = root;
        const Naive<TypeParam> old_routes = routes;
        for (std::uint64_t i = 0; i < 200; ++i) {
            const unsigned length = 13 + static_cast<unsigned>(random.below(14));
            const TypeParam prefix = masked(random.any(), length);
            if (random.below(2) == 0) {
                this->set(root, prefix, length, i + 1);
                routes[{prefix, length}] = i + 1;
            } else if (!routes.empty()) {
                const auto near = routes.lower_bound({prefix, length});
                const auto route = near == routes.end() ? routes.begin()->first : near->first;
                this->erase(root, route.prefix, route.length);
                routes.erase(route);
            }
        }
        if (commit % 20 == 19) // nearly all go
            for (auto at = routes.begin(); at != routes.end();) {
                if (random.below(50) == 0) {
                    ++at;
                    continue;
                }
                this->erase(root, at->first.prefix, at->first.length);
                at = routes.erase(at);
            }
        this->lpm.commit();
        this->expect_corners(old, old_routes);
        this->reclaimer.run_all();
        this->expect_corners(root, routes);
    }
    this->lpm.clear(root);
    this->commit();
    EXPECT_EQ(this->lpm.used_bytes(), 0u);
}

TYPED_TEST(LpmTables, a_route_of_every_length_nested_in_the_others) {
    for (const TypeParam base :
         {TypeParam{}, ~TypeParam{}, masked(~TypeParam{}, 1), TypeParam{1}}) {
        LpmRoot root;
        Naive<TypeParam> routes;
        for (unsigned length = 0; length <= this->bits; ++length) {
            this->set(root, masked(base, length), length, length + 1);
            routes[{masked(base, length), length}] = length + 1;
        }
        this->expect_corners(root, routes);
        for (unsigned length = 0; length <= this->bits; ++length) {
            EXPECT_EQ(this->lpm.find(root, base, length), length + 1);
            this->erase(root, base, length);
            routes.erase({masked(base, length), length});
            EXPECT_EQ(this->lpm.lookup(root, base), length == this->bits ? 0 : this->bits + 1);
        }
        EXPECT_EQ(root, LpmRoot{});
        EXPECT_EQ(this->lpm.used_bytes(), 0u);
    }
}

TYPED_TEST(LpmTables, every_prefix_of_a_dense_corner) {
    LpmRoot root;
    Naive<TypeParam> routes;
    std::uint64_t value = 0;
    for (unsigned length = this->bits - 8; length <= this->bits; ++length)
        for (std::uint32_t i = 0; i < 1u << (length - (this->bits - 8)); ++i) {
            TypeParam prefix{i};
            for (unsigned shift = length; shift < this->bits; ++shift)
                prefix = prefix + prefix;
            this->set(root, prefix, length, ++value);
            routes[{prefix, length}] = value;
        }
    this->expect_corners(root, routes);
}

TYPED_TEST(LpmTables, what_stands_beyond_the_length_of_a_prefix_does_not_count) {
    LpmRoot root;
    const TypeParam ten = masked(~TypeParam{}, 10);
    this->set(root, ~TypeParam{}, 10, 5);
    EXPECT_EQ(this->lpm.find(root, ten, 10), 5u);
    EXPECT_EQ(this->lpm.lookup(root, ten), 5u);
    EXPECT_EQ(this->lpm.lookup(root, TypeParam{}), 0u);
    this->erase(root, ten | TypeParam{77}, 10);
    EXPECT_EQ(this->lpm.lookup(root, ten), 0u);
}

TYPED_TEST(LpmTables, erasing_what_is_not_there_changes_nothing) {
    LpmRoot root;
    const TypeParam base = ~TypeParam{};
    EXPECT_EQ(this->lpm.erase(root, base, 0), LpmChange::absent);
    EXPECT_EQ(this->lpm.erase(root, base, this->bits), LpmChange::absent);
    this->set(root, base, 20, 1);
    const LpmRoot before = root;
    this->commit();
    for (const unsigned length : {0u, 1u, 19u, 21u, 22u, this->bits})
        EXPECT_EQ(this->lpm.erase(root, base, length), LpmChange::absent);
    EXPECT_EQ(this->lpm.erase(root, masked(base, 19), 20), LpmChange::absent);
    EXPECT_EQ(root, before);
}

TYPED_TEST(LpmTables, lanes_have_tables_of_their_own_and_dead_lanes_keep_their_values) {
    std::array<LpmRoot, burst_max> roots;
    std::array<TypeParam, burst_max> addresses;
    std::array<std::uint64_t, burst_max> values;
    for (std::size_t lane = 0; lane < burst_max; ++lane) {
        this->set(roots[lane], TypeParam{}, lane % 5 == 0 ? 0 : 9, 100 + lane);
        addresses[lane] = lane % 3 == 0 ? ~TypeParam{} : TypeParam{};
    }
    values.fill(7);
    const LaneMask live = 0x5a5a'1234;
    this->lpm.lookup(roots.data(), addresses.data(), live, values.data());
    for (std::size_t lane = 0; lane < burst_max; ++lane) {
        const bool matches = lane % 5 == 0 || lane % 3 != 0;
        EXPECT_EQ(values[lane], (live >> lane & 1) == 0 ? 7 : matches ? 100 + lane : 0);
    }
}

TYPED_TEST(LpmTables, the_order_of_changes_does_not_matter_to_the_answers) {
    Randomness<TypeParam> random{99};
    std::vector<Route<TypeParam>> routes;
    Naive<TypeParam> naive;
    for (int i = 0; i < 400; ++i)
        if (const auto route = random.route(); naive.emplace(route, naive.size() + 1).second)
            routes.push_back(route);
    for (int order = 0; order < 5; ++order) {
        std::shuffle(routes.begin(), routes.end(), random.engine);
        LpmRoot root;
        for (const auto& route : routes) { // in and out again, and in
            this->set(root, route.prefix, route.length, 1);
            if (random.below(2) == 0) {
                this->erase(root, route.prefix, route.length);
            }
            this->set(root, route.prefix, route.length, naive[route]);
            if (random.below(20) == 0)
                this->commit();
        }
        this->expect_corners(root, naive);
        this->lpm.clear(root);
        this->commit();
        EXPECT_EQ(this->lpm.used_bytes(), 0u);
    }
}

template <class Address>
std::vector<Route<Address>> internet_routes();
template <>
std::vector<Route<std::uint32_t>> internet_routes() {
    return internet_routes4(200'000, 1);
}
template <>
std::vector<Route<U128>> internet_routes() {
    return internet_routes6(50'000, 1);
}

TYPED_TEST(LpmTables, a_full_table_answers_right_and_its_memory_comes_back) {
    const auto routes = internet_routes<TypeParam>();
    Naive<TypeParam> naive;
    LpmRoot root;
    for (const auto& route : routes) {
        naive[route] = naive.size() + 1;
        this->set(root, route.prefix, route.length, naive.size());
    }
    this->commit();
    const auto expect_right = [&] {
        Randomness<TypeParam> random{3};
        for (int i = 0; i < 50'000; ++i) {
            const auto& route = routes[random.below(routes.size())];
            const TypeParam any = random.any();
            const TypeParam address =
                i % 10 == 0 ? any : route.prefix | (any ^ masked(any, route.length));
            ASSERT_EQ(this->lpm.lookup(root, address), longest_match_by_length(naive, address));
        }
    };
    expect_right();
    EXPECT_LE(this->lpm.used_bytes() / routes.size(), this->bits == 32 ? 20u : 52u);
    EXPECT_LE(this->lpm.memory_bytes(), this->lpm.used_bytes() * 3 / 2 + (2u << 20));
    for (std::size_t i = 0; i < routes.size(); i += 2) {
        this->erase(root, routes[i].prefix, routes[i].length);
        naive.erase(routes[i]);
        if (i % 1'000 == 0)
            this->commit();
    }
    this->commit();
    expect_right();
    for (const auto& [route, value] : naive)
        this->erase(root, route.prefix, route.length);
    this->commit();
    EXPECT_EQ(root, LpmRoot{});
    EXPECT_EQ(this->lpm.used_bytes(), 0u);
    EXPECT_LE(this->lpm.memory_bytes(), 4u << 20);
}

TEST(Lpm, short_prefixes_over_many_others_cost_their_path_only) {
    ManualReclaimer reclaimer;
    Lpm<std::uint32_t> lpm{reclaimer};
    LpmRoot root;
    for (const auto& route : internet_routes4(100'000, 2))
        ASSERT_EQ(lpm.set(root, route.prefix, route.length, 1), LpmChange::done);
    lpm.commit();
    reclaimer.run_all();
    for (const unsigned length : {0u, 1u, 4u, 8u, 12u, 16u, 24u, 32u}) {
        const std::uint64_t before = lpm.used_bytes();
        ASSERT_EQ(lpm.set(root, 0x0a0b'0c0d, length, 2), LpmChange::done);
        EXPECT_LE(lpm.used_bytes() - before, 3'000u) << length; // at most six nodes are copied
        lpm.commit();
        reclaimer.run_all();
    }
}

TYPED_TEST(LpmTables, the_most_nodes_of_a_lookup_are_known_and_shrink_with_the_routes) {
    LpmRoot root;
    const TypeParam base = ~TypeParam{};
    unsigned nodes = 0;
    unsigned length = 1;
    for (; length <= this->bits; length += 6) { // a level further down each time
        EXPECT_EQ(this->lpm.nodes_max(root), nodes);
        this->set(root, base, length, 1);
        this->set(root, TypeParam{}, length, 1); // the same in the other half
        ++nodes;
        this->commit();
    }
    EXPECT_EQ(this->lpm.nodes_max(root), nodes);
    EXPECT_EQ(this->lpm.lines_max(root), 2 * nodes + 1);
    while (nodes != 0) {
        length -= 6;
        this->erase(root, base, length);
        EXPECT_EQ(this->lpm.nodes_max(root), nodes);
        this->commit();
        this->erase(root, TypeParam{}, length);
        --nodes;
        EXPECT_EQ(this->lpm.nodes_max(root), nodes);
    }
}

TEST(Lpm, a_full_memory_is_refused_with_nothing_changed_and_erasing_makes_room) {
    ManualReclaimer reclaimer;
    Lpm<std::uint32_t> lpm{reclaimer, 1 << 20};
    LpmRoot root;
    std::uint32_t count = 0;
    const auto prefix = [](std::uint32_t i) { return i * 0x9e37'79b1u; };
    while (lpm.set(root, prefix(count), 32, count + 1) == LpmChange::done) {
        ++count;
        ASSERT_LT(count, 100'000u);
    }
    const LpmRoot full = root;
    EXPECT_GT(count, 10'000u);
    EXPECT_EQ(lpm.set(root, prefix(count), 32, 1), LpmChange::no_memory);
    EXPECT_EQ(root, full);
    lpm.commit();
    for (std::uint32_t i = 0; i < count; ++i)
        ASSERT_EQ(lpm.lookup(root, prefix(i)), i + 1);
    for (std::uint32_t i = 0; i < count; i += 2) // all in one generation: everything is copied once
        ASSERT_EQ(lpm.erase(root, prefix(i), 32), LpmChange::done);
    lpm.commit();
    for (std::uint32_t i = 0; i < count; ++i)
        ASSERT_EQ(lpm.lookup(full, prefix(i)), i + 1);
    reclaimer.run_all();
    for (std::uint32_t i = 0; i < count; ++i)
        ASSERT_EQ(lpm.lookup(root, prefix(i)), i % 2 == 0 ? 0 : i + 1);
    EXPECT_EQ(lpm.set(root, prefix(count), 32, 1), LpmChange::done);
}

TEST(Lpm, thousands_of_small_tables_cost_a_little_each) {
    ManualReclaimer reclaimer;
    Lpm<std::uint32_t> lpm{reclaimer};
    std::vector<LpmRoot> roots(4'000);
    for (std::uint32_t vrf = 0; vrf < roots.size(); ++vrf) {
        ASSERT_EQ(lpm.set(roots[vrf], 0, 0, vrf + 1), LpmChange::done);
        for (std::uint32_t subnet = 0; subnet < 4; ++subnet)
            ASSERT_EQ(
                lpm.set(roots[vrf], 0x0a00'0000 | subnet << 8, 24, 10'000 * (subnet + 1) + vrf),
                LpmChange::done
            );
    }
    lpm.commit();
    EXPECT_LE(lpm.used_bytes() / roots.size(), 128u);
    for (std::uint32_t vrf = 0; vrf < roots.size(); ++vrf) {
        ASSERT_EQ(lpm.lookup(roots[vrf], 0x0a00'0201), 30'000 + vrf);
        ASSERT_EQ(lpm.lookup(roots[vrf], 0x0a00'0401), vrf + 1);
    }
}

TEST(Lpm, memory_follows_the_routes_where_they_lie_apart_too) {
    ManualReclaimer reclaimer;
    Lpm<std::uint32_t> lpm{reclaimer};
    LpmRoot root;
    std::uint64_t used_max = 0;
    for (std::uint32_t count = 1; count <= 20'000; ++count) {
        ASSERT_EQ(lpm.set(root, count * 0x9e37'79b1u, 28, count), LpmChange::done);
        lpm.commit();
        reclaimer.run_all();
        used_max = std::max(used_max, lpm.used_bytes() / count);
    }
    EXPECT_LE(used_max, 100u);
}

TEST(Lpm, what_is_retired_may_outlive_the_tables) {
    ManualReclaimer reclaimer;
    {
        Lpm<U128> lpm{reclaimer};
        LpmRoot root;
        ASSERT_EQ(lpm.set(root, U128{1}, 128, 1), LpmChange::done);
        lpm.commit();
        ASSERT_EQ(lpm.erase(root, U128{1}, 128), LpmChange::done);
        lpm.commit();
        EXPECT_EQ(reclaimer.waiting(), 1u);
    }
    reclaimer.run_all();
}

} // namespace
} // namespace weft
