// Random matches and actions of every kind, for what must hold of all of them.
#pragma once

#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <random>
#include <vector>

namespace weft::test {

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t end) {
    return random() % end;
}
inline bool one_in(Random& random, std::uint64_t n) {
    return below(random, n) == 0;
}

/// Half of them small.
U128 random_value(Random& random);
/// Terms of which some differ in one field only, as sets make them; not yet canonical.
std::vector<Term> random_terms(Random& random);
/// Statements of every kind; clones nested up to `depth`.
Actions random_actions(Random& random, unsigned depth);

} // namespace weft::test
