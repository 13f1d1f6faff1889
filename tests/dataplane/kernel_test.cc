// Devices of the kernel, in a network namespace of the test's own: the build runs this inside
// `unshare -Urn`, as anybody.
#include "tests/dataplane/rig.hh"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::test {

namespace {

void ip(const std::string& command) {
    EXPECT_EQ(std::system(("ip " + command).c_str()), 0) << "ip " << command;
}

/// The other end of a cable: raw frames in and out of an interface, as a machine behind it would.
class Host {
public:
    explicit Host(const std::string& interface)
        : fd_{socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))} {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
        const int yes = 1;
        EXPECT_EQ(setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof yes), 0);
        EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ~Host() { close(fd_); }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    void sends(const Bytes& frame) {
        EXPECT_EQ(send(fd_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()))
            << std::strerror(errno);
    }
    /// True once this frame came in; others are passed over, and so is what the host itself sent.
    bool has_received(const Bytes& frame) {
        Bytes buffer(70'000);
        for (;;) {
            sockaddr_ll from{};
            iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
            alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
            msghdr message{};
            message.msg_name = &from;
            message.msg_namelen = sizeof from;
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            const ssize_t bytes = recvmsg(fd_, &message, MSG_DONTWAIT);
            if (bytes < 0)
                return false;
            Bytes came(buffer.begin(), buffer.begin() + bytes);
            put_tag_back(message, came);
            if (from.sll_pkttype != PACKET_OUTGOING && came == frame)
                return true;
        }
    }

private:
    /// The kernel takes tags out of frames and tells them apart.
    static void put_tag_back(msghdr& message, Bytes& frame) {
        for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
            tpacket_auxdata told;
            std::memcpy(&told, CMSG_DATA(at), sizeof told);
            if ((told.tp_status & TP_STATUS_VLAN_VALID) == 0)
                continue;
            const std::array tag = {
                std::byte{0x81},
                std::byte{0},
                static_cast<std::byte>(told.tp_vlan_tci >> 8),
                static_cast<std::byte>(told.tp_vlan_tci)};
            frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        }
    }

    int fd_;
};

class Kernel : public testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("WEFT_TEST_NAMESPACE") == nullptr)
            GTEST_SKIP() << "runs in a network namespace of its own only";
        static const bool quiet = [] { // no frames but ours
            return std::system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
                               "net.ipv6.conf.default.disable_ipv6=1") == 0;
        }();
        static_cast<void>(quiet);
    }
    static void cable(const std::string& ours, const std::string& theirs, int mtu = 1'500) {
        ip("link add " + ours + " mtu " + std::to_string(mtu) + " type veth peer name " + theirs +
           " mtu " + std::to_string(mtu));
        ip("link set " + ours + " up");
        ip("link set " + theirs + " up");
    }
};

} // namespace

