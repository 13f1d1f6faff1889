// How conditions come into a term.
#include "base/check.hh"
#include "pipeline/match.hh"
#include "pipeline/name_pattern.hh"
#include "pipeline/shape_bits.hh"

#include <iterator>
#include <utility>

namespace weft {

namespace {

/// What two names in one term come to.
Added both_names(const FieldMatch& a, const FieldMatch& b) noexcept {
    if (a.field != b.field)
        return Added::impossible;
    if (a.port == b.port)
        return Added::possible;
    const bool exact = form_of(a.port) == NameForm::exact && form_of(b.port) == NameForm::exact;
    return exact ? Added::impossible : Added::two_names;
}

/// Puts one condition on a field that is no view into the sorted fields of a term.
Added merge(Term& term, FieldMatch&& condition) {
    auto& fields = term.fields;
    if (is_name(condition.field))
        for (const FieldMatch& known : fields)
            if (is_name(known.field))
                return both_names(known, condition);
    auto at = fields.end();
    while (at != fields.begin() && condition.field < std::prev(at)->field)
        --at;
    if (at == fields.begin() || std::prev(at)->field != condition.field) {
        fields.insert(at, std::move(condition));
        return Added::possible;
    }
    FieldMatch& known = *std::prev(at);
    if (known.port.empty() != condition.port.empty())
        return Added::mixed;
    if (!known.port.empty())
        return known.port == condition.port ? Added::possible : Added::impossible;
    if ((known.value ^ condition.value) & known.mask & condition.mask)
        return Added::impossible;
    known.value = known.value | condition.value;
    known.mask = known.mask | condition.mask;
    return Added::possible;
}

/// How far the lowest bit of `base` lies above the lowest bit of `view`, which lies over it.
int distance(const FieldInfo& view, const FieldInfo& base) noexcept {
    const int words = view.is_wide() ? view.word + 1 - base.word : 0;
    return words * 64 + base.shift - view.shift;
}

} // namespace

Added add_shape(Term& term, Shape set, Shape clear) {
    if (set == Shape::none && clear == Shape::none)
        return Added::possible;
    ShapeBits bits{static_cast<ShapeBits::Bits>(set), static_cast<ShapeBits::Bits>(clear)};
    if (!term.fields.empty() && term.fields.front().field == FieldId::shape) {
        const ShapeBits known = ShapeBits::of(term.fields.front());
        if ((bits.set & ~known.set) == 0 && (bits.clear & ~known.clear) == 0)
            return Added::possible;
        bits.set |= known.set;
        bits.clear |= known.clear;
    } else {
        term.fields.insert(term.fields.begin(), FieldMatch{});
    }
    bits.set = static_cast<ShapeBits::Bits>(implied(Shape{bits.set}));
    term.fields.front() = bits.match();
    return saturated(bits).possible() ? Added::possible : Added::impossible;
}

Added add(Term& term, const FieldInfo& field, U128 value, U128 mask) {
    check(!is_name(field.id));
    value = value & mask;
    if (field.id == FieldId::shape) {
        const ShapeBits bits = ShapeBits::of(FieldMatch{field.id, value, mask});
        return add_shape(term, Shape{bits.set}, Shape{bits.clear});
    }
    if (const Added added = add_shape(term, field.requires_shape); added != Added::possible)
        return added;
    if (!field.is_view())
        return mask ? merge(term, {field.id, value, mask}) : Added::possible;
    for (unsigned i = 0; i < field.base_count; ++i) {
        const auto id = static_cast<FieldId>(static_cast<unsigned>(field.base_first) + i);
        const FieldInfo& base = info(id);
        const int up = distance(field, base);
        const auto moved = [&](U128 bits) {
            bits = up >= 0 ? bits >> static_cast<unsigned>(up) : bits << static_cast<unsigned>(-up);
            return bits & low_bits(base.bits);
        };
        if (!moved(mask))
            continue;
        const Added added = merge(term, {id, moved(value), moved(mask)});
        if (added != Added::possible)
            return added;
    }
    return Added::possible;
}

Added add_port(Term& term, const FieldInfo& field, PortName name) {
    check(!field.is_view() && !name.empty());
    if (const Added added = add_shape(term, field.requires_shape); added != Added::possible)
        return added;
    return merge(term, {field.id, U128{}, low_bits(field.bits), std::move(name)});
}

Added add(Term& term, const Term& other) {
    for (const FieldMatch& match : other.fields) {
        Added added = Added::possible;
        if (match.field == FieldId::shape) {
            const ShapeBits bits = ShapeBits::of(match);
            added = add_shape(term, Shape{bits.set}, Shape{bits.clear});
        } else if (match.mask) {
            added = merge(term, FieldMatch{match});
        }
        if (added != Added::possible)
            return added;
    }
    return Added::possible;
}

} // namespace weft
