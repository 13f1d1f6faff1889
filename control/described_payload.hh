// The payload of a described packet that asks for a name.
#pragma once

#include "base/field.hh"

#include <cstddef>
#include <string_view>
#include <vector>

namespace weft {

/// The least TLS ClientHello (tls.sni), HTTP request (http.host) or DNS query (dns.qname) that asks
/// for a name which the canonical pattern matches: "x" stands in place of each "*".
std::vector<std::byte> payload_asking_for(FieldId field, std::string_view pattern);

} // namespace weft
