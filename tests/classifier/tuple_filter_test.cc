#include "classifier/tuple_filter.hh"
#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;
using Random = std::mt19937_64;

bool any_order(const Entry&, const Entry&) {
    return false;
}

Pattern exactly(std::uint8_t word, std::uint64_t mask, std::uint64_t value) {
    Pattern pattern;
    pattern.add(word, mask, value);
    return pattern;
}

/// An entry and what it points at.
struct Held {
    Forms forms;
    std::vector<std::unique_ptr<Entry>> entries;
    const Entry& hold(const Pattern& pattern) {
        auto& entry = *entries.emplace_back(std::make_unique<Entry>());
        entry.form = &forms.use(pattern, 1);
        std::copy_n(pattern.value.begin(), pattern.mask.count, entry.values());
        return entry;
    }
};

/// Prefixes of any length in two words, sometimes bits that are no prefix.
Pattern random_pattern(Random& random) {
    Pattern pattern;
    for (const std::uint8_t word : {std::uint8_t{1}, std::uint8_t{3}})
        if (random() % 4 != 0) {
            const std::uint64_t prefix = ~std::uint64_t{0} << random() % 64;
            const std::uint64_t mask = random() % 4 == 0 ? random() : prefix;
            pattern.add(word, mask, random() & mask);
        }
    return pattern;
}

TEST(TupleFilter, a_key_is_never_kept_from_a_tuple_with_an_entry_that_it_matches) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Random random{seed};
        const auto shift = [&] { return static_cast<std::uint8_t>(random() % 53); };
        TupleFilter filter{
            {.windows = {{1, shift()}, {3, shift()}, {7, shift()}},
             .bits = static_cast<std::uint8_t>(1 + random() % 12)}};
        Held held;
        std::array<FlowKey, burst_max> keys{};
        std::array<std::uint8_t, burst_max> tuple{};
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            tuple[lane] = filter.number();
            const Pattern pattern = random_pattern(random);
            filter.add(tuple[lane], held.hold(pattern));
            for (std::uint64_t& word : keys[lane].word)
                word = random();
            for (std::size_t i = 0; i < pattern.mask.count; ++i) {
                std::uint64_t& word = keys[lane].word[pattern.mask.word[i]];
                word = (word & ~pattern.mask.bits[i]) | pattern.value[i];
            }
        }
        std::array<TupleFilter::Set, burst_max> sets{};
        filter.select(keys.data(), ~LaneMask{0}, 0x0fff'fff0, sets.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            EXPECT_EQ(sets[lane], filter.select(keys[lane]) & 0x0fff'fff0) << "among some";
        filter.select(keys.data(), ~LaneMask{0}, ~TupleFilter::Set{0}, sets.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            EXPECT_EQ(sets[lane], filter.select(keys[lane]));
            EXPECT_NE(TupleFilter::lanes_with(tuple[lane], sets.data()) & lane_bit(lane), 0u)
                << "seed " << seed << " lane " << lane;
        }
    }
}

TEST(TupleFilter, a_key_that_differs_in_a_window_from_all_entries_of_a_tuple_is_kept_from_it) {
    TupleFilter filter{{.windows = {{3, 24}, {3, 56}}, .bits = 8}};
    Held held;
    const std::uint8_t net = filter.number(), any = filter.number(), half = filter.number();
    filter.add(net, held.hold(exactly(3, 0xffff'0000, 0x0a01'0000)));
    filter.add(any, held.hold(exactly(1, 0xff, 7)));
    filter.add(half, held.hold(exactly(3, 0xf000'0000, 0xa000'0000)));
    FlowKey key{};
    key.word[3] = 0x0a02'0000; // the window has 8 bits: 10.2 may be 10.1
    EXPECT_EQ(filter.select(key), 1u << net | 1u << any);
    key.word[3] = 0x0b01'0000;
    EXPECT_EQ(filter.select(key), 1u << any);
    key.word[3] = 0xab01'0000;
    EXPECT_EQ(filter.select(key), 1u << any | 1u << half);
}

