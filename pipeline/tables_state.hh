// What the writer of the table engine knows. Private to the tables*.cc files, one subject each:
// tables.cc (settings), tables_names.cc, tables_rules.cc, tables_learned.cc, tables_views.cc
// (publication), tables_tidy.cc (the background), tables_report.cc.
#pragma once

#include "base/reclaim.hh"
#include "classifier/prefix_part.hh"
#include "classifier/tuple_space.hh"
#include "pipeline/number_runs.hh"
#include "pipeline/paged_array.hh"
#include "pipeline/port_list.hh"
#include "pipeline/program.hh"
#include "pipeline/rule.hh"
#include "pipeline/rule_counters.hh"
#include "pipeline/table.hh"
#include "pipeline/table_parts.hh"
#include "pipeline/tables.hh"
#include "pipeline/world.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace weft {

struct TableState {
    BridgeId bridge{};
    std::uint32_t number = 0;
    std::unique_ptr<TableParts> parts;
    std::uint64_t rows = 0;
    std::uint64_t named_rows = 0;                        // that ask for names in payloads
    std::map<std::uint32_t, std::uint64_t> conjunctions; // id: clauses that name it
    std::optional<TableSettings> settings;
    bool dirty = true;
    bool touched = false; // in State::touched
    bool untidy = false;  // in State::untidy
    bool parted = false;  // in State::parted
};

struct PortState {
    BridgeId bridge{};
    std::string name;
    PortNumber number{};
    bool present = false;
};

struct BridgeState {
    std::string name;
    BridgeSettings settings;
    std::unique_ptr<TupleSpace> macs;
    struct Mac {
        Entry* entry;
        LearnedAddress* address;
    };
    std::unordered_map<std::uint64_t, Mac> mac_of;
    std::unordered_map<std::string, PortId> port_of;
    std::map<PortNumber, PortId> numbers; // present or mentioned
    NumberRuns taken;                     // the same
    PortList present;

    void hold_number(PortNumber number, PortId to) {
        numbers.emplace(number, to);
        taken.insert(static_cast<std::uint32_t>(number));
    }
    void release_number(PortNumber number) {
        numbers.erase(number);
        taken.erase(static_cast<std::uint32_t>(number));
    }
    std::unordered_map<std::uint32_t, TableId> table_of;
    std::unordered_map<std::uint32_t, GroupId> group_of;
    std::unordered_map<std::uint32_t, MeterId> meter_of;
    bool dirty = true;
};

struct Tables::State final : Names {
    State(TableLimits of, std::size_t workers, Reclaimer& to, std::uint64_t key)
        : limits{of},
          reclaimer{to},
          hash_key{key},
          tries{to},
          table_views{to},
          group_views{to},
          meter_views{to},
          port_views{to},
          bridge_views{to},
          programs_memory{take_lines(counters_max() + 1), {counters_max() + 1}},
          link_up{std::make_unique<std::atomic<std::uint8_t>[]>(of.ports + 1)} {
        for (std::size_t i = 0; i < workers; ++i)
            counters.push_back(std::make_unique<WorkerCounters>(counters_max() + 1, programs()));
        ports.emplace_back(); // PortId::none
    }

    // Names: what actions refer to is known from its first mention. At a limit the mention means
    // nothing: packets drop by name.
    PortId output_port(BridgeId bridge, const std::string& name) override {
        return mention_port(bridge, name).value_or(PortId::none);
    }
    PortNumber number_of(BridgeId bridge, const std::string& name) override {
        const auto port = mention_port(bridge, name);
        return port ? ports[index(*port)].number : PortNumber::none;
    }
    TableId table(BridgeId bridge, std::uint32_t number) override {
        return mention_table(bridge, number).value_or(TableId::none);
    }
    GroupId group(BridgeId bridge, std::uint32_t number) override {
        return mention_group(bridge, number).value_or(GroupId::none);
    }

    MeterId meter(BridgeId bridge, std::uint32_t number) override {
        return mention_meter(bridge, number).value_or(MeterId::none);
    }

    std::optional<PortId> mention_port(BridgeId bridge, std::string_view name);
    std::optional<TableId> mention_table(BridgeId bridge, std::uint32_t number);
    std::optional<GroupId> mention_group(BridgeId bridge, std::uint32_t number);
    std::optional<MeterId> mention_meter(BridgeId bridge, std::uint32_t number);

    void count_words(const Program& program, WordMask mask_words, std::uint16_t shapes, int by);
    /// Rules that left keep theirs for a grace period.
    std::uint64_t counters_max() const noexcept { return 2 * limits.rules + 4'096; }
    bool has_counter() const noexcept {
        return !free_counters.empty() || counters_used < counters_max();
    }
    CounterId take_counter(); // where has_counter()
    /// Of rules, by CounterId; real as far as rules have used it.
    Program* programs() const noexcept { return static_cast<Program*>(programs_memory.get()); }
    RowCounters counted(const Rule& rule) const noexcept; // its earlier versions included
    void bury(std::vector<Rule*> gone);
    void forget(std::vector<Rule*> gone); // that are in no table any more
    const Actions* miss_of(const TableState& table) const;
    void refresh_views();
    void touch(TableId id);
    void note_parts(TableId id);
    void apply_parts();
    Depth depth() const;

    Generation next() const noexcept { return generation + 1; }

    TableLimits limits;
    Reclaimer& reclaimer;
    std::uint64_t hash_key;
    Generation generation = 0;
    std::uint64_t rules = 0;

    Tries tries;
    OpLists op_lists;
    std::vector<PortState> ports;
    std::deque<TableState> tables; // compiling actions mentions more of them while one is at hand
    std::uint32_t groups = 0;
    std::uint32_t meters = 0;
    std::deque<BridgeState> bridges;
    std::unordered_map<std::string, BridgeId> bridge_of;
    std::vector<TableId> dirty_tables;
    std::vector<TableId> touched;      // whose rules have changed since somebody looked for plans
    std::vector<TableId> untidy;       // whose hashes have work left
    std::vector<TableId> parted;       // that have or get parts beside their tuple space
    std::vector<TableId> named_tables; // that have had rules with names
    std::vector<BridgeId> dirty_bridges;

    PagedArrayWriter<Table> table_views;
    PagedArrayWriter<Group> group_views;
    PagedArrayWriter<Meter> meter_views;
    PagedArrayWriter<PortView> port_views;
    PagedArrayWriter<BridgeView> bridge_views;
    std::unique_ptr<void, LinesDeleter> programs_memory;
    std::unique_ptr<std::atomic<std::uint8_t>[]> link_up;

    std::unordered_map<const Rule*, Rule*>
        heirs; // of rules that were replaced, until they are gone
    std::vector<std::unique_ptr<WorkerCounters>> counters;
    std::vector<CounterId> free_counters;
    std::uint32_t counters_used = 0; // CounterId 0 is none
    std::array<std::uint64_t, key_words> word_users{};
    std::array<std::uint64_t, 16> shape_users{};
    std::vector<Rule*> dead;
    std::unordered_set<const Rule*> termless; // match nothing: no entry of a table names them
    std::vector<std::pair<BridgeId, BridgeState::Mac>> dead_macs;
    const World* world = nullptr;
};

} // namespace weft
