#include "control/rows/references.hh"
#include "control/rows/store.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace weft::test {
namespace {

std::string bytes_of(std::uint32_t priority, std::string_view actions = "drop;") {
    control::Flow row;
    row.set_priority(priority);
    row.set_match("ip4");
    row.set_actions(std::string{actions});
    return row.SerializeAsString();
}

RowPtr make(const std::string& bytes, Generation generation = 1) {
    const std::size_t key = key_bytes(Relation::flow, bytes);
    RowPtr row =
        Row::make(Relation::flow, bytes, key, key_hash(std::string_view{bytes}.substr(0, key)));
    row->generation = generation;
    return row;
}

Row* find(const RowStore& store, std::uint32_t priority) {
    const std::string bytes = bytes_of(priority);
    const std::string_view key =
        std::string_view{bytes}.substr(0, key_bytes(Relation::flow, bytes));
    return store.find(Relation::flow, key, key_hash(key));
}

class Store : public testing::Test {
protected:
    void add(std::uint32_t priority, Generation generation = 1, std::string_view scope = "") {
        store_.insert(make(bytes_of(priority), generation), scope, owners_);
    }
    std::multiset<std::uint32_t> read(RowPage page, std::size_t rows_max) {
        std::multiset<std::uint32_t> priorities;
        for (;;) {
            for (const RowPtr& row : page.rows)
                priorities.insert(key_view(Relation::flow, row->key()).priority);
            if (page.cursor.empty())
                return priorities;
            page = *store_.next_page(page.cursor, {.rows = rows_max}, 0);
        }
    }
    RowStore store_{{.cursor_kept = 1'000}};
    std::vector<OwnerId> owners_{store_.holdings().owner("c", false)};
};

TEST_F(Store, agrees_with_a_map_under_random_changes) {
    std::mt19937 random{7};
    std::map<std::uint32_t, bool> naive;
    for (int i = 0; i < 50'000; ++i) {
        const auto priority = static_cast<std::uint32_t>(random() % 3'000);
        Row* row = find(store_, priority);
        ASSERT_EQ(row != nullptr, naive[priority]) << "step " << i;
        if (row == nullptr)
            add(priority);
        else
            store_.erase(*row);
        naive[priority] = row == nullptr;
    }
}

TEST_F(Store, digests_depend_on_rows_alone) {
    add(1);
    add(2);
    const auto digest = [&] {
        std::uint64_t sum = 0;
        store_.holdings().for_each([&](HoldingId, const Holdings::Holding& holding) {
            sum += holding.rows[static_cast<std::size_t>(Relation::flow)].sum.digest;
        });
        return sum;
    };
    const std::uint64_t before = digest();
    EXPECT_EQ(before, row_digest(bytes_of(1), 0) + row_digest(bytes_of(2), 0));
    store_.erase(*find(store_, 1));
    add(3);
    store_.erase(*find(store_, 3));
    add(1);
    EXPECT_EQ(digest(), before);
    store_.hold(*find(store_, 1), "", owners_, 9);
    EXPECT_NE(digest(), before) << "the version counts";
}

TEST_F(Store, rows_hang_with_their_scope_and_owners) {
    add(1, 1, "a");
    add(2, 1, "b");
    add(3, 1, "a");
    EXPECT_EQ(store_.holdings().size(), 2u);
    const HoldingId a = find(store_, 1)->holding;
    std::set<std::uint32_t> seen;
    store_.for_each_held(a, Relation::flow, [&](Row& row) {
        seen.insert(key_view(row.relation, row.key()).priority);
        store_.erase(row);
    });
    EXPECT_EQ(seen, (std::set<std::uint32_t>{1, 3}));
    EXPECT_EQ(store_.holdings().size(), 1u) << "an empty holding is forgotten";
}

TEST_F(Store, pages_are_one_snapshot_while_rows_come_and_go) {
    std::mt19937 random{11};
    for (unsigned seed = 0; seed < 20; ++seed) {
        RowStore store{{}};
        const std::vector<OwnerId> owners{store.holdings().owner("c", false)};
        Generation generation = 1;
        std::set<std::uint32_t> rows;
        const auto change = [&] {
            ++generation;
            for (int i = 0; i < 20; ++i) {
                const auto priority = static_cast<std::uint32_t>(random() % 500);
                if (Row* row = find(store, priority)) {
                    store.erase(*row);
                    rows.erase(priority);
                    if (random() % 2 == 0)
                        continue;
                }
                store.insert(make(bytes_of(priority), generation), "", owners);
                rows.insert(priority);
            }
        };
        for (int i = 0; i < 30; ++i)
            change();
        const std::set<std::uint32_t> snapshot = rows;
        RowPage page = store.first_page({.relation = Relation::flow}, {.rows = 7}, generation, 0);
        std::multiset<std::uint32_t> seen;
        for (;;) {
            for (const RowPtr& row : page.rows) {
                seen.insert(key_view(Relation::flow, row->key()).priority);
                EXPECT_LE(row->generation, page.generation);
            }
            if (page.cursor.empty())
                break;
            change();
            page = *store.next_page(page.cursor, {.rows = 7}, 0);
        }
        EXPECT_EQ(seen, (std::multiset<std::uint32_t>{snapshot.begin(), snapshot.end()}))
            << "round " << seed;
    }
}

TEST_F(Store, a_cursor_that_would_keep_too_much_is_given_up) {
    for (std::uint32_t i = 0; i < 2'000; ++i)
        add(i);
    const RowPage page = store_.first_page({.relation = Relation::flow}, {.rows = 1}, 1, 0);
    for (std::uint32_t i = 0; i < 2'000; ++i)
        store_.erase(*find(store_, i));
    EXPECT_EQ(store_.next_page(page.cursor, {.rows = 1}, 0).error().code, "cursor_expired");
    EXPECT_EQ(store_.next_page("nonsense", {.rows = 1}, 0).error().code, "cursor_expired");
}

TEST_F(Store, a_new_cursor_takes_the_place_of_the_longest_unused) {
    add(1);
    add(2);
    const RowPage first = store_.first_page({.relation = Relation::flow}, {.rows = 1}, 1, 0);
    for (std::size_t i = 0; i < store_.limits().cursors; ++i)
        (void)store_.first_page({.relation = Relation::flow}, {.rows = 1}, 1, 0);
    EXPECT_EQ(store_.cursors(), store_.limits().cursors);
    EXPECT_FALSE(store_.next_page(first.cursor, {.rows = 1}, 0));
    store_.expire_cursors(store_.limits().cursor_idle_ms + 1);
    EXPECT_EQ(store_.cursors(), 0u);
}

TEST_F(Store, filters_by_what_keys_and_holders_say) {
    add(1, 1, "a");
    add(2, 1, "b");
    EXPECT_EQ(
        read(store_.first_page({.relation = Relation::flow, .scope = "a"}, {.rows = 10}, 1, 0), 10)
            .size(),
        1u
    );
    EXPECT_EQ(
        read(store_.first_page({.relation = Relation::flow, .owner = "c"}, {.rows = 10}, 1, 0), 10)
            .size(),
        2u
    );
    EXPECT_EQ(
        read(store_.first_page({.relation = Relation::flow, .owner = "d"}, {.rows = 10}, 1, 0), 10)
            .size(),
        0u
    );
    EXPECT_EQ(
        read(
            store_.first_page({.relation = Relation::flow, .bridge = "main"}, {.rows = 10}, 1, 0),
            10
        )
            .size(),
        2u
    );
    EXPECT_EQ(
        read(store_.first_page({.relation = Relation::flow, .number = 1}, {.rows = 10}, 1, 0), 10)
            .size(),
        0u
    );
    EXPECT_EQ(
        read(store_.first_page({.relation = Relation::port}, {.rows = 10}, 1, 0), 10).size(), 0u
    );
}

TEST_F(Store, tombstones_are_bounded) {
    RowStore store{{.tombstones = 3}};
    for (int i = 0; i < 5; ++i)
        store.set_tombstone(Relation::flow, std::to_string(i), 7);
    EXPECT_EQ(store.tombstone(Relation::flow, "0"), 0u);
    EXPECT_EQ(store.tombstone(Relation::flow, "4"), 7u);
}

TEST(References_, a_thing_is_missing_while_it_is_named_and_not_made) {
    References references;
    RowPtr row = make(bytes_of(1));
    const Named port{Named::Kind::port, {}, "p1", 0};
    const auto missing = [&] {
        int count = 0;
        references.for_each_missing([&](const Entity&) { ++count; });
        return count;
    };
    references.add(*row, {{port, false, {}}, {port, true, {}}});
    EXPECT_EQ(row->reference_count, 1u);
    EXPECT_EQ(missing(), 1);
    references.provide(port);
    EXPECT_EQ(missing(), 0);
    EXPECT_TRUE(references.exists(port));
    references.withdraw(port);
    EXPECT_EQ(missing(), 1);
    references.remove(*row);
    EXPECT_EQ(missing(), 0);
    EXPECT_EQ(references.find(port), nullptr) << "nothing is left of it";
}

} // namespace
} // namespace weft::test
