#include "classifier/tuple_space.hh"

#include "base/check.hh"
#include "base/select.hh"

#include <algorithm>
#include <random>
#include <utility>

namespace weft {

bool greater(const Mask& a, const Mask& b) noexcept {
    std::size_t i = 0;
    for (; i < a.count && i < b.count; ++i) {
        if (a.word[i] != b.word[i])
            return a.word[i] < b.word[i]; // the other one has 0 in this word
        if (a.bits[i] != b.bits[i])
            return a.bits[i] > b.bits[i];
    }
    return i < a.count;
}

TupleSpace::TupleSpace(Reclaimer& reclaimer, std::uint64_t hash_key, Before before)
    : reclaimer_{reclaimer},
      hash_key_{hash_key},
      before_{before},
      parts_{new Parts},
      arena_{std::make_shared<Arena>()} {}

TupleSpace::~TupleSpace() {
    delete parts_.load(std::memory_order_relaxed);
}

// -- the writer

Entry* TupleSpace::insert(const Pattern& pattern, Rank rank, Generation born, const void* payload) {
    auto* entry = new (arena_->take(Entry::bytes(pattern.mask.count))) Entry;
    entry->born = born;
    entry->rank = rank;
    entry->payload = payload;
    entry->form = &forms_.use(pattern, rank);
    std::copy_n(pattern.value.begin(), pattern.mask.count, entry->values());
    ++entries_;
    if (is_linear_ && entries_ <= linear_max)
        list(*entry);
    else {
        if (is_linear_)
            become_hashed();
        put(target(*entry, pattern.mask), *entry);
    }
    return entry;
}

void TupleSpace::list(Entry& entry) {
    linear_.push_back(&entry);
    std::sort(linear_.begin(), linear_.end(), [&](const Entry* a, const Entry* b) {
        return a->rank != b->rank ? a->rank > b->rank : before_(*a, *b);
    });
    publish_parts();
}

/// Every entry of the list goes to a tuple; readers of the old list are not disturbed.
void TupleSpace::become_hashed() {
    for (const Entry* entry : linear_)
        put(target(*entry, entry->form->mask()), *entry);
    linear_.clear();
    is_linear_ = false;
    publish_parts();
}

Tuple* TupleSpace::home(const Mask& mask) const noexcept {
    for (const auto& tuple : tuples_)
        if (includes(mask, tuple->mask))
            return tuple.get();
    return nullptr;
}

std::size_t TupleSpace::room() const noexcept {
    const auto staying = std::count_if(tuples_.begin(), tuples_.end(), [](const auto& tuple) {
        return !tuple->leaving;
    });
    return tuples_max - std::min(tuples_max, static_cast<std::size_t>(staying));
}

Tuple& TupleSpace::add_tuple(const Mask& mask, bool planned) {
    auto tuple = std::make_unique<Tuple>(mask, hash_key_);
    tuple->planned = planned;
    tuple->hash.set_bands(bands_);
    if (filter_ != nullptr)
        tuple->number = filter_->number();
    if (next_filter_ != nullptr)
        tuple->next_number = next_filter_->number();
    const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& other) {
        return specificity(other->mask) < specificity(mask);
    });
    return **tuples_.insert(at, std::move(tuple));
}

/// Of a tuple for entries like this: the fewer more there may be, the coarser.
Mask TupleSpace::kind_of(const Mask& mask) const noexcept {
    const std::size_t left = room();
    return left > tuples_max / 2 ? rounded(mask, 8) : left > 0 ? rounded(mask, 16) : Mask{};
}

/// Where an entry goes: its home, or, where that is crowded under its hash, the next tuple of the
/// plan that is not, or a tuple of its own kind.
Tuple& TupleSpace::target(const Entry& entry, const Mask& mask) {
    Tuple* const found = home(mask);
    if (found == nullptr)
        return add_tuple(kind_of(mask), false);
    if (found->hash.alike(entry) < crowd_max)
        return *found;
    for (const auto& tuple : tuples_)
        if (tuple->planned && includes(mask, tuple->mask) && tuple->hash.alike(entry) < crowd_max)
            return *tuple;
    if (room() == 0)
        return *found;
    const Mask own = refined(found->mask, mask);
    if (specificity(own) <= specificity(found->mask))
        return *found;
    return add_tuple(own, false);
}

