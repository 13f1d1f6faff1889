// A match grows bottom-up as a list of terms (a disjunction of conjunctions). Negation never builds
// anything: it goes down with the parser, turns == into !=, && into ||, and meets each comparison
// without its prerequisites, which stay as they are.
//
// Invariants: (1) terms are made by add() alone; (2) no list is ever longer than a few times
// match_terms_max, whatever the text.

#include "base/check.hh"
#include "control/language/check.hh"
#include "control/language/comparison.hh"
#include "control/language/language.hh"
#include "control/language/term_joiner.hh"
#include "control/language/values.hh"

#include <algorithm>
#include <utility>

namespace weft {

namespace language {

namespace {

class MatchParser {
public:
    explicit MatchParser(std::string_view text) : in_{"match", text} {}

    Result<Match> parse() {
        Terms terms;
        if (!any(false, terms) || !(in_.is(Kind::end) || in_.fail_expected("&&, || or the end")))
            return tl::unexpected<Error>{std::move(in_).error()};
        Match match = canonical_of_added(std::move(terms));
        if (match.terms.size() > match_terms_max) {
            too_many();
            return tl::unexpected<Error>{std::move(in_).error()};
        }
        return match;
    }

private:
    bool any(bool negated, Terms& out);
    bool all(bool negated, Terms& out);
    bool one(bool negated, Terms& out);
    bool named(bool negated, bool after_not, Terms& out);
    bool constant_first(bool negated, bool after_not, Terms& out);
    bool constants(Constants& out);
    bool predicate(const Symbol& symbol, bool negated, Terms& out);
    bool compare(const FieldRef& field, Kind comparison, const Constants& constants, Terms& out);
    bool
    compare_ports(const FieldRef& field, Kind comparison, const Constants& constants, Terms& out);
    bool
    compare_names(const FieldRef& field, Kind comparison, const Constants& constants, Terms& out);
    bool add_terms(const FieldRef& field, const Prefixes& values, Terms& out);

    bool unite(Terms& into, Terms&& more) { return fine(joiner_.unite(into, std::move(more))); }
    bool intersect(Terms& into, Terms&& more) {
        return fine(joiner_.intersect(into, std::move(more)));
    }
    bool fine(Joined joined);
    bool too_many();
    bool needs_parentheses() {
        return in_.fail(
            in_.token().at,
            "bad_match",
            "! stands before a comparison: write !(...) with parentheses around it"
        );
    }

