#include "base/be.hh"
#include "pipeline/checksum.hh"
#include "pipeline/parse.hh"
#include "tests/support/packets.hh"

#include <gtest/gtest.h>

namespace weft {

namespace {

using namespace weft::test;

OwnedPacket
parsed(const Bytes& bytes, std::size_t head_bytes = 0, Checksum state = Checksum::unknown) {
    OwnedPacket made{bytes, head_bytes};
    made.packet.l4_checksum = state;
    FlowKey key;
    EXPECT_EQ(parse(made.packet, PortNumber{1}, {}, key), Drop::none);
    return made;
}

TEST(Checksum, sums_the_example_of_rfc_1071) {
    InternetSum sum;
    sum.add(hex_bytes("00 01 f2 03 f4 f5 f6 f7"));
    EXPECT_EQ(sum.folded(), 0xddf2);
}

TEST(Checksum, pieces_of_odd_size_sum_as_one) {
    InternetSum sum;
    sum.add(hex_bytes("00"));
    sum.add(hex_bytes("01 f2 03 f4 f5"));
    sum.add({});
    sum.add(hex_bytes("f6"));
    sum.add(hex_bytes("f7"));
    EXPECT_EQ(sum.folded(), 0xddf2);
}

TEST(Checksum, a_change_gives_the_example_of_rfc_1624) {
    SumChange change;
    change.change(0x5555, 0x3285);
    EXPECT_EQ(change.checksum(0xdd2f), 0x0000);
}

TEST(Checksum, crc32c_gives_the_check_value) {
    Crc32c crc;
    crc.add(text_bytes("1234"));
    crc.add(text_bytes("56789"));
    EXPECT_EQ(crc.value(), 0xe306'9283);
}

TEST(Checksum, ip4_headers_sum_without_their_field) {
    Bytes bytes = udp("10.0.0.1:5 > 10.0.0.2:53").ip_options(Bytes(4)).bytes();
    const auto right = load_be<std::uint16_t>(&bytes[24]);
    bytes[24] ^= std::byte{0x5a};
    EXPECT_EQ(ip4_header_checksum(std::span{bytes}.subspan(14, 24)), right);
}

TEST(Checksum, partial_ones_are_completed) {
    const PacketSpec specs[] = {
        udp("10.0.0.1:5 > 10.0.0.2:53").payload("odd").padding(20),
        tcp("[fd00::1]:5 > [fd00::2]:53").vlan(6).size(200),
        udp("[fd00::1]:5 > [fd00::2]:53").routing(1).payload("x"),
        icmp6("fd00::1 > fd00::2").payload("x"),
    };
    for (const PacketSpec& spec : specs) {
        OwnedPacket owned =
            parsed(PacketSpec{spec}.partial_checksum().bytes(), 0, Checksum::partial);
        EXPECT_TRUE(write_l4_checksum(owned.packet));
        EXPECT_EQ(owned.bytes(), spec.bytes());
        EXPECT_EQ(owned.packet.l4_checksum, Checksum::verified);
    }
}

TEST(Checksum, sctp_and_icmp_are_written_too) {
    const PacketSpec specs[] = {
        sctp("10.0.0.1:5 > 10.0.0.2:53").size(99),
        icmp("10.0.0.1 > 10.0.0.2").payload("x"),
    };
    for (const PacketSpec& spec : specs) {
        OwnedPacket owned = parsed(PacketSpec{spec}.wrong_checksum().bytes());
        EXPECT_EQ(l4_checksum_ok(owned.packet), spec.bytes() == owned.bytes());
        EXPECT_TRUE(write_l4_checksum(owned.packet));
        EXPECT_EQ(owned.bytes(), spec.bytes());
        EXPECT_EQ(l4_checksum_ok(owned.packet), true);
    }
}

TEST(Checksum, the_other_segments_count) {
    const Bytes right = tcp("10.0.0.1:5 > 10.0.0.2:53").size(9015).padding(3).bytes();
    Bytes bytes = right;
    bytes[50] ^= std::byte{1};
    OwnedPacket owned = parsed(bytes, 257);
    const auto all = std::span<const std::byte>{bytes};
    const std::span<const std::byte> rest[] = {all.subspan(257, 1001), all.subspan(1258)};
    EXPECT_EQ(l4_checksum_ok(owned.packet, rest), false);
    EXPECT_TRUE(write_l4_checksum(owned.packet, rest));
    EXPECT_EQ(owned.bytes(), Bytes(right.begin(), right.begin() + 257));
    EXPECT_FALSE(write_l4_checksum(owned.packet, std::span{rest}.first(1)));
    EXPECT_EQ(l4_checksum_ok(owned.packet), std::nullopt);
}

TEST(Checksum, what_is_not_all_here_is_neither_right_nor_wrong) {
    EXPECT_EQ(
        l4_checksum_ok(parsed(udp("10.0.0.1:5 > 10.0.0.2:53").fragment(0, true).bytes()).packet),
        std::nullopt
    );
    EXPECT_EQ(
        l4_checksum_ok(parsed(udp("[fd00::1]:5 > [fd00::2]:53").fragment(0, true).bytes()).packet),
        std::nullopt
    );
    EXPECT_EQ(
        l4_checksum_ok(parsed(udp("[fd00::1]:5 > [fd00::2]:53").routing(1).bytes()).packet),
        std::nullopt
    );
    EXPECT_EQ(l4_checksum_ok(parsed(igmp("10.0.0.1 > 239.0.0.1").bytes()).packet), std::nullopt);
    EXPECT_EQ(l4_checksum_ok(parsed(frame(0x88cc).bytes()).packet), std::nullopt);
}

TEST(Checksum, an_absent_udp_sum_is_right_over_ip4_only) {
    EXPECT_EQ(
        l4_checksum_ok(parsed(udp("10.0.0.1:5 > 10.0.0.2:53").no_udp_checksum().bytes()).packet),
        true
    );
    EXPECT_EQ(
        l4_checksum_ok(parsed(udp("[fd00::1]:5 > [fd00::2]:53").no_udp_checksum().bytes()).packet),
        false
    );
}

} // namespace

} // namespace weft
