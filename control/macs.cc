#include "control/macs.hh"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace weft {

void Macs::seen(const Learned& learned) {
    constexpr std::uint64_t group_bit = std::uint64_t{1} << 40;
    const Key key{learned.bridge, learned.vlan, learned.mac};
    if ((learned.mac & group_bit) != 0 || learned.mac == 0)
        return; // no station sends from a group address
    if (pending_.size() < pending_max || pending_.contains(key))
        pending_[key] = learned.port;
}

bool Macs::set_bridge(BridgeId id, const Bridge& settings) {
    bridge(id) = settings;
    full_.erase(id);
    const std::size_t allowed = settings.learning ? settings.limit : 0;
    bool any = false;
    for (auto at = macs_.lower_bound(Key{id, 0, 0});
         at != macs_.end() && at->first.bridge == id && counts_[id] > allowed;) {
        const Key key = at->first;
        ++at;
        forget(key);
        any = true;
    }
    return any;
}

void Macs::forget(const Key& key) {
    const auto found = macs_.find(key);
    tables_.forget_mac(key.bridge, key.vlan, key.mac);
    auto& at_port = by_port_[found->second.port];
    at_port.erase(key);
    if (at_port.empty())
        by_port_.erase(found->second.port);
    ages_.erase(key);
    macs_.erase(found);
    --counts_[key.bridge];
    full_.erase(key.bridge);
}

bool Macs::forget_port(PortId port) {
    std::erase_if(pending_, [&](const auto& seen) { return seen.second == port; });
    const auto found = by_port_.find(port);
    if (found == by_port_.end())
        return false;
    const std::set<Key> keys = found->second;
    for (const Key& key : keys)
        forget(key);
    return true;
}

Macs::Changes Macs::apply(std::uint64_t now_ms, std::size_t max) {
    Changes changes;
    for (const Key& key : ages_.take(now_ms, max)) {
        const std::uint64_t age_ms = std::uint64_t{bridge(key.bridge).age_s} * 1'000;
        const std::uint64_t used_ms = std::max(
            macs_.at(key).since_ms,
            std::min(tables_.mac_used_ms(key.bridge, key.vlan, key.mac), now_ms)
        );
        if (now_ms - used_ms < age_ms) {
            ages_.set(key, used_ms + age_ms);
            continue;
        }
        forget(key);
        changes.any = true;
    }
    for (const auto& [key, port] : std::exchange(pending_, {})) {
        const Bridge& of = bridge(key.bridge);
        const auto known = macs_.find(key);
        if (!of.learning || (known != macs_.end() && known->second.port == port))
            continue;
        const bool moves = known != macs_.end();
        if (moves) {
            forget(key);
            changes.any = true;
        }
        if (counts_[key.bridge] >= of.limit ||
            !tables_.learn_mac(key.bridge, key.vlan, key.mac, port)) {
            if (full_.insert(key.bridge).second)
                changes.full.push_back(key.bridge);
            continue;
        }
        macs_[key] = {port, now_ms};
        by_port_[port].insert(key);
        ++counts_[key.bridge];
        ages_.set(key, now_ms + std::uint64_t{of.age_s} * 1'000);
        changes.learned.push_back(key);
        changes.any = true;
    }
    return changes;
}

control::LearnedMac Macs::row(const Key& key, std::uint64_t now_ms) const {
    control::LearnedMac row;
    row.set_bridge(std::string{tables_.bridge_name(key.bridge)});
    row.set_vlan(key.vlan);
    row.set_mac(mac_text(key.mac));
    const auto found = macs_.find(key);
    if (found == macs_.end())
        return row;
    row.set_port(std::string{tables_.port_name(found->second.port)});
    const std::uint64_t used_ms =
        std::max(found->second.since_ms, tables_.mac_used_ms(key.bridge, key.vlan, key.mac));
    row.set_age_ms(now_ms - std::min(now_ms, used_ms));
    return row;
}

std::vector<Macs::Key> Macs::after(const std::optional<Key>& after, std::size_t max) const {
    std::vector<Key> keys;
    for (auto at = after ? macs_.upper_bound(*after) : macs_.begin();
         at != macs_.end() && keys.size() < max;
         ++at)
        keys.push_back(at->first);
    return keys;
}

std::string mac_text(std::uint64_t mac) {
    std::array<char, 18> text{};
    std::snprintf(
        text.data(),
        text.size(),
        "%02x:%02x:%02x:%02x:%02x:%02x",
        static_cast<unsigned>(mac >> 40 & 0xff),
        static_cast<unsigned>(mac >> 32 & 0xff),
        static_cast<unsigned>(mac >> 24 & 0xff),
        static_cast<unsigned>(mac >> 16 & 0xff),
        static_cast<unsigned>(mac >> 8 & 0xff),
        static_cast<unsigned>(mac & 0xff)
    );
    return text.data();
}

} // namespace weft
