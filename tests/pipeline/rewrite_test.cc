#include "base/be.hh"
#include "base/field.hh"
#include "pipeline/checksum.hh"
#include "pipeline/parse.hh"
#include "pipeline/program.hh"
#include "pipeline/rewrite.hh"
#include "tests/support/packets.hh"
#include "tests/support/pcap_file.hh"
#include "tests/support/random_edit.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace weft {

namespace {

using namespace weft::test;

U128 as_value(const Bytes& bytes) {
    Bytes padded(16);
    std::copy(bytes.begin(), bytes.end(), padded.end() - static_cast<std::ptrdiff_t>(bytes.size()));
    return {load_be<std::uint64_t>(padded.data()), load_be<std::uint64_t>(padded.data() + 8)};
}

/// A packet on its way out: parsed, fields set as a walk sets them, then rewritten.
class Changed {
public:
    Changed(const Bytes& bytes, Checksum state = Checksum::unknown) : owned_{bytes} {
        owned_.packet.l4_checksum = state;
        drop_ = parse(owned_.packet, PortNumber{1}, {}, key_);
        shape_ = key_.shape();
    }
    Changed(const PacketSpec& spec, Checksum state = Checksum::unknown)
        : Changed{spec.bytes(), state} {}

    Changed& set(std::string_view field, U128 value) {
        const FieldInfo& found = info(*field_from(field));
        weft::set(key_, whole(found), value);
        edit_.dirty |= found.words();
        return *this;
    }
    Changed& set(std::string_view field, const Bytes& value) { return set(field, as_value(value)); }
    Changed& pop(std::uint8_t tags) {
        edit_.vlan_popped = tags;
        return *this;
    }
    Changed& push(std::uint16_t tpid) {
        edit_.vlan_tpid[edit_.vlan_pushed++] = tpid;
        return *this;
    }
    /// The tags that the walk ended with.
    Changed& tcis(std::uint16_t outer, std::uint16_t inner) {
        return set("vlan.tci", U128{outer}).set("vlan1.tci", U128{inner});
    }
    Bytes bytes() {
        EXPECT_EQ(drop_, Drop::none);
        std::copy_n(key_.word.begin(), std::size(edit_.word), std::begin(edit_.word));
        rewrite(owned_.packet, shape_, edit_);
        return owned_.bytes();
    }
    const Packet& packet() const { return owned_.packet; }

private:
    OwnedPacket owned_;
    FlowKey key_{};
    Edit edit_{};
    Drop drop_{};
    std::uint16_t shape_ = 0;
};

U128 n(std::uint64_t value) {
    return U128{value};
}

TEST(Rewrite, an_empty_edit_changes_nothing) {
    const Bytes before = udp("10.0.0.1:5 > 10.0.0.2:53").vlan(4).payload("hello").bytes();
    EXPECT_EQ(Changed{before}.bytes(), before);
    EXPECT_TRUE(Edit{}.empty());
}

TEST(Rewrite, ethernet_addresses_change) {
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53")}
            .set("eth.src", mac_bytes("02:00:00:00:00:aa"))
            .set("eth.dst", mac_bytes("02:00:00:00:00:bb"))
            .bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").eth("02:00:00:00:00:aa > 02:00:00:00:00:bb").bytes()
    );
}

TEST(Rewrite, ip4_addresses_ports_ttl_and_tos_change_with_their_sums) {
    EXPECT_EQ(
        Changed{tcp("10.0.0.1:4000 > 10.0.0.2:80").payload("x")}
            .set("ip4.src", ip_bytes("192.168.7.9"))
            .set("ip4.dst", ip_bytes("172.16.0.1"))
            .set("tcp.src", n(1))
            .set("tcp.dst", n(65535))
            .set("ip.ttl", n(63))
            .set("ip.dscp", n(46))
            .bytes(),
        tcp("192.168.7.9:1 > 172.16.0.1:65535").ttl(63).tos(0xb8).payload("x").bytes()
    );
}

TEST(Rewrite, ip6_addresses_ports_and_label_change_with_their_sums) {
    EXPECT_EQ(
        Changed{udp("[fd00::1]:4000 > [fd00::2]:53").payload("odd")}
            .set("ip6.src", ip_bytes("2001:db8::5"))
            .set("ip6.dst", ip_bytes("2001:db8:1::9"))
            .set("ip6.label", n(0xfedcb))
            .set("ip.ttl", n(7))
            .set("ip.tos", n(0xff))
            .set("udp.dst", n(54))
            .bytes(),
        udp("[2001:db8::5]:4000 > [2001:db8:1::9]:54")
            .label(0xfedcb)
            .ttl(7)
            .tos(0xff)
            .payload("odd")
            .bytes()
    );
}

