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
    const std::uint64_t count = recent.count.read();
    const std::uint64_t moves = moves_.load(std::memory_order_relaxed);
    moves_.store(moves + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    totals.packets.add(count & RecentCounters::packets_bits);
    totals.bytes.add(count >> RecentCounters::bytes_shift);
    recent.count.set(0);
    moves_.store(moves + 2, std::memory_order_release);
}

void WorkerCounters::prepare(CounterId id) noexcept {
    constexpr std::size_t in_page = 4'096 / sizeof(RecentCounters);
    std::size_t at = prepared_.load(std::memory_order_relaxed);
    for (; at <= index(id); at += in_page) {
        recent_[at].count.set(0);
        totals_[at].packets.set(0);
    }
    prepared_.store(at, std::memory_order_relaxed);
}

void WorkerCounters::clear(CounterId id) noexcept {
    recent_[index(id)].count.set(0);
    recent_[index(id)].used_ms.set(0);
    totals_[index(id)].packets.set(0);
    totals_[index(id)].bytes.set(0);
}

RowCounters WorkerCounters::read(CounterId id) const noexcept {
    const RecentCounters& recent = recent_[index(id)];
    const Totals& totals = totals_[index(id)];
    for (;;) {
        const std::uint64_t before = moves_.load(std::memory_order_acquire);
        const std::uint64_t count = recent.count.read();
        const RowCounters sum{
            .packets = totals.packets.read() + (count & RecentCounters::packets_bits),
            .bytes = totals.bytes.read() + (count >> RecentCounters::bytes_shift),
            .used_ms = recent.used_ms.read(),
        };
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && moves_.load(std::memory_order_relaxed) == before)
            return sum;
    }
}

} // namespace weft
