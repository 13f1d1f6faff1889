#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/events_text.hh"
#include "control/weftctl/packet_source.hh"

#include <cstdio>

namespace weft::ctl {

Exit run(const Arguments& arguments, const Watch& watch) {
    Caller weft{arguments};
    control::Request request;
    for (const std::string& topic : watch.topics)
        request.mutable_watch()->add_topics(topic);
    request.mutable_watch()->set_bridge(watch.bridge);
    request.mutable_watch()->set_from_seq(watch.from_seq);
    if (!weft.ask(std::move(request), control::Reply::kDone))
        return weft.exit();
    for (std::uint64_t seen = 0; watch.count == 0 || seen < watch.count; ++seen) {
        const auto event = weft.next_event();
        if (!event)
            return weft.exit();
        if (arguments.json)
            print_json(*event);
        else
            print(event_text(*event));
        std::fflush(stdout);
    }
    return Exit::done;
}

Exit run(const Arguments& arguments, const Trace& trace) {
    control::Request request;
    request.mutable_trace()->set_bridge(trace.bridge);
    request.mutable_trace()->set_port(trace.port);
    request.mutable_trace()->set_match(trace.match);
    if (trace.match.empty()) {
        auto packet = read_packet(trace.packet);
        if (!packet) {
            complain(packet.error().what);
            return Exit::usage;
        }
        request.mutable_trace()->set_packet(std::move(*packet));
    }
    Caller weft{arguments};
    const auto reply = weft.ask(std::move(request), control::Reply::kTrace);
    if (!reply)
        return weft.exit();
    if (arguments.json)
        print_json(reply->trace());
    else
        print(story_text(reply->trace()));
    return Exit::done;
}

} // namespace weft::ctl
