// How many packets may still be read from a port: none of a held one, n after release(n), any
// number otherwise.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace weft {

/// One word: | times it was set, 16 bits | packets, 48 bits, all ones: no limit |. Workers take
/// from it before they read and give back what the device did not have, so that exactly so many
/// packets are read however many workers poll the port's queues. What was taken before a set() is
/// not given back after it. Control sets, workers take; any number at once.
class RxBudget {
public:
    static constexpr std::uint64_t unlimited = (std::uint64_t{1} << 48) - 1;

    struct Share {
        std::uint16_t packets;
        bool limited;
        std::uint16_t set;
    };

    void set(std::uint64_t packets) noexcept {
        const std::uint64_t next = (word_.load(std::memory_order_relaxed) >> 48) + 1;
        word_.store(next << 48 | std::min(packets, unlimited), std::memory_order_release);
    }
    /// Without effect where there is no limit.
    void add(std::uint64_t packets) noexcept {
        change([packets](std::uint64_t left) { return std::min(left + packets, unlimited - 1); });
    }
    std::uint64_t left() const noexcept {
        return word_.load(std::memory_order_acquire) & unlimited;
    }

    /// At most `wanted`. Cost where there is no limit: one load.
    Share take(std::uint16_t wanted) noexcept {
        const std::uint64_t now = word_.load(std::memory_order_relaxed);
        if ((now & unlimited) == unlimited) [[likely]]
            return {wanted, false, 0};
        return take_limited(wanted);
    }
    void give_back(Share share, std::uint16_t unused) noexcept {
        if (share.limited && unused != 0)
            change([unused](std::uint64_t left) { return left + unused; }, share.set, true);
    }

private:
    Share take_limited(std::uint16_t wanted) noexcept {
        std::uint64_t now = word_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t left = now & unlimited;
            if (left == unlimited)
                return {wanted, false, 0};
            const auto packets = static_cast<std::uint16_t>(std::min<std::uint64_t>(left, wanted));
            if (packets == 0 ||
                word_.compare_exchange_weak(now, now - packets, std::memory_order_acq_rel))
                return {packets, true, static_cast<std::uint16_t>(now >> 48)};
        }
    }
    template <class Change>
    void change(Change&& to, std::uint16_t only_set = 0, bool check_set = false) noexcept {
        std::uint64_t now = word_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t left = now & unlimited;
            if (left == unlimited ||
                (check_set && static_cast<std::uint16_t>(now >> 48) != only_set))
                return;
            const std::uint64_t next = (now & ~unlimited) | to(left);
            if (word_.compare_exchange_weak(now, next, std::memory_order_acq_rel))
                return;
        }
    }

    std::atomic<std::uint64_t> word_{unlimited};
};

} // namespace weft
