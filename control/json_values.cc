// Single values: whether one is of its field's kind and fits, and how it gets there.
#include "control/base64.hh"
#include "control/json_reader.hh"

#include <charconv>
#include <cmath>
#include <utility>

namespace weft {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

namespace {

/// What the text of the reader says of a value of the wrong kind: "field "priority" is a string: it
/// must be a number up to ...".
std::string_view kind_of(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
        return "a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_UINT64:
        return "a whole number from 0 to 18446744073709551615";
    case FieldDescriptor::CPPTYPE_INT32:
        return "a whole number of 32 bits";
    case FieldDescriptor::CPPTYPE_INT64:
        return "a whole number of 64 bits";
    case FieldDescriptor::CPPTYPE_BOOL:
        return "true or false";
    case FieldDescriptor::CPPTYPE_MESSAGE:
        return "an object";
    default:
        return field.type() == FieldDescriptor::TYPE_BYTES ? "base64 in a string" : "a string";
    }
}

} // namespace

void RequestReader::wrong_type(const FieldSchema& field, std::string_view is) {
    std::string must{kind_of(*field.field)};
    if (field.field->is_repeated() && !frames_.back().in_array)
        must = "an array";
    wrong(
        "bad_type",
        "field " + weft::quoted(field.name) + " is " + std::string{is} + ": it must be " + must,
        path_here()
    );
}

bool RequestReader::null() {
    id_next_ = false;
    if (fault)
        return true;
    if (frames_.empty() || !frames_.back().field)
        value_field(false);
    else if (frames_.back().in_array)
        wrong_type(*frames_.back().field, "null");
    return true; // as if the key were not there
}

bool RequestReader::boolean(bool value) {
    id_next_ = false;
    const FieldSchema* field = value_field(false);
    if (!field)
        return true;
    if (field->field->cpp_type() != FieldDescriptor::CPPTYPE_BOOL) {
        wrong_type(*field, value ? "true" : "false");
        return true;
    }
    Open& open = frames_.back();
    const Reflection& all = *open.message->GetReflection();
    if (open.in_array) {
        all.AddBool(open.message, field->field, value);
        ++open.element;
    } else {
        all.SetBool(open.message, field->field, value);
    }
    return true;
}

bool RequestReader::number(bool is_unsigned, std::int64_t bits) {
    id_next_ = false;
    if (const FieldSchema* field = value_field(false))
        set_number(*field, is_unsigned, bits);
    return true;
}

void RequestReader::set_number(const FieldSchema& field, bool is_unsigned, std::int64_t bits) {
    Open& open = frames_.back();
    const Reflection& all = *open.message->GetReflection();
    const FieldDescriptor* type = field.field;
    const bool negative = !is_unsigned && bits < 0;
    const auto magnitude = static_cast<std::uint64_t>(bits); // where not negative
    bool fits = false;
    switch (type->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
        fits = !negative && magnitude <= 0xffff'ffff;
        if (fits && open.in_array)
            all.AddUInt32(open.message, type, static_cast<std::uint32_t>(magnitude));
        else if (fits)
            all.SetUInt32(open.message, type, static_cast<std::uint32_t>(magnitude));
        break;
    case FieldDescriptor::CPPTYPE_UINT64:
        fits = !negative;
        if (fits && open.in_array)
            all.AddUInt64(open.message, type, magnitude);
        else if (fits)
            all.SetUInt64(open.message, type, magnitude);
        break;
    case FieldDescriptor::CPPTYPE_INT64:
        fits = negative || magnitude <= 0x7fff'ffff'ffff'ffff;
        if (fits && open.in_array)
            all.AddInt64(open.message, type, bits);
        else if (fits)
            all.SetInt64(open.message, type, bits);
        break;
    default:
        return wrong_type(field, "a number");
    }
    if (!fits) {
        const std::string shown = negative ? std::to_string(bits) : std::to_string(magnitude);
        return wrong(
            "out_of_range",
            "field " + weft::quoted(field.name) + " is " + shown + ": it must be " +
                std::string{kind_of(*type)},
            path_here()
        );
    }
    if (open.in_array)
        ++open.element;
}

/// The mapping allows 1.0 and 1e3 for whole numbers; an integer of more than 64 bits comes this way
/// too.
bool RequestReader::number_float(double value, const std::string& text) {
    id_next_ = false;
    const FieldSchema* field = value_field(false);
    if (!field)
        return true;
    constexpr double exact_max = 9007199254740992.0; // 2^53
    const auto type = field->field->cpp_type();
    const bool wants_number =
        type == FieldDescriptor::CPPTYPE_UINT32 || type == FieldDescriptor::CPPTYPE_UINT64 ||
        type == FieldDescriptor::CPPTYPE_INT32 || type == FieldDescriptor::CPPTYPE_INT64;
    if (!wants_number || (std::abs(value) <= exact_max && std::trunc(value) != value))
        wrong_type(*field, text.size() > 40 ? "a number" : text);
    else if (std::abs(value) <= exact_max)
        set_number(*field, false, static_cast<std::int64_t>(value));
    else
        wrong(
            "out_of_range",
            "field " + weft::quoted(field->name) + " is " +
                (text.size() > 40 ? text.substr(0, 40) + "..." : text) + ": it must be " +
                std::string{kind_of(*field->field)},
            path_here()
        );
    return true;
}

bool RequestReader::string(std::string& text) {
    if (std::exchange(id_next_, false))
        id = text;
    const FieldSchema* field = value_field(false);
    if (!field)
        return true;
    Open& open = frames_.back();
    const FieldDescriptor* type = field->field;
    const Reflection& all = *open.message->GetReflection();
    switch (type->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
        std::string value = text;
        if (type->type() == FieldDescriptor::TYPE_BYTES) {
            auto bytes = from_base64(text);
            if (!bytes) {
                wrong(
                    "bad_value",
                    "field " + weft::quoted(field->name) + " is " + weft::quoted(text) +
                        ": it must be base64",
                    path_here()
                );
                return true;
            }
            value = std::move(*bytes);
        }
        if (open.in_array) {
            all.AddString(open.message, type, std::move(value));
            ++open.element;
        } else {
            all.SetString(open.message, type, std::move(value));
        }
        return true;
    }
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_INT64: {
        const bool negative = !text.empty() && text.front() == '-';
        std::int64_t bits = 0;
        std::uint64_t magnitude = 0;
        const auto [end, error] =
            negative ? std::from_chars(text.data(), text.data() + text.size(), bits)
                     : std::from_chars(text.data(), text.data() + text.size(), magnitude);
        if (end != text.data() + text.size() || error == std::errc::invalid_argument)
            wrong_type(*field, weft::quoted(text));
        else if (error == std::errc::result_out_of_range)
            wrong(
                "out_of_range",
                "field " + weft::quoted(field->name) + " is " + weft::quoted(text) +
                    ": it must be " + std::string{kind_of(*type)},
                path_here()
            );
        else
            set_number(*field, !negative, negative ? bits : static_cast<std::int64_t>(magnitude));
        return true;
    }
    default:
        wrong_type(*field, weft::quoted(text));
        return true;
    }
}

void RequestReader::number_overflow() {
    wrong(
        "out_of_range",
        "a number is too large: it must fit 64 bits",
        frames_.empty() ? "" : path_here()
    );
}

} // namespace weft
