#include "control/ddlog_text.hh"

#include "control/schema.hh"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int depth_max = 16; // of nested records and vectors

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name(char c) {
    return is_name_start(c) || is_digit(c);
}

/// "LogicalSwitch", "logical_switch" and "logical_switch_" are one name.
std::string plain_name(std::string_view name) {
    std::string plain;
    for (const char c : name)
        if (c != '_')
            plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return plain;
}

const FieldSchema* find_plain(const MessageSchema& schema, std::string_view name) {
    const std::string wanted = plain_name(name);
    for (const FieldSchema& field : schema.fields())
        if (plain_name(field.name) == wanted)
            return &field;
    return nullptr;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6);
        put(0x80 | (code & 63));
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12);
        put(0x80 | (code >> 6 & 63));
        put(0x80 | (code & 63));
    } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 63));
        put(0x80 | (code >> 6 & 63));
        put(0x80 | (code & 63));
    }
}

/// Reads one text. Functions return false once `error` is set.
class Parser {
public:
    explicit Parser(std::string_view text) : text_{text} {}

    std::optional<Error> error;

    /// The next record; nothing at the end.
    std::optional<control::Op> next();

private:
    bool wrong(std::string_view what);
    char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool starts(std::string_view with) const noexcept {
        return text_.substr(at_).starts_with(with);
    }
    bool take(char c) noexcept { return peek() == c && at_ < text_.size() && ++at_ > 0; }
    bool expect(char c, std::string_view after);
    void skip_spaces(); // newlines too: a long record may be broken into lines
    void skip_line();
    bool name(std::string& out); // the last part of a::path
    bool header();

    bool record(const MessageSchema& schema, Message& message, int depth);
    bool record_field(
        const MessageSchema& schema,
        Message& message,
        std::size_t place,
        std::uint64_t& seen,
        int depth
    );
    bool value(const FieldSchema& field, Message& message, int depth);
    bool vector(const FieldSchema& field, Message& message, int depth);
    bool single(const FieldSchema& field, Message& message, int depth);
    bool option(const FieldSchema& field, Message& message, int depth, bool& was_option);
    bool number(const FieldSchema& field, Message& message);
    bool string(std::string& out);
    bool escape(std::string& out);
    bool weight(std::int64_t& out);

    std::string_view text_;
    std::size_t at_ = 0;
};

bool Parser::wrong(std::string_view what) {
    if (error)
        return false;
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t newline = before.rfind('\n');
    const std::size_t column = newline == std::string_view::npos ? at_ + 1 : at_ - newline;
    error = Error{
        "bad_value",
        "line " + std::to_string(line) + " column " + std::to_string(column) + ": " +
            std::string{what}};
    return false;
}

bool Parser::expect(char c, std::string_view after) {
    skip_spaces();
    return take(c) || wrong(std::string{"expected '"} + c + "' " + std::string{after});
}

void Parser::skip_spaces() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n')
        ++at_;
}

void Parser::skip_line() {
    at_ = std::min(text_.find('\n', at_), text_.size());
}

bool Parser::name(std::string& out) {
    while (true) {
        if (!is_name_start(peek()))
            return wrong("expected a name");
        const std::size_t start = at_;
        while (is_name(peek()))
            ++at_;
        out = text_.substr(start, at_ - start);
        if (!starts("::"))
            return true;
        at_ += 2;
    }
}

/// "Flow:" alone on its line: DDlog puts it above the changes of a relation; the records say it
/// again.
bool Parser::header() {
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    std::string_view line = text_.substr(at_, end - at_);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r'))
        line.remove_suffix(1);
    if (line.empty() || line.back() != ':')
        return false;
    line.remove_suffix(1);
    if (!std::all_of(line.begin(), line.end(), [](char c) { return is_name(c) || c == ':'; }))
        return false;
    at_ = end;
    return true;
}

std::optional<control::Op> Parser::next() {
    while (true) {
        skip_spaces();
        if (at_ == text_.size())
            return std::nullopt;
        if (starts("#") || starts("//"))
            skip_line();
        else if (!header())
            break;
    }
    const std::size_t start = at_;
    std::string relation;
    if (!name(relation))
        return std::nullopt;
    const FieldSchema* field = find_plain(op_schema(), relation);
    if (!field || !field->message) {
        at_ = start;
        wrong(
            "relation " + weft::quoted(relation) + " does not exist: there are " +
            op_schema().names("row")
        );
        error->code = "unknown_relation";
        return std::nullopt;
    }
    control::Op op;
    Message* row = op.GetReflection()->MutableMessage(&op, field->field);
    std::int64_t count = 0;
    if (!record(*field->message, *row, 0) || !expect(':', "and a weight after the record") ||
        !weight(count))
        return std::nullopt;
    op.set_weight(count);
    return op;
}

