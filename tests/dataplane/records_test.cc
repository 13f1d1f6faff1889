// What control and workers tell each other: punts, learned addresses, packet-outs, traces.
#include "tests/dataplane/rig.hh"

#include <algorithm>

namespace weft::test {

TEST(Punts, a_punted_packet_comes_up_with_its_edits_and_is_taken) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "reg3 = 77; ip4.dst = 10.0.0.9; controller(reason=5); output(\"p2\");");
    const auto packet = udp("10.0.0.1:5 > 10.0.0.2:53").payload("to be seen");
    a.put(packet);
    rig.until([&] { return rig.told<Punted>().size() == 1 && b.waiting() == 1; });
    const Bytes edited = udp("10.0.0.1:5 > 10.0.0.9:53").payload("to be seen").bytes();
    const Punted& punted = *rig.told<Punted>()[0];
    EXPECT_EQ(punted.port, p1);
    EXPECT_EQ(punted.packet, edited);
    EXPECT_EQ(punted.packet_bytes, edited.size());
    EXPECT_EQ(get(punted.key, info(FieldId::reg3)), U128{77});
    EXPECT_EQ(b.take(), std::vector<Bytes>{edited});
    EXPECT_EQ(rig.all().taken, 1u);
    EXPECT_EQ(rig.all().made, 1u);
}

TEST(Punts, only_max_bytes_of_a_packet_come_up) {
    RingEnd a;
    Rig rig;
    rig.port("p1", a);
    rig.flow(1, "1", "controller(max_bytes=100);");
    const Bytes packet = udp("10.0.0.1:5 > 10.0.0.2:53").size(1'000).bytes();
    a.put(packet);
    rig.until([&] { return rig.told<Punted>().size() == 1; });
    EXPECT_EQ(rig.told<Punted>()[0]->packet, Bytes(packet.begin(), packet.begin() + 100));
    EXPECT_EQ(rig.told<Punted>()[0]->packet_bytes, 1'000u);
    EXPECT_EQ(rig.all().taken, 1u);
    EXPECT_EQ(rig.all().made, 0u);
}

TEST(Punts, a_flood_of_punts_is_held_to_its_rate_and_refills_with_the_clock) {
    RingEnd a;
    Rig rig{{.manual_clock = true}};
    rig.port("p1", a);
    rig.flow(1, "1", "controller(reason=2);");
    for (const Bytes& packet : numbered(500))
        a.put(packet);
    rig.until([&] { return rig.all().received == 500; });
    rig.until_quiet();
    EXPECT_EQ(rig.told<Punted>().size(), 100u); // the burst
    EXPECT_EQ(rig.dropped(Drop::punt_rate), 400u);
    rig.dataplane->advance_clock(10); // 10 packets at 1000/s
    for (const Bytes& packet : numbered(50))
        a.put(packet);
    rig.until([&] { return rig.all().received == 550; });
    rig.until_quiet();
    EXPECT_EQ(rig.told<Punted>().size(), 110u);
    EXPECT_EQ(rig.dropped(Drop::punt_rate), 440u);
}

TEST(Punts, each_class_and_each_port_has_a_rate_of_its_own) {
    RingEnd a, b;
    Rig rig{{.manual_clock = true, .punts_burst = 10}};
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "controller(reason=2);");
    rig.flow(2, "udp.dst == 99", "controller(reason=3);");
    for (const Bytes& packet : numbered(50)) {
        a.put(packet);
        b.put(packet);
        a.put(udp("10.0.0.1:1 > 10.0.0.2:99"));
    }
    rig.until([&] { return rig.all().received == 150; });
    rig.until_quiet();
    EXPECT_EQ(rig.told<Punted>().size(), 30u);
}

TEST(Punts, a_full_record_queue_is_a_named_drop_and_answers_still_get_through) {
    RingEnd a;
    Rig rig{{.punts_per_s = 1'000'000, .punts_burst = 1'000'000}};
    const PortId p1 = rig.port("p1", a);
    rig.flow(1, "1", "controller();");
    const auto packet = numbered(1)[0];
    std::uint64_t put = 0;
    // Nobody reads the records meanwhile.
    while (rig.dropped(Drop::punt_queue_full) == 0) {
        for (int i = 0; i < 500; ++i, ++put)
            a.put(packet);
        while (!a.all_read()) {}
    }
    const auto ticket =
        rig.dataplane->packet_out(p1, BridgeId::main, rig.program("drop;"), numbered(1)[0]);
    rig.until([&] { return rig.told<PacketOutDone>().size() == 1; });
    EXPECT_EQ(rig.told<PacketOutDone>()[0]->ticket, ticket);
    EXPECT_TRUE(rig.told<PacketOutDone>()[0]->sent);
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, put);
    EXPECT_EQ(rig.all().taken, rig.told<Punted>().size());
}

TEST(Learned, a_new_source_is_told_once_however_many_packets_it_sends) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "output(normal);");
    for (const Bytes& packet : numbered(64))
        a.put(packet);
    rig.until([&] { return b.waiting() == 64 && !rig.told<MacSeen>().empty(); });
    EXPECT_EQ(rig.told<MacSeen>().size(), 1u);
    EXPECT_EQ(rig.told<MacSeen>()[0]->learned.port, p1);
    EXPECT_EQ(rig.told<MacSeen>()[0]->learned.mac, 0x0200'0000'0001u);
}

