// Text to tokens, and the place of each for messages.
#pragma once

#include "base/u128.hh"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::language {

enum class Kind : std::uint8_t {
    end,
    bad,  // no token begins like this; Token::problem says why
    name, // reg0, ip4.src, output
    decimal,
    hex,
    ip4,
    ip6,
    mac,
    string, // with its quotes, as written
    open,
    close,
    open_bracket,
    close_bracket,
    open_brace,
    close_brace,
    comma,
    semicolon,
    slash,
    range,
    minus_minus,
    assign,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    logical_and,
    logical_or,
    logical_not,
};

/// The token as a person would write it in a message: `")"`, `"&&"`.
std::string_view spelling(Kind kind) noexcept;

struct Token {
    Kind kind = Kind::end;
    std::size_t at = 0;
    std::string_view text;
    U128 value;                    // of numbers and addresses
    const char* problem = nullptr; // of bad ones

    bool is_number() const noexcept { return kind == Kind::decimal || kind == Kind::hex; }
    bool is_constant() const noexcept {
        return is_number() || kind == Kind::ip4 || kind == Kind::ip6 || kind == Kind::mac;
    }
};

/// Reads a text from its beginning, a token at a time. Borrows the text. Blanks, `// ...` to the
/// end of the line and `/* ... */` stand between tokens.
class Lexer {
public:
    explicit Lexer(std::string_view text) noexcept : text_{text} {}
    Token next() noexcept;
    /// Instead of next(), where dotted hexadecimal bytes are expected (00.0a.ff): the longest run
    /// of hexadecimal digits and dots, which may be empty.
    Token next_dotted_bytes() noexcept;

private:
    void skip_blanks() noexcept;
    bool at(std::size_t offset, char c) const noexcept {
        return offset < text_.size() && text_[offset] == c;
    }
    Token make(Kind kind, std::size_t from, std::size_t to, U128 value = {}) noexcept;
    Token bad(std::size_t from, std::size_t to, const char* problem) noexcept;
    Token name(std::size_t from) noexcept;
    Token number(std::size_t from) noexcept;
    Token dotted_quad(std::size_t from) noexcept;
    Token colon_address(std::size_t from) noexcept;
    Token string(std::size_t from) noexcept;
    Token punctuation(std::size_t from) noexcept;

    std::string_view text_;
    std::size_t next_ = 0;
};

} // namespace weft::language
