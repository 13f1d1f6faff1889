// Payloads that ask for a name, as clients send them.
#pragma once

#include "base/field.hh"
#include "tests/support/packets.hh"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::test {

/// What a ClientHello has, so that tests can make it lie.
struct HelloSpec {
    std::vector<std::pair<int, std::string>> names; // type and name; none: no such extension
    std::size_t session_bytes = 32;
    std::size_t ciphers = 16;
    std::vector<std::pair<int, std::string>> before = {{0x0a0a, ""}, {0x0017, ""}}; // extensions
    int record = 22, message = 1, version = 0x0301;
};
std::string client_hello(const HelloSpec& spec);
std::string client_hello(std::string_view name);
std::string http_request(std::string_view host);
/// "" is the root.
std::string dns_query(std::string_view name);
/// The one for the field.
std::string payload_for(FieldId field, std::string_view name);

std::string bytes_u8(std::size_t value);
std::string bytes_u16(std::size_t value);

/// A packet from 10.0.0.1 to 10.0.0.2 at the port where such payloads go.
PacketSpec asking(FieldId field, std::string_view name);

} // namespace weft::test
