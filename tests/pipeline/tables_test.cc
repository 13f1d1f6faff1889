// Limits of the tables as a whole.
#include "pipeline/tables.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Tables, counters_of_rules_that_wait_for_workers_are_bounded_and_come_back) {
    test::ManualReclaimer reclaimer;
    Tables tables{TableLimits{.rules = 10}, 1, reclaimer, 1};
    const RuleSettings settings{
        .table = *tables.table_id(*tables.bridge_id("main"), 0),
        .priority = 1,
        .match = {.terms = {Term{}}},
        .actions = {}};
    for (std::size_t made = 0; made < 2 * 10 + 4'096; ++made) {
        const auto rule = tables.insert_rule(settings);
        ASSERT_TRUE(rule.has_value()) << made;
        tables.erase_rule(*rule);
        tables.commit();
    }
    const auto refused = tables.insert_rule(settings);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, "too_many_rules");
    reclaimer.run_all();
    EXPECT_TRUE(tables.insert_rule(settings).has_value());
}

} // namespace
} // namespace weft
