// Bytes to fields: Ethernet, two VLAN tags, ARP, IPv4, IPv6 with extension headers, fragments,
// ICMP, ND, TCP, UDP, SCTP.
#pragma once

#include "base/drop.hh"
#include "base/key.hh"
#include "base/lanes.hh"
#include "pipeline/packet.hh"

namespace weft {

struct Burst;

/// How deep the tables look: which words of the key any rule or action reads or writes. Words
/// outside stay uninitialised.
struct Depth {
    WordMask words = ~WordMask{0};
    /// False where no rule or action asks for a field or a shape bit above Ethernet and VLAN tags:
    /// then IP and ARP are not looked at, the shape has vlan and vlan1 only, and bad IP headers
    /// pass. Needs no word of `l3_words` in `words`.
    bool l3 = true;
    /// Words that always count as read: shape, inport, addresses and the header words that an
    /// output may write back.
    static constexpr WordMask always = 0x3f;
    /// Words that only parsing above Ethernet and VLAN tags fills.
    static constexpr WordMask l3_words = 0x38 | 0xff'0000 | WordMask{1} << 34;
    bool wants(WordMask mask) const noexcept { return (words & mask) != 0; }
    /// Goes as deep as something that uses these words and asks for these bits of the shape.
    void add(WordMask more, std::uint16_t shapes) noexcept {
        constexpr auto l2_shapes =
            static_cast<std::uint16_t>(Shape::vlan | Shape::vlan1 | Shape::tunnel);
        words |= more;
        l3 = l3 || (more & l3_words) != 0 || (shapes & ~l2_shapes) != 0;
    }
};

/// Fills `key` from the packet's head and writes the packet's offsets (l2_bytes, l3_offset,
/// l4_offset). Words of `depth.words | Depth::always` are all written, header fields with what the
/// packet has and everything else 0, also on a drop; the others hold anything after it. Never reads
/// past packet.head_bytes. Any number of threads, each on packets of its own; never allocates.
/// Returns why the packet must drop, or Drop::none:
///   truncated: shorter than an Ethernet header, or an IP header that ends after the packet;
///   malformed: a header that contradicts itself (IPv4 ihl < 5, IP version, total length < header
///   length, TCP data offset < 5).
/// What is legal but not understood (unknown types, truncated L4, headers beyond the first 256
/// bytes) is treated as what is left: the shape simply lacks it. `inport` is the port's number in
/// its bridge.
///
/// What is seen:
///   eth.type is the type after the tags (0x8100, 0x88a8, 0x9100; a third tag is a type); of 802.3
///   frames the SNAP type, else 0x05ff, as in OVS. L3 ends where its header says, what follows is
///   padding. ip.proto is the upper protocol, or the IPv6 extension header that could not be
///   passed; 44 in later IPv6 fragments, as in OVS. Later fragments have no L4. A TCP header of 20
///   bytes, UDP 8, SCTP 12, ICMP 8, ICMPv6 4, IGMP 8 is whole; what lies behind it is not looked
///   at. ND is type 135 or 136 with code 0 and a target; one with an address option twice is icmp6
///   and not nd. packet.l3_offset is set for whole IPv4, IPv6 and ARP headers, packet.l4_offset for
///   the six L4 kinds above.
/// A packet whose checksum or segmentation is still to be done (Checksum::partial, segment_bytes)
/// is parsed up to L4 whatever `depth.l3` says: whoever sends it needs the offsets.
Drop parse(Packet& packet, PortNumber inport, Depth depth, FlowKey& key) noexcept;

struct ParsedLanes {
    LaneMask live = 0;               // those that parse() let through
    LaneMask reserved_multicast = 0; // of them, frames to 01:80:c2:00:00:0x
};
/// parse() for the packets of a burst that came in on one port: writes key, shape and why of lanes
/// 0 to count-1.
ParsedLanes parse(Burst& burst, PortNumber inport, const Depth& depth) noexcept;

} // namespace weft
