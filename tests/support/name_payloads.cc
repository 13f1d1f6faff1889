#include "tests/support/name_payloads.hh"

#include <algorithm>

namespace weft::test {

std::string bytes_u8(std::size_t value) {
    return {static_cast<char>(value)};
}
std::string bytes_u16(std::size_t value) {
    return bytes_u8(value >> 8) + bytes_u8(value);
}

namespace {

std::string counted(const std::string& bytes) {
    return bytes_u16(bytes.size()) + bytes;
}

} // namespace

std::string client_hello(const HelloSpec& spec) {
    std::string list;
    for (const auto& [type, name] : spec.names)
        list += bytes_u8(static_cast<std::size_t>(type)) + counted(name);
    std::string extensions;
    for (const auto& [type, content] : spec.before)
        extensions += bytes_u16(static_cast<std::size_t>(type)) + counted(content);
    if (!spec.names.empty())
        extensions += bytes_u16(0) + counted(counted(list));
    extensions += bytes_u16(0x0010) + counted(counted("\x02h2"));
    std::string body = bytes_u16(0x0303) + std::string(32, '\x42');
    body += bytes_u8(spec.session_bytes) + std::string(spec.session_bytes, '\x17');
    body += counted(std::string(2 * spec.ciphers, '\x13')) + bytes_u8(1) + bytes_u8(0);
    body += counted(extensions);
    const std::string message =
        bytes_u8(static_cast<std::size_t>(spec.message)) + bytes_u8(0) + counted(body);
    return bytes_u8(static_cast<std::size_t>(spec.record)) +
           bytes_u16(static_cast<std::size_t>(spec.version)) + counted(message);
}

std::string client_hello(std::string_view name) {
    return client_hello(HelloSpec{.names = {{0, std::string{name}}}});
}

std::string http_request(std::string_view host) {
    return "GET /index.html HTTP/1.1\r\nUser-Agent: test\r\nHost: " + std::string{host} +
           "\r\nAccept: */*\r\n\r\n";
}

std::string dns_query(std::string_view name) {
    std::string out = bytes_u16(0x1234) + bytes_u16(0x0100) + bytes_u16(1) + bytes_u16(0) +
                      bytes_u16(0) + bytes_u16(0);
    while (!name.empty()) {
        const std::string_view label = name.substr(0, name.find('.'));
        out += bytes_u8(label.size()) + std::string{label};
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    return out + bytes_u8(0) + bytes_u16(1) + bytes_u16(1);
}

std::string payload_for(FieldId field, std::string_view name) {
    return field == FieldId::tls_sni     ? client_hello(name)
           : field == FieldId::http_host ? http_request(name)
                                         : dns_query(name);
}

PacketSpec asking(FieldId field, std::string_view name) {
    PacketSpec packet = field == FieldId::tls_sni     ? tcp("10.0.0.1:5000 > 10.0.0.2:443")
                        : field == FieldId::http_host ? tcp("10.0.0.1:5000 > 10.0.0.2:80")
                                                      : udp("10.0.0.1:5000 > 10.0.0.2:53");
    return packet.payload(payload_for(field, name));
}

} // namespace weft::test
