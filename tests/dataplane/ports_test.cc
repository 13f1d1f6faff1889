// Devices: opened, refused with a sentence, closed under traffic, held, read to the end of their
// files.
#include "tests/dataplane/rig.hh"

#include <rte_ethdev.h>

#include <fstream>
#include <sys/stat.h>

namespace weft::test {

namespace {

/// The port fails with a sentence that has all these parts, and no Ethernet device is left behind.
void expect_refused(
    const std::string& devargs, const std::vector<std::string>& parts, PortDevice device = {}
) {
    Rig rig;
    const auto before = rte_eth_dev_count_total();
    const PortId p1 = rig.port("p1", devargs, std::move(device));
    EXPECT_EQ(rig.info(p1).state, "failed") << devargs;
    for (const std::string& part : parts)
        EXPECT_NE(rig.info(p1).error.find(part), std::string::npos)
            << "\"" << rig.info(p1).error << "\" does not say \"" << part << "\"";
    EXPECT_EQ(rte_eth_dev_count_total(), before);
    // Another port is as good as ever.
    EXPECT_EQ(rig.info(rig.port("p2", "net_null_good,no-rx=1")).state, "up");
}

} // namespace

TEST(Device, a_missing_input_file_is_one_sentence) {
    expect_refused(
        "net_pcap_x,rx_pcap=/nope/in.pcap",
        {"port p1: device net_pcap_x,rx_pcap=/nope/in.pcap: ", "/nope/in.pcap", "No such file"}
    );
}

TEST(Device, an_output_file_in_a_missing_folder_is_one_sentence) {
    expect_refused("net_pcap_x,tx_pcap=/nope/out.pcap", {"port p1: ", "/nope/out.pcap"});
}

TEST(Device, a_file_that_is_no_capture_is_one_sentence) {
    TemporaryFolder folder;
    std::ofstream{folder / "text"} << "this is no capture, only some text that is long enough";
    expect_refused("net_pcap_x,rx_pcap=" + (folder / "text"), {"port p1: ", "text"});
}

TEST(Device, a_pipe_is_no_file_and_is_not_waited_for) {
    TemporaryFolder folder;
    const std::string pipe = folder / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    expect_refused("net_pcap_x,rx_pcap=" + pipe, {"port p1: ", pipe + ": must be a file"});
    expect_refused("net_pcap_x,tx_pcap=" + pipe, {"port p1: ", pipe + ": must be a file"});
    expect_refused("net_pcap_x,rx_pcap=-", {"input -: must be a file"});
}

TEST(Device, an_unknown_driver_is_one_sentence) {
    expect_refused(
        "net_magic0,key=value", {"port p1: device net_magic0,key=value: no DPDK driver"}
    );
}

TEST(Device, garbage_is_one_sentence) {
    expect_refused("", {"port p1: "});
    expect_refused(",,,", {"port p1: "});
    expect_refused("net_pcap_x\n", {"port p1: ", "control character"});
    expect_refused("net_null_x,", {}, {.queues = 2'000});
    expect_refused("net_pcap_x,no_such_key=1", {"port p1: device net_pcap_x,no_such_key=1: "});
    expect_refused("net_pcap_x,=,=,==", {"refuses the arguments"});
    expect_refused(std::string(3'000, 'x'), {"port p1: ", "3000"});
    expect_refused("net_null_" + std::string(80, 'x'), {"port p1: ", "89"});
    expect_refused("0000:ee:1f.6", {"no such PCI device"});
    expect_refused("0000:99:99.9", {"port p1: "});
    expect_refused("net_ring_x,internal=0x0", {"port p1: ", "internal="});
}

TEST(Device, a_wrong_interface_is_one_sentence) {
    expect_refused("net_af_packet_x,iface=nosuchdevice", {"port p1: ", "nosuchdevice"});
}

TEST(Device, more_queues_than_it_has_is_one_sentence) {
    TemporaryFolder folder;
    const auto file = write_capture(folder / "in", numbered(1));
    expect_refused("net_pcap_x,rx_pcap=" + file, {"queues 4", "has 1"}, {.queues = 4});
}

TEST(Device, a_pool_that_does_not_fit_names_its_size) {
    expect_refused(
        "net_null_x", {"port p1: ", "a pool of 90000000 buffers"}, {.buffers = 90'000'000}
    );
}

TEST(Device, an_mtu_that_cannot_be_is_one_sentence) {
    expect_refused("net_null_x", {"mtu 10"}, {.mtu = 10});
    expect_refused("net_null_x,size=70000", {"70000"});
}

TEST(Device, the_33rd_is_refused_and_takes_nothing_with_it) {
    Rig rig;
    const auto there = rte_eth_dev_count_total();
    std::vector<PortId> ports;
    for (int i = there; i < RTE_MAX_ETHPORTS; ++i)
        ports.push_back(
            rig.port("n" + std::to_string(i), "net_null_n" + std::to_string(i) + ",no-rx=1")
        );
    for (const PortId port : ports)
        EXPECT_EQ(rig.info(port).state, "up") << rig.info(port).error;
    const PortId last = rig.port("last", "net_null_last");
    EXPECT_EQ(rig.info(last).state, "failed");
    EXPECT_NE(rig.info(last).error.find("port last: device net_null_last: "), std::string::npos);
    EXPECT_EQ(rig.info(ports[0]).state, "up");
    rig.erase_port(ports[0]);
    rig.until_closed(ports[0]);
    const PortId again = rig.port("again", "net_null_again");
    EXPECT_EQ(rig.info(again).state, "up");
}

TEST(Device, belongs_to_one_port_at_a_time) {
    RingEnd a;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    const PortId p2 = rig.port("p2", a);
    EXPECT_EQ(rig.info(p2).state, "failed");
    EXPECT_NE(rig.info(p2).error.find("belongs to port p1"), std::string::npos)
        << rig.info(p2).error;
    EXPECT_EQ(rig.info(p1).state, "up");
}

TEST(Device, moves_to_another_port_in_one_change) {
    TemporaryFolder folder;
    const std::string devargs =
        "net_pcap_moves,rx_pcap=" + write_capture(folder / "in", numbered(10));
    Rig rig;
    const PortId p1 = rig.port("p1", devargs);
    rig.until_quiet();
    rig.erase_port(p1);
    const PortId p2 = rig.begin_port("p2", devargs);
    EXPECT_EQ(rig.info(p2).state, "opening");
    rig.until([&] { return rig.states[p2] == "up"; });
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 20u);
}

TEST(Device, opens_again_after_it_was_closed) {
    TemporaryFolder folder;
    const auto file = write_capture(folder / "in", numbered(10));
    Rig rig;
    for (const std::string& devargs :
         {"net_pcap_again,rx_pcap=" + file,
          std::string{"net_ring_again"},
          std::string{"net_null_again"}})
        for (int round = 0; round < 3; ++round) {
            const PortId p1 = rig.port("p1", devargs);
            EXPECT_EQ(rig.info(p1).state, "up") << rig.info(p1).error;
            rig.erase_port(p1);
            rig.until_closed(p1);
        }
}

TEST(Device, with_other_arguments_under_the_same_row_is_closed_and_opened) {
    RingEnd a, b;
    Rig rig;
    const PortId p1 = rig.port("p1", a);
    rig.port("p1", b);
    rig.until([&] { return rig.states[p1] == "up"; });
    rig.packet_out(PortId::none, "output(\"p1\");", numbered(1)[0]);
    rig.until([&] { return b.waiting() == 1; });
    EXPECT_EQ(a.waiting(), 0u);
}

TEST(Device, that_failed_may_be_tried_again) {
    TemporaryFolder folder;
    Rig rig;
    const std::string devargs = "net_pcap_late,rx_pcap=" + (folder / "in");
    const PortId p1 = rig.port("p1", devargs);
    EXPECT_EQ(rig.info(p1).state, "failed");
    write_capture(folder / "in", numbered(5));
    rig.port("p1", devargs);
    rig.until([&] { return rig.states[p1] == "up"; });
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 5u);
}

TEST(Device, closed_before_it_has_opened_leaves_nothing) {
    Rig rig;
    const auto before = rte_eth_dev_count_total();
    const PortId p1 = rig.begin_port("p1", "net_null_quick");
    rig.erase_port(p1);
    rig.until_closed(p1);
    EXPECT_EQ(rte_eth_dev_count_total(), before);
    EXPECT_FALSE(rig.dataplane->port_info(p1));
}

TEST(Device, goes_away_under_traffic_and_comes_back) {
    Rig rig{{.workers = 2}};
    rig.port("p1", "net_null_src,size=64");
    rig.flow(1, "1", "output(\"p2\");");
    for (int round = 0; round < 5; ++round) {
        const PortId p2 = rig.port("p2", "net_ring_dst"); // comes back in at p2, too
        rig.until([&] { return rig.dataplane->port_stats(p2).tx_packets > 10'000; });
        rig.dataplane->close_port(p2);
        rig.until_closed(p2);
        rig.expect_closed_books(false);
    }
    EXPECT_GT(rig.dropped(Drop::port_closed) + rig.dropped(Drop::port_down), 0u);
}

TEST(Device, whose_source_goes_away_under_traffic_leaves_its_packets_to_the_others) {
    Rig rig;
    rig.port("p2", "net_ring_keeps");
    rig.flow(1, "1", "output(\"p2\");");
    for (int round = 0; round < 5; ++round) {
        const PortId p1 = rig.port("p1", "net_null_goes,size=64");
        rig.until([&] { return rig.dataplane->port_stats(p1).rx_packets > 1'000; });
        rig.dataplane->close_port(p1); // the ring still holds buffers of its pool
        rig.until_closed(p1);
    }
}

TEST(Files, every_packet_goes_from_the_input_to_the_output_which_is_whole_after_stop) {
    TemporaryFolder folder;
    auto packets = numbered(2'000, 64);
    const auto jumbo = numbered(3, 5'000);
    packets.insert(packets.end(), jumbo.begin(), jumbo.end());
    const auto in = write_capture(folder / "in", packets);
    Rig rig;
    rig.flow(1, "1", "output(\"p2\");");
    rig.port("p2", "net_pcap_out,tx_pcap=" + (folder / "out"), {.mtu = 9'000});
    rig.port("p1", "net_pcap_in,rx_pcap=" + in, {.mtu = 9'000});
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, packets.size());
    rig.dataplane->stop();
    EXPECT_EQ(read_capture(folder / "out"), packets);
    EXPECT_EQ(rig.all().sent, packets.size());
}

TEST(Files, stop_in_the_middle_leaves_what_was_sent_in_the_file) {
    TemporaryFolder folder;
    const auto packets = numbered(20'000);
    const auto in = write_capture(folder / "in", packets);
    Rig rig;
    rig.flow(1, "1", "output(\"p2\");");
    rig.port("p2", "net_pcap_out,tx_pcap=" + (folder / "out"));
    rig.port("p1", "net_pcap_in,rx_pcap=" + in);
    rig.until([&] { return rig.all().received > 0; });
    rig.dataplane->stop();
    const auto out = read_capture(folder / "out");
    EXPECT_EQ(out.size(), rig.all().sent);
    EXPECT_TRUE(std::equal(out.begin(), out.end(), packets.begin()));
    EXPECT_EQ(rig.all().received, rig.all().sent);
}

TEST(Files, several_inputs_of_one_device_are_all_read) {
    TemporaryFolder folder;
    const auto a = write_capture(folder / "a", numbered(300));
    const auto b = write_capture(folder / "b", numbered(500));
    Rig rig{{.workers = 2}};
    const PortId p1 = rig.port("p1", "net_pcap_in,rx_pcap=" + a + ",rx_pcap=" + b);
    EXPECT_EQ(rig.info(p1).rx_queues, 2);
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 800u);
    EXPECT_EQ(rig.stats(0).received + rig.stats(1).received, 800u);
    EXPECT_GE(std::min(rig.stats(0).received, rig.stats(1).received), 300u);
}

TEST(Files, an_endless_input_is_never_idle) {
    TemporaryFolder folder;
    const auto in = write_capture(folder / "in", numbered(100));
    Rig rig;
    const PortId p1 = rig.port("p1", "net_pcap_in,infinite_rx=1,rx_pcap=" + in);
    EXPECT_EQ(rig.info(p1).state, "up") << rig.info(p1).error;
    rig.until([&] { return rig.all().received > 10'000; });
    EXPECT_FALSE(rig.dataplane->idle());
}

TEST(Files, an_empty_input_is_idle_at_once_and_a_cut_one_after_its_whole_records) {
    TemporaryFolder folder;
    const auto none = write_capture(folder / "none", {});
    const auto cut = write_capture(folder / "cut", numbered(10));
    std::filesystem::resize_file(cut, std::filesystem::file_size(cut) - 20);
    Rig rig;
    rig.port("p1", "net_pcap_a,rx_pcap=" + none);
    rig.port("p2", "net_pcap_b,rx_pcap=" + cut);
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 9u);
}

TEST(Hold, a_held_port_is_not_read_and_a_release_lets_exactly_so_many_in) {
    TemporaryFolder folder;
    const auto in = write_capture(folder / "in", numbered(100));
    Rig rig{{.workers = 2}};
    const PortId p1 = rig.port("p1", "net_pcap_in,rx_pcap=" + in, {.hold = true});
    EXPECT_EQ(rig.info(p1).state, "held");
    EXPECT_TRUE(rig.info(p1).link_up);
    EXPECT_FALSE(rig.dataplane->idle());
    EXPECT_EQ(rig.all().received, 0u);
    EXPECT_TRUE(rig.dataplane->release(p1, 1));
    rig.until([&] { return rig.all().received == 1; });
    EXPECT_TRUE(rig.dataplane->release(p1, 40));
    EXPECT_TRUE(rig.dataplane->release(p1, 5));
    rig.until([&] { return rig.all().received == 46; });
    EXPECT_FALSE(rig.dataplane->idle());
    EXPECT_EQ(rig.all().received, 46u);
    EXPECT_TRUE(rig.dataplane->release(p1, 0));
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 100u);
    EXPECT_EQ(rig.states[p1], "up");
    const auto refused = rig.dataplane->release(p1, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "not_held");
    EXPECT_EQ(rig.dataplane->release(PortId{999}, 1).error().code, "unknown_port");
}

TEST(Hold, each_packet_can_run_under_a_generation_of_its_own) {
    TemporaryFolder folder;
    const auto packets = numbered(20);
    const auto in = write_capture(folder / "in", packets);
    RingEnd a, b;
    Rig rig;
    rig.port("even", a);
    rig.port("odd", b);
    const PortId p1 = rig.port("p1", "net_pcap_in,rx_pcap=" + in, {.hold = true});
    for (std::uint32_t i = 0; i < 20; ++i) {
        rig.flow(i + 1, "1", i % 2 == 0 ? "output(\"even\");" : "output(\"odd\");");
        const Generation now = rig.tables->generation();
        rig.until([&] { return rig.dataplane->passed(now); });
        EXPECT_TRUE(rig.dataplane->release(p1, 1));
        rig.until([&] { return rig.all().received == i + 1; });
    }
    EXPECT_EQ(a.waiting(), 10u);
    EXPECT_EQ(b.waiting(), 10u);
}

TEST(Hold, may_be_set_again_and_forgets_what_was_released) {
    TemporaryFolder folder;
    const auto in = write_capture(folder / "in", numbered(100));
    Rig rig;
    const PortId p1 = rig.port("p1", "net_pcap_in,rx_pcap=" + in, {.hold = true});
    EXPECT_TRUE(rig.dataplane->release(p1, 10));
    rig.until([&] { return rig.all().received == 10; });
    rig.dataplane->set_hold(p1, true);
    EXPECT_TRUE(rig.dataplane->release(p1, 3));
    rig.until([&] { return rig.all().received == 13; });
    rig.dataplane->set_hold(p1, false);
    rig.until_quiet();
    EXPECT_EQ(rig.all().received, 100u);
}

} // namespace weft::test
