#include "classifier/tuple_hash.hh"

#include "base/check.hh"

#include <algorithm>
#include <bit>

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#endif

namespace weft {

namespace {

constexpr std::uint64_t address_bits = 0x0000'ffff'ffff'ffc0u;
constexpr std::uint64_t signature_bits = ~address_bits;
constexpr std::size_t load_max = 4; // chains per bucket, on average, before the array doubles

const Entry* entry_of(std::uint64_t slot) noexcept {
    return reinterpret_cast<const Entry*>(slot & address_bits);
}

Entry* writable_entry_of(std::uint64_t slot) noexcept {
    return reinterpret_cast<Entry*>(slot & address_bits);
}

/// Never 0 in an occupied slot, since the address is not.
std::uint64_t make_slot(const Entry& entry, std::uint64_t hash) noexcept {
    return reinterpret_cast<std::uint64_t>(&entry) | (hash & signature_bits);
}

} // namespace

struct alignas(cache_line) TupleHash::Bucket {
    std::array<std::atomic<std::uint64_t>, slots_per_bucket> slot{};
    std::atomic<Bucket*> overflow{nullptr};

    /// Bit i: slot i has the signature of `hash` and may name the key's chain.
    std::uint32_t candidates(std::uint64_t hash) const noexcept {
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
        // One load for four slots; each of them is written whole, so a lane is either old or new.
        const auto* at = reinterpret_cast<const __m256i*>(this);
        const __m256i bits = _mm256_set1_epi64x(static_cast<long long>(signature_bits));
        const __m256i want = _mm256_set1_epi64x(static_cast<long long>(hash & signature_bits));
        const auto compare = [&](const __m256i* four) {
            const __m256i equal =
                _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(four), bits), want);
            return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
        };
        return (compare(at) | compare(at + 1) << 4) & 0x7f;
#else
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < slots_per_bucket; ++i)
            if (((slot[i].load(std::memory_order_relaxed) ^ hash) & signature_bits) == 0)
                found |= 1u << i;
        return found;
#endif
    }
};

struct TupleHash::Array {
    std::size_t bucket_mask;
    std::vector<Bucket> buckets;
    std::vector<std::unique_ptr<Bucket>> overflow;

    explicit Array(std::size_t count) : bucket_mask{count - 1}, buckets(count) {}
    // The signature uses the hash's ends; the bucket's index comes from the middle.
    Bucket& home(std::uint64_t hash) noexcept { return buckets[hash >> 6 & bucket_mask]; }
};

TupleHash::TupleHash(const Mask& mask, std::uint64_t key)
    : mask_{mask},
      key_{key},
      array_{new Array{1}} {
    static_assert(sizeof(Bucket) == cache_line);
}

TupleHash::~TupleHash() {
    delete array_.load(std::memory_order_relaxed);
}

std::uint64_t TupleHash::hash_values(const std::uint64_t* values) const noexcept {
    WordHash h{key_};
    for (std::size_t i = 0; i < mask_.count; ++i)
        h.add(values[i]);
    return h.value();
}

namespace {

bool has_values(const FlowKey& key, const Mask& mask, const Entry& entry) noexcept {
    for (std::size_t i = 0; i < mask.count; ++i)
        if ((key.word[mask.word[i]] & mask.bits[i]) != entry.values()[i])
            return false;
    return true;
}

} // namespace

const Entry* TupleHash::find(const FlowKey& key) const noexcept {
    const std::uint64_t h = hash(key);
    for (const Bucket* bucket = &array_.load(std::memory_order_acquire)->home(h); bucket != nullptr;
         bucket = bucket->overflow.load(std::memory_order_acquire))
        for (const std::size_t i : Lanes{bucket->candidates(h)}) {
            const std::uint64_t slot = bucket->slot[i].load(std::memory_order_acquire);
            const Entry* entry = entry_of(slot);
            if (entry != nullptr && has_values(key, mask_, *entry))
                return entry;
        }
    return nullptr;
}

