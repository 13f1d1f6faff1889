// Terms that differ in one field only, put together: what a match prints as a set.
#pragma once

#include "pipeline/match.hh"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace weft::language {

/// A product: for each field the values that it may have. Sorted by field; the shape has one value.
struct Group {
    struct Values {
        FieldId field;
        std::vector<FieldMatch> values;
        std::uint64_t hash;
        bool operator==(const Values& other) const {
            return field == other.field && values == other.values;
        }
    };
    std::vector<Values> fields;
    std::uint64_t hash = 0; // the sum of theirs

    bool differs_only_in(FieldId field, const Group& other) const {
        return std::equal(
            fields.begin(),
            fields.end(),
            other.fields.begin(),
            other.fields.end(),
            [&](const Values& a, const Values& b) {
                return a.field == b.field && (a.field == field || a == b);
            }
        );
    }
};

/// Groups that together are the terms of the match, each term in one of them. Deterministic. Costs
/// a few hashes a field of a term.
std::vector<Group> groups_of(const Match& match);

} // namespace weft::language
