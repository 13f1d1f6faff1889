// Choosing without a branch, for conditions that nobody can predict.
#pragma once

#include <cstdint>

namespace weft {

/// All bits or none. The compiler sees a number that could be any, so it makes no branch of what
/// is computed with it: a branch that is wrong every other time costs more than both sides.
inline std::uint64_t mask_if(bool condition) noexcept {
    std::uint64_t mask = 0 - std::uint64_t{condition};
    asm("" : "+r"(mask));
    return mask;
}

inline std::uint64_t select(bool condition, std::uint64_t a, std::uint64_t b) noexcept {
    return b ^ ((a ^ b) & mask_if(condition));
}
/// `a` where `bits` has any, else `b`: two instructions.
inline std::uint64_t select_any(std::uint64_t bits, std::uint64_t a, std::uint64_t b) noexcept {
#ifdef __x86_64__
    asm("test %1, %1\n\tcmovnz %2, %0" : "+r"(b) : "r"(bits), "rm"(a) : "cc");
    return b;
#else
    return select(bits != 0, a, b);
#endif
}
template <class T>
const T* select(bool condition, const T* a, const T* b) noexcept {
    return reinterpret_cast<const T*>(
        select(condition, reinterpret_cast<std::uintptr_t>(a), reinterpret_cast<std::uintptr_t>(b))
    );
}

} // namespace weft
