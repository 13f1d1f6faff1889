#include "base/be.hh"
#include "base/field.hh"
#include "pipeline/burst.hh"
#include "pipeline/parse.hh"
#include "tests/support/naive_parse.hh"
#include "tests/support/packets.hh"
#include "tests/support/pcap_file.hh"

#include <gtest/gtest.h>

#include <bit>
#include <cctype>
#include <memory>
#include <ostream>
#include <random>
#include <string>

namespace weft {

namespace {

using namespace weft::test;

constexpr PortNumber inport{7};

/// A packet after parse, asked by the names of fields.
struct Seen {
    explicit Seen(const Bytes& bytes, Depth depth = {}, std::size_t head_bytes = 0)
        : owned{bytes, head_bytes},
          drop{parse(owned.packet, inport, depth, key)} {}
    Seen(const PacketSpec& spec, Depth depth = {}) : Seen{spec.bytes(), depth} {}

    bool is(Shape shape) const { return key.is(shape); }
    std::uint64_t number(std::string_view field) const { return value(field).low; }
    /// The field's bytes, as many as it is wide.
    Bytes bytes(std::string_view field) const {
        Bytes made(16);
        store_be(made.data(), value(field).high);
        store_be(made.data() + 8, value(field).low);
        made.erase(made.begin(), made.end() - info(*field_from(field)).bits / 8);
        return made;
    }
    U128 value(std::string_view field) const { return get(key, info(*field_from(field))); }
    /// Only the bits of the shape.
    Shape shape() const { return static_cast<Shape>(key.shape()); }

    OwnedPacket owned;
    FlowKey key{};
    Drop drop;
};

constexpr Shape ip4 = Shape::ip | Shape::ip4;
constexpr Shape ip6 = Shape::ip | Shape::ip6;

TEST(Parse, reads_ethernet_ip4_and_udp) {
    const Seen seen{udp("10.0.0.1:5 > 10.0.0.2:53").ttl(9).tos(0xb8).payload("hello")};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), ip4 | Shape::udp);
    EXPECT_EQ(seen.number("inport"), 7u);
    EXPECT_EQ(seen.bytes("eth.src"), mac_bytes("02:00:00:00:00:01"));
    EXPECT_EQ(seen.bytes("eth.dst"), mac_bytes("02:00:00:00:00:02"));
    EXPECT_EQ(seen.number("eth.type"), 0x0800u);
    EXPECT_EQ(seen.bytes("ip4.src"), ip_bytes("10.0.0.1"));
    EXPECT_EQ(seen.bytes("ip4.dst"), ip_bytes("10.0.0.2"));
    EXPECT_EQ(seen.number("ip.proto"), 17u);
    EXPECT_EQ(seen.number("ip.ttl"), 9u);
    EXPECT_EQ(seen.number("ip.tos"), 0xb8u);
    EXPECT_EQ(seen.number("ip.dscp"), 46u);
    EXPECT_EQ(seen.number("ip.frag"), 0u);
    EXPECT_EQ(seen.number("udp.src"), 5u);
    EXPECT_EQ(seen.number("udp.dst"), 53u);
    EXPECT_EQ(seen.owned.packet.l2_bytes, 14);
    EXPECT_EQ(seen.owned.packet.l3_offset, 14);
    EXPECT_EQ(seen.owned.packet.l4_offset, 34);
}

TEST(Parse, reads_tcp_with_all_twelve_flags) {
    const Seen seen{tcp("10.0.0.2:5432 > 10.0.0.1:4000").flags(0xfd2)};
    EXPECT_EQ(seen.shape(), ip4 | Shape::tcp);
    EXPECT_EQ(seen.number("tcp.src"), 5432u);
    EXPECT_EQ(seen.number("tcp.dst"), 4000u);
    EXPECT_EQ(seen.number("tcp.flags"), 0xfd2u);
}

TEST(Parse, reads_sctp_icmp_and_igmp) {
    const Seen stream{sctp("10.0.0.1:36412 > 10.0.0.2:36412")};
    EXPECT_EQ(stream.shape(), ip4 | Shape::sctp);
    EXPECT_EQ(stream.number("sctp.dst"), 36412u);
    const Seen unreachable{icmp("10.0.0.1 > 10.0.0.2").type(3).code(4)};
    EXPECT_EQ(unreachable.shape(), ip4 | Shape::icmp4);
    EXPECT_EQ(unreachable.number("icmp4.type"), 3u);
    EXPECT_EQ(unreachable.number("icmp4.code"), 4u);
    const Seen report{igmp("10.0.0.1 > 239.0.0.1")};
    EXPECT_EQ(report.shape(), ip4 | Shape::igmp);
    EXPECT_EQ(report.owned.packet.l4_offset, 34);
}

