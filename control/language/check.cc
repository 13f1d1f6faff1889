#include "control/language/check.hh"

#include "control/language/language.hh"
#include "control/language/symbols.hh"
#include "control/language/values.hh"
#include "pipeline/name_pattern.hh"

#include <algorithm>
#include <limits>

namespace weft::language {

namespace {

using MaybeError = std::optional<Error>;

Error bad_value(std::string what) {
    return {"bad_value", std::move(what)};
}

std::string bits_of(FieldSlice slice) {
    return slice.bits == 1 ? "1 bit" : std::to_string(slice.bits) + " bits";
}

/// Numbers of a field and of bits that came from outside.
MaybeError slice_error(FieldSlice slice) {
    if (static_cast<std::size_t>(slice.field) >= field_count || slice.field == FieldId::shape)
        return Error{
            "unknown_field",
            "there is no field number " + std::to_string(static_cast<unsigned>(slice.field))};
    const FieldInfo& field = info(slice.field);
    if (slice.bits == 0 || slice.lsb + slice.bits > field.bits)
        return bad_value(
            std::to_string(slice.bits) + " bits from bit " + std::to_string(slice.lsb) +
            " are no part of " + std::string{field.name} + ", which has " +
            std::to_string(field.bits) + " bits"
        );
    if (is_name(slice.field))
        return bad_value(std::string{field.name} + " is a name: only matches can use it");
    return std::nullopt;
}

/// A field to read, no wider than `bits`.
MaybeError source_error(std::string_view what, FieldSlice from, unsigned bits) {
    if (auto error = slice_error(from))
        return error;
    if (from.bits > bits)
        return bad_value(
            std::string{what} + " has at most " + std::to_string(bits) + " bits, and " +
            print(from) + " has " + bits_of(from)
        );
    return std::nullopt;
}

template <class... Checks>
MaybeError first_error(Checks... checks) {
    MaybeError error;
    static_cast<void>(((error = checks()) || ...));
    return error;
}

class StatementCheck {
public:
    explicit StatementCheck(bool in_exec) : in_exec_{in_exec} {}

