// Lists of statements: which one begins, and assignments, which begin with a field.
#include "control/language/action_parser.hh"

#include "control/language/values.hh"

namespace weft {

namespace language {

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

} // namespace language

Result<Actions> parse_actions(std::string_view text) {
    return language::ActionParser{text}.parse();
}

} // namespace weft
