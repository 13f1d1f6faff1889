#include "classifier/tuple_space.hh"

#include "base/check.hh"

#include <algorithm>

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
      parts_{new Parts} {}

TupleSpace::~TupleSpace() {
    for_each([](Entry& entry) { Entry::destroy(&entry); });
    delete parts_.load(std::memory_order_relaxed);
}

Tuple& TupleSpace::tuple_for(const Mask& mask) {
    for (const auto& tuple : tuples_)
        if (tuple->mask == mask)
            return *tuple;
    return *tuples_.emplace_back(std::make_unique<Tuple>(mask, hash_key_));
}

TupleSpace::Inserted TupleSpace::insert(
    const Mask& mask,
    std::span<const std::uint64_t> values,
    Rank rank,
    Generation born,
    const void* payload
) {
    Entry* entry = Entry::make(mask.count);
    entry->born = born;
    entry->rank = rank;
    entry->payload = payload;
    std::copy(values.begin(), values.end(), entry->values());

    const std::size_t tuples_before = tuples_.size();
    Tuple& tuple = tuple_for(mask);
    tuple.hash.insert(*entry, before_, reclaimer_);
    const bool widens =
        tuple.entries == 0 || rank > tuple.best_rank.load(std::memory_order_relaxed);
    if (widens)
        tuple.best_rank.store(rank, std::memory_order_relaxed);
    ++tuple.entries;
    ++entries_;

    const bool was_linear = linear_.size() + 1 == entries_;
    if (was_linear && entries_ <= linear_max)
        linear_.push_back({entry, &tuple.mask});
    else
        linear_.clear();
    if (was_linear || widens || tuples_before != tuples_.size())
        publish_parts();
    return {entry, &tuple.mask};
}

void TupleSpace::remove(const Mask& mask, Entry& entry) {
    const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& t) {
        return t->mask == mask;
    });
    check(at != tuples_.end());
    Tuple& tuple = **at;
    tuple.hash.remove(entry);
    --tuple.entries;
    --entries_;
    const bool in_list =
        std::erase_if(linear_, [&](const LinearSlot& s) { return s.entry == &entry; }) != 0;
    reclaimer_.retire([dead = &entry] { Entry::destroy(dead); });
    if (tuple.entries == 0) {
        reclaimer_.retire([dead = at->release()] { delete dead; });
        tuples_.erase(at);
        publish_parts();
    } else if (in_list) {
        publish_parts();
    }
}

void TupleSpace::publish_parts() {
    auto parts = std::make_unique<Parts>();
    parts->linear = linear_.size() == entries_;
    if (parts->linear) {
        parts->entries = linear_;
        const auto goes_first = [&](const LinearSlot& a, const LinearSlot& b) {
            if (a.entry->rank != b.entry->rank)
                return a.entry->rank > b.entry->rank;
            return a.mask != b.mask ? greater(*a.mask, *b.mask) : before_(*a.entry, *b.entry);
        };
        std::sort(parts->entries.begin(), parts->entries.end(), goes_first);
    }
    parts->tuples.reserve(tuples_.size());
    for (const auto& tuple : tuples_)
        parts->tuples.push_back({tuple->best_rank.load(std::memory_order_relaxed), tuple.get()});
    std::sort(parts->tuples.begin(), parts->tuples.end(), [](const Slot& a, const Slot& b) {
        return a.best_rank > b.best_rank;
    });
    const Parts* old = parts_.exchange(parts.release(), std::memory_order_acq_rel);
    reclaimer_.retire([old] { delete old; });
}

void TupleSpace::lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best)
    const noexcept {
    const Parts& parts = *parts_.load(std::memory_order_acquire);
    if (parts.linear)
        return lookup_linear(parts, keys, live, g, best);

    std::array<const Entry*, burst_max> found;
    std::array<const Mask*, burst_max> best_mask;
    for (const std::size_t lane : Lanes{live})
        best[lane] = nullptr;
    LaneMask open = live;
    for (const Slot& slot : parts.tuples) {
        for (const std::size_t lane : Lanes{open})
            if (best[lane] != nullptr && best[lane]->rank > slot.best_rank)
                open &= ~lane_bit(lane); // nothing from here on can win
        if (open == 0)
            return;
        slot.tuple->hash.find(keys, open, found.data());
        for (const std::size_t lane : Lanes{open}) {
            const Entry* entry = found[lane];
            while (entry != nullptr && !entry->visible(g))
                entry = entry->next.load(std::memory_order_acquire);
            if (entry == nullptr)
                continue;
            const Mask& mask = slot.tuple->mask;
            if (best[lane] == nullptr || entry->rank > best[lane]->rank ||
                (entry->rank == best[lane]->rank && greater(mask, *best_mask[lane]))) {
                best[lane] = entry;
                best_mask[lane] = &mask;
            }
        }
    }
}

void TupleSpace::lookup_linear(
    const Parts& parts, const FlowKey* keys, LaneMask live, Generation g, const Entry** best
) const noexcept {
    for (const std::size_t lane : Lanes{live}) {
        best[lane] = nullptr;
        for (const LinearSlot& slot : parts.entries)
            if (slot.entry->visible(g) && matches(keys[lane], *slot.mask, *slot.entry)) {
                best[lane] = slot.entry;
                break;
            }
    }
}

const Entry* TupleSpace::find(const FlowKey& key, Generation g) const noexcept {
    const Entry* best = nullptr;
    lookup(&key, 1, g, &best);
    return best;
}

std::uint64_t TupleSpace::probes_max() const noexcept {
    if (is_linear())
        return 0;
    std::uint64_t probes = 0;
    for (const auto& tuple : tuples_)
        probes += tuple->hash.probes_max();
    return probes;
}

std::uint64_t TupleSpace::memory_bytes() const noexcept {
    std::uint64_t bytes = sizeof *this;
    for (const auto& tuple : tuples_)
        bytes += sizeof(Tuple) + tuple->hash.memory_bytes() +
                 tuple->entries * Entry::bytes(tuple->mask.count);
    return bytes;
}

} // namespace weft
