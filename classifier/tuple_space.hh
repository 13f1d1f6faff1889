// Tuple space search with merged tuples: a few exact-match hashes, each under a mask that many
// forms of rules include, probed in the order of the best rank in each, with early stop; a filter
// tells before any hash which of them a key needs.
// (Srinivasan, Suri, Varghese: Packet Classification using Tuple Space Search, SIGCOMM 1999; Daly
// and others: TupleMerge, IEEE/ACM ToN 2019.)
#pragma once

#include "base/lanes.hh"
#include "base/reclaim.hh"
#include "classifier/arena.hh"
#include "classifier/direct_index.hh"
#include "classifier/entry.hh"
#include "classifier/forms.hh"
#include "classifier/linear.hh"
#include "classifier/tuple_filter.hh"
#include "classifier/tuple_hash.hh"
#include "classifier/tuple_plan.hh"
#include "classifier/tuple_probes.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace weft {

/// Entries whose forms include one mask.
struct Tuple {
    Mask mask;
    TupleHash hash;
    DirectIndex index{mask, hash}; // in front of it
    /// No entry in here ranks higher, or lower. Widen at once, narrow only when an empty tuple
    /// leaves.
    Rank best_rank = 0, worst_rank = ~Rank{0};
    Rank expected_rank = 0; // the best that it will have when it is filled
    bool is_exact = false;  // all entries that were ever in here ask for the mask and no more
    bool planned = false;
    bool leaving = false;                         // its entries move elsewhere
    bool listed = false;                          // readers probe it
    std::uint8_t number = TupleFilter::none;      // in the filter
    std::uint8_t next_number = TupleFilter::none; // in the one that is being filled

    Tuple(const Mask& of, std::uint64_t hash_key) : mask{of}, hash{mask, hash_key} {}
    void insert(const Entry& entry, Reclaimer& reclaimer) {
        hash.insert(entry, reclaimer);
        index.insert(entry, reclaimer);
    }
    /// False where the entry is not in here.
    bool remove(const Entry& entry, Reclaimer& reclaimer) {
        if (!hash.remove(entry, reclaimer))
            return false;
        index.remove(entry, reclaimer);
        return true;
    }
    void set_exact(bool exact, Reclaimer& reclaimer) {
        is_exact = exact;
        hash.set_exact(exact);
        index.set_exact(exact, reclaimer);
    }
    void forget_ranks() noexcept {
        best_rank = 0;
        worst_rank = ~Rank{0};
    }
};

/// The rules of one table, every generation that is still held among them. One writer changes it in
/// place while any number of workers look up; the writer hands what is dead to the Reclaimer.
///
/// Invariants: (1) every entry that any held generation sees is in a tuple that readers' list
/// names, or, while there are few (linear_max), in the list itself; (2) an entry's form includes
/// its tuple's mask; (3) lists name tuples in the order of their best ranks, and each states its
/// bounds itself. (4) A move puts an entry into its new tuple, publishes, and takes it out of the
/// old one after a grace period: in between a lookup may meet it twice. (5) Both filters, the one
/// that readers use and the one that is being filled, learn of an entry before its tuple does; the
/// second has everything when a sweep has been through all tuples, and takes the place of the
/// first. (6) What readers take for a chain is one: in each tuple the entries' only form is its
/// mask, and all that they see rank above those of the tuples that follow.
class TupleSpace {
public:
    static constexpr std::size_t linear_max = Linear::entries_max;
    static constexpr std::size_t tuples_max = 96;
    static constexpr std::size_t chain_max = 4; // tuples
    /// Entries under one hash beyond which an entry gets a more specific tuple, if there can be
    /// one.
    static constexpr std::size_t crowd_max = 24;

    /// Decides between entries of equal rank: true if a goes first.
    using Before = bool (*)(const Entry& a, const Entry& b);

    TupleSpace(Reclaimer& reclaimer, std::uint64_t hash_key, Before before);
    ~TupleSpace();
    TupleSpace(const TupleSpace&) = delete;
    TupleSpace& operator=(const TupleSpace&) = delete;

