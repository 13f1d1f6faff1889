// JSON lines: the proto3 JSON mapping with proto field names.
#pragma once

#include "control/schema.hh"

#include <string>
#include <string_view>

namespace weft {

/// One line without its newline. Stricter than the mapping: an unknown or repeated key, and a
/// number that does not fit, is a NAK with its path. 64-bit numbers may be numbers or strings, null
/// is absent, bytes are base64. Any thread; cost linear in the line; memory within a small multiple
/// of it; no recursion.
Decoded decode_json_line(std::string_view line);

/// On one line, with `{"key": value, "key": value}` spacing and without a newline. Zeros are
/// printed; what is absent (optional, oneof, message) is left out. Bytes that are not UTF-8 in a
/// string come out as U+FFFD.
std::string to_json(const google::protobuf::Message& message);

/// A reply as its line, newline included.
std::string encode_json(const control::Reply& reply);

} // namespace weft