template <std::size_t words>
void TupleHash::find_burst(const FlowKey* keys, LaneMask live, const Entry** found) const noexcept {
    const std::size_t count = words == 0 ? mask_.count : words;
    Array& array = *array_.load(std::memory_order_acquire);
    std::array<std::uint64_t, burst_max> hashes;
    for (const std::size_t lane : Lanes{live}) {
        WordHash h{key_};
        for (std::size_t i = 0; i < count; ++i)
            h.add(keys[lane].word[mask_.word[i]] & mask_.bits[i]);
        hashes[lane] = h.value();
        __builtin_prefetch(&array.home(hashes[lane]));
    }
    for (const std::size_t lane :
         Lanes{live}) { // most keys have one candidate: fetch it while the others are looked at
        const Bucket& bucket = array.home(hashes[lane]);
        const std::uint32_t at = bucket.candidates(hashes[lane]);
        found[lane] = nullptr;
        if (at != 0) {
            found[lane] = entry_of(bucket.slot[static_cast<std::size_t>(std::countr_zero(at))].load(
                std::memory_order_acquire
            ));
            __builtin_prefetch(found[lane]);
        } else if (bucket.overflow.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
            found[lane] = find(keys[lane]);
        }
    }
    for (const std::size_t lane : Lanes{live}) {
        if (found[lane] == nullptr)
            continue;
        std::uint64_t differs = 0;
        for (std::size_t i = 0; i < count; ++i)
            differs |= (keys[lane].word[mask_.word[i]] & mask_.bits[i]) ^ found[lane]->values()[i];
        if (differs != 0) [[unlikely]]
            found[lane] = find(keys[lane]); // another one with the same signature, or none
    }
}

void TupleHash::find(const FlowKey* keys, LaneMask live, const Entry** found) const noexcept {
    switch (mask_.count) {
    case 1:
        return find_burst<1>(keys, live, found);
    case 2:
        return find_burst<2>(keys, live, found);
    case 3:
        return find_burst<3>(keys, live, found);
    default:
        return find_burst<0>(keys, live, found);
    }
}

std::atomic<std::uint64_t>* TupleHash::slot_of(const Entry& like) const noexcept {
    const std::uint64_t h = hash_values(like.values());
    for (Bucket* bucket = &array_.load(std::memory_order_relaxed)->home(h); bucket != nullptr;
         bucket = bucket->overflow.load(std::memory_order_relaxed))
        for (const std::size_t i : Lanes{bucket->candidates(h)}) {
            const Entry* entry = entry_of(bucket->slot[i].load(std::memory_order_relaxed));
            if (entry != nullptr &&
                std::equal(like.values(), like.values() + mask_.count, entry->values()))
                return &bucket->slot[i];
        }
    return nullptr;
}

void TupleHash::put(Array& array, std::uint64_t hash, std::uint64_t slot) {
    Bucket* bucket = &array.home(hash);
    for (;;) {
        for (auto& at : bucket->slot)
            if (at.load(std::memory_order_relaxed) == 0) {
                at.store(slot, std::memory_order_release);
                return;
            }
        Bucket* more = bucket->overflow.load(std::memory_order_relaxed);
        if (more == nullptr) {
            more = array.overflow.emplace_back(std::make_unique<Bucket>()).get();
            more->slot[0].store(slot, std::memory_order_relaxed);
            bucket->overflow.store(more, std::memory_order_release);
            return;
        }
        bucket = more;
    }
}

