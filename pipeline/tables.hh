// The writer's side of the table engine: rules, tables, groups and ports go in, one generation at a
// time.
#pragma once

#include "base/ids.hh"
#include "base/reclaim.hh"
#include "base/result.hh"
#include "classifier/tuple_plan.hh"
#include "pipeline/action.hh"
#include "pipeline/match.hh"
#include "pipeline/name_wildcards.hh"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct World;
struct Program;
class WorkerCounters;

/// Limits of the table engine; memory for what is bounded small is taken at start, the rest grows
/// with the rules.
struct TableLimits {
    std::uint32_t ports = 16'384;
    std::uint32_t groups = 65'536;
    std::uint32_t meters = 65'536;
    std::uint32_t tables = 16'384;
    std::uint32_t bridges = 256;
    std::uint64_t rules = 8'000'000;
    std::uint32_t macs_per_bridge = 8'192;
};

/// What a controller() action hands over, beside the packet.
struct PuntSpec {
    std::uint8_t reason = 0;
    std::uint16_t max_bytes = 0xffff;
    std::uint64_t cookie = 0;
    std::string userdata;
};

enum class VlanMode : std::uint8_t { none, access, trunk, native_tagged, native_untagged };
enum class ReservedMulticast : std::uint8_t { drop, pass, punt };
enum class GroupType : std::uint8_t { all, select, indirect, fast_failover };

struct PortSettings {
    PortNumber number =
        PortNumber::none;       // none: the one that the name already has, or the lowest free one
    PortId peer = PortId::none; // a patch port's other end
    bool is_patch = false;
    bool down = false; // administratively
    VlanMode vlan_mode = VlanMode::none;
    std::uint16_t vlan_tag = 0;
    std::vector<std::uint16_t> vlan_trunks{}; // empty: all
};

struct BridgeSettings {
    ReservedMulticast reserved_multicast = ReservedMulticast::drop;
    bool learning = true;
    /// While table 0 holds no rule and no miss of its own, its misses are output(normal).
    bool standalone = false;
};

struct TableSettings {
    std::optional<Actions> miss{}; // none: drop as no_match
    bool counters = true;
};

struct BucketSettings {
    std::uint32_t weight = 1;
    Actions actions{};
    PortId watch_port = PortId::none;
    /// By which a select group knows the bucket when its settings change: buckets keep their share
    /// of the flows over changes of their place and of other buckets. Of equal ones the places
    /// among them tell.
    std::uint64_t identity = 0;
};

struct GroupSettings {
    GroupType type = GroupType::all;
    std::vector<BucketSettings> buckets{};
    std::vector<FieldId> hash_fields{}; // select; empty: symmetric 5-tuple
};

struct RuleSettings {
    TableId table{};
    std::uint32_t priority = 0;
    const Match& match;     // read during the call
    const Actions& actions; // read during the call
    std::uint64_t cookie = 0;
};

struct RowCounters {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t used_ms = 0; // the switch's clock when a packet last used it; 0: never
};

/// A row's rules in the engine.
class Rule;

/// What one table would cost: `weftctl explain`.
struct TableReport {
    BridgeId bridge{};
    std::uint32_t number = 0;
    std::string engine;
    std::uint64_t rows = 0;
    std::uint64_t rules = 0;
    std::uint64_t tuples = 0;
    // Of one lookup, from the rules alone:
    std::uint64_t probes_max = 0;  // hashes
    std::uint64_t nodes_max = 0;   // of tries
    std::uint64_t entries_max = 0; // rules that have to be compared
    std::uint64_t cache_lines_max = 0;
    std::uint64_t name_bytes_max = 0; // of payload that is read for a name, and of the name
    std::uint64_t cycles_max = 0;
    std::uint64_t memory_bytes = 0;
};

/// A table whose rules have changed so much that its tuples should be chosen anew: plan_tuples()
/// of the sample, on any thread, then Tables::adopt().
struct PlanJob {
    TableId table{};
    TupleSample sample;
};

/// Holds the rules of all bridges. One thread (the writer) calls everything here; workers read the
/// published World meanwhile and are never waited for. Calls between two commits belong to the
/// generation that the next commit() makes, and are invisible until then. Nothing here fails for
/// want of a reference: names that are not there yet are known from their first mention, and
/// packets that need them drop by name. The caller has checked rows; what is refused here are
/// limits.
class Tables {
public:
    Tables(TableLimits limits, std::size_t workers, Reclaimer& reclaimer, std::uint64_t hash_key);
    ~Tables();
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;

