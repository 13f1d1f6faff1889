#include "base/check.hh"
#include "control/codec_json.hh"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void put_string(std::string& out, std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    const bool clean = is_utf8(text);
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte >= 0x80 && !clean) {
            out += "\\ufffd";
        } else if (byte >= 0x20) {
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else {
            out += "\\u00";
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
    out += '"';
}

/// RFC 4648 section 4, with padding.
void put_base64(std::string& out, std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out += '"';
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t held = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t triple = 0;
        for (std::size_t k = 0; k < 3; ++k)
            triple = triple << 8 | (k < held ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            out += k <= held ? digits[triple >> (18 - 6 * k) & 63] : '=';
    }
    out += '"';
}

template <class Number>
void put_number(std::string& out, Number number, bool as_string = false) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    if (as_string)
        out += '"';
    out.append(text.data(), end);
    if (as_string)
        out += '"';
}

void put_message(std::string& out, const Message& message);

/// `index` is the place in a repeated field, -1 for a singular one. `key`: of a map, where every
/// key is a string.
void put_value(
    std::string& out,
    const Message& message,
    const FieldDescriptor& field,
    int index,
    bool key = false
) {
    const Reflection& all = *message.GetReflection();
    const bool one = index < 0;
    std::string scratch;
    switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
        return put_number(
            out,
            one ? all.GetUInt32(message, &field) : all.GetRepeatedUInt32(message, &field, index),
            key
        );
    case FieldDescriptor::CPPTYPE_INT32:
        return put_number(
            out,
            one ? all.GetInt32(message, &field) : all.GetRepeatedInt32(message, &field, index),
            key
        );
    case FieldDescriptor::CPPTYPE_UINT64:
        return put_number(
            out,
            one ? all.GetUInt64(message, &field) : all.GetRepeatedUInt64(message, &field, index),
            true
        );
    case FieldDescriptor::CPPTYPE_INT64:
        return put_number(
            out,
            one ? all.GetInt64(message, &field) : all.GetRepeatedInt64(message, &field, index),
            true
        );
    case FieldDescriptor::CPPTYPE_BOOL:
        out += (one ? all.GetBool(message, &field) : all.GetRepeatedBool(message, &field, index))
                   ? "true"
                   : "false";
        return;
    case FieldDescriptor::CPPTYPE_STRING: {
        const std::string& text =
            one ? all.GetStringReference(message, &field, &scratch)
                : all.GetRepeatedStringReference(message, &field, index, &scratch);
        return field.type() == FieldDescriptor::TYPE_BYTES ? put_base64(out, text)
                                                           : put_string(out, text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
        return put_message(
            out,
            one ? all.GetMessage(message, &field) : all.GetRepeatedMessage(message, &field, index)
        );
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_ENUM:
        break;
    }
    check(false && "the schema has no such type");
}

/// Keys sorted, so that one message has one text.
void put_map(std::string& out, const Message& message, const FieldDescriptor& field) {
    const Reflection& all = *message.GetReflection();
    const auto& entry = *field.message_type();
    std::vector<std::pair<std::string, const Message*>> entries;
    for (int i = 0; i < all.FieldSize(message, &field); ++i) {
        const Message& item = all.GetRepeatedMessage(message, &field, i);
        std::string name;
        put_value(name, item, *entry.map_key(), -1, true);
        entries.emplace_back(std::move(name), &item);
    }
    std::sort(entries.begin(), entries.end());
    std::string_view between;
    for (const auto& [name, item] : entries) {
        out += between;
        out += name;
        out += ": ";
        put_value(out, *item, *entry.map_value(), -1);
        between = ", ";
    }
}

void put_field(std::string& out, const Message& message, const FieldDescriptor& field) {
    if (field.is_map()) {
        out += '{';
        put_map(out, message, field);
        out += '}';
        return;
    }
    if (!field.is_repeated())
        return put_value(out, message, field, -1);
    out += '[';
    const int count = message.GetReflection()->FieldSize(message, &field);
    for (int i = 0; i < count; ++i) {
        if (i > 0)
            out += ", ";
        put_value(out, message, field, i);
    }
    out += ']';
}

void put_message(std::string& out, const Message& message) {
    const auto& type = *message.GetDescriptor();
    const Reflection& all = *message.GetReflection();
    out += '{';
    bool first = true;
    for (int i = 0; i < type.field_count(); ++i) {
        const FieldDescriptor& field = *type.field(i);
        if (field.has_presence() && !all.HasField(message, &field))
            continue;
        out += first ? "\"" : ", \"";
        first = false;
        out += field.name();
        out += "\": ";
        put_field(out, message, field);
    }
    out += '}';
}

} // namespace

std::string to_json(const Message& message) {
    std::string out;
    put_message(out, message);
    return out;
}

std::string encode_json(const control::Reply& reply) {
    std::string out;
    put_message(out, reply);
    out += '\n';
    return out;
}

} // namespace weft
