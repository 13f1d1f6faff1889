// Who has which slot of a select group.
//
// Invariants: (1) slots depend on the buckets' weights and identities, never on their places, on
// what the group was before, or on links: a switch that starts anew deals the same, and so does
// another switch, whatever its processor. So a bucket's time for a slot is a whole number below
// 2^24 times the float next to 1 / weight: nothing that a compiler or a library may round
// otherwise. (2) A bucket's time for a slot depends on nothing but the bucket.
#include "base/hash.hh"
#include "pipeline/table.hh"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace weft {

namespace {

using Slots = std::array<std::uint32_t, group_slots>; // the bucket of each
using Times = std::array<float, group_slots>;

constexpr unsigned slot_bits = 13;
static_assert(group_slots == std::size_t{1} << slot_bits);

/// From so many buckets on most slots are dealt by the first darts alone.
constexpr std::size_t few = 16;

/// When dart k of a bucket of weight 1 comes: of as many independent exponential times as there are
/// slots the mean of the k-th, in units of 2^-20.
constexpr Times dart_times() {
    Times times{};
    std::uint64_t sum = 0;
    for (std::size_t dart = 0; dart < group_slots; ++dart) {
        sum += (std::uint64_t{1} << 20) / (group_slots - dart);
        times[dart] = static_cast<float>(sum); // at most 10.1 million: exact
    }
    return times;
}
constexpr float time_unit = 1 << 20;
constexpr Times time_of = dart_times();

/// In which order a bucket throws at the slots: a permutation of them, drawn by its identity.
class Order {
public:
    explicit Order(std::uint64_t identity) noexcept
        : first_add_{part(identity, 0)},
          first_factor_{odd(part(identity, 16))},
          second_add_{part(identity, 32)},
          second_factor_{odd(part(identity, 48))} {}

    /// Which dart hits the slot.
    std::uint16_t dart_at(std::uint16_t slot) const noexcept {
        std::uint16_t x = times(slot + first_add_, first_factor_);
        x = static_cast<std::uint16_t>(x ^ x >> 7);
        x = times(x + second_add_, second_factor_);
        x = static_cast<std::uint16_t>(x ^ x >> 6);
        x = times(x, last_factor);
        return static_cast<std::uint16_t>(x ^ x >> 7);
    }
    /// The same step by step back.
    std::uint16_t slot_of(std::uint16_t dart) const noexcept {
        auto x = static_cast<std::uint16_t>(dart ^ dart >> 7);
        x = times(x, inverse(last_factor));
        x = static_cast<std::uint16_t>(x ^ x >> 6 ^ x >> 12);
        x = times(x, inverse(second_factor_));
        x = times(x - second_add_, 1);
        x = static_cast<std::uint16_t>(x ^ x >> 7);
        x = times(x, inverse(first_factor_));
        return times(x - first_add_, 1);
    }

private:
    static constexpr std::uint16_t last_factor = 5'197;

    static std::uint16_t part(std::uint64_t identity, unsigned at) noexcept {
        return static_cast<std::uint16_t>(identity >> at);
    }
    static std::uint16_t odd(std::uint16_t factor) noexcept {
        return static_cast<std::uint16_t>(factor | 1);
    }
    static std::uint16_t times(int x, std::uint16_t factor) noexcept {
        return static_cast<std::uint16_t>(
            static_cast<std::uint32_t>(x) * factor & (group_slots - 1)
        );
    }
    /// Modulo 2^16: right in the lowest 3 bits, and twice as many with each step.
    static std::uint16_t inverse(std::uint16_t factor) noexcept {
        std::uint32_t inverse = factor;
        for (int step = 0; step < 3; ++step)
            inverse *= 2 - factor * inverse;
        return static_cast<std::uint16_t>(inverse);
    }