TEST(Parse, reads_ip6_and_its_label) {
    const Seen seen{tcp("[fd00::1]:80 > [fd00::2]:4000").ttl(3).tos(0x12).label(0xabcde).syn()};
    EXPECT_EQ(seen.shape(), ip6 | Shape::tcp);
    EXPECT_EQ(seen.bytes("ip6.src"), ip_bytes("fd00::1"));
    EXPECT_EQ(seen.bytes("ip6.dst"), ip_bytes("fd00::2"));
    EXPECT_EQ(seen.number("ip6.label"), 0xabcdeu);
    EXPECT_EQ(seen.number("ip.ttl"), 3u);
    EXPECT_EQ(seen.number("ip.tos"), 0x12u);
    EXPECT_EQ(seen.number("ip.proto"), 6u);
    EXPECT_EQ(seen.number("tcp.flags"), 2u);
}

TEST(Parse, reads_arp_and_rarp) {
    const Seen request{arp_request("10.0.0.1 > 10.0.0.2")};
    EXPECT_EQ(request.shape(), Shape::arp);
    EXPECT_EQ(request.number("arp.op"), 1u);
    EXPECT_EQ(request.bytes("arp.spa"), ip_bytes("10.0.0.1"));
    EXPECT_EQ(request.bytes("arp.tpa"), ip_bytes("10.0.0.2"));
    EXPECT_EQ(request.bytes("arp.sha"), mac_bytes("02:00:00:00:00:01"));
    EXPECT_EQ(request.bytes("arp.tha"), mac_bytes("00:00:00:00:00:00"));
    EXPECT_EQ(request.owned.packet.l3_offset, 14);
    const Seen reverse{
        arp(3, "02:00:00:00:00:01 > 02:00:00:00:00:01", "0.0.0.0 > 0.0.0.0", 0x8035)};
    EXPECT_EQ(reverse.shape(), Shape::arp);
    EXPECT_EQ(reverse.number("arp.op"), 3u);
}

TEST(Parse, arp_for_other_addresses_or_cut_is_only_its_type) {
    const Seen cut{arp_request("10.0.0.1 > 10.0.0.2").truncate(41)};
    EXPECT_EQ(cut.drop, Drop::none);
    EXPECT_EQ(cut.shape(), Shape::none);
    EXPECT_EQ(cut.number("eth.type"), 0x0806u);
    const Seen infiniband{frame(0x0806, hex_bytes("00 20 08 00 14 04 00 01")).size(64)};
    EXPECT_EQ(infiniband.shape(), Shape::none);
    EXPECT_EQ(infiniband.owned.packet.l3_offset, 0);
}

TEST(Parse, two_vlan_tags_are_fields_and_a_third_is_a_type) {
    const Seen one{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10, 5)};
    EXPECT_EQ(one.shape(), ip4 | Shape::udp | Shape::vlan);
    EXPECT_EQ(one.number("vlan.vid"), 10u);
    EXPECT_EQ(one.number("vlan.pcp"), 5u);
    EXPECT_EQ(one.owned.packet.l2_bytes, 18);
    const Seen two{udp("10.0.0.1:5 > 10.0.0.2:53").qinq(100, 10)};
    EXPECT_EQ(two.shape(), ip4 | Shape::udp | Shape::vlan | Shape::vlan1);
    EXPECT_EQ(two.number("vlan.vid"), 100u);
    EXPECT_EQ(two.number("vlan1.vid"), 10u);
    EXPECT_EQ(two.number("udp.dst"), 53u);
    const Seen three{udp("10.0.0.1:5 > 10.0.0.2:53").tag(0x9100, 1).qinq(2, 3)};
    EXPECT_EQ(three.shape(), Shape::vlan | Shape::vlan1);
    EXPECT_EQ(three.number("eth.type"), 0x8100u);
    EXPECT_EQ(three.number("vlan1.vid"), 2u);
}

TEST(Parse, a_tag_that_the_frame_has_no_room_for_is_a_type) {
    const Seen seen{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10).truncate(17)};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), Shape::none);
    EXPECT_EQ(seen.number("eth.type"), 0x8100u);
}

TEST(Parse, frames_with_a_length_show_their_snap_type_or_none) {
    const Seen snap{udp("10.0.0.1:5 > 10.0.0.2:53").snap()};
    EXPECT_EQ(snap.number("eth.type"), 0x0800u);
    EXPECT_EQ(snap.shape(), ip4 | Shape::udp);
    EXPECT_EQ(snap.owned.packet.l3_offset, 22);
    const Seen tagged{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(4).snap()};
    EXPECT_EQ(tagged.shape(), ip4 | Shape::udp | Shape::vlan);
    EXPECT_EQ(tagged.owned.packet.l4_offset, 46);
    const Seen spanning_tree{frame(38, hex_bytes("42 42 03 00 00 00 00")).size(60)};
    EXPECT_EQ(spanning_tree.number("eth.type"), 0x05ffu);
    EXPECT_EQ(spanning_tree.drop, Drop::none);
    EXPECT_EQ(Seen{frame(0)}.number("eth.type"), 0x05ffu);
}

