// The dataplane's small parts by themselves.
#include "dataplane/buffers.hh"
#include "dataplane/cores.hh"
#include "dataplane/devargs.hh"
#include "dataplane/dpdk_log.hh"
#include "dataplane/pcap_input.hh"
#include "dataplane/pool.hh"
#include "dataplane/punt_rate.hh"
#include "dataplane/rx_budget.hh"
#include "dataplane/stats.hh"
#include "tests/dataplane/rig.hh"

#include <atomic>
#include <thread>

namespace weft::test {

using Cores = std::vector<unsigned>;

TEST(Cores, workers_stand_behind_the_first_core_and_share_where_there_are_too_few) {
    const auto two = lay_out_cores({}, 2, Cores{0, 1, 2, 3});
    EXPECT_EQ(two->workers, (Cores{1, 2}));
    EXPECT_EQ(two->control, (Cores{0, 3}));
    EXPECT_TRUE(two->notes.empty());
    const auto tight = lay_out_cores({}, 3, Cores{4, 9});
    EXPECT_EQ(tight->workers, (Cores{9, 9, 9}));
    EXPECT_EQ(tight->control, Cores{4});
    EXPECT_EQ(tight->notes, std::vector<std::string>{"3 workers share core 9"});
    const auto one = lay_out_cores({}, 1, Cores{5});
    EXPECT_EQ(one->workers, Cores{5});
    EXPECT_EQ(one->control, Cores{5});
    EXPECT_EQ(
        one->notes, std::vector<std::string>{"the control thread shares core 5 with workers"}
    );
}

TEST(Cores, a_list_is_taken_as_it_is_or_refused_with_a_sentence) {
    EXPECT_EQ(lay_out_cores(Cores{3, 1}, 0, Cores{0, 1, 2, 3})->workers, (Cores{3, 1}));
    EXPECT_EQ(
        lay_out_cores(Cores{7}, 0, Cores{0, 1, 2, 5}).error().what,
        "core 7: this process may run on 0-2,5 only"
    );
    EXPECT_EQ(lay_out_cores(Cores{1, 1}, 0, Cores{0, 1}).error().what, "core 1: named twice");
    EXPECT_EQ(lay_out_cores({}, 0, Cores{0, 1}).error().what, "workers 0: must be 1 to 64");
    EXPECT_EQ(lay_out_cores({}, 65, Cores{0, 1}).error().what, "workers 65: must be 1 to 64");
}

TEST(DeviceArgs, are_a_name_and_values_in_order) {
    const auto args = parse_device_args("net_pcap0,rx_pcap=a=b.pcap,rx_pcap=c,flag,n=12,x=1y");
    EXPECT_EQ(args->device, "net_pcap0");
    EXPECT_EQ(args->all("rx_pcap"), (std::vector<std::string>{"a=b.pcap", "c"}));
    EXPECT_EQ(args->find("flag"), "");
    EXPECT_EQ(args->number("n"), 12u);
    EXPECT_FALSE(args->number("x"));
    EXPECT_FALSE(args->find("none"));
    EXPECT_EQ(parse_device_args("vdev:net_null3")->device, "net_null3");
    EXPECT_EQ(parse_device_args("pci:0000:03:00.0,a=b")->device, "0000:03:00.0");
}

TEST(DpdkLog, the_reason_is_what_is_left_without_origins_and_echoes) {
    EXPECT_EQ(
        reason_in({
            "open_single_rx_pcap(): Couldn't open x.pcap: No such file or directory",
            "vdev_probe(): failed to initialize net_pcap0 device",
            "EAL: Driver cannot attach the device (net_pcap0)",
            "EAL: Failed to attach device on primary process",
        }),
        "Couldn't open x.pcap: No such file or directory"
    );
    EXPECT_EQ(reason_in({"EAL: first.", "PMD: second", "EAL: first."}), "first; second");
    EXPECT_EQ(reason_in({}), "");
}

TEST(RxBudget, gives_out_exactly_what_was_added_also_to_many_threads) {
    RxBudget budget;
    EXPECT_EQ(budget.take(32).packets, 32);
    budget.set(0);
    EXPECT_EQ(budget.take(32).packets, 0);
    budget.add(100'000);
    std::atomic<std::uint64_t> taken{0};
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed)
        threads.emplace_back([&budget, &taken, seed] {
            unsigned state = seed;
            while (budget.left() != 0) {
                const auto share = budget.take(32);
                state = state * 1'664'525 + 1'013'904'223;
                const auto unused =
                    static_cast<std::uint16_t>(share.packets == 0 ? 0 : state % share.packets);
                budget.give_back(share, unused);
                taken += static_cast<std::uint64_t>(share.packets - unused);
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(taken, 100'000u);
}

TEST(RxBudget, what_was_taken_before_it_was_set_anew_is_not_given_back) {
    RxBudget budget;
    budget.set(32);
    const auto share = budget.take(32);
    budget.set(0);
    budget.give_back(share, 32);
    EXPECT_EQ(budget.left(), 0u);
    budget.set(RxBudget::unlimited);
    budget.give_back(share, 32);
    budget.add(5);
    EXPECT_EQ(budget.left(), RxBudget::unlimited);
}

TEST(PuntBuckets, pass_a_burst_and_then_the_rate) {
    PuntBuckets buckets;
    const PuntRate rate{.per_s = 1'000, .burst = 100};
    const auto passes = [&](std::uint8_t reason, std::uint64_t from_ms, std::uint64_t to_ms) {
        std::uint64_t count = 0;
        for (std::uint64_t ms = from_ms; ms < to_ms; ++ms)
            for (int i = 0; i < 500; ++i)
                count += buckets.take(reason, ms, rate) ? 1u : 0u;
        return count;
    };
    EXPECT_EQ(passes(1, 0, 1), 100u);
    EXPECT_EQ(passes(1, 1, 1'001), 1'000u);
    EXPECT_EQ(passes(2, 1'000, 1'001), 100u);
    EXPECT_EQ(passes(1, 1'000'000, 1'000'001), 100u) << "a bucket never holds more than its burst";
    EXPECT_FALSE(buckets.take(3, 0, {.per_s = 0, .burst = 100}));
}

TEST(Ledger, shows_whole_postings_only) {
    Ledger ledger;
    std::atomic<bool> stop{false};
    std::thread worker{[&] {
        Account account;
        while (!stop) {
            account.received = 32;
            account.made = 4;
            account.sent = 30;
            account.taken = 1;
            account.drop(Drop::mtu, 5);
            ledger.post(account);
        }
    }};
    Account last;
    while (last.received < 320'000) {
        last = ledger.read();
        EXPECT_EQ(last.received + last.made, last.sent + last.taken + last.dropped_in_all());
    }
    stop = true;
    worker.join();
}

TEST(Buffers, are_plain_only_in_one_piece_of_one_owner_with_room_in_front_and_no_flags) {
    using Counts = std::initializer_list<std::uint16_t>;
    for (const std::uint16_t room : Counts{0, 1, 63, 64, 128, 0xffff})
        for (const std::uint16_t owners : Counts{0, 1, 2, 0xffff})
            for (const std::uint16_t pieces : Counts{0, 1, 2, 0xffff})
                for (const std::uint64_t flags : std::initializer_list<std::uint64_t>{
                         0, RTE_MBUF_F_RX_VLAN, RTE_MBUF_F_INDIRECT}) {
                    rte_mbuf buffer{};
                    buffer.data_off = room;
                    buffer.nb_segs = pieces;
                    buffer.port = 0xffff; // counts nothing
                    buffer.ol_flags = flags;
                    rte_mbuf_refcnt_set(&buffer, owners);
                    const bool is_plain =
                        room >= headroom_least && owners == 1 && pieces == 1 && flags == 0;
                    EXPECT_EQ(differs_from_plain(buffer) == 0, is_plain)
                        << room << ' ' << owners << ' ' << pieces << ' ' << flags;
                }
}

TEST(Pool, is_sized_from_queues_workers_endless_inputs_and_the_setting) {
    const PoolNeed plain{};
    EXPECT_GE(buffers_for(plain), 2u * 1'024 + 1'024);
    EXPECT_GT(buffers_for({.rx_queues = 4}), buffers_for(plain));
    EXPECT_GT(buffers_for({.workers = 4}), buffers_for(plain));
    EXPECT_GE(buffers_for({.endless_records = 100'000}), 100'000u + 2 * 1'024);
    EXPECT_EQ(buffers_for({.asked = 50'000}), 50'000u);
    EXPECT_EQ(buffers_for({.asked = 5}), buffers_for(plain));
}

TEST(PcapInput, counts_the_records_that_libpcap_reads) {
    TemporaryFolder folder;
    EXPECT_EQ(*count_records(write_capture(folder / "a", numbered(123))), 123u);
    EXPECT_EQ(*count_records(write_capture(folder / "b", {})), 0u);
    EXPECT_EQ(count_records(folder / "none").error().code, "bad_device");
}

} // namespace weft::test
