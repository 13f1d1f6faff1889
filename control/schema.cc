#include "control/schema.hh"

#include "base/check.hh"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

namespace weft {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// Visits every message type that a request can hold, each once.
class SchemaBuilder {
public:
    const MessageSchema& build(const Descriptor& type) {
        auto& place = made_[&type];
        if (place)
            return *place;
        place = std::make_unique<MessageSchema>(type);
        MessageSchema& schema = *place; // a recursive type finds itself
        check(type.field_count() <= 64);
        for (int i = 0; i < type.field_count(); ++i)
            schema.fields_.push_back(field_of(*type.field(i)));
        for (const FieldSchema& field : schema.fields_) {
            const auto number = static_cast<std::size_t>(field.field->number());
            if (schema.by_number_.size() <= number)
                schema.by_number_.resize(number + 1);
            schema.by_number_[number] = &field;
        }
        return schema;
    }

private:
    FieldSchema field_of(const FieldDescriptor& field) {
        check(!field.is_map()); // no request has one, the decoders do without
        const auto* oneof = field.real_containing_oneof();
        const FieldDescriptor& judged = oneof ? *oneof->field(0) : field;
        FieldSchema made{
            .field = &field,
            .message = nullptr,
            .name = field.name(),
            .json_name = field.json_name(),
            .bit = std::uint64_t{1} << judged.index()};
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
            made.message = &build(*field.message_type());
        return made;
    }

