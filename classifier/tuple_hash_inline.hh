// The reading half of TupleHash, inlined into the lookup.
#pragma once

#include "classifier/tuple_hash.hh"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <unordered_map>

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
    std::uint64_t overflow_bits() const noexcept {
        return word[slots_per_bucket].load(std::memory_order_relaxed);
    }
    void set_overflow(Bucket* more) noexcept {
        word[slots_per_bucket].store(
            reinterpret_cast<std::uint64_t>(more), std::memory_order_release
        );
    }

    /// Bit i: slot i has the signature, of which the upper 16 bits count. An empty slot may, too;
    /// and bit 7, which says nothing, may be set.
    std::uint32_t alike(std::uint64_t signature) const noexcept {
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
        return halves([&](__m256i slots) { return equal_signature(slots, signature); });
#else
        return candidates(signature, 0);
#endif
    }
    /// Bit i: slot i has the signature and at least this band. An empty slot may, too.
    std::uint32_t candidates(std::uint64_t signature, std::uint64_t band) const noexcept {
        using namespace tuple_slot;
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
        const auto all = [](std::uint64_t bits) {
            return _mm256_set1_epi64x(static_cast<long long>(bits));
        };
        const __m256i band_mask = all(band_bits), below = all(band - 1);
        return halves([&](__m256i slots) {
                   const __m256i high =
                       _mm256_cmpgt_epi64(_mm256_and_si256(slots, band_mask), below);
                   return _mm256_and_si256(equal_signature(slots, signature), high);
               }) &
               0x7f;
#else
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < slots_per_bucket; ++i) {
            const std::uint64_t slot = word[i].load(std::memory_order_relaxed);
            if (((slot ^ signature) & signature_bits) == 0 && (slot & band_bits) >= band)
                found |= 1u << i;
        }
        return found;
#endif
    }

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
private:
    /// The highest bit of each of the bucket's words in what `compare` gives for four of them. One
    /// load for four slots; each of them is written whole, so a word is either old or new.
    template <class Compare>
    std::uint32_t halves(Compare&& compare) const noexcept {
        const auto* at = reinterpret_cast<const __m256i*>(this);
        const auto bits = [&](const __m256i* four) {
            return static_cast<std::uint32_t>(
                _mm256_movemask_pd(_mm256_castsi256_pd(compare(_mm256_load_si256(four))))
            );
        };
        return bits(at) | bits(at + 1) << 4;
    }
    /// In the highest bit of each word: the signature, its upper 16 bits, is the same.
    static __m256i equal_signature(__m256i slots, std::uint64_t signature) noexcept {
        static_assert(tuple_slot::signature_bits == std::uint64_t{0xffff} << 48);
        return _mm256_cmpeq_epi16(slots, _mm256_set1_epi64x(static_cast<long long>(signature)));
    }
#endif
};

/// `number` times what a hash says as a fraction. Keys that follow each other in steps of a power
/// of two have hashes of which no part is even by itself, so all bits count: it is the upper end of
/// the product with an odd number, one that fits into an instruction. (The signature is the hash's
/// upper end.)
inline std::uint64_t scaled(std::uint64_t hash, std::uint64_t number) noexcept {
    __extension__ using Wide = unsigned __int128;
    const std::uint64_t mixed = hash * 0x6c8e'9cf5u;
    return static_cast<std::uint64_t>(static_cast<Wide>(mixed) * number >> 64);
}

/// Which of `count` buckets a hash leads to.
inline std::size_t bucket_index(std::uint64_t hash, std::size_t count) noexcept {
    return scaled(hash, count);
}