bool Parser::record(const MessageSchema& schema, Message& message, int depth) {
    if (!expect('{', "to begin a record"))
        return false;
    std::uint64_t seen = 0;
    skip_spaces();
    for (std::size_t place = 0; !take('}'); ++place) {
        if (place > 0 && !expect(',', "or '}' after a field"))
            return false;
        skip_spaces();
        if (!record_field(schema, message, place, seen, depth))
            return false;
        skip_spaces();
    }
    return true;
}

bool Parser::record_field(
    const MessageSchema& schema, Message& message, std::size_t place, std::uint64_t& seen, int depth
) {
    const std::size_t start = at_;
    const FieldSchema* field = nullptr;
    if (take('.')) {
        std::string called;
        if (!name(called))
            return false;
        field = find_plain(schema, called);
        if (!field) {
            at_ = start;
            Fault fault = unknown_field(schema, {}, called);
            wrong(fault.message);
            error->code = fault.code;
            return false;
        }
        if (!expect('=', "after the field's name"))
            return false;
        skip_spaces();
    } else if (place < schema.fields().size()) {
        field = &schema.fields()[place];
    } else {
        return wrong("the record has only " + std::to_string(schema.fields().size()) + " fields");
    }
    if (seen & field->bit)
        return wrong("field " + weft::quoted(field->name) + " is there twice");
    seen |= field->bit;
    return value(*field, message, depth);
}

bool Parser::value(const FieldSchema& field, Message& message, int depth) {
    if (depth >= depth_max)
        return wrong("records and vectors are nested deeper than " + std::to_string(depth_max));
    bool was_option = false;
    if (!option(field, message, depth, was_option) || was_option)
        return !error;
    return field.field->is_repeated() ? vector(field, message, depth)
                                      : single(field, message, depth);
}

/// `ddlog_std::None{}` leaves the field out, `ddlog_std::Some{.x = 5}` is the value in it.
bool Parser::option(const FieldSchema& field, Message& message, int depth, bool& was_option) {
    const std::size_t start = at_;
    std::string called;
    if (!is_name_start(peek()))
        return true;
    if (!name(called))
        return false;
    was_option = called == "None" || called == "Some";
    if (!was_option) {
        at_ = start;
        return true;
    }
    if (!expect('{', "after " + called))
        return false;
    skip_spaces();
    if (called == "Some") {
        if (take('.')) {
            std::string ignored;
            if (!name(ignored) || !expect('=', "after the field's name"))
                return false;
            skip_spaces();
        }
        if (!value(field, message, depth + 1))
            return false;
    }
    return expect('}', "after " + called);
}

bool Parser::vector(const FieldSchema& field, Message& message, int depth) {
    if (!expect('[', "to begin the vector " + std::string{field.name}))
        return false;
    skip_spaces();
    for (bool first = true; !take(']'); first = false) {
        if (!first && !expect(',', "or ']' after a value"))
            return false;
        skip_spaces();
        if (!single(field, message, depth))
            return false;
        skip_spaces();
    }
    return true;
}

bool Parser::single(const FieldSchema& field, Message& message, int depth) {
    const Reflection& all = *message.GetReflection();
    const bool add = field.field->is_repeated();
    switch (field.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
        std::string text;
        if (!string(text))
            return false;
        if (add)
            all.AddString(&message, field.field, std::move(text));
        else
            all.SetString(&message, field.field, std::move(text));
        return true;
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
        const bool yes = starts("true");
        if (!yes && !starts("false"))
            return wrong("field " + weft::quoted(field.name) + " must be true or false");
        at_ += yes ? 4 : 5;
        if (add)
            all.AddBool(&message, field.field, yes);
        else
            all.SetBool(&message, field.field, yes);
        return true;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
        std::string ignored; // the constructor's name
        if (!name(ignored))
            return false;
        Message* inner =
            add ? all.AddMessage(&message, field.field) : all.MutableMessage(&message, field.field);
        return record(*field.message, *inner, depth + 1);
    }
    default:
        return number(field, message);
    }
}