    std::uint16_t first_add_, first_factor_, second_add_, second_factor_;
};

/// A bucket that has a weight.
struct Thrower {
    std::uint64_t identity = 0; // no two have the same
    float slowness = 0;         // 1 / weight
    std::uint32_t bucket = 0;
};

/// By identity, of which equal ones are made different by their places among each other.
std::vector<Thrower> throwers_of(const std::vector<BucketSettings>& buckets) {
    std::vector<Thrower> throwers;
    for (std::size_t i = 0; i < buckets.size(); ++i)
        if (buckets[i].weight != 0)
            throwers.push_back(
                {buckets[i].identity,
                 1 / static_cast<float>(buckets[i].weight),
                 static_cast<std::uint32_t>(i)}
            );
    const auto by_identity = [](const Thrower& a, const Thrower& b) {
        return a.identity < b.identity;
    };
    std::stable_sort(throwers.begin(), throwers.end(), by_identity);
    std::uint64_t alike = 0;
    for (std::size_t i = 0; i < throwers.size(); ++i) {
        const std::uint64_t given = buckets[throwers[i].bucket].identity;
        alike = i > 0 && buckets[throwers[i - 1].bucket].identity == given ? alike + 1 : 0;
        throwers[i].identity = word_hash(word_hash(0, given), alike);
    }
    std::sort(throwers.begin(), throwers.end(), by_identity);
    return throwers;
}

/// Every dart at every slot. Two loops, bucket numbers as wide as times, and the thrower a copy
/// that no slot can lie over, so that the compiler works on several slots at once.
void throw_all(const Thrower thrower, Slots& slots, Times& first) {
    const Order order{thrower.identity};
    std::array<std::uint16_t, group_slots> dart_at;
    for (std::size_t slot = 0; slot < group_slots; ++slot)
        dart_at[slot] = order.dart_at(static_cast<std::uint16_t>(slot));
    for (std::size_t slot = 0; slot < group_slots; ++slot) {
        const float time = time_of[dart_at[slot]] * thrower.slowness;
        const bool wins = time < first[slot];
        first[slot] = wins ? time : first[slot];
        slots[slot] = wins ? thrower.bucket : slots[slot];
    }
}

/// The darts that come before `end`.
void throw_until(float end, const Thrower& thrower, Slots& slots, Times& first) {
    const Order order{thrower.identity};
    for (std::size_t dart = 0; dart < group_slots; ++dart) {
        const float time = time_of[dart] * thrower.slowness;
        if (time >= end)
            return;
        const std::uint16_t slot = order.slot_of(static_cast<std::uint16_t>(dart));
        if (time < first[slot]) {
            first[slot] = time;
            slots[slot] = thrower.bucket;
        }
    }
}

void deal_among_many(const std::vector<Thrower>& throwers, Slots& slots, Times& first) {
    float weights = 0;
    for (const Thrower& thrower : throwers)
        weights += 1 / thrower.slowness;
    // By then all but one slot in as many as there are buckets has been hit; each of those left
    // costs a look at every bucket.
    const float end = time_unit * std::log(static_cast<float>(throwers.size())) / weights;
    for (const Thrower& thrower : throwers)
        throw_until(end, thrower, slots, first);
    std::vector<Order> orders;
    for (const Thrower& thrower : throwers)
        orders.emplace_back(thrower.identity);
    for (std::size_t slot = 0; slot < group_slots; ++slot) {
        if (first[slot] < end)
            continue;
        for (std::size_t i = 0; i < throwers.size(); ++i) {
            const float time =
                time_of[orders[i].dart_at(static_cast<std::uint16_t>(slot))] * throwers[i].slowness;
            if (time < first[slot]) {
                first[slot] = time;
                slots[slot] = throwers[i].bucket;
            }
        }
    }
}

} // namespace

std::vector<std::uint16_t> deal_slots(const std::vector<BucketSettings>& buckets) {
    const std::vector<Thrower> throwers = throwers_of(buckets);
    if (throwers.size() < 2)
        return std::vector<std::uint16_t>(
            throwers.size(), static_cast<std::uint16_t>(throwers.empty() ? 0 : throwers[0].bucket)
        );
    Slots slots;
    Times first;
    first.fill(std::numeric_limits<float>::infinity());
    if (throwers.size() > few)
        deal_among_many(throwers, slots, first);
    else
        for (const Thrower& thrower : throwers)
            throw_all(thrower, slots, first);
    std::vector<std::uint16_t> dealt(group_slots);
    for (std::size_t slot = 0; slot < group_slots; ++slot)
        dealt[slot] = static_cast<std::uint16_t>(slots[slot]);
    return dealt;
}

} // namespace weft
