// A real OVN's flows, groups and meters (recorded from ovn-controller) in the engine: they import,
// they print and parse back, and packets near them do what the interpreter says, step by step.
#include "control/language/language.hh"
#include "tests/oracle/ovs_import.hh"
#include "tests/oracle/pair.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

namespace weft::oracle {
namespace {

constexpr std::size_t flow_count = 2'185, group_count = 15, meter_count = 5;
constexpr std::uint32_t port_count = 20;

class Ovn : public testing::Test {
protected:
    void SetUp() override {
        const std::string text = recorded_ovn("flows-dump.txt");
        if (text.empty())
            GTEST_SKIP() << "the recorded OVN is not here: " WEFT_SHARED_DIR "/ovn/flows-dump.txt";
        auto read = import_flows(text);
        ASSERT_TRUE(read) << read.error().what;
        flows_ = std::move(*read);
        auto groups = import_groups(recorded_ovn("groups.txt"));
        ASSERT_TRUE(groups) << groups.error().what;
        groups_ = std::move(*groups);
        auto meters = import_meters(recorded_ovn("meters.txt"));
        ASSERT_TRUE(meters) << meters.error().what;
        meters_ = std::move(*meters);
    }

    /// All of it in one generation, actions in the language's canonical form.
    std::unique_ptr<Pair> loaded() const {
        auto pair = std::make_unique<Pair>(TableLimits{});
        const BridgeId main = pair->bridge("main");
        for (std::uint32_t port = 1; port <= port_count; ++port)
            pair->port(main, "p" + std::to_string(port), {.number = PortNumber{port}});
        for (const ImportedGroup& group : groups_) {
            GroupSettings settings = group.settings;
            for (BucketSettings& bucket : settings.buckets)
                bucket.actions = *checked(bucket.actions);
            pair->group(main, group.number, settings);
        }
        for (const ImportedMeter& meter : meters_)
            pair->meter(main, meter.number);
        for (const ImportedFlow& flow : flows_)
            pair->insert(
                main, flow.table, flow.priority, flow.match, *checked(flow.actions), flow.cookie
            );
        pair->commit();
        pair->release(0);
        return pair;
    }

    Values values() const {
        Values values;
        for (const ImportedFlow& flow : flows_)
            values.add(flow.match);
        for (std::uint32_t port = 1; port <= port_count; ++port)
            values.add(FieldId::inport, U128{port});
        return values;
    }

