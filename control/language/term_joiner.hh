// Lists of terms joined by || and &&.
#pragma once

#include "pipeline/match.hh"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace weft::language {

using Terms = std::vector<Term>;

enum class Joined : std::uint8_t {
    fine,
    too_many,  // terms, or pairs of them to be joined
    mixed,     // as Added::mixed
    two_names, // as Added::two_names
};

/// Joins lists of terms that were made by add() alone, for one match. No list grows longer than
/// twice match_terms_max, and no more than combinations_max pairs are joined in all: what would,
/// is too_many. After anything but fine the lists are spent.
class TermJoiner {
public:
    /// into || more
    Joined unite(Terms& into, Terms&& more);
    /// into && more
    Joined intersect(Terms& into, Terms&& more);

    /// The pairs joined so far; who does like work for the match adds it here.
    std::size_t combinations = 0;

private:
    static Joined join(Term& into, const Term& other, bool& possible);
    static Joined intersect_range(Terms& into, std::size_t varying, const Term& with);
};

/// Where a field stands in a term, if it does.
std::optional<std::size_t> place_of(FieldId field, const Term& term);

} // namespace weft::language
