// The exact-match hash of one mask: buckets of one cache line, changed in place while workers read.
#pragma once

#include "base/hash.hh"
#include "base/lanes.hh"
#include "base/reclaim.hh"
#include "classifier/entry.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace weft {

/// Layout of a bucket:
///
///   | slot 0 | slot 1 | ... | slot 6 | overflow |    8 bytes each
///
/// A slot is 0 or an entry's address with a signature from the hash in the bits that an address of
/// 64-byte alignment leaves free: 16 above, 6 below. A slot names the first entry of a chain of
/// equal values. `overflow` is the address of another bucket or 0.
///
/// Invariants: (1) no two slots of a bucket chain name entries of equal values; (2) buckets are a
/// power of two; (3) an overflow bucket is only freed with its array. Growing makes a new array,
/// fills it, swaps the pointer and retires the old one.
class TupleHash {
public:
    static constexpr std::size_t slots_per_bucket = 7;

    TupleHash(const Mask& mask, std::uint64_t key);
    ~TupleHash();
    TupleHash(const TupleHash&) = delete;
    TupleHash& operator=(const TupleHash&) = delete;

    // -- readers
    std::uint64_t hash(const FlowKey& key) const noexcept {
        WordHash h{key_};
        for (std::size_t i = 0; i < mask_.count; ++i)
            h.add(key.word[mask_.word[i]] & mask_.bits[i]);
        return h.value();
    }
    struct Bucket;
    /// The first entry of the chain whose values the key has, whatever its generation; nullptr
    /// where there is none.
    const Entry* find(const FlowKey& key) const noexcept;
    /// The same for a burst: found[lane] for each lane in `live`. Hashes all, prefetches, then
    /// compares.
    void find(const FlowKey* keys, LaneMask live, const Entry** found) const noexcept;

    // -- the writer
    /// Adds to the chain of equal values, by rank and then `before`.
    void insert(Entry& entry, bool (*before)(const Entry&, const Entry&), Reclaimer& reclaimer);
    void remove(const Entry& entry);
    /// Every entry, whatever its generation.
    void for_each(const std::function<void(Entry&)>& visit) const;
    std::uint64_t chains() const noexcept { return chains_; }
    /// Buckets in the longest chain of buckets.
    std::uint64_t probes_max() const noexcept;
    std::uint64_t memory_bytes() const noexcept;

private:
    struct Array;
    /// find() for masks of `words` words; 0: any number.
    template <std::size_t words>
    void find_burst(const FlowKey* keys, LaneMask live, const Entry** found) const noexcept;
    std::uint64_t hash_values(const std::uint64_t* values) const noexcept;
    std::atomic<std::uint64_t>* slot_of(const Entry& like) const noexcept;
    static void put(Array& array, std::uint64_t hash, std::uint64_t slot);
    void grow(Reclaimer& reclaimer);

    const Mask& mask_;
    std::uint64_t key_;
    std::atomic<Array*> array_;
    std::uint64_t chains_ = 0;
};

} // namespace weft
