// A worker's books: what came, what was made, and where each packet went.
#pragma once

#include "base/drop.hh"

#include <array>
#include <atomic>
#include <cstdint>

namespace weft {

/// A number with one writer. Release and acquire (free on x86) keep the order that Ledger's readers
/// rely on.
class Tally {
public:
    void add(std::uint64_t n) noexcept { set(value_.load(std::memory_order_relaxed) + n); }
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_release); }
    std::uint64_t read() const noexcept { return value_.load(std::memory_order_acquire); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// What one burst adds to the books, or what the books say: received + made == sent + dropped +
/// taken + handed.
struct Account {
    std::uint64_t received = 0;
    std::uint64_t made = 0;   // copies, packet-outs
    std::uint64_t sent = 0;   // accepted by a device
    std::uint64_t taken = 0;  // punted
    std::uint64_t handed = 0; // given to the worker that owns the transmit queue; its outcome
                              // stands in the ring's books
    std::array<std::uint64_t, drop_count> dropped{};
    std::uint64_t drop_reasons = 0; // bit per reason with a number in `dropped`

    void drop(Drop reason, std::uint64_t count = 1) noexcept {
        dropped[static_cast<std::size_t>(reason)] += count;
        drop_reasons |= std::uint64_t{1} << static_cast<unsigned>(reason);
    }
    std::uint64_t dropped_in_all() const noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : dropped)
            sum += count;
        return sum;
    }
};
static_assert(drop_count <= 64);

/// One worker's books. The worker posts each burst whole, when the last of its packets has found
/// its place, so whoever reads sees books that close. (1) `sequence` is odd while a posting is
/// under way; (2) a reading between two equal even numbers is whole.
class Ledger {
public:
    /// Adds `burst` and clears it. The worker alone. Cost: a few stores a burst.
    void post(Account& burst) noexcept {
        const std::uint64_t sequence = sequence_.read();
        sequence_.set(sequence + 1);
        received_.add(burst.received);
        sent_.add(burst.sent);
        if ((burst.made | burst.taken | burst.handed | burst.drop_reasons) != 0)
            post_rest(burst);
        sequence_.set(sequence + 2);
        burst.received = 0;
        burst.sent = 0;
    }
    /// Any thread. Waits for a posting under way, some nanoseconds.
    Account read() const noexcept;

private:
    void post_rest(Account& burst) noexcept;

    Tally sequence_;
    Tally received_, made_, sent_, taken_, handed_;
    std::array<Tally, drop_count> dropped_;
};

} // namespace weft
