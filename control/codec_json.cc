// A SAX reader that fills the request while the text goes by: no document tree, no recursion.
//
// (1) frames_ holds the messages being filled, outermost first; the last one's `field` is the key
// whose value comes next. (2) After the first fault nothing is filled any more; the rest of the
// line is still read, since it may turn out not to be JSON,
//     and for the request's id, which may come last.
// (3) Every value goes through value_field(), which says where it belongs or that it is to be
// passed over.
#include "control/codec_json.hh"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

/// RFC 4648 sections 4 and 5; padding may be left out. Nothing else is passed over.
std::optional<std::string> from_base64(std::string_view text) {
    while (!text.empty() && text.back() == '=' && text.size() % 4 != 1)
        text.remove_suffix(1);
    if (text.size() % 4 == 1)
        return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (const char c : text) {
        std::uint32_t digit = 0;
        if (c >= 'A' && c <= 'Z')
            digit = static_cast<std::uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            digit = static_cast<std::uint32_t>(c - 'a') + 26;
        else if (c >= '0' && c <= '9')
            digit = static_cast<std::uint32_t>(c - '0') + 52;
        else if (c == '+' || c == '-')
            digit = 62;
        else if (c == '/' || c == '_')
            digit = 63;
        else
            return std::nullopt;
        held = held << 6 | digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes += static_cast<char>(held >> bits & 0xff);
        }
    }
    return bytes;
}

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

class RequestReader {
public:
    control::Request request;
    std::optional<Fault> fault;
    std::string failure; // why the line is not JSON
    std::string id;

    RequestReader() { frames_.reserve(8); }

    // What nlohmann calls. False stops it, which only parse_error() does.
    bool null();
    bool boolean(bool value);
    bool number_integer(std::int64_t value) { return number(false, value); }
    bool number_unsigned(std::uint64_t value) {
        return number(true, static_cast<std::int64_t>(value));
    }
    bool number_float(double value, const std::string& text);
    bool string(std::string& text);
    bool binary(std::vector<std::uint8_t>& value) { return value.empty(); } // no JSON has one
    bool start_object(std::size_t size);
    bool key(std::string& name);
    bool end_object();
    bool start_array(std::size_t size);
    bool end_array();
    bool parse_error(
        std::size_t position, const std::string& token, const nlohmann::detail::exception& why
    );

private:
    struct Open {
        const MessageSchema* schema;
        Message* message;
        std::uint64_t seen = 0;
        const FieldSchema* field = nullptr; // whose value comes next
        bool in_array = false;
        std::uint32_t element = 0; // index of the next one
    };

    const FieldSchema* value_field(bool is_object);
    bool first_value(const FieldSchema& field);
    void wrong(std::string code, std::string message, std::string path);
    void wrong_type(const FieldSchema& field, std::string_view is);
    std::string path_here() const;
    void unknown_key(bool is_object);
    /// The bits of an unsigned number, or of a negative one.
    bool number(bool is_unsigned, std::int64_t bits);
    void set_number(const FieldSchema& field, bool is_unsigned, std::int64_t bits);
    void judge_op(const control::Op& op);

    std::vector<Open> frames_;
    std::string unknown_;      // the key that the schema does not have, until its value begins
    std::size_t depth_ = 0;    // objects and arrays that are open, filled or passed over
    std::size_t op_frame_ = 0; // index in frames_ of the op being filled, 0: none
    bool id_next_ = false;     // the next value is the request's id (looked for after a fault)
};

void RequestReader::wrong(std::string code, std::string message, std::string path) {
    if (fault)
        return;
    fault = Fault{
        .code = std::move(code), .message = std::move(message), .path = std::move(path), .op = {}};
    if (op_frame_ > 0) {
        fault->op = frames_[op_frame_ - 1].element - 1;
        return;
    }
    const bool is_op =
        frames_.size() == 2 && frames_[1].in_array && frames_[1].field->message == &op_schema();
    if (is_op) { // it is no object
        fault->op = frames_[1].element;
        fault->path.clear();
    }
}

/// From the op, or from the request's body, to the field whose value comes next.
std::string RequestReader::path_here() const {
    std::string path;
    const std::size_t from = op_frame_ > 0 ? op_frame_ : 1;
    for (std::size_t i = from; i < frames_.size(); ++i) {
        const Open& open = frames_[i];
        if (!open.field)
            break;
        if (!path.empty())
            path += '.';
        path += open.field->name;
        if (open.in_array)
            path += '[' + std::to_string(i + 1 < frames_.size() ? open.element - 1 : open.element) +
                    ']';
    }
    return path;
}

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

/// The field that a value which begins now belongs to; null: pass it over, it has no place (a fault
/// says so, now or before).
const FieldSchema* RequestReader::value_field(bool is_object) {
    if (fault)
        return nullptr;
    if (frames_.empty()) {
        wrong("malformed", "a line holds one JSON object: {\"request\": {...}}", {});
        return nullptr;
    }
    const FieldSchema* field = frames_.back().field;
    if (!field) {
        unknown_key(is_object);
        return nullptr;
    }
    if (field->field->is_repeated() && !frames_.back().in_array) {
        wrong_type(*field, is_object ? "an object" : "a single value");
        return nullptr;
    }
    return frames_.back().in_array || first_value(*field) ? field : nullptr;
}

