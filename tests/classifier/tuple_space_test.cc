#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;

/// A rule as the oracle keeps it: every version that ever was.
struct NaiveRule {
    Pattern pattern;
    Rank rank;
    Generation born;
    Generation died = never;
    int number; // the greater number goes first where everything else is equal
    Entry* entry = nullptr;
    bool removed = false;
};

bool number_goes_first(const Entry& a, const Entry& b) {
    return reinterpret_cast<std::intptr_t>(a.payload) > reinterpret_cast<std::intptr_t>(b.payload);
}

const void* payload_of(int number) {
    return reinterpret_cast<const void*>(static_cast<std::intptr_t>(number));
}

bool matches(const Pattern& pattern, const FlowKey& key) {
    for (std::size_t i = 0; i < pattern.mask.count; ++i)
        if ((key.word[pattern.mask.word[i]] & pattern.mask.bits[i]) != pattern.value[i])
            return false;
    return std::all_of(pattern.ranges().begin(), pattern.ranges().end(), [&](const Range& range) {
        return range.has(key);
    });
}

int linear(const std::vector<NaiveRule>& rules, const FlowKey& key, Generation g) {
    const NaiveRule* best = nullptr;
    for (const NaiveRule& rule : rules) {
        if (!(rule.born <= g && g < rule.died))
            continue;
        if (!matches(rule.pattern, key))
            continue;
        if (best == nullptr || rule.rank > best->rank ||
            (rule.rank == best->rank && rule.number > best->number))
            best = &rule;
    }
    return best == nullptr ? 0 : best->number;
}

Pattern exactly(std::uint8_t word, std::uint64_t mask, std::uint64_t value) {
    Pattern pattern;
    pattern.add(word, mask, value);
    return pattern;
}

/// Few words and few values, so that rules overlap, equal each other and hit.
struct Randomness {
    std::mt19937_64 engine;
    explicit Randomness(std::uint64_t seed) : engine{seed} {}
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
    Pattern pattern() {
        static constexpr std::array<std::uint64_t, 5> choices{
            0xff, 0xf0, 0x0f, ~std::uint64_t{0}, 0x3c};
        Pattern pattern;
        const FlowKey like = key();
        const std::uint64_t sparse = 2 + below(3);
        for (std::uint8_t word = 0; word < 9; ++word)
            if (below(sparse) == 0)
                pattern.add(word, choices[below(choices.size())], like.word[word]);
        while (pattern.range_count < 2 && below(3) == 0) {
            const std::uint64_t low = below(0x34);
            pattern.range[pattern.range_count++] = {
                static_cast<std::uint8_t>(below(9)), 0, 8, low, low + below(0x34)};
        }
        return pattern;
    }
    FlowKey key() {
        FlowKey key{};
        for (std::size_t word = 0; word < 9; ++word)
            key.word[word] = below(4) * 0x11;
        return key;
    }
};

class AgainstLinear : public testing::TestWithParam<std::uint64_t> {};

TEST_P(AgainstLinear, every_held_generation_sees_exactly_its_rules_while_rules_come_and_go) {
    Randomness random{GetParam()};
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, random.engine(), number_goes_first};
    std::vector<NaiveRule> rules;
    std::vector<FlowKey> keys(burst_max);
    Generation generation = 1;
    Generation oldest = 1; // readers may still hold this one
    int number = 0;
    const auto spread = static_cast<std::uint32_t>(1 + random.below(2) * 40'000'000);
    for (int commit = 0; commit < 60; ++commit) {
        const std::uint64_t changes = 1 + random.below(12);
        for (std::uint64_t change = 0; change < changes; ++change) {
            if (random.below(3) != 0 || rules.empty()) {
                NaiveRule rule{
                    random.pattern(), 0, generation + 1, never, ++number, nullptr, false};
                rule.rank = make_rank(
                    static_cast<std::uint32_t>(random.below(3)) * spread,
                    rule.pattern.mask.bit_count()
                );
                rule.entry = space.insert(rule.pattern, rule.rank, rule.born, payload_of(number));
                rules.push_back(rule);
            } else if (NaiveRule& rule = rules[random.below(rules.size())]; rule.died == never) {
                rule.died = generation + 1;
                space.expire(*rule.entry, rule.died);
            }
        }
        ++generation;
        if (random.below(6) == 0 && !space.is_moving() && !space.is_linear())
            space.adopt(plan_tuples(space.sample(8 + random.below(60), random.engine()), 1));
        space.move_some(1 + random.below(40));
        if (random.below(4) == 0) {
            oldest = generation - random.below(std::min<std::uint64_t>(generation - oldest + 1, 3));
            for (NaiveRule& rule : rules)
                if (rule.died <= oldest && !rule.removed) {
                    space.remove(*rule.entry);
                    rule.removed = true;
                }
            reclaimer.run_all();
        }
        for (FlowKey& key : keys)
            key = random.key();
        for (Generation g = oldest; g <= generation; ++g) {
            const LaneMask live = static_cast<LaneMask>(random.engine());
            std::array<const Entry*, burst_max> best{};
            space.lookup(keys.data(), live, g, best.data());
            for (const std::size_t lane : Lanes{live}) {
                const int found =
                    best[lane] == nullptr
                        ? 0
                        : static_cast<int>(reinterpret_cast<std::intptr_t>(best[lane]->payload));
                ASSERT_EQ(found, linear(rules, keys[lane], g))
                    << "seed " << GetParam() << " commit " << commit;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AgainstLinear, testing::Range<std::uint64_t>(1, 61));

TEST(TupleSpace, a_table_of_few_rules_is_searched_linearly_and_a_larger_one_by_hashes) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 1, number_goes_first};
    EXPECT_TRUE(space.is_linear());
    for (std::uint64_t i = 0; i < 7; ++i) {
        space.insert(exactly(1, ~std::uint64_t{0}, i), make_rank(1, 64), 1, payload_of(1));
        EXPECT_TRUE(space.is_linear());
    }
    space.insert(exactly(1, ~std::uint64_t{0}, 7), make_rank(1, 64), 1, payload_of(1));
    EXPECT_FALSE(space.is_linear());
    EXPECT_EQ(space.tuples(), 1u);
}

