// The parser of actions.
#pragma once

#include "control/language/check.hh"
#include "control/language/language.hh"
#include "control/language/reader.hh"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::language {

inline constexpr std::uint64_t max8 = 0xff, max16 = 0xffff, max32 = 0xffff'ffff;
inline constexpr std::uint64_t max64 = std::numeric_limits<std::uint64_t>::max();

/// Reads one list of actions and those inside it, one function a statement: each reads what stands
/// behind its word, up to the semicolon. As with Reader, what returns bool has read what it is
/// named after, or has failed and left the message.
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

} // namespace weft::language