/// 100, 0x64, 32'd100, 32'h64.
bool Parser::number(const FieldSchema& field, Message& message) {
    const std::size_t start = at_;
    int base = 10;
    if (starts("0x") || starts("0X")) {
        base = 16;
        at_ += 2;
    } else {
        std::size_t end = at_;
        while (end < text_.size() && is_digit(text_[end]))
            ++end;
        const std::string_view width = text_.substr(end, 2);
        if (width == "'d" || width == "'h") {
            base = width == "'d" ? 10 : 16;
            at_ = end + 2;
        }
    }
    std::uint64_t parsed = 0;
    const auto [end, problem] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), parsed, base);
    const bool narrow = field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
    if (problem == std::errc::result_out_of_range || (narrow && parsed > 0xffff'ffff)) {
        at_ = start;
        wrong(
            "field " + weft::quoted(field.name) + " must be at most " +
            (narrow ? "4294967295" : "18446744073709551615")
        );
        error->code = "out_of_range";
        return false;
    }
    if (problem != std::errc{}) {
        at_ = start;
        return wrong("field " + weft::quoted(field.name) + " must be a whole number, not negative");
    }
    at_ = static_cast<std::size_t>(end - text_.data());
    const Reflection& all = *message.GetReflection();
    const bool add = field.field->is_repeated();
    if (narrow && add)
        all.AddUInt32(&message, field.field, static_cast<std::uint32_t>(parsed));
    else if (narrow)
        all.SetUInt32(&message, field.field, static_cast<std::uint32_t>(parsed));
    else if (add)
        all.AddUInt64(&message, field.field, parsed);
    else
        all.SetUInt64(&message, field.field, parsed);
    return true;
}

bool Parser::string(std::string& out) {
    const std::size_t start = at_;
    if (!take('"'))
        return wrong("expected a string in double quotes");
    while (!take('"')) {
        if (at_ == text_.size()) {
            at_ = start;
            return wrong("the string has no end");
        }
        if (take('\\')) {
            if (!escape(out))
                return false;
        } else {
            out += text_[at_++];
        }
    }
    if (!is_utf8(out)) {
        at_ = start;
        return wrong("the string is not UTF-8");
    }
    return true;
}

/// As Rust's {:?} writes them: \n \r \t \0 \\ \" \' \u{1f600}; and \xNN.
bool Parser::escape(std::string& out) {
    constexpr std::string_view letters = "nrt0\\\"'";
    constexpr std::string_view meanings{"\n\r\t\0\\\"'", 7};
    const std::size_t start = at_ - 1;
    const char letter = peek();
    if (const std::size_t which = letters.find(letter);
        at_ < text_.size() && which != std::string_view::npos) {
        ++at_;
        out += meanings[which];
        return true;
    }
    const bool braces = starts("u{");
    std::uint32_t code = 0;
    if (braces || letter == 'x') {
        at_ += braces ? 2 : 1;
        const char* from = text_.data() + at_;
        const std::size_t digits_max = std::min<std::size_t>(braces ? 6 : 2, text_.size() - at_);
        const auto [end, problem] = std::from_chars(from, from + digits_max, code, 16);
        at_ += static_cast<std::size_t>(end - from);
        const bool ended = braces ? take('}') : end == from + 2;
        const bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (problem == std::errc{} && ended && code <= (braces ? 0x10'ffffU : 0x7fU) &&
            !surrogate) {
            append_utf8(out, code);
            return true;
        }
    }
    at_ = start;
    return wrong("the escape is not one of \\n \\r \\t \\0 \\\\ \\\" \\' \\xNN (to 7f) \\u{N}");
}

bool Parser::weight(std::int64_t& out) {
    while (peek() == ' ' || peek() == '\t')
        ++at_;
    const bool plus = take('+');
    const char* from = text_.data() + at_;
    const auto [end, problem] = std::from_chars(from, text_.data() + text_.size(), out);
    if (problem != std::errc{} || (plus && *from == '-'))
        return wrong("expected a weight like +1 or -1");
    at_ += static_cast<std::size_t>(end - from);
    while (peek() == ' ' || peek() == '\t' || peek() == '\r')
        ++at_;
    return at_ == text_.size() || take('\n') ||
           wrong("expected the end of the line after the weight");
}

} // namespace

Result<std::vector<control::Op>> parse_ddlog_text(std::string_view text) {
    Parser parser{text};
    std::vector<control::Op> ops;
    std::unordered_map<std::string, std::size_t> place_of; // by the row's bytes
    while (auto op = parser.next()) {
        const std::int64_t weight = op->weight();
        op->clear_weight();
        const auto [place, is_new] = place_of.try_emplace(op->SerializeAsString(), ops.size());
        if (is_new)
            ops.push_back(std::move(*op));
        std::int64_t sum = 0;
        control::Op& kept = ops[place->second];
        if (__builtin_add_overflow(kept.weight(), weight, &sum))
            return fail("out_of_range", "the weights of one row sum to more than 64 bits");
        kept.set_weight(sum);
    }
    if (parser.error)
        return tl::unexpected{std::move(*parser.error)};
    std::erase_if(ops, [](const control::Op& op) { return op.weight() == 0; });
    return ops;
}

} // namespace weft
