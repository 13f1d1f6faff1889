// A burst's lanes: one bit per packet.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft {

inline constexpr std::size_t burst_max = 32;
using LaneMask = std::uint32_t;

constexpr LaneMask lane_bit(std::size_t lane) noexcept {
    return LaneMask{1} << lane;
}
constexpr LaneMask first_lanes(std::size_t count) noexcept {
    return count >= burst_max ? ~LaneMask{0} : lane_bit(count) - 1;
}

/// Iterates over the set bits of a mask: `for (const std::size_t lane : Lanes{burst.live})`.
class Lanes {
public:
    explicit constexpr Lanes(LaneMask mask) noexcept : mask_{mask} {}
    struct Iterator {
        LaneMask left;
        constexpr std::size_t operator*() const noexcept {
            return static_cast<unsigned>(std::countr_zero(left));
        }
        constexpr Iterator& operator++() noexcept {
            left &= left - 1;
            return *this;
        }
        constexpr bool operator!=(Iterator other) const noexcept { return left != other.left; }
    };
    constexpr Iterator begin() const noexcept { return {mask_}; }
    constexpr Iterator end() const noexcept { return {0}; }

private:
    LaneMask mask_;
};

/// The same for hot loops, `visit(lane)`: mostly the lanes are the first ones without a gap, and
/// then counting costs half of searching for bits.
template <class Visit>
inline void for_lanes(LaneMask mask, Visit&& visit) {
    if ((mask & (mask + 1)) == 0) [[likely]] {
        const auto count = static_cast<unsigned>(std::popcount(mask));
        for (std::size_t lane = 0; lane < count; ++lane)
            visit(lane);
    } else {
        for (const std::size_t lane : Lanes{mask})
            visit(lane);
    }
}

} // namespace weft
