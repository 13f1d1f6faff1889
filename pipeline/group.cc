// Which bucket of a group a packet takes.
//
// Invariant: what a link takes away comes back with it, because dead buckets keep their slots.
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

} // namespace

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
        hash = word_hash(hash, tries);
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
