// How many packets of a port and class go to the control thread: token buckets that all workers
// share.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace weft {

struct PuntRate {
    std::uint32_t per_s = 1'000;
    std::uint32_t burst = 100;
};

/// One bucket per class (the punt's reason). A bucket is the time at which it will be full again
/// (GCRA), so a refused packet costs one load, and the shared line is written only as often as
/// packets pass. Any number of workers at once.
class PuntBuckets {
public:
    /// True if a packet of `reason` may pass at `now_ms`.
    bool take(std::uint8_t reason, std::uint64_t now_ms, PuntRate rate) noexcept {
        const std::uint64_t interval_us = 1'000'000 / (rate.per_s == 0 ? 1 : rate.per_s);
        const std::uint64_t depth_us = interval_us * rate.burst;
        const std::uint64_t now_us = now_ms * 1'000;
        auto& full_at = full_at_us_[reason];
        std::uint64_t at = full_at.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t next = (at > now_us ? at : now_us) + interval_us;
            if (rate.per_s == 0 || next > now_us + depth_us)
                return false;
            if (full_at.compare_exchange_weak(at, next, std::memory_order_relaxed))
                return true;
        }
    }

private:
    std::array<std::atomic<std::uint64_t>, 256> full_at_us_{};
};

} // namespace weft
