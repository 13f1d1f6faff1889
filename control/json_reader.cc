// Objects, arrays and keys: where in the request a value belongs, and what is wrong with a place.
#include "control/json_reader.hh"

#include <utility>

namespace weft {

using google::protobuf::Message;
using google::protobuf::Reflection;

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

} // namespace weft
