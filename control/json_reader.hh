// How a line of JSON becomes a request: the events of a parser in, a message out.
//
// (1) frames_ holds the messages being filled, outermost first; the last one's `field` is the key
// whose value comes next. (2) After the first fault nothing is filled any more; the rest of the
// line is still read, since it may turn out not to be JSON,
//     and for the request's id, which may come last.
// (3) Every value goes through value_field(), which says where it belongs or that it is to be
// passed over.
#pragma once

#include "control/schema.hh"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// Fills `request` while the text goes by: no document tree, no recursion. `fault` is the first
/// thing that is wrong with it; `id` is the request's where it came after the fault. One line, one
/// reader.
class RequestReader {
public:
    control::Request request;
    std::optional<Fault> fault;
    std::string id;

    RequestReader() { frames_.reserve(8); }

    // What nlohmann's parser calls; none of them stops it.
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

    /// A number with an exponent that no number of the machine has: it is JSON all the same.
    void number_overflow();

private:
    struct Open {
        const MessageSchema* schema;
        google::protobuf::Message* message;
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

} // namespace weft
