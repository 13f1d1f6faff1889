#include "control/language/groups.hh"

#include "base/hash.hh"

#include <array>
#include <unordered_map>

namespace weft::language {

namespace {

std::uint64_t hash_of(FieldId field, const std::vector<FieldMatch>& values) {
    WordHash hash{static_cast<std::uint64_t>(field) + 1};
    for (const FieldMatch& match : values) {
        for (const U128& word : {match.value, match.mask}) {
            hash.add(word.high);
            hash.add(word.low);
        }
        if (!match.port.empty())
            hash.add(stable_hash(match.port));
    }
    return hash.value();
}

std::vector<Group> single_groups(const Match& match) {
    std::vector<Group> groups;
    groups.reserve(match.terms.size());
    for (const Term& term : match.terms) {
        Group& group = groups.emplace_back();
        for (const FieldMatch& field : term.fields) {
            group.fields.push_back({field.field, {field}, 0});
            group.fields.back().hash = hash_of(field.field, group.fields.back().values);
            group.hash += group.fields.back().hash;
        }
    }
    return groups;
}

/// What a group is without one of its fields, as one number.
std::uint64_t hash_without(const Group& group, const Group::Values& field) {
    return (group.hash - field.hash) * 0x9e37'79b9'7f4a'7c15u +
           static_cast<std::uint64_t>(field.field);
}

/// The field for which most groups are like an earlier one but for that field.
FieldId best_field(const std::vector<Group>& groups) {
    std::unordered_map<std::uint64_t, std::size_t> seen;
    std::array<std::size_t, field_count> gain{};
    for (const Group& group : groups)
        for (const Group::Values& field : group.fields)
            if (field.field != FieldId::shape && seen[hash_without(group, field)]++ != 0)
                ++gain[static_cast<std::size_t>(field.field)];
    const auto best = std::max_element(gain.begin(), gain.end());
    return *best == 0 ? FieldId::shape : static_cast<FieldId>(best - gain.begin());
}

/// Joins groups that differ in `field` only; false where there are none.
bool join(std::vector<Group>& groups, FieldId field) {
    std::unordered_map<std::uint64_t, std::size_t> first;
    std::vector<Group> joined;
    for (Group& group : groups) {
        const auto at = std::find_if(group.fields.begin(), group.fields.end(), [&](const auto& f) {
            return f.field == field;
        });
        if (at == group.fields.end()) {
            joined.push_back(std::move(group));
            continue;
        }
        const auto [known, is_new] = first.emplace(hash_without(group, *at), joined.size());
        if (is_new || !joined[known->second].differs_only_in(field, group)) {
            joined.push_back(std::move(group));
            continue;
        }
        auto& values = joined[known->second]
                           .fields[static_cast<std::size_t>(at - group.fields.begin())]
                           .values;
        values.insert(values.end(), at->values.begin(), at->values.end());
    }
    const bool some = joined.size() < groups.size();
    groups = std::move(joined);
    for (Group& group : groups)
        for (Group::Values& values : group.fields)
            if (values.field == field) {
                std::sort(values.values.begin(), values.values.end());
                group.hash -= values.hash;
                values.hash = hash_of(field, values.values);
                group.hash += values.hash;
            }
    return some;
}

/// All terms, which differ in this field alone. Nobody asks for the hashes of the only group.
Group product(const Match& match, std::size_t field) {
    Group group;
    for (const FieldMatch& alike : match.terms.front().fields)
        group.fields.push_back({alike.field, {alike}, 0});
    std::vector<FieldMatch>& values = group.fields[field].values;
    values.reserve(match.terms.size());
    for (std::size_t i = 1; i < match.terms.size(); ++i)
        values.push_back(match.terms[i].fields[field]);
    std::sort(values.begin(), values.end());
    return group;
}

} // namespace

std::vector<Group> groups_of(const Match& match) {
    if (const auto difference = only_difference(match.terms);
        difference && match.terms.front().fields[*difference].field != FieldId::shape)
        return {product(match, *difference)};
    std::vector<Group> groups = single_groups(match);
    for (;;) {
        const FieldId field = best_field(groups);
        if (field == FieldId::shape || !join(groups, field))
            return groups;
    }
}

} // namespace weft::language