TEST_F(Kernel, packets_go_through_af_packet_devices_both_ways) {
    cable("a0", "a1");
    cable("b0", "b1");
    Rig rig;
    EXPECT_EQ(rig.info(rig.port("p1", "net_af_packet_a,iface=a0")).error, "");
    rig.port("p2", "net_af_packet_b,iface=b0");
    rig.flow(1, "inport == \"p1\"", "output(\"p2\");");
    rig.flow(1, "inport == \"p2\"", "output(\"p1\");");
    Host a{"a1"}, b{"b1"};
    const Bytes there = udp("10.0.0.1:5 > 10.0.0.2:53").size(1'400).bytes();
    const Bytes back = udp("10.0.0.2:53 > 10.0.0.1:5").vlan(7).size(90).bytes();
    a.sends(there);
    rig.until([&] { return b.has_received(there); });
    b.sends(back);
    rig.until([&] { return a.has_received(back); });
    ip("link del a0");
    ip("link del b0");
}

TEST_F(Kernel, jumbo_frames_go_through_whole_where_the_device_is_told_to_have_room) {
    cable("a0", "a1", 9'000);
    cable("b0", "b1", 9'000);
    Rig rig;
    const PortId small = rig.port("p0", "net_af_packet_s,iface=a0", {.mtu = 9'000});
    EXPECT_NE(rig.info(small).error.find("hold an mtu of 1964"), std::string::npos)
        << rig.info(small).error;
    const std::string room = ",blocksz=16384,framesz=16384,framecnt=64";
    const PortId p1 = rig.port("p1", "net_af_packet_a,iface=a0" + room, {.mtu = 9'000});
    EXPECT_EQ(rig.info(p1).error, "");
    rig.port("p2", "net_af_packet_b,iface=b0" + room, {.mtu = 9'000});
    rig.flow(1, "inport == \"p1\"", "output(\"p2\"); eth.src = 02:00:00:00:00:77; output(\"p2\");");
    Host a{"a1"}, b{"b1"};
    const Bytes frame = udp("10.0.0.1:5 > 10.0.0.2:53").size(9'014).bytes();
    a.sends(frame);
    rig.until([&] { return b.has_received(frame); });
    rig.until([&] {
        return b.has_received(udp("10.0.0.1:5 > 10.0.0.2:53")
                                  .eth("02:00:00:00:00:77 > 02:00:00:00:00:02")
                                  .size(9'014)
                                  .bytes());
    });
    ip("link del a0");
    ip("link del b0");
}

TEST_F(Kernel, a_link_that_goes_down_and_comes_up_is_told) {
    cable("a0", "a1");
    Rig rig;
    const PortId p1 = rig.port("p1", "net_af_packet_a,iface=a0");
    EXPECT_EQ(rig.states[p1], "up");
    ip("link set a1 down"); // the other end's: no carrier
    rig.until([&] { return rig.states[p1] == "down"; });
    EXPECT_FALSE(rig.info(p1).link_up);
    ip("link set a1 up");
    rig.until([&] { return rig.states[p1] == "up"; });
    ip("link set a0 down");
    rig.until([&] { return rig.states[p1] == "down"; });
    ip("link set a0 up");
    rig.until([&] { return rig.states[p1] == "up"; });
    ip("link del a0");
    rig.until([&] { return rig.states[p1] == "down"; });
    rig.erase_port(p1);
    rig.until_closed(p1);
}

TEST_F(Kernel, a_tap_works_also_after_it_moved_to_another_namespace) {
    cable("a0", "a1");
    Rig rig;
    const PortId p1 = rig.port("p1", "net_tap_a,iface=t0");
    EXPECT_EQ(rig.info(p1).error, "");
    EXPECT_EQ(rig.states[p1], "up");
    rig.port("p2", "net_af_packet_a,iface=a0");
    rig.flow(1, "inport == \"p1\"", "output(\"p2\");");
    rig.flow(1, "inport == \"p2\"", "output(\"p1\");");
    const Bytes there = udp("10.0.0.1:5 > 10.0.0.2:53").size(500).bytes();
    Host a{"a1"};
    {
        Host t{"t0"};
        t.sends(there);
        rig.until([&] { return a.has_received(there); });
        a.sends(there);
        rig.until([&] { return t.has_received(there); });
        ip("link set t0 down");
        rig.until([&] { return rig.states[p1] == "down"; });
        ip("link set t0 up");
        rig.until([&] { return rig.states[p1] == "up"; });
    }
    const pid_t other = fork();
    if (other == 0) {
        execlp("unshare", "unshare", "-n", "sleep", "60", nullptr);
        _exit(1);
    }
    // Until that process has its namespace, the move changes nothing and is tried again.
    const std::string pid = std::to_string(other);
    rig.until([&] {
        return std::system(("test \"$(readlink /proc/" + pid +
                            "/ns/net)\" != \"$(readlink /proc/self/ns/net)\"")
                               .c_str()) == 0;
    });
    ip("link set t0 netns " + pid);
    EXPECT_EQ(std::system(("nsenter -t " + pid + " -n ip link set t0 up").c_str()), 0);
    rig.until([&] { return rig.dataplane->port_info(p1)->link_up; });
    EXPECT_EQ(rig.states[p1], "up");
    const auto before = rig.dataplane->port_stats(p1).tx_packets;
    a.sends(there);
    rig.until([&] { return rig.dataplane->port_stats(p1).tx_packets == before + 1; });
    kill(other, SIGKILL); // the namespace dies, and the interface with it
    rig.until([&] { return rig.states[p1] == "down"; });
    ip("link del a0");
}

TEST_F(Kernel, several_queues_of_a_device_are_shared_out) {
    cable("a0", "a1");
    Rig rig{{.workers = 2}};
    const PortId p1 = rig.port("p1", "net_af_packet_a,iface=a0,qpairs=2", {.queues = 2});
    EXPECT_EQ(rig.info(p1).rx_queues, 2);
    rig.flow(1, "1", "drop;");
    Host a{"a1"};
    for (const Bytes& packet : numbered(200))
        a.sends(packet);
    rig.until([&] { return rig.all().received == 200; });
    EXPECT_GT(rig.stats(0).received, 0u);
    EXPECT_GT(rig.stats(1).received, 0u);
    ip("link del a0");
}

} // namespace weft::test
