// What the parsers of matches and actions share: tokens, messages, fields, constants.
#pragma once

#include "base/result.hh"
#include "control/language/lexer.hh"
#include "control/language/symbols.hh"

#include <optional>
#include <string>
#include <string_view>

namespace weft::language {

/// A value as written: 5, 0x2/0x12, 10.0.0.0/8, 80..90, "p1".
struct Constant {
    std::size_t at = 0;
    Kind kind = Kind::bad;      // of `first`
    Kind last_kind = Kind::bad; // of `last`
    U128 first;
    U128 last; // of a range, else first
    std::optional<U128> mask;
    bool is_range = false;
    std::string port; // of a name; else empty
};

/// A field as written.
struct FieldRef {
    std::size_t at = 0;
    const Symbol* symbol = nullptr;
    FieldSlice slice; // the symbol's, or what [..] says of it
};

/// One text on its way through a parser, one token ahead. Functions that return bool have read what
/// they are named after, or have failed and left the message; nothing is read after a failure.
class Reader {
public:
    /// `language` begins every message and makes the code of what is not the language: "match"
    /// gives bad_match.
    Reader(std::string_view language, std::string_view text)
        : language_{language},
          text_{text},
          lexer_{text},
          token_{lexer_.next()} {}

    const Token& token() const noexcept { return token_; }
    bool is(Kind kind) const noexcept { return token_.kind == kind; }
    bool is_word(std::string_view word) const noexcept {
        return token_.kind == Kind::name && token_.text == word;
    }
    void advance() noexcept { token_ = lexer_.next(); }
    bool accept(Kind kind) noexcept;
    bool accept_word(std::string_view word) noexcept;
    bool expect(Kind kind);

    /// Fails at offset `at` of the text.
    bool fail(std::size_t at, std::string code, std::string_view sentence);
    bool fail_expected(std::string_view what);
    bool fail_unknown_field();
    Error error() && { return std::move(*error_); }

    /// `reg0`, `reg0[4]`, `reg0[3..7]`; what the token names is known to be a name.
    bool field(FieldRef& field);
    /// The [..] behind a field's name, if there is one.
    bool slice_of(FieldRef& field);
    bool constant(Constant& constant);
    /// A plain number of at most `max`; `what` names it in messages.
    bool number(std::string_view what, std::uint64_t max, std::uint64_t& value);
    /// A name in quotes.
    bool port(std::string& name);
    /// Dotted hexadecimal bytes instead of the next token, which `=` or the like has just
    /// announced: call while is(before).
    bool dotted_bytes(Kind before, std::size_t bytes_max, std::string& bytes);

    /// Whether constant (its values and its mask) fits the slice.
    bool fits(const Constant& constant, FieldSlice slice);

private:
    bool value(U128& value);
    bool mask_of(const Token& what, Constant& constant);
    std::string place(std::size_t at) const;

    std::string_view language_;
    std::string_view text_;
    Lexer lexer_;
    Token token_;
    std::optional<Error> error_;
};

} // namespace weft::language