    // -- names: dense ids, given at the first mention, for the life of the process
    Result<BridgeId> bridge_id(std::string_view name);
    Result<PortId> port_id(BridgeId bridge, std::string_view name);
    Result<TableId> table_id(BridgeId bridge, std::uint32_t number);
    Result<GroupId> group_id(BridgeId bridge, std::uint32_t number);
    Result<MeterId> meter_id(BridgeId bridge, std::uint32_t number);
    /// The number that inport and outport hold for this port: given at the first mention, kept
    /// while nobody else claims it by an explicit number. After set_port() it may have changed for
    /// that port, and for `displaced()` ones.
    PortNumber port_number(PortId port) const noexcept;
    std::string_view port_name(PortId port) const noexcept;
    BridgeId bridge_of(PortId port) const noexcept;
    std::string_view bridge_name(BridgeId bridge) const noexcept;
    std::uint32_t table_number(TableId table) const noexcept;
    BridgeId bridge_of(TableId table) const noexcept;
    std::optional<PortId> port_by_number(BridgeId bridge, PortNumber number) const noexcept;

    // -- changes of the next generation
    void set_bridge(BridgeId bridge, const BridgeSettings& settings);
    /// Returns the ports (this one and ports that are only mentioned) whose number changed: rules
    /// that name them must be made anew.
    std::vector<PortId> set_port(PortId port, const PortSettings& settings);
    void erase_port(PortId port);
    void set_table(TableId table, const TableSettings& settings);
    void erase_table(TableId table); // its settings; its rules stay
    void set_group(BridgeId bridge, GroupId group, const GroupSettings& settings);
    void erase_group(GroupId group);
    /// Only that it is there: this build does not measure.
    void set_meter(MeterId meter);
    void erase_meter(MeterId meter);
    /// Refuses with `too_many_rules` at the limit. Names in match and actions belong to the table's
    /// bridge. Counters start at 0.
    Result<Rule*> insert_rule(const RuleSettings& settings);
    /// The same row with its names resolved anew: keeps the counters of `old`, which leaves with
    /// this generation.
    Result<Rule*> replace_rule(Rule* old, const RuleSettings& settings);
    void erase_rule(Rule* rule);
    /// Takes back what insert_rule() gave since the last commit, in the order in which it did: no
    /// generation sees them.
    void withdraw_rules(std::vector<Rule*> rules);
    /// Actions that no rule holds (packet-out), compiled in the bridge's names.
    std::shared_ptr<const Program> compile(BridgeId bridge, const Actions& actions);

    // -- learned addresses of a bridge (output(normal)); also part of the next generation
    /// False where the bridge is full.
    bool learn_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac, PortId port);
    void forget_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac);
    /// 0 where the address is not known; the switch's clock of the last packet from it otherwise.
    std::uint64_t mac_used_ms(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac) const;

    // -- publication
    /// Makes the changes since the last commit one generation and returns it. The old one lives
    /// until the reclaimer says so.
    const World& commit();
    const World& world() const noexcept;
    Generation generation() const noexcept;
    /// A link's state, seen at once by every generation (runtime state, not configuration).
    void set_link(PortId port, bool up) noexcept;

    // -- the background, between two commits
    /// A plan that is due, of a table that has changed since the last call; each is told once.
    std::optional<PlanJob> next_plan();
    void adopt(TableId table, const TuplePlan& plan);
    /// Wildcards of a table that have changed since the last call: compile() of them, on any
    /// thread, then adopt_wildcards().
    struct NamesJob {
        TableId table{};
        WildcardJob wildcards;
    };
    std::optional<NamesJob> next_names();
    void adopt_wildcards(TableId table, std::shared_ptr<const CompiledWildcards> compiled);
    /// One slice of moving rules and of tidying hashes: about `buckets` buckets of each table that
    /// needs it.
    enum class Tidied : std::uint8_t { all, waits, more }; // `waits`: for a grace period
    Tidied tidy(std::size_t buckets);
    /// Whether the background moved rules that readers find in their new place, or are done with
    /// in the old one, only from the next generation on.
    bool has_moved() const noexcept;

    // -- seeing inside; between two commits, from the writer's thread
    RowCounters counters(const Rule& rule) const noexcept;
    Generation born(const Rule& rule) const noexcept;
    std::vector<TableReport> report() const;
    /// The report's cycles_max of one table, the coming generation's rules included but for routes
    /// in tries; where that is at most `enough`, maybe less exactly (but not less). Walks over the
    /// table's buckets only where it seems to be above.
    std::uint64_t cycles_max(TableId table, std::uint64_t enough) const;
    WorkerCounters& worker_counters(std::size_t worker) noexcept;
    std::uint64_t rules() const noexcept;
    std::uint64_t memory_bytes() const noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