    // -- the writer
    /// Puts an entry in; `born` lies in the future of every reader. Cost: about one hash and one
    /// bucket, whatever is there.
    Entry* insert(const Pattern& pattern, Rank rank, Generation born, Payload payload);
    /// The entry is seen up to and without generation `died`. Its memory leaves by remove() after
    /// the grace period.
    void expire(Entry& entry, Generation died) noexcept {
        entry.died.store(died, std::memory_order_relaxed);
    }
    /// Takes an expired entry out, once no reader can see it, and retires its memory.
    void remove(Entry& entry);

    // -- the writer, in the background: other tuples, as the rules have become
    /// Whether a plan is due: there are half as many rules again as at the last one.
    bool wants_plan() const noexcept;
    TupleSample sample(std::size_t items, std::uint64_t seed) const;
    /// From now on entries go where the plan says; what is there already moves with move_some().
    void adopt(const TuplePlan& plan);
    /// One slice of moving, and of what hashes have left to do: looks at about `buckets` buckets.
    /// False where nothing is left to do now: all is done, or a grace period has to pass first.
    bool move_some(std::size_t buckets);
    bool is_moving() const noexcept { return *phase_ != Phase::settled; }

    // -- readers
    /// Writes best[lane] = the best entry that key[lane] matches at generation g, or nullptr, for
    /// each lane in `live`. Pure; never allocates, waits or fails. Cost: for each lane and tuple
    /// probed a hash and a line, for each candidate in it an entry and mostly a line.
    void
    lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best) const noexcept;
    /// The same, but writes what the entries are for: payload[lane] = the best entry's.
    void lookup_payloads(const FlowKey* keys, LaneMask live, Generation g, Payload* payload)
        const noexcept;
    /// One key; `visit(entry)` is called for every visible match until it returns false; while
    /// entries move it may be called twice for one. For conjunctions and tools.
    template <class Visit>
    void for_each_match(const FlowKey& key, Generation g, Visit&& visit) const;
    const Entry* find(const FlowKey& key, Generation g) const noexcept;

    /// No entry ranks higher; nothing where there is none. Widens at once.
    std::optional<Rank> best_rank() const noexcept {
        const Parts& parts = *parts_.load(std::memory_order_acquire);
        if (parts.tuple_count != 0)
            return parts.tuples[0].best_rank.load(std::memory_order_relaxed);
        const auto entries = parts.linear.entries();
        return entries.empty() ? std::nullopt : std::optional{entries.front()->rank};
    }

    /// Whether a wins over b where a key matches both.
    bool goes_first(const Entry& a, const Entry& b) const noexcept {
        return a.rank != b.rank ? a.rank > b.rank : before_(a, b);
    }

    // -- seeing inside
    /// Every entry of every generation, some maybe twice while they move; the writer's.
    void for_each(const std::function<void(const Entry&)>& visit) const;
    std::uint64_t entries() const noexcept { return entries_; }
    std::size_t tuples() const noexcept { return tuples_.size(); }
    bool is_linear() const noexcept { return is_linear_; }
    /// Its rules ask for exact values of few combinations of fields, each for what the ones before
    /// leave: no more than one of them is compared for a key and each combination.
    bool is_chain() const noexcept { return parts_.load(std::memory_order_relaxed)->is_chain; }
    /// A chain whose rules are found by their values in arrays, but for one that matches all.
    bool is_direct() const noexcept;
    /// What one lookup can come to at most, from the rules alone.
    struct Bound {
        std::uint64_t probes = 0;  // hashes
        std::uint64_t lines = 0;   // cache lines of buckets and entries
        std::uint64_t entries = 0; // that have to be verified
    };
    Bound bound() const;
    /// The same, or what it was before some entries left: a step for each tuple, where bound()
    /// walks over all buckets.
    Bound bound_at_most() const;
    /// What a lookup of this key comes to: the steps of lookup(), counted, bands left aside.
    Bound cost(const FlowKey& key, Generation g) const noexcept;
    std::uint64_t memory_bytes() const noexcept;
    /// Buckets that changes have looked at, in the tuples that are there.
    std::uint64_t walked() const noexcept;

