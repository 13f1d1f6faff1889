#include "dataplane/transmit.hh"

#include "base/be.hh"
#include "dataplane/buffers.hh"
#include "pipeline/checksum.hh"
#include "pipeline/headers.hh"
#include "pipeline/program.hh"
#include "pipeline/rewrite.hh"
#include "pipeline/tables.hh"

#include <rte_ethdev.h>

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

namespace weft {

namespace {

/// True if the frame fits: tags do not count against the MTU (IEEE 802.3 clause 3.2.7).
bool fits(const Packet& packet, const TxQueue& out) noexcept {
    if (packet.bytes <= out.plain_bytes_max) [[likely]]
        return true;
    std::uint32_t tags = 0;
    std::uint32_t at = ether::addresses_bytes;
    while (tags < 2 && at + 2 <= packet.head_bytes &&
           ether::is_tag(load_be<std::uint16_t>(packet.data + at))) {
        ++tags;
        at += ether::tag_bytes;
    }
    return packet.bytes <= out.plain_bytes_max + tags * ether::tag_bytes;
}

/// Asks the device to complete the sum, where it can; the field holds the pseudo header's sum
/// already.
bool ask_device(const Packet& packet, std::uint64_t can) noexcept {
    const auto l4 = l4_extent(packet);
    if (!l4)
        return false;
    std::uint64_t flag = 0;
    if (l4->proto == ipproto::tcp && (can & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0)
        flag = RTE_MBUF_F_TX_TCP_CKSUM;
    else if (l4->proto == ipproto::udp && (can & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0)
        flag = RTE_MBUF_F_TX_UDP_CKSUM;
    else
        return false;
    const bool ip4 = (static_cast<unsigned>(packet.data[packet.l3_offset]) >> 4) == 4;
    rte_mbuf* const buffer = buffer_of(packet);
    buffer->ol_flags |= flag | (ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
    buffer->l2_len = packet.l3_offset & 0x7fu;
    buffer->l3_len = static_cast<std::uint16_t>(l4->offset - packet.l3_offset) & 0x1ffu;
    return true;
}

/// Computes the sum over all segments. One that cannot be (a packet cut short) stays as it is: its
/// receiver refuses it.
void complete_checksum(Packet& packet) noexcept {
    constexpr std::size_t segments_max = 64;
    std::array<std::span<const std::byte>, segments_max> rest;
    std::size_t count = 0;
    for (const rte_mbuf* at = buffer_of(packet)->next; at != nullptr && count < segments_max;
         at = at->next)
        rest[count++] = {rte_pktmbuf_mtod(at, const std::byte*), at->data_len};
    write_l4_checksum(packet, std::span{rest}.first(count));
}

std::uint32_t bytes_of(rte_mbuf* const* buffers, std::uint32_t count) noexcept {
    std::uint32_t bytes = 0;
    for (std::uint32_t i = 0; i < count; ++i)
        bytes += buffers[i]->pkt_len;
    return bytes;
}

} // namespace

void Transmit::run(
    Burst& burst, Taken& taken, Plan& plan, std::uint64_t now_ms, Account& account
) noexcept {
    now_ms_ = now_ms;
    account_ = &account;
    for (const std::size_t lane : Lanes{burst.hops})
        rewrite_hop(burst.packet[lane], burst.shape[lane], *burst.hop[lane]);
    if (pass_on(burst, taken, plan))
        return free_dropped();
    for (std::size_t lane = 0; lane < burst.count; ++lane) {
        Packet& packet = burst.packet[lane];
        if ((burst.plain & lane_bit(lane)) != 0) {
            TxQueue* const out = plan.way_out(burst.port[lane]);
            if (out == nullptr) [[unlikely]]
                drop(buffer_of(packet), Drop::port_closed);
            else if (taken.as_received && packet.bytes <= out->plain_bytes_max) [[likely]]
                enqueue(buffer_of(packet), packet.bytes, *out);
            else
                output(packet, *out);
            continue;
        }
        const std::uint16_t first = burst.effects.first[lane];
        if (first == Effect::none) {
            drop(buffer_of(packet), burst.why[lane]);
            continue;
        }
        const Effect& effect = burst.effects.effect[first];
        const bool only_output = effect.kind == Effect::Kind::output &&
                                 effect.next == Effect::none && effect.max_bytes == 0;
        TxQueue* const out = only_output ? plan.way_out(effect.port) : nullptr;
        if (out == nullptr) [[unlikely]] {
            run_lane(burst, lane, plan);
            continue;
        }
        if (effect.edit != Effect::none) {
            rewrite(packet, burst.shape[lane], burst.effects.edits[effect.edit]);
            sync_head(packet);
        }
        output(packet, *out);
    }
    for (std::uint32_t i = 0; i < touched_count_; ++i)
        flush(*touched_[i]);
    touched_count_ = 0;
    free_dropped();
}

/// A burst whose packets go as they came to one port, or are dropped: no more is asked of each than
/// which of the two.
bool Transmit::pass_on(const Burst& burst, Taken& taken, Plan& plan) noexcept {
    if (burst.plain == 0 || burst.effects.used != 0 || !taken.as_received)
        return false;
    const PortId port = burst.port[static_cast<std::size_t>(std::countr_zero(burst.plain))];
    LaneMask other = 0;
    for (std::size_t lane = 0; lane < burst.count; ++lane)
        other |= LaneMask{burst.port[lane] != port} << lane;
    TxQueue* const out = plan.way_out(port);
    if ((other & burst.plain) != 0 || out == nullptr || taken.bytes_max > out->plain_bytes_max)
        return false;
    const LaneMask dropped = first_lanes(burst.count) & ~burst.plain;
    std::uint32_t sent = burst.count;
    std::uint64_t bytes = taken.bytes;
    if (dropped != 0) {
        sent = 0;
        bytes = 0;
        for (std::size_t lane = 0; lane < burst.count; ++lane) {
            rte_mbuf* const buffer = taken.buffer[lane];
            const std::uint32_t sends = burst.plain >> lane & 1;
            taken.buffer[sent] = buffer;
            dropped_[dropped_count_] = buffer;
            sent += sends;
            dropped_count_ += 1 - sends;
            bytes += burst.packet[lane].bytes & (0 - sends);
        }
        for (const std::size_t lane : Lanes{dropped})
            account_->drop(burst.why[lane]);
    }
    give(*out, taken.buffer.data(), sent, static_cast<std::uint32_t>(bytes));
    return true;
}

/// A lane with more than one effect, or one that is no plain output: the last that is no drop gets
/// the packet itself, the others copies.
void Transmit::run_lane(Burst& burst, std::size_t lane, Plan& plan) noexcept {
    const Effects& effects = burst.effects;
    // Of all: where none is left but drops, it is one of them.
    std::uint16_t last = effects.first[lane];
    bool found = false;
    for (std::uint16_t at = last; at != Effect::none; at = effects.effect[at].next) {
        if (effects.effect[at].kind != Effect::Kind::drop) {
            last = at;
            found = true;
        } else if (!found) {
            last = at;
        }
    }
    Packet& packet = burst.packet[lane];
    for (std::uint16_t at = effects.first[lane]; at != Effect::none; at = effects.effect[at].next) {
        const Effect& effect = effects.effect[at];
        if (at == last)
            continue;
        ++account_->made;
        Packet copy;
        Drop reason = effect.kind == Effect::Kind::drop   ? effect.reason
                      : effect.kind == Effect::Kind::punt ? refuses_punt(effect, plan)
                                                          : Drop::none;
        // The cut comes after the edit, which needs the headers whole and may take two tags away.
        const bool whole = effect.max_bytes == 0 || effect.kind == Effect::Kind::punt;
        const std::uint32_t bytes_max =
            whole ? 0 : std::max(effect.max_bytes + 2 * ether::tag_bytes, head_bytes_least);
        if (reason == Drop::none && !copy_packet(packet, bytes_max, pool_, copy))
            reason = Drop::no_buffers;
        if (reason != Drop::none) {
            account_->drop(reason);
            continue;
        }
        carry_out(burst, lane, effect, copy, plan);
    }
    const Effect& effect = effects.effect[last];
    const Drop reason = effect.kind == Effect::Kind::drop   ? effect.reason
                        : effect.kind == Effect::Kind::punt ? refuses_punt(effect, plan)
                                                            : Drop::none;
    if (reason != Drop::none)
        return drop(buffer_of(packet), reason);
    carry_out(burst, lane, effect, packet, plan);
}

/// The effect on a packet of its own: edits, cuts, and sends or punts it.
void Transmit::carry_out(
    Burst& burst, std::size_t lane, const Effect& effect, Packet& packet, Plan& plan
) noexcept {
    if (effect.edit != Effect::none) {
        rewrite(packet, burst.shape[lane], burst.effects.edits[effect.edit]);
        sync_head(packet);
    }
    if (effect.kind == Effect::Kind::punt) // whole: its reader is told how large it was
        return punt(burst, lane, effect, packet);
    if (effect.max_bytes != 0 && effect.max_bytes < packet.bytes)
        cut_packet(packet, effect.max_bytes);
    TxQueue* const out = plan.way_out(effect.port);
    if (out == nullptr)
        return drop(buffer_of(packet), Drop::port_closed);
    output(packet, *out);
}

void Transmit::output(Packet& packet, TxQueue& out) noexcept {
    rte_mbuf* buffer = buffer_of(packet);
    if (!fits(packet, out)) [[unlikely]]
        return drop(buffer, Drop::mtu);
    const bool whole = buffer->nb_segs == 1 || out.sends_segments;
    if (!whole || packet.l4_checksum == Checksum::partial) [[unlikely]] {
        if (!complete(packet, out))
            return;
        buffer = buffer_of(packet);
    }
    enqueue(buffer, packet.bytes, out);
}

/// What the device cannot do: sums, and packets in several pieces. False where the packet is lost.
bool Transmit::complete(Packet& packet, TxQueue& out) noexcept {
    if (packet.l4_checksum == Checksum::partial && !ask_device(packet, out.port->tx_checksums))
        complete_checksum(packet);
    rte_mbuf* const buffer = buffer_of(packet);
    if (buffer->nb_segs == 1 || out.sends_segments)
        return true;
    // The port's own buffers are large enough for its frames.
    rte_mbuf* const whole = rte_pktmbuf_copy(buffer, out.port->pool, 0, UINT32_MAX);
    if (whole == nullptr || whole->nb_segs != 1) {
        rte_pktmbuf_free(whole);
        drop(buffer, Drop::no_buffers);
        return false;
    }
    rte_pktmbuf_free(buffer);
    packet.owner = whole;
    return true;
}

/// Whether a punt of this port and class may be, before anything is copied for it.
Drop Transmit::refuses_punt(const Effect& effect, const Plan& plan) noexcept {
    const TxQueue* const device = plan.way_out(effect.port);
    PuntBuckets& buckets = device != nullptr ? device->port->punts : others_;
    const std::uint8_t reason = effect.punt == nullptr ? 0 : effect.punt->reason;
    return buckets.take(reason, now_ms_, rate_) ? Drop::none : Drop::punt_rate;
}

void Transmit::punt(
    const Burst& burst, std::size_t lane, const Effect& effect, const Packet& packet
) noexcept {
    Report report; // its key is all that is large, and is written whole
    report.kind = Report::Kind::punt;
    report.table = effect.table;
    report.port = effect.port;
    report.packet_bytes = packet.bytes;
    report.packet = buffer_of(packet);
    report.spec = effect.punt;
    report.key = burst.key[lane];
    if (!reports_.push(report))
        return drop(buffer_of(packet), Drop::punt_queue_full);
    ++account_->taken;
}

void Transmit::enqueue(rte_mbuf* buffer, std::uint32_t bytes, TxQueue& out) noexcept {
    if (out.count == 0) {
        if (touched_count_ == touched_.size()) { // a burst that floods to many ports
            for (TxQueue* const full : touched_)
                flush(*full);
            touched_count_ = 0;
        }
        touched_[touched_count_++] = &out;
    }
    out.packets[out.count++] = buffer;
    out.bytes += bytes;
    if (out.count == TxQueue::size) [[unlikely]]
        flush(out
        ); // stays listed; the next packet lists it twice, and an empty flush costs nothing
}

void Transmit::flush(TxQueue& out) noexcept {
    if (out.count == 0)
        return;
    give(out, out.packets.data(), std::exchange(out.count, 0), std::exchange(out.bytes, 0));
}

/// Packets to the device, or to the worker that owns the queue; what is refused is dropped.
void Transmit::give(
    TxQueue& out, rte_mbuf** buffers, std::uint32_t count, std::uint32_t bytes
) noexcept {
    if (out.handover != nullptr) {
        const unsigned taken = out.handover->push(buffers, count);
        account_->handed += taken;
        for (std::uint32_t i = taken; i < count; ++i)
            drop(buffers[i], Drop::ring_full);
        return;
    }
    const std::uint16_t sent =
        rte_eth_tx_burst(out.ethdev, out.queue, buffers, static_cast<std::uint16_t>(count));
    if (sent != count) [[unlikely]] {
        const std::uint32_t refused = count - sent;
        bytes -= bytes_of(&buffers[sent], refused);
        out.counters->tx_dropped.add(refused);
        for (std::uint32_t i = sent; i < count; ++i)
            drop(buffers[i], Drop::queue_full);
    }
    account_->sent += sent;
    out.counters->tx_packets.add(sent);
    out.counters->tx_bytes.add(bytes);
}

void Transmit::drop(rte_mbuf* buffer, Drop reason) noexcept {
    account_->drop(reason);
    dropped_[dropped_count_++] = buffer;
    if (dropped_count_ == dropped_.size())
        free_dropped();
}

void Transmit::free_dropped() noexcept {
    if (dropped_count_ == 0)
        return;
    rte_pktmbuf_free_bulk(dropped_.data(), dropped_count_);
    dropped_count_ = 0;
}

unsigned Transmit::drain(Plan& plan) noexcept {
    unsigned moved = 0;
    for (HandoverIn& in : plan.handover) {
        std::array<rte_mbuf*, TxQueue::size> packets;
        const unsigned count = in.from->pop(packets.data(), packets.size());
        if (count == 0)
            continue;
        moved += count;
        const std::uint32_t bytes = bytes_of(packets.data(), count); // before the device frees them
        const std::uint16_t sent = rte_eth_tx_burst(
            in.ethdev, in.queue, packets.data(), static_cast<std::uint16_t>(count)
        );
        const std::uint32_t refused_bytes = bytes_of(&packets[sent], count - sent);
        if (sent != count) {
            rte_pktmbuf_free_bulk(&packets[sent], count - sent);
            in.from->queue_full.add(count - sent);
            in.counters->tx_dropped.add(count - sent);
        }
        in.from->sent.add(sent);
        in.counters->tx_packets.add(sent);
        in.counters->tx_bytes.add(bytes - refused_bytes);
    }
    return moved;
}

} // namespace weft
