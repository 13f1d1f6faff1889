// Small files, whole.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <string>

namespace weft {

/// The file's bytes. Fails with `bad_config` and "`what` `path`: cannot be read: why", also where
/// it holds more than `bytes_max`.
Result<std::string>
read_file(const std::string& what, const std::string& path, std::size_t bytes_max);

} // namespace weft
