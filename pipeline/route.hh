// Rules that are routes: how they are told from others, and how their priorities go together.
#pragma once

#include "classifier/prefix_part.hh"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace weft {

class Rule;

/// A pattern as a prefix of the destination address and values beside it.
struct Route {
    PrefixKind kind;
    PrefixRule rule;
};

/// Nothing where the pattern is none: it asks for another address, a port, or no prefix.
std::optional<Route> route_of(const Pattern& pattern);
/// The entry's pattern again.
Pattern pattern_of(const Entry& entry);

using Ladder = std::vector<std::pair<std::uint8_t, std::uint32_t>>; // length, priority

/// Of the rules the most that longest prefix match can hold together: a priority for each length,
/// ascending. `fit` counts them. Cost: the square of the different (length, priority) pairs.
Ladder best_ladder(const std::vector<const Rule*>& rules, std::size_t& fit);

} // namespace weft
