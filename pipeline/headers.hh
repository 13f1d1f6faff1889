// Where things lie in the headers of the wire, and the two bounded walks over chains of them that
// parser and rewriter share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

/// EtherTypes. From `first_type` on the number is a type, below it the length of an 802.3 frame
/// (IEEE 802.3 clause 3.2.6).
namespace ether {
inline constexpr std::uint16_t first_type = 0x0600;
/// The type that an 802.3 frame without a SNAP type shows to the tables (OpenFlow's
/// OFP_DL_TYPE_NOT_ETH_TYPE).
inline constexpr std::uint16_t not_a_type = 0x05ff;
inline constexpr std::uint16_t ip4 = 0x0800;
inline constexpr std::uint16_t arp = 0x0806;
inline constexpr std::uint16_t rarp = 0x8035;
inline constexpr std::uint16_t vlan = 0x8100;
inline constexpr std::uint16_t qinq = 0x88a8;
inline constexpr std::uint16_t old_qinq = 0x9100;
inline constexpr std::uint16_t ip6 = 0x86dd;

inline constexpr std::uint32_t header_bytes = 14;
inline constexpr std::uint32_t addresses_bytes = 12;
inline constexpr std::uint32_t tag_bytes = 4;
inline constexpr std::uint32_t snap_bytes = 8;

constexpr bool is_tag(std::uint32_t type) noexcept {
    return type == vlan || type == qinq || type == old_qinq;
}
} // namespace ether

/// IP protocol numbers and IPv6 extension headers.
namespace ipproto {
inline constexpr std::uint8_t hop_by_hop = 0;
inline constexpr std::uint8_t icmp4 = 1;
inline constexpr std::uint8_t igmp = 2;
inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t routing = 43;
inline constexpr std::uint8_t fragment = 44;
inline constexpr std::uint8_t authentication = 51;
inline constexpr std::uint8_t icmp6 = 58;
inline constexpr std::uint8_t none = 59;
inline constexpr std::uint8_t destination = 60;
inline constexpr std::uint8_t sctp = 132;
} // namespace ipproto

/// Offsets inside the headers, and the least size of each.
namespace ip4_header { // RFC 791
inline constexpr std::uint32_t tos = 1, total = 2, fragment = 6, ttl = 8, proto = 9, checksum = 10;
inline constexpr std::uint32_t src = 12, bytes = 20;
inline constexpr std::uint32_t more_fragments = 0x2000, offset_mask = 0x1fff;
} // namespace ip4_header
namespace ip6_header { // RFC 8200
inline constexpr std::uint32_t payload = 4, next = 6, hop_limit = 7, src = 8, dst = 24, bytes = 40;
} // namespace ip6_header
namespace arp_header { // RFC 826, for Ethernet and IPv4
inline constexpr std::uint32_t op = 6, sha = 8, spa = 14, tha = 18, tpa = 24, bytes = 28;
} // namespace arp_header
namespace tcp_header { // RFC 9293
inline constexpr std::uint32_t offset_flags = 12, checksum = 16, bytes = 20;
} // namespace tcp_header
namespace udp_header { // RFC 768
inline constexpr std::uint32_t length = 4, checksum = 6, bytes = 8;
} // namespace udp_header
namespace sctp_header { // RFC 9260
inline constexpr std::uint32_t checksum = 8, bytes = 12;
} // namespace sctp_header
namespace icmp_header { // RFC 792, RFC 4443; nd: RFC 4861 sections 4.3 and 4.4
inline constexpr std::uint32_t checksum = 2, bytes4 = 8, bytes6 = 4;
inline constexpr std::uint8_t nd_solicitation = 135, nd_advertisement = 136;
inline constexpr std::uint32_t nd_reserved = 4, nd_target = 8, nd_bytes = 24;
} // namespace icmp_header
inline constexpr std::uint32_t igmp_bytes = 8; // RFC 3376

/// How far into a packet headers are looked for: what receive guarantees to lie in one piece
/// (Packet::head_bytes), so the answer does not depend on how a packet is cut into segments, and a
/// chain of headers has a bounded length.
inline constexpr std::uint32_t headers_bytes_max = 256;

/// The end of an IPv6 header chain: the upper-layer protocol, or the header that the walk could not
/// pass.
struct Ip6Chain {
    std::uint8_t proto = 0;   // for a later fragment 44, as in OVS: what follows is no header
    std::uint8_t frag = 0;    // as the field ip.frag
    bool on_the_way = false;  // a routing header has segments left: the destination is not the last
                              // one (RFC 8200 8.1)
    std::uint32_t offset = 0; // where `proto`'s header begins
};

/// Walks the extension headers of the IPv6 header at `l3`; reads below `end` only. The caller has
/// checked the 40 bytes. Cost: at most one step per 8 bytes.
Ip6Chain walk_ip6(const std::byte* data, std::uint32_t l3, std::uint32_t end) noexcept;

/// Link-layer address options of a neighbour solicitation or advertisement: offsets of the
/// addresses, 0 for none.
struct NdOptions {
    std::uint16_t sll = 0;
    std::uint16_t tll = 0;
    std::uint8_t first_type = 0;
    bool repeated = false; // an address twice: hosts may take either, so nobody may rely on one
};

/// Walks the options in [begin, end); stops at one that is empty or longer than what is left.
NdOptions walk_nd_options(const std::byte* data, std::uint32_t begin, std::uint32_t end) noexcept;

} // namespace weft
