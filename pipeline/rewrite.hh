// Fields back to bytes: what a walk changed in the key is written into the packet when it is sent.
#pragma once

#include "base/key.hh"
#include "pipeline/packet.hh"

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
