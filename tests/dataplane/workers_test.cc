// Several workers: queues shared out, packets handed over, generations, grace periods.
#include "tests/dataplane/rig.hh"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace weft::test {

TEST(Workers, share_out_the_queues_of_a_device) {
    RingEnd a{4, 2}, b{1, 2};
    Rig rig{{.workers = 2}};
    rig.port("p1", a, {.queues = 4});
    rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    for (std::size_t queue = 0; queue < 4; ++queue)
        for (const Bytes& packet : numbered(100))
            a.put(packet, queue);
    rig.until([&] { return b.waiting() == 400; });
    rig.until_quiet();
    EXPECT_EQ(rig.stats(0).received, 200u);
    EXPECT_EQ(rig.stats(1).received, 200u);
}

TEST(Workers, hand_packets_over_for_a_device_with_one_transmit_queue) {
    RingEnd a{3, 1}, b{1, 1};
    Rig rig{{.workers = 3}};
    rig.port("p1", a, {.queues = 3});
    const PortId p2 = rig.port("p2", b);
    EXPECT_EQ(rig.info(p2).tx_queues, 1);
    rig.flow(1, "1", "output(\"p2\");");
    std::vector<Bytes> all;
    for (std::size_t queue = 0; queue < 3; ++queue)
        for (const Bytes& packet : numbered(200, 64, 1'000 + 1'000 * queue)) {
            a.put(packet, queue);
            all.push_back(packet);
        }
    rig.until([&] { return b.waiting() == 600; });
    rig.until_quiet();
    auto sent = b.take();
    // Each queue's packets keep their order.
    for (std::size_t queue = 0; queue < 3; ++queue) {
        const auto part = numbered(200, 64, 1'000 + 1'000 * queue);
        auto at = sent.begin();
        for (const Bytes& packet : part) {
            at = std::find(at, sent.end(), packet);
            ASSERT_NE(at, sent.end()) << "lost, or out of order";
        }
    }
    for (std::size_t worker = 0; worker < 3; ++worker) {
        EXPECT_EQ(rig.stats(worker).received, 200u);
        EXPECT_EQ(rig.stats(worker).sent, 200u);
        EXPECT_EQ(rig.stats(worker).held, 0u);
    }
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_packets, 600u);
    EXPECT_EQ(rig.dataplane->port_stats(p2).tx_bytes, 600u * 64);
}

TEST(Workers, count_what_the_device_refused_to_the_one_who_sent_it) {
    RingEnd a{2, 1};
    RingEnd b{1, 1, 64}; // holds 63
    Rig rig{{.workers = 2}};
    rig.port("p1", a, {.queues = 2});
    rig.port("p2", b);
    rig.flow(1, "1", "output(\"p2\");");
    for (const Bytes& packet : numbered(300)) {
        a.put(packet, 0);
        a.put(packet, 1);
    }
    rig.until([&] { return rig.all().received == 600; });
    rig.until_quiet();
    EXPECT_EQ(rig.all().sent, 63u);
    EXPECT_EQ(rig.dropped(Drop::queue_full) + rig.dropped(Drop::ring_full), 537u);
    for (std::size_t worker = 0; worker < 2; ++worker)
        EXPECT_EQ(rig.stats(worker).received, 300u);
}

