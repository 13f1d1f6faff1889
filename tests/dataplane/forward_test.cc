// Packets through a whole dataplane: what comes in goes out as the rules say, and the books close.
#include "tests/dataplane/rig.hh"

#include <algorithm>

namespace weft::test {

TEST(Forward, a_packet_leaves_unchanged_at_the_port_that_its_rule_names) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    const auto packets = numbered(100);
    for (const Bytes& packet : packets)
        a.put(packet);
    rig.until([&] { return b.waiting() == 100; });
    EXPECT_EQ(b.take(), packets);
    EXPECT_EQ(a.waiting(), 0u);
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 100u);
    EXPECT_EQ(rig.all().sent, 100u);
    EXPECT_EQ(rig.all().made, 0u);
}

TEST(Forward, neighbours_that_go_to_different_ports_or_nowhere_keep_their_order) {
    RingEnd a, b, c;
    Rig rig;
    rig.port("p1", a);
    const PortId p2 = rig.port("p2", b);
    rig.port("p3", c);
    rig.flow(2, "udp.src == 0/1", "output(\"p2\");");
    rig.flow(2, "udp.src == 1/3", "output(\"p3\");");
    const auto packets = numbered(96); // the odd ones end on 1 or 3: to p3, or dropped
    for (const Bytes& packet : packets)
        a.put(packet);
    rig.until([&] { return rig.all().received == 96; });
    rig.until_quiet();
    std::vector<Bytes> to_b, to_c;
    for (std::size_t i = 0; i < packets.size(); ++i)
        if (i % 2 == 0)
            to_b.push_back(packets[i]);
        else if (i % 4 == 1)
            to_c.push_back(packets[i]);
    EXPECT_EQ(b.take(), to_b);
    EXPECT_EQ(c.take(), to_c);
    EXPECT_EQ(rig.dropped(Drop::no_match), 24u);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_packets, 48u);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_bytes, 48u * 64);
}

TEST(Forward, each_output_has_the_edits_before_it_and_no_others) {
    RingEnd a, b, c;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.port("p3", c);
    rig.flow(
        1,
        "1",
        "output(\"p2\"); ip4.src = 10.9.9.9; output(\"p3\"); udp.dst = 99; vlan.push(0x8100); "
        "vlan.vid = 7; output(\"p2\");"
    );
    const auto packet = udp("10.0.0.1:5 > 10.0.0.2:53").payload("what is carried");
    a.put(packet);
    rig.until([&] { return b.waiting() == 2 && c.waiting() == 1; });
    const auto tagged = udp("10.9.9.9:5 > 10.0.0.2:99").vlan(7).payload("what is carried");
    EXPECT_EQ(b.take(), (std::vector<Bytes>{packet.bytes(), tagged.bytes()}));
    EXPECT_EQ(
        c.take(),
        std::vector<Bytes>{udp("10.9.9.9:5 > 10.0.0.2:53").payload("what is carried").bytes()}
    );
    rig.until_quiet();
    EXPECT_EQ(rig.all().made, 2u);
    EXPECT_EQ(rig.all().sent, 3u);
}

