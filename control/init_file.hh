// The file of --init: requests that are applied before the first packet.
#pragma once

#include "base/result.hh"
#include "control/weft.pb.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct InitLine {
    std::size_t number = 0; // in the file, from 1
    std::string text;
};

/// The lines that are requests: blank ones and those that begin with # are none.
std::vector<InitLine> init_lines(std::string_view text);

/// init_lines() of a file; fails with `bad_config` where it cannot be read.
Result<std::vector<InitLine>> read_init(const std::string& path);

/// Why a reply means that the request was not done; nothing where it was.
std::optional<std::string> refusal_in(const control::Reply& reply);

} // namespace weft
