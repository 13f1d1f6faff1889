// One function a statement: each reads what stands behind its word, up to the semicolon.

#include "control/language/check.hh"
#include "control/language/language.hh"
#include "control/language/reader.hh"
#include "control/language/values.hh"

#include <array>
#include <limits>
#include <utility>

namespace weft {

namespace language {

namespace {

constexpr std::uint64_t max8 = 0xff, max16 = 0xffff, max32 = 0xffff'ffff;
constexpr std::uint64_t max64 = std::numeric_limits<std::uint64_t>::max();

class ActionParser {
public:
    explicit ActionParser(std::string_view text) : in_{"actions", text} {}

    Result<Actions> parse() {
        Actions actions;
        if (!list(Kind::end, false, actions))
            return tl::unexpected<Error>{std::move(in_).error()};
        return actions;
    }

private:
    using Statement = bool (ActionParser::*)(Actions&);
    struct Word {
        std::string_view word;
        Statement read;
    };
    static const std::array<Word, 19> words;

    bool list(Kind end, bool in_exec, Actions& out);
    bool statement(bool in_exec, Actions& out);
    bool assignment(bool in_exec, Actions& out);
    bool assigned_value(const FieldRef& to, Actions& out);
    bool fail_unknown_statement();
    bool allowed(std::size_t at, const std::optional<Error>& error) {
        return !error || in_.fail(at, error->code, error->what);
    }

    // pieces
    bool field(FieldRef& ref) {
        if (!in_.field(ref))
            return false;
        ref.slice = narrowest(ref.slice);
        return true;
    }
    bool slice(FieldSlice& slice) {
        FieldRef ref;
        if (!field(ref))
            return false;
        slice = ref.slice;
        return true;
    }
    template <class Number>
    bool number(std::string_view what, std::uint64_t max, Number& value) {
        std::uint64_t read = 0;
        if (!in_.number(what, max, read))
            return false;
        value = static_cast<Number>(read);
        return true;
    }
    /// `=5`
    template <class Number>
    bool assigned(std::string_view what, std::uint64_t max, Number& value) {
        return in_.expect(Kind::assign) && number(what, max, value);
    }
    /// `(5)`
    template <class Number>
    bool in_parentheses(std::string_view what, std::uint64_t max, Number& value) {
        return in_.expect(Kind::open) && number(what, max, value) && in_.expect(Kind::close);
    }
    /// `(a, b, c)`: calls `one` for each; `one` returns whether it has read something.
    template <class One>
    bool arguments(One&& one) {
        if (!in_.expect(Kind::open))
            return false;
        if (in_.accept(Kind::close))
            return true;
        do {
            if (!one())
                return false;
        } while (in_.accept(Kind::comma));
        return in_.expect(Kind::close);
    }

    // statements
    bool output(Actions& out);
    bool drop(Actions& out) { return add(out, action::Drop{}); }
    bool push(Actions& out);
    bool pop(Actions& out);
    bool push_vlan(Actions& out);
    bool pop_vlan(Actions& out) { return add(out, action::PopVlan{}); }
    bool call(Actions& out);
    bool jump(Actions& out);
    bool clone(Actions& out);
    bool group(Actions& out);
    bool meter(Actions& out);
    bool ct(Actions& out);
    bool ct_argument(action::Ct& ct);
    bool nat(action::Nat& nat);
    bool nat_argument(action::Nat& nat);
    bool ct_clear(Actions& out) { return add(out, action::CtClear{}); }
    bool learn(Actions& out);
    bool learn_argument(action::Learn& learn);
    bool learn_spec(std::vector<action::Learn::Spec>& out);
    bool conjunction(Actions& out);
    bool controller(Actions& out);
    bool sample(Actions& out);
    bool set_queue(Actions& out);
    bool bundle(Actions& out);

    template <class Of>
    bool add(Actions& out, Of&& of) {
        out.push_back(Action{std::forward<Of>(of)});
        return true;
    }

