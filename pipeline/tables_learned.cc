// Learned addresses of bridges.
#include "pipeline/tables_state.hh"

namespace weft {

bool Tables::learn_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac, PortId port) {
    State& s = *state_;
    BridgeState& of = s.bridges[index(bridge)];
    const std::uint64_t key = mac_key(vlan, mac);
    if (const auto known = of.mac_of.find(key); known != of.mac_of.end()) {
        if (known->second.address->port == port)
            return true;
        forget_mac(bridge, vlan, mac);
    } else if (of.mac_of.size() >= s.limits.macs_per_bridge) {
        return false;
    }
    Pattern pattern;
    pattern.add(1, ~std::uint64_t{0}, key);
    auto* address = new LearnedAddress{.port = port};
    of.mac_of[key] = {
        of.macs->insert(pattern, make_rank(0, 64), s.next(), reinterpret_cast<Payload>(address)),
        address};
    return true;
}

void Tables::forget_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac) {
    State& s = *state_;
    BridgeState& of = s.bridges[index(bridge)];
    const auto known = of.mac_of.find(mac_key(vlan, mac));
    if (known == of.mac_of.end())
        return;
    of.macs->expire(*known->second.entry, s.next());
    s.dead_macs.emplace_back(bridge, known->second);
    of.mac_of.erase(known);
}

std::uint64_t Tables::mac_used_ms(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac) const {
    const BridgeState& of = state_->bridges[index(bridge)];
    const auto known = of.mac_of.find(mac_key(vlan, mac));
    return known == of.mac_of.end()
               ? 0
               : known->second.address->used_ms.load(std::memory_order_relaxed);
}

} // namespace weft
