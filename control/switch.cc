#include "control/switch.hh"

#include "base/check.hh"
#include "control/client_state.hh"

#include <random>

namespace weft {

namespace {

std::uint64_t random_epoch() {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
}

} // namespace

Switch::Switch(SwitchConfig config, Tables& tables, PortsBackend& backend)
    : config_{std::move(config)},
      tables_{tables},
      backend_{backend},
      epoch_{random_epoch()},
      rows_{config_.rows},
      lowering_{rows_, references_, tables_, config_.tables},
      events_{config_.events},
      ports_{
          tables_,
          lowering_,
          backend_,
          [this](std::string_view bridge, control::PortEvent event) {
              control::Event out;
              *out.mutable_port() = std::move(event);
              events_.add(Topic::port, bridge, backend_.now_ms(), std::move(out));
          }},
      macs_{tables_} {
    backend_.publish(tables_.world());
}

Switch::~Switch() {
    write_audit_lines();
}

void Switch::log(Severity severity, std::string_view line) const {
    if (config_.log)
        config_.log(severity, line);
}

// -- sessions

void Switch::connected(Session& session) {
    auto made = std::make_unique<Client>();
    made->session = &session;
    clients_[session.peer().number] = std::move(made);
}

void Switch::disconnected(Session& session) {
    const std::uint64_t number = session.peer().number;
    Client& gone = client(session);
    events_.unwatch(session);
    barriers_.remove_if([&](const Barrier& barrier) { return barrier.session == number; });
    for (auto* outs : {&packet_outs_, &traces_})
        for (auto& [ticket, out] : *outs)
            if (out.session == number)
                out.session = 0;
    std::erase(preparing_, number);
    const std::string name = session.label();
    const std::uint32_t grace_ms = gone.grace_ms == 0 ? config_.grace_ms : gone.grace_ms;
    forget_owner(gone);
    clients_.erase(number);
    if (ephemeral_owners_.contains(name))
        owner_ends_.set(name, backend_.now_ms() + grace_ms);
}

Switch::Client& Switch::client(Session& session) {
    return *clients_.at(session.peer().number);
}

Switch::Client* Switch::client(std::uint64_t number) {
    const auto found = clients_.find(number);
    return found == clients_.end() ? nullptr : found->second.get();
}

OwnerId Switch::owner_of(Client& client, bool ephemeral) {
    std::optional<OwnerId>& owner = ephemeral ? client.ephemeral_owner : client.owner;
    if (!owner) {
        Holdings& holdings = rows_.holdings();
        owner = holdings.owner({
            .name = client.session->label(),
            .epoch = client.owner_epoch,
            .ephemeral = ephemeral,
            .anonymous = client.session->client().empty(),
        });
        holdings.pin(*owner);
    }
    return *owner;
}

void Switch::forget_owner(Client& client) {
    for (std::optional<OwnerId>* owner : {&client.owner, &client.ephemeral_owner})
        if (*owner)
            rows_.holdings().unpin(*std::exchange(*owner, std::nullopt));
}

std::shared_ptr<AcceptedIds> Switch::ids_of(Client& client) {
    if (!client.ids)
        client.ids = client.session->client().empty() ? std::make_shared<AcceptedIds>()
                                                      : client_ids_.of(client.session->client());
    return client.ids;
}

// -- replies

void Switch::reply(const To& to, const control::Reply& reply) {
    if (to.ticket)
        to.client.session->send(*to.ticket, reply);
    else
        to.client.session->send(reply);
}

void Switch::refuse(const To& to, const std::string& id, Error error) {
    refuse(
        to,
        id,
        Fault{.code = std::move(error.code), .message = std::move(error.what), .path = {}, .op = {}}
    );
}

void Switch::refuse(const To& to, const std::string& id, Fault fault) {
    control::Reply out;
    *out.mutable_nak() = nak_of(id, std::move(fault));
    reply(to, out);
}

void Switch::done(const To& to, const std::string& id) {
    control::Reply out;
    out.mutable_done()->set_id(id);
    reply(to, out);
}

Ticket Switch::ticket_of(const To& to) {
    return to.ticket ? *to.ticket : to.client.session->defer();
}

// -- requests

void Switch::handle(Session& session, control::Request& request) {
    Client& from = client(session);
    if (!from.preparing)
        return dispatch({from, std::nullopt}, request);
    // A large transaction of this session is under way: what comes after it sees what it did.
    if (from.waiting.size() >= config_.waiting_max) {
        return refuse(
            {from, std::nullopt},
            id_of(request),
            Error{
                "busy",
                std::to_string(from.waiting.size()) +
                    " requests wait behind a large transaction: at most " +
                    std::to_string(config_.waiting_max) + " may",
            }
        );
    }
    from.waiting.push_back({session.defer(), std::move(request)});
}

void Switch::dispatch(const To& to, control::Request& request) {
    switch (request.request_case()) {
    case control::Request::kHello:
        return answer(to, request.hello());
    case control::Request::kTransaction:
        return start(to, *request.mutable_transaction());
    case control::Request::kGet:
        return answer(to, request.get());
    case control::Request::kDigest:
        return answer(to, request.digest());
    case control::Request::kWatch:
        return answer(to, request.watch());
    case control::Request::kBarrier:
        return answer(to, request.barrier());
    case control::Request::kPacketOut:
        return answer(to, *request.mutable_packet_out());
    case control::Request::kTrace:
        return answer(to, request.trace());
    case control::Request::kExplain:
        return answer(to, request.explain());
    case control::Request::kStats:
        return answer(to, request.stats());
    case control::Request::kPending:
        return answer(to, request.pending());
    case control::Request::kRelease:
        return answer(to, request.release());
    case control::Request::kClock:
        return answer(to, request.clock());
    case control::Request::kLease:
        return answer(to, request.lease());
    case control::Request::kUnwatch:
        return answer(to, request.unwatch());
    case control::Request::REQUEST_NOT_SET:
        break;
    }
    refuse(to, {}, Error{"unknown_request", "no request in the message"});
}

Result<BridgeId> Switch::known_bridge(const std::string& name) const {
    const std::string_view bare = name == "main" ? std::string_view{} : std::string_view{name};
    if (bare.empty() || references_.find({Named::Kind::bridge, {}, bare, 0}) != nullptr)
        return tables_.bridge_id(bridge_shown(bare));
    return fail("unknown_bridge", "bridge \"" + name + "\" does not exist");
}

Result<PortId> Switch::standing_port(const std::string& bridge, const std::string& name) const {
    const auto in = known_bridge(bridge);
    if (!in)
        return tl::unexpected{in.error()};
    const std::string_view bare = bridge == "main" ? std::string_view{} : std::string_view{bridge};
    if (!references_.exists({Named::Kind::port, bare, name, 0}))
        return fail(
            "unknown_port", Named{Named::Kind::port, bare, name, 0}.text() + " does not exist"
        );
    return tables_.port_id(*in, name);
}

} // namespace weft
