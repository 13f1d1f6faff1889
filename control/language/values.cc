#include "control/language/values.hh"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>

namespace weft::language {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

template <class Number>
void append_number(std::string& out, Number value, int base) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
    out.append(digits.data(), end);
}

void append_mac(std::string& out, std::uint64_t mac) {
    for (int shift = 40; shift >= 0; shift -= 8) {
        out += hex_digits[mac >> (shift + 4) & 0xf];
        out += hex_digits[mac >> shift & 0xf];
        if (shift != 0)
            out += ':';
    }
}

void append_ip4(std::string& out, std::uint64_t address) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        append_number(out, address >> shift & 0xff, 10);
        if (shift != 0)
            out += '.';
    }
}

void append_ip6(std::string& out, U128 address) {
    std::array<unsigned char, 16> bytes;
    for (unsigned i = 0; i < 16; ++i)
        bytes[i] = static_cast<unsigned char>((address >> (120 - 8 * i)).low & 0xff);
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
    out += text.data();
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto add = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    const auto tail = [&](unsigned shift) { add(0x80 | (point >> shift & 0x3f)); };
    if (point < 0x80) {
        add(point);
    } else if (point < 0x800) {
        add(0xc0 | point >> 6);
        tail(0);
    } else if (point < 0x10000) {
        add(0xe0 | point >> 12);
        tail(6);
        tail(0);
    } else {
        add(0xf0 | point >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

/// Four hexadecimal digits at the front of `text`.
std::optional<std::uint32_t> four_digits(std::string_view text) {
    std::uint32_t value = 0;
    if (text.size() < 4)
        return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
    if (error != std::errc{} || end != text.data() + 4)
        return std::nullopt;
    return value;
}

/// The character of `\uXXXX` or of a surrogate pair of them at `at`, which is moved past it.
std::optional<std::uint32_t> escaped_point(std::string_view text, std::size_t& at) {
    auto point = four_digits(text.substr(at));
    if (!point)
        return std::nullopt;
    at += 4;
    if (*point < 0xd800 || *point > 0xdfff)
        return point;
    if (*point > 0xdbff || !text.substr(at).starts_with("\\u"))
        return std::nullopt;
    const auto low = four_digits(text.substr(at + 2));
    if (!low || *low < 0xdc00 || *low > 0xdfff)
        return std::nullopt;
    at += 6;
    return 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
}

/// The view that is exactly this slice of a field.
const FieldInfo* view_of(FieldSlice slice) noexcept {
    constexpr std::array views = {
        FieldId::vlan_vid,
        FieldId::vlan_pcp,
        FieldId::vlan1_vid,
        FieldId::vlan1_pcp,
        FieldId::ip_dscp,
        FieldId::ip_ecn,
    };
    for (const FieldId id : views) {
        const FieldInfo& view = info(id);
        if (view.base_first == slice.field && view.bits == slice.bits &&
            view.shift - info(slice.field).shift == slice.lsb)
            return &view;
    }
    return nullptr;
}

} // namespace

void append_decimal(std::string& out, std::uint64_t value) {
    append_number(out, value, 10);
}

void append_hex(std::string& out, U128 value) {
    if (value < U128{10}) {
        append_number(out, value.low, 10);
        return;
    }
    out += "0x";
    if (value.high == 0) {
        append_number(out, value.low, 16);
        return;
    }
    append_number(out, value.high, 16);
    for (int shift = 60; shift >= 0; shift -= 4)
        out += hex_digits[value.low >> shift & 0xf];
}

void append_value(std::string& out, FieldFormat format, U128 value) {
    switch (format) {
    case FieldFormat::mac:
        if (value.high == 0 && value.low >> 48 == 0)
            return append_mac(out, value.low);
        break;
    case FieldFormat::ip4:
        if (value.high == 0 && value.low >> 32 == 0)
            return append_ip4(out, value.low);
        break;
    case FieldFormat::ip6:
        return append_ip6(out, value);
    case FieldFormat::decimal:
    case FieldFormat::port:
        if (value.high == 0)
            return append_decimal(out, value.low);
        break;
    case FieldFormat::hex:
    case FieldFormat::shape:
    case FieldFormat::name:
        break;
    }
    append_hex(out, value);
}

void append_slice(std::string& out, FieldSlice slice) {
    const FieldInfo& field = info(slice.field);
    if (slice == whole(field)) {
        out += field.name;
        return;
    }
    if (const FieldInfo* view = view_of(slice)) {
        out += view->name;
        return;
    }
    out += field.name;
    out += '[';
    append_decimal(out, slice.lsb);
    if (slice.bits != 1) {
        out += "..";
        append_decimal(out, slice.lsb + slice.bits - 1u);
    }
    out += ']';
}

void append_quoted(std::string& out, std::string_view name) {
    out += '"';
    for (const char c : name) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out += hex_digits[static_cast<unsigned char>(c) >> 4];
            out += hex_digits[static_cast<unsigned char>(c) & 0xf];
        } else {
            out += c;
        }
    }
    out += '"';
}

std::optional<std::string> unquoted(std::string_view token) {
    const std::string_view text = token.substr(1, token.size() - 2);
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at++];
        if (c != '\\') {
            out += c;
            continue;
        }
        const char escape = at < text.size() ? text[at++] : '\0';
        constexpr std::string_view escapes = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        if (const auto which = escapes.find(escape); which != std::string_view::npos) {
            out += meant[which];
        } else if (escape == 'u') {
            const auto point = escaped_point(text, at);
            if (!point)
                return std::nullopt;
            append_utf8(out, *point);
        } else {
            return std::nullopt;
        }
    }
    return out;
}

std::string shown(std::string_view foreign) {
    constexpr std::size_t shown_max = 40;
    const std::string_view quote = foreign.starts_with('"') ? "" : "\"";
    std::string out{quote};
    for (const char c : foreign.substr(0, shown_max)) {
        if (c >= 0x20 && c < 0x7f) {
            out += c;
        } else {
            out += "\\x";
            out += hex_digits[static_cast<unsigned char>(c) >> 4];
            out += hex_digits[static_cast<unsigned char>(c) & 0xf];
        }
    }
    if (foreign.size() > shown_max)
        out += "...";
    return out.append(quote);
}

} // namespace weft::language
