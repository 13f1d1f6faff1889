// Idle and hard timeouts of flows: who is to be looked at when, and who has to go.
#pragma once

#include "control/deadlines.hh"
#include "control/rows/row.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace weft {

/// Packets cost nothing here: a flow's counters are read when it could be idle for the first time,
/// and then again when the last packet seen so far would make it idle. Control thread only.
class Expiry {
public:
    struct Expired {
        RowPtr row;
        bool hard = false; // else idle
        RowCounters counters;
    };
    using Counters = std::function<RowCounters(const Row&)>;

    void watch(RowPtr row, std::uint32_t idle_s, std::uint32_t hard_s, std::uint64_t now_ms);
    /// The row leaves; nothing happens where it is not watched.
    void forget(Row& row);
    /// Looks at up to `max` flows whose time has come and returns those that are over; they are no
    /// longer watched.
    std::vector<Expired> take(std::uint64_t now_ms, std::size_t max, const Counters& counters);
    std::uint64_t next_ms() const noexcept { return deadlines_.next_ms(); }
    std::size_t size() const noexcept { return watched_.size(); }

private:
    struct Watched {
        RowPtr row;
        std::uint64_t idle_ms = 0; // 0: never
        std::uint64_t hard_at_ms = Deadlines<Row*>::never_ms;
        std::uint64_t since_ms = 0;
    };
    std::unordered_map<Row*, Watched> watched_;
    Deadlines<Row*> deadlines_;
};

} // namespace weft
