#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;

bool number_goes_first(const Entry& a, const Entry& b) {
    return a.payload > b.payload;
}

Payload payload_of(int number) {
    return static_cast<Payload>(number);
}

Pattern exactly(std::uint8_t word, std::uint64_t mask, std::uint64_t value) {
    Pattern pattern;
    pattern.add(word, mask, value);
    return pattern;
}

TEST(TupleSpace, a_table_of_few_rules_is_searched_linearly_and_a_larger_one_by_hashes) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 1, number_goes_first};
    EXPECT_TRUE(space.is_linear());
    for (std::uint64_t i = 0; i < 16; ++i) {
        space.insert(exactly(1, ~std::uint64_t{0}, i), make_rank(1, 64), 1, payload_of(1));
        EXPECT_TRUE(space.is_linear());
    }
    space.insert(exactly(1, ~std::uint64_t{0}, 16), make_rank(1, 64), 1, payload_of(1));
    EXPECT_FALSE(space.is_linear());
    EXPECT_EQ(space.tuples(), 1u);
}

TEST(TupleSpace, few_rules_cost_as_many_comparisons_as_can_match_one_key) {
    ManualReclaimer reclaimer;
    TupleSpace apart{reclaimer, 1, number_goes_first};
    for (std::uint64_t i = 0; i < 16; ++i)
        apart.insert(exactly(1, ~std::uint64_t{0}, i), make_rank(1, 64), 1, payload_of(1));
    EXPECT_EQ(apart.bound().entries, 1u);
    EXPECT_EQ(apart.bound().lines, 8u) << "1 head, 2 of pointers, 4 of the column, 1 entry";
    TupleSpace nested{reclaimer, 1, number_goes_first};
    const auto insert = [&](unsigned bits, std::uint64_t value) {
        const std::uint64_t mask = bits == 0 ? 0 : ~std::uint64_t{0} << (64 - bits);
        nested.insert(exactly(1, mask, value), make_rank(1, bits), 1, payload_of(1));
    };
    for (const unsigned bits : {8u, 16u, 24u, 32u, 64u})
        insert(bits, 0);
    for (const unsigned bits : {1u, 8u, 16u})
        insert(bits, ~std::uint64_t{0});
    EXPECT_EQ(nested.bound().entries, 5u);
    EXPECT_EQ(nested.bound().lines, 1u + 1u + 2u + 5u);
    FlowKey key{};
    EXPECT_EQ(nested.cost(key, 1).entries, 1u) << "the first one is the answer";
    EXPECT_EQ(nested.cost(key, 0).entries, 5u) << "none is there yet";
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

// Rows of one match and many priorities lie under one hash: what a change costs is told by the
// buckets that it looks at, not by those that are there.
TEST(TupleSpace, a_change_of_one_of_many_priorities_of_a_match_costs_its_share) {
    constexpr int many = 20'000;
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 5, number_goes_first};
    std::mt19937_64 random{3};
    std::vector<std::uint32_t> priorities(many);
    std::iota(priorities.begin(), priorities.end(), 1);
    std::shuffle(priorities.begin(), priorities.end(), random);
    std::map<std::uint32_t, Entry*> in;
    FlowKey key{};
    key.word[1] = 0xabc;
    const auto best = [&] { return space.find(key, 1)->rank; };
    for (const std::uint32_t priority : priorities) {
        in[priority] = space.insert(
            exactly(1, 0xfff, 0xabc),
            make_rank(priority, 12),
            1,
            payload_of(static_cast<int>(priority))
        );
        if (priority % 1'000 == 0) {
            ASSERT_EQ(best(), make_rank(in.rbegin()->first, 12));
        }
    }
    EXPECT_LE(space.walked(), 10u * many);
    std::shuffle(priorities.begin(), priorities.end(), random);
    for (const std::uint32_t priority : priorities) {
        space.expire(*in[priority], 1);
        space.remove(*in[priority]);
        in.erase(priority);
        reclaimer.run_all();
        if (priority % 1'000 == 0 && !in.empty()) {
            ASSERT_EQ(best(), make_rank(in.rbegin()->first, 12));
        }
        if (in.size() == 1'000) {
            EXPECT_LE(space.walked(), 20u * many);
        }
    }
    EXPECT_EQ(space.entries(), 0u);
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

TEST(TupleSpace, exact_matches_are_a_chain_while_each_outranks_those_that_follow) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 1, number_goes_first};
    const auto insert = [&](std::uint64_t mask, std::uint64_t value, std::uint32_t priority) {
        const Pattern pattern = mask == 0 ? Pattern{} : exactly(1, mask, value);
        return space.insert(
            pattern,
            make_rank(priority, pattern.mask.bit_count()),
            1,
            payload_of(static_cast<int>(priority))
        );
    };
    const auto remove = [&](Entry* entry) {
        space.expire(*entry, 1);
        space.remove(*entry);
        reclaimer.run_all();
    };
    const auto found = [&](std::uint64_t value) {
        FlowKey key{};
        key.word[1] = value;
        return space.find(key, 1)->rank;
    };
    for (std::uint64_t i = 0; i < 40; ++i)
        insert(0xffff, i, 10);
    insert(0xff00, 0x0900, 5);
    insert(0, 0, 0);
    EXPECT_TRUE(space.is_chain());
    EXPECT_FALSE(space.wants_plan());
    EXPECT_EQ(found(7), make_rank(10, 16));
    EXPECT_EQ(found(0x0977), make_rank(5, 8));
    EXPECT_EQ(found(0x1000), make_rank(0, 0));
    Entry* const above = insert(0, 0, 7);
    EXPECT_FALSE(space.is_chain()) << "the default outranks the second";
    EXPECT_EQ(found(0x0977), make_rank(7, 0));
    EXPECT_EQ(found(7), make_rank(10, 16));
    remove(above);
    EXPECT_EQ(found(0x0977), make_rank(5, 8));
    insert(0x0ff0, 0x0ff0, 10);
    EXPECT_FALSE(space.is_chain()) << "equal ranks";
    EXPECT_TRUE(space.wants_plan());
}

