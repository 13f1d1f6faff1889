// What a match asks of a name in a payload (tls.sni, http.host, dns.qname), as text.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// Of the text of a name, without the dot of the root: RFC 1035's 255 bytes on the wire.
inline constexpr std::size_t name_bytes_max = 253;
inline constexpr std::size_t label_bytes_max = 63;
inline constexpr std::size_t labels_max = 127;
/// Of one pattern.
inline constexpr std::size_t stars_max = 8;

enum class NameForm : std::uint8_t {
    wildcard, // "api-*.example.com", "*.api-*.example.com"
    suffix,   // "*.example.com", "*"
    exact,    // "www.example.com"
};

/// The canonical text of a pattern: ASCII letters in lower case, without a dot at the end. Refuses
/// with bad_value, in a sentence that names value and rule:
///   a pattern has 1 to name_bytes_max bytes, its labels 1 to label_bytes_max; letters, digits, "-"
///   and "_" beside "*", of which there are at most stars_max and never two side by side.
///
/// "*." at the beginning stands for one or more whole labels, "*" alone for any name; each other
/// "*" for any number of bytes inside one label, none included. So "*.example.com" matches
/// a.example.com and a.b.example.com, not example.com.
Result<std::string> canonical_name_pattern(std::string_view text);

// Of a canonical text:
NameForm form_of(std::string_view pattern) noexcept;
/// What a rule's name adds to the bits that it asks for where rows of equal priority rank: exact
/// before suffix before wildcard, then the one with more bytes that are no "*".
std::size_t specificity_of(std::string_view pattern) noexcept;
/// Whether a name (as PayloadName holds it) matches. The definition; cost: at most the product of
/// both sizes, mostly their sum.
bool matches(std::string_view pattern, std::string_view name) noexcept;
/// The same as a regular expression over the whole name, for Hyperscan.
std::string regular_expression_of(std::string_view pattern);

} // namespace weft
