// What both encodings know of the schema: fields by name and number, and how a request that does
// not fit becomes a NAK.
#pragma once

#include "control/weft.pb.h"

#include <tl/expected.hpp>

#include <cstdint>
#include <google/protobuf/descriptor.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weft {

/// A request, or why it is none. Failure: the bytes are not of the encoding at all; the connection
/// ends after it is sent. A pointer: the request lies in the arena that the caller gave.
using Decoded = std::variant<control::Request, control::Nak, control::Failure, control::Request*>;
/// Of either kind; nullptr where it is none.
inline control::Request* request_of(Decoded& decoded) noexcept {
    if (auto* lent = std::get_if<control::Request*>(&decoded))
        return *lent;
    return std::get_if<control::Request>(&decoded);
}

class MessageSchema;

struct FieldSchema {
    const google::protobuf::FieldDescriptor* field = nullptr;
    const MessageSchema* message = nullptr; // of a field that holds a message
    std::string_view name;                  // as in weft.proto
    std::string_view json_name;             // its lowerCamelCase form, accepted as well
    std::uint64_t bit = 0; // of this field, or of its oneof, in a set of fields seen
};

/// A message type: immutable, made once from the compiled schema, lives as long as the process.
class MessageSchema {
public:
    explicit MessageSchema(const google::protobuf::Descriptor& type) : type_{&type} {}

    const google::protobuf::Descriptor& type() const noexcept { return *type_; }
    const std::vector<FieldSchema>& fields() const noexcept { return fields_; }
    /// Null where there is none.
    const FieldSchema* find(std::string_view name) const noexcept;
    const FieldSchema* find(std::uint32_t number) const noexcept;
    /// "bridge, table, priority, ...": for messages. Where `oneof` is given, only its members.
    std::string names(std::string_view oneof = {}) const;

private:
    friend class SchemaBuilder;
    const google::protobuf::Descriptor* type_;
    std::vector<FieldSchema> fields_;
    std::vector<const FieldSchema*> by_number_; // [number], null where there is none
};

const MessageSchema& request_schema();
const MessageSchema& op_schema();
/// The row messages that an op can hold, by relation name ("flow").
const MessageSchema* relation_schema(std::string_view relation);

/// The first thing that is wrong with a request.
struct Fault {
    std::string code;
    std::string message;
    std::string path;                // inside the op where there is one, else inside the request
    std::optional<std::uint32_t> op; // index in the transaction
    std::optional<std::uint64_t> current_version{};
    std::shared_ptr<const control::Row> current_row{};
};

template <class T>
using Judged = tl::expected<T, Fault>;

/// Messages inside messages of one request; deeper ones are refused.
inline constexpr std::size_t message_depth_max = 64;

control::Nak nak_of(std::string id, Fault fault);
/// The client's id of a request, whatever its kind; empty where no kind is set.
std::string id_of(const control::Request& request);

Fault unknown_field(const MessageSchema& schema, std::string path, std::string_view name);
Fault unknown_relation(std::string path, std::string_view name);
Fault unknown_request(std::string_view name);
Fault nested_too_deep(std::string path);
/// `existing` and `name` are one field twice, or two members of one oneof.
Fault duplicate_field(const FieldSchema& field, std::string path);

/// What is judged of an op beyond the types of its fields.
struct OpFacts {
    std::int64_t weight = 0;
    std::string_view verb;
    bool has_row = false;
};
/// A relation, a known verb, and without a verb a weight.
std::optional<Fault> check_op(const OpFacts& op);

bool is_utf8(std::string_view text) noexcept;
/// `text` in quotes, shortened and printable: for messages.
std::string quoted(std::string_view text);

} // namespace weft
