// Rows from TOML and from text: the fields of a relation's message by name, whatever the relation.
#pragma once

#include "base/result.hh"

#include <google/protobuf/message.h>
#include <string>
#include <string_view>

namespace weft {

/// "bridge, name, number, ...": for messages.
std::string field_names(const google::protobuf::Descriptor& type);

/// Sets (or where it is repeated, adds to) the field `name` from text: decimal or 0x numbers, true
/// and false, any other text for strings. Fails with a sentence that names the field, the value and
/// the rule.
Result<void>
set_field(google::protobuf::Message& message, std::string_view name, std::string_view text);

} // namespace weft
