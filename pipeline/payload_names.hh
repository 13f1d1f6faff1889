// The name that a packet asks for by itself: the server name of a TLS ClientHello (RFC 8446 4.1.2,
// RFC 6066 3), the Host of an HTTP/1 request (RFC 9112), the question of a DNS query (RFC 1035).
#pragma once

#include "base/field.hh"
#include "pipeline/packet.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

/// How far into the payload of TCP or UDP a name is looked for: what lies beyond is not seen.
inline constexpr std::size_t name_payload_bytes_max = 1'500;
/// Lines of an HTTP request that are looked at, its first one included.
inline constexpr std::size_t name_lines_max = 64;

/// A name in lower case, without a dot at the end. Labels of DNS may hold any byte: a dot in one
/// stands here as 0xff, which no pattern has.
struct PayloadName {
    FieldId field = FieldId::shape; // shape: there is no name
    std::uint8_t bytes = 0;
    std::array<char, 255> text;

    bool present() const noexcept { return field != FieldId::shape; }
    std::string_view view() const noexcept { return {text.data(), bytes}; }
};

/// Finds the packet's one name; a packet that has none, or one that is cut, malformed, empty,
/// longer than 253 bytes, or does not lie within the bounds above and in the packet's head, has
/// none. `packet` is as parse() left it, `shape` what it found. The bytes of the packet as received
/// decide, not what a walk made of its fields:
///   tls.sni    TCP, any port; the payload begins with a TLS record that begins with a ClientHello;
///              the first host_name of its server_name extension.
///   http.host  TCP, any port; the payload begins with a request line of HTTP/1.x; the first Host
///              line, without a port; an IPv6 address is no name.
///   dns.qname  UDP to port 53; a standard query with one question whose name is not compressed.
/// Never reads past the head or the end of the IP packet; never allocates. Any number of threads.
/// Cost: a few cycles for each byte up to the name and for each byte of it, within the bounds.
void find_payload_name(const Packet& packet, std::uint16_t shape, PayloadName& name) noexcept;

} // namespace weft
