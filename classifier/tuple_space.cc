#include "classifier/tuple_space.hh"

#include "base/check.hh"

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

Entry* TupleSpace::insert(const Pattern& pattern, Rank rank, Generation born, Payload payload) {
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
        put(target(*entry), *entry);
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
        put(target(*entry), *entry);
    linear_.clear();
    is_linear_ = false;
    publish_parts();
}

/// The same for all entries of a form until tuples come, go or change places.
Tuple* TupleSpace::home(const Form& form) noexcept {
    std::size_t at = forms_.note_of(form);
    if (at == Forms::nothing) {
        const Mask mask = form.mask();
        at = 0;
        while (at < tuples_.size() && !includes(mask, tuples_[at]->mask))
            ++at;
        forms_.note(form, static_cast<std::uint16_t>(at));
    }
    return at < tuples_.size() ? tuples_[at].get() : nullptr;
}

std::size_t TupleSpace::room() const noexcept {
    const auto staying = std::count_if(tuples_.begin(), tuples_.end(), [](const auto& tuple) {
        return !tuple->leaving;
    });
    return tuples_max - std::min(tuples_max, static_cast<std::size_t>(staying));
}

Tuple& TupleSpace::add_tuple(const Mask& mask) {
    auto tuple = std::make_unique<Tuple>(mask, hash_key_);
    tuple->hash.set_bands(bands_);
    if (filter_ != nullptr)
        tuple->number = filter_->number();
    if (next_filter_ != nullptr)
        tuple->next_number = next_filter_->number();
    const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& other) {
        return specificity(other->mask) < specificity(mask);
    });
    forms_.forget_notes();
    return **tuples_.insert(at, std::move(tuple));
}

/// Of a tuple for entries like this: the fewer more there may be, the coarser.
Mask TupleSpace::kind_of(const Mask& mask) const noexcept {
    const std::size_t left = room();
    return left > tuples_max / 2 ? rounded(mask, 8) : left > 0 ? rounded(mask, 16) : Mask{};
}

/// Where an entry goes: its home, or, where that is crowded under its hash, the next tuple of the
/// plan that is not, or a tuple of its own kind.
Tuple& TupleSpace::target(const Entry& entry) {
    Tuple* const found = home(*entry.form);
    if (found != nullptr && found->hash.alike(entry) < crowd_max)
        return *found;
    const Mask mask = entry.form->mask();
    if (found == nullptr)
        return add_tuple(kind_of(mask));
    for (const auto& tuple : tuples_)
        if (tuple->planned && includes(mask, tuple->mask) && tuple->hash.alike(entry) < crowd_max)
            return *tuple;
    if (room() == 0)
        return *found;
    const Mask own = refined(found->mask, mask);
    if (specificity(own) <= specificity(found->mask))
        return *found;
    return add_tuple(own);
}

/// Before the entry is in: readers that take the short way know of no other form. The form's own
/// words are compared, since one that left may have had the same address.
void TupleSpace::note_form(Tuple& tuple, const Form& form) {
    const bool is_first = tuple.hash.entries() == 0 && !tuple.listed;
    const bool was_exact = tuple.is_exact;
    bool is_mask = form.range_count == 0 && form.count == tuple.mask.count;
    for (std::size_t i = 0; i < form.count && is_mask; ++i)
        is_mask = form.word_at(i) == tuple.mask.word[i] && form.bits()[i] == tuple.mask.bits[i];
    tuple.set_exact(is_mask && (is_first || was_exact), reclaimer_);
    if (was_exact && !tuple.is_exact && tuple.listed)
        publish_parts();
}

void TupleSpace::put(Tuple& tuple, const Entry& entry) {
    note_form(tuple, *entry.form);
    if (filter_ != nullptr)
        filter_->add(tuple.number, entry);
    if (next_filter_ != nullptr)
        next_filter_->add(tuple.next_number, entry);
    tuple.insert(entry, reclaimer_);
    tuple.worst_rank = std::min(tuple.worst_rank, entry.rank);
    if (!tuple.listed || entry.rank > tuple.best_rank)
        widen(tuple, entry.rank);
    const Parts& parts = *parts_.load(std::memory_order_relaxed);
    if (parts.is_chain && !make_chain(parts.slots()))
        publish_parts();
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
                if (parts.tuples[i].number != TupleFilter::none)
                    parts.probes->widen(parts.tuples[i].number, rank);
                return;
            }
    publish_parts();
}

