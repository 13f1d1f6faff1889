// Which bucket of a group a packet takes.
//
// Invariants: (1) slots depend on the buckets' weights and identities, never on their places, on
// what the group was before, or on links: a switch that starts anew deals the same, and so does
// another switch. (2) What a link takes away comes back with it, because dead buckets keep their
// slots.
#include "base/hash.hh"
#include "pipeline/table.hh"

#include <algorithm>

namespace weft {

namespace {

/// Tries after the first before the buckets are looked through.
constexpr std::size_t other_slots_max = 8;

bool is_live(const Bucket& bucket, const World& now) noexcept {
    if (bucket.watch_port == PortId::none)
        return true;
    const PortView* port = now.ports.find(index(bucket.watch_port));
    return port != nullptr && !port->down &&
           now.link_up[index(bucket.watch_port)].load(std::memory_order_relaxed) != 0;
}

std::uint64_t hash_of(const Group& group, const FlowKey& key) noexcept {
    if (group.hash_fields.empty())
        return symmetric_hash(key);
    WordHash hash{0};
    for (const FieldId field : group.hash_fields) {
        const U128 value = get(key, info(field));
        hash.add(value.high);
        hash.add(value.low);
    }
    return hash.value();
}

/// The upper bits of the hash; of one slot the only one.
std::size_t slot_of(std::uint64_t hash, std::size_t slots) noexcept {
    static_assert(group_slots == 1 << 13);
    return hash >> (64 - 13) & (slots - 1);
}

std::uint64_t hash_of(std::uint64_t identity, std::uint64_t dart) noexcept {
    WordHash hash{identity};
    hash.add(dart);
    return hash.value();
}

/// Who throws, and how far he is.
struct Thrower {
    std::uint64_t identity = 0; // no two have the same
    std::uint64_t weight = 0;
    std::uint64_t thrown = 0;
    std::uint16_t bucket = 0;
};

std::vector<Thrower> throwers_of(const std::vector<BucketSettings>& buckets) {
    std::vector<Thrower> throwers;
    for (std::size_t i = 0; i < buckets.size(); ++i)
        if (buckets[i].weight != 0)
            throwers.push_back(
                {buckets[i].identity, buckets[i].weight, 0, static_cast<std::uint16_t>(i)}
            );
    std::stable_sort(throwers.begin(), throwers.end(), [](const Thrower& a, const Thrower& b) {
        return a.identity < b.identity;
    });
    std::uint64_t alike = 0;
    for (std::size_t i = 0; i < throwers.size(); ++i) {
        const std::uint64_t given = buckets[throwers[i].bucket].identity;
        alike = i > 0 && buckets[throwers[i - 1].bucket].identity == given ? alike + 1 : 0;
        throwers[i].identity = hash_of(given, alike);
    }
    std::sort(throwers.begin(), throwers.end(), [](const Thrower& a, const Thrower& b) {
        return a.identity < b.identity;
    });
    return throwers;
}

/// What stuck in a slot first.
struct Dart {
    std::uint64_t number = 0; // from 1; 0: none yet
    std::uint64_t weight = 0;
    std::uint16_t bucket = 0;

    /// By number / weight. Both products fit: a number is at most the slots times the rounds, some
    /// 2^20, a weight is below 2^32.
    bool before(const Dart& other) const noexcept {
        return other.number == 0 || number * other.weight < other.number * weight;
    }
};

} // namespace

std::vector<std::uint16_t> deal_slots(const std::vector<BucketSettings>& buckets) {
    std::vector<Thrower> throwers = throwers_of(buckets);
    if (throwers.size() < 2)
        return std::vector<std::uint16_t>(
            throwers.size(), throwers.empty() ? std::uint16_t{0} : throwers[0].bucket
        );
    std::uint64_t total = 0;
    for (const Thrower& thrower : throwers)
        total += thrower.weight;
    std::vector<Dart> slots(group_slots);
    std::size_t free = group_slots;
    // A round is the time in which all together throw as many darts as there are slots. After some
    // ten rounds every slot has been hit, and no later dart can be a first one.
    for (std::uint64_t round = 1; free != 0; ++round)
        for (Thrower& thrower : throwers)
            for (const std::uint64_t end = round * group_slots * thrower.weight / total;
                 thrower.thrown < end;) {
                const std::size_t slot =
                    slot_of(hash_of(thrower.identity, thrower.thrown), group_slots);
                const Dart dart{++thrower.thrown, thrower.weight, thrower.bucket};
                free -= slots[slot].number == 0;
                if (dart.before(slots[slot]))
                    slots[slot] = dart;
            }
    std::vector<std::uint16_t> dealt(group_slots);
    std::transform(slots.begin(), slots.end(), dealt.begin(), [](const Dart& dart) {
        return dart.bucket;
    });
    return dealt;
}

std::uint64_t symmetric_hash(const FlowKey& key) noexcept {
    const auto both = [](std::uint64_t a, std::uint64_t b) { // of (a, b) as of (b, a)
        return (a + b) << 32 ^ (a ^ b);
    };
    WordHash hash{0};
    if (!key.is(Shape::ip)) {
        const std::uint64_t to = key.word[1] >> 16, from = key.word[2] >> 16;
        hash.add(to + from);
        hash.add(to ^ from);
        return hash.value();
    }
    const std::uint64_t l4 = key.word[4];
    const bool has_ports = key.is(Shape::tcp) || key.is(Shape::udp) || key.is(Shape::sctp);
    const bool whole = (l4 >> 32 & 0xff) == 0;
    hash.add(l4 >> 56 | (has_ports && whole ? both(l4 >> 16 & 0xffff, l4 & 0xffff) << 8 : 0));
    if (key.is(Shape::ip4)) {
        hash.add(both(key.word[3] >> 32, key.word[3] & 0xffff'ffff));
        return hash.value();
    }
    for (const std::size_t word : {std::size_t{16}, std::size_t{17}}) {
        hash.add(key.word[word] + key.word[word + 2]);
        hash.add(key.word[word] ^ key.word[word + 2]);
    }
    return hash.value();
}

namespace {

std::optional<std::size_t>
select_bucket(const Group& group, const FlowKey& key, const World& now) noexcept {
    const std::vector<std::uint16_t>& slots = group.slots;
    if (slots.empty())
        return std::nullopt;
    std::uint64_t hash = slots.size() == 1 ? 0 : hash_of(group, key);
    std::size_t bucket = slots[slot_of(hash, slots.size())];
    for (std::size_t tries = 0; tries < other_slots_max; ++tries) {
        if (is_live(group.buckets[bucket], now)) [[likely]]
            return bucket;
        hash = hash_of(hash, tries);
        bucket = slots[slot_of(hash, slots.size())];
    }
    for (std::size_t i = 0; i < group.buckets.size(); ++i) {
        const std::size_t at = (bucket + i) % group.buckets.size();
        if (group.buckets[at].weight != 0 && is_live(group.buckets[at], now))
            return at;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::size_t>
choose_bucket(const Group& group, const FlowKey& key, const World& now) noexcept {
    if (group.type == GroupType::select)
        return select_bucket(group, key, now);
    for (std::size_t i = 0; i < group.buckets.size(); ++i)
        if (group.type == GroupType::indirect || is_live(group.buckets[i], now))
            return i;
    return std::nullopt;
}

} // namespace weft
