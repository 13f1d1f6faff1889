// Everything is read through Reader, which knows where the payload ends: what would lie behind the
// end reads as failure, and a failure makes the name absent.

#include "pipeline/payload_names.hh"

#include "base/be.hh"
#include "pipeline/headers.hh"
#include "pipeline/name_pattern.hh"

#include <algorithm>
#include <cstring>
#include <span>

namespace weft {

namespace {

using Bytes = std::span<const std::byte>;

std::uint8_t byte_at(const std::byte* at) noexcept {
    return std::to_integer<std::uint8_t>(*at);
}
std::uint32_t u16_at(const std::byte* at) noexcept {
    return std::uint32_t{byte_at(at)} << 8 | byte_at(at + 1);
}

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Bytes from the front, one thing after the other.
class Reader {
public:
    explicit Reader(Bytes bytes) noexcept : left_{bytes} {}

    std::size_t left() const noexcept { return left_.size(); }
    bool skip(std::size_t bytes) noexcept {
        if (bytes > left_.size())
            return false;
        left_ = left_.subspan(bytes);
        return true;
    }
    bool u8(std::uint32_t& value) noexcept {
        if (left_.empty())
            return false;
        value = byte_at(left_.data());
        return skip(1);
    }
    bool u16(std::uint32_t& value) noexcept {
        if (left_.size() < 2)
            return false;
        value = u16_at(left_.data());
        return skip(2);
    }
    bool take(std::size_t bytes, Bytes& out) noexcept {
        if (bytes > left_.size())
            return false;
        out = left_.first(bytes);
        return skip(bytes);
    }
    /// What is left, or as many bytes as `bytes` if that is less.
    Reader within(std::size_t bytes) const noexcept {
        return Reader{left_.first(std::min(bytes, left_.size()))};
    }

private:
    Bytes left_;
};

/// Puts a name that came as text into `name`, in canonical form; leaves it absent where it is none.
void take_text(FieldId field, std::string_view text, PayloadName& name) noexcept {
    if (text.ends_with('.'))
        text.remove_suffix(1);
    if (text.empty() || text.size() > name_bytes_max || text.front() == '.' ||
        text.find("..") != std::string_view::npos || text.back() == '.')
        return;
    std::transform(text.begin(), text.end(), name.text.begin(), lower);
    name.bytes = static_cast<std::uint8_t>(text.size());
    name.field = field;
}

std::string_view text_of(Bytes bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// -- TLS

constexpr std::uint32_t handshake_record = 22, client_hello = 1;
constexpr std::uint32_t server_name_extension = 0, host_name = 0;

/// RFC 6066 3: a list of (type, length, name).
void find_host_name(Reader in, PayloadName& name) noexcept {
    std::uint32_t list_bytes = 0;
    if (!in.u16(list_bytes) || list_bytes > in.left())
        return;
    Reader list = in.within(list_bytes);
    std::uint32_t type = 0, bytes = 0;
    Bytes text;
    while (list.u8(type) && list.u16(bytes) && list.take(bytes, text))
        if (type == host_name)
            return take_text(FieldId::tls_sni, text_of(text), name);
}

/// The record's and the message's lengths only bound what is read: a ClientHello may be longer than
/// the packet, and its server name lie in it all the same.
void find_sni(Bytes payload, PayloadName& name) noexcept {
    Reader in{payload};
    std::uint32_t type = 0, version = 0, record_bytes = 0;
    if (!in.u8(type) || type != handshake_record || !in.u16(version) || version >> 8 != 3 ||
        !in.u16(record_bytes))
        return;
    Reader record = in.within(record_bytes);
    std::uint32_t message = 0, bytes_high = 0, bytes_low = 0, count = 0;
    if (!record.u8(message) || message != client_hello || !record.u8(bytes_high) ||
        !record.u16(bytes_low))
        return;
    Reader hello = record.within(std::size_t{bytes_high} << 16 | bytes_low);
    constexpr std::size_t version_random_bytes = 34;
    if (!hello.skip(version_random_bytes) || !hello.u8(count) || !hello.skip(count) || // session id
        !hello.u16(count) || !hello.skip(count) ||                                     // ciphers
        !hello.u8(count) || !hello.skip(count) || // compression
        !hello.u16(count))
        return;
    Reader extensions = hello.within(count);
    std::uint32_t extension = 0, bytes = 0;
    while (extensions.u16(extension) && extensions.u16(bytes)) {
        Bytes content;
        if (!extensions.take(bytes, content))
            return;
        if (extension == server_name_extension)
            return find_host_name(Reader{content}, name);
    }
}

// -- HTTP

/// The next line without its end; false where none ends in `text`.
bool next_line(std::string_view& text, std::string_view& line) noexcept {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos)
        return false;
    line = text.substr(0, end);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    text.remove_prefix(end + 1);
    return true;
}

bool is_method(std::string_view word) noexcept {
    constexpr std::size_t bytes_max = 16;
    return !word.empty() && word.size() <= bytes_max &&
           std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// RFC 9112 3: method SP target SP "HTTP/1." digit.
bool is_request_line(std::string_view line) noexcept {
    constexpr std::string_view version = " HTTP/1.";
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || !is_method(line.substr(0, space)))
        return false;
    const std::size_t at = line.size() - std::min(line.size(), version.size() + 1);
    return at > space + 1 && line.substr(at, version.size()) == version && line.back() >= '0' &&
           line.back() <= '9';
}

bool is_host(std::string_view line) noexcept {
    constexpr std::string_view host = "host:";
    return line.size() >= host.size() &&
           std::equal(host.begin(), host.end(), line.begin(), [](char wanted, char c) {
               return wanted == lower(c);
           });
}

std::string_view trimmed(std::string_view text) noexcept {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && blank(text.back()))
        text.remove_suffix(1);
    return text;
}

void find_host(Bytes payload, PayloadName& name) noexcept {
    std::string_view text = text_of(payload), line;
    if (text.empty() || text.front() < 'A' || text.front() > 'Z' || !next_line(text, line) ||
        !is_request_line(line))
        return;
    for (std::size_t lines = 1; lines < name_lines_max && next_line(text, line); ++lines) {
        if (line.empty())
            return;
        if (!is_host(line))
            continue;
        const std::string_view host = trimmed(line.substr(line.find(':') + 1));
        if (host.starts_with('[')) // an IPv6 address
            return;
        return take_text(FieldId::http_host, host.substr(0, host.find(':')), name);
    }
}

// -- DNS

constexpr std::uint32_t dns_port = 53;

/// RFC 1035 4.1: a header of 12 bytes, then the question's labels, type and class.
void find_qname(Bytes payload, PayloadName& name) noexcept {
    constexpr std::uint32_t response_or_opcode = 0xf800;
    constexpr std::size_t counts_bytes = 6, type_class_bytes = 4;
    Reader in{payload};
    std::uint32_t flags = 0, questions = 0;
    if (!in.skip(2) || !in.u16(flags) || (flags & response_or_opcode) != 0 || !in.u16(questions) ||
        questions != 1 || !in.skip(counts_bytes))
        return;
    std::size_t used = 0;
    for (std::uint32_t bytes = 0; in.u8(bytes);) {
        Bytes label;
        if (bytes == 0) {
            if (used == 0 || !in.skip(type_class_bytes))
                return;
            name.bytes = static_cast<std::uint8_t>(used);
            name.field = FieldId::dns_qname;
            return;
        }
        // longer: a pointer, or nothing that is defined
        if (bytes > label_bytes_max || used + (used != 0) + bytes > name_bytes_max ||
            !in.take(bytes, label))
            return;
        if (used != 0)
            name.text[used++] = '.';
        for (const char c : text_of(label))
            name.text[used++] = c == '.' ? '\xff' : lower(c);
    }
}

/// Where the IP packet ends, in the packet's head.
std::size_t l3_end(const Packet& packet, std::uint16_t shape) noexcept {
    const std::byte* const l3 = packet.data + packet.l3_offset;
    std::size_t bytes = 0;
    if (has(shape, Shape::ip4))
        bytes = u16_at(l3 + ip4_header::total);
    else
        bytes = ip6_header::bytes + u16_at(l3 + ip6_header::payload);
    return std::min<std::size_t>(packet.head_bytes, packet.l3_offset + bytes);
}

} // namespace

void find_payload_name(const Packet& packet, std::uint16_t shape, PayloadName& name) noexcept {
    name.field = FieldId::shape;
    const bool is_tcp = has(shape, Shape::tcp);
    if (packet.l4_offset == 0 || (!is_tcp && !has(shape, Shape::udp)))
        return;
    const std::byte* const l4 = packet.data + packet.l4_offset;
    const std::size_t header_bytes =
        is_tcp ? std::size_t{byte_at(l4 + tcp_header::offset_flags)} >> 4 << 2 : udp_header::bytes;
    const std::size_t begin = packet.l4_offset + header_bytes, end = l3_end(packet, shape);
    if (begin >= end)
        return;
    const Bytes payload{packet.data + begin, std::min(end - begin, name_payload_bytes_max)};
    if (!is_tcp) {
        if (u16_at(l4 + 2) == dns_port)
            find_qname(payload, name);
    } else if (byte_at(payload.data()) == handshake_record) {
        find_sni(payload, name);
    } else {
        find_host(payload, name);
    }
}

} // namespace weft
