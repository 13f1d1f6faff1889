#include "control/expiry.hh"

#include <algorithm>

namespace weft {

void Expiry::watch(RowPtr row, std::uint32_t idle_s, std::uint32_t hard_s, std::uint64_t now_ms) {
    Watched watched{.row = std::move(row), .idle_ms = std::uint64_t{idle_s} * 1'000};
    watched.since_ms = now_ms;
    if (hard_s != 0)
        watched.hard_at_ms = now_ms + std::uint64_t{hard_s} * 1'000;
    const std::uint64_t idle_at =
        watched.idle_ms == 0 ? Deadlines<Row*>::never_ms : now_ms + watched.idle_ms;
    Row* key = watched.row.get();
    deadlines_.set(key, std::min(idle_at, watched.hard_at_ms));
    watched_.insert_or_assign(key, std::move(watched));
}

void Expiry::forget(Row& row) {
    if (watched_.erase(&row) != 0)
        deadlines_.erase(&row);
}

std::vector<Expiry::Expired>
Expiry::take(std::uint64_t now_ms, std::size_t max, const Counters& counters) {
    std::vector<Expired> expired;
    for (Row* key : deadlines_.take(now_ms, max)) {
        Watched& watched = watched_.at(key);
        const RowCounters used = counters(*key);
        // A worker's clock may be a burst ahead of ours.
        const std::uint64_t last_ms = std::max(watched.since_ms, std::min(used.used_ms, now_ms));
        const bool hard = now_ms >= watched.hard_at_ms;
        const bool idle = watched.idle_ms != 0 && now_ms - last_ms >= watched.idle_ms;
        if (hard || idle) {
            expired.push_back({std::move(watched.row), hard, used});
            watched_.erase(key);
            continue;
        }
        const std::uint64_t idle_at =
            watched.idle_ms == 0 ? Deadlines<Row*>::never_ms : last_ms + watched.idle_ms;
        deadlines_.set(key, std::min(idle_at, watched.hard_at_ms));
    }
    return expired;
}

} // namespace weft
