// 128-bit values of fields: two words, the high one first, as the key holds them.
#pragma once

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace weft {

struct U128 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    constexpr U128() = default;
    constexpr U128(std::uint64_t low_word) noexcept : low{low_word} {}
    constexpr U128(std::uint64_t high_word, std::uint64_t low_word) noexcept
        : high{high_word},
          low{low_word} {}

    friend constexpr bool operator==(const U128&, const U128&) = default;
    friend constexpr auto
    operator<=>(const U128&, const U128&) = default; // high first: numeric order
    friend constexpr U128 operator&(U128 a, U128 b) noexcept {
        return {a.high & b.high, a.low & b.low};
    }
    friend constexpr U128 operator|(U128 a, U128 b) noexcept {
        return {a.high | b.high, a.low | b.low};
    }
    friend constexpr U128 operator^(U128 a, U128 b) noexcept {
        return {a.high ^ b.high, a.low ^ b.low};
    }
    constexpr U128 operator~() const noexcept { return {~high, ~low}; }
    /// Shifts by 0 to 128 bits.
    friend constexpr U128 operator<<(U128 a, unsigned bits) noexcept {
        if (bits == 0)
            return a;
        if (bits >= 128)
            return {};
        if (bits >= 64)
            return {a.low << (bits - 64), 0};
        return {a.high << bits | a.low >> (64 - bits), a.low << bits};
    }
    friend constexpr U128 operator>>(U128 a, unsigned bits) noexcept {
        if (bits == 0)
            return a;
        if (bits >= 128)
            return {};
        if (bits >= 64)
            return {0, a.high >> (bits - 64)};
        return {a.high >> bits, a.low >> bits | a.high << (64 - bits)};
    }
    friend constexpr U128 operator+(U128 a, U128 b) noexcept {
        const std::uint64_t sum = a.low + b.low;
        return {a.high + b.high + (sum < a.low ? 1 : 0), sum};
    }
    friend constexpr U128 operator-(U128 a, U128 b) noexcept {
        return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
    }
    explicit constexpr operator bool() const noexcept { return (high | low) != 0; }
    constexpr int popcount() const noexcept { return std::popcount(high) + std::popcount(low); }
};

/// The lowest `bits` bits set, 0 to 128.
constexpr U128 low_bits(unsigned bits) noexcept {
    return bits == 0 ? U128{} : ~U128{} >> (128 - bits);
}

} // namespace weft