void TupleSpace::remove(Entry& entry) {
    --entries_;
    ++left_since_filter_;
    if (is_linear_) {
        check(std::erase(linear_, &entry) != 0);
        publish_parts();
    } else {
        take_out(entry);
    }
    forms_.leave(*entry.form, reclaimer_);
    const std::size_t bytes = Entry::bytes(entry.form->count);
    reclaimer_.retire([arena = arena_, dead = &entry, bytes] { arena->give(dead, bytes); });
    if (entries_ == 0 && !is_moving() && !is_linear_) { // begin anew
        for (auto& tuple : tuples_)
            reclaimer_.retire([dead = std::shared_ptr<Tuple>{std::move(tuple)}] {});
        tuples_.clear();
        forms_.forget_notes();
        is_linear_ = true;
        planned_entries_ = 0;
        const auto old = std::exchange(filter_, nullptr);
        publish_parts();
        reclaimer_.retire([old] {});
    }
}

/// Mostly it is at home; while entries move it may be in two tuples.
void TupleSpace::take_out(Entry& entry) {
    Tuple* const first = home(*entry.form);
    bool found = false;
    const auto remove_from = [&](Tuple& tuple) {
        if (!tuple.remove(entry, reclaimer_))
            return;
        found = true;
        if (tuple.hash.entries() == 0 && !is_moving())
            drop(tuple);
    };
    if (first != nullptr)
        remove_from(*first);
    if (found && !is_moving())
        return;
    const Mask mask = entry.form->mask();
    for (std::size_t i = 0; i < tuples_.size() && (!found || is_moving()); ++i)
        if (Tuple& tuple = *tuples_[i]; &tuple != first && includes(mask, tuple.mask))
            remove_from(tuple);
    check(found);
}

/// It is empty.
void TupleSpace::drop(Tuple& tuple) {
    const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& other) {
        return other.get() == &tuple;
    });
    tuple.forget_ranks();
    tuple.listed = false;
    if (!tuple.planned) {
        reclaimer_.retire([dead = std::shared_ptr<Tuple>{std::move(*at)}] {});
        tuples_.erase(at);
        forms_.forget_notes();
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
    parts->filter = filter_.get();
    if (filter_ != nullptr)
        parts->probes = std::make_unique<TupleProbes>();
    for (std::size_t i = 0; i < order.size(); ++i) {
        const Tuple& tuple = *order[i];
        parts->tuples[i].best_rank.store(tuple.best_rank, std::memory_order_relaxed);
        parts->tuples[i].tuple = &tuple;
        parts->tuples[i].number = tuple.number;
        if (tuple.number != TupleFilter::none)
            parts->probes->put(tuple.number, tuple.mask, tuple.hash, tuple.best_rank);
        else
            parts->has_others = true;
    }
    parts->is_chain = make_chain(parts->slots());
    const Parts* old = parts_.exchange(parts.release(), std::memory_order_acq_rel);
    reclaimer_.retire([old] { delete old; });
}

bool TupleSpace::make_chain(std::span<const Slot> slots) noexcept {
    for (std::size_t i = 0; i < slots.size(); ++i)
        if (!slots[i].tuple->is_exact ||
            (i != 0 && slots[i - 1].tuple->worst_rank <= slots[i].tuple->best_rank))
            return false;
    return !slots.empty() && slots.size() <= chain_max;
}

// -- seeing inside

bool TupleSpace::is_direct() const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_relaxed);
    const auto slots = parts.slots();
    return parts.is_chain && slots[0].tuple->mask.count != 0 &&
           std::all_of(slots.begin(), slots.end(), [](const Slot& slot) {
               return slot.tuple->mask.count == 0 || slot.tuple->index.is_on();
           });
}

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
        TupleHash::Worst worst = worst_of(tuple->hash);
        if (is_chain() && tuple->index.is_on())
            worst = tuple->index.worst(worst);
        ++bound.probes;
        bound.lines += worst.lines + worst.candidates;
        bound.entries += worst.candidates;
    }
    if (filter_ != nullptr)
        bound.lines += filter_->lines();
    return bound;
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
        bytes += sizeof(Tuple) - sizeof tuple->hash - sizeof tuple->index +
                 tuple->hash.memory_bytes() + tuple->index.memory_bytes();
    if (parts.probes != nullptr)
        bytes += sizeof *parts.probes;
    for (const auto& filter : {filter_, next_filter_})
        bytes += filter != nullptr ? filter->memory_bytes() : 0;
    return bytes;
}

} // namespace weft
