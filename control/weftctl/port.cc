#include "control/config_rows.hh"
#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"

#include <algorithm>
#include <optional>

namespace weft::ctl {

namespace {

/// Fills the row from FIELD[=VALUE][,...]; a field without a value is set to true.
Result<void> set_options(control::Port& port, std::string_view text) {
    while (!text.empty()) {
        const std::string_view option = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), option.size() + 1));
        const std::size_t equals = option.find('=');
        const std::string_view value =
            equals == std::string_view::npos ? "true" : option.substr(equals + 1);
        if (auto set = set_field(port, option.substr(0, equals), value); !set)
            return set;
    }
    return {};
}

/// The status of the port once it is no longer being opened.
std::optional<control::PortStatus>
settled(Caller& weft, const std::string& bridge, const std::string& name) {
    while (true) {
        control::Request request;
        request.mutable_get()->set_relation("port_status");
        request.mutable_get()->set_bridge(bridge.empty() ? "main" : bridge);
        request.mutable_get()->set_name(name);
        const auto reply = weft.ask(std::move(request), control::Reply::kRows);
        if (!reply)
            return std::nullopt;
        if (reply->rows().rows_size() > 0 &&
            reply->rows().rows(0).row().port_status().state() != "opening")
            return reply->rows().rows(0).row().port_status();
        if (!weft.next_event()) // something about a port changed
            return std::nullopt;
    }
}

Exit tell(const Arguments& arguments, const control::Reply& ack, const std::string& what) {
    if (arguments.json)
        print_json(ack);
    else
        print(what + "\n");
    return Exit::done;
}

} // namespace

Exit run(const Arguments& arguments, const PortAdd& port) {
    control::Request request;
    request.mutable_transaction()->set_id(unique_id());
    control::Op& op = *request.mutable_transaction()->add_ops();
    op.set_weight(1);
    op.mutable_port()->set_bridge(port.bridge);
    op.mutable_port()->set_name(port.name);
    op.mutable_port()->set_devargs(port.devargs);
    for (const std::string& options : port.options)
        if (auto set = set_options(*op.mutable_port(), options); !set) {
            complain("--option " + options + ": " + set.error().what);
            return Exit::usage;
        }
    Caller weft{arguments};
    control::Request watch;
    watch.mutable_watch()->add_topics("port");
    if (!weft.ask(std::move(watch), control::Reply::kDone))
        return weft.exit();
    const auto ack = weft.ask(std::move(request), control::Reply::kAck);
    if (!ack)
        return weft.exit();
    const auto status = settled(weft, port.bridge, port.name);
    if (!status)
        return weft.exit();
    if (status->state() == "failed") {
        complain(status->error());
        return Exit::refused;
    }
    return tell(
        arguments,
        *ack,
        "port " + port.name + " is " + status->state() + ", number " +
            std::to_string(status->number())
    );
}

Exit run(const Arguments& arguments, const PortDel& port) {
    control::Request request;
    request.mutable_transaction()->set_id(unique_id());
    control::Op& op = *request.mutable_transaction()->add_ops();
    op.set_verb("delete");
    op.mutable_port()->set_bridge(port.bridge);
    op.mutable_port()->set_name(port.name);
    Caller weft{arguments};
    const auto ack = weft.ask(std::move(request), control::Reply::kAck);
    if (!ack)
        return weft.exit();
    if (ack->ack().removed() == 0) {
        complain(
            "port \"" + port.name +
            "\" was not removed: it is not there, or belongs to another client (dump port --all "
            "shows whose it is, --client NAME acts for it)"
        );
        return Exit::refused;
    }
    return tell(arguments, *ack, "port " + port.name + " is removed");
}

} // namespace weft::ctl
