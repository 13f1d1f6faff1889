// Which priority goes with which prefix length.
#pragma once

#include "classifier/entry.hh"

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace weft {

/// Rules of one kind may be found by longest prefix alone where a longer prefix never has a lower
/// priority and all prefixes of one length have the same: between equal priorities the longer one
/// ranks higher by its bits.
///
/// Invariant: of the lengths in use, priorities ascend with the length.
class PrefixRanks {
public:
    /// `other_bits`: that each rule asks for beside its prefix.
    explicit PrefixRanks(std::size_t other_bits) noexcept : other_bits_{other_bits} {}

    // -- the writer
    bool admits(unsigned length, std::uint32_t priority) const noexcept {
        if (uses_[length] != 0)
            return priorities_[length] == priority;
        const unsigned below = next_below(length), above = next_above(length);
        return (below == none || priorities_[below] <= priority) &&
               (above == none || priorities_[above] >= priority);
    }
    /// One more that admits() lets in.
    void enter(unsigned length, std::uint32_t priority) noexcept {
        if (uses_[length]++ != 0)
            return;
        priorities_[length] = priority;
        used_[length / 64] |= std::uint64_t{1} << length % 64;
        state_bounds();
    }
    /// Once no reader can see it.
    void leave(unsigned length) noexcept {
        if (--uses_[length] != 0)
            return;
        used_[length / 64] &= ~(std::uint64_t{1} << length % 64);
        state_bounds();
    }
    bool empty() const noexcept { return (used_[0] | used_[1] | used_[2]) == 0; }

    // -- readers: no rule that any of them sees lies outside
    Rank best() const noexcept { return best_.load(std::memory_order_relaxed); }
    Rank worst() const noexcept { return worst_.load(std::memory_order_relaxed); }

private:
    static constexpr unsigned lengths = 129;
    static constexpr unsigned none = lengths;

    unsigned next_below(unsigned length) const noexcept {
        for (unsigned word = length / 64 + 1; word-- != 0;) {
            const unsigned from = word == length / 64 ? length % 64 : 64;
            const std::uint64_t set = from == 64 ? used_[word] : used_[word] & ((1ull << from) - 1);
            if (set != 0)
                return word * 64 + 63 - static_cast<unsigned>(std::countl_zero(set));
        }
        return none;
    }
    unsigned next_above(unsigned length) const noexcept {
        for (unsigned word = length / 64; word < used_.size(); ++word) {
            const std::uint64_t set =
                word == length / 64 ? used_[word] & ~(~0ull >> (63 - length % 64)) : used_[word];
            if (set != 0)
                return word * 64 + static_cast<unsigned>(std::countr_zero(set));
        }
        return none;
    }
    void state_bounds() noexcept {
        if (empty())
            return;
        const unsigned longest = next_below(lengths - 1 + 1);
        const unsigned shortest = uses_[0] != 0 ? 0 : next_above(0);
        best_.store(rank_of(longest), std::memory_order_relaxed);
        worst_.store(rank_of(shortest), std::memory_order_relaxed);
    }
    Rank rank_of(unsigned length) const noexcept {
        return make_rank(priorities_[length], other_bits_ + length);
    }

    std::size_t other_bits_;
    std::array<std::uint32_t, lengths> priorities_{};
    std::array<std::uint32_t, lengths> uses_{};
    std::array<std::uint64_t, 3> used_{};
    std::atomic<Rank> best_{0};
    std::atomic<Rank> worst_{0};
};

} // namespace weft
