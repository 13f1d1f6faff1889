#include "pipeline/checksum.hh"

#include "base/be.hh"
#include "base/check.hh"
#include "pipeline/headers.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <nmmintrin.h>

namespace weft {

namespace {

/// Sums native 32-bit words: ones' complement sums may be taken in any byte order and swapped at
/// the end (RFC 1071 2(B)).
std::uint16_t sum_of(std::span<const std::byte> piece) noexcept {
    std::uint64_t sum = 0;
    std::size_t at = 0;
    for (; at + 4 <= piece.size(); at += 4) {
        std::uint32_t word;
        std::memcpy(&word, piece.data() + at, sizeof word);
        sum += word;
    }
    if (at < piece.size()) {
        std::uint32_t tail = 0;
        std::memcpy(&tail, piece.data() + at, piece.size() - at);
        sum += tail;
    }
    return byte_swap(fold(sum));
}

// Polynomials over GF(2) modulo CRC32c's, bit-reflected: bit 31 is x^0.
constexpr std::uint32_t crc32c_polynomial = 0x82f6'3b78;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
    std::uint32_t product = 0;
    for (std::uint32_t bit = 0x8000'0000; bit != 0; bit >>= 1) {
        product ^= (0 - std::uint32_t{(a & bit) != 0}) & b;
        b = b >> 1 ^ ((0 - (b & 1)) & crc32c_polynomial);
    }
    return product;
}

/// x^(8 * 2^k): what k-th power of two of zero bytes does to a CRC.
constexpr auto zero_bytes = [] {
    std::array<std::uint32_t, 32> powers{};
    powers[0] = 0x8000'0000 >> 8;
    for (std::size_t k = 1; k < powers.size(); ++k)
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
    return powers;
}();

/// The L4 bytes of the packet, piece by piece, without those of the checksum field. False if `rest`
/// ends before they do.
template <class Visit>
bool for_each_piece(
    const Packet& packet,
    const L4Extent& l4,
    std::uint32_t field_bytes,
    std::span<const std::span<const std::byte>> rest,
    Visit visit
) noexcept {
    static constexpr std::array<std::byte, 4> zeros{};
    const std::uint32_t end = l4.offset + l4.bytes;
    const std::uint32_t head_end = std::min<std::uint32_t>(end, packet.head_bytes);
    const std::uint32_t after_field = l4.checksum_offset + field_bytes;
    visit(std::span{packet.data + l4.offset, packet.data + l4.checksum_offset});
    visit(std::span{zeros}.first(field_bytes));
    visit(std::span{packet.data + after_field, packet.data + head_end});
    std::size_t left = end - head_end;
    for (const auto& piece : rest) {
        const auto part = piece.first(std::min(left, piece.size()));
        visit(part);
        left -= part.size();
    }
    return left == 0;
}

/// What the checksum field must hold for these bytes, as it is read big-endian (TCP, UDP, ICMP) or
/// little-endian (SCTP).
std::optional<std::uint32_t> whole_checksum(
    const Packet& packet, const L4Extent& l4, std::span<const std::span<const std::byte>> rest
) noexcept {
    if (l4.proto == ipproto::sctp) {
        Crc32c crc;
        const auto add = [&](std::span<const std::byte> piece) { crc.add(piece); };
        if (!for_each_piece(packet, l4, 4, rest, add))
            return std::nullopt;
        return crc.value();
    }
    InternetSum sum;
    sum.add_word(l4.pseudo_sum);
    const auto add = [&](std::span<const std::byte> piece) { sum.add(piece); };
    if (!for_each_piece(packet, l4, 2, rest, add))
        return std::nullopt;
    const auto checksum = static_cast<std::uint16_t>(~sum.folded());
    return l4.proto == ipproto::udp && checksum == 0 ? 0xffff : checksum;
}

std::uint32_t load_le32(const std::byte* at) noexcept {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

struct L4Kind {
    std::uint32_t header_bytes;
    std::uint32_t checksum;
    bool pseudo;
};

std::optional<L4Kind> kind_of(std::uint8_t proto, bool is_ip6) noexcept {
    switch (proto) {
    case ipproto::tcp:
        return L4Kind{tcp_header::bytes, tcp_header::checksum, true};
    case ipproto::udp:
        return L4Kind{udp_header::bytes, udp_header::checksum, true};
    case ipproto::sctp:
        return L4Kind{sctp_header::bytes, sctp_header::checksum, false};
    case ipproto::icmp4:
        if (!is_ip6)
            return L4Kind{icmp_header::bytes4, icmp_header::checksum, false};
        return std::nullopt;
    case ipproto::icmp6:
        if (is_ip6)
            return L4Kind{icmp_header::bytes6, icmp_header::checksum, true};
        return std::nullopt;
    default:
        return std::nullopt;
    }
}

struct Ip {
    bool is_ip6 = false;
    bool on_the_way = false; // as in Ip6Chain
    std::uint8_t proto = 0;
    std::uint32_t end = 0; // of L3
};

std::optional<Ip> ip_of(const Packet& packet) noexcept {
    const std::byte* const at = packet.data + packet.l3_offset;
    if (std::to_integer<unsigned>(at[0]) >> 4 == 4) {
        constexpr std::uint32_t any_fragment = ip4_header::more_fragments | ip4_header::offset_mask;
        if ((load_be<std::uint16_t>(at + ip4_header::fragment) & any_fragment) != 0)
            return std::nullopt;
        return Ip{
            false,
            false,
            std::to_integer<std::uint8_t>(at[ip4_header::proto]),
            packet.l3_offset + std::uint32_t{load_be<std::uint16_t>(at + ip4_header::total)},
        };
    }
    const std::uint32_t end =
        packet.l3_offset + ip6_header::bytes + load_be<std::uint16_t>(at + ip6_header::payload);
    const auto chain = walk_ip6(
        packet.data,
        packet.l3_offset,
        std::min({end, std::uint32_t{packet.head_bytes}, headers_bytes_max})
    );
    if (chain.frag != 0)
        return std::nullopt;
    return Ip{true, chain.on_the_way, chain.proto, end};
}

std::uint16_t pseudo_sum(const std::byte* l3, bool is_ip6, const L4Extent& l4) noexcept {
    InternetSum sum;
    sum.add(is_ip6 ? std::span{l3 + ip6_header::src, 32} : std::span{l3 + ip4_header::src, 8});
    sum.add_word(static_cast<std::uint16_t>(l4.bytes >> 16));
    sum.add_word(static_cast<std::uint16_t>(l4.bytes));
    sum.add_word(l4.proto);
    return sum.folded();
}

} // namespace

void InternetSum::add(std::span<const std::byte> piece) noexcept {
    const std::uint16_t sum = sum_of(piece);
    sum_ += odd_ ? byte_swap(sum) : sum;
    odd_ ^= piece.size() % 2 != 0;
}

void Crc32c::add(std::span<const std::byte> piece) noexcept {
    std::size_t at = 0;
    for (; at + 8 <= piece.size(); at += 8) {
        std::uint64_t word;
        std::memcpy(&word, piece.data() + at, sizeof word);
        crc_ = static_cast<std::uint32_t>(_mm_crc32_u64(crc_, word));
    }
    for (; at < piece.size(); ++at)
        crc_ = _mm_crc32_u8(crc_, std::to_integer<std::uint8_t>(piece[at]));
}

std::uint32_t crc32c_change(std::uint32_t difference, std::uint32_t bytes) noexcept {
    dcheck(bytes >= 4);
    // The CRC of `difference` alone, started at 0, and then of the zero bytes that stand for the
    // unchanged ones.
    std::uint32_t crc = _mm_crc32_u32(0, difference);
    const std::uint32_t zeros = bytes - 4;
    for (std::size_t k = 0; zeros >> k != 0; ++k)
        if ((zeros >> k & 1) != 0)
            crc = multiply(crc, zero_bytes[k]);
    return crc;
}

std::uint16_t ip4_header_checksum(std::span<const std::byte> header) noexcept {
    dcheck(header.size() >= ip4_header::bytes);
    InternetSum sum;
    sum.add(header.first(ip4_header::checksum));
    sum.add(header.subspan(ip4_header::checksum + 2));
    return static_cast<std::uint16_t>(~sum.folded());
}

std::optional<L4Extent> l4_extent(const Packet& packet) noexcept {
    if (packet.l3_offset == 0 || packet.l4_offset == 0)
        return std::nullopt;
    const auto ip = ip_of(packet);
    if (!ip)
        return std::nullopt;
    const auto kind = kind_of(ip->proto, ip->is_ip6);
    const std::uint32_t end = std::min(ip->end, packet.bytes);
    if (!kind ||
        packet.l4_offset + kind->header_bytes > std::min<std::uint32_t>(end, packet.head_bytes))
        return std::nullopt;
    L4Extent l4;
    l4.proto = ip->proto;
    l4.offset = packet.l4_offset;
    l4.checksum_offset = static_cast<std::uint16_t>(packet.l4_offset + kind->checksum);
    l4.bytes = end - packet.l4_offset;
    if (ip->proto == ipproto::udp) {
        const auto own = load_be<std::uint16_t>(packet.data + l4.offset + udp_header::length);
        if (own >= udp_header::bytes && own < l4.bytes)
            l4.bytes = own;
    }
    if (kind->pseudo && !ip->on_the_way)
        l4.pseudo_sum = pseudo_sum(packet.data + packet.l3_offset, ip->is_ip6, l4);
    else if (kind->pseudo && packet.l4_checksum == Checksum::partial)
        l4.pseudo_sum = load_be<std::uint16_t>(packet.data + l4.checksum_offset);
    else if (kind->pseudo)
        return std::nullopt;
    return l4;
}

bool write_l4_checksum(Packet& packet, std::span<const std::span<const std::byte>> rest) noexcept {
    const auto l4 = l4_extent(packet);
    const auto checksum = l4 ? whole_checksum(packet, *l4, rest) : std::nullopt;
    if (!checksum)
        return false;
    std::byte* const field = packet.data + l4->checksum_offset;
    if (l4->proto == ipproto::sctp)
        std::memcpy(field, &*checksum, 4);
    else
        store_be(field, static_cast<std::uint16_t>(*checksum));
    packet.l4_checksum = Checksum::verified;
    return true;
}

std::optional<bool>
l4_checksum_ok(const Packet& packet, std::span<const std::span<const std::byte>> rest) noexcept {
    const auto l4 = l4_extent(packet);
    if (!l4 || packet.l4_checksum == Checksum::partial)
        return std::nullopt;
    const std::byte* const field = packet.data + l4->checksum_offset;
    const auto checksum = whole_checksum(packet, *l4, rest);
    if (!checksum)
        return std::nullopt;
    if (l4->proto == ipproto::sctp)
        return load_le32(field) == *checksum;
    const auto is = load_be<std::uint16_t>(field);
    if (is == *checksum)
        return true;
    const bool is_ip4 = std::to_integer<unsigned>(packet.data[packet.l3_offset]) >> 4 == 4;
    return l4->proto == ipproto::udp && is == 0 && is_ip4;
}

} // namespace weft
