// Rules' counters of one worker: memory that is real as far as rules have used it, written by that
// worker alone.
#pragma once

#include "base/counter.hh"
#include "base/ids.hh"
#include "classifier/arena.hh"
#include "pipeline/program.hh"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace weft {

/// What a worker writes for each packet; four of them in a cache line, since of many rules each
/// packet finds another one's far away.
///
///   | bytes 40 | packets 24 |
///   | used_ms               |
///
/// When the packets or the bytes have reached half of what there is room for, both go to the
/// rule's Totals.
struct alignas(16) RecentCounters {
    static constexpr unsigned bytes_shift = 24;
    static constexpr std::uint64_t packets_bits = (std::uint64_t{1} << bytes_shift) - 1;
    static constexpr std::uint64_t half_full = std::uint64_t{1} << 63 | std::uint64_t{1}
                                                                            << (bytes_shift - 1);

    /// Written with release, as Totals are: who reads what a move wrote sees that it had begun.
    std::atomic<std::uint64_t> count{0};
    Counter used_ms;
};

/// The control thread calls prepare() before a rule with that counter is published, so that the
/// worker's first write meets a page that is there. A rule's counters are found from its program's
/// address alone: both have its id as their place.
class WorkerCounters {
public:
    WorkerCounters(std::size_t counters_max, const Program* programs);
    WorkerCounters(const WorkerCounters&) = delete;
    WorkerCounters& operator=(const WorkerCounters&) = delete;

    // -- the worker
    /// So few that a core's cache has them anyway, and asking for them early costs more than it
    /// gives.
    bool stay_near() const noexcept {
        constexpr std::size_t near_bytes = std::size_t{128} << 10;
        return prepared_.load(std::memory_order_relaxed) <= near_bytes / sizeof(RecentCounters);
    }
    /// Where there is no rule, an address to prefetch at best.
    RecentCounters* of(Verdict verdict) const noexcept {
        return reinterpret_cast<RecentCounters*>(
            verdict.program_address() / programs_a_counter + ahead_
        );
    }
    /// A packet of at most 2^32 bytes.
    void count(Verdict verdict, std::uint64_t bytes, std::uint64_t now_ms) noexcept {
        RecentCounters& recent = *of(verdict);
        recent.used_ms.set(now_ms);
        const std::uint64_t count = recent.count.load(std::memory_order_relaxed) +
                                    (bytes << RecentCounters::bytes_shift) + 1;
        recent.count.store(count, std::memory_order_release);
        if ((count & RecentCounters::half_full) != 0) [[unlikely]]
            total_up(recent);
    }

    // -- the control thread
    void prepare(CounterId id) noexcept;
    /// Where nobody counts with it any more.
    void clear(CounterId id) noexcept;
    RowCounters read(CounterId id) const noexcept;

private:
    struct Totals {
        std::atomic<std::uint64_t> packets{0};
        std::atomic<std::uint64_t> bytes{0};
    };
    static constexpr std::uint64_t programs_a_counter = sizeof(Program) / sizeof(RecentCounters);
    static_assert(sizeof(Program) % sizeof(RecentCounters) == 0);
    static_assert(sizeof(Totals) == sizeof(RecentCounters));

    void total_up(RecentCounters& recent) noexcept;

    std::unique_ptr<void, LinesDeleter> recent_memory_, totals_memory_;
    RecentCounters* const recent_;
    Totals* const totals_;
    const std::uint64_t ahead_;             // of where a program's address, scaled, points
    std::atomic<std::size_t> prepared_ = 0; // no counter from here on has a page of its own yet
    /// Odd while recent counts become totals (a sequence lock: Boehm, Can seqlocks get along with
    /// programming language memory models?, MSPC 2012): a reader that meets it reads again.
    std::atomic<std::uint64_t> moves_ = 0;
};

} // namespace weft
