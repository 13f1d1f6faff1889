// Seeing inside.
#include "pipeline/tables_state.hh"

#include <algorithm>
#include <array>
#include <utility>

namespace weft {

namespace {

/// What one lookup takes at most, in cycles: as measured for a probed bucket, a verified entry, a
/// node of a trie, a line that has to come from memory (classifier_bench, lpm_bench), and a byte
/// read for a name.
std::uint64_t cycles_of(const TableReport& of) {
    constexpr std::uint64_t probe = 20, entry = 20, node = 10, line = 30, name_byte = 3;
    return probe * of.probes_max + entry * of.entries_max + node * of.nodes_max +
           line * of.cache_lines_max + name_byte * of.name_bytes_max;
}

} // namespace

RowCounters Tables::State::counted(const Rule& rule) const noexcept {
    RowCounters sum;
    const auto add = [&](const RowCounters& more) {
        sum.packets += more.packets;
        sum.bytes += more.bytes;
        sum.used_ms = std::max(sum.used_ms, more.used_ms);
    };
    for (const Rule* at = &rule; at != nullptr;) {
        for (const auto& worker : counters)
            add(worker->read(at->counter));
        if (at->earlier == nullptr)
            break;
        add(at->earlier->gone);
        at = at->earlier->latest;
    }
    return sum;
}

RowCounters Tables::counters(const Rule& rule) const noexcept {
    return state_->counted(rule);
}

Generation Tables::born(const Rule& rule) const noexcept {
    return rule.born;
}

std::vector<TableReport> Tables::report() const {
    // Tables share the memory of their tries' nodes: each is told its routes' part of it.
    std::array<std::uint64_t, 2> routes{};
    for (const TableState& table : state_->tables)
        for (const bool wide : {false, true})
            routes[wide] += table.parts->routes(wide);
    std::vector<TableReport> reports;
    for (const TableState& table : state_->tables) {
        TableReport report = table.parts->report();
        report.bridge = table.bridge;
        report.number = table.number;
        report.rows = table.rows;
        const std::array<std::uint64_t, 2> nodes = {
            state_->tries.narrow.used_bytes(), state_->tries.wide.used_bytes()};
        for (const bool wide : {false, true})
            if (routes[wide] != 0)
                report.memory_bytes += nodes[wide] * table.parts->routes(wide) / routes[wide];
        report.cycles_max = cycles_of(report);
        reports.push_back(std::move(report));
    }
    return reports;
}

std::uint64_t Tables::cycles_max(TableId id, std::uint64_t enough) const {
    const TableParts& parts = *state_->tables[index(id)].parts;
    const std::uint64_t at_most = cycles_of(parts.report_at_most());
    return at_most <= enough ? at_most : cycles_of(parts.report());
}

WorkerCounters& Tables::worker_counters(std::size_t worker) noexcept {
    return *state_->counters[worker];
}
std::uint64_t Tables::rules() const noexcept {
    return state_->rules;
}

std::uint64_t Tables::memory_bytes() const noexcept {
    std::uint64_t bytes = state_->tries.narrow.memory_bytes() + state_->tries.wide.memory_bytes();
    for (const TableState& table : state_->tables)
        bytes += table.parts->memory_bytes() + table.rows * (sizeof(Rule) + sizeof(Program));
    return bytes;
}

} // namespace weft