TEST(Parse, a_frame_without_an_ethernet_header_is_truncated) {
    EXPECT_EQ(Seen{frame(0x88cc)}.drop, Drop::none);
    EXPECT_EQ(Seen{frame(0x88cc).truncate(13)}.drop, Drop::truncated);
    EXPECT_EQ(Seen{frame(0x88cc).truncate(0)}.drop, Drop::truncated);
}

TEST(Parse, a_truncated_ip4_header_is_a_named_drop) {
    EXPECT_EQ(Seen{udp("10.0.0.1:5 > 10.0.0.2:53").truncate(33)}.drop, Drop::truncated);
    EXPECT_EQ(Seen{udp("10.0.0.1:5 > 10.0.0.2:53").truncate(14)}.drop, Drop::truncated);
}

TEST(Parse, ip4_that_ends_after_the_packet_is_truncated) {
    EXPECT_EQ(Seen{udp("10.0.0.1:5 > 10.0.0.2:53").truncate(41)}.drop, Drop::truncated);
    EXPECT_EQ(Seen{udp("10.0.0.1:5 > 10.0.0.2:53").say_ip_bytes(29)}.drop, Drop::truncated);
}

TEST(Parse, ip4_that_contradicts_itself_is_malformed) {
    const PacketSpec sane = udp("10.0.0.1:5 > 10.0.0.2:53");
    EXPECT_EQ(Seen{PacketSpec{sane}.say_ip_version(5)}.drop, Drop::malformed);
    EXPECT_EQ(Seen{PacketSpec{sane}.say_ip_header_words(4)}.drop, Drop::malformed);
    EXPECT_EQ(Seen{PacketSpec{sane}.say_ip_bytes(19)}.drop, Drop::malformed);
    EXPECT_EQ(Seen{PacketSpec{sane}.say_ip_header_words(15)}.drop, Drop::malformed);
}

TEST(Parse, l4_of_ip4_begins_behind_the_options) {
    const Seen seen{udp("10.0.0.1:5 > 10.0.0.2:53").ip_options(hex_bytes("94 04 00 00"))};
    EXPECT_EQ(seen.owned.packet.l4_offset, 38);
    EXPECT_EQ(seen.number("udp.dst"), 53u);
    const Seen most{udp("10.0.0.1:5 > 10.0.0.2:53").ip_options(Bytes(40))};
    EXPECT_EQ(most.owned.packet.l4_offset, 74);
}

TEST(Parse, what_follows_ip4s_own_length_is_padding) {
    EXPECT_EQ(Seen{udp("10.0.0.1:5 > 10.0.0.2:53").padding(18)}.shape(), ip4 | Shape::udp);
    // 24 bytes of L3: the 8 bytes behind them look like the rest of a UDP header and are none.
    const Seen seen{udp("10.0.0.1:5 > 10.0.0.2:53").say_ip_bytes(24)};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), ip4);
}

TEST(Parse, a_truncated_l4_header_leaves_ip) {
    const Seen seen{tcp("10.0.0.1:5 > 10.0.0.2:53").say_ip_bytes(39)};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), ip4);
    EXPECT_EQ(seen.number("ip.proto"), 6u);
    EXPECT_EQ(seen.key.word[4] & 0xffff'ffff, 0u);
    EXPECT_EQ(seen.owned.packet.l4_offset, 0);
    EXPECT_EQ(Seen{sctp("10.0.0.1:5 > 10.0.0.2:53").say_ip_bytes(31)}.shape(), ip4);
    EXPECT_EQ(Seen{icmp("10.0.0.1 > 10.0.0.2").say_ip_bytes(27)}.shape(), ip4);
    EXPECT_EQ(Seen{icmp6("fd00::1 > fd00::2").say_ip_bytes(3)}.shape(), ip6);
}

TEST(Parse, a_tcp_header_below_five_words_is_malformed) {
    EXPECT_EQ(Seen{tcp("10.0.0.1:5 > 10.0.0.2:53").say_tcp_header_words(4)}.drop, Drop::malformed);
    EXPECT_EQ(
        Seen{tcp("[fd00::1]:5 > [fd00::2]:53").say_tcp_header_words(0)}.drop, Drop::malformed
    );
    EXPECT_EQ(Seen{tcp("10.0.0.1:5 > 10.0.0.2:53").say_tcp_header_words(15)}.drop, Drop::none);
}

