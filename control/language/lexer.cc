#include "control/language/lexer.hh"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>

namespace weft::language {

namespace {

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
/// -1: not a hexadecimal digit.
constexpr int hex_digit(char c) noexcept {
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/// Six groups of one or two digits between five colons.
bool read_mac(std::string_view text, U128& value) noexcept {
    std::uint64_t mac = 0;
    unsigned groups = 0;
    for (std::size_t i = 0; i < text.size(); ++groups) {
        unsigned group = 0, digits = 0;
        for (; i < text.size() && hex_digit(text[i]) >= 0; ++i, ++digits)
            group = group << 4 | static_cast<unsigned>(hex_digit(text[i]));
        if (digits == 0 || digits > 2 || groups == 6)
            return false;
        mac = mac << 8 | group;
        if (i < text.size() && (text[i] != ':' || ++i == text.size()))
            return false;
    }
    value = U128{mac};
    return groups == 6;
}

bool read_ip6(std::string_view text, U128& value) noexcept {
    std::array<char, INET6_ADDRSTRLEN + 1> copy{};
    std::array<unsigned char, 16> bytes{};
    if (text.size() >= copy.size())
        return false;
    std::memcpy(copy.data(), text.data(), text.size());
    if (::inet_pton(AF_INET6, copy.data(), bytes.data()) != 1)
        return false;
    value = {};
    for (const unsigned char byte : bytes)
        value = value << 8 | U128{byte};
    return true;
}

} // namespace

std::string_view spelling(Kind kind) noexcept {
    switch (kind) {
    case Kind::end:
        return "the end";
    case Kind::bad:
        return "something else";
    case Kind::name:
        return "a name";
    case Kind::decimal:
    case Kind::hex:
        return "a number";
    case Kind::ip4:
        return "an IPv4 address";
    case Kind::ip6:
        return "an IPv6 address";
    case Kind::mac:
        return "an Ethernet address";
    case Kind::string:
        return "a name in quotes";
    case Kind::open:
        return "\"(\"";
    case Kind::close:
        return "\")\"";
    case Kind::open_bracket:
        return "\"[\"";
    case Kind::close_bracket:
        return "\"]\"";
    case Kind::open_brace:
        return "\"{\"";
    case Kind::close_brace:
        return "\"}\"";
    case Kind::comma:
        return "\",\"";
    case Kind::semicolon:
        return "\";\"";
    case Kind::slash:
        return "\"/\"";
    case Kind::range:
        return "\"..\"";
    case Kind::minus_minus:
        return "\"--\"";
    case Kind::assign:
        return "\"=\"";
    case Kind::equal:
        return "\"==\"";
    case Kind::not_equal:
        return "\"!=\"";
    case Kind::less:
        return "\"<\"";
    case Kind::less_equal:
        return "\"<=\"";
    case Kind::greater:
        return "\">\"";
    case Kind::greater_equal:
        return "\">=\"";
    case Kind::logical_and:
        return "\"&&\"";
    case Kind::logical_or:
        return "\"||\"";
    case Kind::logical_not:
        return "\"!\"";
    }
    return "";
}

Token Lexer::make(Kind kind, std::size_t from, std::size_t to, U128 value) noexcept {
    next_ = to;
    return {kind, from, text_.substr(from, to - from), value, nullptr};
}

Token Lexer::bad(std::size_t from, std::size_t to, const char* problem) noexcept {
    next_ = to;
    return {Kind::bad, from, text_.substr(from, to - from), {}, problem};
}

void Lexer::skip_blanks() noexcept {
    while (next_ < text_.size()) {
        const char c = text_[next_];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            ++next_;
        } else if (c == '/' && at(next_ + 1, '/')) {
            next_ = std::min(text_.find('\n', next_), text_.size());
        } else if (c == '/' && at(next_ + 1, '*')) {
            const std::size_t end = text_.find("*/", next_ + 2);
            next_ = end == std::string_view::npos ? text_.size() : end + 2;
        } else {
            return;
        }
    }
}

Token Lexer::next() noexcept {
    skip_blanks();
    const std::size_t from = next_;
    if (from == text_.size())
        return make(Kind::end, from, from);
    const char c = text_[from];
    // fe80::1 and 0a:... begin like names and numbers; only addresses have a colon behind
    if (hex_digit(c) >= 0 || (c == ':' && at(from + 1, ':'))) {
        std::size_t end = from;
        while (end < text_.size() && hex_digit(text_[end]) >= 0)
            ++end;
        if (at(end, ':'))
            return colon_address(from);
    }
    if (is_letter(c))
        return name(from);
    if (is_digit(c))
        return number(from);
    if (c == '"')
        return string(from);
    return punctuation(from);
}

Token Lexer::next_dotted_bytes() noexcept {
    skip_blanks();
    std::size_t end = next_;
    while (end < text_.size() && (hex_digit(text_[end]) >= 0 || text_[end] == '.'))
        ++end;
    return make(Kind::hex, next_, end);
}

Token Lexer::name(std::size_t from) noexcept {
    std::size_t end = from + 1;
    const auto inner = [&](std::size_t i) {
        return i < text_.size() && (is_letter(text_[i]) || is_digit(text_[i]));
    };
    while (inner(end) || (at(end, '.') && inner(end + 1)))
        ++end;
    return make(Kind::name, from, end);
}

Token Lexer::number(std::size_t from) noexcept {
    std::size_t end = from;
    if (text_[from] == '0' && (at(from + 1, 'x') || at(from + 1, 'X'))) {
        U128 value;
        bool fits = true;
        for (end = from + 2; end < text_.size() && hex_digit(text_[end]) >= 0; ++end) {
            fits = fits && (value.high >> 60) == 0;
            value = value << 4 | U128{static_cast<std::uint64_t>(hex_digit(text_[end]))};
        }
        if (end == from + 2)
            return bad(from, end, "has no digits");
        if (end < text_.size() && is_letter(text_[end]))
            return bad(from, end + 1, "is not a number");
        return fits ? make(Kind::hex, from, end, value) : bad(from, end, "has more than 128 bits");
    }
    std::uint64_t value = 0;
    bool fits = true;
    for (; end < text_.size() && is_digit(text_[end]); ++end) {
        std::uint64_t ten_times = 0;
        fits = fits && !__builtin_mul_overflow(value, std::uint64_t{10}, &ten_times) &&
               !__builtin_add_overflow(
                   ten_times, static_cast<std::uint64_t>(text_[end] - '0'), &value
               );
    }
    if (at(end, '.') && end + 1 < text_.size() && is_digit(text_[end + 1]))
        return dotted_quad(from);
    if (end < text_.size() && is_letter(text_[end]))
        return bad(from, end + 1, "is not a number");
    if (!fits)
        return bad(from, end, "has more than 64 bits; such a number is written with 0x");
    return make(Kind::decimal, from, end, U128{value});
}

Token Lexer::dotted_quad(std::size_t from) noexcept {
    constexpr const char* problem = "is not an IPv4 address";
    std::uint64_t value = 0;
    std::size_t end = from;
    for (unsigned group = 0; group < 4; ++group) {
        unsigned byte = 0;
        const std::size_t digits = end;
        for (; end < text_.size() && is_digit(text_[end]) && end - digits < 4; ++end)
            byte = byte * 10 + static_cast<unsigned>(text_[end] - '0');
        if (end == digits || byte > 255 || end - digits > 3)
            return bad(from, std::max(end, from + 1), problem);
        value = value << 8 | byte;
        if (group < 3 && !at(end++, '.'))
            return bad(from, std::min(end, text_.size()), problem);
    }
    if (end < text_.size() && (is_letter(text_[end]) || (at(end, '.') && !at(end + 1, '.'))))
        return bad(from, end + 1, problem);
    return make(Kind::ip4, from, end, U128{value});
}

Token Lexer::colon_address(std::size_t from) noexcept {
    std::size_t end = from;
    while (end < text_.size() &&
           (hex_digit(text_[end]) >= 0 || text_[end] == ':' ||
            (text_[end] == '.' && end + 1 < text_.size() && is_digit(text_[end + 1]))))
        ++end;
    const std::string_view text = text_.substr(from, end - from);
    U128 value;
    if (end < text_.size() && is_letter(text_[end]))
        return bad(from, end + 1, "is not an address");
    if (read_mac(text, value))
        return make(Kind::mac, from, end, value);
    if (read_ip6(text, value))
        return make(Kind::ip6, from, end, value);
    return bad(from, end, "is neither an Ethernet nor an IPv6 address");
}

Token Lexer::string(std::size_t from) noexcept {
    for (std::size_t end = from + 1; end < text_.size(); ++end) {
        if (text_[end] == '"')
            return make(Kind::string, from, end + 1);
        if (text_[end] == '\\')
            ++end;
    }
    return bad(from, text_.size(), "has no closing quote");
}

Token Lexer::punctuation(std::size_t from) noexcept {
    struct Mark {
        std::string_view text;
        Kind kind;
    };
    static constexpr std::array marks = {
        Mark{"==", Kind::equal},       Mark{"!=", Kind::not_equal},
        Mark{"<=", Kind::less_equal},  Mark{">=", Kind::greater_equal},
        Mark{"&&", Kind::logical_and}, Mark{"||", Kind::logical_or},
        Mark{"..", Kind::range},       Mark{"--", Kind::minus_minus},
        Mark{"(", Kind::open},         Mark{")", Kind::close},
        Mark{"[", Kind::open_bracket}, Mark{"]", Kind::close_bracket},
        Mark{"{", Kind::open_brace},   Mark{"}", Kind::close_brace},
        Mark{",", Kind::comma},        Mark{";", Kind::semicolon},
        Mark{"/", Kind::slash},        Mark{"=", Kind::assign},
        Mark{"<", Kind::less},         Mark{">", Kind::greater},
        Mark{"!", Kind::logical_not},
    };
    const std::string_view rest = text_.substr(from);
    for (const Mark& mark : marks)
        if (rest.starts_with(mark.text))
            return make(mark.kind, from, from + mark.text.size());
    return bad(from, from + 1, "has no meaning here");
}

} // namespace weft::language
