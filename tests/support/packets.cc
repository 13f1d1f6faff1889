#include "tests/support/packets.hh"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace weft::test {

namespace {

constexpr std::uint8_t arp_proto = 0;
constexpr std::uint8_t icmp4_proto = 1, igmp_proto = 2, tcp_proto = 6, udp_proto = 17,
                       icmp6_proto = 58, sctp_proto = 132;
constexpr std::uint8_t fragment_proto = 44, routing_proto = 43, ah_proto = 51;

[[noreturn]] void bad(std::string_view what, std::string_view text) {
    std::fprintf(
        stderr,
        "test packet: cannot read %.*s \"%.*s\"\n",
        static_cast<int>(what.size()),
        what.data(),
        static_cast<int>(text.size()),
        text.data()
    );
    std::abort();
}

void put(Bytes& to, std::uint64_t value, std::size_t bytes) {
    while (bytes-- != 0)
        to.push_back(static_cast<std::byte>(value >> 8 * bytes));
}

void put_at(Bytes& to, std::size_t at, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i)
        to[at + i] = static_cast<std::byte>(value >> 8 * (bytes - 1 - i));
}

void append(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}

std::uint32_t number_at(const Bytes& from, std::size_t at) {
    return std::to_integer<std::uint32_t>(from[at]) << 8 |
           std::to_integer<std::uint32_t>(from[at + 1]);
}

/// Ones' complement sum of 16-bit words, folded; the last odd byte counts as a high one.
std::uint32_t sum16(Bytes bytes) {
    if (bytes.size() % 2 != 0)
        bytes.push_back(std::byte{0});
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        sum += number_at(bytes, i);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/// Bit by bit (RFC 9260 appendix A).
std::uint32_t crc32c(const Bytes& bytes) {
    std::uint32_t crc = 0xffff'ffff;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int i = 0; i < 8; ++i)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f6'3b78 : crc >> 1;
    }
    return ~crc;
}

std::pair<std::string_view, std::string_view> two(std::string_view text) {
    const auto arrow = text.find(" > ");
    if (arrow == std::string_view::npos)
        bad("a pair \"from > to\" in", text);
    return {text.substr(0, arrow), text.substr(arrow + 3)};
}

struct Endpoint {
    Bytes address;
    std::uint16_t port = 0;
};

Endpoint endpoint(std::string_view text, bool port) {
    if (!port)
        return {ip_bytes(text)};
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        bad("address:port", text);
    std::string_view address = text.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']'))
        address = address.substr(1, address.size() - 2);
    Endpoint made{ip_bytes(address)};
    const std::string_view digits = text.substr(colon + 1);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), made.port).ec != std::errc{})
        bad("the port of", text);
    return made;
}

/// The segment that a routing header of ours names as the last one.
Bytes last_segment() {
    return ip_bytes("fd00::ff");
}

} // namespace

Bytes mac_bytes(std::string_view text) {
    Bytes made = hex_bytes(text);
    if (made.size() != 6)
        bad("the MAC", text);
    return made;
}

Bytes ip_bytes(std::string_view text) {
    const std::string terminated{text};
    Bytes made(16);
    if (inet_pton(AF_INET6, terminated.c_str(), made.data()) == 1)
        return made;
    made.resize(4);
    if (inet_pton(AF_INET, terminated.c_str(), made.data()) != 1)
        bad("the address", text);
    return made;
}

Bytes text_bytes(std::string_view text) {
    Bytes made(text.size());
    std::memcpy(made.data(), text.data(), text.size());
    return made;
}

Bytes hex_bytes(std::string_view hex) {
    Bytes made;
    std::size_t at = 0;
    while (at < hex.size()) {
        if (hex[at] == ' ' || hex[at] == ':' || hex[at] == '\n') {
            ++at;
            continue;
        }
        unsigned value = 0;
        const char* const from = hex.data() + at;
        if (at + 2 > hex.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2)
            bad("hex", hex);
        made.push_back(static_cast<std::byte>(value));
        at += 2;
    }
    return made;
}