TEST(Forward, copies_share_payload_only) {
    RingEnd a, b, c;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.port("p3", c);
    rig.flow(1, "1", "output(\"p2\"); ip4.dst = 10.0.0.77; output(\"p3\");");
    const auto packet = udp("10.0.0.1:5 > 10.0.0.2:53").size(1'400);
    a.put(packet);
    rig.until([&] { return b.waiting() == 1 && c.waiting() == 1; });
    const auto copies = b.take_buffers();
    ASSERT_EQ(copies.size(), 1u);
    EXPECT_EQ(copies[0]->nb_segs, 2);
    EXPECT_EQ(copies[0]->data_len, 256);
    EXPECT_EQ(c.take(), std::vector<Bytes>{udp("10.0.0.1:5 > 10.0.0.77:53").size(1'400).bytes()});
    // The original is gone; the copy's bytes are what they were.
    Bytes bytes(copies[0]->pkt_len);
    const auto* whole = static_cast<const std::byte*>(
        rte_pktmbuf_read(copies[0], 0, copies[0]->pkt_len, bytes.data())
    );
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), whole));
    EXPECT_EQ(bytes, packet.bytes());
    rte_pktmbuf_free(copies[0]);
}

TEST(Forward, a_flood_makes_a_copy_for_every_port_but_one) {
    RingEnd a, b, c, d;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.port("p2", b);
    rig.port("p3", c);
    rig.port("p4", d);
    rig.flow(1, "1", "output(flood);");
    const auto packets = numbered(200, 300);
    for (const Bytes& packet : packets)
        a.put(packet);
    rig.until([&] { return b.waiting() == 200 && c.waiting() == 200 && d.waiting() == 200; });
    EXPECT_EQ(b.take(), packets);
    EXPECT_EQ(c.take(), packets);
    EXPECT_EQ(d.take(), packets);
    rig.until_quiet();
    EXPECT_EQ(rig.all().made, 400u);
    EXPECT_EQ(rig.all().sent, 600u);
    EXPECT_EQ(rig.dataplane->port_stats(p1).rx_packets, 200u);
    EXPECT_EQ(rig.dataplane->port_stats(p1).rx_bytes, 200u * 300);
}

TEST(Forward, clones_and_outputs_that_cannot_be_are_all_accounted_for) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(
        1,
        "1",
        "clone { eth.dst = 02:00:00:00:00:09; output(\"p2\"); } output(\"nowhere\"); "
        "output(\"p1\"); "
        "output(\"p2\"); output(\"nowhere\");"
    );
    for (const Bytes& packet : numbered(50))
        a.put(packet);
    rig.until([&] { return a.all_read() && b.waiting() == 100; });
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 50u);
    EXPECT_EQ(rig.all().sent, 100u);
    EXPECT_EQ(rig.dropped(Drop::no_such_port), 100u);
    EXPECT_EQ(rig.dropped(Drop::output_to_ingress_port), 50u);
    EXPECT_EQ(rig.all().made, 200u);
}

TEST(Forward, a_packet_whose_outputs_are_all_impossible_is_one_drop_and_the_others_copies) {
    RingEnd a;
    Rig rig;
    rig.port("p1", a);
    rig.flow(1, "1", "output(\"nowhere\"); output(\"p1\");");
    a.put(numbered(1)[0]);
    rig.until([&] { return rig.all().received == 1; });
    EXPECT_EQ(rig.all().made, 1u);
    EXPECT_EQ(rig.dropped(Drop::no_such_port), 1u);
    EXPECT_EQ(rig.dropped(Drop::output_to_ingress_port), 1u);
}

TEST(Forward, a_truncated_output_is_cut_after_its_edits) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(
        1,
        "1",
        "output(\"p2\", max_bytes=64); vlan.push(0x8100); vlan.vid = 3; output(\"p2\", "
        "max_bytes=70);"
    );
    const Bytes payload(1'000, std::byte{0x5a});
    a.put(udp("10.0.0.1:5 > 10.0.0.2:53").payload(payload));
    rig.until([&] { return b.waiting() == 2; });
    Bytes first = udp("10.0.0.1:5 > 10.0.0.2:53").payload(payload).bytes();
    Bytes second = udp("10.0.0.1:5 > 10.0.0.2:53").vlan(3).payload(payload).bytes();
    first.resize(64);
    second.resize(70);
    EXPECT_EQ(b.take(), (std::vector<Bytes>{first, second}));
}

