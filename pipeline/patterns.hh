// A match as the classifier takes it: patterns of key words, ranges kept whole.
#pragma once

#include "classifier/entry.hh"
#include "pipeline/match.hh"

#include <cstdint>
#include <functional>
#include <vector>

namespace weft {

/// The number that stands in the key for a text: what inport and outport hold for a port's name,
/// the id of a pattern of names (pipeline/name_part.hh).
using NumberOfName = std::function<std::uint64_t(FieldId, std::string_view)>;

/// What a table needs of one row's match.
struct Lowered {
    std::vector<Pattern> patterns; // any of them
    /// Of the terms with the fewest bits the greatest mask: how rows of equal priority rank. A name
    /// counts as specificity_of() bits.
    Mask least;
    std::size_t least_bits = 0;
    WordMask words = 0;       // that the terms read, without name_word
    std::uint16_t shapes = 0; // that they ask for
};

/// One pattern for each term; but terms that differ in one field alone, and there name the prefixes
/// of one range, are one pattern with that range, and so for up to Pattern::ranges_max fields.
Lowered lower(const Match& match, const NumberOfName& number_of);

} // namespace weft
