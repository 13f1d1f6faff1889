// The reading half of TupleSpace.
#include "base/select.hh"
#include "classifier/tuple_space.hh"

#include <bit>
#include <utility>

namespace weft {

struct TupleSpace::Lanewise {
    const FlowKey* keys;
    Generation generation;
    Before before;
    const Entry** best;
    std::array<Rank, burst_max> rank{}; // of best
    TupleHash::Candidates candidates;

    Lanewise(const FlowKey* of, Generation g, Before first, const Entry** into) noexcept
        : keys{of},
          generation{g},
          before{first},
          best{into} {}

    void settle() noexcept;
    bool goes_before_best(const Entry& entry, std::size_t lane) const noexcept {
        return best[lane] == nullptr || entry.rank > rank[lane] || before(entry, *best[lane]);
    }
};

/// Which candidates match and which of them win nobody can predict, so the common cases have no
/// branch for it: those that match stay in the list, then the winners are noted.
void TupleSpace::Lanewise::settle() noexcept {
    const std::size_t count = std::exchange(candidates.count, 0);
    const FlowKey* const of = keys;
    const Generation g = generation;
    std::size_t matching = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Entry* const entry = candidates.entry[i];
        if (entry == nullptr) [[unlikely]] // an empty slot with a signature of zeros
            continue;
        const std::uint8_t lane = candidates.lane[i];
        const bool matches = (entry->differs(of[lane]) == 0) & (entry->born <= g) &
                             (g < entry->died.load(std::memory_order_relaxed));
        candidates.entry[matching] = entry;
        candidates.lane[matching] = lane;
        matching += matches;
    }
    for (std::size_t i = 0; i < matching; ++i) {
        const Entry* const entry = candidates.entry[i];
        const std::size_t lane = candidates.lane[i];
        const Entry* const was = best[lane];
        const Rank so_far = rank[lane];
        const bool may_win = entry->rank >= so_far;
        const bool rare = (!entry->form->is_plain()) | ((entry->rank == so_far) & (was != nullptr));
        if (rare & may_win) [[unlikely]] {
            if (!entry->rest_matches(of[lane]) || !goes_before_best(*entry, lane))
                continue;
        }
        best[lane] = select(may_win, entry, was);
        rank[lane] = select(may_win, entry->rank, so_far);
    }
}

namespace {

/// The lanes whose rank is greater than the bound; a lane without an entry has rank 0.
LaneMask above(const Rank* rank, Rank bound) noexcept {
    LaneMask lanes = 0;
    for (std::size_t lane = 0; lane < burst_max; ++lane)
        lanes |= LaneMask{rank[lane] > bound} << lane;
    return lanes;
}

} // namespace

/// What wins in one tuple wins over all that follow. Often the last one is a default, of no words:
/// it matches every key, and one of them is asked for the burst.
template <class Result>
void TupleSpace::find_in_chain(
    const Parts& parts, const FlowKey* keys, LaneMask live, Generation g, Result* best
) const noexcept {
    LaneMask open = live;
    for (std::size_t i = 0; open != 0; ++i) {
        const Tuple& tuple = *parts.tuples[i].tuple;
        const auto one = [&](std::size_t lane) {
            return result_of<Result>(choose(tuple, keys[lane], g));
        };
        if (const DirectIndex::Slots* const slots = tuple.index.slots(); slots != nullptr) {
            DirectIndex::find(*slots, keys, open, g, best, one);
        } else if (tuple.mask.count != 0) {
            tuple.hash.find_exact(keys, open, g, best, one);
        } else {
            const Result for_all = one(static_cast<std::size_t>(std::countr_zero(open)));
            for_lanes(open, [&](std::size_t lane) { best[lane] = for_all; });
        }
        if (i + 1 == parts.tuple_count)
            return;
        LaneMask without = 0;
        for_lanes(open, [&](std::size_t lane) {
            without |= LaneMask{best[lane] == Result{}} << lane;
        });
        open = without;
    }
}

