#include "pipeline/parse.hh"

#include "base/be.hh"
#include "base/check.hh"
#include "pipeline/burst.hh"
#include "pipeline/headers.hh"

#include <algorithm>
#include <array>
#include <cstring>

#ifdef __SSSE3__
#include <immintrin.h>
#endif

// Every load is one that a header already proven to be there covers; several fields that lie
// together come with one load. The words of the key are put together in registers and written once,
// the rest of the key by whole cache lines.

namespace weft {

namespace {

constexpr std::uint64_t bits(Shape shape) noexcept {
    return std::uint64_t(shape) << 48;
}

constexpr unsigned proto_shift = 56, ttl_shift = 48, tos_shift = 40, frag_shift = 32;
constexpr unsigned l4_src_shift = 16, tcp_flags_shift = 48;
constexpr WordMask ip6_words = 0x0f'0000, nd_target_words = 0x30'0000;
constexpr WordMask sll_word = 0x40'0000, tll_word = 0x80'0000, nd_word = WordMask{1} << 34;

/// Zeroes what `words` asks for beyond the words that headers fill: a line at a time, two stores
/// each.
inline void clear(FlowKey& key, WordMask words) noexcept {
    key.word[6] = key.word[7] = 0;
    if (words >> 8 == 0)
        return;
    for (std::size_t line = 8; line < key_words; line += 8)
        if ((words >> line & 0xff) != 0)
            std::fill_n(&key.word[line], 8, 0);
}
/// The words above Ethernet, of a packet that may have nothing there.
inline void clear_l3(FlowKey& key) noexcept {
    std::fill_n(&key.word[3], 3, 0);
}

/// One parse: the packet, the key and what was found so far.
struct Parse {
    Packet* packet;
    FlowKey* key;
    WordMask words;
    const std::byte* data;
    std::uint64_t word0;
    std::uint64_t word4 = 0;
    std::uint64_t word5 = 0;

    std::uint8_t byte(std::uint32_t offset) const noexcept {
        return std::to_integer<std::uint8_t>(data[offset]);
    }
    bool wants(WordMask mask) const noexcept { return (words & mask) != 0; }
    void l4_at(std::uint32_t offset, Shape shape) noexcept {
        packet->l4_offset = static_cast<std::uint16_t>(offset);
        word0 |= bits(shape);
    }

    /// Runs a long part on a copy: the address of this one never leaves the short path, which then
    /// keeps it in registers (a tenth of a parse).
    template <class Part>
    auto apart(Part part) noexcept {
        Parse copy = *this;
        const auto result = part(copy);
        *this = copy;
        return result;
    }

