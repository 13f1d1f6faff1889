// Packets for tests, said in a line: udp("10.0.0.1:5 > 10.0.0.2:53").vlan(10).ttl(1).bytes().
// Lengths and checksums are computed, unless the line says that they lie.
#pragma once

#include "pipeline/packet.hh"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::test {

using Bytes = std::vector<std::byte>;

/// What a packet is made of; each call changes one thing and returns the same packet, so lines can
/// be chained. A plain value. Text that cannot be read stops the test program: it is the test's
/// mistake.
class PacketSpec {
public:
    // L2. Default addresses 02:00:00:00:00:01 > 02:00:00:00:00:02.
    PacketSpec& eth(std::string_view src_dst);
    /// Another tag behind those that are there: 802.1Q.
    PacketSpec& vlan(std::uint16_t vid, std::uint8_t pcp = 0);
    /// 802.1ad outside, 802.1Q inside.
    PacketSpec& qinq(std::uint16_t outer, std::uint16_t inner);
    PacketSpec& tag(std::uint16_t tpid, std::uint16_t tci);
    /// An 802.3 frame: a length in place of the type, LLC and SNAP with the type behind it.
    PacketSpec& snap();

    // L3
    PacketSpec& ttl(std::uint8_t value);
    PacketSpec& tos(std::uint8_t value);
    PacketSpec& label(std::uint32_t value);
    PacketSpec& id(std::uint16_t value);
    /// A fragment as it is cut from a larger packet: the L4 header is there at offset 0 only.
    /// `offset` in bytes, of 8.
    PacketSpec& fragment(std::uint32_t offset, bool more);
    /// IPv4 options, padded to 4 bytes.
    PacketSpec& ip_options(Bytes options);
    /// Another IPv6 extension header behind those that are there: 0 hop-by-hop, 43 routing, 60
    /// destination, 51 AH. `body` is what follows its first two bytes, padded.
    PacketSpec& extension(std::uint8_t proto, Bytes body = {});
    PacketSpec& routing(std::uint8_t segments_left);

    // L4
    PacketSpec& flags(std::uint16_t tcp_flags);
    PacketSpec& syn() { return flags(0x02); }
    PacketSpec& syn_ack() { return flags(0x12); }
    PacketSpec& ack() { return flags(0x10); }
    PacketSpec& fin() { return flags(0x11); }
    PacketSpec& rst() { return flags(0x04); }
    PacketSpec& type(std::uint8_t value);
    PacketSpec& code(std::uint8_t value);
    /// Neighbour discovery's source (1) and target (2) link-layer address options.
    PacketSpec& sll(std::string_view mac);
    PacketSpec& tll(std::string_view mac);
    /// Any neighbour discovery option; the length is in units of 8 bytes and may lie.
    PacketSpec& nd_option(std::uint8_t type, std::uint8_t units, Bytes body);
    PacketSpec& nd_flags(std::uint32_t reserved);
    PacketSpec& no_udp_checksum();
    /// The sum of the pseudo header in place of the L4 checksum, as a guest leaves it to its
    /// device.
    PacketSpec& partial_checksum();
    /// Adds to the checksum field, so that it is wrong.
    PacketSpec& wrong_checksum(std::uint16_t by = 1);

    // The rest
    PacketSpec& payload(std::string_view text);
    PacketSpec& payload(Bytes bytes);
    /// Fills the payload so that the frame has this many bytes.
    PacketSpec& size(std::size_t frame_bytes);
    /// Bytes behind L3, as short frames have them.
    PacketSpec& padding(std::size_t bytes);
    /// Cuts the frame; nothing else changes.
    PacketSpec& truncate(std::size_t frame_bytes);
    /// Lies: IPv4's version, header words, total length; IPv6's version and payload length; TCP's
    /// header words.
    PacketSpec& say_ip_version(std::uint8_t version);
    PacketSpec& say_ip_header_words(std::uint8_t words);
    PacketSpec& say_ip_bytes(std::uint16_t bytes);
    PacketSpec& say_tcp_header_words(std::uint8_t words);

    Bytes bytes() const;
    /// The packet cut into IP fragments with at most `part` bytes (of 8) of what can be cut in
    /// each.
    std::vector<Bytes> fragments(std::size_t part) const;

private:
    enum class Kind : std::uint8_t { raw, arp, tcp, udp, sctp, icmp4, icmp6, other };
    struct Tag {
        std::uint16_t tpid, tci;
    };
    struct Extension {
        std::uint8_t proto;
        Bytes body;
    };

    friend PacketSpec frame(std::uint16_t, Bytes);
    friend PacketSpec udp(std::string_view);
    friend PacketSpec tcp(std::string_view);
    friend PacketSpec sctp(std::string_view);
    friend PacketSpec icmp(std::string_view);
    friend PacketSpec icmp6(std::string_view);
    friend PacketSpec ip(std::string_view, std::uint8_t, Bytes);
    friend PacketSpec igmp(std::string_view);
    friend PacketSpec nd_solicit(std::string_view, std::string_view);
    friend PacketSpec nd_advert(std::string_view, std::string_view);
    friend PacketSpec arp(std::uint16_t, std::string_view, std::string_view, std::uint16_t);

