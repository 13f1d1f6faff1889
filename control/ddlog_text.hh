// The text that a DDlog program prints on `commit dump_changes`, as ops.
#pragma once

#include "base/result.hh"
#include "control/weft.pb.h"

#include <string_view>
#include <vector>

namespace weft {

/// Reads records with weights, one a line, under optional headers:
///
///     Flow:
///     Flow{.priority = 100, .match_ = "ip4.dst == 10.0.0.1", .actions = "drop;"}: +1
///
/// Relation and field names map to ours whatever their case and underscores (`match_`,
/// `idleTimeoutS`); a module path in front of a name is dropped; fields may stand by position
/// instead, in the schema's order. Values: strings with Rust's escapes, decimal and hexadecimal
/// numbers (also `32'd10`), true, false, vectors `[..]`, nested records, `None{}` and `Some{..}`.
/// Weights of equal rows are summed as integers; rows that net to zero are left out; the rest stand
/// in the order in which they first came. Blank lines and lines that begin with # or // count for
/// nothing. Errors name line and column. Cost linear in the text.
Result<std::vector<control::Op>> parse_ddlog_text(std::string_view text);

} // namespace weft
