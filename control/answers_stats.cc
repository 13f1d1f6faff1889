// Answers that show figures: stats, explain.
#include "control/client_state.hh"

#include <algorithm>
#include <map>

namespace weft {

namespace {

constexpr std::array<std::string_view, 6> stat_kinds = {
    "ports", "workers", "drops", "tables", "memory", "control"};
constexpr std::size_t unsupported_shown_max = 100; // of one table

class StatWriter {
public:
    StatWriter(control::StatsReport& report, std::string kind)
        : report_{report},
          kind_{std::move(kind)} {}
    void begin(std::string name) {
        now_ = report_.add_stats();
        now_->set_kind(kind_);
        now_->set_name(std::move(name));
    }
    void add(std::string_view name, std::uint64_t value) {
        (*now_->mutable_values())[std::string{name}] = value;
    }

private:
    control::StatsReport& report_;
    std::string kind_;
    control::Stat* now_ = nullptr;
};

void write_worker(StatWriter& out, const WorkerReport& worker) {
    out.add("core", worker.core);
    out.add("received", worker.received);
    out.add("made", worker.made);
    out.add("sent", worker.sent);
    out.add("taken", worker.taken);
    out.add("held", worker.held);
    std::uint64_t dropped = 0;
    for (const std::uint64_t packets : worker.dropped)
        dropped += packets;
    out.add("dropped", dropped);
    out.add("bursts", worker.bursts);
    out.add("empty_polls", worker.empty_polls);
    out.add("sleeps", worker.sleeps);
    out.add("busy_cycles", worker.busy_cycles);
    out.add("total_cycles", worker.total_cycles);
    out.add("generation", worker.generation);
    out.add("stalled", worker.stalled ? 1 : 0);
}

void write_port(StatWriter& out, const PortReport& port) {
    out.add("rx_packets", port.rx_packets);
    out.add("rx_bytes", port.rx_bytes);
    out.add("rx_missed", port.rx_missed);
    out.add("rx_errors", port.rx_errors);
    out.add("rx_no_buffers", port.rx_no_buffers);
    out.add("tx_packets", port.tx_packets);
    out.add("tx_bytes", port.tx_bytes);
    out.add("tx_dropped", port.tx_dropped);
    out.add("tx_errors", port.tx_errors);
}

std::string table_name(const TableReport& table, std::string_view bridge) {
    return (bridge == "main" ? std::string{} : std::string{bridge} + "/") +
           std::to_string(table.number);
}

} // namespace

void Switch::answer(const To& to, const control::Stats& request) {
    const auto wants = [&](std::string_view kind) {
        return request.kinds().empty() ||
               std::find(request.kinds().begin(), request.kinds().end(), kind) !=
                   request.kinds().end();
    };
    for (const std::string& kind : request.kinds())
        if (std::find(stat_kinds.begin(), stat_kinds.end(), kind) == stat_kinds.end())
            return refuse(
                to,
                request.id(),
                Error{
                    "bad_value",
                    "kind " + quoted(kind) +
                        " does not exist: it must be one of ports, workers, drops, tables, "
                        "memory, control",
                }
            );
    control::Reply out;
    control::StatsReport& report = *out.mutable_stats();
    report.set_id(request.id());
    report.set_generation(tables_.generation());
    if (wants("ports")) {
        StatWriter stat{report, "ports"};
        ports_.for_each([&](PortId port) {
            const control::PortStatus status = ports_.status(port);
            stat.begin(
                status.bridge() == "main" ? status.name() : status.bridge() + "/" + status.name()
            );
            stat.add("number", status.number());
            stat.add("up", status.state() == "up" ? 1 : 0);
            write_port(stat, backend_.port_report(port));
        });
    }
    std::array<std::uint64_t, drop_count> dropped{};
    StatWriter workers{report, "workers"};
    for (std::size_t i = 0; i < backend_.workers(); ++i) {
        const WorkerReport worker = backend_.worker_report(i);
        for (std::size_t reason = 0; reason < drop_count; ++reason)
            dropped[reason] += worker.dropped[reason];
        if (!wants("workers"))
            continue;
        workers.begin("worker " + std::to_string(i));
        write_worker(workers, worker);
    }
    if (wants("drops")) {
        StatWriter stat{report, "drops"};
        for (std::size_t reason = 1; reason < drop_count; ++reason) {
            stat.begin(std::string{name(static_cast<Drop>(reason))});
            stat.add("packets", dropped[reason]);
        }
    }
    const bool tables = wants("tables");
    if (tables) {
        StatWriter stat{report, "tables"};
        for (const TableReport& table : tables_.report()) {
            stat.begin(table_name(table, tables_.bridge_name(table.bridge)));
            stat.add("rows", table.rows);
            stat.add("rules", table.rules);
            stat.add("tuples", table.tuples);
            stat.add("probes_max", table.probes_max);
            stat.add("memory_bytes", table.memory_bytes);
        }
    }
    if (wants("memory")) {
        StatWriter stat{report, "memory"};
        stat.begin("rows");
        stat.add("bytes", rows_.memory_bytes());
        stat.add("rows", rows_.count());
        stat.begin("tables");
        stat.add("bytes", tables_.memory_bytes());
        stat.add("rules", tables_.rules());
    }
    if (wants("control")) {
        StatWriter stat{report, "control"};
        stat.begin("transactions");
        stat.add("accepted", accepted_);
        stat.add("refused", refused_);
        stat.add("preparing", preparing_.size());
        stat.begin("sessions");
        stat.add("open", clients_.size());
        stat.add("watchers", events_.watchers());
        stat.add("barriers", barriers_.size());
        stat.add("cursors", rows_.cursors());
        stat.begin("rows");
        for (const Relation relation : relations)
            stat.add(name(relation), rows_.count(relation));
        stat.add("learned_mac", macs_.size());
        stat.add("port_status", ports_.size());
        stat.begin("events");
        stat.add("seq", events_.last());
        stat.add("remembered", events_.remembered());
        stat.begin("timeouts");
        stat.add("flows", expiry_.size());
    }
    reply(to, out);
}

void Switch::answer(const To& to, const control::Explain& request) {
    if (const auto bridge = known_bridge(request.bridge()); !bridge)
        return refuse(to, request.id(), bridge.error());
    control::Reply out;
    control::Explanation& explanation = *out.mutable_explain();
    explanation.set_id(request.id());
    std::map<std::pair<std::string_view, std::uint32_t>, control::TableExplanation*> shown;
    const std::vector<TableReport> report = tables_.report();
    for (const TableReport& table : report) {
        const std::string_view bridge = tables_.bridge_name(table.bridge);
        if ((!request.bridge().empty() && request.bridge() != bridge) ||
            (request.has_table() && request.table() != table.number))
            continue;
        control::TableExplanation& row = *explanation.add_tables();
        row.set_bridge(std::string{bridge});
        row.set_table(table.number);
        row.set_engine(table.engine);
        row.set_rows(table.rows);
        row.set_rules(table.rules);
        row.set_tuples(table.tuples);
        row.set_probes_max(table.probes_max);
        row.set_entries_max(table.entries_max);
        row.set_cache_lines_max(table.cache_lines_max);
        row.set_cycles_max(table.cycles_max);
        row.set_name_bytes_max(table.name_bytes_max);
        row.set_memory_bytes(table.memory_bytes);
        shown[{bridge, table.number}] = &row;
    }
    rows_.for_each(Relation::table, [&](const Row& row) {
        const control::Table table = to_message(row.relation, row.bytes()).table();
        const auto at = shown.find({bridge_shown(table.bridge()), table.table()});
        if (at != shown.end())
            at->second->set_name(table.name());
    });
    references_.for_each_unsupported([&](const Entity& entity) {
        for (const Reference* r = entity.first; r != nullptr; r = r->next) {
            const KeyView key = key_view(r->row->relation, r->row->key());
            const auto at = shown.find({bridge_shown(key.bridge), key.number});
            if (r->row->relation == Relation::group || at == shown.end() ||
                static_cast<std::size_t>(at->second->unsupported_size()) >= unsupported_shown_max)
                continue;
            at->second->add_unsupported(
                describe(r->row->relation, r->row->bytes()) + ": " + entity.name
            );
        }
    });
    const Depth depth = tables_.world().depth;
    for (const FieldInfo& field : all_fields())
        if (!field.is_view() && field.id != FieldId::shape && (field.words() & ~depth.words) == 0 &&
            (depth.l3 || (field.words() & Depth::l3_words) == 0))
            explanation.add_depth(std::string{field.name});
    reply(to, out);
}

} // namespace weft
