// Which tuples a key may have an entry in, told by a few windows of its bits before any hash.
// (Pruning of tuples: Srinivasan, Suri, Varghese: Packet Classification using Tuple Space Search,
// SIGCOMM 1999; there the longest prefixes of the addresses tell.)
#pragma once

#include "base/lanes.hh"
#include "classifier/arena.hh"
#include "classifier/entry.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weft {

/// Neighbouring bits of one word of a key, as a number: where a filter looks.
struct Window {
    std::uint8_t word = 0;
    std::uint8_t shift = 0;
    friend bool operator==(const Window&, const Window&) = default;
};

/// What a filter looks at, chosen with the tuples (tuple_plan.hh). No window: no filter.
struct FilterPlan {
    std::vector<Window> windows;
    std::uint8_t bits = 0; // of each window
    bool apart = false;    // few lanes of a burst ask the same tuple: each goes its own way
};

/// Layout: for each window 2^bits sets of tuples, one for each number that a key may have there:
///
///     window 0: | set | set | ...      window 1: | set | ...        a set: bit t for tuple t
///
/// A key may have entries in a tuple that is in its set of every window. One writer adds while any
/// number of workers read.
///
/// Invariants: (1) a set has every tuple with an entry, of any generation that is held, that a key
/// of that number can match: the writer adds before the entry is in; (2) sets only grow; what left
/// is forgotten with the filter, for which another one is filled.
class TupleFilter {
public:
    static constexpr std::size_t windows_max = 3;
    static constexpr std::size_t tuples_max = 32;
    static constexpr std::uint8_t none = 0xff; // the number of a tuple that came too late for one
    using Set = std::uint32_t;

    explicit TupleFilter(const FilterPlan& plan);

    // -- readers
    /// sets[lane] = those of the tuples `among` in which keys[lane] may have entries, for each lane
    /// in `live`. Cost: a line for each window.
    void select(const FlowKey* keys, LaneMask live, Set among, Set* sets) const noexcept;
    Set select(const FlowKey& key) const noexcept;
    /// The lanes whose sets have the tuple, all if it has no number; for others than the live ones
    /// of select() anything.
    static LaneMask lanes_with(std::uint8_t tuple, const Set* sets) noexcept;

    // -- the writer
    /// For one tuple more, or `none`.
    std::uint8_t number() noexcept { return numbers_ < tuples_max ? numbers_++ : none; }
    /// Before the entry goes into the tuple. Cost: up to 2^spread_max sets a window, all of it once
    /// for each tuple and window.
    void add(std::uint8_t tuple, const Entry& entry) noexcept;
    const FilterPlan& plan() const noexcept { return plan_; }
    std::size_t lines() const noexcept { return plan_.windows.size(); } // that one lookup reads
    std::uint64_t memory_bytes() const noexcept;

    /// An entry that leaves more bits of a window open than this belongs to all sets of it.
    static constexpr int spread_max = 8;
    /// Calls visit(number) for each number of a window of `bits` bits that agrees with `value` in
    /// the bits of `known`; false, and no call, where more than `open_max` are open.
    template <class Visit>
    static bool
    spread(int bits, int open_max, std::uint64_t known, std::uint64_t value, Visit&& visit) {
        const std::uint64_t all = (std::uint64_t{1} << bits) - 1, open = all & ~known;
        if (std::popcount(open) > open_max)
            return false;
        std::uint64_t part = 0;
        do {
            visit((value & all & known) | part);
            part = (part - open) & open;
        } while (part != 0);
        return true;
    }

private:
    struct Table {
        Window window;
        Set open = 0; // the writer's: tuples in all sets, since an entry leaves the window open
        std::unique_ptr<std::atomic<Set>[], LinesDeleter> sets;
    };

    template <std::size_t windows>
    void select_of(const FlowKey* keys, LaneMask live, Set among, Set* sets) const noexcept;

    FilterPlan plan_;
    std::uint64_t index_mask_;
    std::array<Table, windows_max> tables_; // as many as there are windows
    std::uint8_t numbers_ = 0;
};

} // namespace weft
