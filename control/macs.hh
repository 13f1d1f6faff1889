// Learned addresses: what packets taught the bridges, in batches, with limits and ages.
#pragma once

#include "control/deadlines.hh"
#include "control/weft.pb.h"
#include "pipeline/burst.hh"
#include "pipeline/tables.hh"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weft {

/// The rows of learned_mac. Changes are made between two commits, like those of clients' rows; the
/// owner commits when apply() or forget_*() says that something changed. Control thread only.
class Macs {
public:
    struct Key {
        BridgeId bridge{};
        std::uint16_t vlan = 0;
        std::uint64_t mac = 0;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Bridge {
        bool learning = true;
        std::uint32_t limit = 8'192;
        std::uint32_t age_s = 300;
    };
    struct Changes {
        bool any = false;
        std::vector<Key> learned;   // new or moved
        std::vector<BridgeId> full; // became full just now
    };

    explicit Macs(Tables& tables) : tables_{tables} {}

    /// A worker saw the address where the bridge does not know it. Bounded: what does not fit is
    /// seen again with the next packet.
    void seen(const Learned& learned);
    /// Settings of a bridge's row. Addresses that they no longer allow leave.
    bool set_bridge(BridgeId bridge, const Bridge& settings);
    bool forget_port(PortId port);
    /// Learns what was seen since the last call, forgets what is too old (at most `max` are looked
    /// at).
    Changes apply(std::uint64_t now_ms, std::size_t max);

    std::uint64_t next_ms() const noexcept { return pending_.empty() ? ages_.next_ms() : 0; }
    std::size_t size() const noexcept { return macs_.size(); }
    control::LearnedMac row(const Key& key, std::uint64_t now_ms) const;
    /// Up to `max` keys after `after`, in order.
    std::vector<Key> after(const std::optional<Key>& after, std::size_t max) const;

private:
    struct Mac {
        PortId port{};
        std::uint64_t since_ms = 0;
    };
    static constexpr std::size_t pending_max = 4'096;

    void forget(const Key& key);
    Bridge& bridge(BridgeId id) { return bridges_[id]; }

    Tables& tables_;
    std::map<Key, Mac> macs_;
    std::map<BridgeId, Bridge> bridges_;
    std::map<BridgeId, std::size_t> counts_;
    std::map<PortId, std::set<Key>> by_port_;
    std::set<BridgeId> full_;
    Deadlines<Key> ages_;
    std::map<Key, PortId> pending_; // the last place that it was seen at
};

/// "00:00:00:00:00:01".
std::string mac_text(std::uint64_t mac);

} // namespace weft
