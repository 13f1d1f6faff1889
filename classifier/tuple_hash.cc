#include "classifier/tuple_hash.hh"

#include "base/check.hh"
#include "classifier/arena.hh"

#include <algorithm>
#include <bit>

namespace weft {

using tuple_slot::entry_of;

namespace {

constexpr std::size_t fill_a_step = 3; // old buckets that move with each change

/// An array is never much larger than its entries need, and moves each three or four times.
constexpr std::size_t grown(std::size_t buckets, bool is_exact) {
    return buckets + buckets / (is_exact ? 3 : 2) + 1;
}

} // namespace

/// Each slot's place, by its word; the places that are free; how many are alike, by signature.
struct TupleHash::Array::Crowd {
    std::unordered_map<std::uint64_t, std::atomic<std::uint64_t>*> place;
    std::vector<std::atomic<std::uint64_t>*> free;
    std::unordered_map<std::uint64_t, std::uint64_t> alike;
    Bucket* last = nullptr;
    std::uint64_t lines = 0;

    void add(Bucket& bucket) {
        last = &bucket;
        ++lines;
        for (auto& at : bucket.slots())
            if (const std::uint64_t slot = at.load(std::memory_order_relaxed); slot == 0)
                free.push_back(&at);
            else
                enter(slot, at);
    }
    void enter(std::uint64_t slot, std::atomic<std::uint64_t>& at) {
        place.emplace(slot, &at);
        ++alike[slot & tuple_slot::signature_bits];
    }
    std::uint64_t alike_to(std::uint64_t hash) const {
        const auto found = alike.find(hash & tuple_slot::signature_bits);
        return found == alike.end() ? 0 : found->second;
    }
};

TupleHash::Array::Array(std::size_t of_buckets, const Bands& of)
    : count{of_buckets},
      bands{of},
      buckets{static_cast<Bucket*>(take_lines(of_buckets))} {} // zeros are empty buckets

TupleHash::Array::~Array() {
    give_lines(buckets, count);
}

TupleHash::Array::Crowd* TupleHash::Array::crowd_of(std::uint64_t hash) const noexcept {
    if (crowds.empty()) [[likely]]
        return nullptr;
    const auto found = crowds.find(index(hash));
    return found == crowds.end() ? nullptr : found->second.get();
}

void TupleHash::Array::note_crowd(std::uint64_t hash) {
    auto crowd = std::make_unique<Crowd>();
    for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow()) {
        crowd->add(*bucket);
        ++walked;
    }
    crowds[index(hash)] = std::move(crowd);
}

/// A bucket behind the last one, with its first slot taken.
void TupleHash::Array::append(Bucket& last, std::uint64_t slot) {
    Bucket* const next = more.emplace_back(std::make_unique<Bucket>()).get();
    next->word[0].store(slot, std::memory_order_relaxed);
    last.set_overflow(next);
}

void TupleHash::Array::put(const Entry& entry, std::uint64_t hash) {
    const std::uint64_t slot = tuple_slot::make(entry, hash, bands);
    Worst here; // what a key of this hash costs from now on
    if (Crowd* const crowd = crowd_of(hash); crowd != nullptr) {
        ++walked;
        if (crowd->free.empty()) {
            append(*crowd->last, slot);
            crowd->add(*crowd->last->overflow());
        } else {
            crowd->enter(slot, *crowd->free.back());
            crowd->free.back()->store(slot, std::memory_order_release);
            crowd->free.pop_back();
        }
        here = {crowd->lines, crowd->alike_to(hash)};
    } else {
        bool placed = false;
        for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow()) {
            for (std::size_t i = 0; !placed && i < slots_per_bucket; ++i)
                if (auto& at = bucket->slots()[i]; at.load(std::memory_order_relaxed) == 0) {
                    at.store(slot, std::memory_order_release);
                    placed = true;
                }
            if (!placed && bucket->overflow() == nullptr) {
                append(*bucket, slot);
                placed = true;
            }
            ++here.lines;
            here.candidates +=
                static_cast<std::uint64_t>(std::popcount(bucket->candidates(hash, 0)));
        }
        walked += here.lines;
        if (here.lines > crowd_buckets)
            note_crowd(hash);
    }
    worst.lines = std::max(worst.lines, here.lines);
    worst.candidates = std::max(worst.candidates, here.candidates);
}

TupleHash::Worst TupleHash::Array::cost(std::uint64_t hash) const noexcept {
    Worst here;
    for (const Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow()) {
        ++here.lines;
        for (const std::size_t i : Lanes{bucket->candidates(hash, 0)})
            here.candidates += bucket->slots()[i].load(std::memory_order_relaxed) != 0;
    }
    return here;
}

