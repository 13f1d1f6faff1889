#include "pipeline/match.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "pipeline/name_pattern.hh"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace weft {

namespace {

using Bits = std::uint16_t;

constexpr Bits raw(Shape shape) noexcept {
    return static_cast<Bits>(shape);
}

/// What a set bit says besides itself, and which bits it rules out. (A packet has one L3 and one
/// L4.)
struct ShapeRule {
    Shape bit;
    Shape implies;
    Shape excludes;
};

constexpr Shape l4_kinds =
    Shape::tcp | Shape::udp | Shape::sctp | Shape::icmp4 | Shape::icmp6 | Shape::igmp;

constexpr Shape other_than(Shape all, Shape one) noexcept {
    return static_cast<Shape>(raw(all) & ~raw(one));
}

constexpr std::array<ShapeRule, 13> shape_rules = {{
    {Shape::vlan1, Shape::vlan, Shape::none},
    {Shape::ip, Shape::none, Shape::arp},
    {Shape::ip4, Shape::ip, Shape::ip6},
    {Shape::ip6, Shape::ip, Shape::ip4},
    {Shape::tcp, Shape::ip, other_than(l4_kinds, Shape::tcp)},
    {Shape::udp, Shape::ip, other_than(l4_kinds, Shape::udp)},
    {Shape::sctp, Shape::ip, other_than(l4_kinds, Shape::sctp)},
    {Shape::icmp4, Shape::ip4, other_than(l4_kinds, Shape::icmp4)},
    {Shape::icmp6, Shape::ip6, other_than(l4_kinds, Shape::icmp6)},
    {Shape::igmp, Shape::ip4, other_than(l4_kinds, Shape::igmp)},
    {Shape::nd, Shape::icmp6, Shape::none},
    {Shape::nd_sll, Shape::nd, Shape::none},
    {Shape::nd_tll, Shape::nd, Shape::none},
}};

/// Bits that must be set and bits that must not.
struct ShapeBits {
    Bits set = 0;
    Bits clear = 0;
    friend bool operator==(ShapeBits, ShapeBits) = default;
    bool possible() const noexcept { return (set & clear) == 0; }
};

/// Everything that `bits` says, directly or not.
ShapeBits saturated(ShapeBits bits) noexcept {
    for (ShapeBits before{}; bits != before;) {
        before = bits;
        for (const ShapeRule& rule : shape_rules) {
            const Bits bit = raw(rule.bit);
            if ((bits.set & bit) != 0) {
                bits.set |= raw(rule.implies);
                bits.clear |= raw(rule.excludes);
            }
            if ((bits.clear & raw(rule.implies)) != 0 || (bits.set & raw(rule.excludes)) != 0)
                bits.clear |= bit;
        }
        // ip is ip4 or ip6
        constexpr Bits ip4 = raw(Shape::ip4), ip6 = raw(Shape::ip6), ip = raw(Shape::ip);
        if ((bits.set & ip) != 0 && (bits.clear & ip4) != 0)
            bits.set |= ip6;
        if ((bits.set & ip) != 0 && (bits.clear & ip6) != 0)
            bits.set |= ip4;
        if ((bits.clear & ip4) != 0 && (bits.clear & ip6) != 0)
            bits.clear |= ip;
    }
    return bits;
}

/// The one normal form of all that say the same: every set bit, and of the clear ones those that
/// the others do not say already.
ShapeBits normal(ShapeBits bits) noexcept {
    bits = saturated(bits);
    if (!bits.possible())
        return bits;
    // the special before the general: !ip stays, !tcp goes
    constexpr std::array order = {
        Shape::nd_sll,
        Shape::nd_tll,
        Shape::nd,
        Shape::tcp,
        Shape::udp,
        Shape::sctp,
        Shape::icmp4,
        Shape::icmp6,
        Shape::igmp,
        Shape::ip4,
        Shape::ip6,
        Shape::vlan1,
        Shape::arp,
        Shape::ip,
        Shape::vlan,
        Shape::tunnel,
    };
    static_assert(order.size() == 16);
    for (const Shape shape : order) {
        const ShapeBits without{bits.set, static_cast<Bits>(bits.clear & ~raw(shape))};
        if (saturated(without) == saturated(bits))
            bits = without;
    }
    return bits;
}

ShapeBits shape_bits(const FieldMatch& match) noexcept {
    return {
        static_cast<Bits>(match.value.low), static_cast<Bits>(match.mask.low & ~match.value.low)};
}

FieldMatch shape_match(ShapeBits bits) {
    return {FieldId::shape, U128{bits.set}, U128{std::uint64_t{bits.set} | bits.clear}};
}

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

ShapeBits saturated_shape(const Term& term) noexcept {
    if (term.fields.empty() || term.fields.front().field != FieldId::shape)
        return {};
    return saturated(shape_bits(term.fields.front()));
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
        const ShapeBits shape = saturated_shape(term);
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
void remove_contained(std::vector<Term>& terms) {
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
        shapes.push_back(saturated_shape(term));
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
        const bool has_shape = !term.fields.empty() && term.fields[0].field == FieldId::shape;
        form.terms.emplace(
            hash_under(term, term, has_shape ? shape_bits(term.fields[0]) : ShapeBits{}), &term
        );
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
    const ShapeBits bits = shape_bits(match);
    // set bits alone are complete as add() leaves them
    const ShapeBits wanted = bits.clear == 0 && saturated(bits).possible() ? bits : normal(bits);
    if (!wanted.possible())
        return false;
    match = shape_match(wanted);
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

Shape implied(Shape bits) noexcept {
    Bits all = raw(bits);
    for (Bits before = 0; before != all;) {
        before = all;
        for (const ShapeRule& rule : shape_rules)
            if ((all & raw(rule.bit)) != 0)
                all |= raw(rule.implies);
    }
    return static_cast<Shape>(all);
}

Added add_shape(Term& term, Shape set, Shape clear) {
    if (set == Shape::none && clear == Shape::none)
        return Added::possible;
    ShapeBits bits{raw(set), raw(clear)};
    if (!term.fields.empty() && term.fields.front().field == FieldId::shape) {
        const ShapeBits known = shape_bits(term.fields.front());
        if ((bits.set & ~known.set) == 0 && (bits.clear & ~known.clear) == 0)
            return Added::possible;
        bits.set |= known.set;
        bits.clear |= known.clear;
    } else {
        term.fields.insert(term.fields.begin(), FieldMatch{});
    }
    bits.set = raw(implied(static_cast<Shape>(bits.set)));
    term.fields.front() = shape_match(bits);
    return saturated(bits).possible() ? Added::possible : Added::impossible;
}

Added add(Term& term, const FieldInfo& field, U128 value, U128 mask) {
    check(!is_name(field.id));
    value = value & mask;
    if (field.id == FieldId::shape) {
        const Bits set = static_cast<Bits>(value.low), all = static_cast<Bits>(mask.low);
        return add_shape(term, Shape{set}, Shape{static_cast<Bits>(all & ~set)});
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
            const ShapeBits bits = shape_bits(match);
            added = add_shape(term, Shape{bits.set}, Shape{bits.clear});
        } else if (match.mask) {
            added = merge(term, FieldMatch{match});
        }
        if (added != Added::possible)
            return added;
    }
    return Added::possible;
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
        else if (terms.size() <= 16)
            remove_contained_of_few(terms);
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
