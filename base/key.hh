// What tables look at: a packet's fields as words of host-order bits.
//
// clang-format off
//  word   63              47              31              15             0
//      0  | shape         | eth.type      | inport                        |  line 0: all that a
//      1  | eth.dst                                       | vlan.tci      |  simple switch reads
//      2  | eth.src                                       | vlan1.tci     |
//      3  | ip4.src  (arp.spa)            | ip4.dst  (arp.tpa)            |
//      4  | proto | ttl   | tos   | frag  | l4.src  (1)   | l4.dst  (1)   |
//      5  | tcp.flags     | ct_state      | ip6.label                     |
//      6  | metadata                                                      |
//      7  | pkt.mark                      | ct_mark                       |
//      8  | reg0                          | reg1                          |  line 1: registers
//   9-15  | reg2 to reg15, two a word
//  16,17  | ip6.src                                                          line 2
//  18,19  | ip6.dst
//  20,21  | nd.target
//     22  | nd.sll  (arp.sha)                             | ct_zone       |
//     23  | nd.tll  (arp.tha)                             | -             |
//     24  | tun_id                                                        |  line 3: tunnels and
//     25  | conj_id                       | outport                       |  connections
//  26,27  | ct_label
//  28,29  | tun_ipv6_src
//  30,31  | tun_ipv6_dst
//     32  | tun_src                       | tun_dst                       |  line 4
//     33  | tun_flags     | tun_gbp_id    | (2)   | ttl   | tos   | -     |
//     34  | nd_reserved                   | -     | (3)   | -             |
//     35  | ct_nw_src                     | ct_nw_dst                     |
//     36  | ct_tp_src     | ct_tp_dst     | (4)   | -                     |
//     37  | skb_priority                  | queue                         |
//  38,39  | ct_ipv6_src
//  40,41  | ct_ipv6_dst                                                      line 5
//     42  | tls.sni, http.host, dns.qname (5)                             |
//     43  | -
//  44-47  | tun_metadata0, tun_metadata1, 128 bits each
//  48-55  | tun_metadata2 to tun_metadata5                                   line 6
// clang-format on
//
// (1) ICMP type and code, ARP operation (in l4.src) share the ports' place: the shape says which of
// them is there. (2) tun_gbp_flags. (3) nd_options_type. (4) ct_nw_proto. (5) a number that stands
// for a name pattern, put there by lookups alone (pipeline/name_part.hh). A field of 128 bits takes
// two words, the high one first, so reg0..3 read as one number are xxreg0.
//
// Invariants: (1) a field whose shape bits are not set is zero; (2) words outside the depth that
// the tables read (pipeline/, Depth) are not initialised and nobody reads them; (3) two packets
// with equal words are equal to every table.
#pragma once

#include "base/ids.hh"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

inline constexpr std::size_t key_words = 56;
/// A set of words of the key, bit w for word w.
using WordMask = std::uint64_t;

/// What a packet has, as bits of the key: `tcp.dst == 80` asks for the tcp bit, so an absent field
/// never equals zero.
enum class Shape : std::uint16_t {
    none = 0,
    vlan = 1 << 0,  // an outer VLAN tag
    vlan1 = 1 << 1, // a second one
    ip4 = 1 << 2,
    ip6 = 1 << 3,
    arp = 1 << 4, // ARP or RARP with Ethernet and IPv4 addresses
    tcp = 1 << 5,
    udp = 1 << 6,
    sctp = 1 << 7,
    icmp4 = 1 << 8,
    icmp6 = 1 << 9,
    nd = 1 << 10,     // neighbour solicitation or advertisement
    nd_sll = 1 << 11, // with a source link-layer address
    nd_tll = 1 << 12, // with a target link-layer address
    igmp = 1 << 13,
    tunnel = 1 << 14, // came out of a tunnel
    ip = 1 << 15,     // ip4 or ip6
};
constexpr Shape operator|(Shape a, Shape b) noexcept {
    return static_cast<Shape>(static_cast<std::uint16_t>(a) | static_cast<std::uint16_t>(b));
}
constexpr bool has(std::uint16_t shape, Shape bits) noexcept {
    return (shape & static_cast<std::uint16_t>(bits)) == static_cast<std::uint16_t>(bits);
}

/// Bits of the field ip.frag: 0 whole, 1 first fragment, 3 later fragment (OVS's nw_frag).
inline constexpr std::uint8_t frag_any = 1;
inline constexpr std::uint8_t frag_later = 2;

/// One packet's fields. 7 cache lines, an odd number so that lanes spread over the cache's sets.
struct alignas(cache_line) FlowKey {
    std::array<std::uint64_t, key_words> word;

    std::uint16_t shape() const noexcept { return static_cast<std::uint16_t>(word[0] >> 48); }
    bool is(Shape bits) const noexcept { return has(shape(), bits); }
    PortNumber inport() const noexcept {
        return static_cast<PortNumber>(static_cast<std::uint32_t>(word[0]));
    }
    void set_inport(PortNumber number) noexcept {
        word[0] = (word[0] & ~std::uint64_t{0xffff'ffff}) | static_cast<std::uint32_t>(number);
    }
    friend bool operator==(const FlowKey&, const FlowKey&) = default;
};
static_assert(sizeof(FlowKey) == 448);

/// The words that hold parts of the packet itself: what an output has to write back if the walk
/// changed them.
inline constexpr WordMask header_words = 0x3e | 0xff'0000;

} // namespace weft