TEST(Rewrite, icmp_type_and_code_change_and_its_sum_has_no_addresses) {
    EXPECT_EQ(
        Changed{icmp("10.0.0.1 > 10.0.0.2").payload("ping")}
            .set("icmp4.type", n(0))
            .set("ip4.src", ip_bytes("10.0.0.2"))
            .set("ip4.dst", ip_bytes("10.0.0.1"))
            .bytes(),
        icmp("10.0.0.2 > 10.0.0.1").type(0).payload("ping").bytes()
    );
}

TEST(Rewrite, icmp6_sums_follow_addresses_type_and_code) {
    EXPECT_EQ(
        Changed{icmp6("fd00::1 > fd00::2").payload("ping")}
            .set("icmp6.type", n(129))
            .set("icmp6.code", n(3))
            .set("ip6.src", ip_bytes("fd00::7"))
            .bytes(),
        icmp6("fd00::7 > fd00::2").type(129).code(3).payload("ping").bytes()
    );
}

TEST(Rewrite, neighbour_discovery_fields_change_behind_other_options) {
    EXPECT_EQ(
        Changed{nd_advert("fd00::2 > fd00::1", "fd00::2")
                    .nd_option(14, 1, Bytes(6))
                    .sll("02:00:00:00:00:01")
                    .tll("02:00:00:00:00:02")}
            .set("nd.target", ip_bytes("fd00::99"))
            .set("nd.sll", mac_bytes("0a:0b:0c:0d:0e:0f"))
            .set("nd.tll", mac_bytes("1a:1b:1c:1d:1e:1f"))
            .bytes(),
        nd_advert("fd00::2 > fd00::1", "fd00::99")
            .nd_option(14, 1, Bytes(6))
            .sll("0a:0b:0c:0d:0e:0f")
            .tll("1a:1b:1c:1d:1e:1f")
            .bytes()
    );
}

TEST(Rewrite, arp_becomes_its_answer) {
    EXPECT_EQ(
        Changed{arp_request("10.0.0.1 > 10.0.0.2")}
            .set("eth.src", mac_bytes("02:00:00:00:00:02"))
            .set("eth.dst", mac_bytes("02:00:00:00:00:01"))
            .set("arp.op", n(2))
            .set("arp.sha", mac_bytes("02:00:00:00:00:02"))
            .set("arp.spa", ip_bytes("10.0.0.2"))
            .set("arp.tha", mac_bytes("02:00:00:00:00:01"))
            .set("arp.tpa", ip_bytes("10.0.0.1"))
            .bytes(),
        arp(2, "02:00:00:00:00:02 > 02:00:00:00:00:01", "10.0.0.2 > 10.0.0.1").bytes()
    );
}

TEST(Rewrite, a_udp_sum_of_zero_over_ip4_stays_zero) {
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").no_udp_checksum()}
            .set("ip4.dst", ip_bytes("10.9.9.9"))
            .set("udp.dst", n(99))
            .bytes(),
        udp("10.0.0.1:5 > 10.9.9.9:99").no_udp_checksum().bytes()
    );
}

TEST(Rewrite, a_udp_sum_that_becomes_zero_is_written_as_ffff) {
    // The destination port is what is missing to a sum of 0xffff.
    const Bytes with_zero_port = udp("10.0.0.1:5 > 10.0.0.2:0").bytes();
    const auto missing = load_be<std::uint16_t>(&with_zero_port[40]);
    const Bytes after = Changed{udp("10.0.0.1:5 > 10.0.0.2:53")}.set("udp.dst", n(missing)).bytes();
    EXPECT_EQ(load_be<std::uint16_t>(&after[40]), 0xffff);
    EXPECT_TRUE(checksums_ok(after));
}

TEST(Rewrite, a_wrong_sum_stays_wrong_by_as_much) {
    EXPECT_EQ(
        Changed{tcp("10.0.0.1:5 > 10.0.0.2:53").wrong_checksum(1)}
            .set("ip4.dst", ip_bytes("10.0.0.3"))
            .bytes(),
        tcp("10.0.0.1:5 > 10.0.0.3:53").wrong_checksum(1).bytes()
    );
}

