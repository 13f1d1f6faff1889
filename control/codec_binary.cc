// Two passes: a walk over the wire bytes that knows the schema and names what is wrong, then
// protobuf's own parser, which would accept silently what the walk refuses (unknown fields, 64-bit
// values in 32-bit fields, repeated members of a oneof).
#include "control/codec_binary.hh"

#include "base/check.hh"
#include "control/codec_json.hh"

#include <google/protobuf/stubs/logging.h>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

class WireReader {
public:
    explicit WireReader(std::string_view bytes) : rest_{bytes} {}

    bool done() const noexcept { return rest_.empty(); }
    bool varint(std::uint64_t& value) noexcept {
        value = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            if (shift == 63 && byte > 1)
                return false;
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80)
                return true;
        }
        return false;
    }
    bool take(std::uint64_t count, std::string_view& taken) noexcept {
        if (count > rest_.size())
            return false;
        taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return true;
    }

private:
    std::string_view rest_;
};

/// One field as it stands on the wire.
struct Item {
    std::uint32_t number = 0;
    Wire wire{};
    std::uint64_t value = 0; // of a varint
    std::string_view bytes;  // of a length-delimited one
};

bool next_item(WireReader& reader, Item& item) noexcept {
    std::uint64_t tag = 0;
    if (!reader.varint(tag) || tag > 0xffff'ffff || tag >> 3 == 0)
        return false;
    item.number = static_cast<std::uint32_t>(tag >> 3);
    item.wire = static_cast<Wire>(tag & 7);
    switch (item.wire) {
    case Wire::varint:
        return reader.varint(item.value);
    case Wire::fixed64:
        return reader.take(8, item.bytes);
    case Wire::fixed32:
        return reader.take(4, item.bytes);
    case Wire::bytes:
        if (std::uint64_t count = 0; reader.varint(count))
            return reader.take(count, item.bytes);
        return false;
    }
    return false; // groups, and what has no meaning
}

Wire wire_of(const FieldDescriptor& field) noexcept {
    switch (field.type()) {
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
    case FieldDescriptor::TYPE_DOUBLE:
        return Wire::fixed64;
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_SFIXED32:
    case FieldDescriptor::TYPE_FLOAT:
        return Wire::fixed32;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
        return Wire::bytes;
    default:
        return Wire::varint;
    }
}

/// Why a number does not fit its field's width; nothing where it does.
std::optional<Fault> misfit(const FieldSchema& field, std::uint64_t value) {
    std::uint64_t most = ~std::uint64_t{0};
    if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32)
        most = 0xffff'ffff;
    else if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL)
        most = 1;
    if (value <= most)
        return std::nullopt;
    return Fault{
        .code = "out_of_range",
        .message = "field " + quoted(field.name) + " is " + std::to_string(value) +
                   ": it must be at most " + std::to_string(most),
        .path = std::string{field.name},
        .op = {}};
}

Fault malformed(std::string path) {
    std::string where = path.empty() ? std::string{"the frame"} : quoted(path);
    return {
        .code = "malformed",
        .message = where + " is no protobuf message: its bytes end or turn invalid inside a field",
        .path = std::move(path),
        .op = {}};
}

class Walk {
public:
    std::optional<Fault> fault;

    /// A message of `schema`. False: `fault` says why. The path is built only where something is
    /// wrong.
    bool message(const MessageSchema& schema, std::string_view bytes) {
        WireReader reader{bytes};
        std::uint64_t seen = 0;
        const bool is_op = &schema == &op_schema();
        OpFacts facts;
        while (!reader.done()) {
            Item item;
            if (!next_item(reader, item))
                return wrong(malformed({}));
            const FieldSchema* field = schema.find(item.number);
            if (!field)
                return wrong(unknown(schema, item));
            if (!field->field->is_repeated() && (seen & field->bit))
                return wrong(duplicate_field(*field, std::string{field->name}));
            seen |= field->bit;
            if (!value(*field, item))
                return false;
            if (is_op)
                note(facts, *field, item);
        }
        if (is_op)
            fault = check_op(facts);
        return !fault;
    }

    /// The transaction's ops carry their index into the fault.
    bool transaction_op(std::string_view bytes) {
        if (!message(op_schema(), bytes)) {
            fault->op = ops_;
            return false;
        }
        ++ops_;
        return true;
    }

private:
    bool wrong(Fault what) {
        fault = std::move(what);
        return false;
    }

    static Fault unknown(const MessageSchema& schema, const Item& item) {
        const std::string number = std::to_string(item.number);
        if (&schema == &op_schema() && item.wire == Wire::bytes)
            return unknown_relation(number, number);
        return unknown_field(schema, number, number);
    }

    static void note(OpFacts& facts, const FieldSchema& field, const Item& item) {
        if (field.field->number() == control::Op::kWeightFieldNumber) {
            const std::uint64_t raw = item.value; // zigzag
            facts.weight = static_cast<std::int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
        } else if (field.field->number() == control::Op::kVerbFieldNumber) {
            facts.verb = item.bytes;
        } else if (field.message) {
            facts.has_row = true;
        }
    }