/// Before the entry is in: readers that take the short way know of no other form. The form's own
/// words are compared, since one that left may have had the same address.
void TupleSpace::note_form(Tuple& tuple, const Form& form) {
    const bool is_first = tuple.hash.entries() == 0 && !tuple.listed;
    const bool was_exact = tuple.is_exact;
    bool is_mask = form.range_count == 0 && form.count == tuple.mask.count;
    for (std::size_t i = 0; i < form.count && is_mask; ++i)
        is_mask = form.word_at(i) == tuple.mask.word[i] && form.bits()[i] == tuple.mask.bits[i];
    tuple.is_exact = is_mask && (is_first || was_exact);
    if (was_exact && !tuple.is_exact && tuple.listed)
        publish_parts();
}

void TupleSpace::put(Tuple& tuple, const Entry& entry) {
    note_form(tuple, *entry.form);
    if (filter_ != nullptr)
        filter_->add(tuple.number, entry);
    if (next_filter_ != nullptr)
        next_filter_->add(tuple.next_number, entry);
    tuple.hash.insert(entry, reclaimer_);
    if (!tuple.listed || entry.rank > tuple.best_rank)
        widen(tuple, entry.rank);
}

/// In readers' list, where its order stays right; else they get a new list.
void TupleSpace::widen(Tuple& tuple, Rank rank) {
    tuple.best_rank = std::max(tuple.best_rank, rank);
    if (is_linear_)
        return; // all are listed together, at the end
    const Parts& parts = *parts_.load(std::memory_order_relaxed);
    if (tuple.listed)
        for (std::size_t i = 0; i < parts.tuple_count; ++i)
            if (parts.tuples[i].tuple == &tuple &&
                (i == 0 || parts.tuples[i - 1].best_rank.load(std::memory_order_relaxed) >= rank)) {
                parts.tuples[i].best_rank.store(rank, std::memory_order_relaxed);
                return;
            }
    publish_parts();
}

void TupleSpace::remove(Entry& entry) {
    --entries_;
    ++left_since_filter_;
    bool found = std::erase(linear_, &entry) != 0;
    if (found)
        publish_parts();
    const Mask mask = entry.form->mask();
    for (std::size_t i = 0; i < tuples_.size() && (!found || is_moving()); ++i) {
        Tuple& tuple = *tuples_[i];
        if (!includes(mask, tuple.mask) || !tuple.hash.remove(entry, reclaimer_))
            continue;
        found = true;
        if (tuple.hash.entries() == 0 && !is_moving()) {
            drop_if_empty(tuple);
            break;
        }
    }
    check(found);
    forms_.leave(*entry.form, reclaimer_);
    const std::size_t bytes = Entry::bytes(mask.count);
    reclaimer_.retire([arena = arena_, dead = &entry, bytes] { arena->give(dead, bytes); });
    if (entries_ == 0 && !is_moving() && !is_linear_) { // begin anew
        for (auto& tuple : tuples_)
            reclaimer_.retire([dead = std::shared_ptr<Tuple>{std::move(tuple)}] {});
        tuples_.clear();
        is_linear_ = true;
        planned_entries_ = 0;
        const auto old = std::exchange(filter_, nullptr);
        publish_parts();
        reclaimer_.retire([old] {});
    }
}

void TupleSpace::drop_if_empty(Tuple& tuple) {
    const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& other) {
        return other.get() == &tuple;
    });
    tuple.best_rank = 0;
    tuple.listed = false;
    if (!tuple.planned) {
        reclaimer_.retire([dead = std::shared_ptr<Tuple>{std::move(*at)}] {});
        tuples_.erase(at);
    }
    publish_parts();
}

