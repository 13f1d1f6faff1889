// What walks read of tables, groups and learned addresses.
#pragma once

#include "classifier/prefix_part.hh"
#include "classifier/tuple_space.hh"
#include "pipeline/burst.hh"
#include "pipeline/program.hh"
#include "pipeline/world.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace weft {

class NamePart;
struct NameLanes;

/// A table in one world: its settings, and the parts that its rules are in. Parts are shared by all
/// worlds, and answer by generation.
class Table {
public:
    static constexpr std::size_t prefix_parts_max = 4;

    TableId id{};
    BridgeId bridge{};
    std::uint32_t number = 0;
    const TupleSpace* tuples = nullptr;
    std::array<const PrefixPart*, prefix_parts_max> prefixes{};
    std::uint32_t prefix_parts = 0;  // of `prefixes`
    const NamePart* names = nullptr; // nullptr: no rule asks for a name in the payload
    const Program* miss = nullptr;   // nullptr: drop as no_match
    bool exists = true; // a row names its number, or packets start in it: its number is 0
    bool counters = true;
    bool has_conjunctions = false; // since some commit: lookups take the slower way

    Table() = default;
    ~Table() { delete miss; }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
};

/// Distinct conjunction ids that the rules of one table may use; one more is refused
/// (too_many_conjunctions).
inline constexpr std::size_t conjunctions_per_table_max = 1'024;

/// Writes found[lane] = the verdict of the best rule that key[lane] matches at generation g,
/// none where there is none, for each lane in `live`. Parts are asked in the order of the best
/// rank in each, and for a lane only those that can win. Not for tables with conjunctions.
void find_rules(
    const Table& table, const FlowKey* keys, LaneMask live, Generation g, Found& found
) noexcept;
/// For one key, conjunctions resolved. `named` is what find_named() has for it: no conjunction.
const Program* find_rule(
    const Table& table, const FlowKey& key, Generation g, const Program* named = nullptr
) noexcept;
/// Of the rules that ask for a name in the payload: writes named[lane] = the program of the best
/// one for key and name of the lane, nullptr where there is none, for each lane in `live`; names
/// are found at their first use. For tables that have such rules.
void find_named(
    const Table& table,
    Burst& burst,
    LaneMask live,
    Generation g,
    NameLanes& lanes,
    std::size_t worker,
    const Program** named
) noexcept;
/// Which of two rules that match wins.
bool goes_first(const Program& a, const Program& b) noexcept;

struct Bucket {
    std::uint32_t weight = 1;
    PortId watch_port = PortId::none;
    const Program* program = nullptr;
};

/// A hash's place in a select group: each slot belongs to one bucket. 16 KiB a group that has more
/// than one bucket to choose from; a bucket with the share p of the weights has p of the slots,
/// give or take sqrt(p / group_slots).
inline constexpr std::size_t group_slots = 8'192;

struct Group {
    GroupType type{};
    std::vector<Bucket> buckets;
    std::vector<FieldId> hash_fields; // empty: symmetric 5-tuple
    /// select: the bucket of each slot (deal_slots); one slot where only one bucket has a weight,
    /// none where none has.
    std::vector<std::uint16_t> slots;

    Group() = default;
    ~Group() {
        for (const Bucket& bucket : buckets)
            delete bucket.program;
    }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;
};

/// That a meter is there. What it measures comes with the action that this build does not do yet.
struct Meter {};

/// Who has which slot of a select group, from the buckets' weights and identities alone: each
/// bucket throws one dart at every slot, in an order that its identity draws, the k-th at the time
/// at which the k-th of group_slots independent exponential times is due on average, divided by the
/// weight. A slot belongs to the bucket whose dart comes first; of equal ones the lower identity
/// (which an equal one before it makes another) wins. So whatever bucket comes or goes, or changes
/// its weight, only slots that it has or had change hands. About 5 us a bucket, 100 us for many.
std::vector<std::uint16_t> deal_slots(const std::vector<BucketSettings>& buckets);
/// The bucket that a select or fast_failover group takes for this key, the first of an indirect
/// one; nothing where none is live. A select group whose bucket for the key is dead tries up to 8
/// slots more, then takes the next live one in order; nobody else's flows move.
std::optional<std::size_t>
choose_bucket(const Group& group, const FlowKey& key, const World& now) noexcept;
/// A hash over what tells connections apart that is equal in both directions: addresses and
/// protocol of IP packets, ports too where TCP, UDP or SCTP is not in fragments; otherwise Ethernet
/// addresses.
std::uint64_t symmetric_hash(const FlowKey& key) noexcept;

/// A learned address: an entry of BridgeView::macs names one.
struct LearnedAddress {
    PortId port{};
    mutable std::atomic<std::uint64_t> used_ms{0};
};

/// The key of a learned address, as a word: MAC above, VLAN id below.
constexpr std::uint64_t mac_key(std::uint16_t vlan, std::uint64_t mac) noexcept {
    return mac << 16 | vlan;
}

} // namespace weft