TEST(Parse, a_first_ip4_fragment_has_l4_and_a_later_one_has_none) {
    const Seen first{udp("10.0.0.1:5 > 10.0.0.2:53").fragment(0, true)};
    EXPECT_EQ(first.shape(), ip4 | Shape::udp);
    EXPECT_EQ(first.number("ip.frag"), 1u);
    EXPECT_EQ(first.number("udp.dst"), 53u);
    const Seen middle{udp("10.0.0.1:5 > 10.0.0.2:53").fragment(16, true).payload(Bytes(64))};
    EXPECT_EQ(middle.shape(), ip4);
    EXPECT_EQ(middle.number("ip.frag"), 3u);
    EXPECT_EQ(middle.number("ip.proto"), 17u);
    EXPECT_EQ(middle.key.word[4] & 0xffff'ffff, 0u);
    const Seen last{udp("10.0.0.1:5 > 10.0.0.2:53").fragment(8, false).payload(Bytes(64))};
    EXPECT_EQ(last.number("ip.frag"), 3u);
    EXPECT_EQ(last.owned.packet.l4_offset, 0);
}

TEST(Parse, a_first_ip6_fragment_has_l4_and_a_later_one_is_of_protocol_44) {
    const Seen first{udp("[fd00::1]:5 > [fd00::2]:53").fragment(0, true)};
    EXPECT_EQ(first.shape(), ip6 | Shape::udp);
    EXPECT_EQ(first.number("ip.frag"), 1u);
    EXPECT_EQ(first.number("ip.proto"), 17u);
    const Seen later{udp("[fd00::1]:5 > [fd00::2]:53").fragment(8, false).payload(Bytes(64))};
    EXPECT_EQ(later.shape(), ip6);
    EXPECT_EQ(later.number("ip.frag"), 3u);
    EXPECT_EQ(later.number("ip.proto"), 44u);
    const Seen atomic{udp("[fd00::1]:5 > [fd00::2]:53").extension(44, Bytes(6))};
    EXPECT_EQ(atomic.shape(), ip6 | Shape::udp);
    EXPECT_EQ(atomic.number("ip.frag"), 0u);
}

TEST(Parse, l4_of_ip6_stands_behind_its_extension_headers) {
    const Seen seen{udp("[fd00::1]:5 > [fd00::2]:53")
                        .extension(0)
                        .extension(60, Bytes(14))
                        .routing(1)
                        .extension(51, Bytes(10))
                        .fragment(0, true)};
    EXPECT_EQ(seen.shape(), ip6 | Shape::udp);
    EXPECT_EQ(seen.number("ip.proto"), 17u);
    EXPECT_EQ(seen.number("ip.frag"), 1u);
    EXPECT_EQ(seen.number("udp.dst"), 53u);
    EXPECT_EQ(seen.owned.packet.l4_offset, 14 + 40 + 8 + 16 + 24 + 16 + 8);
}

TEST(Parse, an_extension_header_that_cannot_be_passed_is_the_protocol) {
    const Seen cut{udp("[fd00::1]:5 > [fd00::2]:53").extension(60, Bytes(14)).say_ip_bytes(12)};
    EXPECT_EQ(cut.drop, Drop::none);
    EXPECT_EQ(cut.shape(), ip6);
    EXPECT_EQ(cut.number("ip.proto"), 60u);
    const Seen far{udp("[fd00::1]:5 > [fd00::2]:53").extension(0, Bytes(206))};
    EXPECT_EQ(far.shape(), ip6);
    EXPECT_EQ(far.number("ip.proto"), 0u);
    const Seen none{ip("fd00::1 > fd00::2", 59, Bytes(32))};
    EXPECT_EQ(none.drop, Drop::none);
    EXPECT_EQ(none.shape(), ip6);
    EXPECT_EQ(none.number("ip.proto"), 59u);
}

TEST(Parse, bad_ip6_headers_are_named_drops) {
    EXPECT_EQ(Seen{udp("[fd00::1]:5 > [fd00::2]:53").truncate(53)}.drop, Drop::truncated);
    EXPECT_EQ(Seen{udp("[fd00::1]:5 > [fd00::2]:53").say_ip_bytes(9)}.drop, Drop::truncated);
    EXPECT_EQ(Seen{udp("[fd00::1]:5 > [fd00::2]:53").say_ip_version(4)}.drop, Drop::malformed);
}

TEST(Parse, protocols_of_the_other_family_are_no_icmp) {
    EXPECT_EQ(Seen{ip("10.0.0.1 > 10.0.0.2", 58, Bytes(32))}.shape(), ip4);
    EXPECT_EQ(Seen{ip("fd00::1 > fd00::2", 1, Bytes(32))}.shape(), ip6);
    EXPECT_EQ(Seen{ip("fd00::1 > fd00::2", 2, Bytes(32))}.shape(), ip6);
}

TEST(Parse, a_neighbour_solicitation_has_target_and_source_address) {
    const Seen seen{nd_solicit("fd00::1 > ff02::1:ff00:2", "fd00::2").sll("02:00:00:00:00:01")};
    EXPECT_EQ(seen.shape(), ip6 | Shape::icmp6 | Shape::nd | Shape::nd_sll);
    EXPECT_EQ(seen.number("icmp6.type"), 135u);
    EXPECT_EQ(seen.bytes("nd.target"), ip_bytes("fd00::2"));
    EXPECT_EQ(seen.bytes("nd.sll"), mac_bytes("02:00:00:00:00:01"));
    EXPECT_EQ(seen.number("nd_options_type"), 1u);
    EXPECT_EQ(seen.number("ct_zone"), 0u);
}

TEST(Parse, a_neighbour_advertisement_has_flags_and_target_address) {
    const Seen seen{nd_advert("fd00::2 > fd00::1", "fd00::2")
                        .nd_flags(0x6000'0000)
                        .nd_option(14, 1, Bytes(6))
                        .tll("02:00:00:00:00:02")};
    EXPECT_EQ(seen.shape(), ip6 | Shape::icmp6 | Shape::nd | Shape::nd_tll);
    EXPECT_EQ(seen.bytes("nd.tll"), mac_bytes("02:00:00:00:00:02"));
    EXPECT_EQ(seen.number("nd_reserved"), 0x6000'0000u);
    EXPECT_EQ(seen.number("nd_options_type"), 14u);
}

TEST(Parse, neighbour_options_that_lie_end_the_walk) {
    const Seen empty{nd_solicit("fd00::1 > fd00::2", "fd00::2")
                         .nd_option(14, 0, Bytes(6))
                         .sll("02:00:00:00:00:01")};
    EXPECT_EQ(empty.shape(), ip6 | Shape::icmp6 | Shape::nd);
    const Seen too_long{nd_solicit("fd00::1 > fd00::2", "fd00::2").nd_option(1, 2, Bytes(6))};
    EXPECT_EQ(too_long.shape(), ip6 | Shape::icmp6 | Shape::nd);
    const Seen not_six{nd_solicit("fd00::1 > fd00::2", "fd00::2").nd_option(1, 2, Bytes(14))};
    EXPECT_EQ(not_six.shape(), ip6 | Shape::icmp6 | Shape::nd);
}

TEST(Parse, an_address_said_twice_makes_it_no_neighbour_discovery) {
    const Seen seen{nd_solicit("fd00::1 > fd00::2", "fd00::2")
                        .sll("02:00:00:00:00:01")
                        .sll("02:00:00:00:00:66")};
    EXPECT_EQ(seen.shape(), ip6 | Shape::icmp6);
    EXPECT_EQ(seen.number("nd.sll"), 0u);
    EXPECT_EQ(seen.value("nd.target"), U128{});
}

TEST(Parse, other_codes_and_cut_targets_are_no_neighbour_discovery) {
    EXPECT_EQ(Seen{nd_solicit("fd00::1 > fd00::2", "fd00::2").code(1)}.shape(), ip6 | Shape::icmp6);
    EXPECT_EQ(
        Seen{nd_solicit("fd00::1 > fd00::2", "fd00::2").say_ip_bytes(23)}.shape(),
        ip6 | Shape::icmp6
    );
}

TEST(Parse, a_jumbo_packet_needs_only_its_head) {
    const Seen seen{tcp("10.0.0.1:5 > 10.0.0.2:80").size(9014).bytes(), {}, 256};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), ip4 | Shape::tcp);
    EXPECT_EQ(seen.owned.packet.bytes, 9014u);
}

TEST(Parse, without_l3_only_ethernet_and_tags_are_read) {
    const Depth depth{.words = 0x7, .l3 = false};
    const Seen seen{udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10).say_ip_version(7), depth};
    EXPECT_EQ(seen.drop, Drop::none);
    EXPECT_EQ(seen.shape(), Shape::vlan);
    EXPECT_EQ(seen.number("eth.type"), 0x0800u);
    EXPECT_EQ(seen.key.word[3] | seen.key.word[4] | seen.key.word[5], 0u);
    EXPECT_EQ(seen.owned.packet.l3_offset, 0);
}