    MaybeError operator()(const action::Set& set) const {
        if (auto error = write_error(set.to, in_exec_))
            return error;
        if (set.port.empty())
            return fit_error(set.value, set.to);
        return set.value ? bad_value("a port has a name and a number")
                         : port_value_error(set.to, set.port);
    }
    MaybeError operator()(const action::Move& move) const {
        return first_error(
            [&] { return slice_error(move.from); },
            [&] { return write_error(move.to, in_exec_); },
            [&] { return width_error(move.from, move.to); }
        );
    }
    MaybeError operator()(const action::Output& output) const {
        if (const auto* port = std::get_if<std::string>(&output.to))
            return port_name_error(*port);
        if (const auto* field = std::get_if<FieldSlice>(&output.to))
            return source_error("a port number", *field, 32);
        if (std::get<action::Reserved>(output.to) > action::Reserved::all)
            return bad_value("there is no such reserved output");
        return std::nullopt;
    }
    MaybeError operator()(const action::Push& push) const { return slice_error(push.from); }
    MaybeError operator()(const action::Pop& pop) const { return write_error(pop.to, false); }
    MaybeError operator()(const action::PushVlan& push) const {
        if (push.tpid == 0x8100 || push.tpid == 0x88a8)
            return std::nullopt;
        std::string what;
        append_hex(what, push.tpid);
        return bad_value(what + " is no VLAN type: only 0x8100 and 0x88a8 are");
    }
    MaybeError operator()(const action::Conjunction& of) const {
        if (of.count < 2 || of.count > 64)
            return bad_value(
                "a conjunction has 2 to 64 clauses, and not " + std::to_string(of.count)
            );
        if (of.clause < 1 || of.clause > of.count)
            return bad_value(
                "clause " + std::to_string(of.clause) + " is not one of 1 to " +
                std::to_string(of.count)
            );
        return std::nullopt;
    }
    MaybeError operator()(const action::CheckPacketLarger& larger) const {
        if (auto error = write_error(larger.to, false))
            return error;
        if (larger.to.bits != 1)
            return bad_value(
                "check_pkt_larger gives 1 bit, and " + print(larger.to) + " has " +
                bits_of(larger.to)
            );
        return std::nullopt;
    }
    MaybeError operator()(const action::Controller& punt) const {
        if (punt.userdata.size() > std::numeric_limits<std::uint16_t>::max())
            return bad_value("userdata has more than 65535 bytes");
        return std::nullopt;
    }
    MaybeError operator()(const action::Sample& sample) const {
        if (sample.probability == 0)
            return bad_value("a sample's probability is 1 to 65535");
        if (const auto* field = std::get_if<FieldSlice>(&sample.point))
            return source_error("point", *field, 32);
        return std::nullopt;
    }
    MaybeError operator()(const action::Ct& ct) const {
        if (const auto* zone = std::get_if<FieldSlice>(&ct.zone))
            if (auto error = source_error("zone", *zone, 16))
                return error;
        if (ct.force && !ct.commit)
            return bad_value("force is only for ct with commit");
        for (const Action& inner : ct.exec)
            if (!std::holds_alternative<action::Set>(inner.of) &&
                !std::holds_alternative<action::Move>(inner.of))
                return bad_value("exec only sets ct_mark and ct_label");
        return ct.nat ? nat(*ct.nat) : std::nullopt;
    }
    MaybeError operator()(const action::Learn& learn) const {
        const auto specs = [](const std::vector<action::Learn::Spec>& list,
                              bool load) -> MaybeError {
            for (const auto& spec : list)
                if (auto error = load ? write_error(spec.to, false) : slice_error(spec.to))
                    return error;
                else if ((error = spec.from ? first_error(
                                                  [&] { return slice_error(*spec.from); },
                                                  [&] { return width_error(*spec.from, spec.to); }
                                              )
                                            : fit_error(spec.value, spec.to)))
                    return error;
                else if (spec.from && spec.value)
                    return bad_value("what is learned has a field and a value");
            return std::nullopt;
        };
        return first_error(
            [&] { return specs(learn.match, false); },
            [&] { return specs(learn.load, true); },
            [&] {
                return learn.output ? source_error("a port number", *learn.output, 32)
                                    : std::nullopt;
            }
        );
    }
    MaybeError operator()(const action::Bundle& bundle) const {
        for (const std::string& port : bundle.ports)
            if (auto error = port_name_error(port))
                return error;
        return std::nullopt;
    }
    template <class Other>
    MaybeError operator()(const Other&) const {
        return std::nullopt;
    }

private:
    static MaybeError nat(const action::Nat& nat) {
        const bool plain = !nat.has_address && !nat.is_ip6 && nat.port_first == 0 &&
                           nat.port_last == 0 && !nat.hash && !nat.random && !nat.persistent;
        if (nat.kind > action::Nat::Kind::dst)
            return bad_value("there is no such nat");
        if (nat.kind == action::Nat::Kind::restore &&
            !(plain && !nat.address_first && !nat.address_last))
            return bad_value("nat without src or dst takes nothing else");
        if (!nat.has_address && (nat.is_ip6 || nat.address_first || nat.address_last))
            return bad_value("nat has an address that does not count");
        const U128 max = low_bits(nat.is_ip6 ? 128 : 32);
        if (nat.address_first > nat.address_last || nat.address_last > max)
            return bad_value("nat's addresses are no range");
        if (nat.port_first > nat.port_last || (nat.port_first == 0) != (nat.port_last == 0))
            return bad_value("nat's ports are no range");
        if (nat.port_first != 0 && !nat.has_address)
            return bad_value("nat takes ports only together with an address");
        if (nat.hash && nat.random)
            return bad_value("nat is either hash or random");
        return std::nullopt;
    }