TEST(TupleSpace, a_hundred_thousand_entries_of_one_mask_cost_few_probes_each) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x1234'5678'9abc'def0, number_goes_first};
    FlowKey key{};
    for (std::uint64_t i = 0; i < 100'000; ++i)
        space.insert(
            exactly(1, 0xffff'ffff'ffff'0000, i << 16),
            make_rank(1, 48),
            1,
            payload_of(static_cast<int>(i + 1))
        );
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        key.word[1] = i << 16 | 0x5555;
        const Entry* found = space.find(key, 1);
        ASSERT_NE(found, nullptr);
        ASSERT_EQ(found->payload, payload_of(static_cast<int>(i + 1)));
    }
    key.word[1] = std::uint64_t{100'000} << 16;
    EXPECT_EQ(space.find(key, 1), nullptr);
    EXPECT_EQ(space.bound().probes, 1u);
    EXPECT_LE(space.bound().lines, 8u);
}

TEST(TupleSpace, the_bound_at_hand_is_never_below_the_bound) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 9, number_goes_first};
    std::mt19937_64 random{11};
    std::vector<Entry*> in;
    for (int step = 0; step < 3'000; ++step) {
        if (random() % 3 != 0 || in.empty()) {
            const std::uint64_t mask = random() % 2 ? 0xffff : 0xff00;
            in.push_back(space.insert(
                exactly(1, mask, random() % 300 << 4 & mask), make_rank(1, 8), 1, payload_of(step)
            ));
        } else {
            const std::size_t at = random() % in.size();
            space.expire(*in[at], 2);
            space.remove(*in[at]);
            in.erase(in.begin() + static_cast<std::ptrdiff_t>(at));
            reclaimer.run_all();
        }
        const TupleSpace::Bound before = space.bound_at_most();
        if (step % 7 != 0)
            continue;
        const TupleSpace::Bound exact = space.bound(), after = space.bound_at_most();
        ASSERT_GE(before.lines, exact.lines) << step;
        ASSERT_GE(before.entries, exact.entries) << step;
        ASSERT_EQ(before.probes, exact.probes) << step;
        ASSERT_EQ(after.lines, exact.lines) << step;
        ASSERT_EQ(after.entries, exact.entries) << step;
    }
}

TEST(TupleSpace, tidying_ends_where_many_entries_share_one_hash) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 1, number_goes_first};
    for (int i = 1; i <= 500; ++i) // one match, many priorities
        space.insert(
            exactly(1, 0xff, 5), make_rank(static_cast<std::uint32_t>(i), 8), 1, payload_of(i)
        );
    space.adopt(plan_tuples(space.sample(100, 1), 1));
    std::size_t slices = 0;
    while ((space.move_some(64) || space.is_moving()) && ++slices < 1'000)
        reclaimer.run();
    EXPECT_LT(slices, 1'000u);
    FlowKey key{};
    key.word[1] = 5;
    EXPECT_EQ(space.find(key, 1)->payload, payload_of(500));
}

/// A plan takes its time; meanwhile a transaction may have filled the table.
TEST(TupleSpace, a_plan_made_for_few_entries_is_followed_by_one_for_all) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 1, number_goes_first};
    const auto insert = [&](std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t i = from; i < to; ++i)
            space.insert(
                exactly(1, ~std::uint64_t{0} << i % 40, i << 40),
                make_rank(1, 64 - i % 40),
                1,
                payload_of(1)
            );
    };
    const auto settle = [&] {
        while (space.move_some(64) || space.is_moving())
            reclaimer.run();
    };
    insert(0, 40);
    ASSERT_TRUE(space.wants_plan());
    const TuplePlan early = plan_tuples(space.sample(100, 1), 1);
    insert(40, 400);
    space.adopt(early);
    settle();
    ASSERT_TRUE(space.wants_plan());
    space.adopt(plan_tuples(space.sample(400, 1), 1));
    settle();
    EXPECT_FALSE(space.wants_plan());
}

TEST(TupleSpace, the_memory_of_the_dead_comes_back) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 7, number_goes_first};
    for (Generation g = 1; g < 1'000; ++g) {
        Entry* const entry = space.insert(exactly(3, 0xff, 5), make_rank(1, 8), g, payload_of(1));
        space.expire(*entry, g + 1);
        space.remove(*entry);
        reclaimer.run_all();
        ASSERT_EQ(space.entries(), 0u);
        ASSERT_EQ(reclaimer.waiting(), 0u);
    }
    EXPECT_EQ(space.tuples(), 0u);
}

} // namespace
} // namespace weft
