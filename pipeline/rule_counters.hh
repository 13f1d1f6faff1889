// Rules' counters of one worker: one piece of memory, real as far as rules have used it, written by
// that worker alone.
#pragma once

#include "base/counter.hh"
#include "base/ids.hh"
#include "classifier/arena.hh"
#include "pipeline/program.hh"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weft {

/// Half a cache line, so that no rule's counters lie in two.
struct alignas(32) RuleCounters {
    Counter packets;
    Counter bytes;
    Counter used_ms;
};

/// The control thread calls prepare() before a rule with that counter is published, so that the
/// worker's first write meets a page that is there. A rule's counters are found from its program's
/// address alone: both have its id as their place.
class WorkerCounters {
public:
    WorkerCounters(std::size_t counters_max, const Program* programs)
        : lines_{counters_max * sizeof(RuleCounters) / cache_line + 1},
          first_{static_cast<RuleCounters*>(take_lines(lines_))},
          ahead_{
              reinterpret_cast<std::uint64_t>(first_) -
              reinterpret_cast<std::uint64_t>(programs) / programs_a_counter} {}
    ~WorkerCounters() { give_lines(first_, lines_); }
    WorkerCounters(const WorkerCounters&) = delete;
    WorkerCounters& operator=(const WorkerCounters&) = delete;

    /// So few that a core's cache has them anyway, and asking for them early costs more than it
    /// gives.
    bool stay_near() const noexcept {
        constexpr std::size_t near_bytes = std::size_t{128} << 10;
        return prepared_.load(std::memory_order_relaxed) <= near_bytes / sizeof(RuleCounters);
    }
    RuleCounters& of(CounterId id) const noexcept { return first_[index(id)]; }
    /// Where there is no rule, an address to prefetch at best.
    RuleCounters* of(Verdict verdict) const noexcept {
        return reinterpret_cast<RuleCounters*>(
            verdict.program_address() / programs_a_counter + ahead_
        );
    }
    void count(Verdict verdict, std::uint64_t bytes, std::uint64_t now_ms) const noexcept {
        RuleCounters& counters = *of(verdict);
        counters.packets.add(1);
        counters.bytes.add(bytes);
        counters.used_ms.set(now_ms);
    }
    void prepare(CounterId id) noexcept {
        constexpr std::size_t in_page = 4'096 / sizeof(RuleCounters);
        std::size_t at = prepared_.load(std::memory_order_relaxed);
        for (; at <= index(id); at += in_page)
            first_[at].packets.set(0);
        prepared_.store(at, std::memory_order_relaxed);
    }

private:
    static constexpr std::uint64_t programs_a_counter = sizeof(Program) / sizeof(RuleCounters);
    static_assert(sizeof(Program) % sizeof(RuleCounters) == 0);

    std::size_t lines_;
    RuleCounters* const first_;
    const std::uint64_t ahead_;             // of where a program's address, scaled, points
    std::atomic<std::size_t> prepared_ = 0; // no counter from here on has a page of its own yet
};

} // namespace weft