/// Where a hash leads, in one word: an address in a bucket and, above it, the signature. The bucket
/// is on its way once there is one.
class TupleHash::Aim {
public:
    Aim() = default;
    Aim(const Bucket* buckets, std::size_t count, std::uint64_t hash) noexcept {
        static_assert(sizeof(Bucket) == cache_line);
        const auto first = reinterpret_cast<std::uint64_t>(buckets);
        const std::uint64_t at = first + scaled(hash, count * sizeof(Bucket));
        __builtin_prefetch(reinterpret_cast<const void*>(at));
        word_ = at | (hash & tuple_slot::signature_bits);
    }
    const Bucket* bucket() const noexcept {
        return reinterpret_cast<const Bucket*>(word_ & tuple_slot::address_bits);
    }
    std::uint64_t signature() const noexcept { return word_; } // in the upper 16 bits

private:
    std::uint64_t word_;
};

/// The words of a key that a mask of `words` words looks at (0: any number): in registers, while a
/// burst is looked up.
template <std::size_t words>
struct MaskWords {
    std::array<std::uint8_t, words> word;
    std::array<std::uint64_t, words> bits;

    explicit MaskWords(const Mask& mask) noexcept {
        std::copy_n(mask.word.begin(), words, word.begin());
        std::copy_n(mask.bits.begin(), words, bits.begin());
    }
    static constexpr std::size_t count() noexcept { return words; }
    std::uint64_t of(const FlowKey& key, std::size_t i) const noexcept {
        return key.word[word[i]] & bits[i];
    }
};
template <>
struct MaskWords<0> {
    const Mask& mask;

    explicit MaskWords(const Mask& of) noexcept : mask{of} {}
    std::size_t count() const noexcept { return mask.count; }
    std::uint64_t of(const FlowKey& key, std::size_t i) const noexcept {
        return key.word[mask.word[i]] & mask.bits[i];
    }
};

struct TupleHash::Array {
    std::size_t count; // of buckets
    Bands bands;
    Bucket* buckets;
    std::vector<std::unique_ptr<Bucket>> more; // that others overflow into
    Worst worst;                               // or more: entries that left are not forgotten
    /// What the writer knows of long chains, by the index of the bucket that they begin at.
    struct Crowd;
    std::unordered_map<std::size_t, std::unique_ptr<Crowd>> crowds;
    std::uint64_t walked = 0; // buckets, by the writer

    Array(std::size_t of_buckets, const Bands& of);
    ~Array();
    std::size_t index(std::uint64_t hash) const noexcept { return bucket_index(hash, count); }
    Bucket& home(std::uint64_t hash) const noexcept { return buckets[index(hash)]; }
    void put(const Entry& entry, std::uint64_t hash);
    bool clear(const Entry& entry, std::uint64_t hash) noexcept;
    bool contains(const Entry& entry, std::uint64_t hash) noexcept;
    std::size_t alike(std::uint64_t hash) noexcept;
    /// Or null, where the chain is short.
    Crowd* crowd_of(std::uint64_t hash) const noexcept;
    void note_crowd(std::uint64_t hash);
    void append(Bucket& last, std::uint64_t slot);
    Worst cost(std::uint64_t hash) const noexcept; // of a key with that hash
};

/// A tuple of no word is hashed as if it had one of zeros, so that whoever hashes two words, of
/// which some may be zeros, is right for none, one and two.
template <class Word>
inline std::uint64_t
TupleHash::hash_words(const KeyedHash& hash, std::size_t count, Word&& word) noexcept {
    return count != 0 ? hash(count, word) : hash(1, [](std::size_t) { return std::uint64_t{0}; });
}

inline std::uint64_t TupleHash::hash(const FlowKey& key) const noexcept {
    return hash_words(hash_, mask_.count, [&](std::size_t i) {
        return key.word[mask_.word[i]] & mask_.bits[i];
    });
}

template <std::size_t words>
void TupleHash::hash_lanes(const FlowKey* keys, LaneMask live, const Array& array, Aim* aims)
    const noexcept {
    const MaskWords<words> mask{mask_};
    const KeyedHash hash = hash_; // in registers, as what follows
    const std::size_t count = array.count;
    const Bucket* const buckets = array.buckets;
    for_lanes(live, [&](std::size_t lane) {
        const std::uint64_t h =
            hash_words(hash, mask.count(), [&](std::size_t i) { return mask.of(keys[lane], i); });
        aims[lane] = Aim{buckets, count, h};
    });
}

