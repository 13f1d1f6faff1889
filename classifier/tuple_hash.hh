// The hash of one tuple: entries by their bits under one mask, in buckets of one cache line,
// changed in place while workers read.
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
/// A slot is 0 or an entry's address and, in the bits that an address of 64-byte alignment leaves
/// free, a signature from the hash (16 above) and the band of the entry's rank (6 below). Entries
/// may ask for more than the mask, so several of a bucket may have one signature; the reader looks
/// at those whose band is not below that of what it found already. `overflow` is
/// the address of another bucket or 0.
///
/// Invariants: (1) an entry that any reader can see is in the array that readers see; (2) at rest
/// an array has one and a half times the buckets that its entries need at most, or what deletes
/// left, up to twice; (3) an overflow bucket is only freed with its array. (4) Resizing fills a
/// second array, a few buckets with each change, while readers use the first; the second has
/// everything of the first's buckets below `filled_`. Then the pointer is swapped. (5) Rules of one
/// match and many priorities share a hash, so a chain may be as long as there are rules: of one
/// longer than crowd_buckets the writer knows each slot's place, and a change in it costs its
/// share. (A reader walks it: the bound says so.)
class TupleHash {
public:
    static constexpr std::size_t slots_per_bucket = 7;
    static constexpr std::size_t crowd_buckets = 4;

    /// Ranks in 64 bands of equal width, best last; what lies outside belongs to the first or last.
    struct Bands {
        std::uint32_t lowest = 0; // priority
        std::uint8_t shift = 26;
        std::uint64_t of(Rank rank) const noexcept {
            const std::uint32_t above = std::max(priority_of(rank), lowest) - lowest;
            return std::min<std::uint32_t>(above >> shift, 63);
        }
        friend bool operator==(const Bands&, const Bands&) = default;
    };

    TupleHash(const Mask& mask, std::uint64_t key);
    ~TupleHash();
    TupleHash(const TupleHash&) = delete;
    TupleHash& operator=(const TupleHash&) = delete;

    // -- readers
    /// Entries that one lookup step has to look at, with their lanes.
    struct Candidates {
        /// All of one bucket for each lane and of one more.
        static constexpr std::size_t of_buckets = (burst_max + 1) * slots_per_bucket;
        static constexpr std::size_t size = 2 * of_buckets;
        std::array<const Entry*, size> entry;
        std::array<std::uint8_t, size> lane;
        std::size_t count = 0;
    };
    /// Adds the candidates of each lane in `live` that may rank at or above rank[lane], which the
    /// caller verifies, to an empty list; calls `flush()`, which empties it, where it is full.
    /// Hashes all lanes and prefetches, then compares signatures and prefetches the entries.
    template <class Flush>
    void collect(
        const FlowKey* keys, LaneMask live, const Rank* rank, Candidates& into, Flush&& flush
    ) const noexcept;
    /// For a tuple whose entries' only form is its mask: best[lane] = the best entry that is
    /// visible at `g`, or nullptr, for each lane in `live`. Most keys have one candidate or none;
    /// for the others `choose(lane)` decides.
    /// Result: const Entry*, or Payload for the entry's payload alone.
    template <class Result, class Choose>
    void find_exact(const FlowKey* keys, LaneMask live, Generation g, Result* best, Choose&& choose)
        const noexcept;
    /// The same as collect() for one key: `visit(entry)` for each candidate until it
    /// returns false.
    template <class Visit>
    void for_each_candidate(const FlowKey& key, Visit&& visit) const;

    // -- the writer
    /// How many entries lie under the entry's hash: what a reader of such a key has to look at.
    std::size_t alike(const Entry& entry) const;
    void insert(const Entry& entry, Reclaimer& reclaimer);
    /// False where the entry is not in here.
    bool remove(const Entry& entry, Reclaimer& reclaimer);
    bool contains(const Entry& entry) const;
    /// For slots from now on; tidy() brings the others.
    void set_bands(const Bands& bands) noexcept { bands_ = bands; }
    /// Whether readers come by find_exact(): then its arrays are left so empty that hardly any
    /// bucket overflows.
    void set_exact(bool is_exact) noexcept { is_exact_ = is_exact; }
    /// Goes on with what changes have begun: a resize under way, overflow that nobody needs any
    /// more. True while there is more to do.
    bool tidy(std::size_t buckets, Reclaimer& reclaimer);
    std::uint64_t entries() const noexcept { return entries_; }
    /// The entries of one bucket and what overflows from it, whatever their generation.
    std::size_t buckets() const noexcept;
    void entries_of(std::size_t bucket, std::vector<const Entry*>& into) const;
    /// Lines of the longest chain of buckets, and the most entries under one signature in one.
    struct Worst {
        std::uint64_t lines = 0;
        std::uint64_t candidates = 0;
    };
    Worst worst() const;
    /// The same for one key.
    Worst cost(const FlowKey& key) const noexcept;
    /// worst(), or what it was at some time since it was last asked or the array was made: at once.
    Worst worst_at_most() const noexcept;
    std::uint64_t memory_bytes() const noexcept;
    /// Buckets that the writer has looked at: what changes have cost.
    std::uint64_t walked() const noexcept;

private:
    struct Bucket;
    class Aim;
    struct Array;
    friend struct Array;
    friend class TupleProbes;

    template <class Word>
    static std::uint64_t hash_words(const KeyedHash& hash, std::size_t count, Word&& word) noexcept;
    /// Adds the candidates of one chain of buckets and returns how many `into` has then.
    template <class Flush>
    static std::size_t note(
        Aim aim,
        std::uint64_t band,
        std::size_t lane,
        Candidates& into,
        std::size_t count,
        Flush& flush
    ) noexcept;

    std::uint64_t hash(const FlowKey& key) const noexcept;
    std::uint64_t hash_of(const Entry& entry) const noexcept;
    /// Where the hash of each lane leads, its bucket on the way; for masks of `words` words, 0: any
    /// number.
    template <std::size_t words>
    void
    hash_lanes(const FlowKey* keys, LaneMask live, const Array& array, Aim* aims) const noexcept;
    template <std::size_t words, class Flush>
    void collect_of(
        const FlowKey* keys, LaneMask live, const Rank* rank, Candidates& into, Flush&& flush
    ) const noexcept;
    template <std::size_t words, class Result, class Choose>
    void find_exact_of(
        const FlowKey* keys, LaneMask live, Generation g, Result* best, Choose&& choose
    ) const noexcept;
    /// The most entries that so many buckets are for, and the other way round.
    std::size_t entries_for(std::size_t buckets) const noexcept;
    std::size_t buckets_for(std::size_t entries) const noexcept;
    void begin_resize(std::size_t buckets);
    void fill_some(Reclaimer& reclaimer);

    const Mask& mask_;
    KeyedHash hash_;
    std::atomic<Array*> array_;
    // the writer's
    Bands bands_;
    bool is_exact_ = false;
    std::unique_ptr<Array> growing_;
    std::size_t filled_ = 0;
    std::uint64_t entries_ = 0;
    std::uint64_t entries_most_ = 0; // since the array began to be filled
    std::uint64_t fill_entries_ = 0;
    std::uint64_t walked_ = 0; // in arrays that are gone
};

} // namespace weft

#include "classifier/tuple_hash_inline.hh"