    bool in_exec_;
};

} // namespace

MaybeError port_name_error(std::string_view name) {
    if (name.empty())
        return bad_value("a port's name is not empty");
    if (name.size() > LanguageLimits::name_bytes_max)
        return bad_value(
            "a port's name has at most " + std::to_string(LanguageLimits::name_bytes_max) +
            " bytes, and " + shown(name) + " has " + std::to_string(name.size())
        );
    return std::nullopt;
}

MaybeError port_value_error(FieldSlice field, std::string_view name) {
    const FieldInfo& of = info(field.field);
    if (of.format != FieldFormat::port || field != whole(of))
        return bad_value(shown(name) + " is a name, and only inport and outport hold ports");
    return port_name_error(name);
}

Result<std::string> name_value(FieldSlice field, std::string_view text) {
    const FieldInfo& of = info(field.field);
    if (field != whole(of))
        return fail("bad_value", std::string{of.name} + " is a name, which has no bits");
    auto name = canonical_name_pattern(text);
    if (!name)
        return fail(name.error().code, std::string{of.name} + ": " + name.error().what);
    return name;
}

std::string_view why_not(Added added) noexcept {
    return added == Added::two_names
               ? "one name field is asked for two patterns at once: use one that says both"
               : "one port is asked for both by name and by number: use one of the two";
}

MaybeError fit_error(U128 value, FieldSlice slice) {
    if (!(value & ~low_bits(slice.bits)))
        return std::nullopt;
    std::string what;
    if (value.high == 0)
        append_decimal(what, value.low);
    else
        append_hex(what, value);
    return bad_value(what + " does not fit " + print(slice) + ", which has " + bits_of(slice));
}

MaybeError write_error(FieldSlice to, bool in_exec) {
    if (auto error = slice_error(to))
        return error;
    const bool of_connection = to.field == FieldId::ct_mark || to.field == FieldId::ct_label;
    if (in_exec && !of_connection)
        return bad_value("exec only sets ct_mark and ct_label, and not " + print(to));
    if (!in_exec && of_connection)
        return Error{"read_only_field", print(to) + " is only set inside ct(commit, exec { ... })"};
    if (!info(to.field).writable)
        return Error{"read_only_field", print(to) + " cannot be set: it is what the packet has"};
    return std::nullopt;
}

MaybeError width_error(FieldSlice from, FieldSlice to) {
    if (from.bits == to.bits)
        return std::nullopt;
    return bad_value(
        print(from) + " has " + bits_of(from) + " and " + print(to) + " has " + bits_of(to) +
        ": both need the same"
    );
}

MaybeError statement_error(const Action& action, bool in_exec) {
    return std::visit(StatementCheck{in_exec}, action.of);
}

MaybeError list_error(const Actions& actions, bool nested) {
    const auto count = std::count_if(actions.begin(), actions.end(), [](const Action& action) {
        return std::holds_alternative<action::Conjunction>(action.of);
    });
    if (count == 0)
        return std::nullopt;
    if (nested)
        return bad_value("conjunction stands in a rule of its own and not in braces");
    if (static_cast<std::size_t>(count) != actions.size())
        return bad_value("a rule with conjunction has no other actions");
    return std::nullopt;
}

} // namespace weft::language

