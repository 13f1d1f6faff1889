// From rows to the table engine: applies a net change to the rows that stand and to Tables, as one
// generation to come.
#pragma once

#include "control/rows/references.hh"
#include "control/rows/store.hh"
#include "control/transaction.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

/// One row's change, done: only before: it left; only after: it came; both: another value under the
/// same key.
struct Applied {
    RowPtr before;
    RowPtr after;
    std::uint32_t idle_timeout_s = 0; // of a flow that came
    std::uint32_t hard_timeout_s = 0;
};

/// The one place where rows and rules change. Control thread only. Rows refer to each other by name
/// and in any order; what has to be made anew when something else changes (rules that hold a port's
/// number, the two ends of a patch) is found by References.
class Lowering {
public:
    Lowering(RowStore& rows, References& references, Tables& tables, TableLimits limits)
        : rows_{rows},
          references_{references},
          tables_{tables},
          limits_{limits} {}

    /// What `net` breaks that only other rows tell: limits, port numbers, and where `strict`
    /// references that would not be there and actions that this build does not carry out. Changes
    /// nothing.
    std::optional<Fault> judge(const NetChange& net, bool strict) const;

    /// Applies what judge() let through; `generation` is the one that the next Tables::commit()
    /// makes. All or nothing: where the table engine is full, or a lookup could cost more than
    /// its table's row allows, everything is as before. Cost:
    /// proportional to `net` and to the rows that must be made anew.
    std::optional<Fault>
    apply(NetChange& net, Generation generation, std::vector<Applied>& applied);

    /// The standing port row with that id; nullptr where there is none.
    Row* port_row(PortId port) const;
    /// The id of a port row that stands or stood.
    PortId port_of(const Row& row) const;
    /// While a trace is on its way, rules that leave go on pointing at their rows; whoever sets
    /// this keeps those rows.
    void set_tracing(bool on) noexcept { tracing_ = on; }
    /// The settings of a bridge row, or those of a bridge without one.
    control::Bridge bridge_row(std::string_view bridge) const;

private:
    struct Made {
        RowPtr row;
        std::unique_ptr<Meaning> meaning;
    };

    std::optional<Fault> judge_references(const NetChange& net) const;
    std::optional<Fault> judge_port_numbers(const NetChange& net) const;
    std::optional<Fault> judge_table_limits(const NetChange& net) const;
    std::optional<Fault> judge_bridges(const NetChange& net) const;
    /// Asked when the rules of `net` are made: what lookups could cost then.
    std::optional<Fault> judge_cycles(const NetChange& net) const;
    std::int64_t flows_of(const std::pair<std::string, std::uint32_t>& table) const;

    Result<Rule*> insert_rule(BridgeId bridge, const KeyView& key, const Meaning& meaning);
    Result<Made> make(RowChange& change, Generation generation);
    void prefetch(const NetChange& net, const std::vector<Made>& made, std::size_t i) const;
    void erase_rule(Rule* rule);
    void leave(Row& row, std::uint64_t version, bool comes_again);
    void come(const RowChange& change, OwnerId owner, Made& made);
    void lower(const Row& row, const Meaning* meaning);
    void lower_bridge(std::string_view bridge);
    void lower_table(const Row& row, const Meaning& meaning);
    void lower_group(const Row& row, const Meaning& meaning);
    void unlower(const Row& row);
    void note_port(const Row& row, bool comes);
    void lower_ports();
    std::vector<PortId> lower_port(const Row& row);
    PortId patch_peer(const Row& row, const control::Port& port) const;
    void lower_again(Row& row);

    RowStore& rows_;
    References& references_;
    Tables& tables_;
    TableLimits limits_;
    bool tracing_ = false;
    Uses uses_; // of the row at hand; kept for its memory
    using NumberInBridge = std::pair<std::string, std::uint32_t>;
    std::unordered_map<PortId, Row*> port_rows_;
    std::map<NumberInBridge, Row*> port_numbers_;        // of port rows that give one
    std::map<NumberInBridge, std::uint32_t> rules_max_;  // of table rows that give one
    std::map<NumberInBridge, std::uint64_t> cycles_max_; // of table rows that give one
    std::set<Row*> dirty_ports_;                         // to be set before the commit
    std::set<std::string> dirty_patches_; // patch_name(): whose other ends have to look again
};

} // namespace weft