/// Which buckets have a candidate nobody can predict: the first one is noted without a branch, most
/// have no more.
template <class Flush>
inline std::size_t TupleHash::note(
    Aim aim, std::uint64_t band, std::size_t lane, Candidates& into, std::size_t count, Flush& flush
) noexcept {
    for (const Bucket* bucket = aim.bucket();;) {
        std::uint32_t at = bucket->candidates(aim.signature(), band);
        const auto one = [&] {
            const auto i = static_cast<unsigned>(std::countr_zero(at | 1u << slots_per_bucket));
            const Entry* const entry =
                tuple_slot::entry_of(bucket->line()[i].load(std::memory_order_acquire));
            __builtin_prefetch(entry);
            into.entry[count] = entry;
            into.lane[count] = static_cast<std::uint8_t>(lane);
            count += at != 0;
            at &= at - 1;
        };
        one();
        while (at != 0)
            [[unlikely]] one();
        bucket = bucket->overflow();
        if (bucket == nullptr) [[likely]]
            return count;
        if (count > Candidates::size - Candidates::of_buckets) {
            into.count = count;
            flush();
            count = into.count;
        }
    }
}

template <std::size_t words, class Flush>
void TupleHash::collect_of(
    const FlowKey* keys, LaneMask live, const Rank* rank, Candidates& into, Flush&& flush
) const noexcept {
    const Array& array = *array_.load(std::memory_order_acquire);
    std::array<Aim, burst_max> aims;
    hash_lanes<words>(keys, live, array, aims.data());
    const Bands bands = array.bands;
    std::size_t count = 0; // in a register, but for flush()
    for (const std::size_t lane : Lanes{live})
        count = note(aims[lane], bands.of(rank[lane]), lane, into, count, flush);
    into.count = count;
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

template <std::size_t words, class Result, class Choose>
void TupleHash::find_exact_of(
    const FlowKey* keys, LaneMask live, Generation g, Result* best, Choose&& choose
) const noexcept {
    const MaskWords<words> mask{mask_};
    const Array& array = *array_.load(std::memory_order_acquire);
    std::array<Aim, burst_max> aims;
    hash_lanes<words>(keys, live, array, aims.data());
    std::array<const Entry*, burst_max> entries;
    LaneMask several = 0; // more than one candidate, or maybe
    for_lanes(live, [&](std::size_t lane) {
        const Bucket& bucket = *aims[lane].bucket();
        const std::uint64_t at = bucket.alike(aims[lane].signature());
        // Where there is none, it is the word behind the slots, 0 but for an overflow.
        const auto i = static_cast<unsigned>(std::countr_zero(at | 1u << slots_per_bucket));
        const Entry* const entry =
            tuple_slot::entry_of(bucket.line()[i].load(std::memory_order_acquire));
        __builtin_prefetch(entry);
        entries[lane] = entry;
        if (((at & (at - 1)) | bucket.overflow_bits()) != 0) [[unlikely]] {
            several |= lane_bit(lane);
            entries[lane] = nullptr;
        }
    });
    const auto found = [&](std::size_t lane) {
        const Entry* const entry = entries[lane];
        if (entry == nullptr) [[unlikely]]
            return Result{};
        std::uint64_t differs = 0;
        for (std::size_t i = 0; i < mask.count(); ++i)
            differs |= mask.of(keys[lane], i) ^ entry->values()[i];
        if (differs != 0) [[unlikely]]
            return Result{};
        return result_at<Result>(*entry, g);
    };
    for_lanes(live, [&](std::size_t lane) { best[lane] = found(lane); });
    for (const std::size_t lane : Lanes{several})
        best[lane] = choose(lane);
}

template <class Result, class Choose>
void TupleHash::find_exact(
    const FlowKey* keys, LaneMask live, Generation g, Result* best, Choose&& choose
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
