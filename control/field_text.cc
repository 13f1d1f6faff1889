#include "control/field_text.hh"

#include "control/language/values.hh"

namespace weft {

namespace {

/// Fields that no header holds.
bool is_metadata(const FieldInfo& field) noexcept {
    return field.requires_shape == Shape::none && (field.words() & header_words) == 0 &&
           field.id != FieldId::shape && field.id != FieldId::inport &&
           field.id != FieldId::eth_type;
}

std::string value_text(const FieldInfo& field, U128 value, const PortNames& names) {
    std::string out;
    if (field.format == FieldFormat::port) {
        const std::string_view name = names(PortNumber{static_cast<std::uint32_t>(value.low)});
        if (!name.empty()) {
            language::append_quoted(out, name);
            return out;
        }
    }
    language::append_value(out, field.format, value);
    return out;
}

template <class Visit>
void for_each_field(const FlowKey& key, WordMask words, Visit&& visit) {
    for (const FieldInfo& field : all_fields())
        if (!field.is_view() && field.id != FieldId::shape && (field.words() & ~words) == 0 &&
            key.is(field.requires_shape))
            visit(field, get(key, field));
}

} // namespace

std::vector<std::pair<std::string, std::string>>
metadata_of(const FlowKey& key, WordMask words, const PortNames& names) {
    std::vector<std::pair<std::string, std::string>> out;
    for_each_field(key, words, [&](const FieldInfo& field, U128 value) {
        if (is_metadata(field) && value)
            out.emplace_back(field.name, value_text(field, value, names));
    });
    return out;
}

std::string packet_text(const FlowKey& key, WordMask words, const PortNames& names) {
    std::string out;
    for_each_field(key, words, [&](const FieldInfo& field, U128 value) {
        if (is_metadata(field) && !value)
            return;
        // what every packet of the kind has at 0 says nothing
        if (!value && (field.id == FieldId::ip_frag || field.id == FieldId::ip_tos ||
                       field.id == FieldId::ip6_label || field.id == FieldId::ct_state))
            return;
        if (!out.empty())
            out += " && ";
        out += field.name;
        out += " == ";
        out += value_text(field, value, names);
    });
    return out;
}

} // namespace weft
