#include "control/language/reader.hh"

#include "control/language/check.hh"
#include "control/language/language.hh"
#include "control/language/values.hh"

#include <algorithm>
#include <charconv>

namespace weft::language {

std::string Reader::place(std::size_t at) const {
    const std::string_view before = text_.substr(0, std::min(at, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n');
    const std::size_t begin = line == 0 ? 0 : before.rfind('\n') + 1;
    // characters, not bytes: what continues an UTF-8 sequence is no column
    const auto column = std::count_if(
        before.begin() + static_cast<std::ptrdiff_t>(begin),
        before.end(),
        [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }
    );
    std::string out{language_};
    if (line != 0)
        out += " line " + std::to_string(line + 1);
    return out + " column " + std::to_string(column + 1) + ": ";
}

bool Reader::fail(std::size_t at, std::string code, std::string_view sentence) {
    if (!error_)
        error_ = Error{std::move(code), place(at).append(sentence)};
    return false;
}

bool Reader::fail_expected(std::string_view what) {
    std::string code{"bad_"};
    code += language_;
    if (is(Kind::bad))
        return fail(token_.at, code, shown(token_.text) + " " + token_.problem);
    std::string sentence{"expected "};
    sentence += what;
    sentence += ", found ";
    sentence += is(Kind::end) ? std::string{"the end"} : shown(token_.text);
    return fail(token_.at, code, sentence);
}

bool Reader::fail_unknown_field() {
    if (find_symbol(token_.text) != nullptr)
        return fail(
            token_.at, "bad_value", shown(token_.text) + " is true or false, and not a field"
        );
    std::string sentence = shown(token_.text) + " is not a field";
    if (const std::string_view known = nearest_symbol(token_.text); !known.empty())
        sentence.append("; did you mean \"").append(known).append("\"?");
    return fail(token_.at, "unknown_field", sentence);
}

bool Reader::accept(Kind kind) noexcept {
    if (!is(kind))
        return false;
    advance();
    return true;
}

bool Reader::accept_word(std::string_view word) noexcept {
    if (!is_word(word))
        return false;
    advance();
    return true;
}

bool Reader::expect(Kind kind) {
    return accept(kind) || fail_expected(spelling(kind));
}

bool Reader::field(FieldRef& field) {
    if (!is(Kind::name))
        return fail_expected("a field");
    const Symbol* symbol = find_symbol(token_.text);
    if (symbol == nullptr || symbol->is_predicate())
        return fail_unknown_field();
    field = {token_.at, symbol, symbol->slice};
    advance();
    return slice_of(field);
}

bool Reader::slice_of(FieldRef& field) {
    if (!is(Kind::open_bracket))
        return true;
    const std::size_t at = token_.at;
    advance();
    std::uint64_t low = 0, high = 0;
    if (!number("a bit", 127, low))
        return false;
    high = low;
    if (accept(Kind::range) && !number("a bit", 127, high))
        return false;
    if (!expect(Kind::close_bracket))
        return false;
    if (high >= field.slice.bits || low > high) {
        std::string sentence = "[" + std::to_string(low);
        if (low != high)
            sentence += ".." + std::to_string(high);
        sentence += "] is no part of " + std::string{field.symbol->name} + ", which has ";
        sentence += field.slice.bits == 1 ? "1 bit" : std::to_string(field.slice.bits) + " bits";
        sentence += " counted from 0, the lowest first";
        return fail(at, "bad_value", sentence);
    }
    field.slice.lsb = static_cast<std::uint8_t>(field.slice.lsb + low);
    field.slice.bits = static_cast<std::uint8_t>(high - low + 1);
    return true;
}

bool Reader::number(std::string_view what, std::uint64_t max, std::uint64_t& value) {
    if (!token_.is_number())
        return fail_expected(what);
    if (token_.value > U128{max}) {
        std::string sentence{token_.text};
        sentence.append(" is too large for ").append(what);
        return fail(token_.at, "bad_value", sentence + ", which is at most " + std::to_string(max));
    }
    value = token_.value.low;
    advance();
    return true;
}

bool Reader::port(std::string& name) {
    if (!is(Kind::string))
        return fail_expected("a name in quotes");
    auto text = unquoted(token_.text);
    if (!text)
        return fail(
            token_.at, "bad_value", shown(token_.text) + " has an escape that JSON does not know"
        );
    if (const auto error = port_name_error(*text))
        return fail(token_.at, error->code, error->what);
    name = std::move(*text);
    advance();
    return true;
}

bool Reader::dotted_bytes(Kind before, std::size_t bytes_max, std::string& bytes) {
    if (!is(before))
        return fail_expected(spelling(before));
    token_ = lexer_.next_dotted_bytes();
    std::string_view rest = token_.text;
    for (bool more = true; more;) {
        unsigned byte = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), byte, 16);
        const auto digits = end - rest.data();
        if (error != std::errc{} || digits > 2)
            return fail(
                token_.at,
                "bad_value",
                shown(token_.text) + " is not bytes in hexadecimal with dots between, like 00.0a.ff"
            );
        if (bytes.size() == bytes_max)
            return fail(
                token_.at,
                "bad_value",
                "there are more than " + std::to_string(bytes_max) + " bytes"
            );
        bytes += static_cast<char>(byte);
        rest.remove_prefix(static_cast<std::size_t>(digits));
        more = !rest.empty();
        if (more)
            rest.remove_prefix(1); // only dots are left where digits end
    }
    advance();
    return true;
}

bool Reader::value(U128& value) {
    if (!token_.is_constant())
        return fail_expected("a value");
    value = token_.value;
    advance();
    return true;
}

/// The mask behind `what`/: of the same form, or the bits of a prefix.
bool Reader::mask_of(const Token& what, Constant& constant) {
    const unsigned bits = what.kind == Kind::ip4 ? 32 : what.kind == Kind::ip6 ? 128 : 0;
    const std::string_view mask = token_.text;
    if (bits != 0 && token_.is_number()) {
        std::uint64_t prefix = 0;
        if (!number("a prefix", bits, prefix))
            return false;
        constant.mask = low_bits(bits) & ~low_bits(bits - static_cast<unsigned>(prefix));
    } else if (token_.kind == what.kind || (token_.is_number() && what.is_number())) {
        constant.mask.emplace();
        if (!value(*constant.mask))
            return false;
    } else {
        return fail_expected("a mask like the value");
    }
    if (constant.first & ~*constant.mask) {
        std::string sentence{what.text};
        sentence.append("/").append(mask).append(" has bits outside its mask");
        return fail(constant.at, "bad_value", sentence);
    }
    return true;
}

bool Reader::constant(Constant& constant) {
    constant = {};
    constant.at = token_.at;
    if (is(Kind::string))
        return port(constant.port);
    const Token what = token_;
    constant.kind = constant.last_kind = what.kind;
    if (!value(constant.first))
        return false;
    constant.last = constant.first;
    if (accept(Kind::slash))
        return mask_of(what, constant);
    if (accept(Kind::range)) {
        constant.is_range = true;
        const std::string_view last = token_.text;
        constant.last_kind = token_.kind;
        if (!value(constant.last))
            return false;
        if (constant.last < constant.first) {
            std::string sentence{what.text};
            sentence.append("..").append(last).append(" is empty: the lower value comes first");
            return fail(constant.at, "bad_value", sentence);
        }
    }
    return true;
}

bool Reader::fits(const Constant& constant, FieldSlice slice) {
    for (const U128& value : {constant.first, constant.last, constant.mask.value_or(U128{})})
        if (const auto error = fit_error(value, slice))
            return fail(constant.at, error->code, error->what);
    return true;
}

} // namespace weft::language