TEST(Parse, a_packet_with_work_for_its_sender_has_offsets_at_any_depth) {
    OwnedPacket owned{udp("10.0.0.1:5 > 10.0.0.2:53").partial_checksum()};
    owned.packet.l4_checksum = Checksum::partial;
    FlowKey key;
    EXPECT_EQ(parse(owned.packet, inport, {.words = 0x7, .l3 = false}, key), Drop::none);
    EXPECT_EQ(owned.packet.l4_offset, 34);
}

TEST(Parse, words_that_nobody_wants_are_not_read_and_wanted_ones_are_zero) {
    OwnedPacket owned{nd_solicit("fd00::1 > fd00::2", "fd00::2").sll("02:00:00:00:00:01")};
    FlowKey key;
    key.word.fill(~std::uint64_t{0});
    const Depth depth{.words = WordMask{1} << 9 | WordMask{1} << 26 | WordMask{1} << 55};
    EXPECT_EQ(parse(owned.packet, inport, depth, key), Drop::none);
    EXPECT_EQ(key.word[9] | key.word[26] | key.word[55], 0u);
    EXPECT_EQ(key.word[16], ~std::uint64_t{0});
    EXPECT_EQ(key.word[20], ~std::uint64_t{0});
}

TEST(Parse, offsets_of_the_packet_before_are_gone) {
    OwnedPacket owned{udp("10.0.0.1:5 > 10.0.0.2:53").qinq(1, 2)};
    FlowKey key;
    EXPECT_EQ(parse(owned.packet, inport, {}, key), Drop::none);
    owned.packet.head_bytes = 10;
    owned.packet.bytes = 10;
    EXPECT_EQ(parse(owned.packet, inport, {}, key), Drop::truncated);
    EXPECT_EQ(owned.packet.l2_bytes + owned.packet.l3_offset + owned.packet.l4_offset, 0);
    EXPECT_EQ(key.shape(), 0);
}

