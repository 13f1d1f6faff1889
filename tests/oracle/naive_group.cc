#include "tests/oracle/naive_group.hh"

#include "base/field.hh"
#include "base/hash.hh"

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

/// Which of its darts this thrower throws at the slot, as the definition has it.
std::uint64_t dart_at(std::uint64_t thrower, std::uint64_t slot) {
    std::uint64_t x = slot;
    x = (x + thrower % 65'536) * (thrower / 65'536 % 65'536 | 1) % 8'192;
    x ^= x / 128;
    x = (x + (thrower >> 32) % 65'536) * (thrower >> 48 | 1) % 8'192;
    x ^= x / 64;
    x = x * 5'197 % 8'192;
    return x ^ x / 128;
}

/// When it comes: from dart to dart as long as the first of all that are left needs, in whole
/// 2^-20ths.
float time_of(std::uint64_t dart, std::uint32_t weight) {
    std::uint64_t sum = 0;
    for (std::uint64_t left = 8'192; left + dart >= 8'192; --left)
        sum += 1'048'576 / left;
    return static_cast<float>(sum) * (1 / static_cast<float>(weight));
}

/// The place of a bucket among those of its identity that may be chosen at all makes it a thrower.
std::uint64_t thrower_of(const GroupSettings& group, std::size_t bucket) {
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < bucket; ++i)
        if (group.buckets[i].weight != 0 &&
            group.buckets[i].identity == group.buckets[bucket].identity)
            ++before;
    return hash2(hash2(0, group.buckets[bucket].identity), before);
}

std::uint64_t low_word(const FlowKey& key, FieldId field) {
    return get(key, info(field)).low;
}

/// The same for (a, b) and (b, a).
std::uint64_t both(std::uint64_t a, std::uint64_t b) {
    return ((a + b) << 32) ^ a ^ b;
}

std::uint64_t symmetric(const FlowKey& key) {
    WordHash hash{0};
    if (!key.is(Shape::ip)) {
        hash.add(low_word(key, FieldId::eth_src) + low_word(key, FieldId::eth_dst));
        hash.add(low_word(key, FieldId::eth_src) ^ low_word(key, FieldId::eth_dst));
        return hash.value();
    }
    std::uint64_t ports = 0;
    if (low_word(key, FieldId::ip_frag) == 0) {
        if (key.is(Shape::tcp))
            ports = both(low_word(key, FieldId::tcp_src), low_word(key, FieldId::tcp_dst));
        if (key.is(Shape::udp))
            ports = both(low_word(key, FieldId::udp_src), low_word(key, FieldId::udp_dst));
        if (key.is(Shape::sctp))
            ports = both(low_word(key, FieldId::sctp_src), low_word(key, FieldId::sctp_dst));
    }
    hash.add(low_word(key, FieldId::ip_proto) | ports << 8);
    if (key.is(Shape::ip4)) {
        hash.add(both(low_word(key, FieldId::ip4_src), low_word(key, FieldId::ip4_dst)));
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
    std::pair<float, std::uint64_t> owners;
    std::size_t may_win = 0;
    for (const BucketSettings& bucket : group.buckets)
        may_win += bucket.weight != 0 ? 1 : 0;
    for (std::size_t i = 0; i < group.buckets.size(); ++i) {
        const std::uint32_t weight = group.buckets[i].weight;
        if (weight == 0)
            continue;
        if (may_win == 1)
            return i;
        const std::uint64_t thrower = thrower_of(group, i);
        const std::pair mine{time_of(dart_at(thrower, slot), weight), thrower};
        if (owner && owners < mine)
            continue;
        owner = i;
        owners = mine;
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
