// The tuples of a filter as lookups walk them: in one step each lane of a burst probes a tuple of
// its own.
#pragma once

#include "classifier/tuple_filter.hh"
#include "classifier/tuple_hash.hh"

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace weft {

/// By the tuples' numbers in the filter, which follow the order of their best ranks as it was when
/// the filter was begun. Readers see it as a whole; while they do the writer only widens bounds.
///
/// Layout, for each number a line:
///
///   | bound | hash | bits[0..2] | word[0..2] | count |
///
/// Invariants: (1) bits and words are zero beyond `count`; (2) no entry of the tuple or of one with
/// a higher number ranks above `bound`.
class TupleProbes {
public:
    using Set = TupleFilter::Set;

    /// What is left to do for a burst.
    struct Walk {
        std::array<Set, burst_max> sets; // of each lane: the tuples to probe
        std::array<std::uint8_t, burst_max> lane;
        std::size_t count = 0; // lanes
    };

    // -- readers
    Set all() const noexcept { return all_; }
    Rank bound(std::size_t number) const noexcept {
        return tuple_[number].bound.load(std::memory_order_relaxed);
    }
    const TupleHash& hash(std::size_t number) const noexcept { return *tuple_[number].hash; }
    /// Each lane of the walk probes the first tuple of its set and takes it out; a lane that has no
    /// more, or where no more can rank at or above rank[lane], leaves the walk. Candidates are
    /// added and `flush()` is called as by TupleHash::collect(). `hash` is that of all tuples.
    template <class Flush>
    void step(
        Walk& walk,
        const FlowKey* keys,
        const Rank* rank,
        const KeyedHash& hash,
        TupleHash::Candidates& into,
        Flush&& flush
    ) const noexcept;

    // -- the writer
    void put(std::size_t number, const Mask& mask, const TupleHash& hash, Rank best_rank);
    void widen(std::size_t number, Rank rank) noexcept {
        for (std::size_t i = 0; i <= number; ++i)
            if (bound(i) < rank)
                tuple_[i].bound.store(rank, std::memory_order_relaxed);
    }

private:
    struct alignas(cache_line) Tuple {
        std::atomic<Rank> bound{0};
        const TupleHash* hash = nullptr;
        std::array<std::uint64_t, 3> bits{};
        std::array<std::uint8_t, 3> word{};
        std::uint8_t count = 0;
    };

    static std::uint64_t
    hash_of(const Tuple& tuple, const KeyedHash& hash, const FlowKey& key) noexcept {
        const auto word = [&](std::size_t i) { return key.word[tuple.word[i]] & tuple.bits[i]; };
        if (tuple.count <= 2) [[likely]]
            return hash(2, word);
        return tuple.count == 3 ? hash(3, word) : tuple.hash->hash(key);
    }

    std::array<Tuple, TupleFilter::tuples_max + 1> tuple_; // and one for no number
    Set all_ = 0;
};

inline void
TupleProbes::put(std::size_t number, const Mask& mask, const TupleHash& hash, Rank best_rank) {
    Tuple& tuple = tuple_[number];
    tuple.hash = &hash;
    tuple.count = mask.count;
    for (std::size_t i = 0; i < tuple.bits.size() && i < mask.count; ++i) {
        tuple.bits[i] = mask.bits[i];
        tuple.word[i] = mask.word[i];
    }
    all_ |= Set{1} << number;
    widen(number, best_rank);
}

template <class Flush>
void TupleProbes::step(
    Walk& walk,
    const FlowKey* keys,
    const Rank* rank,
    const KeyedHash& hash,
    TupleHash::Candidates& into,
    Flush&& flush
) const noexcept {
    std::array<const Tuple*, burst_max> tuples;
    std::size_t open = 0;
    for (std::size_t i = 0; i < walk.count; ++i) {
        const std::uint8_t lane = walk.lane[i];
        const Set set = walk.sets[lane];
        const Tuple& tuple = tuple_[static_cast<unsigned>(std::countr_zero(set))];
        tuples[open] = &tuple;
        walk.lane[open] = lane;
        walk.sets[lane] = set & (set - 1);
        open += static_cast<std::size_t>(
            (set != 0) & (rank[lane] <= tuple.bound.load(std::memory_order_relaxed))
        );
    }
    walk.count = open;
    struct Place {
        TupleHash::Aim aim;
        std::uint64_t band;
    };
    std::array<Place, burst_max> places;
    for (std::size_t i = 0; i < open; ++i) {
        const Tuple& tuple = *tuples[i];
        const std::size_t lane = walk.lane[i];
        const std::uint64_t h = hash_of(tuple, hash, keys[lane]);
        const TupleHash::Array& array = *tuple.hash->array_.load(std::memory_order_acquire);
        places[i] = {{array.buckets, array.count, h}, array.bands.of(rank[lane])};
    }
    std::size_t count = 0;
    for (std::size_t i = 0; i < open; ++i)
        count = TupleHash::note(places[i].aim, places[i].band, walk.lane[i], into, count, flush);
    into.count = count;
}

} // namespace weft