    std::map<const Descriptor*, std::unique_ptr<MessageSchema>> made_;
};

namespace {

const MessageSchema& schema_of(const Descriptor& type) {
    static SchemaBuilder builder = [] {
        SchemaBuilder all;
        all.build(*control::Request::descriptor());
        return all;
    }();
    return builder.build(type); // there already: every type that we ask for is part of a request
}

/// Edit distance, for "did you mean": names are a few bytes long.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

std::string did_you_mean(const MessageSchema& schema, std::string_view name) {
    if (name.size() > 32)
        return {};
    std::size_t best = 3;
    std::string_view nearest;
    for (const FieldSchema& field : schema.fields()) {
        const std::size_t away = distance(name, field.name);
        if (away < best) {
            best = away;
            nearest = field.name;
        }
    }
    return nearest.empty() ? std::string{} : "; did you mean \"" + std::string{nearest} + "\"?";
}

} // namespace

const FieldSchema* MessageSchema::find(std::string_view name) const noexcept {
    for (const FieldSchema& field : fields_)
        if (field.name == name || field.json_name == name)
            return &field;
    return nullptr;
}

const FieldSchema* MessageSchema::find(std::uint32_t number) const noexcept {
    return number < by_number_.size() ? by_number_[number] : nullptr;
}

std::string MessageSchema::names(std::string_view oneof) const {
    std::string all;
    for (const FieldSchema& field : fields_) {
        const auto* group = field.field->real_containing_oneof();
        if (!oneof.empty() && (!group || group->name() != oneof))
            continue;
        if (!all.empty())
            all += ", ";
        all += field.name;
    }
    return all;
}

const MessageSchema& request_schema() {
    static const MessageSchema& schema = schema_of(*control::Request::descriptor());
    return schema;
}

const MessageSchema& op_schema() {
    static const MessageSchema& schema = schema_of(*control::Op::descriptor());
    return schema;
}

const MessageSchema* relation_schema(std::string_view relation) {
    const FieldSchema* field = op_schema().find(relation);
    return field && field->field->real_containing_oneof() ? field->message : nullptr;
}

control::Nak nak_of(std::string id, Fault fault) {
    control::Nak nak;
    nak.set_id(std::move(id));
    if (fault.op)
        nak.set_op(*fault.op);
    nak.set_code(std::move(fault.code));
    if (!fault.path.empty())
        nak.set_path(std::move(fault.path));
    nak.set_message(std::move(fault.message));
    if (fault.current_version)
        nak.set_current_version(*fault.current_version);
    if (fault.current_row)
        *nak.mutable_current_row() = *fault.current_row;
    return nak;
}

std::string id_of(const control::Request& request) {
    const auto* all = request.GetReflection();
    const auto* kind =
        all->GetOneofFieldDescriptor(request, request.GetDescriptor()->oneof_decl(0));
    if (!kind)
        return {};
    const auto& body = all->GetMessage(request, kind);
    return body.GetReflection()->GetString(body, body.GetDescriptor()->FindFieldByName("id"));
}

Fault unknown_field(const MessageSchema& schema, std::string path, std::string_view name) {
    std::string what = schema.type().name();
    std::transform(what.begin(), what.end(), what.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    std::string hint = did_you_mean(schema, name);
    if (hint.empty())
        hint = ": it has " + schema.names();
    return {
        .code = "unknown_field",
        .message = "the message " + what + " has no field " + quoted(name) + hint,
        .path = std::move(path),
        .op = {}};
}

Fault unknown_relation(std::string path, std::string_view name) {
    const bool runtime = control::Row::descriptor()->FindFieldByName(std::string{name}) != nullptr;
    std::string message = runtime ? "relation " + quoted(name) + " is written by the switch only"
                                  : "relation " + quoted(name) + " does not exist";
    message += ": an op holds one of " + op_schema().names("row");
    return {
        .code = "unknown_relation",
        .message = std::move(message),
        .path = std::move(path),
        .op = {}};
}

Fault unknown_request(std::string_view name) {
    std::string message = name.empty() ? std::string{"no request in the message"}
                                       : "request " + quoted(name) + " does not exist";
    message += ": it must be one of " + request_schema().names();
    return {.code = "unknown_request", .message = std::move(message), .path = {}, .op = {}};
}

Fault nested_too_deep(std::string path) {
    return {
        .code = "too_many_actions",
        .message = "messages are nested deeper than " + std::to_string(message_depth_max),
        .path = std::move(path),
        .op = {}};
}

Fault duplicate_field(const FieldSchema& field, std::string path) {
    const auto* oneof = field.field->real_containing_oneof();
    std::string message = "field " + quoted(field.name) + " is there twice";
    if (oneof)
        message = quoted(field.name) + " is there beside another " + oneof->name() + ": give one";
    return {
        .code = "duplicate_field",
        .message = std::move(message),
        .path = std::move(path),
        .op = {}};
}

std::optional<Fault> check_op(const OpFacts& op) {
    if (!op.has_row)
        return Fault{
            .code = "unknown_relation",
            .message = "the op has no row: it must hold one of " + op_schema().names("row"),
            .path = {},
            .op = {}};
    if (!op.verb.empty() && op.verb != "upsert" && op.verb != "delete")
        return Fault{
            .code = "bad_verb",
            .message = "verb " + quoted(op.verb) +
                       " does not exist: it must be \"upsert\", \"delete\" or left out",
            .path = "verb",
            .op = {}};
    if (op.verb.empty() && op.weight == 0)
        return Fault{
            .code = "no_weight",
            .message = "the op has no weight: give +1 to add the row, -1 to remove it, or "
                       "the verb \"upsert\" or \"delete\"",
            .path = "weight",
            .op = {}};
    return std::nullopt;
}

bool is_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        std::uint64_t eight = 0; // mostly all are ASCII
        if (text.size() - i >= sizeof eight) {
            std::memcpy(&eight, text.data() + i, sizeof eight);
            if ((eight & 0x8080'8080'8080'8080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - i < bytes)
            return false;
        const auto second = static_cast<unsigned char>(text[i + 1]);
        // Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
        const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (second < low || second > high)
            return false;
        for (std::size_t k = 2; k < bytes; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80)
                return false;
        i += bytes;
    }
    return true;
}

std::string quoted(std::string_view text) {
    constexpr std::size_t shown_max = 60;
    std::string out = "\"";
    std::size_t end = std::min(text.size(), shown_max);
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end; // not in the middle of a character
    const bool clean = is_utf8(text.substr(0, end));
    for (const char c : text.substr(0, end)) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !clean) ? '?' : c;
    }
    return out + (end < text.size() ? "...\"" : "\"");
}

} // namespace weft