    PacketSpec(Kind kind, std::string_view endpoints, bool ports, std::uint8_t proto);
    static PacketSpec neighbour(std::string_view hosts, std::uint8_t type, std::string_view target);

    /// With the payload that size() asks for.
    PacketSpec filled() const;
    bool is_ip6() const noexcept { return ip_src_.size() == 16; }
    Bytes l4_header() const;
    void sum_l4(Bytes& l4) const;
    Bytes l4() const;
    Bytes l3(const Bytes& l4) const;
    Bytes ip4_header(std::size_t payload_bytes) const;
    Bytes ip6_headers(std::size_t payload_bytes) const;
    Bytes l2(const Bytes& l3) const;

    Kind kind_ = Kind::raw;
    Bytes eth_src_, eth_dst_;
    std::uint16_t eth_type_ = 0;
    std::vector<Tag> tags_;
    bool snap_ = false;
    Bytes ip_src_, ip_dst_;
    std::uint8_t proto_ = 0, ttl_ = 64, tos_ = 0;
    std::uint32_t label_ = 0;
    std::uint16_t id_ = 0;
    std::uint32_t fragment_offset_ = 0;
    bool fragment_more_ = false;
    Bytes ip_options_;
    std::vector<Extension> extensions_;
    std::uint16_t src_port_ = 0, dst_port_ = 0, tcp_flags_ = 0x10;
    std::uint8_t type_ = 0, code_ = 0;
    Bytes l4_body_;
    bool udp_checksum_ = true, partial_ = false;
    std::uint16_t checksum_error_ = 0;
    Bytes payload_;
    std::size_t padding_ = 0;
    std::optional<std::size_t> size_, truncate_;
    std::optional<std::uint8_t> said_version_, said_header_words_, said_tcp_words_;
    std::optional<std::uint16_t> said_ip_bytes_;
};

/// Any frame: the type and what follows.
PacketSpec frame(std::uint16_t eth_type, Bytes payload = {});
/// "10.0.0.1:5 > 10.0.0.2:53" or "[fd00::1]:5 > [fd00::2]:53".
PacketSpec udp(std::string_view endpoints);
PacketSpec tcp(std::string_view endpoints);
PacketSpec sctp(std::string_view endpoints);
/// "10.0.0.1 > 10.0.0.2": an echo request.
PacketSpec icmp(std::string_view hosts);
/// "fd00::1 > fd00::2": an echo request.
PacketSpec icmp6(std::string_view hosts);
/// Any protocol over IPv4 or IPv6.
PacketSpec ip(std::string_view hosts, std::uint8_t proto, Bytes payload = {});
/// An IGMPv2 report.
PacketSpec igmp(std::string_view hosts);
PacketSpec nd_solicit(std::string_view hosts, std::string_view target);
PacketSpec nd_advert(std::string_view hosts, std::string_view target);
/// "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff" and "10.0.0.1 > 10.0.0.2" (sender > target); eth.src and
/// eth.dst are the same as the former.
PacketSpec
arp(std::uint16_t op, std::string_view macs, std::string_view ips, std::uint16_t eth_type = 0x0806);
/// Who has the second address? Tell the first, which is at 02:00:00:00:00:01.
PacketSpec arp_request(std::string_view ips);
/// The first address is at 02:00:00:00:00:01; said to 02:00:00:00:00:02.
PacketSpec arp_reply(std::string_view ips);

/// Six bytes, or four or sixteen, as text says them.
Bytes mac_bytes(std::string_view text);
Bytes ip_bytes(std::string_view text);
/// The bytes of a text; "00 01 ff" in hex.
Bytes text_bytes(std::string_view text);
Bytes hex_bytes(std::string_view hex);

/// A packet of the pipeline over memory of its own, which ends where the head does, so that a
/// sanitizer sees reads past it.
struct OwnedPacket {
    static constexpr std::uint16_t headroom = 128;

    /// `head_bytes` 0: all of it. What lies behind the head is not kept.
    explicit OwnedPacket(std::span<const std::byte> bytes, std::size_t head_bytes = 0);
    OwnedPacket(const PacketSpec& spec) : OwnedPacket{spec.bytes()} {}

    /// The head as it is now.
    Bytes bytes() const { return {packet.data, packet.data + packet.head_bytes}; }

    std::unique_ptr<std::byte[]> memory;
    Packet packet;
};

/// Looks at a frame byte by byte, with no code of the switch: are IPv4's header sum and the L4 sum
/// right? Says which one is not. Frames without such sums, fragments and UDP over IPv4 without a
/// sum pass.
testing::AssertionResult checksums_ok(std::span<const std::byte> frame);

} // namespace weft::test
