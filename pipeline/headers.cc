#include "pipeline/headers.hh"

#include "base/be.hh"
#include "base/key.hh"

namespace weft {

namespace {

std::uint8_t byte_at(const std::byte* data, std::uint32_t offset) noexcept {
    return std::to_integer<std::uint8_t>(data[offset]);
}

constexpr bool is_extension(std::uint8_t proto) noexcept {
    return proto == ipproto::hop_by_hop || proto == ipproto::routing ||
           proto == ipproto::destination || proto == ipproto::authentication ||
           proto == ipproto::fragment;
}

/// What the second byte of the header means (RFC 8200 4.3, RFC 4302 2.2).
constexpr std::uint32_t extension_bytes(std::uint8_t proto, std::uint8_t length) noexcept {
    if (proto == ipproto::fragment)
        return 8;
    if (proto == ipproto::authentication)
        return (length + 2u) * 4;
    return (length + 1u) * 8;
}

} // namespace

Ip6Chain walk_ip6(const std::byte* data, std::uint32_t l3, std::uint32_t end) noexcept {
    constexpr std::uint32_t extension_bytes_min = 8;
    Ip6Chain chain;
    chain.proto = byte_at(data, l3 + ip6_header::next);
    chain.offset = l3 + ip6_header::bytes;
    while (is_extension(chain.proto) && chain.offset + extension_bytes_min <= end) {
        const std::uint32_t bytes = extension_bytes(chain.proto, byte_at(data, chain.offset + 1));
        if (chain.proto == ipproto::fragment) {
            // Offset and flag both 0 is an atomic fragment: a whole packet (RFC 6946).
            const auto place = load_be<std::uint16_t>(data + chain.offset + 2);
            constexpr std::uint16_t offset_mask = 0xfff8, more = 1;
            if ((place & offset_mask) != 0) {
                chain.frag = frag_any | frag_later;
                return chain;
            }
            if ((place & more) != 0)
                chain.frag = frag_any;
        }
        if (chain.offset + bytes > end)
            return chain;
        if (chain.proto == ipproto::routing && byte_at(data, chain.offset + 3) != 0)
            chain.on_the_way = true;
        chain.proto = byte_at(data, chain.offset);
        chain.offset += bytes;
    }
    return chain;
}

NdOptions walk_nd_options(const std::byte* data, std::uint32_t begin, std::uint32_t end) noexcept {
    constexpr std::uint8_t source_address = 1, target_address = 2; // RFC 4861 section 4.6
    NdOptions found;
    std::uint32_t at = begin;
    while (at + 8 <= end) {
        const std::uint8_t type = byte_at(data, at);
        const std::uint32_t bytes = byte_at(data, at + 1) * 8u;
        if (bytes == 0 || at + bytes > end)
            break;
        if (found.first_type == 0)
            found.first_type = type;
        if (bytes == 8 && (type == source_address || type == target_address)) {
            std::uint16_t& place = type == source_address ? found.sll : found.tll;
            if (place != 0)
                found.repeated = true;
            else
                place = static_cast<std::uint16_t>(at + 2);
        }
        at += bytes;
    }
    return found;
}

} // namespace weft
