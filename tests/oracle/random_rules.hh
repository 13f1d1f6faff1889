// Rules and actions at random: few values and few fields, so that rules overlap and packets hit
// them.
#pragma once

#include "pipeline/action.hh"
#include "pipeline/match.hh"
#include "tests/oracle/packets.hh"

#include <string>
#include <vector>

namespace weft::oracle {

/// What the random rules of one bridge may name.
struct Names {
    std::vector<std::uint32_t> tables;
    std::vector<std::string> ports; // some of them may not be there
    std::vector<std::uint32_t> groups;
    std::vector<std::uint32_t> conjunctions;
};

/// A canonical match of one term, or sometimes several.
Match random_match(Random& random, std::size_t fields_max = 3);
/// A match that asks for conj_id and perhaps more.
Match random_conj_match(Random& random, const Names& names);
/// Up to `count_max` statements for a rule of table `table`. Most calls go to later tables, so most
/// walks end by themselves.
Actions random_actions(
    Random& random,
    const Names& names,
    std::uint32_t table,
    std::size_t count_max,
    unsigned nested = 0
);
/// One or two clauses of conjunctions.
Actions random_clauses(Random& random, const Names& names);

/// The values that random_match() uses.
const Values& random_values();

} // namespace weft::oracle
