// What a bad request is answered with: a value, or a code and one sentence that names the thing,
// the value and the rule.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace weft {

/// `code` is one lower-case word of docs/control-protocol.md ("bad_value", "unknown_port", ...);
/// `what` is for people.
struct Error {
    std::string code;
    std::string what;
};

template <class T>
struct [[nodiscard]] Result : tl::expected<T, Error> {
    using Base = tl::expected<T, Error>;
    using Base::Base;
    Result(Base base) : Base{std::move(base)} {}
};

inline tl::unexpected<Error> fail(std::string code, std::string what) {
    return tl::unexpected<Error>{Error{std::move(code), std::move(what)}};
}

} // namespace weft
