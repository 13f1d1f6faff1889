#include "pipeline/match.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "pipeline/contained_terms.hh"
#include "pipeline/shape_bits.hh"

#include <algorithm>
#include <utility>

namespace weft {

namespace {

/// Whether sorted terms that differ in this field alone are prefixes of it that lie apart, as those
/// of a range do.
bool lie_apart(const std::vector<Term>& terms, std::size_t field) noexcept {
    const U128 all = low_bits(info(terms.front().fields[field].field).bits);
    for (std::size_t i = 0; i < terms.size(); ++i) {
        const FieldMatch& match = terms[i].fields[field];
        const U128 open = all & ~match.mask;
        if (match.field == FieldId::shape || !match.port.empty() || (open & (open + U128{1})))
            return false;
        if (i + 1 < terms.size() && !((match.value | open) < terms[i + 1].fields[field].value))
            return false;
    }
    return true;
}

/// False where no packet has such a shape.
bool normalise_shape(Term& term) {
    if (term.fields.empty() || term.fields.front().field != FieldId::shape)
        return true;
    FieldMatch& match = term.fields.front();
    const ShapeBits bits = ShapeBits::of(match);
    // set bits alone are complete as add() leaves them
    const ShapeBits wanted = bits.clear == 0 && saturated(bits).possible() ? bits : normal(bits);
    if (!wanted.possible())
        return false;
    match = wanted.match();
    return true;
}

} // namespace

std::optional<std::size_t> only_difference(const std::vector<Term>& terms) noexcept {
    std::optional<std::size_t> found;
    for (std::size_t i = 1; i < terms.size(); ++i) {
        const std::vector<FieldMatch>& a = terms[i - 1].fields;
        const std::vector<FieldMatch>& b = terms[i].fields;
        if (a.size() != b.size())
            return std::nullopt;
        std::size_t at = 0;
        while (at < a.size() && a[at] == b[at])
            ++at;
        if (at == a.size() || a[at].field != b[at].field || (found && *found != at) ||
            !std::equal(
                a.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                a.end(),
                b.begin() + static_cast<std::ptrdiff_t>(at) + 1
            ))
            return std::nullopt;
        found = at;
    }
    return found;
}

std::uint64_t stable_hash(const Match& match) noexcept {
    WordHash hash{0};
    for (const Term& term : match.terms)
        for (const FieldMatch& field : term.fields) {
            hash.add(static_cast<std::uint64_t>(field.field) << 1 | !field.port.empty());
            for (const U128& word : {field.value, field.mask}) {
                hash.add(word.high);
                hash.add(word.low);
            }
            if (!field.port.empty())
                hash.add(stable_hash(field.port.view()));
        }
    return hash.value();
}

Match canonical_of_added(std::vector<Term> terms) {
    // Terms of a range or a set have one shape: of neighbours it is made once.
    std::optional<FieldMatch> before, after;
    std::erase_if(terms, [&](Term& term) {
        if (before && !term.fields.empty() && term.fields.front() == *before) {
            term.fields.front() = *after;
            return false;
        }
        before.reset();
        if (term.fields.empty())
            return false;
        FieldMatch given = term.fields.front();
        if (!normalise_shape(term))
            return true;
        before = std::move(given);
        after = term.fields.front();
        return false;
    });
    if (terms.size() > 1 && !std::is_sorted(terms.begin(), terms.end()))
        std::sort(terms.begin(), terms.end());
    const auto difference = only_difference(terms);
    if (terms.size() > 1 && !(difference && lie_apart(terms, *difference))) {
        terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
        if (terms.front().fields.empty())
            terms.resize(1); // matches every packet
        else
            remove_contained(terms);
    }
    for (Term& term : terms)
        term.fields.shrink_to_fit();
    terms.shrink_to_fit();
    return {std::move(terms)};
}

Match canonical(std::vector<Term> terms) {
    std::vector<Term> made;
    made.reserve(terms.size());
    for (const Term& term : terms) {
        Term whole;
        whole.fields.reserve(term.fields.size() + 1);
        Added added = Added::possible;
        for (auto match = term.fields.begin();
             match != term.fields.end() && added == Added::possible;
             ++match) {
            const FieldInfo& field = info(match->field);
            added = match->port.empty()
                        ? add(whole, field, match->value, match->mask & low_bits(field.bits))
                        : add_port(whole, field, match->port);
        }
        check(added != Added::mixed && added != Added::two_names);
        if (added == Added::possible)
            made.push_back(std::move(whole));
    }
    return canonical_of_added(std::move(made));
}

} // namespace weft
