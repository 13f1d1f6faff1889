// The entries of one tuple by the value that they ask for: an array in front of the tuple's hash,
// changed in place while workers read.
#pragma once

#include "base/lanes.hh"
#include "base/reclaim.hh"
#include "classifier/entry.hh"
#include "classifier/tuple_hash.hh"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace weft {

/// For a tuple of one word whose entries' only form is its mask and whose values are small. The
/// value of a key is its bits under the mask, shifted down to the lowest of them.
///
/// Layout of a slot, by how many entries ask for its value (0: the word is 0):
///
///   | entries    | their addresses, xored: with one entry its own |    16 and 48 bits
///
/// Of several entries, versions of a rule or priorities of one match, the hash says which one wins.
///
/// Invariants: (1) it has every entry of the tuple or is off; (2) it is off where there was a value
/// of slots_max or more or more entries of one than a slot can count, where slots are many for the
/// entries, and where entries ask for more than the mask; (3) a value beyond the slots is no
/// entry's. Another size is another array, filled before the pointer is swapped.
class DirectIndex {
public:
    static constexpr std::size_t slots_max = 4096;

    /// Of a tuple with this mask and hash, which both outlive it.
    DirectIndex(const Mask& mask, const TupleHash& hash) noexcept : mask_{mask}, hash_{hash} {}
    ~DirectIndex();
    DirectIndex(const DirectIndex&) = delete;
    DirectIndex& operator=(const DirectIndex&) = delete;

    // -- readers
    struct Slots;
    /// What to look up in, or null where it is off: then the hash has all.
    const Slots* slots() const noexcept { return slots_.load(std::memory_order_acquire); }
    /// best[lane] = the only entry of the key's value, if it is visible at `g`, or nullptr, for
    /// each lane in `live`; where there are several `choose(lane)` decides.
    /// Result: const Entry*, or Payload for the entry's payload alone.
    template <class Result, class Choose>
    static void find(
        const Slots& in,
        const FlowKey* keys,
        LaneMask live,
        Generation g,
        Result* best,
        Choose&& choose
    ) noexcept;
    /// What a lookup of one key comes to where it is on.
    TupleHash::Worst cost(const Slots& in, const FlowKey& key) const noexcept;

    // -- the writer
    /// Whether the mask is all that entries ask for, from the next one on.
    void set_exact(bool is_exact, Reclaimer& reclaimer);
    /// The hash has the entry already. Cost: a step, a step for each slot where it grows, or one
    /// for each entry where it turns on.
    void insert(const Entry& entry, Reclaimer& reclaimer);
    /// The hash has it no more. Before the entry is retired.
    void remove(const Entry& entry, Reclaimer& reclaimer);
    bool is_on() const noexcept { return slots_.load(std::memory_order_relaxed) != nullptr; }
    /// What a lookup can come to at most, where `of_hash` is what one in the hash can.
    TupleHash::Worst worst(TupleHash::Worst of_hash) const noexcept;
    std::uint64_t memory_bytes() const noexcept;

private:
    std::uint64_t value_of(const Entry& entry) const noexcept;
    std::size_t wanted_slots() const noexcept;
    void come(Slots& to, const Entry& entry) noexcept;
    void publish(std::unique_ptr<Slots> slots, Reclaimer& reclaimer);
    std::unique_ptr<Slots> grown(std::size_t count) const;
    std::unique_ptr<Slots> filled(std::size_t count);
    void turn_off(Reclaimer& reclaimer);

    const Mask& mask_;
    const TupleHash& hash_;
    std::atomic<Slots*> slots_{nullptr};
    // the writer's
    bool is_exact_ = false;
    std::uint64_t most_ = 0;         // no value was greater since the tuple was empty
    std::uint64_t with_several_ = 0; // slots
};

struct DirectIndex::Slots {
    std::uint8_t word, shift;
    std::uint64_t bits;
    std::size_t count;
    std::unique_ptr<std::atomic<std::uint64_t>[]> slot; // and one more, 0, for values beyond

    static constexpr unsigned address_bits = 48;
    static constexpr std::uint64_t one = std::uint64_t{1} << address_bits; // entry
    static constexpr std::uint64_t entries_max = 0xffff;                   // of one slot
    static std::uint64_t entries_of(std::uint64_t slot) noexcept { return slot >> address_bits; }

    Slots(const Mask& mask, std::size_t of);
    std::uint64_t of(const FlowKey& key) const noexcept {
        const std::uint64_t value = (key.word[word] & bits) >> shift;
        return slot[std::min(value, count)].load(std::memory_order_acquire);
    }
};

template <class Result, class Choose>
void DirectIndex::find(
    const Slots& in, const FlowKey* keys, LaneMask live, Generation g, Result* best, Choose&& choose
) noexcept {
    std::array<const Entry*, burst_max> entries;
    LaneMask several = 0;
    for_lanes(live, [&](std::size_t lane) {
        const std::uint64_t slot = in.of(keys[lane]);
        const auto* const entry = reinterpret_cast<const Entry*>(slot & (Slots::one - 1));
        __builtin_prefetch(entry);
        entries[lane] = entry;
        if (Slots::entries_of(slot) > 1) [[unlikely]] {
            several |= lane_bit(lane);
            entries[lane] = nullptr;
        }
    });
    for_lanes(live, [&](std::size_t lane) {
        best[lane] = entries[lane] == nullptr ? Result{} : result_at<Result>(*entries[lane], g);
    });
    for (const std::size_t lane : Lanes{several})
        best[lane] = choose(lane);
}

} // namespace weft
