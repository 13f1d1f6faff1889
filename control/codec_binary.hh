// The binary encoding: protobuf messages after their length as a varint.
#pragma once

#include "control/framing.hh"
#include "control/schema.hh"

#include <google/protobuf/arena.h>
#include <string>
#include <string_view>

namespace weft {

/// One frame without its length. Stricter than protobuf's own parser: an unknown field number, a
/// field or oneof given twice, a number that does not fit its width and a string that is not UTF-8
/// are NAKs with their path. Never a Failure. Any thread; cost linear in the frame; recursion no
/// deeper than the schema.
/// With an arena a request lies in there: a transaction's messages are many and small.
Decoded decode_binary(std::string_view frame, google::protobuf::Arena* arena = nullptr);

/// A message as its frame, length included.
std::string encode_binary(const google::protobuf::Message& message);

/// By the connection's encoding; JSON makes no use of the arena.
Decoded decode(Encoding encoding, std::string_view frame, google::protobuf::Arena* arena = nullptr);
std::string encode(Encoding encoding, const control::Reply& reply);

} // namespace weft
