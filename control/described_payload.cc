#include "control/described_payload.hh"

#include <algorithm>
#include <string>

namespace weft {

namespace {

std::string u8(std::size_t value) {
    return {static_cast<char>(value)};
}
std::string u16(std::size_t value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

/// RFC 8446 4.1.2, with the extension of RFC 6066 3 alone.
std::string client_hello(const std::string& name) {
    const std::string entry = u8(0) + u16(name.size()) + name;
    const std::string list = u16(entry.size()) + entry;
    const std::string extensions = u16(0) + u16(list.size()) + list;
    const std::string random(32, '\0');
    const std::string body = u16(0x0303) + random + u8(0) + u16(2) + u16(0x1301) + u8(1) + u8(0) +
                             u16(extensions.size()) + extensions;
    const std::string message = u8(1) + u8(0) + u16(body.size()) + body;
    return u8(22) + u16(0x0301) + u16(message.size()) + message;
}

std::string dns_query(const std::string& name) {
    std::string out = u16(1) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(0);
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        out += u8(end - begin) + name.substr(begin, end - begin);
        begin = end + 1;
    }
    return out + u8(0) + u16(1) + u16(1);
}

} // namespace

std::vector<std::byte> payload_asking_for(FieldId field, std::string_view pattern) {
    std::string name{pattern};
    std::replace(name.begin(), name.end(), '*', 'x');
    const std::string text = field == FieldId::tls_sni ? client_hello(name)
                             : field == FieldId::dns_qname
                                 ? dns_query(name)
                                 : "GET / HTTP/1.1\r\nHost: " + name + "\r\n\r\n";
    std::vector<std::byte> bytes;
    for (const char c : text)
        bytes.push_back(static_cast<std::byte>(c));
    return bytes;
}

} // namespace weft
