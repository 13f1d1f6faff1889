// The reading half of TupleHash, inlined into the lookup.
#pragma once

#include "classifier/tuple_hash.hh"

#include <bit>
#include <span>

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#endif

namespace weft {

namespace tuple_slot {

inline constexpr std::uint64_t address_bits = 0x0000'ffff'ffff'ffc0u;
inline constexpr std::uint64_t band_bits = 0x3f;
inline constexpr std::uint64_t signature_bits = ~(address_bits | band_bits);

inline const Entry* entry_of(std::uint64_t slot) noexcept {
    return reinterpret_cast<const Entry*>(slot & address_bits);
}

/// Never 0, since the address is not.
inline std::uint64_t
make(const Entry& entry, std::uint64_t hash, const TupleHash::Bands& bands) noexcept {
    return reinterpret_cast<std::uint64_t>(&entry) | (hash & signature_bits) | bands.of(entry.rank);
}

} // namespace tuple_slot

struct alignas(cache_line) TupleHash::Bucket {
    std::array<std::atomic<std::uint64_t>, slots_per_bucket + 1> word;

    const std::atomic<std::uint64_t>* line() const noexcept { return word.data(); }
    std::span<std::atomic<std::uint64_t>, slots_per_bucket> slots() noexcept {
        return std::span{word}.first<slots_per_bucket>();
    }
    std::span<const std::atomic<std::uint64_t>, slots_per_bucket> slots() const noexcept {
        return std::span{word}.first<slots_per_bucket>();
    }
    Bucket* overflow() const noexcept {
        return reinterpret_cast<Bucket*>(word[slots_per_bucket].load(std::memory_order_acquire));
    }
    void set_overflow(Bucket* more) noexcept {
        word[slots_per_bucket].store(
            reinterpret_cast<std::uint64_t>(more), std::memory_order_release
        );
    }

    /// Bit i: slot i has the signature of `hash` and at least this band. An empty slot may, too.
    std::uint32_t candidates(std::uint64_t hash, std::uint64_t band) const noexcept {
        using namespace tuple_slot;
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
        // One load for four slots; each of them is written whole, so a lane is either old or new.
        const auto* at = reinterpret_cast<const __m256i*>(this);
        const auto all = [](std::uint64_t bits) {
            return _mm256_set1_epi64x(static_cast<long long>(bits));
        };
        const __m256i signature = all(signature_bits), want = all(hash & signature_bits);
        const __m256i band_mask = all(band_bits), below = all(band - 1);
        const auto compare = [&](const __m256i* four) {
            const __m256i slots = _mm256_load_si256(four);
            const __m256i equal = _mm256_cmpeq_epi64(_mm256_and_si256(slots, signature), want);
            const __m256i high = _mm256_cmpgt_epi64(_mm256_and_si256(slots, band_mask), below);
            return static_cast<std::uint32_t>(
                _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_and_si256(equal, high)))
            );
        };
        return (compare(at) | compare(at + 1) << 4) & 0x7f;
#else
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < slots_per_bucket; ++i) {
            const std::uint64_t slot = word[i].load(std::memory_order_relaxed);
            if (((slot ^ hash) & signature_bits) == 0 && (slot & band_bits) >= band)
                found |= 1u << i;
        }
        return found;
#endif
    }
};

struct TupleHash::Array {
    std::size_t bucket_mask;
    Bands bands;
    Bucket* buckets;
    std::vector<std::unique_ptr<Bucket>> more; // that others overflow into
    Worst worst;                               // or more: entries that left are not forgotten

    Array(std::size_t count, const Bands& bands);
    ~Array();
    // The signature uses the hash's ends; the bucket's index comes from the middle.
    Bucket& home(std::uint64_t hash) const noexcept { return buckets[hash >> 6 & bucket_mask]; }
    void put(const Entry& entry, std::uint64_t hash);
    bool clear(const Entry& entry, std::uint64_t hash) noexcept;
    Worst cost(std::uint64_t hash) const noexcept; // of a key with that hash
};

inline std::uint64_t TupleHash::hash(const FlowKey& key) const noexcept {
    return hash_(mask_.count, [&](std::size_t i) {
        return key.word[mask_.word[i]] & mask_.bits[i];
    });
}

template <std::size_t words>
void TupleHash::hash_lanes(
    const FlowKey* keys, LaneMask live, const Array& array, std::uint64_t* hashes
) const noexcept {
    const std::size_t count = words == 0 ? mask_.count : words;
    const KeyedHash hash = hash_; // in registers
    for (const std::size_t lane : Lanes{live}) {
        hashes[lane] = hash(count, [&](std::size_t i) {
            return keys[lane].word[mask_.word[i]] & mask_.bits[i];
        });
        __builtin_prefetch(&array.home(hashes[lane]));
    }
}

