// Why packets are dropped, in words.
#pragma once

#include "base/drop.hh"

#include <string_view>

namespace weft::ctl {

/// What the reason means, in half a line.
std::string_view meaning_of(Drop reason) noexcept;

} // namespace weft::ctl