/// A burst of these packets is parsed as they are one by one; `words` are those that both fill.
void expect_burst_as_packets(const std::vector<Bytes>& all, const Depth& depth, WordMask words) {
    const auto burst = std::make_unique<Burst>();
    std::vector<OwnedPacket> packets;
    for (const Bytes& bytes : all)
        burst->packet[burst->count++] = packets.emplace_back(bytes).packet;
    for (FlowKey& key : burst->key)
        key.word.fill(~std::uint64_t{0});
    const ParsedLanes lanes = parse(*burst, inport, depth);
    for (std::size_t lane = 0; lane < all.size(); ++lane) {
        const Packet& got = burst->packet[lane];
        const Seen seen{all[lane], depth};
        EXPECT_EQ(burst->why[lane], seen.drop) << lane;
        EXPECT_EQ((lanes.live >> lane & 1) != 0, seen.drop == Drop::none) << lane;
        EXPECT_EQ(burst->shape[lane], seen.key.shape()) << lane;
        EXPECT_EQ(got.l2_bytes, seen.owned.packet.l2_bytes) << lane;
        EXPECT_EQ(got.l3_offset, seen.owned.packet.l3_offset) << lane;
        EXPECT_EQ(got.l4_offset, seen.owned.packet.l4_offset) << lane;
        for (WordMask left = words; left != 0; left &= left - 1) {
            const auto word = static_cast<std::size_t>(std::countr_zero(left));
            EXPECT_EQ(burst->key[lane].word[word], seen.key.word[word]) << lane << ' ' << word;
        }
    }
    EXPECT_EQ(std::uint64_t{lanes.live} >> all.size(), 0u);
}

std::vector<Bytes> bytes_of(const std::vector<PacketSpec>& specs) {
    std::vector<Bytes> all;
    for (const PacketSpec& spec : specs)
        all.push_back(spec.bytes());
    return all;
}

std::vector<Bytes> packets_of_all_kinds() {
    return bytes_of({
        udp("10.0.0.1:5 > 10.0.0.2:53"),
        udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10),
        tcp("[fd00::1]:5 > [fd00::2]:53").qinq(1, 2),
        udp("10.0.0.1:5 > 10.0.0.2:53").truncate(13),
        udp("10.0.0.1:5 > 10.0.0.2:53").snap(),
        udp("10.0.0.1:5 > 10.0.0.2:53").truncate(20),
        udp("10.0.0.1:5 > 10.0.0.2:53").say_ip_version(7),
        frame(0x0600, text_bytes("a type")),
        frame(0x05dc, text_bytes("a length")),
        arp_request("10.0.0.1 > 10.0.0.2"),
    });
}

TEST(Parse, a_burst_is_parsed_as_its_packets_one_by_one) {
    expect_burst_as_packets(packets_of_all_kinds(), Depth{}, ~WordMask{0} >> (64 - key_words));
}

TEST(Parse, a_burst_of_mutated_packets_is_parsed_as_they_are_one_by_one) {
    std::mt19937_64 random{20'260'102};
    const std::vector<Bytes> plain = bytes_of({
        udp("10.0.0.1:5 > 10.0.0.2:53").ttl(9).tos(0xb8).payload("twelve bytes"),
        udp("192.168.255.254:65535 > 224.1.2.3:4").payload("and more than that"),
        tcp("10.0.0.2:5432 > 10.0.0.1:4000").flags(0xfd2).tos(3),
        tcp("1.2.3.4:1 > 5.6.7.8:2").payload("hello"),
    });
    for (int round = 0; round < 400; ++round) {
        std::vector<Bytes> all;
        while (all.size() < burst_max) {
            Bytes bytes = plain[random() % plain.size()];
            constexpr std::size_t headers = 54;
            if (random() % 2 == 0)
                bytes[random() % headers] ^= static_cast<std::byte>(1 << random() % 8);
            else if (random() % 4 != 0) // type, version, length, fragment, protocol
                bytes[12 + random() % 12] = static_cast<std::byte>(random() % 64);
            if (random() % 8 == 0)
                bytes.resize(bytes.size() - random() % 16);
            all.push_back(bytes);
        }
        ASSERT_NO_FATAL_FAILURE(
            expect_burst_as_packets(all, Depth{}, ~WordMask{0} >> (64 - key_words))
        ) << round;
    }
}

TEST(Parse, a_burst_without_l3_is_parsed_as_its_packets_one_by_one) {
    expect_burst_as_packets(packets_of_all_kinds(), {.words = 0x7, .l3 = false}, 0xff);
}

