// Packets in DPDK's buffers: what a chain of them holds, copies that share only payload, cuts.
#pragma once

#include "base/lanes.hh"
#include "pipeline/packet.hh"

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace weft {

/// This much of every packet, or all of it, lies in one piece that may be written (DESIGN, receive
/// guarantee).
inline constexpr std::uint32_t head_bytes_least = 256;
/// Room in front of it for tags and tunnel headers.
inline constexpr std::uint32_t headroom_least = 64;
/// Up to here a copy takes all bytes: cheaper than a second buffer that refers to the rest.
inline constexpr std::uint32_t copy_whole_max = 512;

/// Of a buffer's flags, what it is itself, beside what is known of the packet in it.
inline constexpr std::uint64_t buffer_flags = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;

inline rte_mbuf* buffer_of(const Packet& packet) noexcept {
    return static_cast<rte_mbuf*>(packet.owner);
}

/// 0 where the buffer keeps the receive guarantee and nothing is known of its packet: one piece,
/// nobody else's, enough room in front, without flags. Most are; the answers of many buffers can be
/// joined by `|`.
inline std::uint64_t differs_from_plain(const rte_mbuf& buffer) noexcept {
    static_assert(offsetof(rte_mbuf, refcnt) == offsetof(rte_mbuf, data_off) + 2);
    static_assert(offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, refcnt) + 2);
    constexpr std::uint64_t one_of_each = 0x0001'0001'0000;
    std::uint64_t together; // data_off, refcnt, nb_segs, port
    std::memcpy(
        &together,
        reinterpret_cast<const std::byte*>(&buffer) + offsetof(rte_mbuf, data_off),
        sizeof together
    );
    const std::uint64_t counts_off = (together ^ one_of_each) << 16; // counts above, data_off below
    const std::uint64_t room_left = counts_off - (std::uint64_t{headroom_least} << 16);
    return (counts_off | room_left) >> 32 | buffer.ol_flags;
}

/// True where the buffer keeps the receive guarantee as it is.
inline bool head_is_ready(const rte_mbuf& buffer) noexcept {
    return buffer.nb_segs == 1 && rte_mbuf_refcnt_read(&buffer) == 1 &&
           (buffer.ol_flags & buffer_flags) == 0 && buffer.data_off >= headroom_least;
}

/// Describes a buffer that keeps the guarantee, but for what parse writes.
inline void describe(rte_mbuf* buffer, Packet& packet) noexcept {
    packet.data = rte_pktmbuf_mtod(buffer, std::byte*);
    packet.bytes = buffer->pkt_len;
    packet.head_bytes = buffer->data_len;
    packet.headroom_bytes = buffer->data_off;
    packet.l4_checksum = Checksum::unknown;
    packet.l3_checksum = Checksum::unknown;
    packet.segment_bytes = 0;
    packet.owner = buffer;
}

/// What the device said of the checksums.
void read_checksum_flags(const rte_mbuf& buffer, Packet& packet) noexcept;

/// Makes the buffer keep the guarantee: bytes move up from the chain, or the head is copied. The
/// result replaces `buffer`, which must not be used any more. Null where `pool` is empty or the
/// chain contradicts itself (`malformed` says which); then it is freed.
rte_mbuf* ready_head(rte_mbuf* buffer, rte_mempool* pool, bool& malformed) noexcept;

/// A packet with a head of its own and the same bytes, at most `bytes_max` of them (0: all).
/// Payload behind the head is shared and must not be written by anyone. Describes it in `copy`,
/// with the offsets of the original. False where `pool` is empty.
bool copy_packet(
    const Packet& original, std::uint32_t bytes_max, rte_mempool* pool, Packet& copy
) noexcept;

/// A packet of these bytes; null where `pool` is empty.
rte_mbuf* make_packet(std::span<const std::byte> bytes, rte_mempool* pool) noexcept;

/// Brings the buffer to what the packet's description says after its head was edited.
inline void sync_head(const Packet& packet) noexcept {
    rte_mbuf* const buffer = buffer_of(packet);
    buffer->data_off =
        static_cast<std::uint16_t>(packet.data - static_cast<std::byte*>(buffer->buf_addr));
    buffer->data_len = packet.head_bytes;
    buffer->pkt_len = packet.bytes;
}

/// Cuts the packet to `bytes`, fewer than it has; buffers that hold nothing then are freed.
void cut_packet(Packet& packet, std::uint32_t bytes) noexcept;

} // namespace weft
