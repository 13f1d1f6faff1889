// A packet as the pipeline sees it: bytes and what is known about them, nothing of devices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

/// What is known of a packet's L4 (and IPv4 header) checksum. Edits are incremental, so a wrong one
/// stays wrong.
enum class Checksum : std::uint8_t {
    unknown,  // as it came: nobody looked
    verified, // a device or we found it right
    bad,      // a device or we found it wrong
    partial,  // the sum over the pseudo header only (virtio's NEEDS_CSUM): whoever sends it
              // completes it
};

/// One packet. The first `head_bytes` lie in one writable piece at `data`: all of the packet, or at
/// least 256 bytes. `headroom_bytes` before `data` may be written (VLAN tags, tunnel headers).
struct Packet {
    std::byte* data = nullptr;
    std::uint32_t bytes = 0;
    std::uint16_t head_bytes = 0;
    std::uint16_t headroom_bytes = 0;
    Checksum l4_checksum = Checksum::unknown;
    Checksum l3_checksum = Checksum::unknown;
    std::uint16_t segment_bytes = 0; // segmentation asked for: payload bytes per segment; 0: none
    // Written by parse:
    std::uint8_t l2_bytes = 0; // Ethernet and VLAN tags: where L3 begins
    std::uint8_t reserved = 0;
    std::uint16_t l3_offset = 0; // 0: no L3 header was recognised
    std::uint16_t l4_offset = 0; // 0: none (also for later fragments)
    void* owner = nullptr;       // dataplane's handle (an mbuf); the pipeline never looks at it
};

} // namespace weft
