#include "base/hash.hh"
#include "pipeline/table.hh"

namespace weft {

namespace {

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

} // namespace

std::uint64_t symmetric_hash(const FlowKey& key) noexcept {
    const std::uint64_t ip4 = key.word[3];
    const std::uint64_t l4 = key.word[4];
    const std::uint64_t ports = l4 & 0xffff'ffff;
    WordHash hash{0};
    hash.add((l4 >> 56) | static_cast<std::uint64_t>(key.shape()) << 8);
    // Sums and differences without sign are the same for (a, b) and (b, a).
    hash.add((ip4 >> 32) + (ip4 & 0xffff'ffff));
    hash.add((ip4 >> 32) ^ (ip4 & 0xffff'ffff));
    hash.add(key.is(Shape::icmp4) || key.is(Shape::icmp6) ? 0 : (ports >> 16) + (ports & 0xffff));
    if (key.is(Shape::ip6)) {
        hash.add(key.word[16] + key.word[18]);
        hash.add(key.word[17] + key.word[19]);
        hash.add(key.word[17] ^ key.word[19]);
    }
    return hash.value();
}

std::optional<std::size_t>
choose_bucket(const Group& group, const FlowKey& key, const World& now) noexcept {
    if (group.type != GroupType::select) {
        for (std::size_t i = 0; i < group.buckets.size(); ++i)
            if (group.type == GroupType::indirect || is_live(group.buckets[i], now))
                return i;
        return std::nullopt;
    }
    std::uint64_t total = 0;
    for (const Bucket& bucket : group.buckets)
        total += is_live(bucket, now) ? bucket.weight : 0;
    if (total == 0)
        return std::nullopt;
    std::uint64_t at = hash_of(group, key) % total;
    for (std::size_t i = 0; i < group.buckets.size(); ++i) {
        const std::uint64_t weight = is_live(group.buckets[i], now) ? group.buckets[i].weight : 0;
        if (at < weight)
            return i;
        at -= weight;
    }
    return std::nullopt; // a link went down between the two passes
}

} // namespace weft
