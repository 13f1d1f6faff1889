#include "tests/oracle/naive_group.hh"

#include "base/field.hh"
#include "base/hash.hh"

#include <map>
#include <utility>

namespace weft::oracle {

namespace {

std::uint64_t hash2(std::uint64_t first, std::uint64_t second) {
    WordHash hash{first};
    hash.add(second);
    return hash.value();
}

/// The upper 13 bits.
std::uint64_t slot_of(std::uint64_t hash) {
    return hash >> 51;
}

/// The first dart of this thrower that hits the slot, counted from 1. Found once.
std::uint64_t first_hit(std::uint64_t thrower, std::uint64_t slot) {
    static std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> known;
    std::uint64_t& number = known[{thrower, slot}];
    for (std::uint64_t k = 0; number == 0; ++k)
        if (slot_of(hash2(thrower, k)) == slot)
            number = k + 1;
    return number;
}

/// The place of a bucket among those of its identity that may be chosen at all makes it a thrower.
std::uint64_t thrower_of(const GroupSettings& group, std::size_t bucket) {
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < bucket; ++i)
        if (group.buckets[i].weight != 0 &&
            group.buckets[i].identity == group.buckets[bucket].identity)
            ++before;
    return hash2(group.buckets[bucket].identity, before);
}

std::uint64_t low(const FlowKey& key, FieldId field) {
    return get(key, info(field)).low;
}

/// The same for (a, b) and (b, a).
std::uint64_t both(std::uint64_t a, std::uint64_t b) {
    return ((a + b) << 32) ^ a ^ b;
}

std::uint64_t symmetric(const FlowKey& key) {
    WordHash hash{0};
    if (!key.is(Shape::ip)) {
        hash.add(low(key, FieldId::eth_src) + low(key, FieldId::eth_dst));
        hash.add(low(key, FieldId::eth_src) ^ low(key, FieldId::eth_dst));
        return hash.value();
    }
    std::uint64_t ports = 0;
    if (low(key, FieldId::ip_frag) == 0) {
        if (key.is(Shape::tcp))
            ports = both(low(key, FieldId::tcp_src), low(key, FieldId::tcp_dst));
        if (key.is(Shape::udp))
            ports = both(low(key, FieldId::udp_src), low(key, FieldId::udp_dst));
        if (key.is(Shape::sctp))
            ports = both(low(key, FieldId::sctp_src), low(key, FieldId::sctp_dst));
    }
    hash.add(low(key, FieldId::ip_proto) | ports << 8);
    if (key.is(Shape::ip4)) {
        hash.add(both(low(key, FieldId::ip4_src), low(key, FieldId::ip4_dst)));
        return hash.value();
    }
    const U128 from = get(key, info(FieldId::ip6_src)), to = get(key, info(FieldId::ip6_dst));
    hash.add(from.high + to.high);
    hash.add(from.high ^ to.high);
    hash.add(from.low + to.low);
    hash.add(from.low ^ to.low);
    return hash.value();
}

} // namespace

std::optional<std::size_t> owner_of_slot(const GroupSettings& group, std::uint64_t slot) {
    std::optional<std::size_t> owner;
    std::uint64_t owner_hit = 0, owner_thrower = 0;
    std::size_t may_win = 0;
    for (const BucketSettings& bucket : group.buckets)
        may_win += bucket.weight != 0 ? 1 : 0;
    for (std::size_t i = 0; i < group.buckets.size(); ++i) {
        const std::uint64_t weight = group.buckets[i].weight;
        if (weight == 0)
            continue;
        if (may_win == 1)
            return i;
        const std::uint64_t thrower = thrower_of(group, i);
        const std::uint64_t hit = first_hit(thrower, slot);
        // hit / weight against owner_hit / owner's weight
        const std::uint64_t mine = hit * (owner ? group.buckets[*owner].weight : 1u);
        const std::uint64_t theirs = owner_hit * weight;
        if (owner && (mine > theirs || (mine == theirs && thrower > owner_thrower)))
            continue;
        owner = i;
        owner_hit = hit;
        owner_thrower = thrower;
    }
    return owner;
}

std::uint64_t hash_of_packet(const GroupSettings& group, const FlowKey& key) {
    if (group.hash_fields.empty())
        return symmetric(key);
    WordHash hash{0};
    for (const FieldId field : group.hash_fields) {
        const U128 value = get(key, info(field));
        hash.add(value.high);
        hash.add(value.low);
    }
    return hash.value();
}

std::optional<std::size_t>
select_bucket(const GroupSettings& group, const FlowKey& key, const std::vector<bool>& live) {
    std::uint64_t hash = hash_of_packet(group, key);
    std::size_t weighted = 0;
    for (const BucketSettings& bucket : group.buckets)
        weighted += bucket.weight != 0 ? 1 : 0;
    if (weighted == 1)
        hash = 0;
    std::optional<std::size_t> bucket;
    for (std::uint64_t tries = 0; tries <= 8; ++tries) {
        bucket = owner_of_slot(group, slot_of(hash));
        if (!bucket)
            return std::nullopt;
        if (tries < 8 && live[*bucket])
            return bucket;
        hash = tries < 8 ? hash2(hash, tries) : hash;
    }
    for (std::size_t i = 0; i < group.buckets.size(); ++i) {
        const std::size_t at = (*bucket + i) % group.buckets.size();
        if (group.buckets[at].weight != 0 && live[at])
            return at;
    }
    return std::nullopt;
}

} // namespace weft::oracle