Changed partial(PacketSpec spec) {
    return {spec.partial_checksum(), Checksum::partial};
}

TEST(Rewrite, a_partial_sum_follows_addresses_and_not_ports) {
    EXPECT_EQ(
        partial(tcp("10.0.0.1:5 > 10.0.0.2:53").payload("x"))
            .set("ip4.dst", ip_bytes("10.77.0.3"))
            .set("tcp.dst", n(443))
            .set("ip.ttl", n(3))
            .bytes(),
        tcp("10.0.0.1:5 > 10.77.0.3:443").ttl(3).partial_checksum().payload("x").bytes()
    );
    EXPECT_EQ(
        partial(udp("[fd00::1]:5 > [fd00::2]:53"))
            .set("ip6.src", ip_bytes("fd00::aaaa:bbbb"))
            .set("udp.src", n(6))
            .bytes(),
        udp("[fd00::aaaa:bbbb]:6 > [fd00::2]:53").partial_checksum().bytes()
    );
}

TEST(Rewrite, sctps_crc_follows_its_ports) {
    EXPECT_EQ(
        Changed{sctp("10.0.0.1:5 > 10.0.0.2:53").size(1473)}
            .set("sctp.src", n(77))
            .set("sctp.dst", n(78))
            .set("ip4.dst", ip_bytes("10.0.0.9"))
            .bytes(),
        sctp("10.0.0.1:77 > 10.0.0.9:78").size(1473).bytes()
    );
    EXPECT_EQ(
        Changed{sctp("[fd00::1]:5 > [fd00::2]:53").padding(6)}.set("sctp.src", n(77)).bytes(),
        sctp("[fd00::1]:77 > [fd00::2]:53").padding(6).bytes()
    );
}

TEST(Rewrite, a_wrong_crc_stays_wrong) {
    const Bytes after = Changed{sctp("10.0.0.1:5 > 10.0.0.2:53").wrong_checksum().size(80)}
                            .set("sctp.src", n(77))
                            .bytes();
    EXPECT_FALSE(checksums_ok(after));
}

TEST(Rewrite, a_destination_on_the_way_is_not_in_the_sum) {
    EXPECT_EQ(
        Changed{udp("[fd00::1]:5 > [fd00::2]:53").routing(1)}
            .set("ip6.dst", ip_bytes("fd00::3"))
            .set("ip6.src", ip_bytes("fd00::4"))
            .bytes(),
        udp("[fd00::4]:5 > [fd00::3]:53").routing(1).bytes()
    );
    EXPECT_EQ(
        Changed{udp("[fd00::1]:5 > [fd00::2]:53").routing(0)}
            .set("ip6.dst", ip_bytes("fd00::3"))
            .bytes(),
        udp("[fd00::1]:5 > [fd00::3]:53").routing(0).bytes()
    );
}

TEST(Rewrite, all_fragments_of_a_packet_fit_together_afterwards) {
    const auto before = udp("10.0.0.1:5 > 10.0.0.2:53").size(300).fragments(64);
    const auto after = udp("10.3.0.1:5 > 10.4.0.2:53").ttl(9).size(300).fragments(64);
    ASSERT_EQ(before.size(), 5u);
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(
            Changed{before[i]}
                .set("ip4.src", ip_bytes("10.3.0.1"))
                .set("ip4.dst", ip_bytes("10.4.0.2"))
                .set("ip.ttl", n(9))
                .bytes(),
            after[i]
        );
}

TEST(Rewrite, all_ip6_fragments_of_a_packet_fit_together_afterwards) {
    const auto before = tcp("[fd00::1]:5 > [fd00::2]:53").size(300).fragments(80);
    const auto after = tcp("[fd00::9]:5 > [fd00::2]:53").size(300).fragments(80);
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(Changed{before[i]}.set("ip6.src", ip_bytes("fd00::9")).bytes(), after[i]);
}

TEST(Rewrite, a_tag_is_pushed_in_front_of_the_type) {
    Changed packet{udp("10.0.0.1:5 > 10.0.0.2:53")};
    EXPECT_EQ(
        packet.push(0x8100).tcis(10, 0).bytes(), udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10).bytes()
    );
    EXPECT_EQ(packet.packet().l2_bytes, 18);
    EXPECT_EQ(packet.packet().l3_offset, 18);
    EXPECT_EQ(packet.packet().l4_offset, 38);
    EXPECT_EQ(packet.packet().bytes, 46u);
    EXPECT_EQ(packet.packet().headroom_bytes, OwnedPacket::headroom - 4);
}

