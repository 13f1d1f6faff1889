#include "classifier/tuple_hash.hh"

#include "base/check.hh"
#include "classifier/arena.hh"

#include <algorithm>
#include <bit>

namespace weft {

using tuple_slot::entry_of;

namespace {

constexpr std::size_t load_max = 3;    // entries per bucket, on average, before the array doubles
constexpr std::size_t load_min = 2;    // buckets per entry beyond which it shrinks to a quarter
constexpr std::size_t fill_a_step = 2; // old buckets that move with each insert

} // namespace

TupleHash::Array::Array(std::size_t count, const Bands& of)
    : bucket_mask{count - 1},
      bands{of},
      buckets{static_cast<Bucket*>(take_lines(count))} {} // zeros are empty buckets

TupleHash::Array::~Array() {
    give_lines(buckets, bucket_mask + 1);
}

void TupleHash::Array::put(const Entry& entry, std::uint64_t hash) {
    const std::uint64_t slot = tuple_slot::make(entry, hash, bands);
    Worst here; // what a key of this hash costs from now on
    bool placed = false;
    for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow()) {
        for (std::size_t i = 0; !placed && i < slots_per_bucket; ++i)
            if (auto& at = bucket->slots()[i]; at.load(std::memory_order_relaxed) == 0) {
                at.store(slot, std::memory_order_release);
                placed = true;
            }
        if (!placed && bucket->overflow() == nullptr) {
            Bucket* const next = more.emplace_back(std::make_unique<Bucket>()).get();
            next->word[0].store(slot, std::memory_order_relaxed);
            bucket->set_overflow(next);
            placed = true;
        }
        ++here.lines;
        here.candidates += static_cast<std::uint64_t>(std::popcount(bucket->candidates(hash, 0)));
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
    for (Bucket* bucket = &home(hash); bucket != nullptr; bucket = bucket->overflow())
        for (auto& at : bucket->slots())
            if (at.load(std::memory_order_relaxed) == slot) {
                at.store(0, std::memory_order_release);
                return true;
            }
    return false;
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
    return hash_(mask_.count, [&](std::size_t i) {
        while (entry.form->word_at(at) != mask_.word[i])
            ++at;
        return entry.values()[at] & mask_.bits[i];
    });
}

std::size_t TupleHash::alike(const Entry& entry) const {
    const std::uint64_t h = hash_of(entry);
    std::size_t count = 0;
    for (const Bucket* bucket = &array_.load(std::memory_order_relaxed)->home(h); bucket != nullptr;
         bucket = bucket->overflow())
        for (const std::size_t i : Lanes{bucket->candidates(h, 0)})
            count += bucket->slots()[i].load(std::memory_order_relaxed) != 0;
    return count;
}

bool TupleHash::contains(const Entry& entry) const {
    const std::uint64_t h = hash_of(entry);
    const Array& array = *array_.load(std::memory_order_relaxed);
    const std::uint64_t slot = tuple_slot::make(entry, h, array.bands);
    for (const Bucket* bucket = &array.home(h); bucket != nullptr; bucket = bucket->overflow())
        for (const auto& at : bucket->slots())
            if (at.load(std::memory_order_relaxed) == slot)
                return true;
    return false;
}

void TupleHash::insert(const Entry& entry, Reclaimer& reclaimer) {
    const std::uint64_t h = hash_of(entry);
    Array& array = *array_.load(std::memory_order_relaxed);
    array.put(entry, h);
    entries_most_ = std::max(entries_most_, ++entries_);
    if (growing_ != nullptr) {
        if ((h >> 6 & array.bucket_mask) < filled_)
            growing_->put(entry, h);
        fill_some(reclaimer);
    } else if (entries_ > (array.bucket_mask + 1) * load_max) {
        begin_resize(2 * (array.bucket_mask + 1));
        fill_some(reclaimer);
    }
}

bool TupleHash::remove(const Entry& entry, Reclaimer& reclaimer) {
    const std::uint64_t h = hash_of(entry);
    Array& array = *array_.load(std::memory_order_relaxed);
    if (!array.clear(entry, h))
        return false;
    if (growing_ != nullptr && (h >> 6 & array.bucket_mask) < filled_)
        growing_->clear(entry, h);
    --entries_;
    if (growing_ == nullptr && array.bucket_mask != 0 && entries_ * load_min <= array.bucket_mask)
        begin_resize(std::max<std::size_t>((array.bucket_mask + 1) / 4, 1));
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
            begin_resize(std::bit_ceil(std::max<std::size_t>(entries_ / load_max, 1)));
        }
        fill_some(reclaimer);
    }
    return true;
}

void TupleHash::fill_some(Reclaimer& reclaimer) {
    Array* const old = array_.load(std::memory_order_relaxed);
    const std::size_t count = old->bucket_mask + 1;
    for (std::size_t step = 0; step < fill_a_step && filled_ < count; ++step, ++filled_)
        for (const Bucket* bucket = &old->buckets[filled_]; bucket != nullptr;
             bucket = bucket->overflow())
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
    reclaimer.retire([old] { delete old; });
}

std::size_t TupleHash::buckets() const noexcept {
    return array_.load(std::memory_order_relaxed)->bucket_mask + 1;
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
    for (std::size_t i = 0; i <= array.bucket_mask; ++i) {
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
    std::uint64_t lines = array.bucket_mask + 1 + array.more.size();
    if (growing_ != nullptr)
        lines += growing_->bucket_mask + 1 + growing_->more.size();
    return sizeof *this + lines * cache_line;
}

} // namespace weft