void tidy(TupleSpace& space, ManualReclaimer& reclaimer) {
    while (space.move_some(64) || space.is_moving())
        reclaimer.run_all();
    reclaimer.run_all();
}

TEST(TupleSpace, rules_of_many_masks_cost_at_most_48_bytes_each_beside_themselves) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 3, number_goes_first};
    std::mt19937_64 random{5};
    std::uint64_t size = 0;
    for (std::uint64_t next = 8'000; next < 60'000; next = next * 9 / 8) {
        for (; size < next; ++size) {
            const std::uint64_t src = ~std::uint64_t{0} << (16 + random() % 4 * 8);
            const std::uint64_t dst = ~std::uint64_t{0} << random() % 17 & 0xffff'ffff;
            Pattern pattern = exactly(1, src | dst, random());
            pattern.add(2, random() % 2 == 0 ? 0xffff : 0xff'ffff, random() % 100);
            space.insert(
                pattern,
                make_rank(static_cast<std::uint32_t>(random() % 1'000), 0),
                1,
                payload_of(1)
            );
        }
        if (space.wants_plan())
            space.adopt(plan_tuples(space.sample(500, 1), 1));
        tidy(space, reclaimer);
        EXPECT_FALSE(space.is_linear());
        EXPECT_LE(space.memory_bytes(), size * (sizeof(Entry) + 48)) << size;
    }
}

TEST(TupleSpace, the_buckets_of_rules_that_left_are_given_back) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 3, number_goes_first};
    std::vector<Entry*> in;
    for (std::uint64_t i = 0; i < 50'000; ++i)
        in.push_back(space.insert(exactly(1, ~std::uint64_t{0}, i), make_rank(1, 64), 1, {}));
    tidy(space, reclaimer);
    for (; in.size() > 5'000; in.pop_back())
        space.remove(*in.back());
    tidy(space, reclaimer);
    // What entries lay in waits for others.
    EXPECT_LE(space.memory_bytes(), 50'000 * (sizeof(Entry) + 4) + 5'000 * 96);
    for (std::uint64_t i = 0; i < 5'000; ++i) {
        FlowKey key{};
        key.word[1] = i;
        ASSERT_EQ(space.find(key, 1), in[i]);
    }
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
