// The commands that are one request and one short answer.
#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/packet_source.hh"
#include "control/weftctl/rows_text.hh"
#include "control/weftctl/text_table.hh"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

namespace weft::ctl {

namespace {

std::optional<control::Reply> say_hello(Caller& weft, const Arguments& arguments) {
    control::Request request;
    request.mutable_hello()->set_client(arguments.client);
    return weft.ask(std::move(request), control::Reply::kHello);
}

std::string digest_text(std::uint64_t digest) {
    char text[32];
    std::snprintf(text, sizeof text, "%016" PRIx64, digest);
    return text;
}

std::string digests_table(const google::protobuf::RepeatedPtrField<control::DigestEntry>& digests) {
    TextTable table{{{"relation"}, {"rows", Align::right}, {"digest"}, {"scope"}}};
    for (const control::DigestEntry& each : digests)
        table.add(
            {each.relation(),
             std::to_string(each.rows()),
             digest_text(each.digest()),
             each.scope().empty() ? "-" : each.scope()}
        );
    return table.take();
}

std::string welcome_text(const control::Welcome& hello) {
    std::string text = "weftd " + hello.version() + " on " + printable(hello.node()) +
                       ", generation " + std::to_string(hello.generation()) + ", epoch " +
                       digest_text(hello.epoch()) + "\n";
    text += "protocol " + std::to_string(hello.protocol()) + ", newest event " +
            std::to_string(hello.seq()) + "\nfeatures:";
    for (const std::string& feature : hello.features())
        text += " " + feature;
    text += "\nlimits:";
    std::vector<std::string> limits;
    for (const auto& [name, value] : hello.limits())
        limits.push_back(" " + name + "=" + std::to_string(value));
    std::ranges::sort(limits);
    for (const std::string& limit : limits)
        text += limit;
    return text + "\n";
}

std::string status_text(const control::Welcome& hello) {
    std::string text = "weftd " + hello.version() + " on " + printable(hello.node()) +
                       ", generation " + std::to_string(hello.generation()) + "\n\n";
    TextTable ports{{{"port"}, {"number", Align::right}, {"state"}, {"mac"}, {"error"}}};
    for (const control::PortStatus& port : hello.ports())
        ports.add(
            {name_in(port.bridge(), port.name()),
             std::to_string(port.number()),
             port.state(),
             port.mac(),
             port.error()}
        );
    return text + ports.take() + "\n" + digests_table(hello.digests());
}

} // namespace

Exit run(const Arguments& arguments, const Barrier& barrier) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_barrier()->set_generation(barrier.generation);
    request.mutable_barrier()->set_timeout_ms(barrier.timeout_ms);
    const auto reply = weft.ask(std::move(request), control::Reply::kBarrier);
    if (!reply)
        return weft.exit();
    const control::BarrierDone& done = reply->barrier();
    std::string laggards;
    for (const std::uint32_t worker : done.workers())
        laggards += (laggards.empty() ? "" : ", ") + std::to_string(worker);
    if (arguments.json)
        print_json(*reply);
    else if (done.timeout())
        complain(
            "generation " + std::to_string(done.generation()) + ": timeout, not passed by worker " +
            laggards
        );
    else
        print("all workers run generation " + std::to_string(done.generation()) + "\n");
    return done.timeout() ? Exit::refused : Exit::done;
}

Exit run(const Arguments& arguments, const Release& release) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_release()->set_bridge(release.bridge);
    request.mutable_release()->set_port(release.port);
    request.mutable_release()->set_packets(release.packets);
    const auto reply = weft.ask(std::move(request), control::Reply::kDone);
    if (reply && arguments.json)
        print_json(*reply);
    return weft.exit();
}

Exit run(const Arguments& arguments, const ClockAdvance& clock) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_clock()->set_advance_ms(clock.ms);
    const auto reply = weft.ask(std::move(request), control::Reply::kDone);
    if (reply && arguments.json)
        print_json(*reply);
    return weft.exit();
}

Exit run(const Arguments& arguments, const PacketOut& packet_out) {
    auto packet = read_packet(packet_out.packet);
    if (!packet) {
        complain(packet.error().what);
        return Exit::usage;
    }
    Caller weft{arguments};
    control::Request request;
    request.mutable_packet_out()->set_id(unique_id());
    request.mutable_packet_out()->set_bridge(packet_out.bridge);
    request.mutable_packet_out()->set_port(packet_out.port);
    request.mutable_packet_out()->set_actions(packet_out.actions);
    request.mutable_packet_out()->set_packet(std::move(*packet));
    const auto reply = weft.ask(std::move(request), control::Reply::kDone);
    if (reply && arguments.json)
        print_json(*reply);
    return weft.exit();
}

Exit run(const Arguments& arguments, const Digest& digest) {
    Caller weft{arguments};
    control::Request request;
    request.mutable_digest()->set_relation(digest.relation);
    request.mutable_digest()->set_scope(digest.scope);
    const Part part = part_of(digest.part).value_or(Part{});
    request.mutable_digest()->set_part(part.part);
    request.mutable_digest()->set_parts(part.parts);
    const auto reply = weft.ask(std::move(request), control::Reply::kDigests);
    if (!reply)
        return weft.exit();
    if (!arguments.json)
        print(digests_table(reply->digests().digests()));
    else
        for (const control::DigestEntry& each : reply->digests().digests())
            print_json(each);
    return Exit::done;
}

Exit run(const Arguments& arguments, const Sweep& sweep) {
    Caller weft{arguments};
    control::Request request;
    control::Sweep& of = *request.mutable_transaction()->mutable_sweep();
    of.set_owner(sweep.owner);
    of.set_epoch(sweep.before);
    of.set_scope(sweep.scope);
    const auto reply = weft.ask(std::move(request), control::Reply::kAck);
    if (!reply)
        return weft.exit();
    if (arguments.json)
        print_json(reply->ack());
    else
        print(std::to_string(reply->ack().removed()) + " rows removed\n");
    return Exit::done;
}

Exit run(const Arguments& arguments, const Hello&) {
    Caller weft{arguments};
    const auto reply = say_hello(weft, arguments);
    if (!reply)
        return weft.exit();
    if (arguments.json)
        print_json(reply->hello());
    else
        print(welcome_text(reply->hello()));
    return Exit::done;
}

Exit run(const Arguments& arguments, const Status&) {
    Caller weft{arguments};
    const auto reply = say_hello(weft, arguments);
    if (!reply)
        return weft.exit();
    if (arguments.json)
        print_json(reply->hello());
    else
        print(status_text(reply->hello()));
    return Exit::done;
}

Exit run(const Arguments& arguments, const Version&) {
    Caller weft{arguments};
    const auto reply = say_hello(weft, arguments);
    const std::string daemon = reply ? reply->hello().version() : "";
    if (arguments.json)
        print("{\"weftctl\": \"" WEFT_VERSION "\", \"weftd\": " + json_string(daemon) + "}\n");
    else
        print("weftctl " WEFT_VERSION "\n" + (daemon.empty() ? "" : "weftd " + daemon + "\n"));
    return weft.exit();
}

} // namespace weft::ctl