PacketSpec::PacketSpec(Kind kind, std::string_view endpoints, bool ports, std::uint8_t proto)
    : kind_{kind},
      proto_{proto} {
    eth("02:00:00:00:00:01 > 02:00:00:00:00:02");
    if (endpoints.empty())
        return;
    const auto [from, to] = two(endpoints);
    const Endpoint src = endpoint(from, ports), dst = endpoint(to, ports);
    if (src.address.size() != dst.address.size())
        bad("addresses of one family in", endpoints);
    ip_src_ = src.address;
    ip_dst_ = dst.address;
    src_port_ = src.port;
    dst_port_ = dst.port;
    eth_type_ = is_ip6() ? 0x86dd : 0x0800;
}

PacketSpec& PacketSpec::eth(std::string_view src_dst) {
    const auto [src, dst] = two(src_dst);
    eth_src_ = mac_bytes(src);
    eth_dst_ = mac_bytes(dst);
    return *this;
}
PacketSpec& PacketSpec::tag(std::uint16_t tpid, std::uint16_t tci) {
    tags_.push_back({tpid, tci});
    return *this;
}
PacketSpec& PacketSpec::vlan(std::uint16_t vid, std::uint8_t pcp) {
    return tag(0x8100, static_cast<std::uint16_t>(pcp << 13 | vid));
}
PacketSpec& PacketSpec::qinq(std::uint16_t outer, std::uint16_t inner) {
    return tag(0x88a8, outer).tag(0x8100, inner);
}
// clang-format off
PacketSpec& PacketSpec::snap() { snap_ = true; return *this; }
PacketSpec& PacketSpec::ttl(std::uint8_t value) { ttl_ = value; return *this; }
PacketSpec& PacketSpec::tos(std::uint8_t value) { tos_ = value; return *this; }
PacketSpec& PacketSpec::label(std::uint32_t value) { label_ = value; return *this; }
PacketSpec& PacketSpec::id(std::uint16_t value) { id_ = value; return *this; }
PacketSpec& PacketSpec::flags(std::uint16_t tcp_flags) { tcp_flags_ = tcp_flags; return *this; }
PacketSpec& PacketSpec::type(std::uint8_t value) { type_ = value; return *this; }
PacketSpec& PacketSpec::code(std::uint8_t value) { code_ = value; return *this; }
PacketSpec& PacketSpec::no_udp_checksum() { udp_checksum_ = false; return *this; }
PacketSpec& PacketSpec::partial_checksum() { partial_ = true; return *this; }
PacketSpec& PacketSpec::wrong_checksum(std::uint16_t by) { checksum_error_ = by; return *this; }
PacketSpec& PacketSpec::payload(std::string_view text) { payload_ = text_bytes(text); return *this; }
PacketSpec& PacketSpec::payload(Bytes bytes) { payload_ = std::move(bytes); return *this; }
PacketSpec& PacketSpec::size(std::size_t frame_bytes) { size_ = frame_bytes; return *this; }
PacketSpec& PacketSpec::padding(std::size_t bytes) { padding_ = bytes; return *this; }
PacketSpec& PacketSpec::truncate(std::size_t frame_bytes) { truncate_ = frame_bytes; return *this; }
PacketSpec& PacketSpec::say_ip_version(std::uint8_t version) { said_version_ = version; return *this; }
PacketSpec& PacketSpec::say_ip_header_words(std::uint8_t words) { said_header_words_ = words; return *this; }
PacketSpec& PacketSpec::say_ip_bytes(std::uint16_t bytes) { said_ip_bytes_ = bytes; return *this; }
PacketSpec& PacketSpec::say_tcp_header_words(std::uint8_t words) { said_tcp_words_ = words; return *this; }
PacketSpec& PacketSpec::sll(std::string_view mac) { return nd_option(1, 1, mac_bytes(mac)); }
PacketSpec& PacketSpec::tll(std::string_view mac) { return nd_option(2, 1, mac_bytes(mac)); }
PacketSpec& PacketSpec::nd_flags(std::uint32_t reserved) { put_at(l4_body_, 0, reserved, 4); return *this; }
// clang-format on
PacketSpec& PacketSpec::fragment(std::uint32_t offset, bool more) {
    fragment_offset_ = offset;
    fragment_more_ = more;
    return *this;
}
PacketSpec& PacketSpec::ip_options(Bytes options) {
    options.resize((options.size() + 3) / 4 * 4);
    ip_options_ = std::move(options);
    return *this;
}
PacketSpec& PacketSpec::extension(std::uint8_t proto, Bytes body) {
    body.resize((body.size() + 2 + 7) / 8 * 8 - 2);
    extensions_.push_back({proto, std::move(body)});
    return *this;
}
PacketSpec& PacketSpec::routing(std::uint8_t segments_left) {
    Bytes body{std::byte{4}, std::byte{segments_left}}; // a segment routing header (RFC 8754)
    put(body, 0, 4);
    append(body, last_segment());
    return extension(routing_proto, std::move(body));
}
PacketSpec& PacketSpec::nd_option(std::uint8_t option, std::uint8_t units, Bytes body) {
    put(l4_body_, option, 1);
    put(l4_body_, units, 1);
    append(l4_body_, body);
    return *this;
}

