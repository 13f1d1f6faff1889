#include "control/config_rows.hh"

#include <charconv>
#include <google/protobuf/descriptor.h>
#include <optional>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;

template <class Number>
std::optional<Number> number_from(std::string_view text) {
    const bool is_hex = text.starts_with("0x");
    if (is_hex)
        text.remove_prefix(2);
    Number number{};
    const auto [end, problem] =
        std::from_chars(text.data(), text.data() + text.size(), number, is_hex ? 16 : 10);
    if (problem != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

tl::unexpected<Error> wrong(std::string_view name, std::string_view text, std::string_view rule) {
    return fail(
        "bad_value",
        std::string{name} + " \"" + std::string{text} + "\": must be " + std::string{rule}
    );
}

} // namespace

std::string field_names(const google::protobuf::Descriptor& type) {
    std::string names;
    for (int i = 0; i < type.field_count(); ++i)
        names += (i == 0 ? "" : ", ") + type.field(i)->name();
    return names;
}

Result<void>
set_field(google::protobuf::Message& message, std::string_view name, std::string_view text) {
    const auto* field = message.GetDescriptor()->FindFieldByName(std::string{name});
    if (field == nullptr)
        return fail(
            "bad_value",
            "\"" + std::string{name} + "\": must be one of " + field_names(*message.GetDescriptor())
        );
    const auto* all = message.GetReflection();
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
        if (field->is_repeated())
            all->AddString(&message, field, std::string{text});
        else
            all->SetString(&message, field, std::string{text});
        return {};
    case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false")
            return wrong(name, text, "true or false");
        all->SetBool(&message, field, text == "true");
        return {};
    case FieldDescriptor::CPPTYPE_UINT32: {
        const auto number = number_from<std::uint32_t>(text);
        if (!number)
            return wrong(name, text, "a number from 0 to 4294967295");
        if (field->is_repeated())
            all->AddUInt32(&message, field, *number);
        else
            all->SetUInt32(&message, field, *number);
        return {};
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
        const auto number = number_from<std::uint64_t>(text);
        if (!number)
            return wrong(name, text, "a number from 0 to 18446744073709551615");
        all->SetUInt64(&message, field, *number);
        return {};
    }
    default:
        return wrong(name, text, "given in the configuration file");
    }
}

} // namespace weft