template <std::size_t words, class Flush>
void TupleHash::collect_of(
    const FlowKey* keys, LaneMask live, const Rank* rank, Candidates& into, Flush&& flush
) const noexcept {
    const Array& array = *array_.load(std::memory_order_acquire);
    std::array<std::uint64_t, burst_max> hashes;
    hash_lanes<words>(keys, live, array, hashes.data());
    // Which lanes have a candidate nobody can predict: the first of a bucket is noted without a
    // branch, most buckets have no more.
    for (const std::size_t lane : Lanes{live}) {
        const Bucket* bucket = &array.home(hashes[lane]);
        const std::uint64_t band = array.bands.of(rank[lane]);
        do {
            if (into.count + slots_per_bucket > Candidates::size) [[unlikely]]
                flush();
            std::uint32_t at = bucket->candidates(hashes[lane], band);
            const auto note = [&] {
                const auto i = static_cast<std::size_t>(std::countr_zero(at | 1u << 7));
                const Entry* const entry =
                    tuple_slot::entry_of(bucket->line()[i].load(std::memory_order_acquire));
                __builtin_prefetch(entry);
                into.entry[into.count] = entry;
                into.lane[into.count] = static_cast<std::uint8_t>(lane);
                into.count += at != 0;
                at &= at - 1;
            };
            note();
            while (at != 0)
                [[unlikely]] note();
            bucket = bucket->overflow();
        } while (bucket != nullptr);
    }
}

template <class Flush>
void TupleHash::collect(
    const FlowKey* keys, LaneMask live, const Rank* rank, Candidates& into, Flush&& flush
) const noexcept {
    switch (mask_.count) {
    case 1:
        return collect_of<1>(keys, live, rank, into, flush);
    case 2:
        return collect_of<2>(keys, live, rank, into, flush);
    case 3:
        return collect_of<3>(keys, live, rank, into, flush);
    default:
        return collect_of<0>(keys, live, rank, into, flush);
    }
}

template <std::size_t words, class Choose>
void TupleHash::find_exact_of(
    const FlowKey* keys, LaneMask live, Generation g, const Entry** best, Choose&& choose
) const noexcept {
    const std::size_t count = words == 0 ? mask_.count : words;
    const Array& array = *array_.load(std::memory_order_acquire);
    std::array<std::uint64_t, burst_max> hashes;
    hash_lanes<words>(keys, live, array, hashes.data());
    LaneMask several = 0;
    for (const std::size_t lane : Lanes{live}) {
        const Bucket& bucket = array.home(hashes[lane]);
        const std::uint32_t at = bucket.candidates(hashes[lane], 0);
        const auto i = static_cast<std::size_t>(std::countr_zero(at | 1u << 7));
        const Entry* const entry =
            tuple_slot::entry_of(bucket.line()[i].load(std::memory_order_acquire));
        __builtin_prefetch(entry);
        best[lane] = at != 0 ? entry : nullptr;
        several |= LaneMask{(at & (at - 1)) != 0 || bucket.overflow() != nullptr} << lane;
    }
    for (const std::size_t lane : Lanes{live & ~several}) {
        if (best[lane] == nullptr)
            continue;
        std::uint64_t differs = 0;
        for (std::size_t i = 0; i < count; ++i)
            differs |= (keys[lane].word[mask_.word[i]] & mask_.bits[i]) ^ best[lane]->values()[i];
        if (differs != 0 || !best[lane]->visible(g)) [[unlikely]]
            best[lane] = nullptr;
    }
    for (const std::size_t lane : Lanes{several})
        best[lane] = choose(lane);
}

template <class Choose>
void TupleHash::find_exact(
    const FlowKey* keys, LaneMask live, Generation g, const Entry** best, Choose&& choose
) const noexcept {
    switch (mask_.count) {
    case 1:
        return find_exact_of<1>(keys, live, g, best, choose);
    case 2:
        return find_exact_of<2>(keys, live, g, best, choose);
    default:
        return find_exact_of<0>(keys, live, g, best, choose);
    }
}

template <class Visit>
void TupleHash::for_each_candidate(const FlowKey& key, Visit&& visit) const {
    const std::uint64_t h = hash(key);
    for (const Bucket* bucket = &array_.load(std::memory_order_acquire)->home(h); bucket != nullptr;
         bucket = bucket->overflow())
        for (const std::size_t i : Lanes{bucket->candidates(h, 0)})
            if (const Entry* entry =
                    tuple_slot::entry_of(bucket->slots()[i].load(std::memory_order_acquire));
                entry != nullptr && !visit(*entry))
                return;
}

} // namespace weft
