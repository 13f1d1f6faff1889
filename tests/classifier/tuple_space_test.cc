#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;

/// A rule as the oracle keeps it: every version that ever was.
struct NaiveRule {
    Mask mask;
    std::vector<std::uint64_t> values;
    Rank rank;
    Generation born;
    Generation died = never;
    int number; // the greater number goes first where everything else is equal
    TupleSpace::Inserted inserted{};
    bool removed = false;
};

bool number_goes_first(const Entry& a, const Entry& b) {
    return reinterpret_cast<std::intptr_t>(a.payload) > reinterpret_cast<std::intptr_t>(b.payload);
}

const void* payload_of(int number) {
    return reinterpret_cast<const void*>(static_cast<std::intptr_t>(number));
}

int linear(const std::vector<NaiveRule>& rules, const FlowKey& key, Generation g) {
    const NaiveRule* best = nullptr;
    for (const NaiveRule& rule : rules) {
        if (!(rule.born <= g && g < rule.died))
            continue;
        bool match = true;
        for (std::size_t i = 0; i < rule.mask.count; ++i)
            match = match && (key.word[rule.mask.word[i]] & rule.mask.bits[i]) == rule.values[i];
        if (!match)
            continue;
        const bool wins =
            best == nullptr || rule.rank > best->rank ||
            (rule.rank == best->rank && greater(rule.mask, best->mask)) ||
            (rule.rank == best->rank && rule.mask == best->mask && rule.number > best->number);
        if (wins)
            best = &rule;
    }
    return best == nullptr ? 0 : best->number;
}

/// Few words and few values, so that rules overlap, equal each other and hit.
struct Randomness {
    std::mt19937_64 engine;
    explicit Randomness(std::uint64_t seed) : engine{seed} {}
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
    Mask mask() {
        static constexpr std::array<std::uint64_t, 5> choices{
            0xff, 0xf0, 0x0f, ~std::uint64_t{0}, 0x3c};
        Mask mask;
        for (std::uint8_t word = 0; word < 6; ++word)
            if (below(3) == 0)
                mask.add(word, choices[below(choices.size())]);
        return mask;
    }
    FlowKey key() {
        FlowKey key{};
        for (std::size_t word = 0; word < 6; ++word)
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
    for (int commit = 0; commit < 60; ++commit) {
        const std::uint64_t changes = 1 + random.below(12);
        for (std::uint64_t change = 0; change < changes; ++change) {
            if (random.below(3) != 0 || rules.empty()) {
                NaiveRule rule{random.mask(), {}, 0, generation + 1, never, ++number, {}, false};
                const FlowKey key = random.key();
                for (std::size_t i = 0; i < rule.mask.count; ++i)
                    rule.values.push_back(key.word[rule.mask.word[i]] & rule.mask.bits[i]);
                rule.rank =
                    make_rank(static_cast<std::uint32_t>(random.below(3)), rule.mask.bit_count());
                rule.inserted =
                    space.insert(rule.mask, rule.values, rule.rank, rule.born, payload_of(number));
                rules.push_back(rule);
            } else if (NaiveRule& rule = rules[random.below(rules.size())]; rule.died == never) {
                rule.died = generation + 1;
                space.expire(*rule.inserted.entry, rule.died);
            }
        }
        ++generation;
        if (random.below(4) == 0) {
            oldest = generation - random.below(std::min<std::uint64_t>(generation - oldest + 1, 3));
            for (NaiveRule& rule : rules)
                if (rule.died <= oldest && !rule.removed) {
                    space.remove(rule.mask, *rule.inserted.entry);
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
    Mask mask;
    mask.add(1, ~std::uint64_t{0});
    EXPECT_TRUE(space.is_linear());
    for (std::uint64_t i = 0; i < 7; ++i) {
        const std::array<std::uint64_t, 1> value{i};
        space.insert(mask, value, make_rank(1, 64), 1, payload_of(1));
        EXPECT_TRUE(space.is_linear());
    }
    const std::array<std::uint64_t, 1> value{7};
    space.insert(mask, value, make_rank(1, 64), 1, payload_of(1));
    EXPECT_FALSE(space.is_linear());
    EXPECT_EQ(space.tuples(), 1u);
}

TEST(TupleSpace, a_hundred_thousand_entries_of_one_mask_cost_few_probes_each) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x1234'5678'9abc'def0, number_goes_first};
    Mask mask;
    mask.add(1, 0xffff'ffff'ffff'0000);
    FlowKey key{};
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        const std::array<std::uint64_t, 1> value{i << 16};
        space.insert(mask, value, make_rank(1, 48), 1, payload_of(static_cast<int>(i + 1)));
    }
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        key.word[1] = i << 16 | 0x5555;
        const Entry* found = space.find(key, 1);
        ASSERT_NE(found, nullptr);
        ASSERT_EQ(found->payload, payload_of(static_cast<int>(i + 1)));
    }
    key.word[1] = std::uint64_t{100'000} << 16;
    EXPECT_EQ(space.find(key, 1), nullptr);
    EXPECT_LE(space.probes_max(), 4u);
}

TEST(TupleSpace, the_memory_of_the_dead_comes_back) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 7, number_goes_first};
    Mask mask;
    mask.add(3, 0xff);
    const std::array<std::uint64_t, 1> value{5};
    for (Generation g = 1; g < 1'000; ++g) {
        const auto inserted = space.insert(mask, value, make_rank(1, 8), g, payload_of(1));
        space.expire(*inserted.entry, g + 1);
        space.remove(mask, *inserted.entry);
        reclaimer.run_all();
        ASSERT_EQ(space.entries(), 0u);
        ASSERT_EQ(reclaimer.waiting(), 0u);
    }
    EXPECT_EQ(space.tuples(), 0u);
}

} // namespace
} // namespace weft
