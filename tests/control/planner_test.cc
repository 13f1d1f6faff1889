#include "control/planner.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>

namespace weft::test {
namespace {

/// A table of `main` whose rules have many masks, so that plans are due as it grows.
class PlannerTest : public testing::Test {
protected:
    void commit_rules(std::uint32_t count) {
        const TableId table = *tables_.table_id(*tables_.bridge_id("main"), 1);
        const Actions none;
        constexpr std::array fields = {
            FieldId::eth_dst, FieldId::eth_src, FieldId::metadata, FieldId::reg0, FieldId::reg1};
        for (std::uint32_t i = 0; i < count; ++i, ++made_) {
            Term term;
            const FieldInfo& field = info(fields[made_ % fields.size()]);
            ASSERT_EQ(add(term, field, U128{made_}, low_bits(field.bits)), Added::possible);
            ASSERT_TRUE(tables_.insert_rule({table, made_, canonical({term}), none}));
        }
        tables_.commit();
    }
    /// Steps until nothing is left to do at once.
    std::optional<std::uint64_t> step() {
        for (;;) {
            const auto next_ms = planner_.step();
            reclaimer_.run_all();
            if (next_ms != 0u)
                return next_ms;
        }
    }
    /// Until it is made and adopted.
    void finish_plan() {
        while (step()) {}
    }

    ManualReclaimer reclaimer_;
    Tables tables_{{.rules = 100'000}, 1, reclaimer_, 1};
    Planner planner_{tables_};
    std::uint32_t made_ = 0;
};

constexpr std::uint64_t pause_ms = 10;
constexpr std::uint64_t wait_ms = 2;

TEST_F(PlannerTest, a_plan_waits_while_generations_follow_each_other) {
    for (int i = 0; i < 100; ++i) {
        commit_rules(100);
        EXPECT_EQ(step(), pause_ms) << i;
    }
    EXPECT_EQ(step(), wait_ms); // a step without a new generation: one is being made
    finish_plan();
    EXPECT_EQ(step(), std::nullopt);
}

TEST_F(PlannerTest, a_plan_does_not_wait_for_ever) {
    commit_rules(100);
    for (unsigned i = 0; i < Planner::put_off_max; ++i) {
        ASSERT_EQ(step(), pause_ms) << i;
        tables_.commit();
    }
    EXPECT_EQ(step(), wait_ms);
}

} // namespace
} // namespace weft::test