namespace weft {

namespace {

using namespace language;

/// Slices in place of views.
void narrow(FieldSlice& slice) {
    slice = narrowest(slice);
}

template <class... Others>
void narrow(std::variant<Others...>& of) {
    if (auto* slice = std::get_if<FieldSlice>(&of))
        narrow(*slice);
}

void narrow(std::vector<action::Learn::Spec>& specs) {
    for (auto& spec : specs) {
        narrow(spec.to);
        if (spec.from)
            narrow(*spec.from);
    }
}

struct Narrow {
    void operator()(action::Set& set) const { narrow(set.to); }
    void operator()(action::Move& move) const {
        narrow(move.from);
        narrow(move.to);
    }
    void operator()(action::Output& output) const { narrow(output.to); }
    void operator()(action::Push& push) const { narrow(push.from); }
    void operator()(action::Pop& pop) const { narrow(pop.to); }
    void operator()(action::CheckPacketLarger& larger) const { narrow(larger.to); }
    void operator()(action::Sample& sample) const { narrow(sample.point); }
    void operator()(action::Ct& ct) const { narrow(ct.zone); }
    void operator()(action::Learn& learn) const {
        narrow(learn.match);
        narrow(learn.load);
        if (learn.output)
            narrow(*learn.output);
    }
    template <class Other>
    void operator()(Other&) const {}
};

class ListCheck {
public:
    std::optional<Error> list(Actions& actions, unsigned depth, bool in_exec) {
        if (auto error = list_error(actions, depth > 0))
            return error;
        for (Action& action : actions) {
            if (++statements_ > LanguageLimits::statements_max)
                return Error{
                    "too_many_actions",
                    "there are more than " + std::to_string(LanguageLimits::statements_max) +
                        " actions"};
            if (auto error = statement_error(action, in_exec))
                return error;
            std::visit(Narrow{}, action.of);
            if (auto error = nested(action, depth))
                return error;
        }
        return std::nullopt;
    }

private:
    std::optional<Error> nested(Action& action, unsigned depth) {
        if (auto* ct = std::get_if<action::Ct>(&action.of))
            return list(ct->exec, depth + 1, true);
        if (auto* learn = std::get_if<action::Learn>(&action.of))
            statements_ += learn->match.size() + learn->load.size();
        auto* clone = std::get_if<action::Clone>(&action.of);
        if (clone == nullptr)
            return std::nullopt;
        if (depth == LanguageLimits::clones_max)
            return Error{
                "bad_actions",
                "clones are nested deeper than " + std::to_string(LanguageLimits::clones_max)};
        return list(clone->body, depth + 1, false);
    }

    std::size_t statements_ = 0;
};

} // namespace

Result<Actions> checked(Actions actions) {
    ListCheck check;
    if (auto error = check.list(actions, 0, false))
        return tl::unexpected<Error>{std::move(*error)};
    return actions;
}

Result<Match> checked(std::vector<Term> terms) {
    if (terms.size() > match_terms_max)
        return fail(
            "too_many_terms",
            "the match has more than " + std::to_string(match_terms_max) + " terms"
        );
    std::vector<Term> made;
    for (const Term& term : terms) {
        Term& whole_term = made.emplace_back();
        Added added = Added::possible;
        for (const FieldMatch& match : term.fields) {
            if (static_cast<std::size_t>(match.field) >= field_count)
                return tl::unexpected<Error>{*slice_error({match.field, 0, 1})};
            const FieldInfo& field = info(match.field);
            for (const U128& value : {match.value, match.mask})
                if (auto error = fit_error(value, whole(field)))
                    return tl::unexpected<Error>{std::move(*error)};
            if (match.value & ~match.mask)
                return fail(
                    "bad_value", std::string{field.name} + ": the value has bits outside its mask"
                );
            if (added != Added::possible)
                continue;
            if (is_name(match.field)) {
                const auto name = name_value(whole(field), match.port);
                if (!name)
                    return tl::unexpected<Error>{name.error()};
                added = add_port(whole_term, field, *name);
            } else if (match.port.empty()) {
                added = add(whole_term, field, match.value, match.mask);
            } else {
                if (auto error = port_value_error(whole(field), match.port))
                    return tl::unexpected<Error>{std::move(*error)};
                added = add_port(whole_term, field, match.port);
            }
        }
        if (added == Added::mixed || added == Added::two_names)
            return fail("bad_value", std::string{why_not(added)});
        if (added == Added::impossible)
            made.pop_back();
    }
    return canonical_of_added(std::move(made));
}

} // namespace weft