TEST(Parse, of_a_burst_without_l3_packets_with_work_for_their_sender_have_offsets) {
    OwnedPacket owned{udp("10.0.0.1:5 > 10.0.0.2:53").partial_checksum()};
    const auto burst = std::make_unique<Burst>();
    burst->count = 1;
    burst->packet[0] = owned.packet;
    burst->packet[0].l4_checksum = Checksum::partial;
    EXPECT_EQ(parse(*burst, inport, {.words = 0x7, .l3 = false}).live, 1u);
    EXPECT_EQ(burst->packet[0].l4_offset, 34);
}

TEST(Parse, a_burst_tells_its_reserved_multicast) {
    OwnedPacket plain{udp("10.0.0.1:5 > 10.0.0.2:53")};
    OwnedPacket last{frame(0x88cc).eth("02:00:00:00:00:01 > 01:80:c2:00:00:0f")};
    OwnedPacket beyond{frame(0x88cc).eth("02:00:00:00:00:01 > 01:80:c2:00:00:10")};
    OwnedPacket cut{frame(0x88cc).eth("02:00:00:00:00:01 > 01:80:c2:00:00:0e").truncate(13)};
    const auto burst = std::make_unique<Burst>();
    burst->count = 4;
    burst->packet = {plain.packet, last.packet, beyond.packet, cut.packet};
    const ParsedLanes lanes = parse(*burst, inport, {.words = 0x7, .l3 = false});
    EXPECT_EQ(lanes.live, 0b0111u);
    EXPECT_EQ(lanes.reserved_multicast, 0b0010u);
}

/// The slow parser says the same of this packet, in every word.
void expect_as_naive(
    std::span<const std::byte> bytes, std::size_t head_bytes, const std::string& what
) {
    OwnedPacket owned{bytes, head_bytes};
    const NaiveParse naive = naive_parse(owned.packet, inport);
    FlowKey key;
    key.word.fill(0x5555'5555'5555'5555);
    const Drop drop = parse(owned.packet, inport, {}, key);
    ASSERT_EQ(name(drop), name(naive.drop)) << what;
    if (drop != Drop::none)
        return;
    ASSERT_EQ(key.word, naive.key.word) << what;
    ASSERT_EQ(owned.packet.l2_bytes, naive.l2_bytes) << what;
    ASSERT_EQ(owned.packet.l3_offset, naive.l3_offset) << what;
    ASSERT_EQ(owned.packet.l4_offset, naive.l4_offset) << what;
}

std::vector<PacketSpec> one_of_each() {
    return {
        udp("10.0.0.1:5 > 10.0.0.2:53").payload("hello"),
        tcp("10.0.0.1:5 > 10.0.0.2:53").vlan(4).ip_options(Bytes(8)),
        tcp("[fd00::1]:5 > [fd00::2]:53").qinq(4, 5),
        udp("[fd00::1]:5 > [fd00::2]:53").extension(0).routing(1).extension(51).fragment(0, true),
        sctp("[fd00::1]:5 > [fd00::2]:53").extension(60, Bytes(30)),
        icmp("10.0.0.1 > 10.0.0.2").snap(),
        igmp("10.0.0.1 > 239.0.0.1"),
        nd_solicit("fd00::1 > fd00::2", "fd00::2")
            .sll("02:00:00:00:00:01")
            .tll("02:00:00:00:00:02"),
        nd_advert("fd00::1 > fd00::2", "fd00::2")
            .nd_option(14, 2, Bytes(14))
            .tll("02:00:00:00:00:02"),
        arp_request("10.0.0.1 > 10.0.0.2").vlan(9),
        frame(0x88cc, Bytes(40)),
        udp("[fd00::1]:5 > [fd00::2]:53").extension(0, Bytes(182)),
    };
}

TEST(Parse, agrees_with_the_slow_parser_on_mutated_packets) {
    constexpr std::uint64_t seed = 20'260'101;
    std::mt19937_64 random{seed};
    const auto specs = one_of_each();
    for (int round = 0; round < 40'000; ++round) {
        Bytes bytes = specs[random() % specs.size()].bytes();
        for (auto flips = random() % 6; flips != 0; --flips)
            bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 << random() % 8);
        for (auto changes = random() % 3; changes != 0; --changes)
            bytes[random() % std::min<std::size_t>(bytes.size(), 64)] =
                static_cast<std::byte>(random());
        if (random() % 4 == 0)
            bytes.resize(random() % (bytes.size() + 1));
        ASSERT_NO_FATAL_FAILURE(expect_as_naive(
            bytes, 0, "seed " + std::to_string(seed) + " round " + std::to_string(round)
        ));
    }
}

TEST(Parse, agrees_with_the_slow_parser_on_real_captures) {
    const auto paths = shared_pcaps();
    if (paths.empty())
        GTEST_SKIP() << "the folder of shared captures is absent";
    for (const auto& path : paths) {
        const auto file = read_pcap(path);
        ASSERT_TRUE(file) << file.error().what;
        for (std::size_t i = 0; i < file->packets.size(); ++i) {
            const Bytes& bytes = file->packets[i].bytes;
            const std::size_t head = std::min<std::size_t>(bytes.size(), 256);
            const std::string what = path.filename().string() + " " + std::to_string(i + 1);
            ASSERT_NO_FATAL_FAILURE(expect_as_naive(bytes, 0, what));
            ASSERT_NO_FATAL_FAILURE(expect_as_naive(bytes, head, what));
        }
    }
}