/// Neither the field nor another member of its oneof has a value yet.
bool RequestReader::first_value(const FieldSchema& field) {
    Open& open = frames_.back();
    if (open.seen & field.bit) {
        Fault what = duplicate_field(field, path_here());
        wrong(std::move(what.code), std::move(what.message), std::move(what.path));
        return false;
    }
    open.seen |= field.bit;
    return true;
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

bool RequestReader::start_object(std::size_t) {
    id_next_ = false;
    if (++depth_ == 1) {
        frames_.push_back({.schema = &request_schema(), .message = &request});
        return true;
    }
    const FieldSchema* field = value_field(true);
    if (!field)
        return true;
    if (!field->message) {
        wrong_type(*field, "an object");
        return true;
    }
    if (frames_.size() > message_depth_max) {
        Fault what = nested_too_deep(path_here());
        wrong(std::move(what.code), std::move(what.message), std::string{field->name});
        return true;
    }
    Open& open = frames_.back();
    const Reflection& all = *open.message->GetReflection();
    Message* inner = open.in_array ? all.AddMessage(open.message, field->field)
                                   : all.MutableMessage(open.message, field->field);
    if (open.in_array)
        ++open.element;
    if (field->message == &op_schema())
        op_frame_ = frames_.size();
    frames_.push_back({.schema = field->message, .message = inner});
    return true;
}

void RequestReader::unknown_key(bool is_object) {
    const MessageSchema& schema = *frames_.back().schema;
    std::string path = path_here();
    path += path.empty() ? unknown_ : "." + unknown_;
    const bool relation = &schema == &op_schema() && is_object;
    Fault what = frames_.size() == 1 ? unknown_request(unknown_)
                 : relation          ? unknown_relation(path, unknown_)
                                     : unknown_field(schema, path, unknown_);
    wrong(std::move(what.code), std::move(what.message), std::move(what.path));
}

bool RequestReader::key(std::string& name) {
    id_next_ = false;
    if (fault) {
        id_next_ = depth_ == 2 && name == "id";
        return true;
    }
    Open& open = frames_.back();
    open.field = open.schema->find(name);
    if (!open.field) {
        unknown_ = name; // what it is called depends on its value
        return true;
    }
    return true;
}

bool RequestReader::end_object() {
    --depth_;
    if (fault)
        return true;
    if (frames_.size() == 1 && request.request_case() == control::Request::REQUEST_NOT_SET) {
        Fault what = unknown_request({});
        wrong(std::move(what.code), std::move(what.message), {});
        return true;
    }
    if (op_frame_ > 0 && frames_.size() == op_frame_ + 1) {
        judge_op(static_cast<const control::Op&>(*frames_.back().message));
        op_frame_ = 0;
    }
    frames_.pop_back();
    return true;
}

void RequestReader::judge_op(const control::Op& op) {
    const bool has_row = op.row_case() != control::Op::ROW_NOT_SET;
    if (auto bad = check_op({.weight = op.weight(), .verb = op.verb(), .has_row = has_row}))
        wrong(std::move(bad->code), std::move(bad->message), std::move(bad->path));
}

bool RequestReader::start_array(std::size_t) {
    id_next_ = false;
    ++depth_;
    if (fault)
        return true;
    if (frames_.empty() || !frames_.back().field) {
        value_field(false);
        return true;
    }
    Open& open = frames_.back();
    if (!open.field->field->is_repeated() || open.in_array) {
        wrong_type(*open.field, "an array");
        return true;
    }
    if (!first_value(*open.field))
        return true;
    open.in_array = true;
    open.element = 0;
    return true;
}

bool RequestReader::end_array() {
    --depth_;
    if (!fault)
        frames_.back().in_array = false;
    return true;
}

bool RequestReader::parse_error(
    std::size_t, const std::string&, const nlohmann::detail::exception& why
) {
    constexpr int number_overflow = 406; // 1e999 is JSON, but no number of ours
    constexpr std::size_t shown_max = 300;
    if (why.id == number_overflow) {
        wrong(
            "out_of_range",
            "a number is too large: it must fit 64 bits",
            frames_.empty() ? "" : path_here()
        );
        return false;
    }
    std::string_view text =
        why.what(); // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    if (const auto end = text.find("] "); end != std::string_view::npos)
        text.remove_prefix(end + 2);
    for (const char c : text.substr(0, shown_max)) // it quotes the input
        failure += c >= 0x20 && c < 0x7f ? c : '?';
    return false;
}

} // namespace

Decoded decode_json_line(std::string_view line) {
    RequestReader reader;
    const bool read = nlohmann::json::sax_parse(line.begin(), line.end(), &reader);
    if (!read && !reader.failure.empty()) {
        control::Failure failure;
        failure.set_message(std::move(reader.failure));
        return failure;
    }
    if (reader.fault) {
        std::string id = reader.id.empty() ? id_of(reader.request) : std::move(reader.id);
        return nak_of(std::move(id), std::move(*reader.fault));
    }
    return std::move(reader.request);
}

} // namespace weft
