// Tuple space search: one exact-match hash for each mask, probed in the order of the best rank in
// each, with early stop. (Srinivasan, Suri, Varghese: Packet Classification using Tuple Space
// Search, SIGCOMM 1999.)
#pragma once

#include "base/lanes.hh"
#include "base/reclaim.hh"
#include "classifier/entry.hh"
#include "classifier/tuple_hash.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weft {

/// The entries of one mask.
struct Tuple {
    Mask mask;
    TupleHash hash;
    /// No entry in here ranks higher. Widens at once, narrows only when an empty tuple leaves.
    std::atomic<Rank> best_rank{0};
    std::uint64_t entries = 0; // writer's

    Tuple(const Mask& of, std::uint64_t hash_key) : mask{of}, hash{mask, hash_key} {}
};

/// The rules of one table, every generation that is still held among them. One writer changes it in
/// place while any number of workers look up; the writer hands what is dead to the Reclaimer.
///
/// Invariants: (1) every entry that any held generation sees is in its tuple's hash; (2) the tuples
/// stand in the order of best_rank as of when the list was made, and each list states its bounds
/// itself; (3) while few entries exist (linear_max) the list also names all of them, best first,
/// and lookups read just those.
class TupleSpace {
public:
    static constexpr std::size_t linear_max = 7;

    /// Decides between entries of equal rank and equal values: true if a goes first.
    using Before = bool (*)(const Entry& a, const Entry& b);

    TupleSpace(Reclaimer& reclaimer, std::uint64_t hash_key, Before before);
    ~TupleSpace();
    TupleSpace(const TupleSpace&) = delete;
    TupleSpace& operator=(const TupleSpace&) = delete;

    /// An entry and its tuple's mask, which lives as long as the entry.
    struct Inserted {
        Entry* entry;
        const Mask* mask;
    };
    /// Puts an entry in; `born` lies in the future of every reader. `values` are those of `mask`,
    /// word by word.
    Inserted insert(
        const Mask& mask,
        std::span<const std::uint64_t> values,
        Rank rank,
        Generation born,
        const void* payload
    );
    /// The entry is seen up to and without generation `died`. Its memory leaves by remove() after
    /// the grace period.
    void expire(Entry& entry, Generation died) noexcept {
        entry.died.store(died, std::memory_order_relaxed);
    }
    /// Takes an expired entry out, once no reader can see it, and retires its memory.
    void remove(const Mask& mask, Entry& entry);

    /// Writes best[lane] = the best entry that key[lane] matches at generation g, or nullptr, for
    /// each lane in `live`. Pure; never allocates, waits or fails. Cost: one hash and about two
    /// cache lines for each lane and tuple probed.
    void
    lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best) const noexcept;
    /// One key; `visit(entry)` is called for every visible match until it returns false. For
    /// conjunctions and tools.
    template <class Visit>
    void for_each_match(const FlowKey& key, Generation g, Visit&& visit) const;
    const Entry* find(const FlowKey& key, Generation g) const noexcept;

    /// Every entry of every generation; the writer's.
    void for_each(const std::function<void(Entry&)>& visit) const {
        for (const auto& tuple : tuples_)
            tuple->hash.for_each(visit);
    }
    std::uint64_t entries() const noexcept { return entries_; }
    std::size_t tuples() const noexcept { return tuples_.size(); }
    bool is_linear() const noexcept { return !linear_.empty() || entries_ == 0; }
    /// The most buckets that one lookup can touch, from the rules alone.
    std::uint64_t probes_max() const noexcept;
    std::uint64_t memory_bytes() const noexcept;

private:
    struct Slot {
        Rank best_rank;
        const Tuple* tuple;
    };
    struct LinearSlot {
        const Entry* entry;
        const Mask* mask;
    };
    struct Parts { // what readers see, replaced as a whole
        bool linear = true;
        std::vector<LinearSlot> entries;
        std::vector<Slot> tuples;
    };

    Tuple& tuple_for(const Mask& mask);
    void publish_parts();
    void lookup_linear(
        const Parts& parts, const FlowKey* keys, LaneMask live, Generation g, const Entry** best
    ) const noexcept;

    Reclaimer& reclaimer_;
    std::uint64_t hash_key_;
    Before before_;
    std::atomic<const Parts*> parts_;
    // the writer's
    std::vector<std::unique_ptr<Tuple>> tuples_;
    std::vector<LinearSlot> linear_;
    std::uint64_t entries_ = 0;
};

inline bool matches(const FlowKey& key, const Mask& mask, const Entry& entry) noexcept {
    for (std::size_t i = 0; i < mask.count; ++i)
        if ((key.word[mask.word[i]] & mask.bits[i]) != entry.values()[i])
            return false;
    return true;
}

template <class Visit>
void TupleSpace::for_each_match(const FlowKey& key, Generation g, Visit&& visit) const {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    for (const Slot& slot : parts.tuples)
        for (const Entry* entry = slot.tuple->hash.find(key); entry != nullptr;
             entry = entry->next.load(std::memory_order_acquire))
            if (entry->visible(g) && !visit(*entry, slot.tuple->mask))
                return;
}

} // namespace weft
