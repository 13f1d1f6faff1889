#include "control/language/term_joiner.hh"

#include "control/language/language.hh"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weft::language {

namespace {

/// Whether a field's value in the terms that `with` joins does nothing but stand there.
bool can_vary(FieldId field, const Term& with) {
    return field != FieldId::shape && !is_name(field) && !place_of(field, with);
}

} // namespace

std::optional<std::size_t> place_of(FieldId field, const Term& term) {
    for (std::size_t at = 0; at < term.fields.size(); ++at)
        if (term.fields[at].field == field)
            return at;
    return std::nullopt;
}

Joined TermJoiner::join(Term& into, const Term& other, bool& possible) {
    const Added added = add(into, other);
    possible = added == Added::possible;
    return added == Added::mixed       ? Joined::mixed
           : added == Added::two_names ? Joined::two_names
                                       : Joined::fine;
}

Joined TermJoiner::unite(Terms& into, Terms&& more) {
    if (into.empty()) {
        into = std::move(more);
        return Joined::fine;
    }
    into.insert(
        into.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end())
    );
    if (into.size() <= 2 * match_terms_max)
        return Joined::fine;
    std::sort(into.begin(), into.end());
    into.erase(std::unique(into.begin(), into.end()), into.end());
    return into.size() <= match_terms_max ? Joined::fine : Joined::too_many;
}

Joined TermJoiner::intersect(Terms& into, Terms&& more) {
    combinations += into.size() * more.size();
    if (combinations > LanguageLimits::combinations_max)
        return Joined::too_many;
    if (into.size() == 1)
        into.swap(more);
    if (into.size() > 1 && more.size() == 1)
        if (const auto varying = only_difference(into))
            if (const FieldId field = into.front().fields[*varying].field;
                can_vary(field, more.front()))
                return intersect_range(into, *varying, more.front());
    bool possible = false;
    if (more.size() <= 1) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < into.size() && !more.empty(); ++i) {
            if (const Joined joined = join(into[i], more.front(), possible); joined != Joined::fine)
                return joined;
            if (!possible)
                continue;
            if (kept != i)
                into[kept] = std::move(into[i]);
            ++kept;
        }
        into.resize(kept);
        return Joined::fine;
    }
    Terms product;
    for (const Term& a : into) {
        Terms row;
        for (const Term& b : more) {
            Term both = a;
            if (const Joined joined = join(both, b, possible); joined != Joined::fine)
                return joined;
            if (possible)
                row.push_back(std::move(both));
        }
        if (const Joined joined = unite(product, std::move(row)); joined != Joined::fine)
            return joined;
    }
    into = std::move(product);
    return Joined::fine;
}

/// Terms that differ in one field alone come together with another term as the first of them does.
Joined TermJoiner::intersect_range(Terms& into, std::size_t varying, const Term& with) {
    const FieldId field = into.front().fields[varying].field;
    Term first = into.front();
    bool possible = false;
    if (const Joined joined = join(first, with, possible); joined != Joined::fine)
        return joined;
    if (!possible) {
        into.clear();
        return Joined::fine;
    }
    FieldMatch& at = first.fields[*place_of(field, first)];
    for (Term& term : into) {
        at = std::move(term.fields[varying]);
        term.fields = first.fields;
    }
    return Joined::fine;
}

} // namespace weft::language
