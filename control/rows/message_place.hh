// Where in a message something stands, for faults.
#pragma once

#include "base/result.hh"
#include "control/schema.hh"

#include <string>
#include <string_view>
#include <utility>

namespace weft {

/// One step of a path, on the stack of whoever walks down; the text is made only where something is
/// wrong.
struct MessagePlace {
    const MessagePlace* up = nullptr;
    std::string_view field{};
    int element = -1; // of a repeated field

    std::string text() const {
        std::string out = up == nullptr ? std::string{} : up->text();
        if (!out.empty() && !field.empty())
            out += '.';
        out += field;
        if (element >= 0)
            out += '[' + std::to_string(element) + ']';
        return out;
    }
    Fault fault(Error error) const {
        return {
            .code = std::move(error.code),
            .message = std::move(error.what),
            .path = text(),
            .op = {},
        };
    }
};

} // namespace weft