    std::uint32_t tags_and_llc(std::uint32_t type) noexcept;
    Drop ip4(std::uint32_t l3) noexcept;
    Drop ip6(std::uint32_t l3) noexcept;
    Drop arp(std::uint32_t l3) noexcept;
    Drop l4(std::uint8_t proto, std::uint32_t at, std::uint32_t end) noexcept;
    Drop rare_l4(std::uint8_t proto, std::uint32_t at, std::uint32_t end) noexcept;
    void neighbour(std::uint32_t at, std::uint32_t end) noexcept;
};

/// Reads what stands between the Ethernet addresses and L3 where that is more than a type; returns
/// the type.
std::uint32_t Parse::tags_and_llc(std::uint32_t type) noexcept {
    std::uint32_t l2 = ether::header_bytes;
    const std::uint32_t head = packet->head_bytes;
    constexpr Shape tag_shape[] = {Shape::vlan, Shape::vlan1};
    for (std::size_t tag = 0; tag < 2; ++tag) {
        if (!ether::is_tag(type) || head < l2 + ether::tag_bytes)
            break;
        const auto tci_type = load_be<std::uint32_t>(data + l2);
        key->word[1 + tag] |= tci_type >> 16;
        word0 |= bits(tag_shape[tag]);
        type = tci_type & 0xffff;
        l2 += ether::tag_bytes;
    }
    if (type < ether::first_type) {
        constexpr std::uint64_t snap =
            0xaaaa'0300'0000; // LLC SNAP UI, then OUI 0: an EtherType follows (RFC 1042)
        const auto llc =
            head < l2 + ether::snap_bytes ? std::uint64_t{0} : load_be<std::uint64_t>(data + l2);
        type = ether::not_a_type;
        if (llc >> 16 == snap && (llc & 0xffff) >= ether::first_type) {
            type = llc & 0xffff;
            l2 += ether::snap_bytes;
        }
    }
    packet->l2_bytes = static_cast<std::uint8_t>(l2);
    return type;
}

inline Drop Parse::ip4(std::uint32_t l3) noexcept {
    if (packet->head_bytes < l3 + ip4_header::bytes)
        return Drop::truncated;
    const std::byte* const at = data + l3;
    const auto first = load_be<std::uint32_t>(at); // version, ihl, tos, total length
    const std::uint32_t version_ihl = first >> 24;
    const std::uint32_t header = (version_ihl & 0xf) * 4;
    const std::uint32_t total = first & 0xffff;
    if (version_ihl - 0x45 > 10 || total < header)
        return Drop::malformed;
    if (total > packet->bytes - l3)
        return Drop::truncated;
    packet->l3_offset = static_cast<std::uint16_t>(l3);
    word0 |= bits(Shape::ip4 | Shape::ip);
    key->word[3] = load_be<std::uint64_t>(at + ip4_header::src); // source and destination
    const std::uint8_t proto = byte(l3 + ip4_header::proto);
    word4 = std::uint64_t{proto} << proto_shift |
            std::uint64_t{byte(l3 + ip4_header::ttl)} << ttl_shift |
            std::uint64_t{first >> 16 & 0xff} << tos_shift;
    const std::uint32_t fragment = load_be<std::uint16_t>(at + ip4_header::fragment);
    if ((fragment & (ip4_header::more_fragments | ip4_header::offset_mask)) != 0) [[unlikely]] {
        const bool later = (fragment & ip4_header::offset_mask) != 0;
        word4 |= std::uint64_t{later ? std::uint8_t{frag_any | frag_later} : frag_any}
                 << frag_shift;
        if (later)
            return Drop::none;
    }
    return l4(proto, l3 + header, std::min<std::uint32_t>(l3 + total, packet->head_bytes));
}

Drop Parse::ip6(std::uint32_t l3) noexcept {
    if (packet->head_bytes < l3 + ip6_header::bytes)
        return Drop::truncated;
    const std::byte* const at = data + l3;
    const auto first = load_be<std::uint32_t>(at); // version, traffic class, flow label
    if (first >> 28 != 6)
        return Drop::malformed;
    const std::uint32_t l3_end =
        l3 + ip6_header::bytes + load_be<std::uint16_t>(at + ip6_header::payload);
    if (l3_end > packet->bytes)
        return Drop::truncated;
    packet->l3_offset = static_cast<std::uint16_t>(l3);
    word0 |= bits(Shape::ip6 | Shape::ip);
    word5 = first & 0xf'ffff;
    if (wants(ip6_words))
        for (std::uint32_t i = 0; i < 4; ++i)
            key->word[16 + i] = load_be<std::uint64_t>(at + ip6_header::src + 8 * i);
    const std::uint32_t end =
        std::min({l3_end, std::uint32_t{packet->head_bytes}, headers_bytes_max});
    Ip6Chain chain;
    chain.proto = byte(l3 + ip6_header::next);
    chain.offset = l3 + ip6_header::bytes;
    if (chain.proto != ipproto::tcp && chain.proto != ipproto::udp)
        chain = walk_ip6(data, l3, end);
    word4 = std::uint64_t{chain.proto} << proto_shift |
            std::uint64_t{byte(l3 + ip6_header::hop_limit)} << ttl_shift |
            std::uint64_t{first >> 20 & 0xff} << tos_shift |
            std::uint64_t{chain.frag} << frag_shift;
    return l4(chain.proto, chain.offset, end);
}

Drop Parse::arp(std::uint32_t l3) noexcept {
    constexpr std::uint64_t ethernet_ip4 =
        0x0001'0800'0604; // hardware, protocol and the sizes of their addresses
    if (packet->head_bytes < l3 + arp_header::bytes)
        return Drop::none;
    const std::byte* const at = data + l3;
    const auto first = load_be<std::uint64_t>(at);
    if (first >> 16 != ethernet_ip4)
        return Drop::none;
    packet->l3_offset = static_cast<std::uint16_t>(l3);
    word0 |= bits(Shape::arp);
    word4 = (first & 0xffff) << l4_src_shift;
    key->word[3] = std::uint64_t{load_be<std::uint32_t>(at + arp_header::spa)} << 32 |
                   load_be<std::uint32_t>(at + arp_header::tpa);
    if (wants(sll_word))
        key->word[22] = load_be48(at + arp_header::sha) << 16;
    if (wants(tll_word))
        key->word[23] = load_be48(at + arp_header::tha) << 16;
    return Drop::none;
}

/// `end` is where both the packet's L3 and its head end. TCP and UDP share one path without
/// branches that depend on which it is.
inline Drop Parse::l4(std::uint8_t proto, std::uint32_t at, std::uint32_t end) noexcept {
    if (proto != ipproto::tcp && proto != ipproto::udp) [[unlikely]]
        return apart([&](Parse& p) { return p.rare_l4(proto, at, end); });

    const std::uint32_t tcp = proto == ipproto::tcp;
    if (at + udp_header::bytes + tcp * (tcp_header::bytes - udp_header::bytes) > end) [[unlikely]]
        return Drop::none;
    const std::uint32_t offset_flags =
        load_be<std::uint16_t>(data + at + tcp * tcp_header::offset_flags) & (0 - tcp);
    if (offset_flags >> 12 < 5 * tcp) [[unlikely]]
        return Drop::malformed;
    word4 |= load_be<std::uint32_t>(data + at); // both ports
    word5 |= std::uint64_t{offset_flags & 0xfff} << tcp_flags_shift;
    static_assert(bits(Shape::udp) >> 1 == bits(Shape::tcp));
    word0 |= bits(Shape::udp) >> tcp;
    packet->l4_offset = static_cast<std::uint16_t>(at);
    return Drop::none;
}

[[gnu::noinline]] Drop
Parse::rare_l4(std::uint8_t proto, std::uint32_t at, std::uint32_t end) noexcept {
    const auto fits = [&](std::uint32_t bytes) { return at + bytes <= end; };
    const auto type_and_code = [&] {
        word4 |= std::uint64_t{byte(at)} << l4_src_shift | byte(at + 1);
    };
    const bool is_ip4 = (word0 & bits(Shape::ip4)) != 0;
    if (proto == ipproto::sctp && fits(sctp_header::bytes)) {
        l4_at(at, Shape::sctp);
        word4 |= load_be<std::uint32_t>(data + at);
    } else if (proto == ipproto::icmp4 && is_ip4 && fits(icmp_header::bytes4)) {
        l4_at(at, Shape::icmp4);
        type_and_code();
    } else if (proto == ipproto::icmp6 && !is_ip4 && fits(icmp_header::bytes6)) {
        l4_at(at, Shape::icmp6);
        type_and_code();
        const auto type_code = load_be<std::uint16_t>(data + at);
        if ((type_code == icmp_header::nd_solicitation << 8 ||
             type_code == icmp_header::nd_advertisement << 8) &&
            fits(icmp_header::nd_bytes))
            neighbour(at, end);
    } else if (proto == ipproto::igmp && is_ip4 && fits(igmp_bytes)) {
        l4_at(at, Shape::igmp);
    }
    return Drop::none;
}

void Parse::neighbour(std::uint32_t at, std::uint32_t end) noexcept {
    const NdOptions options = walk_nd_options(data, at + icmp_header::nd_bytes, end);
    if (options.repeated)
        return;
    word0 |= bits(Shape::nd);
    if (wants(nd_target_words)) {
        key->word[20] = load_be<std::uint64_t>(data + at + icmp_header::nd_target);
        key->word[21] = load_be<std::uint64_t>(data + at + icmp_header::nd_target + 8);
    }
    if (wants(nd_word))
        key->word[34] = std::uint64_t{load_be<std::uint32_t>(data + at + icmp_header::nd_reserved)}
                            << 32 |
                        std::uint64_t{options.first_type} << 16;
    if (options.sll != 0) {
        word0 |= bits(Shape::nd_sll);
        if (wants(sll_word))
            key->word[22] = load_be48(data + options.sll) << 16;
    }
    if (options.tll != 0) {
        word0 |= bits(Shape::nd_tll);
        if (wants(tll_word))
            key->word[23] = load_be48(data + options.tll) << 16;
    }
}

inline Drop
parse_one(Packet& packet, PortNumber inport, const Depth& depth, FlowKey& key) noexcept {
    clear(key, depth.words);
    clear_l3(key);
    packet.l3_offset = 0;
    packet.l4_offset = 0;
    packet.l2_bytes = ether::header_bytes;
    if (packet.head_bytes < ether::header_bytes) [[unlikely]] {
        packet.l2_bytes = 0;
        key.word[0] = static_cast<std::uint32_t>(inport);
        key.word[1] = key.word[2] = 0;
        return Drop::truncated;
    }
    dcheck(packet.head_bytes <= packet.bytes);
    const std::byte* const data = packet.data;
    constexpr std::uint64_t high48 = ~std::uint64_t{0xffff};
    const auto src_type = load_be<std::uint64_t>(data + 6);
    key.word[1] = load_be<std::uint64_t>(data) & high48;
    key.word[2] = src_type & high48;
    Parse at{&packet, &key, depth.words, data, static_cast<std::uint32_t>(inport)};
    std::uint32_t type = src_type & 0xffff;
    if (type != ether::ip4 && type != ether::ip6)
        type = at.apart([&](Parse& p) { return p.tags_and_llc(type); });
    Drop drop = Drop::none;
    if (depth.l3 || packet.l4_checksum == Checksum::partial || packet.segment_bytes != 0) {
        if (type == ether::ip4)
            drop = at.ip4(packet.l2_bytes);
        else if (type == ether::ip6)
            drop = at.apart([&](Parse& p) { return p.ip6(packet.l2_bytes); });
        else if (type == ether::arp || type == ether::rarp)
            drop = at.apart([&](Parse& p) { return p.arp(packet.l2_bytes); });
    }
    key.word[0] = at.word0 | std::uint64_t{type} << 32;
    key.word[4] = at.word4;
    key.word[5] = at.word5;
    return drop;
}

/// The whole of parse() where nothing above Ethernet is asked for and the frame is an untagged one
/// with a type. False, and nothing written, where there is more to it.
inline bool
parse_ethernet(Packet& packet, PortNumber inport, bool unfinished, FlowKey& key) noexcept {
    if (packet.head_bytes < ether::header_bytes) [[unlikely]]
        return false;
    if (unfinished && (packet.l4_checksum == Checksum::partial || packet.segment_bytes != 0))
        [[unlikely]]
        return false;
    constexpr std::uint64_t high48 = ~std::uint64_t{0xffff};
    const auto src_type = load_be<std::uint64_t>(packet.data + 6);
    const auto type = static_cast<std::uint32_t>(src_type & 0xffff);
    if (type != ether::ip4 && (type < ether::first_type || ether::is_tag(type))) [[unlikely]]
        return false;
    packet.l2_bytes = ether::header_bytes;
    packet.l3_offset = 0;
    packet.l4_offset = 0;
    key.word[0] = std::uint64_t{type} << 32 | static_cast<std::uint32_t>(inport);
    key.word[1] = load_be<std::uint64_t>(packet.data) & high48;
    key.word[2] = src_type & high48;
    clear(key, 0);
    clear_l3(key);
    return true;
}

/// Where the bytes of two words of the key, in the order of memory, stand in a stretch of the
/// packet.
struct alignas(16) ByteOrder {
    static constexpr std::int8_t none = -1; // a byte of zeros
    std::array<std::int8_t, 16> from;
};
inline void take_words(const std::byte* bytes, const ByteOrder& order, std::uint64_t* to) noexcept {
#ifdef __SSSE3__
    const __m128i from = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    const __m128i places = _mm_load_si128(reinterpret_cast<const __m128i*>(order.from.data()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(from, places));
#else
    std::array<std::byte, 16> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        if (order.from[i] != ByteOrder::none)
            all[i] = bytes[static_cast<std::size_t>(order.from[i])];
    std::memcpy(to, all.data(), all.size());
#endif
}
constexpr std::int8_t none = ByteOrder::none;
/// From the first byte: words 1 and 2.
constexpr ByteOrder macs{{none, none, 5, 4, 3, 2, 1, 0, none, none, 11, 10, 9, 8, 7, 6}};
/// From the TTL of an untagged IPv4 header without options: words 3 and 4, but for the TOS.
constexpr ByteOrder ip4_and_ports{{11, 10, 9, 8, 7, 6, 5, 4, 15, 14, 13, 12, none, none, 0, 1}};

template <class Word>
Word load(const std::byte* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// The whole of parse() for what most packets are: IPv4 without options and in one piece, TCP or
/// UDP, without a tag. False, and nothing written, where there is more to it. What is wrong with a
/// packet is added up, not asked one by one: few packets go another way.
inline bool
parse_plain_ip4(Packet& packet, PortNumber inport, WordMask words, FlowKey& key) noexcept {
    constexpr std::uint32_t l3 = ether::header_bytes, l4 = l3 + ip4_header::bytes;
    if (packet.head_bytes < l4 + tcp_header::bytes) [[unlikely]]
        return false;
    const std::byte* const data = packet.data;
    // As they lie in memory, the first byte lowest.
    constexpr std::uint32_t type_version_ihl = 0x45'00'08, more_or_offset = 0xff'3f;
    static_assert(ether::ip4 == 0x0800);
    static_assert((ip4_header::more_fragments | ip4_header::offset_mask) == 0x3fff);
    const auto fragment_to_proto = load<std::uint32_t>(data + l3 + ip4_header::fragment);
    const std::uint32_t proto = fragment_to_proto >> 24;
    const std::uint32_t if_tcp = 0 - std::uint32_t{proto == ipproto::tcp};
    const std::uint32_t other = ((load<std::uint32_t>(data + 12) ^ type_version_ihl) & 0xff'ffff) |
                                (fragment_to_proto & more_or_offset) |
                                (proto ^ ipproto::udp ^ (if_tcp & (ipproto::udp ^ ipproto::tcp)));
    const std::uint32_t more_header = if_tcp & (tcp_header::bytes - udp_header::bytes);
    const std::uint32_t offset_flags =
        load_be<std::uint16_t>(data + l4 + (if_tcp & tcp_header::offset_flags)) & if_tcp;
    const std::uint32_t total = load_be<std::uint16_t>(data + l3 + ip4_header::total);
    // The upper bit of a difference: the first is less.
    const std::uint32_t less = (total - (ip4_header::bytes + udp_header::bytes + more_header)) |
                               (packet.bytes - l3 - total) | ((offset_flags >> 12) - (if_tcp & 5));
    if ((other | less >> 31) != 0) [[unlikely]]
        return false;
    clear(key, words);
    packet.l2_bytes = l3;
    packet.l3_offset = l3;
    packet.l4_offset = l4;
    static_assert(bits(Shape::udp) >> 1 == bits(Shape::tcp));
    key.word[0] = bits(Shape::ip4 | Shape::ip) | bits(Shape::udp) >> (if_tcp & 1) |
                  std::uint64_t{ether::ip4} << 32 | static_cast<std::uint32_t>(inport);
    take_words(data, macs, &key.word[1]);
    take_words(data + l3 + ip4_header::ttl, ip4_and_ports, &key.word[3]);
    key.word[4] |= std::uint64_t{std::to_integer<std::uint8_t>(data[l3 + ip4_header::tos])}
                   << tos_shift;
    key.word[5] = std::uint64_t{offset_flags & 0xfff} << tcp_flags_shift;
    return true;
}

/// Any packet. Its bit where it is dropped.
[[gnu::noinline]] LaneMask
parse_lane(Burst& burst, std::size_t lane, PortNumber inport, const Depth& depth) noexcept {
    burst.why[lane] = parse_one(burst.packet[lane], inport, depth, burst.key[lane]);
    burst.shape[lane] = burst.key[lane].shape();
    return LaneMask{burst.why[lane] != Drop::none} << lane;
}

/// IEEE 802.1Q, table 8-1: 01-80-c2-00-00-0x.
constexpr bool is_reserved_multicast(const FlowKey& key) noexcept {
    return key.word[1] >> 20 == 0x0180'c200'0000 >> 4;
}
constexpr std::uint64_t group_bit = std::uint64_t{1} << 56; // of word 1

} // namespace

Drop parse(Packet& packet, PortNumber inport, Depth depth, FlowKey& key) noexcept {
    return parse_one(packet, inport, depth, key);
}

ParsedLanes parse(Burst& burst, PortNumber inport, const Depth& depth) noexcept {
    ParsedLanes lanes{.live = first_lanes(burst.count)};
    burst.why.fill(Drop::none);
    burst.shape.fill(0);
    std::uint64_t destinations = 0;
    const auto each = [&](auto&& parse_usual) {
        for (std::size_t lane = 0, count = burst.count; lane < count; ++lane) {
            FlowKey& key = burst.key[lane];
            if (!parse_usual(lane, burst.packet[lane], key)) [[unlikely]]
                lanes.live &= ~parse_lane(burst, lane, inport, depth);
            destinations |= key.word[1];
        }
    };
    if (depth.l3)
        each([&, words = depth.words](std::size_t lane, Packet& packet, FlowKey& key) {
            const bool is_usual = parse_plain_ip4(packet, inport, words, key);
            if (is_usual)
                burst.shape[lane] = key.shape();
            return is_usual;
        });
    else if (depth.words >> 8 == 0 && !burst.unfinished)
        each([&](std::size_t, Packet& packet, FlowKey& key) {
            return parse_ethernet(packet, inport, false, key);
        });
    else if (depth.words >> 8 == 0)
        each([&](std::size_t, Packet& packet, FlowKey& key) {
            return parse_ethernet(packet, inport, true, key);
        });
    else
        each([](std::size_t, Packet&, FlowKey&) { return false; });
    if ((destinations & group_bit) != 0)
        for (const std::size_t lane : Lanes{lanes.live})
            if (is_reserved_multicast(burst.key[lane])) [[unlikely]]
                lanes.reserved_multicast |= lane_bit(lane);
    return lanes;
}

} // namespace weft
