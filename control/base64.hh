// Bytes in base64.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// Reads either alphabet of RFC 4648 (sections 4 and 5); padding may be left out. Nothing where
/// anything else stands in the text. Any thread; cost linear in the text.
std::optional<std::string> from_base64(std::string_view text);

} // namespace weft