void TupleSpace::lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best)
    const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    if (parts.tuple_count == 0)
        return parts.linear.lookup(keys, live, g, best);
    if (parts.is_chain)
        return find_in_chain(parts, keys, live, g, best);
    for (const std::size_t lane : Lanes{live})
        best[lane] = nullptr;
    Lanewise lanes{keys, g, before_, best};
    const auto flush = [&] { lanes.settle(); };
    TupleProbes::Walk walk; // of all lanes at once, or its sets alone
    if (parts.filter != nullptr)
        parts.filter->select(keys, live, parts.probes->all(), walk.sets.data());
    const bool by_lane = parts.filter != nullptr && parts.filter->plan().apart;
    if (by_lane) {
        for (const std::size_t lane : Lanes{live})
            walk.lane[walk.count++] = static_cast<std::uint8_t>(lane);
        const KeyedHash hash{hash_key_};
        do {
            parts.probes->step(walk, keys, lanes.rank.data(), hash, lanes.candidates, flush);
            lanes.settle();
        } while (walk.count != 0);
        if (!parts.has_others)
            return;
    }
    LaneMask open = live;
    for (const Slot& slot : parts.slots()) {
        if (by_lane && slot.number != TupleFilter::none)
            continue;
        // Nothing from here on can win there.
        open &= ~above(lanes.rank.data(), slot.best_rank.load(std::memory_order_relaxed));
        if (open == 0)
            return;
        LaneMask asks = open;
        if (parts.filter != nullptr) {
            asks &= TupleFilter::lanes_with(slot.number, walk.sets.data());
            if (asks == 0)
                continue;
        }
        slot.tuple->hash.collect(keys, asks, lanes.rank.data(), lanes.candidates, flush);
        lanes.settle();
    }
}

void TupleSpace::lookup_payloads(const FlowKey* keys, LaneMask live, Generation g, Payload* payload)
    const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    if (parts.is_chain)
        return find_in_chain(parts, keys, live, g, payload);
    std::array<const Entry*, burst_max> best;
    lookup(keys, live, g, best.data());
    for_lanes(live, [&](std::size_t lane) { payload[lane] = result_of<Payload>(best[lane]); });
}

/// Of the candidates of one key the best: versions of one row, priorities of one match.
const Entry*
TupleSpace::choose(const Tuple& tuple, const FlowKey& key, Generation g) const noexcept {
    const Entry* best = nullptr;
    tuple.hash.for_each_candidate(key, [&](const Entry& entry) {
        if (entry.visible(g) && entry.matches(key) && (best == nullptr || goes_first(entry, *best)))
            best = &entry;
        return true;
    });
    return best;
}

const Entry* TupleSpace::find(const FlowKey& key, Generation g) const noexcept {
    const Entry* best = nullptr;
    lookup(&key, 1, g, &best);
    return best;
}

TupleSpace::Bound TupleSpace::cost(const FlowKey& key, Generation g) const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    Bound cost{
        .probes = 0, .lines = parts.tuple_count == 0 ? parts.linear.lines() : 0, .entries = 0};
    const Entry* best = nullptr;
    for (const std::size_t i : Lanes{parts.linear.candidates(key)}) {
        const Entry* const entry = parts.linear.entries()[i];
        ++cost.lines;
        ++cost.entries;
        if (entry->visible(g) && entry->matches(key)) {
            best = entry;
            break;
        }
    }
    const auto is_closed = [&](Rank bound) { return best != nullptr && best->rank > bound; };
    const auto probe = [&](const TupleHash& hash, const DirectIndex* index) {
        const DirectIndex::Slots* const slots = index != nullptr ? index->slots() : nullptr;
        const TupleHash::Worst here = slots != nullptr ? index->cost(*slots, key) : hash.cost(key);
        ++cost.probes;
        cost.lines += here.lines + here.candidates;
        cost.entries += here.candidates;
        hash.for_each_candidate(key, [&](const Entry& entry) {
            if (entry.visible(g) && entry.matches(key) &&
                (best == nullptr || goes_first(entry, *best)))
                best = &entry;
            return true;
        });
    };
    if (parts.filter != nullptr) {
        cost.lines += parts.filter->lines();
        for (const std::size_t number : Lanes{parts.filter->select(key) & parts.probes->all()}) {
            if (is_closed(parts.probes->bound(number)))
                break;
            probe(parts.probes->hash(number), nullptr);
        }
    }
    for (const Slot& slot : parts.slots()) {
        if (parts.filter != nullptr && slot.number != TupleFilter::none)
            continue;
        if (is_closed(slot.best_rank.load(std::memory_order_relaxed)))
            break;
        probe(slot.tuple->hash, parts.is_chain ? &slot.tuple->index : nullptr);
    }
    return cost;
}

} // namespace weft
