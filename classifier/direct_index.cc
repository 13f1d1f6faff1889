#include "classifier/direct_index.hh"

#include <bit>
#include <utility>
#include <vector>

namespace weft {

namespace {

constexpr std::size_t slots_min = 64;
constexpr std::size_t slots_an_entry = 2; // or less, for it to turn on

std::uint64_t address_of(const Entry& entry) noexcept {
    return reinterpret_cast<std::uint64_t>(&entry);
}

} // namespace

DirectIndex::Slots::Slots(const Mask& mask, std::size_t of)
    : word{mask.word[0]},
      shift{static_cast<std::uint8_t>(std::countr_zero(mask.bits[0]))},
      bits{mask.bits[0]},
      count{of},
      slot{new std::atomic<std::uint64_t>[of + 1] {}} {}

DirectIndex::~DirectIndex() {
    delete slots_.load(std::memory_order_relaxed);
}

// -- readers

TupleHash::Worst DirectIndex::cost(const Slots& in, const FlowKey& key) const noexcept {
    const std::uint64_t entries = Slots::entries_of(in.of(key));
    if (entries <= 1)
        return {.lines = 1, .candidates = entries};
    const TupleHash::Worst in_hash = hash_.cost(key);
    return {.lines = 1 + in_hash.lines, .candidates = in_hash.candidates};
}

// -- the writer

std::uint64_t DirectIndex::value_of(const Entry& entry) const noexcept {
    return entry.values()[0] >> std::countr_zero(mask_.bits[0]);
}

/// 0 for off. Half of the entries that brought it may leave again before it goes.
std::size_t DirectIndex::wanted_slots() const noexcept {
    if (!is_exact_ || mask_.count != 1 || most_ >= slots_max)
        return 0;
    const std::size_t count = std::max<std::size_t>(std::bit_ceil(most_ + 1), slots_min);
    const std::size_t at_most = slots_an_entry * hash_.entries() * (is_on() ? 2 : 1);
    return count <= std::max(at_most, slots_min) ? count : 0;
}

void DirectIndex::set_exact(bool is_exact, Reclaimer& reclaimer) {
    is_exact_ = is_exact;
    if (!is_exact)
        turn_off(reclaimer);
}

void DirectIndex::insert(const Entry& entry, Reclaimer& reclaimer) {
    if (!is_exact_ || mask_.count != 1)
        return;
    const bool is_first = hash_.entries() == 1;
    most_ = is_first ? value_of(entry) : std::max(most_, value_of(entry));
    Slots* const now = slots_.load(std::memory_order_relaxed);
    const std::size_t wanted = wanted_slots();
    if (wanted == 0) {
        turn_off(reclaimer);
    } else if (now == nullptr) {
        publish(filled(wanted), reclaimer);
    } else if (wanted == now->count) {
        come(*now, entry);
    } else {
        auto next = grown(wanted);
        come(*next, entry);
        publish(std::move(next), reclaimer);
    }
    if (most_ >= slots_max)
        turn_off(reclaimer);
}

void DirectIndex::remove(const Entry& entry, Reclaimer& reclaimer) {
    Slots* const now = slots_.load(std::memory_order_relaxed);
    if (now == nullptr)
        return;
    auto& slot = now->slot[value_of(entry)];
    const std::uint64_t without =
        (slot.load(std::memory_order_relaxed) - Slots::one) ^ address_of(entry);
    with_several_ -= Slots::entries_of(without) == 1;
    slot.store(without, std::memory_order_release);
    if (wanted_slots() != now->count)
        turn_off(reclaimer);
}

void DirectIndex::come(Slots& to, const Entry& entry) noexcept {
    auto& slot = to.slot[value_of(entry)];
    const std::uint64_t now = slot.load(std::memory_order_relaxed);
    if (Slots::entries_of(now) == Slots::entries_max) {
        most_ = slots_max;
        return;
    }
    with_several_ += Slots::entries_of(now) == 1;
    slot.store((now + Slots::one) ^ address_of(entry), std::memory_order_release);
}

void DirectIndex::publish(std::unique_ptr<Slots> slots, Reclaimer& reclaimer) {
    const Slots* const old = slots_.exchange(slots.release(), std::memory_order_acq_rel);
    if (old != nullptr)
        reclaimer.retire([old] { delete old; });
}

/// What is there, with room for greater values.
std::unique_ptr<DirectIndex::Slots> DirectIndex::grown(std::size_t count) const {
    const Slots& now = *slots_.load(std::memory_order_relaxed);
    auto slots = std::make_unique<Slots>(mask_, count);
    for (std::size_t i = 0; i < now.count; ++i)
        slots->slot[i].store(
            now.slot[i].load(std::memory_order_relaxed), std::memory_order_relaxed
        );
    return slots;
}

/// Of what the hash has: few entries as yet, or it would be there already.
std::unique_ptr<DirectIndex::Slots> DirectIndex::filled(std::size_t count) {
    auto slots = std::make_unique<Slots>(mask_, count);
    std::vector<const Entry*> entries;
    for (std::size_t bucket = 0; bucket < hash_.buckets(); ++bucket)
        hash_.entries_of(bucket, entries);
    for (const Entry* entry : entries)
        come(*slots, *entry);
    return slots;
}

void DirectIndex::turn_off(Reclaimer& reclaimer) {
    publish(nullptr, reclaimer);
    with_several_ = 0;
}

TupleHash::Worst DirectIndex::worst(TupleHash::Worst of_hash) const noexcept {
    if (with_several_ == 0)
        return {.lines = 1, .candidates = 1};
    return {.lines = 1 + of_hash.lines, .candidates = of_hash.candidates};
}

std::uint64_t DirectIndex::memory_bytes() const noexcept {
    const Slots* const now = slots();
    return sizeof *this +
           (now != nullptr ? sizeof *now + (now->count + 1) * sizeof now->slot[0] : 0);
}

} // namespace weft