TEST(Rewrite, two_tags_are_pushed_outermost_first) {
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53")}.push(0x88a8).push(0x8100).tcis(100, 10).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").qinq(100, 10).bytes()
    );
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10)}.push(0x88a8).tcis(100, 10).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").qinq(100, 10).bytes()
    );
}

TEST(Rewrite, tags_are_popped_outermost_first) {
    Changed packet{udp("10.0.0.1:5 > 10.0.0.2:53").qinq(100, 10)};
    EXPECT_EQ(packet.pop(1).tcis(10, 0).bytes(), udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10).bytes());
    EXPECT_EQ(packet.packet().headroom_bytes, OwnedPacket::headroom + 4);
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").qinq(100, 10)}.pop(2).tcis(0, 0).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").bytes()
    );
}

TEST(Rewrite, a_tag_changes_in_place_and_in_exchange) {
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10)}.set("vlan.vid", n(20)).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").vlan(20).bytes()
    );
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").qinq(1, 2)}.set("vlan1.vid", n(20)).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").qinq(1, 20).bytes()
    );
    EXPECT_EQ(
        Changed{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10)}.pop(1).push(0x88a8).tcis(30, 0).bytes(),
        udp("10.0.0.1:5 > 10.0.0.2:53").tag(0x88a8, 30).bytes()
    );
}

TEST(Rewrite, tags_and_headers_change_together) {
    EXPECT_EQ(
        Changed{tcp("10.0.0.1:5 > 10.0.0.2:53").payload("x")}
            .push(0x8100)
            .tcis(10, 0)
            .set("eth.dst", mac_bytes("02:00:00:00:00:cc"))
            .set("ip.ttl", n(63))
            .set("tcp.dst", n(54))
            .bytes(),
        tcp("10.0.0.1:5 > 10.0.0.2:54")
            .eth("02:00:00:00:00:01 > 02:00:00:00:00:cc")
            .ttl(63)
            .vlan(10)
            .payload("x")
            .bytes()
    );
}

TEST(Rewrite, fields_that_the_packet_lacks_are_left_out) {
    const Bytes before = frame(0x88cc, Bytes(40)).bytes();
    EXPECT_EQ(Changed{before}.set("ip4.dst", n(5)).set("tcp.dst", n(6)).bytes(), before);
}

/// Random edits on this packet: afterwards it parses to what the walk ended with, and its sums are
/// right if they were.
void expect_edits_hold(const Bytes& bytes, std::mt19937_64& random, const std::string& what) {
    OwnedPacket owned{bytes};
    FlowKey key;
    if (parse(owned.packet, PortNumber{1}, {}, key) != Drop::none)
        return;
    const std::uint16_t shape = key.shape();
    const bool is_third_tag = (key.word[0] >> 32 & 0xffff) == 0x8100;
    if (is_third_tag)
        return;
    const bool right = checksums_ok(bytes);
    const RandomEdit made = random_edit(key, random);
    rewrite(owned.packet, shape, made.edit);

    OwnedPacket again{owned.bytes()};
    FlowKey after;
    ASSERT_EQ(parse(again.packet, PortNumber{1}, {}, after), Drop::none) << what;
    ASSERT_EQ(after.word, made.key.word) << what;
    ASSERT_EQ(again.packet.l2_bytes, owned.packet.l2_bytes) << what;
    ASSERT_EQ(again.packet.l3_offset, owned.packet.l3_offset) << what;
    ASSERT_EQ(again.packet.l4_offset, owned.packet.l4_offset) << what;
    ASSERT_EQ(again.packet.bytes, owned.packet.bytes) << what;
    if (right)
        ASSERT_TRUE(checksums_ok(owned.bytes())) << what;
    else
        ASSERT_FALSE(checksums_ok(owned.bytes())) << what;
}