void TupleSpace::publish_parts() {
    auto parts = std::make_unique<Parts>();
    parts->linear = Linear{linear_};
    std::vector<Tuple*> order;
    for (const auto& tuple : tuples_) {
        tuple->listed = tuple->hash.entries() != 0;
        if (tuple->listed)
            order.push_back(tuple.get());
    }
    std::stable_sort(order.begin(), order.end(), [](const Tuple* a, const Tuple* b) {
        return a->best_rank > b->best_rank;
    });
    parts->tuples = std::make_unique<Slot[]>(order.size());
    parts->tuple_count = order.size();
    parts->is_exact = order.size() == 1 && order[0]->is_exact && linear_.empty();
    parts->filter = filter_.get();
    for (std::size_t i = 0; i < order.size(); ++i) {
        parts->tuples[i].best_rank.store(order[i]->best_rank, std::memory_order_relaxed);
        parts->tuples[i].tuple = order[i];
        parts->tuples[i].number = order[i]->number;
    }
    const Parts* old = parts_.exchange(parts.release(), std::memory_order_acq_rel);
    reclaimer_.retire([old] { delete old; });
}

// -- readers

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

    /// Whether a candidate wins nobody can predict, so the common case has no branch for it.
    void settle() noexcept {
        const std::size_t count = std::exchange(candidates.count, 0);
        const FlowKey* const of = keys;
        const Generation g = generation;
        for (std::size_t i = 0; i < count; ++i) {
            const Entry* const entry = candidates.entry[i];
            if (entry == nullptr) [[unlikely]] // an empty slot with a signature of zeros
                continue;
            const std::size_t lane = candidates.lane[i];
            const Entry* const was = best[lane];
            const Rank so_far = rank[lane];
            const bool may_win = (entry->differs(of[lane]) == 0) & (entry->rank >= so_far) &
                                 (entry->born <= g) &
                                 (g < entry->died.load(std::memory_order_relaxed));
            const bool rare =
                (!entry->form->is_plain()) | ((entry->rank == so_far) & (was != nullptr));
            if (rare & may_win) [[unlikely]] {
                if (!entry->rest_matches(of[lane]) || !goes_before_best(*entry, lane))
                    continue;
            }
            best[lane] = select(may_win, entry, was);
            rank[lane] = select(may_win, entry->rank, so_far);
        }
    }
    bool goes_before_best(const Entry& entry, std::size_t lane) const noexcept {
        return best[lane] == nullptr || entry.rank > rank[lane] || before(entry, *best[lane]);
    }
};

/// The lanes whose rank is greater than the bound; a lane without an entry has rank 0.
LaneMask above(const Rank* rank, Rank bound) noexcept {
    LaneMask lanes = 0;
    for (std::size_t lane = 0; lane < burst_max; ++lane)
        lanes |= LaneMask{rank[lane] > bound} << lane;
    return lanes;
}

void TupleSpace::lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best)
    const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    if (parts.tuple_count == 0)
        return parts.linear.lookup(keys, live, g, best);
    if (parts.is_exact)
        return parts.tuples[0].tuple->hash.find_exact(keys, live, g, best, [&](std::size_t lane) {
            return choose(*parts.tuples[0].tuple, keys[lane], g);
        });
    for (const std::size_t lane : Lanes{live})
        best[lane] = nullptr;
    Lanewise lanes{keys, g, before_, best};
    LaneMask open = live;
    std::array<TupleFilter::Set, burst_max> sets; // of the lanes that live
    if (parts.filter != nullptr)
        parts.filter->select(keys, live, sets.data());
    for (const Slot& slot : parts.slots()) {
        const Rank bound = slot.best_rank.load(std::memory_order_relaxed);
        open &= ~above(lanes.rank.data(), bound); // nothing from here on can win there
        if (open == 0)
            return;
        LaneMask asks = open;
        if (parts.filter != nullptr) {
            asks &= TupleFilter::lanes_with(slot.number, sets.data());
            if (asks == 0)
                continue;
        }
        slot.tuple->hash.collect(keys, asks, lanes.rank.data(), lanes.candidates, [&] {
            lanes.settle();
        });
        lanes.settle();
    }
}