TEST(PacketOut, its_actions_run_on_the_packet_and_it_counts_as_made) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.port("p2", b);
    const auto packet = udp("10.0.0.1:5 > 10.0.0.2:53").payload("made here");
    const auto ticket =
        rig.packet_out(p1, "eth.dst = 02:00:00:00:00:55; output(\"p2\");", packet.bytes());
    rig.until([&] { return rig.told<PacketOutDone>().size() == 1 && b.waiting() == 1; });
    EXPECT_EQ(rig.told<PacketOutDone>()[0]->ticket, ticket);
    EXPECT_TRUE(rig.told<PacketOutDone>()[0]->sent);
    EXPECT_EQ(
        b.take(),
        std::vector<Bytes>{udp("10.0.0.1:5 > 10.0.0.2:53")
                               .eth("02:00:00:00:00:01 > 02:00:00:00:00:55")
                               .payload("made here")
                               .bytes()}
    );
    EXPECT_EQ(rig.all().made, 1u);
    EXPECT_EQ(rig.all().received, 0u);
    EXPECT_EQ(rig.all().sent, 1u);
}

TEST(PacketOut, large_empty_and_many_packets_go_out_from_any_port_and_none) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a, {.mtu = 9'000});
    rig.port("p2", b, {.mtu = 9'000});
    const Bytes jumbo = udp("10.0.0.1:5 > 10.0.0.2:53").size(8'000).bytes();
    rig.packet_out(p1, "output(\"p2\");", jumbo);
    rig.packet_out(PortId::none, "output(\"p2\");", jumbo);
    rig.packet_out(p1, "output(\"p2\");", {});
    for (const Bytes& packet : numbered(500))
        rig.packet_out(p1, "output(\"p2\"); output(\"p2\");", packet);
    rig.until([&] { return rig.told<PacketOutDone>().size() == 503; });
    EXPECT_EQ(rig.dropped(Drop::truncated), 1u);
    EXPECT_EQ(rig.all().made, 1'003u);
    EXPECT_EQ(rig.all().sent, 1'002u);
    const auto sent = b.take();
    EXPECT_EQ(std::count(sent.begin(), sent.end(), jumbo), 2);
}

TEST(PacketOut, more_than_a_worker_takes_at_once_are_refused_and_told) {
    RingEnd a;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    const auto program = rig.program("drop;");
    const Bytes packet = numbered(1)[0];
    std::size_t asked = 0;
    for (; asked < 5'000; ++asked)
        rig.dataplane->packet_out(p1, BridgeId::main, program, packet);
    rig.until([&] { return rig.told<PacketOutDone>().size() == asked; });
    std::uint64_t sent = 0;
    for (const PacketOutDone* done : rig.told<PacketOutDone>())
        sent += done->sent ? 1 : 0;
    EXPECT_GE(sent, 1'024u);
    EXPECT_EQ(rig.all().made, sent);
}

TEST(PacketOut, one_for_a_bridge_that_is_not_published_is_a_drop) {
    RingEnd a;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.dataplane->packet_out(p1, BridgeId{9}, rig.program("drop;"), numbered(1)[0]);
    rig.until([&] { return rig.told<PacketOutDone>().size() == 1; });
    EXPECT_EQ(rig.dropped(Drop::no_such_table), 1u);
}

TEST(Trace, a_story_comes_back_and_nothing_is_sent_or_counted) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    const PortId p2 = rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    const auto ticket = rig.dataplane->trace(p1, BridgeId::main, numbered(1)[0]);
    rig.until([&] { return rig.told<TraceDone>().size() == 1; });
    const TraceDone& done = *rig.told<TraceDone>()[0];
    EXPECT_EQ(done.ticket, ticket);
    ASSERT_NE(done.story, nullptr);
    EXPECT_EQ(done.story->generation, rig.tables->generation());
    const StoryStep* const begin = done.story->step.data();
    const StoryStep* const end = begin + done.story->count;
    EXPECT_TRUE(std::any_of(begin, end, [&](const StoryStep& step) {
        return step.what == StoryStep::What::output && step.port == p2;
    }));
    rig.until_quiet();
    EXPECT_EQ(b.waiting(), 0u);
    EXPECT_EQ(rig.all().made + rig.all().received, 0u);
}

TEST(Trace, an_unknown_bridge_gives_an_empty_story) {
    Rig rig;
    rig.dataplane->trace(PortId::none, BridgeId{200}, numbered(1)[0]);
    rig.until([&] { return rig.told<TraceDone>().size() == 1; });
    EXPECT_EQ(rig.told<TraceDone>()[0]->story->count, 0u);
}

TEST(Books, close_under_flood_clone_punts_packet_outs_and_drops_at_any_moment) {
    RingEnd a, b;
    RingEnd c{1, 1, 256}; // refuses most
    Rig rig{{.workers = 2, .worker_buffers = 256}};
    const PortId p1 = rig.port("p1", a);
    rig.port("p2", b);
    rig.port("p3", c);
    rig.flow(
        1, "1", "output(flood); controller(); clone { output(\"p9\"); } clone { output(\"p2\"); }"
    );
    rig.flow(2, "udp.src == 1001", "drop;");
    const auto program = rig.program("output(flood);");
    const auto packets = numbered(2, 900);
    for (int round = 0; round < 300; ++round) {
        for (int i = 0; i < 8; ++i) {
            a.put(packets[static_cast<std::size_t>(i) % 2]);
            b.put(packets[0]);
        }
        rig.dataplane->packet_out(p1, BridgeId::main, program, packets[0]);
        rig.expect_closed_books(false);
        rig.until([&] { return a.all_read() && b.all_read(); });
        b.take();
    }
    rig.until_quiet();
    rig.expect_closed_books();
    EXPECT_GT(rig.dropped(Drop::queue_full), 0u);
    EXPECT_GT(rig.dropped(Drop::punt_rate), 0u);
    EXPECT_EQ(rig.all().received, 300u * 16);
}

} // namespace weft::test
