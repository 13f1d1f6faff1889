// Limits of the tables as a whole.
#include "pipeline/burst.hh"
#include "pipeline/process.hh"
#include "pipeline/tables.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/packets.hh"
#include "tests/support/spell_out.hh"

#include <gtest/gtest.h>

#include <memory>

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

TEST(Tables, a_row_keeps_what_its_earlier_versions_counted_and_still_count) {
    test::ManualReclaimer reclaimer;
    Tables tables{{}, 1, reclaimer, 1};
    const BridgeId main = *tables.bridge_id("main");
    const PortId in = *tables.port_id(main, "in");
    tables.set_port(in, {.number = PortNumber{1}});
    const RuleSettings settings{
        .table = *tables.table_id(main, 0),
        .priority = 1,
        .match = {.terms = {Term{}}},
        .actions = {}};
    PipelineWorker worker{tables.worker_counters(0), 0};
    const auto burst = std::make_unique<Burst>();
    test::OwnedPacket owned{test::udp("10.0.0.1:5 > 10.0.0.2:53").bytes()};
    std::uint64_t packets = 0;
    const auto run = [&](const World& world) {
        burst->count = 1;
        burst->bridge = main;
        burst->ingress = in;
        burst->packet[0] = owned.packet;
        worker.now_ms = ++packets;
        process(*burst, world, worker);
    };
    Rule* rule = *tables.insert_rule(settings);
    const auto expect_all = [&] {
        const RowCounters got = tables.counters(*rule);
        EXPECT_EQ(got.packets, packets);
        EXPECT_EQ(got.bytes, packets * owned.packet.bytes);
        EXPECT_EQ(got.used_ms, packets);
    };
    for (int version = 0; version < 12; ++version) {
        const World& before = tables.commit();
        run(before);
        rule = *tables.replace_rule(rule, settings);
        run(tables.commit());
        run(before); // a worker that has not seen the commit
        expect_all();
        if (version % 3 == 2) // until then, several of them wait
            reclaimer.run_all();
        expect_all();
    }
    tables.erase_rule(rule);
    tables.commit();
    reclaimer.run_all();
}

TEST(Tables, a_port_for_which_there_is_no_room_is_none_that_packets_leave_by) {
    test::ManualReclaimer reclaimer;
    Tables tables{TableLimits{.ports = 2}, 1, reclaimer, 1};
    const BridgeId main = *tables.bridge_id("main");
    const PortId in = *tables.port_id(main, "in");
    tables.set_port(in, {.number = PortNumber{1}});
    ASSERT_TRUE(tables.port_id(main, "out").has_value());
    const action::Output output{.to = "one too many"};
    ASSERT_TRUE(tables
                    .insert_rule(
                        {.table = *tables.table_id(main, 0),
                         .priority = 1,
                         .match = {.terms = {Term{}}},
                         .actions = {Action{output}}}
                    )
                    .has_value());
    tables.commit();
    PipelineWorker worker{tables.worker_counters(0), 0};
    const auto burst = std::make_unique<Burst>();
    test::OwnedPacket owned{test::udp("10.0.0.1:5 > 10.0.0.2:53").bytes()};
    burst->count = 1;
    burst->bridge = main;
    burst->ingress = in;
    burst->packet[0] = owned.packet;
    process(*burst, tables.world(), worker);
    test::spell_out_plain(*burst);
    const std::uint16_t first = burst->effects.first[0];
    ASSERT_TRUE(first == Effect::none || burst->effects.effect[first].kind == Effect::Kind::drop);
    EXPECT_EQ(
        first == Effect::none ? burst->why[0] : burst->effects.effect[first].reason,
        Drop::no_such_port
    );
}

} // namespace
} // namespace weft