    std::vector<ImportedFlow> flows_;
    std::vector<ImportedGroup> groups_;
    std::vector<ImportedMeter> meters_;
};

/// Where a packet stands that has come through the tables before: fields that are not its own, then
/// the table.
Actions arrive_at(const FlowKey& key, std::uint32_t table) {
    Actions actions;
    for (const FieldInfo& field : all_fields()) {
        const bool settable = !is_header_field(field.id) && !field.is_view() &&
                              field.id != FieldId::conj_id && !is_name(field.id);
        if (settable && get(key, field))
            actions.push_back({action::Set{whole(field), get(key, field), {}}});
    }
    actions.push_back({action::Goto{table}});
    return actions;
}

TEST_F(Ovn, every_recorded_flow_group_and_meter_is_understood) {
    EXPECT_EQ(flows_.size(), flow_count);
    EXPECT_EQ(groups_.size(), group_count);
    EXPECT_EQ(meters_.size(), meter_count);
    for (const ImportedMeter& meter : meters_)
        EXPECT_EQ(meter.bands.size(), 1) << meter.number;
    std::set<std::uint32_t> tables;
    for (const ImportedFlow& flow : flows_) {
        tables.insert(flow.table);
        EXPECT_FALSE(flow.match.terms.empty()) << flow.line;
        EXPECT_FALSE(flow.actions.empty()) << flow.line;
    }
    EXPECT_EQ(tables.size(), 54);
}

TEST_F(Ovn, every_recorded_row_prints_and_parses_back_to_itself) {
    for (const ImportedFlow& flow : flows_) {
        const auto match = parse_match(print(flow.match));
        ASSERT_TRUE(match) << print(flow.match) << ": " << match.error().what;
        EXPECT_EQ(*match, flow.match) << flow.line;
        const auto canonical = checked(flow.actions);
        ASSERT_TRUE(canonical) << flow.line << ": " << canonical.error().what;
        const auto actions = parse_actions(print(*canonical));
        ASSERT_TRUE(actions) << print(*canonical) << ": " << actions.error().what;
        EXPECT_EQ(*actions, *canonical) << flow.line;
    }
    for (const ImportedGroup& group : groups_)
        for (const BucketSettings& bucket : group.settings.buckets) {
            const auto canonical = checked(bucket.actions);
            ASSERT_TRUE(canonical) << canonical.error().what;
            EXPECT_EQ(*parse_actions(print(*canonical)), *canonical);
        }
}

TEST_F(Ovn, packets_near_the_flows_of_table_0_do_what_the_interpreter_says) {
    const auto pair = loaded();
    const Values near = values();
    Random random{1};
    const auto& entry = pair->rules(BridgeId::main, 0);
    for (int i = 0; i < 20'000; ++i) {
        const SpecRule& rule = entry[below(random, entry.size())];
        const FlowKey key = random_key(random, near, rule.match.terms[0]);
        const std::uint64_t number = static_cast<std::uint32_t>(key.inport());
        const auto ingress = pair->tables().port_by_number(
            BridgeId::main,
            PortNumber{static_cast<std::uint32_t>(
                number == 0 || number > port_count ? 1 + below(random, port_count) : number
            )}
        );
        const Question question{
            packet_bytes(key, below(random, 1600)), *ingress, BridgeId::main, nullptr, nullptr};
        const auto difference = pair->ask(question, 0);
        ASSERT_FALSE(difference) << "packet " << i << ": " << *difference;
    }
    std::cout << pair->tally().steps << " steps of " << pair->tally().walks << " packets\n";
}

TEST_F(Ovn, packets_near_any_flow_do_what_the_interpreter_says_from_its_table_on) {
    constexpr std::size_t starts = 700, packets_each = 32;
    const auto pair = loaded();
    const Values near = values();
    Random random{2};
    std::set<const Rule*> hit;
    for (std::size_t start = 0; start < starts; ++start) {
        const ImportedFlow& flow = flows_[(start * 97 + below(random, 97)) % flows_.size()];
        const FlowKey where = random_key(random, near, flow.match.terms[0]);
        const auto actions = std::make_shared<const Actions>(arrive_at(where, flow.table));
        const auto program = pair->compile(BridgeId::main, *actions);
        std::vector<Question> questions;
        for (std::size_t i = 0; i < packets_each; ++i) {
            FlowKey key = i == 0 ? where : random_key(random, near, flow.match.terms[0]);
            questions.push_back(
                {packet_bytes(key, below(random, 100)),
                 *pair->tables().port_by_number(
                     BridgeId::main, PortNumber{1 + static_cast<std::uint32_t>(start) % port_count}
                 ),
                 BridgeId::main,
                 actions,
                 program}
            );
        }
        const auto difference = pair->ask_burst(questions, 0);
        ASSERT_FALSE(difference) << "start " << start << ", near " << flow.line << ": "
                                 << *difference;
    }
    const auto counters = pair->compare_counters();
    EXPECT_FALSE(counters) << *counters;
    for (std::uint32_t table = 0; table < 80; ++table)
        for (const SpecRule& rule : pair->rules(BridgeId::main, table))
            if (pair->tables().counters(*rule.handle).packets != 0)
                hit.insert(rule.handle);
    const Tally& tally = pair->tally();
    std::cout << tally.walks << " packets, " << tally.steps << " steps, " << hit.size()
              << " rules hit, " << tally.outputs << " outputs, " << tally.punts << " punts, "
              << tally.buckets << " buckets\n";
    EXPECT_GE(tally.walks, starts * packets_each);
    EXPECT_GT(hit.size(), flow_count / 3);
}

} // namespace
} // namespace weft::oracle