std::vector<PacketSpec> one_of_each() {
    return {
        udp("10.0.0.1:5 > 10.0.0.2:53").payload("hello"),
        udp("10.0.0.1:5 > 10.0.0.2:53").wrong_checksum(7).padding(9),
        tcp("10.0.0.1:5 > 10.0.0.2:53").vlan(4).ip_options(Bytes(8)).size(90),
        tcp("10.0.0.1:5 > 10.0.0.2:53").snap().wrong_checksum(0x8000).size(91),
        tcp("[fd00::1]:5 > [fd00::2]:53").qinq(4, 5).wrong_checksum(1),
        udp("[fd00::1]:5 > [fd00::2]:53").extension(0).routing(1).extension(51).payload("abc"),
        sctp("[fd00::1]:5 > [fd00::2]:53").extension(60, Bytes(30)).size(200),
        sctp("10.0.0.1:5 > 10.0.0.2:53").wrong_checksum(1).vlan(5).size(133),
        icmp("10.0.0.1 > 10.0.0.2").payload("x"),
        icmp6("fd00::1 > fd00::2").payload("xy"),
        igmp("10.0.0.1 > 239.0.0.1"),
        nd_solicit("fd00::1 > fd00::2", "fd00::2").sll("02:00:00:00:00:01").vlan(6),
        nd_advert("fd00::1 > fd00::2", "fd00::2")
            .nd_option(14, 2, Bytes(14))
            .tll("02:00:00:00:00:02"),
        arp_request("10.0.0.1 > 10.0.0.2").qinq(9, 8),
        frame(0x88cc, Bytes(40)),
    };
}

TEST(Rewrite, random_edits_hold_and_sums_stay_as_right_as_they_were) {
    constexpr std::uint64_t seed = 20'260'102;
    std::mt19937_64 random{seed};
    const auto specs = one_of_each();
    for (int round = 0; round < 60'000; ++round)
        ASSERT_NO_FATAL_FAILURE(expect_edits_hold(
            specs[random() % specs.size()].bytes(),
            random,
            "seed " + std::to_string(seed) + " round " + std::to_string(round)
        ));
}

TEST(Rewrite, a_hop_is_the_edit_that_it_stands_for) {
    for (const PacketSpec& spec : one_of_each())
        for (unsigned what = 0; what < 8; ++what) {
            Hop hop;
            if ((what & 1) != 0) // what came first counts nothing
                hop = with_address(with_address(hop, 1, ~0ull), 1, 0x0200'0000'00aa'1234);
            if ((what & 2) != 0)
                hop = with_address(hop, 2, 0xfedc'ba98'7654'0000);
            hop.decrements_ttl = (what & 4) != 0;

            OwnedPacket short_way{spec.bytes()}, long_way{spec.bytes()};
            FlowKey key;
            for (OwnedPacket* owned : {&short_way, &long_way})
                ASSERT_EQ(parse(owned->packet, PortNumber{1}, {}, key), Drop::none);
            const Edit edit = edit_of(hop, key);
            const WordMask may = std::uint64_t{what & 3} << 1 | std::uint64_t{what & 4} << 2;
            ASSERT_EQ(edit.dirty, key.is(Shape::ip) ? may : may & ~WordMask{16});
            rewrite_hop(short_way.packet, key.shape(), hop);
            rewrite(long_way.packet, key.shape(), edit);
            ASSERT_EQ(short_way.bytes(), long_way.bytes()) << what;
            FlowKey after;
            ASSERT_EQ(parse(short_way.packet, PortNumber{1}, {}, after), Drop::none);
            ASSERT_TRUE((what & 1) == 0 || after.word[1] >> 16 == 0x0200'0000'00aa);
            ASSERT_TRUE((what & 2) == 0 || after.word[2] >> 16 == 0xfedc'ba98'7654);
            ASSERT_EQ(checksums_ok(short_way.bytes()), checksums_ok(spec.bytes()));
        }
}

TEST(Rewrite, random_edits_hold_on_real_captures) {
    constexpr std::uint64_t seed = 20'260'103;
    std::mt19937_64 random{seed};
    const auto paths = shared_pcaps();
    if (paths.empty())
        GTEST_SKIP() << "the folder of shared captures is absent";
    for (const auto& path : paths) {
        const auto file = read_pcap(path);
        ASSERT_TRUE(file) << file.error().what;
        if (file->link_type != PcapFile::ethernet)
            continue;
        for (std::size_t i = 0; i < file->packets.size(); ++i)
            ASSERT_NO_FATAL_FAILURE(expect_edits_hold(
                file->packets[i].bytes,
                random,
                path.filename().string() + " " + std::to_string(i + 1) + " seed " +
                    std::to_string(seed)
            ));
    }
}

} // namespace

} // namespace weft
