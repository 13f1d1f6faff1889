// Time as workers and control see it: milliseconds since start.
#pragma once

#include <atomic>
#include <cstdint>

namespace weft {

/// One for workers and control. Runs by the TSC, or stands still until it is advanced (--clock
/// manual). Any thread reads it; one thread advances it. A reading costs a division.
class Clock {
public:
    explicit Clock(bool manual) noexcept;

    /// At the TSC reading `tsc`, which a manual clock does not look at.
    std::uint64_t at(std::uint64_t tsc) const noexcept {
        if (manual_)
            return manual_ms_.load(std::memory_order_relaxed);
        return (tsc - start_tsc_) / tsc_per_ms_;
    }
    std::uint64_t now() const noexcept;
    /// Without effect on a clock that runs by itself.
    void advance(std::uint64_t ms) noexcept;

    std::uint64_t start_tsc() const noexcept { return start_tsc_; }
    std::uint64_t tsc_per_ms() const noexcept { return tsc_per_ms_; }

private:
    const bool manual_;
    const std::uint64_t start_tsc_;
    const std::uint64_t tsc_per_ms_;
    std::atomic<std::uint64_t> manual_ms_{0};
};

} // namespace weft
