#include "dataplane/buffers.hh"

#include <algorithm>
#include <cstring>

namespace weft {

namespace {

/// The chain's segments hold together what its first one says, and not one of them more than its
/// buffer.
bool is_consistent(const rte_mbuf* buffer) noexcept {
    std::uint64_t bytes = 0;
    unsigned segments = 0;
    for (const rte_mbuf* at = buffer; at != nullptr; at = at->next, ++segments)
        bytes += at->data_len;
    return bytes == buffer->pkt_len && segments == buffer->nb_segs;
}

/// Hangs buffers behind `last` that refer to the chain's bytes from `skip` on, `bytes` of them.
bool attach_rest(
    rte_mbuf* head, rte_mbuf* chain, std::uint32_t skip, std::uint32_t bytes, rte_mempool* pool
) noexcept {
    rte_mbuf* last = head;
    for (rte_mbuf* at = chain; bytes != 0 && at != nullptr; at = at->next) {
        if (skip >= at->data_len) {
            skip -= at->data_len;
            continue;
        }
        rte_mbuf* const reference = rte_pktmbuf_alloc(pool);
        if (reference == nullptr)
            return false;
        const std::uint32_t part = std::min<std::uint32_t>(at->data_len - skip, bytes);
        rte_pktmbuf_attach(reference, at);
        reference->data_off = static_cast<std::uint16_t>(at->data_off + skip);
        reference->data_len = static_cast<std::uint16_t>(part);
        reference->pkt_len = part;
        reference->nb_segs = 1;
        reference->next = nullptr;
        last->next = reference;
        last = reference;
        ++head->nb_segs;
        skip = 0;
        bytes -= part;
    }
    head->pkt_len -= bytes; // 0 left, unless the chain was shorter than it said
    return true;
}

void copy_bytes(const rte_mbuf* from, std::uint32_t bytes, std::byte* to) noexcept {
    for (; bytes != 0 && from != nullptr; from = from->next) {
        const auto part = std::min<std::uint32_t>(from->data_len, bytes);
        std::memcpy(to, rte_pktmbuf_mtod(from, const std::byte*), part);
        to += part;
        bytes -= part;
    }
}

/// A new head with the first `own` bytes of the chain and references to the others, `bytes` in all.
rte_mbuf*
copy_chain(rte_mbuf* chain, std::uint32_t own, std::uint32_t bytes, rte_mempool* pool) noexcept {
    rte_mbuf* const head = rte_pktmbuf_alloc(pool);
    if (head == nullptr)
        return nullptr;
    copy_bytes(chain, own, rte_pktmbuf_mtod(head, std::byte*));
    head->data_len = static_cast<std::uint16_t>(own);
    head->pkt_len = bytes;
    if (own != bytes && !attach_rest(head, chain, own, bytes - own, pool)) {
        rte_pktmbuf_free(head);
        return nullptr;
    }
    return head;
}

std::uint32_t own_bytes(std::uint32_t bytes) noexcept {
    return bytes <= copy_whole_max ? bytes : head_bytes_least;
}

/// Moves bytes from the following segments into the room behind the head's; their buffers'
/// descriptions are ours even where their bytes are shared.
void pull_up(rte_mbuf* buffer) noexcept {
    const std::uint32_t wanted = std::min(head_bytes_least, buffer->pkt_len);
    while (buffer->data_len < wanted) {
        rte_mbuf* const next = buffer->next;
        const auto part = std::min<std::uint32_t>(next->data_len, wanted - buffer->data_len);
        std::memcpy(
            rte_pktmbuf_mtod_offset(buffer, std::byte*, buffer->data_len),
            rte_pktmbuf_mtod(next, const std::byte*),
            part
        );
        buffer->data_len = static_cast<std::uint16_t>(buffer->data_len + part);
        next->data_off = static_cast<std::uint16_t>(next->data_off + part);
        next->data_len = static_cast<std::uint16_t>(next->data_len - part);
        if (next->data_len != 0)
            continue;
        buffer->next = next->next;
        --buffer->nb_segs;
        next->next = nullptr;
        next->nb_segs = 1;
        rte_pktmbuf_free_seg(next);
    }
}

bool descriptions_are_ours(const rte_mbuf* buffer) noexcept {
    for (const rte_mbuf* at = buffer; at != nullptr; at = at->next)
        if (rte_mbuf_refcnt_read(at) != 1)
            return false;
    return true;
}

} // namespace

void read_checksum_flags(const rte_mbuf& buffer, Packet& packet) noexcept {
    const std::uint64_t l4 = buffer.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
        packet.l4_checksum = Checksum::verified;
    else if (l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        packet.l4_checksum = Checksum::bad;
    else if (l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE) // right data, sum not in the packet: virtio's
                                                // partial one
        packet.l4_checksum = Checksum::partial;
    const std::uint64_t l3 = buffer.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (l3 == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
        packet.l3_checksum = Checksum::verified;
    else if (l3 == RTE_MBUF_F_RX_IP_CKSUM_BAD)
        packet.l3_checksum = Checksum::bad;
    if ((buffer.ol_flags & RTE_MBUF_F_RX_LRO) != 0)
        packet.segment_bytes = buffer.tso_segsz;
}

rte_mbuf* ready_head(rte_mbuf* buffer, rte_mempool* pool, bool& malformed) noexcept {
    malformed = !is_consistent(buffer);
    if (malformed) {
        rte_pktmbuf_free(buffer);
        return nullptr;
    }
    constexpr std::uint64_t foreign = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    const bool writable = rte_mbuf_refcnt_read(buffer) == 1 && (buffer->ol_flags & foreign) == 0 &&
                          buffer->data_off >= headroom_least;
    const std::uint32_t wanted = std::min(head_bytes_least, buffer->pkt_len);
    if (writable && buffer->data_len >= wanted)
        return buffer;
    const std::uint32_t room = buffer->buf_len - buffer->data_off;
    if (writable && room >= wanted && descriptions_are_ours(buffer)) {
        pull_up(buffer);
        return buffer;
    }
    rte_mbuf* const fresh = copy_chain(buffer, own_bytes(buffer->pkt_len), buffer->pkt_len, pool);
    if (fresh != nullptr) {
        fresh->ol_flags = buffer->ol_flags & ~foreign;
        fresh->port = buffer->port;
        fresh->tso_segsz = buffer->tso_segsz;
    }
    rte_pktmbuf_free(buffer);
    return fresh;
}

bool copy_packet(
    const Packet& original, std::uint32_t bytes_max, rte_mempool* pool, Packet& copy
) noexcept {
    const std::uint32_t bytes =
        bytes_max == 0 ? original.bytes : std::min(original.bytes, bytes_max);
    rte_mbuf* const head = copy_chain(buffer_of(original), own_bytes(bytes), bytes, pool);
    if (head == nullptr)
        return false;
    copy = original;
    copy.data = rte_pktmbuf_mtod(head, std::byte*);
    copy.bytes = bytes;
    copy.head_bytes = head->data_len;
    copy.headroom_bytes = head->data_off;
    copy.owner = head;
    return true;
}

rte_mbuf* make_packet(std::span<const std::byte> bytes, rte_mempool* pool) noexcept {
    rte_mbuf* const head = rte_pktmbuf_alloc(pool);
    if (head == nullptr)
        return nullptr;
    rte_mbuf* last = head;
    for (;;) {
        const auto part = std::min<std::size_t>(rte_pktmbuf_tailroom(last), bytes.size());
        if (part != 0)
            std::memcpy(rte_pktmbuf_mtod(last, std::byte*), bytes.data(), part);
        last->data_len = static_cast<std::uint16_t>(part);
        head->pkt_len += static_cast<std::uint32_t>(part);
        bytes = bytes.subspan(part);
        if (bytes.empty())
            return head;
        rte_mbuf* const next = rte_pktmbuf_alloc(pool);
        if (next == nullptr) {
            rte_pktmbuf_free(head);
            return nullptr;
        }
        next->data_off = 0;
        last->next = next;
        last = next;
        ++head->nb_segs;
    }
}

void cut_packet(Packet& packet, std::uint32_t bytes) noexcept {
    rte_mbuf* const head = buffer_of(packet);
    rte_mbuf* at = head;
    std::uint32_t left = bytes;
    unsigned kept = 1;
    while (left > at->data_len && at->next != nullptr) {
        left -= at->data_len;
        at = at->next;
        ++kept;
    }
    at->data_len = static_cast<std::uint16_t>(std::min<std::uint32_t>(at->data_len, left));
    rte_mbuf* rest = at->next;
    at->next = nullptr;
    while (rest != nullptr) { // one by one: the rest's own count of segments is not kept
        rte_mbuf* const next = rest->next;
        rest->next = nullptr;
        rest->nb_segs = 1;
        rte_pktmbuf_free_seg(rest);
        rest = next;
    }
    head->nb_segs = static_cast<std::uint16_t>(kept);
    head->pkt_len = bytes;
    packet.bytes = bytes;
    packet.head_bytes = head->data_len;
}

} // namespace weft