bool TupleHash::Array::clear(const Entry& entry, std::uint64_t hash) noexcept {
    const std::uint64_t slot = tuple_slot::make(entry, hash, bands);
    if (Crowd* const crowd = crowd_of(hash); crowd != nullptr) {
        ++walked;
        const auto found = crowd->place.find(slot);
        if (found == crowd->place.end())
            return false;
        found->second->store(0, std::memory_order_release);
        crowd->free.push_back(found->second);
        crowd->place.erase(found);
        --crowd->alike[slot & tuple_slot::signature_bits];
        return true;
    }
    for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow(), ++walked)
        for (auto& at : bucket->slots())
            if (at.load(std::memory_order_relaxed) == slot) {
                at.store(0, std::memory_order_release);
                return true;
            }
    return false;
}

bool TupleHash::Array::contains(const Entry& entry, std::uint64_t hash) noexcept {
    const std::uint64_t slot = tuple_slot::make(entry, hash, bands);
    if (const Crowd* const crowd = crowd_of(hash); crowd != nullptr) {
        ++walked;
        return crowd->place.contains(slot);
    }
    for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow(), ++walked)
        for (const auto& at : bucket->slots())
            if (at.load(std::memory_order_relaxed) == slot)
                return true;
    return false;
}

/// Entries under that hash.
std::size_t TupleHash::Array::alike(std::uint64_t hash) noexcept {
    if (const Crowd* const crowd = crowd_of(hash); crowd != nullptr) {
        ++walked;
        return crowd->alike_to(hash);
    }
    std::size_t here = 0;
    for (const Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow()) {
        for (const std::size_t i : Lanes{bucket->candidates(hash, 0)})
            here += bucket->slots()[i].load(std::memory_order_relaxed) != 0;
        ++walked;
    }
    return here;
}

/// Two a bucket: 0.5 in 100 hits at most lie in a bucket that overflows. Where keys are probed more
/// than once anyway half of the slots: 1 to 6 in 100.
std::size_t TupleHash::entries_for(std::size_t buckets) const noexcept {
    return is_exact_ ? 2 * buckets : buckets * slots_per_bucket / 2;
}

/// With room for an eighth more.
std::size_t TupleHash::buckets_for(std::size_t entries) const noexcept {
    const std::size_t most = entries + entries / 8;
    return (is_exact_ ? most / 2 : 2 * most / slots_per_bucket) + 1;
}

TupleHash::TupleHash(const Mask& mask, std::uint64_t key)
    : mask_{mask},
      hash_{key},
      array_{new Array{1, Bands{}}} {
    static_assert(sizeof(Bucket) == cache_line);
}

TupleHash::~TupleHash() {
    delete array_.load(std::memory_order_relaxed);
}

/// The entry's form asks for every word of the mask, maybe for more.
std::uint64_t TupleHash::hash_of(const Entry& entry) const noexcept {
    std::size_t at = 0;
    return hash_words(hash_, mask_.count, [&](std::size_t i) {
        while (entry.form->word_at(at) != mask_.word[i])
            ++at;
        return entry.values()[at] & mask_.bits[i];
    });
}

std::size_t TupleHash::alike(const Entry& entry) const {
    return array_.load(std::memory_order_relaxed)->alike(hash_of(entry));
}

bool TupleHash::contains(const Entry& entry) const {
    return array_.load(std::memory_order_relaxed)->contains(entry, hash_of(entry));
}

void TupleHash::insert(const Entry& entry, Reclaimer& reclaimer) {
    const std::uint64_t h = hash_of(entry);
    Array& array = *array_.load(std::memory_order_relaxed);
    array.put(entry, h);
    entries_most_ = std::max(entries_most_, ++entries_);
    if (growing_ != nullptr) {
        if (array.index(h) < filled_)
            growing_->put(entry, h);
        fill_some(reclaimer);
    } else if (entries_ > entries_for(array.count)) {
        begin_resize(grown(array.count, is_exact_));
        fill_some(reclaimer);
    }
}

bool TupleHash::remove(const Entry& entry, Reclaimer& reclaimer) {
    const std::uint64_t h = hash_of(entry);
    Array& array = *array_.load(std::memory_order_relaxed);
    if (!array.clear(entry, h))
        return false;
    if (growing_ != nullptr && array.index(h) < filled_)
        growing_->clear(entry, h);
    --entries_;
    if (growing_ == nullptr && array.count != 1 && entries_ < entries_for(array.count) / 2)
        begin_resize(buckets_for(entries_));
    if (growing_ != nullptr)
        fill_some(reclaimer);
    return true;
}