TEST(Forward, a_frame_larger_than_the_mtu_is_a_named_drop_and_tags_do_not_count) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b, {.mtu = 1'000});
    rig.flow(1, "1", "output(\"p2\");");
    a.put(udp("10.0.0.1:1 > 10.0.0.2:53").size(1'014));
    a.put(udp("10.0.0.1:2 > 10.0.0.2:53").size(1'015));
    a.put(udp("10.0.0.1:3 > 10.0.0.2:53").vlan(5).size(1'018));
    a.put(udp("10.0.0.1:4 > 10.0.0.2:53").vlan(5).size(1'019));
    a.put(udp("10.0.0.1:5 > 10.0.0.2:53").qinq(5, 6).size(1'022));
    a.put(udp("10.0.0.1:6 > 10.0.0.2:53").qinq(5, 6).size(1'023));
    rig.until([&] { return rig.all().received == 6; });
    rig.until_quiet();
    EXPECT_EQ(b.take().size(), 3u);
    EXPECT_EQ(rig.dropped(Drop::mtu), 3u);
}

TEST(Forward, what_a_full_device_refuses_is_dropped_at_once_by_name) {
    RingEnd a;
    RingEnd b{1, 1, 64}; // holds 63
    Rig rig;
    rig.port("p1", a);
    const PortId p2 = rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    for (const Bytes& packet : numbered(200))
        a.put(packet);
    rig.until([&] { return rig.all().received == 200; });
    rig.until_quiet();
    EXPECT_EQ(rig.all().sent, 63u);
    EXPECT_EQ(rig.dropped(Drop::queue_full), 137u);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_packets, 63u);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_bytes, 63u * 64);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_dropped, 137u);
}

TEST(Forward, packets_that_no_rule_wants_and_broken_ones_are_drops_by_name) {
    RingEnd a;
    Rig rig;
    rig.port("p1", a);
    a.put(udp("10.0.0.1:1 > 10.0.0.2:53").size(64));
    a.put(Bytes(5));
    a.put(Bytes{});
    rig.until([&] { return rig.all().received == 3; });
    EXPECT_EQ(rig.dropped(Drop::no_match), 1u);
    EXPECT_EQ(rig.dropped(Drop::truncated), 2u);
}

TEST(Forward, a_jumbo_frame_in_several_segments_goes_through_whole) {
    RingEnd a, b, c;
    Rig rig;
    rig.port("p1", a, {.mtu = 9'000});
    rig.port("p2", b, {.mtu = 9'000});
    rig.port("p3", c, {.mtu = 9'000});
    rig.flow(1, "1", "output(\"p3\"); eth.src = 02:00:00:00:00:77; output(\"p2\");");
    const auto packet = udp("10.0.0.1:5 > 10.0.0.2:53").size(9'000);
    a.put(packet);
    rig.until([&] { return b.waiting() == 1 && c.waiting() == 1; });
    EXPECT_EQ(c.take(), std::vector<Bytes>{packet.bytes()});
    EXPECT_EQ(
        b.take(),
        std::vector<Bytes>{udp("10.0.0.1:5 > 10.0.0.2:53")
                               .eth("02:00:00:00:00:77 > 02:00:00:00:00:02")
                               .size(9'000)
                               .bytes()}
    );
}

TEST(Forward, headers_that_are_scattered_over_segments_are_brought_together) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(
        1, "udp.dst == 53", "eth.dst = 02:00:00:00:00:99; ip4.src = 10.7.7.7; output(\"p2\");"
    );
    const Bytes packet = udp("10.0.0.1:5 > 10.0.0.2:53").size(700).bytes();
    const std::vector<std::vector<std::size_t>> cuts = {
        {14, 686},
        {1, 13, 20, 8, 658},
        {100, 100, 100, 400},
        {0, 700},
        {255, 445},
        {256, 444},
    };
    for (const auto& cut : cuts)
        a.put_buffer(a.segmented(packet, cut));
    rig.until([&] { return b.waiting() == cuts.size(); });
    const Bytes expected = udp("10.7.7.7:5 > 10.0.0.2:53")
                               .eth("02:00:00:00:00:01 > 02:00:00:00:00:99")
                               .size(700)
                               .bytes();
    EXPECT_EQ(b.take(), std::vector<Bytes>(cuts.size(), expected));
}

TEST(Forward, a_buffer_that_somebody_else_still_holds_is_not_written) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "eth.dst = 02:00:00:00:00:99; output(\"p2\");");
    const Bytes packet = udp("10.0.0.1:5 > 10.0.0.2:53").size(700).bytes();
    rte_mbuf* const shared = a.segmented(packet, {700});
    rte_mbuf_refcnt_update(shared, 1); // a holder besides the switch
    a.put_buffer(shared);
    rte_mbuf* const clone = rte_pktmbuf_clone(shared, a.pool());
    a.put_buffer(clone);
    rig.until([&] { return b.waiting() == 2; });
    const Bytes expected = udp("10.0.0.1:5 > 10.0.0.2:53")
                               .eth("02:00:00:00:00:01 > 02:00:00:00:00:99")
                               .size(700)
                               .bytes();
    EXPECT_EQ(b.take(), std::vector<Bytes>(2, expected));
    const auto* bytes = rte_pktmbuf_mtod(shared, const std::byte*);
    EXPECT_TRUE(std::equal(packet.begin(), packet.end(), bytes));
    rte_pktmbuf_free(shared);
}

TEST(Forward, a_chain_that_contradicts_itself_is_malformed) {
    RingEnd a;
    Rig rig;
    rig.port("p1", a);
    rig.flow(1, "1", "drop;");
    rte_mbuf* const longer = a.segmented(numbered(1, 600)[0], {300, 300});
    longer->pkt_len = 10'000;
    a.put_buffer(longer);
    rig.until([&] { return rig.all().received == 1; });
    EXPECT_EQ(rig.dropped(Drop::malformed), 1u);
}

TEST(Forward, a_partial_checksum_is_completed_for_a_port_that_cannot) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a, {.mtu = 9'000});
    rig.port("p2", b, {.mtu = 9'000});
    rig.flow(1, "1", "ip4.dst = 10.0.0.9; output(\"p2\");");
    for (const std::size_t size : {80u, 1'000u, 8'000u}) {
        const Bytes partial = tcp("10.0.0.1:5 > 10.0.0.2:80").size(size).partial_checksum().bytes();
        std::vector<std::size_t> cut = {std::min<std::size_t>(size, 2'000)};
        while (cut.back() != 0)
            cut.push_back(std::min<std::size_t>(size - cut[0] - 2'000 * (cut.size() - 1), 2'000));
        rte_mbuf* const buffer = a.segmented(partial, cut);
        buffer->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
        a.put_buffer(buffer);
    }
    rig.until([&] { return b.waiting() == 3; });
    EXPECT_EQ(
        b.take(),
        (std::vector<Bytes>{
            tcp("10.0.0.1:5 > 10.0.0.9:80").size(80).bytes(),
            tcp("10.0.0.1:5 > 10.0.0.9:80").size(1'000).bytes(),
            tcp("10.0.0.1:5 > 10.0.0.9:80").size(8'000).bytes(),
        })
    );
}

TEST(Forward, what_was_known_of_a_packet_does_not_travel_with_its_buffer) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    rte_mbuf* const buffer =
        a.segmented(tcp("10.0.0.1:5 > 10.0.0.2:80").size(80).partial_checksum().bytes(), {80});
    buffer->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    a.put_buffer(buffer);
    rig.until([&] { return b.waiting() == 1; });
    const auto sent = b.take_buffers();
    EXPECT_EQ(sent[0]->ol_flags, 0u);
    rte_pktmbuf_free(sent[0]);
}

TEST(Forward, what_a_device_said_of_a_right_packet_does_not_travel_with_its_buffer_either) {
    RingEnd a, b;
    Rig rig;
    rig.port("p1", a);
    rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    rte_mbuf* const buffer = a.segmented(tcp("10.0.0.1:5 > 10.0.0.2:80").size(80).bytes(), {80});
    buffer->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH;
    a.put_buffer(buffer);
    rig.until([&] { return b.waiting() == 1; });
    const auto sent = b.take_buffers();
    EXPECT_EQ(sent[0]->ol_flags, 0u);
    rte_pktmbuf_free(sent[0]);
}

TEST(Forward, an_empty_pool_is_a_counted_drop_of_copies) {
    RingEnd a;
    RingEnd b{1, 1, 65'536};
    Rig rig{{.worker_buffers = 512}};
    rig.port("p1", a);
    rig.port("p2", b);
    std::string actions;
    for (int i = 0; i < 20; ++i)
        actions += "output(\"p2\");";
    rig.flow(1, "1", actions);
    for (const Bytes& packet : numbered(200))
        a.put(packet);
    rig.until([&] { return rig.all().received == 200; });
    rig.until_quiet();
    EXPECT_GT(rig.dropped(Drop::no_buffers), 0u);
    EXPECT_EQ(rig.all().sent, b.waiting());
    EXPECT_GE(rig.all().sent, 200u); // the packets themselves need none
    EXPECT_EQ(rig.all().made, 200u * 19);
    b.take();
}

TEST(Forward, devices_that_make_and_swallow_packets_work) {
    Rig rig;
    const PortId p1 = rig.port("p1", "net_null_a,size=64");
    const PortId p2 = rig.port("p2", "net_null_b,no-rx=1");
    rig.flow(1, "1", "output(\"p2\");");
    rig.until([&] { return rig.dataplane->port_stats(p2).tx_packets > 100'000; });
    EXPECT_EQ(rig.info(p1).state, "up");
    rig.expect_closed_books(false);
}

} // namespace weft::test