private:
    struct Slot {
        std::atomic<Rank> best_rank;
        const Tuple* tuple;
        std::uint8_t number; // in the filter
    };
    struct Parts { // what readers see, replaced as a whole
        Linear linear;
        std::unique_ptr<Slot[]> tuples;
        std::size_t tuple_count = 0;
        bool is_chain = false;               // who matches in one tuple need not ask the next
        const TupleFilter* filter = nullptr; // or there is none
        std::unique_ptr<TupleProbes> probes; // of the tuples with a number in it
        bool has_others = false;             // tuples without one
        std::span<const Slot> slots() const noexcept { return {tuples.get(), tuple_count}; }
    };
    enum class Phase : std::uint8_t { settled, filling, waiting, sweeping };
    struct Lanewise; // what a lookup knows of each lane

    Tuple* home(const Form& form) noexcept;
    std::size_t room() const noexcept; // for so many tuples more
    Mask kind_of(const Mask& mask) const noexcept;
    Tuple& add_tuple(const Mask& mask);
    Tuple& target(const Entry& entry);
    bool is_in_better(const Entry& entry, const Tuple& than);
    void put(Tuple& tuple, const Entry& entry);
    void note_form(Tuple& tuple, const Form& form);
    void take_out(Entry& entry);
    void drop(Tuple& tuple);
    void begin_filter(const FilterPlan& plan);
    bool is_filter_stale() const noexcept;
    void list(Entry& entry);
    void become_hashed();
    void widen(Tuple& tuple, Rank rank);
    void publish_parts();
    std::size_t fill_bucket(Tuple& tuple, std::size_t bucket);
    std::size_t sweep_bucket(Tuple& tuple, std::size_t bucket);
    Bound bound_of(TupleHash::Worst (*worst)(const TupleHash&)) const;
    void end_phase();
    static bool make_chain(std::span<const Slot> slots) noexcept;
    template <class Result>
    void find_in_chain(
        const Parts& parts, const FlowKey* keys, LaneMask live, Generation g, Result* best
    ) const noexcept;
    const Entry* choose(const Tuple& tuple, const FlowKey& key, Generation g) const noexcept;

    Reclaimer& reclaimer_;
    std::uint64_t hash_key_;
    Before before_;
    std::atomic<const Parts*> parts_;
    // the writer's
    Forms forms_;
    std::shared_ptr<Arena> arena_; // entries that wait for their grace period hold it, too
    std::vector<std::unique_ptr<Tuple>> tuples_; // most specific first
    std::vector<const Entry*> linear_;
    bool is_linear_ = true;
    std::shared_ptr<TupleFilter> filter_, next_filter_; // or null
    std::uint64_t left_since_filter_ = 0; // entries that left since the filter began to be filled
    TupleHash::Bands bands_;
    std::uint64_t entries_ = 0;
    // moving
    std::shared_ptr<Phase> phase_ = std::make_shared<Phase>(Phase::settled);
    std::size_t move_tuple_ = 0;
    std::size_t move_bucket_ = 0;
    std::size_t move_buckets_ = 0; // of that tuple, when it was begun
    std::vector<const Entry*> move_entries_;
    std::uint64_t planned_entries_ = 0;
};

template <class Visit>
void TupleSpace::for_each_match(const FlowKey& key, Generation g, Visit&& visit) const {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    const auto offer = [&](const Entry& entry) {
        return !entry.visible(g) || !entry.matches(key) || visit(entry);
    };
    for (const std::size_t i : Lanes{parts.linear.candidates(key)})
        if (!offer(*parts.linear.entries()[i]))
            return;
    for (const Slot& slot : parts.slots()) {
        bool go_on = true;
        slot.tuple->hash.for_each_candidate(key, [&](const Entry& entry) {
            return go_on = offer(entry);
        });
        if (!go_on)
            return;
    }
}

} // namespace weft
