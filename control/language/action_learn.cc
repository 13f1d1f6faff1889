// learn() and what stands in it.
#include "control/language/action_parser.hh"

namespace weft::language {

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

} // namespace weft::language