namespace {

const void* payload_of(const Entry* entry) noexcept {
    return entry == nullptr ? nullptr : entry->payload;
}

} // namespace

void TupleSpace::lookup_payloads(
    const FlowKey* keys, LaneMask live, Generation g, const void** payload
) const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    if (parts.is_exact)
        return parts.tuples[0]
            .tuple->hash.find_exact(keys, live, g, payload, [&](std::size_t lane) {
                return payload_of(choose(*parts.tuples[0].tuple, keys[lane], g));
            });
    std::array<const Entry*, burst_max> best;
    lookup(keys, live, g, best.data());
    for_lanes(live, [&](std::size_t lane) { payload[lane] = payload_of(best[lane]); });
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

// -- seeing inside

void TupleSpace::for_each(const std::function<void(const Entry&)>& visit) const {
    std::vector<const Entry*> found = linear_;
    for (const auto& tuple : tuples_)
        for (std::size_t bucket = 0; bucket < tuple->hash.buckets(); ++bucket)
            tuple->hash.entries_of(bucket, found);
    for (const Entry* entry : found)
        visit(*entry);
}

TupleSpace::Bound TupleSpace::bound() const {
    return bound_of([](const TupleHash& hash) { return hash.worst(); });
}

TupleSpace::Bound TupleSpace::bound_at_most() const {
    return bound_of([](const TupleHash& hash) { return hash.worst_at_most(); });
}

TupleSpace::Bound TupleSpace::bound_of(TupleHash::Worst (*worst_of)(const TupleHash&)) const {
    Bound bound;
    if (is_linear_) {
        const Linear& linear = parts_.load(std::memory_order_relaxed)->linear;
        bound.entries = linear.most_candidates();
        bound.lines = linear.lines() + bound.entries;
    }
    for (const auto& tuple : tuples_) {
        if (tuple->hash.entries() == 0 && !tuple->listed)
            continue; // one that a move has emptied is probed until it leaves the list
        const TupleHash::Worst worst = worst_of(tuple->hash);
        ++bound.probes;
        bound.lines += worst.lines + worst.candidates;
        bound.entries += worst.candidates;
    }
    if (filter_ != nullptr)
        bound.lines += filter_->lines();
    return bound;
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
    TupleFilter::Set tuples = ~TupleFilter::Set{0};
    if (parts.filter != nullptr) {
        tuples = parts.filter->select(key);
        cost.lines += parts.filter->lines();
    }
    for (const Slot& slot : parts.slots()) {
        if (slot.number != TupleFilter::none && (tuples >> slot.number & 1) == 0)
            continue;
        if (best != nullptr && best->rank > slot.best_rank.load(std::memory_order_relaxed))
            break;
        const TupleHash::Worst here = slot.tuple->hash.cost(key);
        ++cost.probes;
        cost.lines += here.lines + here.candidates;
        cost.entries += here.candidates;
        const Entry* const found = choose(*slot.tuple, key, g);
        if (found != nullptr && (best == nullptr || goes_first(*found, *best)))
            best = found;
    }
    return cost;
}

std::uint64_t TupleSpace::walked() const noexcept {
    std::uint64_t buckets = 0;
    for (const auto& tuple : tuples_)
        buckets += tuple->hash.walked();
    return buckets;
}

std::uint64_t TupleSpace::memory_bytes() const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_relaxed);
    std::uint64_t bytes = sizeof *this + arena_->memory_bytes() + forms_.memory_bytes() +
                          sizeof parts + parts.linear.memory_bytes();
    for (const auto& tuple : tuples_)
        bytes += sizeof(Tuple) + tuple->hash.memory_bytes();
    for (const auto& filter : {filter_, next_filter_})
        bytes += filter != nullptr ? filter->memory_bytes() : 0;
    return bytes;
}

} // namespace weft
