#include "pipeline/rule_counters.hh"

namespace weft {

namespace {

constexpr std::size_t lines_for(std::size_t counters) noexcept {
    return counters * sizeof(RecentCounters) / cache_line + 1;
}

} // namespace

WorkerCounters::WorkerCounters(std::size_t counters_max, const Program* programs)
    : recent_memory_{take_lines(lines_for(counters_max)), {lines_for(counters_max)}},
      totals_memory_{take_lines(lines_for(counters_max)), {lines_for(counters_max)}},
      recent_{static_cast<RecentCounters*>(recent_memory_.get())},
      totals_{static_cast<Totals*>(totals_memory_.get())},
      ahead_{
          reinterpret_cast<std::uint64_t>(recent_) -
          reinterpret_cast<std::uint64_t>(programs) / programs_a_counter} {}

[[gnu::noinline]] void WorkerCounters::total_up(RecentCounters& recent) noexcept {
    Totals& totals = totals_[&recent - recent_];
    const auto add = [](std::atomic<std::uint64_t>& to, std::uint64_t more) {
        to.store(to.load(std::memory_order_relaxed) + more, std::memory_order_release);
    };
    const std::uint64_t count = recent.count.load(std::memory_order_relaxed);
    const std::uint64_t moves = moves_.load(std::memory_order_relaxed);
    moves_.store(moves + 1, std::memory_order_relaxed);
    add(totals.packets, count & RecentCounters::packets_bits);
    add(totals.bytes, count >> RecentCounters::bytes_shift);
    recent.count.store(0, std::memory_order_release);
    moves_.store(moves + 2, std::memory_order_release);
}

void WorkerCounters::prepare(CounterId id) noexcept {
    constexpr std::size_t in_page = 4'096 / sizeof(RecentCounters);
    std::size_t at = prepared_.load(std::memory_order_relaxed);
    for (; at <= index(id); at += in_page) {
        recent_[at].count.store(0, std::memory_order_relaxed);
        totals_[at].packets.store(0, std::memory_order_relaxed);
    }
    prepared_.store(at, std::memory_order_relaxed);
}

void WorkerCounters::clear(CounterId id) noexcept {
    recent_[index(id)].count.store(0, std::memory_order_relaxed);
    recent_[index(id)].used_ms.set(0);
    totals_[index(id)].packets.store(0, std::memory_order_relaxed);
    totals_[index(id)].bytes.store(0, std::memory_order_relaxed);
}

RowCounters WorkerCounters::read(CounterId id) const noexcept {
    const RecentCounters& recent = recent_[index(id)];
    const Totals& totals = totals_[index(id)];
    for (;;) {
        const std::uint64_t before = moves_.load(std::memory_order_acquire);
        const std::uint64_t count = recent.count.load(std::memory_order_acquire);
        const RowCounters sum{
            .packets = totals.packets.load(std::memory_order_acquire) +
                       (count & RecentCounters::packets_bits),
            .bytes = totals.bytes.load(std::memory_order_acquire) +
                     (count >> RecentCounters::bytes_shift),
            .used_ms = recent.used_ms.read(),
        };
        if (before % 2 == 0 && moves_.load(std::memory_order_relaxed) == before)
            return sum;
    }
}

} // namespace weft
