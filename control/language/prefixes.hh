// Sets of values as lists of value and mask: ranges to prefixes, complements.
#pragma once

#include "base/u128.hh"

#include <boost/container/small_vector.hpp>
#include <cstddef>

namespace weft::language {

/// All values whose bits under `mask` are `value`'s. Mostly a prefix; any mask will do.
struct Prefix {
    U128 value;
    U128 mask;
    friend bool operator==(const Prefix&, const Prefix&) = default;
    friend auto operator<=>(const Prefix&, const Prefix&) = default;
};
/// Mostly one, and then without memory of its own.
using Prefixes = boost::container::small_vector<Prefix, 1>;

// Each appends to `out` and returns false where there are more than some 4 * match_terms_max
// different ones: the caller gives up.

bool append(Prefix prefix, Prefixes& out);
/// The fewest prefixes that are first..last; `max` is the largest value (2^bits - 1).
bool cover(U128 first, U128 last, U128 max, Prefixes& out);
/// What differs from `of` under its mask: one for each bit of it, which do not overlap.
bool complement_of(Prefix of, Prefixes& out);
/// Replaces `values` by all other values. `work` grows by the pairs that had to be looked at; false
/// where it passes LanguageLimits::combinations_max.
bool complement(Prefixes& values, U128 max, std::size_t& work);

/// Whether the mask is some highest bits of `max`.
constexpr bool is_prefix(U128 mask, U128 max) noexcept {
    const U128 host = max & ~mask;
    return !(host & (host + U128{1}));
}

} // namespace weft::language
