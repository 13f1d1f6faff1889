#include "control/weftctl/stats_text.hh"

#include "base/drop.hh"
#include "control/weftctl/drops_text.hh"
#include "control/weftctl/text_table.hh"

#include <algorithm>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace weft::ctl {

namespace {

struct Dropped {
    Drop reason{};
    std::uint64_t packets = 0;
};

std::vector<Dropped> drops_of(const control::StatsReport& report, bool all) {
    std::vector<Dropped> drops;
    for (std::size_t i = 1; i < drop_count; ++i)
        drops.push_back({static_cast<Drop>(i), 0});
    for (const control::Stat& stat : report.stats())
        if (const auto reason = drop_from(stat.name()); stat.kind() == "drops" && reason)
            for (Dropped& each : drops)
                if (each.reason == *reason)
                    each.packets += value_of(stat, "packets");
    if (!all)
        std::erase_if(drops, [](const Dropped& each) { return each.packets == 0; });
    return drops;
}

/// Maps have no order: what a person looks for first stands in front, the rest follows by name.
std::vector<std::string> ordered_names(const control::Stat& stat) {
    constexpr std::string_view first[] = {
        "core",      "number",        "up",         "received",   "made",       "sent",
        "dropped",   "taken",         "held",       "rx_packets", "rx_bytes",   "rx_missed",
        "rx_errors", "rx_no_buffers", "tx_packets", "tx_bytes",   "tx_dropped", "tx_errors",
        "rows",      "rules",         "tuples",     "probes_max"};
    std::vector<std::string> names;
    for (const auto& [name, value] : stat.values())
        names.push_back(name);
    const auto place = [&](const std::string& name) {
        return std::ranges::find(first, name) - std::begin(first);
    };
    std::ranges::sort(names, [&](const std::string& a, const std::string& b) {
        return std::pair{place(a), a} < std::pair{place(b), b};
    });
    return names;
}

/// Things of one kind with the same counters: a row each.
std::string stats_table(std::span<const control::Stat* const> stats) {
    const std::vector<std::string> names = ordered_names(*stats.front());
    std::vector<Column> columns{{stats.front()->kind()}};
    for (const std::string& name : names)
        columns.push_back({name, Align::right});
    TextTable table{std::move(columns)};
    for (const control::Stat* stat : stats) {
        std::vector<std::string> cells{stat->name()};
        for (const std::string& name : names)
            cells.push_back(std::to_string(value_of(*stat, name)));
        table.add(std::move(cells));
    }
    return table.take();
}

/// Things of one kind, each with counters of its own.
std::string stats_list(std::span<const control::Stat* const> stats) {
    TextTable table{{{stats.front()->kind()}, {"counters"}}};
    for (const control::Stat* stat : stats) {
        std::string counters;
        for (const std::string& name : ordered_names(*stat))
            counters +=
                (counters.empty() ? "" : "  ") + name + "=" + std::to_string(value_of(*stat, name));
        table.add({stat->name(), std::move(counters)});
    }
    return table.take();
}

} // namespace

std::string stats_text(const control::StatsReport& report) {
    std::vector<std::pair<std::string, std::vector<const control::Stat*>>> kinds;
    for (const control::Stat& stat : report.stats()) {
        // Reasons that did not happen are for `drops --all`.
        if (stat.kind() == "drops" && value_of(stat, "packets") == 0)
            continue;
        if (kinds.empty() || kinds.back().first != stat.kind())
            kinds.push_back({stat.kind(), {}});
        kinds.back().second.push_back(&stat);
    }
    std::string text;
    for (const auto& [kind, stats] : kinds) {
        const bool is_table = std::ranges::all_of(stats, [&](const control::Stat* stat) {
            return ordered_names(*stat) == ordered_names(*stats.front());
        });
        text += (text.empty() ? "" : "\n") + (is_table ? stats_table(stats) : stats_list(stats));
    }
    return text;
}

std::string drops_text(const control::StatsReport& report, bool all) {
    std::vector<Dropped> drops = drops_of(report, all);
    if (drops.empty())
        return "no packet was dropped\n";
    std::ranges::stable_sort(drops, std::greater{}, &Dropped::packets);
    TextTable table{{{"packets", Align::right}, {"reason"}, {"what it means"}}};
    for (const Dropped& each : drops)
        table.add(
            {std::to_string(each.packets),
             std::string{name(each.reason)},
             std::string{meaning_of(each.reason)}}
        );
    return table.take();
}

std::string drops_json(const control::StatsReport& report, bool all) {
    std::string text;
    for (const Dropped& each : drops_of(report, all))
        text += "{\"reason\": \"" + std::string{name(each.reason)} + "\", \"packets\": \"" +
                std::to_string(each.packets) + "\"}\n";
    return text;
}

std::uint64_t value_of(const control::Stat& stat, const std::string& name) {
    const auto found = stat.values().find(name);
    return found == stat.values().end() ? 0 : found->second;
}

} // namespace weft::ctl