void TupleHash::insert(
    Entry& entry, bool (*before)(const Entry&, const Entry&), Reclaimer& reclaimer
) {
    const std::uint64_t h = hash_values(entry.values());
    std::atomic<std::uint64_t>* slot = slot_of(entry);
    if (slot == nullptr) {
        if (chains_ >= (array_.load(std::memory_order_relaxed)->bucket_mask + 1) * load_max)
            grow(reclaimer);
        put(*array_.load(std::memory_order_relaxed), h, make_slot(entry, h));
        ++chains_;
        return;
    }
    Entry* head = writable_entry_of(slot->load(std::memory_order_relaxed));
    const auto goes_first = [&](const Entry& other) {
        return entry.rank != other.rank ? entry.rank > other.rank : before(entry, other);
    };
    if (goes_first(*head)) {
        entry.next.store(head, std::memory_order_relaxed);
        slot->store(make_slot(entry, h), std::memory_order_release);
        return;
    }
    Entry* at = head;
    for (Entry* next = at->next.load(std::memory_order_relaxed);
         next != nullptr && !goes_first(*next);
         next = at->next.load(std::memory_order_relaxed))
        at = next;
    entry.next.store(at->next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    at->next.store(&entry, std::memory_order_release);
}

void TupleHash::remove(const Entry& entry) {
    std::atomic<std::uint64_t>* slot = slot_of(entry);
    check(slot != nullptr);
    Entry* head = writable_entry_of(slot->load(std::memory_order_relaxed));
    Entry* after = entry.next.load(std::memory_order_relaxed);
    if (head == &entry) {
        const std::uint64_t h = hash_values(entry.values());
        slot->store(after == nullptr ? 0 : make_slot(*after, h), std::memory_order_release);
        chains_ -= after == nullptr ? 1 : 0;
        return;
    }
    Entry* at = head;
    while (at->next.load(std::memory_order_relaxed) != &entry) {
        at = at->next.load(std::memory_order_relaxed);
        check(at != nullptr);
    }
    at->next.store(after, std::memory_order_release);
}

void TupleHash::for_each(const std::function<void(Entry&)>& visit) const {
    const Array& array = *array_.load(std::memory_order_relaxed);
    const auto all_of = [&](const Bucket& bucket) {
        for (const auto& at : bucket.slot) {
            Entry* entry = writable_entry_of(at.load(std::memory_order_relaxed));
            while (entry != nullptr) {
                Entry* next = entry->next.load(std::memory_order_relaxed);
                visit(*entry); // may free it
                entry = next;
            }
        }
    };
    for (const Bucket& bucket : array.buckets)
        all_of(bucket);
    for (const auto& bucket : array.overflow)
        all_of(*bucket);
}

void TupleHash::grow(Reclaimer& reclaimer) {
    Array* old = array_.load(std::memory_order_relaxed);
    auto* grown = new Array{(old->bucket_mask + 1) * 2};
    const auto move = [&](const Bucket& bucket) {
        for (const auto& at : bucket.slot)
            if (const std::uint64_t slot = at.load(std::memory_order_relaxed); slot != 0)
                put(*grown, hash_values(entry_of(slot)->values()), slot);
    };
    for (const Bucket& bucket : old->buckets)
        move(bucket);
    for (const auto& bucket : old->overflow)
        move(*bucket);
    array_.store(grown, std::memory_order_release);
    reclaimer.retire([old] { delete old; });
}

std::uint64_t TupleHash::probes_max() const noexcept {
    const Array& array = *array_.load(std::memory_order_relaxed);
    if (array.overflow.empty())
        return 1;
    std::uint64_t longest = 1;
    for (const Bucket& home : array.buckets) {
        std::uint64_t here = 1;
        for (const Bucket* more = home.overflow.load(std::memory_order_relaxed); more != nullptr;
             more = more->overflow.load(std::memory_order_relaxed))
            ++here;
        longest = std::max(longest, here);
    }
    return longest;
}

std::uint64_t TupleHash::memory_bytes() const noexcept {
    const Array& array = *array_.load(std::memory_order_relaxed);
    return sizeof *this + (array.buckets.size() + array.overflow.size()) * sizeof(Bucket);
}

} // namespace weft
