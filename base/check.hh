// Bugs stop the process: check() always, dcheck() per packet and in debug builds only. Functions
// and not macros, because libraries have a `check` of their own.
#pragma once

namespace weft {

[[noreturn]] void check_failed(const char* function, const char* file, int line) noexcept;

/// Costs a compare and a branch that is never taken.
constexpr void check(
    bool condition,
    const char* function = __builtin_FUNCTION(),
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()
) noexcept {
    if (!condition) [[unlikely]]
        check_failed(function, file, line);
}

/// Its condition is evaluated in every build: give it what costs nothing and changes nothing.
constexpr void dcheck(
    [[maybe_unused]] bool condition,
    [[maybe_unused]] const char* function = __builtin_FUNCTION(),
    [[maybe_unused]] const char* file = __builtin_FILE(),
    [[maybe_unused]] int line = __builtin_LINE()
) noexcept {
#ifndef NDEBUG
    check(condition, function, file, line);
#endif
}

} // namespace weft