TEST(Workers, hand_over_while_the_port_goes_away) {
    Rig rig{{.workers = 3}};
    rig.port("p1", "net_null_src,size=64", {.queues = 3});
    rig.flow(1, "1", "output(\"p2\");");
    TemporaryFolder folder;
    for (int round = 0; round < 5; ++round) {
        const PortId p2 = rig.port("p2", "net_pcap_out,tx_pcap=" + (folder / "out"));
        rig.until([&] { return rig.dataplane->port_stats(p2).tx_packets > 1'000; });
        rig.expect_closed_books(false);
        rig.dataplane->close_port(p2);
        rig.until_closed(p2);
        rig.expect_closed_books(false);
    }
}

TEST(Workers, stop_with_packets_everywhere_and_close_their_books) {
    TemporaryFolder folder;
    for (int round = 0; round < 3; ++round) {
        Rig rig{{.workers = 3}};
        rig.port("p1", "net_null_src,size=300", {.queues = 3});
        const PortId p2 = rig.port("p2", "net_pcap_out,tx_pcap=" + (folder / "out"));
        rig.flow(1, "1", "output(\"p2\"); controller(); output(\"p2\");");
        rig.until([&] { return rig.all().sent > 1'000; });
        rig.dataplane->stop();
        rig.expect_closed_books();
        EXPECT_EQ(rig.dataplane->port_stats(p2).tx_packets, rig.all().sent);
        EXPECT_EQ(read_capture(folder / "out").size(), rig.all().sent);
    }
}

TEST(Generations, every_worker_passes_a_published_one_also_when_it_sleeps) {
    Rig rig{{.workers = 2}};
    for (int i = 0; i < 50; ++i) {
        rig.flow(static_cast<std::uint32_t>(i), "1", "drop;");
        rig.until([&] { return rig.dataplane->passed(rig.tables->generation()); });
    }
    std::vector<WorkerId> laggards;
    EXPECT_FALSE(rig.dataplane->passed(never, &laggards) && !laggards.empty());
}

TEST(Generations, a_busy_worker_runs_under_the_newest_one) {
    Rig rig;
    rig.port("p1", "net_null_busy,size=64");
    rig.flow(1, "1", "drop;");
    rig.until([&] { return rig.stats(0).generation == rig.tables->generation(); });
}

/// How often a thread of this process has slept.
std::uint64_t sleeps_of(std::string_view name) {
    for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::string comm;
        std::getline(std::ifstream{task.path() / "comm"}, comm);
        if (comm != name)
            continue;
        std::ifstream status{task.path() / "status"};
        for (std::string word; status >> word;)
            if (std::uint64_t count = 0; word == "voluntary_ctxt_switches:" && status >> count)
                return count;
    }
    throw std::runtime_error{"no thread is called " + std::string{name}};
}

TEST(Monitor, leaves_control_alone_while_that_looks_by_itself) {
    Rig rig;
    const auto ignore = [](DataplaneEvent&) {};
    const auto look_for = [&](std::chrono::milliseconds time) {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end)
            rig.dataplane->poll(ignore);
    };
    look_for(std::chrono::milliseconds{5}); // so that its next turn is a long one
    const std::uint64_t before = sleeps_of("monitor");
    look_for(std::chrono::milliseconds{200});
    EXPECT_LE(sleeps_of("monitor") - before, 60u) << "200 turns of a millisecond, 20 long ones";
}

TEST(Retire, runs_after_a_publication_and_a_grace_period_and_never_in_the_call) {
    Rig rig{{.workers = 2}};
    rig.port("p1", "net_null_busy,size=64");
    rig.flow(1, "1", "drop;");
    bool freed = false;
    rig.dataplane->retire([&] { freed = true; });
    for (int i = 0; i < 100; ++i)
        rig.dataplane->poll([](DataplaneEvent&) {});
    EXPECT_FALSE(freed) << "the published world may still refer to it";
    rig.commit();
    EXPECT_FALSE(freed);
    rig.until([&] { return freed; });
}

TEST(Retire, keeps_the_order_and_takes_what_is_retired_inside) {
    Rig rig;
    std::vector<int> order;
    rig.dataplane->retire([&] {
        order.push_back(1);
        rig.dataplane->retire([&] { order.push_back(3); });
    });
    rig.dataplane->retire([&] { order.push_back(2); });
    rig.commit();
    rig.until([&] { return order.size() == 3; });
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(Retire, waits_for_the_records_that_control_has_not_read) {
    RingEnd a;
    Rig rig;
    rig.port("p1", a);
    rig.flow(1, "1", "controller();");
    a.put(numbered(1)[0]);
    while (rig.all().taken == 0)
        std::this_thread::yield();
    bool freed = false;
    bool freed_before_read = false;
    rig.dataplane->retire([&] { freed = true; });
    rig.commit();
    // No events are read: at most 0.
    for (int i = 0; i < 1'000; ++i) {
        rig.dataplane->poll([](DataplaneEvent&) {}, 0);
        freed_before_read = freed_before_read || freed;
        std::this_thread::yield();
    }
    EXPECT_FALSE(freed_before_read);
    rig.until([&] { return freed; });
    EXPECT_EQ(rig.told<Punted>().size(), 1u);
}

TEST(Retire, at_the_end_everything_has_run) {
    int freed = 0;
    {
        Rig rig;
        for (int i = 0; i < 10; ++i)
            rig.dataplane->retire([&] { ++freed; });
        rig.dataplane->stop();
        EXPECT_EQ(freed, 10);
    }
}

TEST(Rules, come_and_go_under_traffic) {
    Rig rig{{.workers = 2}};
    rig.port("p1", "net_null_src,size=64", {.queues = 2});
    rig.port("p2", "net_null_dst,no-rx=1");
    const auto match = [](int i) {
        return "eth.dst == 00:00:00:00:01:" + std::string{"0123456789abcdef"[i]} + "0";
    };
    rig.flow(1, "1", "output(\"p2\");");
    for (int round = 0; round < 30; ++round) {
        for (int i = 0; i < 16; ++i)
            rig.flow(static_cast<std::uint32_t>(100 + round), match(i), "output(\"p2\");");
        rig.until([] { return true; });
    }
    rig.until([&] { return rig.dataplane->passed(rig.tables->generation()); });
    rig.expect_closed_books(false);
}

} // namespace weft::test
