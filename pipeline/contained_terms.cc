#include "pipeline/contained_terms.hh"

#include "base/hash.hh"
#include "pipeline/shape_bits.hh"

#include <algorithm>
#include <unordered_map>

namespace weft {

namespace {

/// A hash of what a term says under the masks of `form`, which all lie in the term's own.
std::uint64_t hash_under(const Term& form, const Term& term, const ShapeBits& shape) {
    WordHash hash{0};
    auto at = term.fields.begin();
    for (const FieldMatch& mask : form.fields) {
        U128 value{shape.set};
        if (mask.field != FieldId::shape) {
            while (at->field != mask.field)
                ++at;
            value = at->value;
            if (!at->port.empty())
                value = U128{stable_hash(at->port)};
            else
                value = value & mask.mask;
        } else {
            value = value & mask.mask;
        }
        hash.add(value.high);
        hash.add(value.low);
    }
    return hash.value();
}

/// Whether `term` has a condition wherever `form` has one, in the same manner (name or number).
bool covers(const Term& form, const Term& term, ShapeBits shape) noexcept {
    auto at = term.fields.begin();
    for (const FieldMatch& wanted : form.fields) {
        if (wanted.field == FieldId::shape) {
            const std::uint64_t known = std::uint64_t{shape.set} | shape.clear;
            if ((wanted.mask.low & ~known) != 0)
                return false;
            continue;
        }
        while (at != term.fields.end() && at->field < wanted.field)
            ++at;
        if (at == term.fields.end() || at->field != wanted.field ||
            at->port.empty() != wanted.port.empty() || (wanted.mask & ~at->mask))
            return false;
    }
    return true;
}

/// Whether every packet of `small` is one of `big`'s. Where covers(big, small) holds.
bool agrees(const Term& big, const Term& small, ShapeBits shape) noexcept {
    auto at = small.fields.begin();
    for (const FieldMatch& wanted : big.fields) {
        if (wanted.field == FieldId::shape) {
            if ((wanted.value.low ^ shape.set) & wanted.mask.low)
                return false;
            continue;
        }
        while (at->field != wanted.field)
            ++at;
        if (((at->value ^ wanted.value) & wanted.mask) || at->port != wanted.port)
            return false;
    }
    return true;
}

bool same_form(const Term& a, const Term& b) noexcept {
    return std::equal(
        a.fields.begin(),
        a.fields.end(),
        b.fields.begin(),
        b.fields.end(),
        [](const FieldMatch& x, const FieldMatch& y) {
            return x.field == y.field && x.mask == y.mask && x.port.empty() == y.port.empty();
        }
    );
}

void keep(std::vector<Term>& terms, const std::vector<bool>& gone) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < terms.size(); ++i)
        if (!gone[i]) {
            if (kept != i)
                terms[kept] = std::move(terms[i]);
            ++kept;
        }
    terms.resize(kept);
}

/// Removes terms that another one contains, of a handful.
void remove_contained_of_few(std::vector<Term>& terms) {
    std::vector<bool> gone;
    for (const Term& term : terms) {
        const ShapeBits shape = saturated(ShapeBits::of(term));
        gone.push_back(std::any_of(terms.begin(), terms.end(), [&](const Term& big) {
            return &big != &term && covers(big, term, shape) && agrees(big, term, shape);
        }));
    }
    keep(terms, gone);
}

/// Removes terms that another one contains. Terms of one form (the same fields and
/// masks) cannot contain each other, so each term is looked up once in every other form that is
/// less specific: n lookups a form, unless that comes to too many: a short text makes a thousand
/// forms.
void remove_contained_of_many(std::vector<Term>& terms) {
    constexpr std::size_t lookups_max = 1 << 17;
    struct Form {
        const Term* like;
        std::unordered_multimap<std::uint64_t, const Term*> terms;
    };
    std::vector<ShapeBits> shapes;
    shapes.reserve(terms.size());
    std::vector<Form> forms;
    std::unordered_multimap<std::uint64_t, std::size_t> form_at;
    for (const Term& term : terms) {
        shapes.push_back(saturated(ShapeBits::of(term)));
        WordHash hash{0};
        for (const FieldMatch& match : term.fields) {
            hash.add(static_cast<std::uint64_t>(match.field) << 1 | match.port.empty());
            hash.add(match.mask.high);
            hash.add(match.mask.low);
        }
        auto [at, end] = form_at.equal_range(hash.value());
        while (at != end && !same_form(*forms[at->second].like, term))
            ++at;
        if (at == end) {
            if ((forms.size() + 1) * terms.size() > lookups_max)
                return;
            at = form_at.emplace(hash.value(), forms.size());
            forms.push_back({&term, {}});
        }
        Form& form = forms[at->second];
        form.terms.emplace(hash_under(term, term, ShapeBits::of(term)), &term);
    }
    if (forms.size() == 1)
        return;
    const auto contained = [&](const Term& term) {
        const ShapeBits shape = shapes[static_cast<std::size_t>(&term - terms.data())];
        return std::any_of(forms.begin(), forms.end(), [&](const Form& form) {
            if (!covers(*form.like, term, shape))
                return false;
            const auto [at, end] = form.terms.equal_range(hash_under(*form.like, term, shape));
            return std::any_of(at, end, [&](const auto& entry) {
                return entry.second != &term && agrees(*entry.second, term, shape);
            });
        });
    };
    std::vector<bool> gone;
    gone.reserve(terms.size());
    for (const Term& term : terms)
        gone.push_back(contained(term));
    keep(terms, gone);
}

} // namespace

void remove_contained(std::vector<Term>& terms) {
    constexpr std::size_t few = 16;
    if (terms.size() <= few)
        remove_contained_of_few(terms);
    else
        remove_contained_of_many(terms);
}

} // namespace weft
