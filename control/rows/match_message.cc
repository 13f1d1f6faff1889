#include "control/language/check.hh"
#include "control/language/prefixes.hh"
#include "control/rows/language_message.hh"
#include "control/rows/message_place.hh"

#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace weft {

namespace {

Error bad_term(std::string what) {
    return {"bad_value", std::move(what)};
}

Error too_many_terms() {
    return {
        "too_many_terms", "the match has more than " + std::to_string(match_terms_max) + " terms"};
}

/// What one field asks for: any of some values under masks, or a port.
struct Wanted {
    const FieldInfo* field = nullptr;
    language::Prefixes values;
    std::string name; // of a port, or a pattern of names
};

std::optional<Error> range_of(const control::Range& range, const FieldInfo& field, Wanted& out) {
    const U128 low{range.low_upper(), range.low()};
    const U128 high{range.high_upper(), range.high()};
    for (const U128& end : {low, high})
        if (auto error = language::fit_error(end, whole(field)))
            return error;
    if (low > high)
        return bad_term(std::string{field.name} + ": the range ends before it begins");
    if (!language::cover(low, high, low_bits(field.bits), out.values))
        return too_many_terms();
    return std::nullopt;
}

std::optional<Error> wanted_of(const control::FieldMatch& message, Wanted& out) {
    if (!message.has_field())
        return bad_term("a field's number is missing");
    if (message.field() >= field_count)
        return Error{
            "unknown_field", "there is no field number " + std::to_string(message.field())};
    const FieldInfo& field = info(static_cast<FieldId>(message.field()));
    out.field = &field;
    const bool has_mask = message.has_mask() || message.has_mask_upper();
    const U128 value{message.value_upper(), message.value()};
    const bool has_value = has_mask || value;
    const int others =
        (has_value ? 1 : 0) + (message.port().empty() ? 0 : 1) + (message.has_range() ? 1 : 0);
    if (others > 1)
        return bad_term(
            std::string{field.name} + " has more than one of a value, a port and a range"
        );
    if (is_name(field.id) != !message.name().empty() || (is_name(field.id) && others != 0))
        return bad_term(
            is_name(field.id) ? std::string{field.name} + " takes a name and nothing else"
                              : std::string{field.name} + " has no name in payloads as its value"
        );
    if (is_name(field.id)) {
        auto name = language::name_value(whole(field), message.name());
        if (!name)
            return name.error();
        out.name = std::move(*name);
        return std::nullopt;
    }
    if (!message.port().empty()) {
        out.name = message.port();
        return language::port_value_error(whole(field), out.name);
    }
    if (message.has_range())
        return range_of(message.range(), field, out);
    const U128 mask = has_mask ? U128{message.mask_upper(), message.mask()} : low_bits(field.bits);
    for (const U128& bits : {value, mask})
        if (auto error = language::fit_error(bits, whole(field)))
            return error;
    if (value & ~mask)
        return bad_term(std::string{field.name} + ": the value has bits outside its mask");
    out.values.push_back({value, mask});
    return std::nullopt;
}

/// Every term of `terms` with every value of the field; those that no packet matches are left out.
std::optional<Error> combine(const Wanted& wanted, std::vector<Term>& terms) {
    std::vector<Term> made;
    const std::size_t choices = wanted.name.empty() ? wanted.values.size() : 1;
    for (Term& term : terms)
        for (std::size_t i = 0; i < choices; ++i) {
            Term more = i + 1 == choices ? std::move(term) : term;
            const Added added =
                wanted.name.empty()
                    ? add(more, *wanted.field, wanted.values[i].value, wanted.values[i].mask)
                    : add_port(more, *wanted.field, wanted.name);
            if (added == Added::mixed || added == Added::two_names)
                return bad_term(std::string{language::why_not(added)});
            if (added == Added::impossible)
                continue;
            if (made.size() >= match_terms_max)
                return too_many_terms();
            made.push_back(std::move(more));
        }
    terms = std::move(made);
    return std::nullopt;
}

} // namespace

Judged<Match> match_from(const control::MatchTerms& message, std::string_view path) {
    const MessagePlace top{nullptr, path};
    std::vector<Term> terms;
    for (int t = 0; t < message.terms_size(); ++t) {
        const MessagePlace at{&top, "terms", t};
        std::vector<Term> made(1);
        for (int f = 0; f < message.terms(t).fields_size(); ++f) {
            Wanted wanted;
            std::optional<Error> error = wanted_of(message.terms(t).fields(f), wanted);
            if (!error)
                error = combine(wanted, made);
            if (error)
                return tl::unexpected{MessagePlace{&at, "fields", f}.fault(std::move(*error))};
        }
        if (terms.size() + made.size() > match_terms_max)
            return tl::unexpected{at.fault(too_many_terms())};
        terms.insert(
            terms.end(), std::make_move_iterator(made.begin()), std::make_move_iterator(made.end())
        );
    }
    return canonical_of_added(std::move(terms));
}

void to_message(const Match& match, control::MatchTerms& out) {
    for (const Term& term : match.terms) {
        control::MatchTerm& made = *out.add_terms();
        for (const FieldMatch& field : term.fields) {
            control::FieldMatch& of = *made.add_fields();
            of.set_field(static_cast<std::uint32_t>(field.field));
            if (is_name(field.field)) {
                of.set_name(std::string{field.port.view()});
                continue;
            }
            if (!field.port.empty()) {
                of.set_port(std::string{field.port.view()});
                continue;
            }
            of.set_value(field.value.low);
            of.set_value_upper(field.value.high);
            const FieldInfo& known = info(field.field);
            if (field.mask == low_bits(known.bits))
                continue;
            of.set_mask(field.mask.low);
            if (known.is_wide())
                of.set_mask_upper(field.mask.high);
        }
    }
}

} // namespace weft
