// Fields back to bytes: what a walk changed in the key is written into the packet when it is sent.
#pragma once

#include "base/be.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "pipeline/checksum.hh"
#include "pipeline/headers.hh"
#include "pipeline/packet.hh"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weft {

/// What an output must change on the packet, relative to its bytes as received. A plain value: one
/// snapshot serves any number of copies. `key` holds the final header words (base/key.hh,
/// header_words) and shape.
struct Edit {
    WordMask dirty = 0; // header words that the walk wrote, of header_words
    std::uint8_t vlan_popped =
        0; // tags of the received packet that are gone, 0 to 2, outermost first
    std::uint8_t vlan_pushed =
        0; // tags in front of what is left, 0 to 2; their TCIs stand in `word`, outermost first
    std::uint16_t vlan_tpid[2] = {}; // of the pushed tags, outermost first
    std::uint64_t word[24]; // the key's words 0 to 23; valid where dirty, and words 0 to 2 whenever
                            // a tag was pushed

    bool empty() const noexcept { return dirty == 0 && vlan_popped == 0 && vlan_pushed == 0; }
};

/// What a hop of a route does to a packet: Ethernet addresses, and the time to live less one; and
/// where it leaves. One for all packets of a rule.
struct Hop {
    std::uint64_t keep_head = ~std::uint64_t{0}; // of the first 8 bytes, as they lie there
    std::uint64_t head = 0;
    std::uint32_t keep_tail = ~std::uint32_t{0}; // of the next 4
    std::uint32_t tail = 0;
    PortId port = PortId::none;
    bool decrements_ttl = false; // of IP packets
    friend bool operator==(const Hop&, const Hop&) = default;
};
static_assert(sizeof(Hop) == cache_line / 2);

/// The hop with the fields of key word 1 or 2 set to what it holds: eth.dst, eth.src.
Hop with_address(const Hop& hop, std::size_t word, std::uint64_t value) noexcept;
/// The edit that says the same for a packet with this key.
Edit edit_of(const Hop& hop, const FlowKey& key) noexcept;

/// rewrite() of such an edit, without comparing: a few loads and stores. The time to live of an IP
/// packet is not 0.
inline void rewrite_hop(Packet& packet, std::uint16_t original_shape, const Hop& hop) noexcept {
    std::uint64_t head;
    std::uint32_t tail;
    std::memcpy(&head, packet.data, sizeof head);
    std::memcpy(&tail, packet.data + sizeof head, sizeof tail);
    head = (head & hop.keep_head) | hop.head;
    tail = (tail & hop.keep_tail) | hop.tail;
    std::memcpy(packet.data, &head, sizeof head);
    std::memcpy(packet.data + sizeof head, &tail, sizeof tail);
    if (!hop.decrements_ttl || !has(original_shape, Shape::ip))
        return;
    std::byte* const l3 = packet.data + packet.l3_offset;
    if (has(original_shape, Shape::ip4)) {
        const auto ttl = load_be<std::uint16_t>(l3 + ip4_header::ttl); // and protocol
        const auto after = static_cast<std::uint16_t>(ttl - 0x100);
        SumChange header;
        header.change(ttl, after);
        store_be(l3 + ip4_header::ttl, after);
        std::byte* const field = l3 + ip4_header::checksum;
        store_be(field, header.checksum(load_be<std::uint16_t>(field)));
    } else {
        std::byte& limit = l3[ip6_header::hop_limit];
        limit = static_cast<std::byte>(std::to_integer<unsigned>(limit) - 1);
    }
}

/// Writes the edit into the packet's head: fields of dirty words that the received packet has, then
/// tags. IPv4, TCP, UDP, SCTP, ICMP and ICMPv6 checksums follow incrementally (RFC 1624; a UDP
/// checksum of 0 over IPv4 stays 0; a wrong one stays wrong; a partial one keeps its pseudo-header
/// meaning; SCTP's CRC32c is adjusted so that a wrong one stays wrong). `original_shape` is the
/// shape that parse found. Later fragments: ports are not there, addresses do not touch L4 bytes,
/// but the first fragment's checksum does follow. Not SCTP's: its CRC depends on how much comes
/// after, so a first fragment whose ports change keeps a CRC that its receiver refuses. An IPv6
/// destination with routing segments left is not in L4's sum. Moves packet.data by 4 bytes per tag;
/// needs that headroom. One packet, any thread; never allocates, never fails. Cost: a few ns per
/// dirty word, for SCTP ports some hundred.
void rewrite(Packet& packet, std::uint16_t original_shape, const Edit& edit) noexcept;

} // namespace weft
