#include "pipeline/rewrite.hh"

#include "base/be.hh"
#include "base/check.hh"
#include "pipeline/checksum.hh"
#include "pipeline/headers.hh"

#include <algorithm>
#include <array>
#include <cstring>

// L3 and L4 first, at the offsets of the packet as it came; tags last, because they move the
// packet's beginning. Every field is compared with the bytes before it is written: a word is dirty
// when any field in it was set, also to what it was, and the sums then take the difference, never
// the whole.

namespace weft {

namespace {

constexpr WordMask bit(unsigned word) noexcept {
    return WordMask{1} << word;
}
constexpr WordMask above_l2 = header_words & ~(bit(1) | bit(2));

/// One rewrite: what is changed, and how the sums follow.
struct Rewrite {
    Packet& packet;
    const Edit& edit;
    std::uint16_t shape;
    SumChange pseudo{}; // of the addresses in the pseudo header
    SumChange own{};    // of the bytes that only L4's own sum covers

    bool dirty(unsigned word) const noexcept { return (edit.dirty & bit(word)) != 0; }
    bool is(Shape bits) const noexcept { return has(shape, bits); }

    void arp() noexcept;
    void ip4() noexcept;
    void ip6() noexcept;
    void l4() noexcept;
    void ports() noexcept;
    void neighbour() noexcept;
    void neighbour_address(std::uint16_t offset, unsigned word) noexcept;
    void sum_at(std::uint32_t offset, bool zero_is_none) noexcept;
    void tags() noexcept;
};

/// Stores `after` where `before` stands and lets the sum follow.
template <class T>
void replace(std::byte* at, T before, T after, SumChange& sum) noexcept {
    sum.change(before, after);
    store_be(at, after);
}

template <class T>
void replace(std::byte* at, T after, SumChange& sum) noexcept {
    replace(at, load_be<T>(at), after, sum);
}

void Rewrite::arp() noexcept {
    std::byte* const at = packet.data + packet.l3_offset;
    if (dirty(3)) {
        store_be(at + arp_header::spa, static_cast<std::uint32_t>(edit.word[3] >> 32));
        store_be(at + arp_header::tpa, static_cast<std::uint32_t>(edit.word[3]));
    }
    if (dirty(4))
        store_be(at + arp_header::op, static_cast<std::uint16_t>(edit.word[4] >> 16));
    if (dirty(22))
        store_be48(at + arp_header::sha, edit.word[22] >> 16);
    if (dirty(23))
        store_be48(at + arp_header::tha, edit.word[23] >> 16);
}

void Rewrite::ip4() noexcept {
    std::byte* const at = packet.data + packet.l3_offset;
    SumChange header;
    if (dirty(3)) {
        replace(at + ip4_header::src, edit.word[3], pseudo);
        header = pseudo;
    }
    if (dirty(4)) {
        // A 16-bit word each: version, ihl and tos; ttl and protocol.
        const auto tos = load_be<std::uint16_t>(at);
        const auto ttl = load_be<std::uint16_t>(at + ip4_header::ttl);
        const auto new_tos =
            static_cast<std::uint16_t>((tos & 0xff00) | (edit.word[4] >> 40 & 0xff));
        const auto new_ttl =
            static_cast<std::uint16_t>((ttl & 0xff) | (edit.word[4] >> 48 & 0xff) << 8);
        replace(at, tos, new_tos, header);
        replace(at + ip4_header::ttl, ttl, new_ttl, header);
    }
    if (!header.empty()) {
        std::byte* const field = at + ip4_header::checksum;
        store_be(field, header.checksum(load_be<std::uint16_t>(field)));
    }
}

void Rewrite::ip6() noexcept {
    std::byte* const at = packet.data + packet.l3_offset;
    if (dirty(4) || dirty(5)) {
        auto first = load_be<std::uint32_t>(at);
        if (dirty(4)) {
            first = (first & 0xf00f'ffff) | static_cast<std::uint32_t>(edit.word[4] >> 40 & 0xff)
                                                << 20;
            at[ip6_header::hop_limit] = static_cast<std::byte>(edit.word[4] >> 48);
        }
        if (dirty(5))
            first = (first & 0xfff0'0000) | (edit.word[5] & 0xf'ffff);
        store_be(at, first);
    }
    for (unsigned i = 0; i < 2; ++i)
        if (dirty(16 + i))
            replace(at + ip6_header::src + 8 * i, edit.word[16 + i], pseudo);
    if (!dirty(18) && !dirty(19))
        return;
    SumChange dst;
    for (unsigned i = 0; i < 2; ++i)
        if (dirty(18 + i))
            replace(at + ip6_header::dst + 8 * i, edit.word[18 + i], dst);
    // With segments left in a routing header the pseudo header names the last destination, not this
    // one (RFC 8200 8.1).
    const bool has_extensions = packet.l4_offset != packet.l3_offset + ip6_header::bytes;
    if (packet.l4_offset != 0 && has_extensions &&
        walk_ip6(packet.data, packet.l3_offset, packet.l4_offset).on_the_way)
        return;
    pseudo.add(dst);
}

/// SCTP's sum is not of this kind: it follows here, where the message ends with this packet.
void Rewrite::ports() noexcept {
    std::byte* const at = packet.data + packet.l4_offset;
    const auto before = load_be<std::uint32_t>(at);
    const auto after = static_cast<std::uint32_t>(edit.word[4]);
    if (before == after)
        return;
    replace(at, before, after, own);
    if (!is(Shape::sctp) || packet.l4_checksum == Checksum::partial)
        return;
    const auto l4 = l4_extent(packet);
    if (!l4)
        return;
    std::uint32_t crc;
    std::memcpy(&crc, at + sctp_header::checksum, sizeof crc);
    crc ^= crc32c_change(byte_swap(before ^ after), l4->bytes);
    std::memcpy(at + sctp_header::checksum, &crc, sizeof crc);
}

void Rewrite::neighbour_address(std::uint16_t offset, unsigned word) noexcept {
    if (offset == 0 || !dirty(word))
        return;
    std::byte* const at = packet.data + offset;
    const std::uint64_t after = edit.word[word] >> 16;
    own.change(load_be48(at), after);
    store_be48(at, after);
}

void Rewrite::neighbour() noexcept {
    std::byte* const at = packet.data + packet.l4_offset;
    for (unsigned i = 0; i < 2; ++i)
        if (dirty(20 + i))
            replace(at + icmp_header::nd_target + 8 * i, edit.word[20 + i], own);
    if (!dirty(22) && !dirty(23))
        return;
    const std::byte* const l3 = packet.data + packet.l3_offset;
    const std::uint32_t l3_end =
        packet.l3_offset + ip6_header::bytes + load_be<std::uint16_t>(l3 + ip6_header::payload);
    const auto options = walk_nd_options(
        packet.data,
        packet.l4_offset + icmp_header::nd_bytes,
        std::min({l3_end, std::uint32_t{packet.head_bytes}, headers_bytes_max})
    );
    neighbour_address(options.sll, 22);
    neighbour_address(options.tll, 23);
}

/// Brings the 16-bit sum at `offset` of the L4 header after the changes.
void Rewrite::sum_at(std::uint32_t offset, bool zero_is_none) noexcept {
    std::byte* const field = packet.data + packet.l4_offset + offset;
    const auto before = load_be<std::uint16_t>(field);
    if (packet.l4_checksum == Checksum::partial) {
        if (!pseudo.empty())
            store_be(field, pseudo.plain(before));
        return;
    }
    SumChange all = own;
    all.add(pseudo);
    if (all.empty() || (zero_is_none && before == 0))
        return;
    const std::uint16_t after = all.checksum(before);
    store_be(field, zero_is_none && after == 0 ? std::uint16_t{0xffff} : after);
}

void Rewrite::l4() noexcept {
    const bool has_ports = is(Shape::tcp) || is(Shape::udp) || is(Shape::sctp);
    const bool is_icmp = is(Shape::icmp4) || is(Shape::icmp6);
    if (dirty(4) && has_ports)
        ports();
    if (dirty(4) && is_icmp) {
        const std::uint64_t word = edit.word[4];
        const auto type_code = static_cast<std::uint16_t>((word >> 16 & 0xff) << 8 | (word & 0xff));
        replace(packet.data + packet.l4_offset, type_code, own);
    }
    if (is(Shape::nd))
        neighbour();
    if (is(Shape::icmp4))
        pseudo = {}; // the one sum without a pseudo header
    if (is(Shape::tcp))
        sum_at(tcp_header::checksum, false);
    else if (is(Shape::udp))
        sum_at(udp_header::checksum, true);
    else if (is_icmp)
        sum_at(icmp_header::checksum, false);
}

void Rewrite::tags() noexcept {
    const unsigned had = is(Shape::vlan1) ? 2 : is(Shape::vlan) ? 1 : 0;
    const unsigned popped = edit.vlan_popped, pushed = edit.vlan_pushed;
    dcheck(popped <= had && pushed <= 2);
    const int moved_bytes =
        static_cast<int>(ether::tag_bytes) * (static_cast<int>(popped) - static_cast<int>(pushed));
    if (moved_bytes != 0) {
        dcheck(packet.headroom_bytes + moved_bytes >= 0);
        std::memmove(packet.data + moved_bytes, packet.data, ether::addresses_bytes);
        packet.data += moved_bytes;
        packet.bytes = static_cast<std::uint32_t>(static_cast<int>(packet.bytes) - moved_bytes);
        packet.head_bytes =
            static_cast<std::uint16_t>(std::min(packet.head_bytes - moved_bytes, 0xffff));
        packet.headroom_bytes = static_cast<std::uint16_t>(packet.headroom_bytes + moved_bytes);
        packet.l2_bytes = static_cast<std::uint8_t>(packet.l2_bytes - moved_bytes);
        if (packet.l3_offset != 0)
            packet.l3_offset = static_cast<std::uint16_t>(packet.l3_offset - moved_bytes);
        if (packet.l4_offset != 0)
            packet.l4_offset = static_cast<std::uint16_t>(packet.l4_offset - moved_bytes);
    }
    if (dirty(1))
        store_be48(packet.data, edit.word[1] >> 16);
    if (dirty(2))
        store_be48(packet.data + 6, edit.word[2] >> 16);
    const unsigned count = std::min(pushed + had - popped, 2u);
    std::byte* tag = packet.data + ether::addresses_bytes;
    for (unsigned i = 0; i < count; ++i, tag += ether::tag_bytes) {
        if (i < pushed)
            store_be(tag, edit.vlan_tpid[i]);
        if (pushed != 0 || dirty(1 + i))
            store_be(tag + 2, static_cast<std::uint16_t>(edit.word[1 + i]));
    }
}

} // namespace

Hop with_address(const Hop& hop, std::size_t word, std::uint64_t value) noexcept {
    std::array<std::byte, 12> keep, bytes;
    const auto take = [&](std::array<std::byte, 12>& into, std::uint64_t head, std::uint32_t tail) {
        std::memcpy(into.data(), &head, sizeof head);
        std::memcpy(into.data() + sizeof head, &tail, sizeof tail);
    };
    take(keep, hop.keep_head, hop.keep_tail);
    take(bytes, hop.head, hop.tail);
    const std::size_t at = word == 1 ? 0 : 6;
    store_be48(keep.data() + at, 0);
    store_be48(bytes.data() + at, value >> 16);
    Hop made = hop;
    std::memcpy(&made.keep_head, keep.data(), sizeof made.keep_head);
    std::memcpy(&made.keep_tail, keep.data() + sizeof made.keep_head, sizeof made.keep_tail);
    std::memcpy(&made.head, bytes.data(), sizeof made.head);
    std::memcpy(&made.tail, bytes.data() + sizeof made.head, sizeof made.tail);
    return made;
}

Edit edit_of(const Hop& hop, const FlowKey& key) noexcept {
    Edit edit{};
    std::copy_n(key.word.begin(), std::size(edit.word), edit.word);
    constexpr std::uint64_t address = ~std::uint64_t{0xffff};
    const auto set = [&](std::size_t word, std::uint64_t value) {
        edit.word[word] = (edit.word[word] & ~address) | (value & address);
        edit.dirty |= WordMask{1} << word;
    };
    if ((hop.keep_head & 0xff) == 0)
        set(1, byte_swap(hop.head));
    if (hop.keep_tail == 0)
        set(2, byte_swap(hop.head >> 48 | std::uint64_t{hop.tail} << 16));
    if (hop.decrements_ttl && key.is(Shape::ip)) {
        edit.word[4] -= std::uint64_t{1} << 48;
        edit.dirty |= WordMask{1} << 4;
    }
    return edit;
}

void rewrite(Packet& packet, std::uint16_t original_shape, const Edit& edit) noexcept {
    Rewrite at{packet, edit, original_shape};
    if ((edit.dirty & above_l2) != 0 && packet.l3_offset != 0) {
        if (at.is(Shape::ip4))
            at.ip4();
        else if (at.is(Shape::ip6))
            at.ip6();
        else if (at.is(Shape::arp))
            at.arp();
        if (packet.l4_offset != 0)
            at.l4();
    }
    at.tags();
}

} // namespace weft