    Reader in_;
    unsigned clones_ = 0;
    std::size_t statements_ = 0;
};

const std::array<ActionParser::Word, 19> ActionParser::words = {{
    {"output", &ActionParser::output},
    {"call", &ActionParser::call},
    {"goto", &ActionParser::jump},
    {"drop", &ActionParser::drop},
    {"push", &ActionParser::push},
    {"pop", &ActionParser::pop},
    {"ct", &ActionParser::ct},
    {"clone", &ActionParser::clone},
    {"group", &ActionParser::group},
    {"vlan.push", &ActionParser::push_vlan},
    {"vlan.pop", &ActionParser::pop_vlan},
    {"meter", &ActionParser::meter},
    {"ct_clear", &ActionParser::ct_clear},
    {"conjunction", &ActionParser::conjunction},
    {"controller", &ActionParser::controller},
    {"learn", &ActionParser::learn},
    {"sample", &ActionParser::sample},
    {"set_queue", &ActionParser::set_queue},
    {"bundle", &ActionParser::bundle},
}};

bool ActionParser::list(Kind end, bool in_exec, Actions& out) {
    const std::size_t at = in_.token().at;
    while (!in_.accept(end))
        if (!statement(in_exec, out))
            return false;
    return allowed(at, list_error(out, end != Kind::end));
}

bool ActionParser::statement(bool in_exec, Actions& out) {
    const std::size_t at = in_.token().at;
    if (++statements_ > LanguageLimits::statements_max)
        return in_.fail(
            at,
            "too_many_actions",
            "there are more than " + std::to_string(LanguageLimits::statements_max) + " actions"
        );
    if (!in_.is(Kind::name))
        return in_.fail_expected("an action");
    const Word* known = nullptr;
    for (const Word& word : words)
        if (in_.token().text == word.word) {
            known = &word;
            break;
        }
    const bool is_clone = in_.is_word("clone");
    if (known != nullptr) {
        in_.advance();
        if (!(this->*known->read)(out))
            return false;
    } else if (!assignment(in_exec, out)) {
        return false;
    }
    if (!allowed(at, statement_error(out.back(), in_exec)))
        return false;
    return in_.accept(Kind::semicolon) || is_clone || in_.expect(Kind::semicolon);
}

bool ActionParser::fail_unknown_statement() {
    const std::string_view name = in_.token().text;
    std::array<std::string_view, words.size()> known;
    for (std::size_t i = 0; i < words.size(); ++i)
        known[i] = words[i].word;
    std::string_view near = nearest(name, known);
    if (near.empty())
        near = nearest_symbol(name);
    std::string sentence = shown(name) + " is neither an action nor a field";
    if (!near.empty())
        sentence.append("; did you mean \"").append(near).append("\"?");
    return in_.fail(in_.token().at, "bad_actions", sentence);
}

bool ActionParser::assignment(bool in_exec, Actions& out) {
    FieldRef to;
    const Symbol* symbol = find_symbol(in_.token().text);
    if (symbol == nullptr)
        return fail_unknown_statement();
    if (!field(to))
        return false;
    if (to.slice == whole(info(FieldId::ip_ttl)) && in_.accept(Kind::minus_minus))
        return add(out, action::DecTtl{});
    if (!in_.is(Kind::assign))
        return in_.fail_expected("\"=\"");
    if (!allowed(to.at, write_error(to.slice, in_exec)))
        return false;
    in_.advance();
    return assigned_value(to, out);
}

bool ActionParser::assigned_value(const FieldRef& to, Actions& out) {
    if (in_.accept_word("check_pkt_larger")) {
        action::CheckPacketLarger larger{.bytes = 0, .to = to.slice};
        return in_parentheses("a packet's size", max16, larger.bytes) && add(out, larger);
    }
    if (in_.is(Kind::name)) {
        FieldRef from;
        return field(from) && allowed(from.at, width_error(from.slice, to.slice)) &&
               add(out, action::Move{.from = from.slice, .to = to.slice});
    }
    Constant constant;
    if (!in_.constant(constant) || !in_.fits(constant, to.slice))
        return false;
    if (!constant.port.empty() && !allowed(constant.at, port_value_error(to.slice, constant.port)))
        return false;
    if (constant.mask)
        return in_.fail(
            constant.at, "bad_value", "some bits of a field are set as a slice: reg0[3..7] = 2"
        );
    if (constant.is_range)
        return in_.fail(constant.at, "bad_value", "a field cannot be set to a range");
    return add(
        out, action::Set{.to = to.slice, .value = constant.first, .port = std::move(constant.port)}
    );
}

bool ActionParser::output(Actions& out) {
    action::Output output;
    if (!in_.is(Kind::open)) {
        output.to = whole(info(FieldId::outport));
        return add(out, std::move(output));
    }
    in_.advance();
    if (in_.is(Kind::string)) {
        if (!in_.port(output.to.emplace<std::string>()))
            return false;
    } else if (in_.accept_word("normal")) {
        output.to = action::Reserved::normal;
    } else if (in_.accept_word("flood")) {
        output.to = action::Reserved::flood;
    } else if (in_.accept_word("all")) {
        output.to = action::Reserved::all;
    } else {
        const bool is_inport = in_.is_word("inport");
        FieldRef field{in_.token().at, nullptr, {}};
        if (!in_.is(Kind::name))
            return in_.fail_expected("a port, a field, inport, normal, flood or all");
        field.symbol = find_symbol(in_.token().text);
        if (field.symbol == nullptr || field.symbol->is_predicate())
            return in_.fail_unknown_field();
        field.slice = field.symbol->slice;
        in_.advance();
        // the port of ingress; with [0..31] what stands in the field
        if (is_inport && !in_.is(Kind::open_bracket))
            output.to = action::Reserved::inport;
        else if (in_.slice_of(field))
            output.to = narrowest(field.slice);
        else
            return false;
    }
    if (in_.accept(Kind::comma) &&
        !(in_.accept_word("max_bytes") ? assigned("max_bytes", max32, output.max_bytes)
                                       : in_.fail_expected("max_bytes")))
        return false;
    return in_.expect(Kind::close) && add(out, std::move(output));
}

bool ActionParser::push(Actions& out) {
    action::Push push;
    return in_.expect(Kind::open) && slice(push.from) && in_.expect(Kind::close) && add(out, push);
}

bool ActionParser::pop(Actions& out) {
    action::Pop pop;
    return in_.expect(Kind::open) && slice(pop.to) && in_.expect(Kind::close) && add(out, pop);
}

bool ActionParser::push_vlan(Actions& out) {
    action::PushVlan push;
    return in_parentheses("a VLAN type", max16, push.tpid) && add(out, push);
}

bool ActionParser::call(Actions& out) {
    action::Call call;
    return in_parentheses("a table", max32, call.table) && add(out, call);
}

bool ActionParser::jump(Actions& out) {
    action::Goto jump;
    return in_parentheses("a table", max32, jump.table) && add(out, jump);
}

bool ActionParser::clone(Actions& out) {
    if (clones_ == LanguageLimits::clones_max)
        return in_.fail(
            in_.token().at,
            "bad_actions",
            "clones are nested deeper than " + std::to_string(LanguageLimits::clones_max)
        );
    ++clones_;
    action::Clone clone;
    if (!in_.expect(Kind::open_brace) || !list(Kind::close_brace, false, clone.body))
        return false;
    --clones_;
    return add(out, std::move(clone));
}

bool ActionParser::group(Actions& out) {
    action::Group group;
    return in_parentheses("a group", max32, group.group) && add(out, group);
}

bool ActionParser::meter(Actions& out) {
    action::Meter meter;
    return in_parentheses("a meter", max32, meter.meter) && add(out, meter);
}

bool ActionParser::ct(Actions& out) {
    action::Ct ct;
    return arguments([&] { return ct_argument(ct); }) && add(out, std::move(ct));
}

bool ActionParser::ct_argument(action::Ct& ct) {
    if (in_.accept_word("zone")) {
        if (!in_.expect(Kind::assign))
            return false;
        if (in_.is(Kind::name))
            return slice(ct.zone.emplace<FieldSlice>());
        return number("a zone", max16, ct.zone.emplace<std::uint16_t>());
    }
    if (in_.accept_word("commit"))
        return ct.commit = true;
    if (in_.accept_word("force"))
        return ct.force = true;
    if (in_.accept_word("nat"))
        return nat(ct.nat.emplace());
    if (in_.accept_word("next"))
        return assigned("a table", max32, ct.next.emplace());
    if (in_.accept_word("exec")) {
        ct.exec.clear();
        return in_.expect(Kind::open_brace) && list(Kind::close_brace, true, ct.exec);
    }
    return in_.fail_expected("zone, commit, force, nat, next or exec");
}

bool ActionParser::nat(action::Nat& nat) {
    nat.kind = action::Nat::Kind::restore;
    if (!in_.is(Kind::open))
        return true;
    return arguments([&] { return nat_argument(nat); });
}

bool ActionParser::nat_argument(action::Nat& nat) {
    const bool is_src = in_.is_word("src"), is_dst = in_.is_word("dst");
    if (is_src || is_dst) {
        nat.kind = is_src ? action::Nat::Kind::src : action::Nat::Kind::dst;
        in_.advance();
        if (!in_.accept(Kind::assign))
            return true;
        Constant address;
        if (!in_.token().is_constant() || !in_.constant(address))
            return in_.fail_expected("an address");
        if ((address.kind != Kind::ip4 && address.kind != Kind::ip6) || address.mask ||
            address.last_kind != address.kind)
            return in_.fail(
                address.at, "bad_value", "nat takes an address or a range: 10.0.0.1..10.0.0.9"
            );
        nat.has_address = true;
        nat.is_ip6 = address.kind == Kind::ip6;
        nat.address_first = address.first;
        nat.address_last = address.last;
        return true;
    }
    if (in_.accept_word("ports")) {
        if (!assigned("a port", max16, nat.port_first))
            return false;
        nat.port_last = nat.port_first;
        return !in_.accept(Kind::range) || number("a port", max16, nat.port_last);
    }
    if (in_.accept_word("hash"))
        return nat.hash = true;
    if (in_.accept_word("random"))
        return nat.random = true;
    if (in_.accept_word("persistent"))
        return nat.persistent = true;
    return in_.fail_expected("src, dst, ports, hash, random or persistent");
}

bool ActionParser::learn(Actions& out) {
    action::Learn learn;
    return arguments([&] { return learn_argument(learn); }) && add(out, std::move(learn));
}

bool ActionParser::learn_argument(action::Learn& learn) {
    if (in_.accept_word("table"))
        return assigned("a table", max32, learn.table);
    if (in_.accept_word("priority"))
        return assigned("a priority", max32, learn.priority);
    if (in_.accept_word("idle_timeout"))
        return assigned("a time in seconds", max32, learn.idle_timeout_s);
    if (in_.accept_word("hard_timeout"))
        return assigned("a time in seconds", max32, learn.hard_timeout_s);
    if (in_.accept_word("cookie"))
        return assigned("a cookie", max64, learn.cookie);
    if (in_.accept_word("delete_learned"))
        return learn.delete_learned = true;
    if (in_.accept_word("match"))
        return arguments([&] { return learn_spec(learn.match); });
    if (!in_.accept_word("actions"))
        return in_.fail_expected(
            "table, priority, idle_timeout, hard_timeout, cookie, delete_learned, match or actions"
        );
    return arguments([&] {
        if (!in_.accept_word("output"))
            return learn_spec(learn.load);
        return in_.expect(Kind::open) && slice(learn.output.emplace()) && in_.expect(Kind::close);
    });
}

bool ActionParser::learn_spec(std::vector<action::Learn::Spec>& out) {
    if (++statements_ > LanguageLimits::statements_max)
        return in_.fail(in_.token().at, "too_many_actions", "too much is learned");
    action::Learn::Spec spec;
    if (!slice(spec.to) || !in_.expect(Kind::assign))
        return false;
    if (in_.is(Kind::name)) {
        if (!slice(spec.from.emplace()))
            return false;
    } else {
        Constant constant;
        if (!in_.token().is_constant())
            return in_.fail_expected("a field or a value");
        if (!in_.constant(constant) || !in_.fits(constant, spec.to))
            return false;
        if (constant.mask || constant.is_range)
            return in_.fail(constant.at, "bad_value", "what is learned is one plain value");
        spec.value = constant.first;
    }
    out.push_back(spec);
    return true;
}

bool ActionParser::conjunction(Actions& out) {
    action::Conjunction of;
    return in_.expect(Kind::open) && number("a conjunction", max32, of.id) &&
           in_.expect(Kind::comma) && number("a clause", max8, of.clause) &&
           in_.expect(Kind::slash) && number("a count of clauses", max8, of.count) &&
           in_.expect(Kind::close) && add(out, of);
}

bool ActionParser::controller(Actions& out) {
    action::Controller punt;
    return arguments([&] {
               if (in_.accept_word("reason"))
                   return assigned("a reason", max8, punt.reason);
               if (in_.accept_word("max_bytes"))
                   return assigned("max_bytes", max16, punt.max_bytes);
               if (in_.accept_word("userdata"))
                   return in_.dotted_bytes(Kind::assign, max16, punt.userdata);
               if (in_.accept_word("meter"))
                   return assigned("a meter", max32, punt.meter);
               if (in_.accept_word("pause"))
                   return punt.pause = true;
               return in_.fail_expected("reason, max_bytes, userdata, meter or pause");
           }) &&
           add(out, std::move(punt));
}

bool ActionParser::sample(Actions& out) {
    action::Sample sample;
    return arguments([&] {
               if (in_.accept_word("probability"))
                   return assigned("a probability", max16, sample.probability);
               if (in_.accept_word("collector"))
                   return assigned("a collector", max32, sample.collector);
               if (in_.accept_word("domain"))
                   return assigned("a domain", max32, sample.domain);
               if (!in_.accept_word("point"))
                   return in_.fail_expected("probability, collector, domain or point");
               if (!in_.expect(Kind::assign))
                   return false;
               if (in_.is(Kind::name))
                   return slice(sample.point.emplace<FieldSlice>());
               return number("a point", max32, sample.point.emplace<std::uint32_t>());
           }) &&
           add(out, sample);
}

bool ActionParser::set_queue(Actions& out) {
    action::SetQueue queue;
    return in_parentheses("a queue", max32, queue.queue) && add(out, queue);
}

bool ActionParser::bundle(Actions& out) {
    action::Bundle bundle;
    const auto word = [&](std::string_view known) {
        return in_.accept_word(known) || in_.fail_expected(known);
    };
    const auto port = [&] { return in_.port(bundle.ports.emplace_back()); };
    return in_.expect(Kind::open) && word("eth_src") && in_.expect(Kind::comma) &&
           word("active_backup") && in_.expect(Kind::comma) && word("ports") && arguments(port) &&
           in_.expect(Kind::close) && add(out, std::move(bundle));
}

} // namespace

} // namespace language

Result<Actions> parse_actions(std::string_view text) {
    return language::ActionParser{text}.parse();
}

} // namespace weft
