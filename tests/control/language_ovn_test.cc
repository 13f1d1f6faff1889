// What a real OVN installed, as text and back.
#include "control/language/language.hh"
#include "tests/oracle/ovs_import.hh"

#include <gtest/gtest.h>

namespace weft {

namespace {

TEST(LanguageOvn, every_recorded_flow_prints_and_parses_back) {
    const std::string text = oracle::recorded_ovn("flows-dump.txt");
    if (text.empty())
        GTEST_SKIP() << "the recording is not here";
    const auto flows = oracle::import_flows(text);
    ASSERT_TRUE(flows) << flows.error().what;
    EXPECT_EQ(flows->size(), 2'185u);
    for (const auto& flow : *flows) {
        const auto match = parse_match(print(flow.match));
        ASSERT_TRUE(match) << flow.line << "\n" << match.error().what;
        EXPECT_EQ(*match, flow.match) << flow.line << "\n" << print(flow.match);
        const auto wanted = checked(flow.actions);
        ASSERT_TRUE(wanted) << flow.line << "\n" << wanted.error().what;
        const auto actions = parse_actions(print(*wanted));
        ASSERT_TRUE(actions) << print(*wanted) << "\n" << actions.error().what;
        EXPECT_EQ(*actions, *wanted) << flow.line << "\n" << print(*wanted);
    }
}

TEST(LanguageOvn, every_recorded_group_prints_and_parses_back) {
    const auto groups = oracle::import_groups(oracle::recorded_ovn("groups.txt"));
    ASSERT_TRUE(groups) << groups.error().what;
    for (const auto& group : *groups)
        for (const BucketSettings& bucket : group.settings.buckets) {
            const auto wanted = checked(bucket.actions);
            ASSERT_TRUE(wanted) << wanted.error().what;
            EXPECT_EQ(*parse_actions(print(*wanted)), *wanted) << print(*wanted);
        }
}

} // namespace

} // namespace weft
