// Terms that say no more than another one of their match.
#pragma once

#include "pipeline/match.hh"

#include <vector>

namespace weft {

/// Removes terms that another one contains, of different terms in the form in which a match holds
/// them; the others keep their order. Where the terms have so many forms (fields and masks) that
/// looking each term up in each of them would be too much, all of them stay; that depends on the
/// set of terms alone. Cost: at most 2^17 lookups.
void remove_contained(std::vector<Term>& terms);

} // namespace weft
