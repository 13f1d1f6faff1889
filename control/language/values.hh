// Values as text: numbers and addresses in the format of their field, names in quotes.
#pragma once

#include "base/field.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::language {

void append_decimal(std::string& out, std::uint64_t value);
/// 0 to 9 as they are, anything above as 0x...
void append_hex(std::string& out, U128 value);
/// As the format says; what is no address and does not fit a decimal is hexadecimal.
void append_value(std::string& out, FieldFormat format, U128 value);
/// A field's name, with [low..high] where the slice is not the whole field, with the view's name
/// where the slice is one.
void append_slice(std::string& out, FieldSlice slice);
/// "p1", with quotes; quotes, backslashes and control characters escaped as in JSON.
void append_quoted(std::string& out, std::string_view name);

/// The string between its quotes, escapes resolved; nothing where an escape is none of JSON's.
std::optional<std::string> unquoted(std::string_view token);

/// A piece of foreign text for a message: in quotes (its own, if it has
/// some), of at most 40 bytes, ASCII only.
std::string shown(std::string_view foreign);

} // namespace weft::language
