#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/rows_text.hh"
#include "control/weftctl/stats_text.hh"
#include "control/weftctl/text_table.hh"

namespace weft::ctl {

Exit run(const Arguments& arguments, const Stats& stats) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_stats();
    for (const std::string& kind : stats.kinds)
        request.mutable_stats()->add_kinds(kind);
    const auto reply = weft.ask(std::move(request), control::Reply::kStats);
    if (!reply)
        return weft.exit();
    if (!arguments.json)
        print(stats_text(reply->stats()));
    else
        for (const control::Stat& stat : reply->stats().stats())
            print_json(stat);
    return Exit::done;
}

Exit run(const Arguments& arguments, const Drops& drops) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_stats()->add_kinds("drops");
    const auto reply = weft.ask(std::move(request), control::Reply::kStats);
    if (!reply)
        return weft.exit();
    const auto& text = arguments.json ? drops_json : drops_text;
    print(text(reply->stats(), drops.all));
    return Exit::done;
}

Exit run(const Arguments& arguments, const Pending&) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_pending();
    const auto reply = weft.ask(std::move(request), control::Reply::kPending);
    if (!reply)
        return weft.exit();
    TextTable table{{{"missing"}, {"row that waits for it"}}};
    for (const control::PendingRow& row : reply->pending().rows())
        if (arguments.json)
            print_json(row);
        else
            table.add({row.missing(), row_text(row.row())});
    if (!arguments.json)
        print(table.rows() == 0 ? "nothing is pending\n" : table.take());
    return Exit::done;
}

Exit run(const Arguments& arguments, const Explain& explain) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_explain()->set_bridge(explain.bridge);
    if (explain.table)
        request.mutable_explain()->set_table(*explain.table);
    const auto reply = weft.ask(std::move(request), control::Reply::kExplain);
    if (!reply)
        return weft.exit();
    if (explain.table && reply->explain().tables().empty()) {
        complain(
            "table " + std::to_string(*explain.table) +
            " does not exist: no flow and no table row names it"
        );
        return Exit::refused;
    }
    if (arguments.json) {
        print_json(reply->explain());
        return Exit::done;
    }
    TextTable table{
        {{"table"},
         {"name"},
         {"rows", Align::right},
         {"rules", Align::right},
         {"tuples", Align::right},
         {"probes", Align::right},
         {"compared", Align::right},
         {"lines", Align::right},
         {"cycles at most", Align::right},
         {"bytes", Align::right},
         {"engine"}}};
    std::string unsupported;
    for (const control::TableExplanation& each : reply->explain().tables()) {
        table.add(
            {name_in(each.bridge(), std::to_string(each.table())),
             each.name().empty() ? "-" : each.name(),
             std::to_string(each.rows()),
             std::to_string(each.rules()),
             std::to_string(each.tuples()),
             std::to_string(each.probes_max()),
             std::to_string(each.entries_max()),
             std::to_string(each.cache_lines_max()),
             std::to_string(each.cycles_max()),
             std::to_string(each.memory_bytes()),
             each.engine()}
        );
        for (const std::string& rule : each.unsupported())
            unsupported += "  " + printable(rule) + "\n";
    }
    print(table.take());
    if (!unsupported.empty())
        print("\nrules whose packets drop as unsupported_action:\n" + unsupported);
    std::string depth;
    for (const std::string& field : reply->explain().depth())
        depth += (depth.empty() ? "" : ", ") + field;
    print("\nfields that the rules read: " + (depth.empty() ? "none" : depth) + "\n");
    return Exit::done;
}

} // namespace weft::ctl
