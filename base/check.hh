// Bugs stop the process: check() always, dcheck() per packet and in debug builds only.
#pragma once

namespace weft {

[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

} // namespace weft

#define check(condition)                                                                           \
    (__builtin_expect(!(condition), 0) ? ::weft::check_failed(#condition, __FILE__, __LINE__)      \
                                       : static_cast<void>(0))

#ifdef NDEBUG
#define dcheck(condition) static_cast<void>(0)
#else
#define dcheck(condition) check(condition)
#endif