Bytes PacketSpec::l4_header() const {
    Bytes made;
    if (kind_ == Kind::tcp || kind_ == Kind::udp || kind_ == Kind::sctp) {
        put(made, src_port_, 2);
        put(made, dst_port_, 2);
    }
    if (kind_ == Kind::tcp) {
        put(made, 0x1000'0000, 4); // sequence
        put(made, 0x2000'0000, 4); // acknowledgement
        put(made, static_cast<std::uint64_t>(said_tcp_words_.value_or(5) << 12 | tcp_flags_), 2);
        put(made, 0xffff, 2); // window
        put(made, 0, 4);      // checksum, urgent pointer
    } else if (kind_ == Kind::udp) {
        put(made, 8 + payload_.size(), 2);
        put(made, 0, 2);
    } else if (kind_ == Kind::sctp) {
        put(made, 0x1234'5678, 4); // verification tag
        put(made, 0, 4);
    } else if (kind_ == Kind::icmp4 || kind_ == Kind::icmp6) {
        put(made, type_, 1);
        put(made, code_, 1);
        put(made, 0, 2);
    }
    append(made, l4_body_);
    return made;
}

void PacketSpec::sum_l4(Bytes& l4) const {
    if (kind_ == Kind::sctp) {
        const std::uint32_t crc = crc32c(l4) + checksum_error_;
        std::memcpy(l4.data() + 8, &crc, 4);
        return;
    }
    std::size_t at = 0;
    if (kind_ == Kind::tcp)
        at = 16;
    else if (kind_ == Kind::udp && udp_checksum_)
        at = 6;
    else if (kind_ == Kind::icmp4 || kind_ == Kind::icmp6)
        at = 2;
    if (at == 0)
        return;
    Bytes summed;
    if (kind_ != Kind::icmp4) {
        const bool on_the_way =
            std::any_of(extensions_.begin(), extensions_.end(), [](const auto& e) {
                return e.proto == routing_proto && e.body[1] != std::byte{0};
            });
        append(summed, ip_src_);
        append(summed, on_the_way ? last_segment() : ip_dst_);
        put(summed, l4.size(), 4);
        put(summed, proto_, 4);
    }
    if (partial_) {
        put_at(l4, at, sum16(summed), 2);
        return;
    }
    append(summed, l4);
    std::uint32_t checksum = ~sum16(summed) & 0xffff;
    if (kind_ == Kind::udp && checksum == 0)
        checksum = 0xffff;
    put_at(l4, at, checksum + checksum_error_, 2);
}

Bytes PacketSpec::l4() const {
    if (fragment_offset_ != 0)
        return payload_;
    Bytes made = l4_header();
    append(made, payload_);
    sum_l4(made);
    return made;
}

Bytes PacketSpec::ip4_header(std::size_t payload_bytes) const {
    Bytes made;
    const std::size_t header_bytes = 20 + ip_options_.size();
    const std::size_t words =
        said_header_words_.value_or(static_cast<std::uint8_t>(header_bytes / 4));
    put(made, static_cast<std::uint64_t>(said_version_.value_or(4)) << 4 | words, 1);
    put(made, tos_, 1);
    put(made, said_ip_bytes_.value_or(static_cast<std::uint16_t>(header_bytes + payload_bytes)), 2);
    put(made, id_, 2);
    put(made, fragment_offset_ / 8 | (fragment_more_ ? 0x2000u : 0u), 2);
    put(made, ttl_, 1);
    put(made, proto_, 1);
    put(made, 0, 2);
    append(made, ip_src_);
    append(made, ip_dst_);
    append(made, ip_options_);
    put_at(made, 10, ~sum16(made) & 0xffff, 2);
    return made;
}

Bytes PacketSpec::ip6_headers(std::size_t payload_bytes) const {
    std::vector<Extension> chain = extensions_;
    if (fragment_offset_ != 0 || fragment_more_) {
        Bytes body;
        put(body, fragment_offset_ | (fragment_more_ ? 1 : 0), 2);
        put(body, id_, 4);
        chain.push_back({fragment_proto, std::move(body)});
    }
    Bytes extensions;
    for (std::size_t i = 0; i < chain.size(); ++i) {
        const std::size_t bytes = chain[i].body.size() + 2;
        put(extensions, i + 1 < chain.size() ? chain[i + 1].proto : proto_, 1);
        if (chain[i].proto == fragment_proto)
            put(extensions, 0, 1);
        else
            put(extensions, chain[i].proto == ah_proto ? bytes / 4 - 2 : bytes / 8 - 1, 1);
        append(extensions, chain[i].body);
    }
    Bytes made;
    put(made, std::uint64_t{said_version_.value_or(6)} << 28 | std::uint64_t{tos_} << 20 | label_, 4
    );
    const std::size_t bytes = extensions.size() + payload_bytes;
    put(made, said_ip_bytes_.value_or(static_cast<std::uint16_t>(bytes)), 2);
    put(made, chain.empty() ? proto_ : chain.front().proto, 1);
    put(made, ttl_, 1);
    append(made, ip_src_);
    append(made, ip_dst_);
    append(made, extensions);
    return made;
}

Bytes PacketSpec::l3(const Bytes& l4) const {
    if (kind_ == Kind::raw)
        return payload_;
    if (kind_ == Kind::arp)
        return l4_body_;
    Bytes made = is_ip6() ? ip6_headers(l4.size()) : ip4_header(l4.size());
    append(made, l4);
    return made;
}

Bytes PacketSpec::l2(const Bytes& l3) const {
    Bytes made = eth_dst_;
    append(made, eth_src_);
    for (const Tag& tag : tags_) {
        put(made, tag.tpid, 2);
        put(made, tag.tci, 2);
    }
    if (snap_) {
        put(made, l3.size() + 8, 2);
        put(made, 0xaaaa'0300'0000, 6);
    }
    put(made, eth_type_, 2);
    append(made, l3);
    made.resize(made.size() + padding_);
    if (truncate_)
        made.resize(*truncate_);
    return made;
}

PacketSpec PacketSpec::filled() const {
    PacketSpec made = *this;
    made.size_.reset();
    if (!size_)
        return made;
    const std::size_t before = made.bytes().size();
    if (before > *size_)
        bad("a frame size of at least its headers in", std::to_string(*size_));
    for (std::size_t i = before; i < *size_; ++i)
        made.payload_.push_back(static_cast<std::byte>(i));
    return made;
}

Bytes PacketSpec::bytes() const {
    if (size_)
        return filled().bytes();
    return l2(l3(l4()));
}

std::vector<Bytes> PacketSpec::fragments(std::size_t part) const {
    const PacketSpec sized = filled();
    const Bytes whole = sized.l4();
    std::vector<Bytes> made;
    for (std::size_t at = 0; at < whole.size(); at += part) {
        const std::size_t end = std::min(at + part, whole.size());
        PacketSpec piece = sized;
        piece.kind_ = Kind::other;
        piece.l4_body_.clear();
        piece.payload_.assign(
            whole.begin() + static_cast<std::ptrdiff_t>(at),
            whole.begin() + static_cast<std::ptrdiff_t>(end)
        );
        piece.fragment(static_cast<std::uint32_t>(at), end < whole.size());
        made.push_back(piece.bytes());
    }
    return made;
}

PacketSpec
PacketSpec::neighbour(std::string_view hosts, std::uint8_t type, std::string_view target) {
    PacketSpec made{Kind::icmp6, hosts, false, icmp6_proto};
    made.type(type).ttl(255);
    put(made.l4_body_, 0, 4);
    append(made.l4_body_, ip_bytes(target));
    return made;
}

PacketSpec frame(std::uint16_t eth_type, Bytes payload) {
    PacketSpec made{PacketSpec::Kind::raw, "", false, 0};
    made.eth_type_ = eth_type;
    made.payload_ = std::move(payload);
    return made;
}
PacketSpec udp(std::string_view endpoints) {
    return {PacketSpec::Kind::udp, endpoints, true, udp_proto};
}
PacketSpec tcp(std::string_view endpoints) {
    return {PacketSpec::Kind::tcp, endpoints, true, tcp_proto};
}
PacketSpec sctp(std::string_view endpoints) {
    return {PacketSpec::Kind::sctp, endpoints, true, sctp_proto};
}
PacketSpec icmp(std::string_view hosts) {
    PacketSpec made{PacketSpec::Kind::icmp4, hosts, false, icmp4_proto};
    made.type(8).l4_body_ = hex_bytes("12 34 00 01");
    return made;
}
PacketSpec icmp6(std::string_view hosts) {
    PacketSpec made{PacketSpec::Kind::icmp6, hosts, false, icmp6_proto};
    made.type(128).l4_body_ = hex_bytes("12 34 00 01");
    return made;
}
PacketSpec ip(std::string_view hosts, std::uint8_t proto, Bytes payload) {
    PacketSpec made{PacketSpec::Kind::other, hosts, false, proto};
    made.payload_ = std::move(payload);
    return made;
}
PacketSpec igmp(std::string_view hosts) {
    return ip(hosts, igmp_proto, hex_bytes("16 00 fa 01 ef 00 00 01"));
}
PacketSpec nd_solicit(std::string_view hosts, std::string_view target) {
    return PacketSpec::neighbour(hosts, 135, target);
}
PacketSpec nd_advert(std::string_view hosts, std::string_view target) {
    return PacketSpec::neighbour(hosts, 136, target);
}
PacketSpec
arp(std::uint16_t op, std::string_view macs, std::string_view ips, std::uint16_t eth_type) {
    PacketSpec made{PacketSpec::Kind::arp, "", false, arp_proto};
    const auto [sha, tha] = two(macs);
    const auto [spa, tpa] = two(ips);
    made.eth(macs);
    made.eth_type_ = eth_type;
    put(made.l4_body_, 0x0001'0800'0604, 6);
    put(made.l4_body_, op, 2);
    append(made.l4_body_, mac_bytes(sha));
    append(made.l4_body_, ip_bytes(spa));
    append(made.l4_body_, mac_bytes(tha));
    append(made.l4_body_, ip_bytes(tpa));
    return made;
}
PacketSpec arp_request(std::string_view ips) {
    return arp(1, "02:00:00:00:00:01 > 00:00:00:00:00:00", ips)
        .eth("02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff");
}
PacketSpec arp_reply(std::string_view ips) {
    return arp(2, "02:00:00:00:00:01 > 02:00:00:00:00:02", ips);
}

OwnedPacket::OwnedPacket(std::span<const std::byte> bytes, std::size_t head_bytes) {
    const std::size_t head = head_bytes == 0 ? std::min<std::size_t>(bytes.size(), 0xffff)
                                             : std::min(head_bytes, bytes.size());
    memory = std::make_unique<std::byte[]>(headroom + head);
    packet.data = memory.get() + headroom;
    packet.bytes = static_cast<std::uint32_t>(bytes.size());
    packet.head_bytes = static_cast<std::uint16_t>(head);
    packet.headroom_bytes = headroom;
    if (head != 0)
        std::memcpy(packet.data, bytes.data(), head);
}

} // namespace weft::test
