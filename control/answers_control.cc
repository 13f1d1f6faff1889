// Answers that do something beside rows: watch, barrier, release, clock, packet-out.
#include "control/client_state.hh"
#include "control/language/language.hh"
#include "control/rows/language_message.hh"
#include "pipeline/program.hh"

#include <algorithm>

namespace weft {

namespace {

constexpr std::uint64_t barrier_ms_default = 1'000;
constexpr std::uint64_t barrier_ms_max = 600'000;
constexpr std::size_t packet_bytes_max = 65'535;
constexpr std::size_t barriers_max = 4'096;
constexpr int polls_after_clock = 64; // bounded batches of what became due

} // namespace

void Switch::answer(const To& to, const control::Watch& request) {
    if (auto error = EventLog::judge(request))
        return refuse(to, request.id(), std::move(*error));
    done(to, request.id());
    events_.watch(*to.client.session, request, backend_.now_ms());
}

void Switch::answer(const To& to, const control::Unwatch& request) {
    events_.unwatch(*to.client.session);
    done(to, request.id());
}

void Switch::answer(const To& to, const control::Barrier& request) {
    const Generation generation =
        request.generation() == 0 ? tables_.generation() : request.generation();
    if (generation > tables_.generation())
        return refuse(
            to,
            request.id(),
            Error{
                "bad_value",
                "generation " + std::to_string(generation) + " is not made yet: the newest is " +
                    std::to_string(tables_.generation()),
            }
        );
    if (backend_.passed(generation, nullptr))
        return reply(to, passed_barrier(request.id(), generation));
    if (barriers_.size() >= barriers_max)
        return refuse(
            to, request.id(), Error{"busy", std::to_string(barriers_max) + " barriers wait already"}
        );
    const std::uint64_t timeout_ms =
        request.timeout_ms() == 0 ? barrier_ms_default
                                  : std::min<std::uint64_t>(request.timeout_ms(), barrier_ms_max);
    barriers_.push_back({
        .session = to.client.session->peer().number,
        .ticket = ticket_of(to),
        .id = request.id(),
        .generation = generation,
        .until_ms = backend_.now_ms() + timeout_ms,
    });
}

void Switch::answer(const To& to, const control::Lease& request) {
    if (request.scope().size() > name_bytes_max)
        return refuse(to, request.id(), Error{"bad_value", "the scope has more than 255 bytes"});
    const auto fence = leases_.ask(
        {
            .scope = request.scope(),
            .client = to.client.session->label(),
            .ttl_ms = request.ttl_ms(),
            .fence = request.fence(),
        },
        backend_.now_ms()
    );
    if (!fence)
        return refuse(to, request.id(), fence.error());
    control::Reply out;
    control::LeaseGranted& lease = *out.mutable_lease();
    lease.set_id(request.id());
    lease.set_scope(request.scope());
    lease.set_fence(*fence);
    lease.set_ttl_ms(request.ttl_ms());
    reply(to, out);
}

void Switch::answer(const To& to, const control::Release& request) {
    const auto port = standing_port(request.bridge(), request.port());
    if (!port)
        return refuse(to, request.id(), port.error());
    if (const auto released = ports_.release(*port, request.packets()); !released)
        return refuse(to, request.id(), released.error());
    done(to, request.id());
}

void Switch::answer(const To& to, const control::Clock& request) {
    if (!backend_.manual_clock())
        return refuse(
            to,
            request.id(),
            Error{"unsupported", "the clock runs by itself: start weftd with --clock manual"}
        );
    backend_.advance_clock(request.advance_ms());
    // What is due happens before the answer, so that a test sees it.
    for (int i = 0; i < polls_after_clock; ++i) {
        const std::uint64_t now_ms = backend_.now_ms();
        if (std::min(
                {expiry_.next_ms(), macs_.next_ms(), row_ends_.next_ms(), owner_ends_.next_ms()}
            ) > now_ms)
            break;
        expire();
        end_lives();
        learn();
    }
    done(to, request.id());
}

// -- packet-out

namespace {

Judged<Actions> actions_of(const control::PacketOut& request) {
    if (request.has_action_list() && request.actions().empty())
        return actions_from(request.action_list(), "action_list");
    auto parsed = request.has_action_list()
                      ? fail("duplicate_field", "action_list stands beside actions: give one")
                      : parse_actions(request.actions());
    if (parsed)
        return std::move(*parsed);
    return tl::unexpected{Fault{
        .code = std::move(parsed.error().code),
        .message = std::move(parsed.error().what),
        .path = {},
        .op = {},
    }};
}

} // namespace

void Switch::answer(const To& to, control::PacketOut& request) {
    const std::string id = request.id();
    const auto refused = [&](Error error) { refuse(to, id, std::move(error)); };
    const bool named = !to.client.session->client().empty();
    if (id.size() > name_bytes_max)
        return refused({"out_of_range", "the id has more than 255 bytes"});
    const std::uint64_t content = key_hash(request.SerializeAsString());
    const std::string key = "packet_out " + id; // transactions have ids of their own
    const auto ids = named && !id.empty() ? ids_of(to.client) : nullptr;
    if (ids) {
        if (const AcceptedIds::Accepted* known = ids->find(key)) {
            if (known->content != content)
                return refused(
                    {"id_reused", "id " + quoted(id) + " was accepted with other content"}
                );
            return reply(to, known->reply);
        }
        for (const auto& [ticket, out] : packet_outs_)
            if (out.ids == ids && out.id == id)
                return refused({"busy", "packet-out " + quoted(id) + " is on its way"});
    }
    if (request.packet().size() < 14 || request.packet().size() > packet_bytes_max)
        return refused({
            "bad_value",
            "the packet has " + std::to_string(request.packet().size()) +
                " bytes: it must have 14 to " + std::to_string(packet_bytes_max),
        });
    const auto bridge = known_bridge(request.bridge());
    if (!bridge)
        return refused(bridge.error());
    PortId ingress = PortId::none;
    if (!request.port().empty()) {
        const auto port = standing_port(request.bridge(), request.port());
        if (!port)
            return refused(port.error());
        ingress = *port;
    }
    const Judged<Actions> actions = actions_of(request);
    if (!actions)
        return refuse(to, id, actions.error());
    for (const Action& action : *actions)
        if (!supported(action))
            return refused({
                "unsupported_action",
                "action " + quoted(name(action)) + " is not carried out by this build",
            });
    const auto program = tables_.compile(*bridge, *actions);
    // Its fields may be new to the parser: then workers need a generation that fills them.
    if ((program->words & ~tables_.world().depth.words) != 0)
        backend_.publish(tables_.commit());
    Out out{
        .session = to.client.session->peer().number,
        .ticket = ticket_of(to),
        .id = id,
        .content = content,
        .ids = ids,
        .program = program,
    };
    const std::string& packet = request.packet();
    const std::uint64_t ticket = backend_.packet_out(
        ingress, *bridge, out.program, std::as_bytes(std::span{packet.data(), packet.size()})
    );
    packet_outs_.emplace(ticket, std::move(out));
}

void Switch::packet_out_done(std::uint64_t ticket, bool sent) {
    const auto found = packet_outs_.find(ticket);
    if (found == packet_outs_.end())
        return;
    const Out out = std::move(found->second);
    packet_outs_.erase(found);
    control::Reply answer;
    if (sent) {
        answer.mutable_done()->set_id(out.id);
        if (out.ids)
            out.ids->accept("packet_out " + out.id, out.content, answer);
    } else {
        control::Nak& nak = *answer.mutable_nak();
        nak.set_id(out.id);
        nak.set_code("busy");
        nak.set_message("no worker had room for the packet: try again");
    }
    if (Client* waits = client(out.session))
        waits->session->send(out.ticket, answer);
}

} // namespace weft
