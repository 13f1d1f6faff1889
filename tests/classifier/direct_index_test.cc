// A tuple of one word and small values is looked up in an array, and by the hash where that does
// not pay. What lookups answer, held generations among it, is the engines' test.
#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <vector>

namespace weft {
namespace {

constexpr std::uint64_t low32 = 0xffff'ffff;

/// A table whose rules ask for bits 8 to 39 of one word.
struct Values {
    test::ManualReclaimer reclaimer;
    TupleSpace space{
        reclaimer, 1, [](const Entry& a, const Entry& b) { return a.payload > b.payload; }};
    std::vector<Entry*> entries;

    Entry* insert(std::uint64_t value, std::uint32_t priority = 1, Generation born = 1) {
        Pattern pattern;
        pattern.add(1, low32 << 8, value << 8);
        entries.push_back(space.insert(pattern, make_rank(priority, 32), born, entries.size() + 1));
        return entries.back();
    }
    void insert_range(std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t value = first; value < end; ++value)
            insert(value);
    }
    void remove(Entry* entry) {
        space.expire(*entry, 1);
        space.remove(*entry);
        reclaimer.run_all();
    }
    const Entry* find(std::uint64_t value, Generation g = 1) const {
        return space.find(key_of(value), g);
    }
    static FlowKey key_of(std::uint64_t value) {
        FlowKey key;
        key.word.fill(~std::uint64_t{0}); // what no rule asks for
        key.word[1] = ~(low32 << 8) | value << 8;
        return key;
    }
    void expect_all_found() const {
        for (const Entry* entry : entries)
            ASSERT_EQ(find(entry->values()[0] >> 8), entry);
    }
};

TEST(DirectIndex, small_values_are_found_in_an_array_that_grows_with_them) {
    Values table;
    for (std::uint64_t value = 0; value < 4'096; ++value) {
        table.insert(value);
        ASSERT_EQ(table.space.is_direct(), value >= TupleSpace::linear_max) << value;
    }
    table.reclaimer.run_all();
    table.expect_all_found();
    EXPECT_EQ(table.find(4'096), nullptr);
    EXPECT_EQ(table.find(low32), nullptr);
    EXPECT_EQ(table.space.bound().lines, 2u) << "the slot and the entry";
    EXPECT_EQ(table.space.cost(Values::key_of(7), 1).lines, 2u);
    EXPECT_EQ(table.space.cost(Values::key_of(5'000), 1).lines, 1u);
}

TEST(DirectIndex, one_value_too_large_leaves_the_table_to_the_hash_until_it_is_empty) {
    Values table;
    table.insert_range(0, 100);
    ASSERT_TRUE(table.space.is_direct());
    table.insert(4'096);
    EXPECT_FALSE(table.space.is_direct());
    EXPECT_TRUE(table.space.is_chain());
    table.expect_all_found();
    for (Entry* entry : table.entries)
        table.remove(entry);
    table.entries.clear();
    table.insert_range(0, 100);
    EXPECT_TRUE(table.space.is_direct());
    table.expect_all_found();
}

TEST(DirectIndex, it_is_there_while_the_slots_are_not_many_for_the_entries) {
    Values table;
    table.insert(1'023); // 1,024 slots, 2 for each of 512 entries
    for (std::uint64_t value = 0; value < 600; ++value) {
        table.insert(value);
        const bool is_hashed = table.entries.size() > TupleSpace::linear_max;
        ASSERT_EQ(table.space.is_direct(), is_hashed && table.entries.size() >= 512)
            << table.entries.size();
    }
    table.expect_all_found();
    while (table.entries.size() > 1) {
        table.remove(table.entries.back());
        table.entries.pop_back();
        ASSERT_EQ(table.space.is_direct(), table.entries.size() >= 256) << table.entries.size();
    }
    table.expect_all_found();
}

TEST(DirectIndex, versions_and_priorities_of_one_value_are_the_hashs) {
    Values table;
    table.insert_range(0, 40);
    Entry* const old = table.entries[7];
    Entry* const next = table.insert(7, 1, 2);
    table.space.expire(*old, 2);
    EXPECT_TRUE(table.space.is_direct());
    EXPECT_EQ(table.find(7, 1), old);
    EXPECT_EQ(table.find(7, 2), next);
    EXPECT_EQ(table.find(8, 2), table.entries[8]);
    EXPECT_GT(table.space.bound().lines, 2u);
    EXPECT_LE(table.space.cost(Values::key_of(7), 1).lines, table.space.bound().lines);
    table.space.remove(*old);
    table.reclaimer.run_all();
    EXPECT_EQ(table.find(7, 2), next);
    EXPECT_EQ(table.space.bound().lines, 2u) << "one is left: the slot is its again";
    Entry* const above = table.insert(7, 2, 2);
    EXPECT_EQ(table.find(7, 2), above);
    table.remove(above);
    EXPECT_EQ(table.find(7, 2), next);
}

TEST(DirectIndex, more_rules_of_one_value_than_a_slot_counts_are_the_hashs) {
    Values table;
    table.insert_range(0, 40);
    for (std::uint32_t priority = 2; priority <= 0xffff; ++priority)
        table.insert(7, priority);
    ASSERT_TRUE(table.space.is_direct());
    EXPECT_EQ(table.find(7), table.entries.back());
    Entry* const beyond = table.insert(7, 0x1'0000);
    EXPECT_FALSE(table.space.is_direct());
    EXPECT_EQ(table.find(7), beyond);
    EXPECT_EQ(table.find(8), table.entries[8]);
    table.remove(beyond);
    EXPECT_FALSE(table.space.is_direct());
    EXPECT_EQ(table.find(7)->rank, make_rank(0xffff, 32));
}

TEST(DirectIndex, rules_of_another_mask_in_its_table_leave_it_or_turn_it_off) {
    Values table;
    table.insert_range(0, 40);
    Entry* const otherwise = table.space.insert({}, make_rank(0, 0), 1, 1'000);
    EXPECT_TRUE(table.space.is_direct()) << "a default behind";
    EXPECT_EQ(table.find(40), otherwise);
    table.expect_all_found();
    Pattern two_words;
    two_words.add(1, low32 << 8, 3 << 8);
    two_words.add(2, 0xff, 0xff);
    Entry* const above = table.space.insert(two_words, make_rank(9, 40), 1, 1'001);
    EXPECT_FALSE(table.space.is_direct());
    EXPECT_EQ(table.find(3), above);
    EXPECT_EQ(table.find(4), table.entries[4]);
    EXPECT_EQ(table.find(40), otherwise);
}

TEST(DirectIndex, it_costs_16_bytes_a_rule_at_most_and_gives_them_back) {
    Values table;
    table.insert_range(0, 2'100); // 4,096 slots
    table.reclaimer.run_all();
    const std::uint64_t with = table.space.memory_bytes();
    table.insert(4'096);
    table.reclaimer.run_all();
    const std::uint64_t without = table.space.memory_bytes();
    EXPECT_GT(with, without + 4'000 * 8);
    EXPECT_LT(with, without + 2'100 * 16);
}

} // namespace
} // namespace weft