    bool value(const FieldSchema& field, const Item& item) {
        const FieldDescriptor& type = *field.field;
        const Wire wanted = wire_of(type);
        if (item.wire == Wire::bytes && type.is_packable())
            return packed(field, item.bytes);
        if (item.wire != wanted)
            return wrong(
                {.code = "bad_type",
                 .message = "field " + quoted(field.name) + " has wire type " +
                            std::to_string(static_cast<unsigned>(item.wire)) + ": it must be " +
                            std::to_string(static_cast<unsigned>(wanted)),
                 .path = std::string{field.name},
                 .op = {}}
            );
        if (wanted == Wire::varint) {
            fault = misfit(field, item.value);
            return !fault;
        }
        if (type.type() == FieldDescriptor::TYPE_STRING && !is_utf8(item.bytes))
            return wrong(
                {.code = "bad_value",
                 .message = "field " + quoted(field.name) + " is not UTF-8: text must be",
                 .path = std::string{field.name},
                 .op = {}}
            );
        return !field.message || nested(field, item.bytes);
    }

    bool nested(const FieldSchema& field, std::string_view bytes) {
        if (field.message == &op_schema())
            return transaction_op(bytes);
        if (depth_ >= message_depth_max)
            return wrong(nested_too_deep(std::string{field.name}));
        ++depth_;
        const bool fine = message(*field.message, bytes);
        --depth_;
        if (fine)
            return true;
        fault->path = std::string{field.name} + (fault->path.empty() ? "" : "." + fault->path);
        return false;
    }

    bool packed(const FieldSchema& field, std::string_view bytes) {
        WireReader reader{bytes};
        while (!reader.done()) {
            std::uint64_t value = 0;
            std::string_view fixed;
            const Wire wire = wire_of(*field.field);
            const bool taken = wire == Wire::varint
                                   ? reader.varint(value)
                                   : reader.take(wire == Wire::fixed64 ? 8 : 4, fixed);
            if (!taken)
                return wrong(malformed(std::string{field.name}));
            if (auto bad = misfit(field, value))
                return wrong(std::move(*bad));
        }
        return true;
    }

    std::uint32_t ops_ = 0;
    std::size_t depth_ = 0;
};

/// The request's own id, wherever it stands: every request has it as its first field.
std::string id_on_wire(std::string_view body) {
    WireReader reader{body};
    std::string id;
    for (Item item; !reader.done() && next_item(reader, item);)
        if (item.number == 1 && item.wire == Wire::bytes && is_utf8(item.bytes))
            id = item.bytes;
    return id;
}

/// protobuf writes what it does not like to stderr; clients do not get to fill our log.
void silence_protobuf() {
    static const auto before = google::protobuf::SetLogHandler(nullptr);
    static_cast<void>(before);
}

} // namespace

Decoded decode_binary(std::string_view frame, google::protobuf::Arena* arena) {
    silence_protobuf();
    WireReader reader{frame};
    Item body;
    if (reader.done())
        return nak_of({}, unknown_request({}));
    if (!next_item(reader, body))
        return nak_of({}, malformed({}));
    const bool is_message = body.wire == Wire::bytes;
    std::string id = is_message ? id_on_wire(body.bytes) : std::string{};
    const FieldSchema* kind = request_schema().find(body.number);
    if (!kind || !is_message)
        return nak_of(std::move(id), unknown_request(std::to_string(body.number)));
    if (!reader.done())
        return nak_of(
            std::move(id),
            {.code = "malformed",
             .message =
                 "a frame holds one request: something follows the " + std::string{kind->name},
             .path = {},
             .op = {}}
        );
    Walk walk;
    if (!walk.message(*kind->message, body.bytes))
        return nak_of(std::move(id), std::move(*walk.fault));
    Decoded decoded{std::in_place_type<control::Request>};
    if (arena != nullptr)
        decoded = google::protobuf::Arena::CreateMessage<control::Request>(arena);
    check(frame.size() <= 0x7fff'ffff);
    if (!request_of(decoded)->ParseFromArray(frame.data(), static_cast<int>(frame.size())))
        return nak_of(std::move(id), malformed({}));
    return decoded;
}

std::string encode_binary(const google::protobuf::Message& message) {
    std::string out;
    put_varint(out, message.ByteSizeLong());
    message.AppendPartialToString(&out);
    return out;
}

Decoded decode(Encoding encoding, std::string_view frame, google::protobuf::Arena* arena) {
    return encoding == Encoding::json ? decode_json_line(frame) : decode_binary(frame, arena);
}

std::string encode(Encoding encoding, const control::Reply& reply) {
    return encoding == Encoding::json ? encode_json(reply) : encode_binary(reply);
}

} // namespace weft