    Reader in_;
    unsigned depth_ = 0;
    TermJoiner joiner_;
};

bool MatchParser::too_many() {
    return in_.fail(
        in_.token().at,
        "too_many_terms",
        "the match comes to more than " + std::to_string(match_terms_max) +
            " terms: its sets, ranges and inequalities multiply"
    );
}

bool MatchParser::fine(Joined joined) {
    if (joined == Joined::fine)
        return true;
    if (joined == Joined::too_many)
        return too_many();
    const Added added = joined == Joined::mixed ? Added::mixed : Added::two_names;
    return in_.fail(in_.token().at, "bad_value", why_not(added));
}

bool MatchParser::any(bool negated, Terms& out) {
    if (!all(negated, out))
        return false;
    while (in_.accept(Kind::logical_or)) {
        Terms more;
        if (!all(negated, more) ||
            !(negated ? intersect(out, std::move(more)) : unite(out, std::move(more))))
            return false;
    }
    return true;
}

bool MatchParser::all(bool negated, Terms& out) {
    if (!one(negated, out))
        return false;
    while (in_.accept(Kind::logical_and)) {
        Terms more;
        if (!one(negated, more) ||
            !(negated ? unite(out, std::move(more)) : intersect(out, std::move(more))))
            return false;
    }
    return true;
}

bool MatchParser::one(bool negated, Terms& out) {
    bool after_not = false;
    while (in_.accept(Kind::logical_not)) {
        negated = !negated;
        after_not = true;
    }
    if (in_.is(Kind::name))
        return named(negated, after_not, out);
    if (in_.token().is_constant() || in_.is(Kind::string) || in_.is(Kind::open_brace))
        return constant_first(negated, after_not, out);
    if (!in_.is(Kind::open))
        return in_.fail_expected("a field, a predicate or \"(\"");
    if (depth_ == LanguageLimits::parentheses_max)
        return in_.fail(
            in_.token().at,
            "bad_match",
            "parentheses are nested deeper than " + std::to_string(LanguageLimits::parentheses_max)
        );
    ++depth_;
    in_.advance();
    if (!any(negated, out) || !in_.expect(Kind::close))
        return false;
    --depth_;
    return true;
}

/// A set in braces, or one constant.
bool MatchParser::constants(Constants& out) {
    if (!in_.accept(Kind::open_brace)) {
        out.emplace_back();
        return in_.constant(out.back());
    }
    do {
        out.emplace_back();
        if (!in_.constant(out.back()))
            return false;
        in_.accept(Kind::comma);
    } while (!in_.accept(Kind::close_brace));
    return true;
}

bool MatchParser::named(bool negated, bool after_not, Terms& out) {
    const Symbol* symbol = find_symbol(in_.token().text);
    if (symbol == nullptr)
        return in_.fail_unknown_field();
    FieldRef field{in_.token().at, symbol, symbol->slice};
    in_.advance();
    if (!symbol->is_predicate() && !in_.slice_of(field))
        return false;
    const Kind comparison = in_.token().kind;
    if (!is_comparison(comparison)) {
        if (symbol->is_predicate())
            return predicate(*symbol, negated, out);
        if (field.slice.bits == 1)
            return add_terms(field, {{U128{!negated}, U128{1}}}, out);
        return in_.fail_expected("a comparison with " + std::string{symbol->name});
    }
    if (after_not)
        return needs_parentheses();
    in_.advance();
    Constants set;
    if (!constants(set))
        return false;
    if (!symbol->is_predicate())
        return compare(field, negated ? inverse(comparison) : comparison, set, out);
    const Constant& bit = set.front();
    if (set.size() != 1 || bit.is_range || bit.mask || !bit.port.empty() || bit.first > U128{1} ||
        (comparison != Kind::equal && comparison != Kind::not_equal))
        return in_.fail(
            bit.at,
            "bad_value",
            std::string{symbol->name} + " is true or false: it can only be == 1 or == 0"
        );
    const bool wanted = (bit.first == U128{1}) == (comparison == Kind::equal);
    return predicate(*symbol, wanted == negated, out);
}

/// `1`, `0`, `80 == tcp.dst`, `1024 <= tcp.src <= 49151`.
bool MatchParser::constant_first(bool negated, bool after_not, Terms& out) {
    const bool is_set = in_.is(Kind::open_brace);
    Constants set;
    if (!constants(set))
        return false;
    const Constant& first = set.front();
    Kind comparison = in_.token().kind;
    if (!is_comparison(comparison)) {
        if (is_set || first.is_range || first.mask || !first.port.empty() || first.first > U128{1})
            return in_.fail_expected("a comparison");
        if ((first.first == U128{1}) != negated)
            out.emplace_back();
        return true;
    }
    if (after_not)
        return needs_parentheses();
    in_.advance();
    FieldRef field;
    if (!in_.field(field))
        return false;
    const Kind second = in_.token().kind;
    comparison = mirrored(comparison);
    if (!compare(field, negated ? inverse(comparison) : comparison, set, out))
        return false;
    if (!is_comparison(second))
        return true;
    const bool equality = second <= Kind::not_equal || comparison <= Kind::not_equal;
    if (equality || is_less(second) == is_less(comparison))
        return in_.fail_expected("&& (only 1 < field < 5 and the like join two comparisons)");
    in_.advance();
    Constants last;
    Terms more;
    if (!constants(last) || !compare(field, negated ? inverse(second) : second, last, more))
        return false;
    return negated ? unite(out, std::move(more)) : intersect(out, std::move(more));
}

bool MatchParser::predicate(const Symbol& symbol, bool negated, Terms& out) {
    const Predicate& of = symbol.predicate;
    const auto condition = [](Term& term, const Condition& c) {
        if (c.mask)
            check(add(term, info(c.field), c.value, c.mask) == Added::possible);
    };
    if (!negated) {
        Term& term = out.emplace_back();
        add_shape(term, implied(of.shape));
        for (const Condition& c : of.conditions)
            condition(term, c);
        if (of.or_shape != Shape::none)
            add_shape(out.emplace_back(), implied(of.or_shape));
        return true;
    }
    if (of.shape != Shape::none)
        add_shape(out.emplace_back(), Shape::none, of.shape | of.or_shape);
    if (of.alternative.mask) {
        Term& term = out.emplace_back();
        add_shape(term, implied(of.shape));
        condition(term, of.alternative);
        return true;
    }
    for (const Condition& c : of.conditions) {
        if (!c.mask)
            continue;
        Prefixes others;
        if (!complement_of({c.value, c.mask}, others))
            return too_many();
        for (const Prefix& other : others) {
            Term& term = out.emplace_back();
            add_shape(term, implied(of.shape));
            condition(term, {c.field, other.value, other.mask});
        }
    }
    return true;
}

bool MatchParser::compare(
    const FieldRef& field, Kind comparison, const Constants& constants, Terms& out
) {
    if (is_name(field.slice.field))
        return compare_names(field, comparison, constants, out);
    const bool equality = comparison == Kind::equal || comparison == Kind::not_equal;
    bool ports = false;
    for (const Constant& constant : constants) {
        ports = ports || !constant.port.empty();
        if (!in_.fits(constant, field.slice))
            return false;
        if (!equality && (constants.size() != 1 || constant.is_range || constant.mask))
            return in_.fail(
                constant.at, "bad_value", "<, <=, > and >= compare with one plain value"
            );
    }
    if (ports)
        return compare_ports(field, comparison, constants, out);
    Prefixes values;
    if (!values_of(field.slice, comparison, constants, joiner_.combinations, values))
        return too_many();
    return add_terms(field, values, out);
}

bool MatchParser::compare_ports(
    const FieldRef& field, Kind comparison, const Constants& constants, Terms& out
) {
    const FieldInfo& of = info(field.slice.field);
    const auto named = std::find_if(constants.begin(), constants.end(), [](const Constant& c) {
        return !c.port.empty();
    });
    if (const auto error = port_value_error(field.slice, named->port))
        return in_.fail(named->at, error->code, error->what);
    if (comparison != Kind::equal)
        return in_.fail(
            named->at, "bad_value", "a port's name can only be compared with ==, and not negated"
        );
    Prefixes numbers;
    Terms terms;
    for (const Constant& constant : constants) {
        if (constant.port.empty()) {
            if (!values_of(
                    field.slice, comparison, Constants{constant}, joiner_.combinations, numbers
                ))
                return too_many();
            continue;
        }
        Terms term(1);
        check(add_port(term.front(), of, constant.port) == Added::possible);
        if (!unite(terms, std::move(term)))
            return false;
    }
    Terms numbered;
    return add_terms(field, numbers, numbered) && unite(terms, std::move(numbered)) &&
           unite(out, std::move(terms));
}

bool MatchParser::compare_names(
    const FieldRef& field, Kind comparison, const Constants& constants, Terms& out
) {
    const FieldInfo& of = info(field.slice.field);
    for (const Constant& constant : constants) {
        if (comparison != Kind::equal || constant.port.empty())
            return in_.fail(
                constant.at,
                "bad_value",
                std::string{of.name} +
                    " is a name: it can only be compared with ==, not negated, and with names in "
                    "quotes"
            );
        const auto name = name_value(field.slice, constant.port);
        if (!name)
            return in_.fail(constant.at, name.error().code, name.error().what);
        Terms term(1);
        check(add_port(term.front(), of, *name) == Added::possible);
        if (!unite(out, std::move(term)))
            return false;
    }
    return true;
}

bool MatchParser::add_terms(const FieldRef& field, const Prefixes& values, Terms& out) {
    const FieldInfo& of = info(field.slice.field);
    out.reserve(out.size() + values.size());
    const std::size_t begin = out.size();
    const Condition& more = field.symbol->prerequisite;
    const auto shifted = [&](U128 bits) { return bits << field.slice.lsb; };
    for (const Prefix& of_value : values) {
        if (out.size() > begin && of_value.mask) {
            const auto at = place_of(of.id, out[begin]);
            if (at && of.id != more.field) { // all but the value is as in the first one
                FieldMatch& match = out.emplace_back(out[begin]).fields[*at];
                match.mask = shifted(of_value.mask);
                match.value = shifted(of_value.value) & match.mask;
                continue;
            }
        }
        Term term;
        term.fields.reserve(1u + (of.requires_shape != Shape::none) + static_cast<bool>(more.mask));
        Added added = add(term, of, shifted(of_value.value), shifted(of_value.mask));
        if (added == Added::possible && more.mask)
            added = add(term, info(more.field), more.value, more.mask);
        if (added == Added::possible)
            out.push_back(std::move(term));
    }
    return out.size() <= 2 * match_terms_max || too_many();
}

} // namespace

} // namespace language

Result<Match> parse_match(std::string_view text) {
    return language::MatchParser{text}.parse();
}

} // namespace weft