TEST(TupleFilter, tuples_beyond_its_numbers_are_asked_by_every_key) {
    TupleFilter filter{{.windows = {{3, 24}}, .bits = 8}};
    for (std::size_t i = 0; i < TupleFilter::tuples_max; ++i)
        EXPECT_EQ(filter.number(), i);
    const std::uint8_t late = filter.number();
    EXPECT_EQ(late, TupleFilter::none);
    Held held;
    filter.add(late, held.hold(exactly(3, 0xff00'0000, 0)));
    const std::array<TupleFilter::Set, burst_max> sets{};
    EXPECT_EQ(TupleFilter::lanes_with(late, sets.data()), ~LaneMask{0});
    EXPECT_EQ(TupleFilter::lanes_with(3, sets.data()), 0u);
}

// -- in a table

constexpr std::uint64_t net_mask = 0xffff'ff00, host_mask = 0xffff'ffff;

/// Three tuples, told apart by the leading byte of a word.
struct Table {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x5eed, any_order};
    std::vector<Entry*> entries;

    static Mask mask(std::uint64_t bits) {
        Mask made;
        made.add(3, bits);
        return made;
    }
    void insert(std::uint64_t bits, std::uint64_t value) {
        entries.push_back(space.insert(exactly(3, bits, value), make_rank(1, 24), 1, 1));
    }
    void remove_all() {
        for (Entry* entry : std::exchange(entries, {})) {
            space.expire(*entry, 2);
            space.remove(*entry);
        }
    }
    void settle() {
        while (space.move_some(64) || space.is_moving())
            reclaimer.run();
    }
    std::uint64_t probes(std::uint64_t address) const {
        FlowKey key{};
        key.word[3] = address;
        return space.cost(key, 1).probes;
    }
    void plan() {
        space.adopt(
            {.masks = {mask(host_mask), mask(net_mask), Mask{}},
             .filter = {.windows = {{3, 24}}, .bits = 8}}
        );
    }
};

TEST(TupleFilter, keys_ask_the_tuples_that_can_match_them_while_rules_come_in_any_order) {
    Table table;
    for (std::uint64_t i = 0; i < 20; ++i)
        table.insert(host_mask, 0x0a00'0000 + i);
    table.plan();
    table.insert(net_mask, 0x0b00'0100); // while entries move
    table.settle();
    table.insert(net_mask, 0x0c00'0100); // and when they have
    EXPECT_EQ(table.probes(0x0a00'0001), 1u);
    EXPECT_EQ(table.probes(0x0b00'0101), 1u);
    EXPECT_EQ(table.probes(0x0c00'0101), 1u);
    EXPECT_EQ(table.probes(0x0d00'0000), 0u);
    table.insert(0xff00'0000, 0x0a00'0000); // in the tuple of the empty mask
    EXPECT_EQ(table.probes(0x0a00'0001), 2u);
}

/// Sixteen tuples, a few rules in each: lookups take each lane its own way. Rule i asks for the
/// bits of the i + 1 lowest words' beginnings and wins over those before it.
struct ManyTuples {
    static constexpr std::size_t count = 16;
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x5eed, any_order};
    TuplePlan plan{
        .masks = {}, .best_ranks = {}, .filter = {.windows = {{3, 0}}, .bits = 8, .apart = true}};

    static Pattern rule(std::size_t i) {
        Pattern pattern;
        for (std::uint8_t word = 3; word <= 3 + i; ++word)
            pattern.add(word, 0xff, 7);
        return pattern;
    }
    static Rank rank(std::size_t i) { return make_rank(static_cast<std::uint32_t>(10 + i), 8); }
    static FlowKey key(std::size_t words) {
        FlowKey key{};
        std::fill_n(key.word.begin() + 3, words, 7);
        return key;
    }
    ManyTuples() {
        for (std::size_t i = count; i-- != 0;) {
            plan.masks.push_back(rule(i).mask);
            plan.best_ranks.push_back(rank(i));
        }
        plan.masks.emplace_back();
        plan.best_ranks.push_back(0);
        for (int more = 0; more < 4; ++more) // no handful
            for (std::size_t i = 0; i < count; ++i)
                space.insert(rule(i), rank(i), 1, 1);
        space.adopt(plan);
        settle();
    }
    void settle() {
        while (space.move_some(64) || space.is_moving())
            reclaimer.run();
        reclaimer.run_all();
    }
};

TEST(TupleFilter, lanes_that_go_different_ways_through_many_tuples_each_find_their_best) {
    ManyTuples table;
    std::array<FlowKey, burst_max> keys{};
    std::array<const Entry*, burst_max> best{};
    for (std::size_t lane = 0; lane < burst_max; ++lane)
        keys[lane] = ManyTuples::key(lane % (ManyTuples::count + 1));
    for (const LaneMask live : {~LaneMask{0}, LaneMask{0x8421'8421}, LaneMask{1}, LaneMask{0}}) {
        best.fill(nullptr);
        table.space.lookup(keys.data(), live, 1, best.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            const std::size_t words = lane % (ManyTuples::count + 1);
            if ((live >> lane & 1) == 0 || words == 0)
                EXPECT_EQ(best[lane], nullptr) << lane;
            else if (best[lane] == nullptr)
                ADD_FAILURE() << lane;
            else
                EXPECT_EQ(best[lane]->rank, ManyTuples::rank(words - 1)) << lane;
        }
    }
    EXPECT_EQ(table.space.cost(ManyTuples::key(ManyTuples::count), 1).probes, 1u)
        << "nothing behind the first tuple can win";
}

TEST(TupleFilter, a_rule_that_outranks_all_is_found_in_the_tuple_that_is_probed_last) {
    ManyTuples table;
    const FlowKey key = ManyTuples::key(ManyTuples::count);
    table.space.insert(ManyTuples::rule(0), make_rank(1'000, 8), 1, 1);
    EXPECT_EQ(table.space.find(key, 1)->rank, make_rank(1'000, 8));
    table.space.insert(Pattern{}, make_rank(2'000, 0), 1, 1);
    EXPECT_EQ(table.space.find(key, 1)->rank, make_rank(2'000, 0));
    EXPECT_EQ(table.space.find(FlowKey{}, 1)->rank, make_rank(2'000, 0));
    EXPECT_LE(table.space.cost(key, 1).probes, table.space.bound().probes);
}

TEST(TupleFilter, what_left_is_forgotten_when_more_left_than_is_there) {
    Table table;
    for (std::uint64_t i = 0; i < 200; ++i)
        table.insert(host_mask, i << 24); // every leading byte
    table.plan();
    table.settle();
    ASSERT_EQ(table.probes(0x0b00'0001), 1u);
    table.insert(net_mask, 0x0a00'0100); // stays, so that the table does not begin anew
    table.entries.pop_back();
    table.remove_all();
    table.settle();
    EXPECT_EQ(table.probes(0x0b00'0001), 0u) << "no tuple with entries has it";
    for (std::uint64_t i = 0; i < 1'200; ++i)
        table.insert(host_mask, (i % 200 << 24) + i);
    table.remove_all();
    for (std::uint64_t i = 0; i < 20; ++i)
        table.insert(host_mask, 0x0a00'0000 + i);
    EXPECT_EQ(table.probes(0x0b00'0001), 1u) << "sets only grow";
    table.settle();
    EXPECT_EQ(table.probes(0x0b00'0001), 0u);
    EXPECT_EQ(table.probes(0x0a00'0001), 2u);
    FlowKey key{};
    key.word[3] = 0x0a00'0001;
    EXPECT_NE(table.space.find(key, 1), nullptr);
}

/// Addresses in some nets, some ports: what access lists are like.
std::vector<Pattern> access_list(Random& random) {
    std::vector<Pattern> rules;
    const auto net = [&] { return (random() % 40 * 0x0653'0000 & host_mask) | random() % 0x10000; };
    for (int i = 0; i < 3'000; ++i) {
        // Two prefixes of 32 bits, the first often empty, the second sometimes; a port or none.
        const std::uint64_t first =
            random() % 2 == 0 ? 0 : ~std::uint64_t{0} << (48 - random() % 16);
        const std::uint64_t second = ~std::uint64_t{0} << (random() % 3 == 0 ? 32 : random() % 16);
        const std::uint64_t mask = (first & ~host_mask) | (second & host_mask);
        Pattern pattern;
        pattern.add(3, mask, (net() << 32 | net()) & mask);
        if (random() % 2 == 0)
            pattern.add(4, 0xffff, random() % 1'000);
        rules.push_back(pattern);
    }
    return rules;
}

// Of several lists and plans: which tuples a plan names depends on the entries that the sample
// drew, so one plan by itself may have few tuples, of which a key asks more than half.
TEST(TupleFilter, the_plans_of_access_lists_have_filters_that_keep_keys_from_most_tuples) {
    double asked = 0; // of each plan's tuples the share that a key asks
    constexpr std::uint64_t lists = 3, plans = 3;
    for (std::uint64_t list = 1; list <= lists; ++list)
        for (std::uint64_t seed = 1; seed <= plans; ++seed) {
            Table table;
            Random random{list};
            const std::vector<Pattern> rules = access_list(random);
            for (const Pattern& rule : rules)
                table.entries.push_back(table.space.insert(rule, make_rank(1, 24), 1, 1));
            const TuplePlan plan = plan_tuples(table.space.sample(1'024, seed), seed);
            EXPECT_FALSE(plan.filter.windows.empty());
            table.space.adopt(plan);
            table.settle();
            std::uint64_t probes = 0;
            for (const Pattern& rule : rules) {
                FlowKey key{};
                for (std::size_t i = 0; i < rule.mask.count; ++i)
                    key.word[rule.mask.word[i]] = rule.value[i] | (random() & ~rule.mask.bits[i]);
                probes += table.space.cost(key, 1).probes;
            }
            EXPECT_GE(probes, rules.size());
            asked += static_cast<double>(probes) /
                     static_cast<double>(rules.size() * table.space.bound().probes);
        }
    EXPECT_LT(asked / (lists * plans), 0.5);
}

} // namespace
} // namespace weft
