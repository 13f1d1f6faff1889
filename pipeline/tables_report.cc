// Seeing inside.
#include "pipeline/tables_state.hh"

#include <algorithm>

namespace weft {

namespace {

/// What one lookup takes at most, in cycles: as measured for a probed bucket, a verified entry, and
/// a line that has to come from memory (classifier_bench).
std::uint64_t cycles_of(const TupleSpace::Bound& bound) {
    constexpr std::uint64_t probe = 20, entry = 20, line = 30;
    return probe * bound.probes + entry * bound.entries + line * bound.lines;
}

} // namespace

RowCounters Tables::counters(const Rule& rule) const noexcept {
    RowCounters sum;
    for (const auto& worker : state_->counters) {
        const RuleCounters& c = worker->of(rule.counter);
        sum.packets += c.packets.read();
        sum.bytes += c.bytes.read();
        sum.used_ms = std::max(sum.used_ms, c.used_ms.read());
    }
    return sum;
}

Generation Tables::born(const Rule& rule) const noexcept {
    return rule.born;
}

std::vector<TableReport> Tables::report() const {
    std::vector<TableReport> reports;
    for (const TableState& table : state_->tables) {
        const TupleSpace& rules = *table.rules;
        const TupleSpace::Bound bound = rules.bound();
        reports.push_back({
            .bridge = table.bridge,
            .number = table.number,
            .engine = rules.is_linear() ? "linear" : "tuple space",
            .rows = table.rows,
            .rules = rules.entries(),
            .tuples = rules.tuples(),
            .probes_max = bound.probes,
            .entries_max = bound.entries,
            .cache_lines_max = bound.lines,
            .cycles_max = cycles_of(bound),
            .memory_bytes = rules.memory_bytes(),
        });
    }
    return reports;
}

WorkerCounters& Tables::worker_counters(std::size_t worker) noexcept {
    return *state_->counters[worker];
}
std::uint64_t Tables::rules() const noexcept {
    return state_->rules;
}

std::uint64_t Tables::memory_bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const TableState& table : state_->tables)
        bytes += table.rules->memory_bytes() + table.rows * (sizeof(Rule) + sizeof(Program));
    return bytes;
}

} // namespace weft
