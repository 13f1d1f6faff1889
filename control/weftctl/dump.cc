#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/rows_text.hh"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

namespace weft::ctl {

namespace {

using Page = std::function<void(control::Rows&)>;

/// Hands every page of the answer to `on_page`: all of them show one moment.
bool each_page(Caller& weft, control::Get get, const Page& on_page) {
    do {
        control::Request request;
        *request.mutable_get() = get;
        auto reply = weft.ask(std::move(request), control::Reply::kRows);
        if (!reply)
            return false;
        get.set_cursor(reply->rows().cursor());
        on_page(*reply->mutable_rows());
    } while (!get.cursor().empty());
    return true;
}

/// All rows of a small relation.
std::vector<control::StoredRow> all_rows(Caller& weft, const control::Get& get) {
    std::vector<control::StoredRow> rows;
    each_page(weft, get, [&](control::Rows& page) {
        for (control::StoredRow& row : *page.mutable_rows())
            rows.push_back(std::move(row));
    });
    return rows;
}

control::Get get_of(const Dump& dump) {
    control::Get get;
    get.set_relation(dump.relation);
    get.set_bridge(dump.bridge);
    get.set_name(dump.name);
    get.set_owner(dump.owner);
    get.set_scope(dump.scope);
    const Part part = part_of(dump.part).value_or(Part{});
    get.set_part(part.part);
    get.set_parts(part.parts);
    if (dump.table)
        get.set_table(*dump.table);
    return get;
}

std::string device_text(const control::Port& port) {
    return port.peer().empty() ? port.devargs() : "patch to " + port.peer();
}

std::string ports_table(
    const std::vector<control::StoredRow>& states, const std::vector<control::StoredRow>& ports
) {
    TextTable table{
        {{"port"},
         {"number", Align::right},
         {"state"},
         {"mac"},
         {"mtu", Align::right},
         {"Mb/s", Align::right},
         {"queues", Align::right},
         {"device"}}};
    for (const control::StoredRow& each : states) {
        const control::PortStatus& state = each.row().port_status();
        const auto port = std::ranges::find_if(ports, [&](const control::StoredRow& row) {
            const control::Port& of = row.row().port();
            return name_in(of.bridge(), of.name()) == name_in(state.bridge(), state.name());
        });
        // The sentence says what the device is, where it failed.
        std::string device = port == ports.end() ? "" : device_text(port->row().port());
        if (!state.error().empty())
            device = state.error();
        table.add(
            {name_in(state.bridge(), state.name()),
             std::to_string(state.number()),
             state.state(),
             state.mac(),
             std::to_string(state.mtu()),
             state.speed_mbps() == 0 ? "-" : std::to_string(state.speed_mbps()),
             std::to_string(state.rx_queues()) + "/" + std::to_string(state.tx_queues()),
             std::move(device)}
        );
    }
    return table.take();
}

} // namespace

Exit run(const Arguments& arguments, const Dump& dump) {
    Caller weft{arguments};
    const bool is_flow = dump.relation == "flow";
    FlowsTable flows{dump.all};
    std::vector<control::StoredRow> others;
    const bool done = each_page(weft, get_of(dump), [&](control::Rows& page) {
        for (control::StoredRow& row : *page.mutable_rows())
            if (arguments.json)
                print(row_json(row, dump.all) + '\n');
            else if (is_flow)
                flows.add(row);
            else
                others.push_back(std::move(row));
        if (is_flow && !arguments.json && page.rows_size() > 0)
            print(flows.take());
    });
    if (done && !arguments.json && !is_flow)
        print(rows_table(others, dump.all));
    return weft.exit();
}

Exit run(const Arguments& arguments, const PortList& ports) {
    Caller weft{arguments};
    control::Get get;
    get.set_bridge(ports.bridge);
    get.set_relation("port_status");
    const auto states = all_rows(weft, get);
    get.set_relation("port");
    const auto rows = all_rows(weft, get);
    if (weft.failed())
        return weft.exit();
    if (!arguments.json)
        print(ports_table(states, rows));
    else
        for (const control::StoredRow& state : states)
            print(row_json(state, false) + '\n');
    return Exit::done;
}

} // namespace weft::ctl