/// What a capture holds, counted with another tool.
struct Counts {
    int packets = 0, vlan = 0, arp = 0, ip4 = 0, ip6 = 0, tcp = 0, udp = 0, icmp4 = 0, icmp6 = 0,
        igmp = 0, fragments = 0;
    friend bool operator==(const Counts&, const Counts&) = default;
    friend void PrintTo(const Counts& c, std::ostream* to) {
        *to << c.packets << " packets, " << c.vlan << " vlan, " << c.arp << " arp, " << c.ip4
            << " ip4, " << c.ip6 << " ip6, " << c.tcp << " tcp, " << c.udp << " udp, " << c.icmp4
            << " icmp4, " << c.icmp6 << " icmp6, " << c.igmp << " igmp, " << c.fragments
            << " fragments";
    }
};

Counts counts_of(const PcapFile& file) {
    Counts made;
    for (const PcapPacket& packet : file.packets) {
        const Seen seen{packet.bytes};
        made.packets += seen.drop == Drop::none;
        made.vlan += seen.is(Shape::vlan);
        made.arp += seen.is(Shape::arp);
        made.ip4 += seen.is(Shape::ip4);
        made.ip6 += seen.is(Shape::ip6);
        made.tcp += seen.is(Shape::tcp);
        made.udp += seen.is(Shape::udp);
        made.icmp4 += seen.is(Shape::icmp4);
        made.icmp6 += seen.is(Shape::icmp6);
        made.igmp += seen.is(Shape::igmp);
        made.fragments += seen.number("ip.frag") != 0;
    }
    return made;
}

struct Capture {
    const char* file;
    Counts counts;
};

class ParseCapture : public testing::TestWithParam<Capture> {};

TEST_P(ParseCapture, finds_what_others_find) {
    const auto path = shared_pcap(GetParam().file);
    if (!std::filesystem::exists(path))
        GTEST_SKIP() << GetParam().file << " is absent";
    const auto file = read_pcap(path);
    ASSERT_TRUE(file) << file.error().what;
    EXPECT_EQ(counts_of(*file), GetParam().counts);
}

// clang-format off
constexpr Capture captures[] = {
    {"4KHttpRequests.pcap", {.packets = 385, .ip4 = 385, .tcp = 385}},
    {"DnsPackets.pcap", {.packets = 464, .ip4 = 449, .ip6 = 15, .udp = 464}},
    {"IgmpPackets.pcap", {.packets = 81, .arp = 2, .ip4 = 61, .ip6 = 18, .tcp = 29, .udp = 38, .icmp6 = 6, .igmp = 6}},
    {"VlanPackets.pcap", {.packets = 26, .vlan = 24, .ip4 = 20, .icmp4 = 20}},
    {"dhcpv6-ia-na.pcap", {.packets = 4, .ip6 = 4, .udp = 4}},
    {"example.pcap", {.packets = 4631, .ip4 = 4631, .tcp = 4492, .udp = 139}},
    {"geneve.pcap", {.packets = 39, .ip4 = 39, .udp = 39}},
    {"gso-ipv6-geneve-ipv6.pcap", {.packets = 1, .ip6 = 1, .udp = 1}},
    {"icmpv6.pcap", {.packets = 5, .ip6 = 5, .icmp6 = 5}},
    {"igmpv3-queries.pcap", {.packets = 6, .ip4 = 6, .igmp = 6}},
    {"ip4_fragments.pcap", {.packets = 53, .ip4 = 53, .udp = 12, .fragments = 50}},
    {"ip6_fragments.pcap", {.packets = 36, .ip6 = 36, .udp = 4, .fragments = 36}},
    {"ipv4_tcp_http_xml.pcap", {.packets = 1, .vlan = 1, .ip4 = 1, .tcp = 1}},
    {"many-protocols.pcap", {.packets = 4709, .vlan = 24, .arp = 4, .ip4 = 4683, .ip6 = 16, .tcp = 4321, .udp = 269, .icmp4 = 109}},
    {"tcp-reassembly.pcap", {.packets = 66, .ip4 = 66, .tcp = 65, .udp = 1}},
    {"tls.pcap", {.packets = 44, .ip4 = 25, .ip6 = 19, .tcp = 44}},
    {"various_gre.pcap", {.packets = 100, .vlan = 51, .ip4 = 30}},
    {"vxlan.pcap", {.packets = 10, .ip4 = 10, .udp = 10}},
};
// clang-format on

INSTANTIATE_TEST_SUITE_P(shared, ParseCapture, testing::ValuesIn(captures), [](const auto& the) {
    std::string name = the.param.file;
    for (char& c : name)
        c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return name;
});

} // namespace

} // namespace weft