void TupleHash::begin_resize(std::size_t buckets) {
    growing_ = std::make_unique<Array>(buckets, bands_);
    filled_ = 0;
    fill_entries_ = entries_;
}

bool TupleHash::tidy(std::size_t buckets, Reclaimer& reclaimer) {
    for (std::size_t done = 0; done < buckets; done += fill_a_step) {
        if (growing_ == nullptr) {
            // Overflow buckets stay where entries left; a new array has only what it needs.
            const Array& array = *array_.load(std::memory_order_relaxed);
            const bool is_stale = array.more.size() > 8 && 2 * entries_ < entries_most_;
            if (!is_stale && array.bands == bands_)
                return false;
            begin_resize(buckets_for(entries_));
        }
        fill_some(reclaimer);
    }
    return true;
}

void TupleHash::fill_some(Reclaimer& reclaimer) {
    Array* const old = array_.load(std::memory_order_relaxed);
    const std::size_t count = old->count;
    for (std::size_t step = 0; step < fill_a_step && filled_ < count; ++step, ++filled_)
        for (const Bucket* bucket = &old->buckets[filled_]; bucket != nullptr;
             bucket = bucket->overflow(), ++old->walked)
            for (const auto& at : bucket->slots())
                if (const std::uint64_t slot = at.load(std::memory_order_relaxed); slot != 0)
                    growing_->put(*entry_of(slot), hash_of(*entry_of(slot)));
    if (filled_ < count) {
        // What the next step reads.
        for (const auto& at : old->buckets[filled_].slots())
            __builtin_prefetch(entry_of(at.load(std::memory_order_relaxed)));
        return;
    }
    array_.store(growing_.release(), std::memory_order_release);
    entries_most_ = std::max(fill_entries_, entries_);
    walked_ += old->walked;
    reclaimer.retire([old] { delete old; });
}

std::size_t TupleHash::buckets() const noexcept {
    return array_.load(std::memory_order_relaxed)->count;
}

void TupleHash::entries_of(std::size_t at, std::vector<const Entry*>& into) const {
    const Array& array = *array_.load(std::memory_order_relaxed);
    for (const Bucket* bucket = &array.buckets[at]; bucket != nullptr; bucket = bucket->overflow())
        for (const auto& slot : bucket->slots())
            if (const Entry* entry = entry_of(slot.load(std::memory_order_relaxed));
                entry != nullptr)
                into.push_back(entry);
}

TupleHash::Worst TupleHash::worst() const {
    Worst worst;
    Array& array = *array_.load(std::memory_order_relaxed);
    std::vector<std::uint64_t> signatures;
    for (std::size_t i = 0; i < array.count; ++i) {
        std::uint64_t lines = 0;
        signatures.clear();
        for (const Bucket* bucket = &array.buckets[i]; bucket != nullptr;
             bucket = bucket->overflow()) {
            ++lines;
            for (const auto& at : bucket->slots())
                if (const std::uint64_t slot = at.load(std::memory_order_relaxed); slot != 0)
                    signatures.push_back(slot & tuple_slot::signature_bits);
        }
        std::sort(signatures.begin(), signatures.end());
        std::uint64_t alike = 0;
        for (std::size_t j = 0; j < signatures.size(); ++j) {
            alike = j != 0 && signatures[j] == signatures[j - 1] ? alike + 1 : 1;
            worst.candidates = std::max(worst.candidates, alike);
        }
        worst.lines = std::max(worst.lines, lines);
    }
    array.worst = worst;
    return worst;
}

TupleHash::Worst TupleHash::cost(const FlowKey& key) const noexcept {
    return array_.load(std::memory_order_acquire)->cost(hash(key));
}

TupleHash::Worst TupleHash::worst_at_most() const noexcept {
    return array_.load(std::memory_order_relaxed)->worst;
}

std::uint64_t TupleHash::memory_bytes() const noexcept {
    const Array& array = *array_.load(std::memory_order_relaxed);
    std::uint64_t lines = array.count + array.more.size();
    if (growing_ != nullptr)
        lines += growing_->count + growing_->more.size();
    for (const Array* of : {&array, static_cast<const Array*>(growing_.get())})
        if (of != nullptr)
            for (const auto& [index, crowd] : of->crowds)
                lines += crowd->place.size(); // about
    return sizeof *this + lines * cache_line;
}

std::uint64_t TupleHash::walked() const noexcept {
    return walked_ + array_.load(std::memory_order_relaxed)->walked +
           (growing_ != nullptr ? growing_->walked : 0);
}

} // namespace weft
