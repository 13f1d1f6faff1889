// What the switch does by itself: events of the dataplane, timeouts, learned addresses, barriers.
#include "control/client_state.hh"
#include "control/field_text.hh"

#include <algorithm>
#include <chrono>

namespace weft {

namespace {

constexpr std::size_t expired_at_once = 1'024; // flows that one generation takes
constexpr std::size_t macs_at_once = 4'096;    // that are looked at for their age at once
constexpr std::uint64_t barrier_poll_ms = 1;   // while somebody waits for workers
constexpr std::uint64_t idle_poll_ms = 1'000;

} // namespace

std::uint64_t Switch::poll() {
    if (!preparing_.empty()) {
        const std::uint64_t number = preparing_.front();
        preparing_.pop_front();
        Client& turn = *clients_.at(number);
        if (!prepare_slice(turn)) {
            preparing_.push_back(number);
        } else {
            turn.preparing = false;
            finish(turn);
            while (!turn.preparing && !turn.waiting.empty()) {
                Client::Waiting next = std::move(turn.waiting.front());
                turn.waiting.pop_front();
                dispatch({turn, next.ticket}, next.request);
            }
        }
    }
    expire();
    end_lives();
    learn();
    const bool ports_wait = ports_.poll();
    answer_barriers(); // somebody waits for it, nobody for what follows
    const auto planner_ms = planner_.step();
    // What moved comes to rest without waiting for somebody's commit.
    if (tables_.has_moved())
        backend_.publish(tables_.commit());
    else if (planner_ms)
        backend_.publish(tables_.world());
    write_audit_lines();
    const std::uint64_t now_ms = backend_.now_ms();
    rows_.expire_cursors(now_ms);
    if (traces_.empty())
        kept_for_traces_.clear();

    if (!preparing_.empty() || planner_ms == 0)
        return 0;
    if (ports_wait || !barriers_.empty())
        return barrier_poll_ms;
    const std::uint64_t soonest_ms = planner_ms.value_or(idle_poll_ms);
    const std::uint64_t next_ms =
        std::min({expiry_.next_ms(), macs_.next_ms(), row_ends_.next_ms(), owner_ends_.next_ms()});
    // A manual clock stands still until a request moves it, and that request polls.
    if (backend_.manual_clock() && next_ms > now_ms)
        return soonest_ms;
    return next_ms <= now_ms ? 0 : std::min(next_ms - now_ms, soonest_ms);
}

/// Flows whose time is over leave in a transaction of the switch's own.
void Switch::expire() {
    const std::uint64_t now_ms = backend_.now_ms();
    if (expiry_.next_ms() > now_ms)
        return;
    const auto expired = expiry_.take(now_ms, expired_at_once, [&](const Row& row) {
        return tables_.counters(*row.rule);
    });
    if (expired.empty())
        return;
    NetChange net;
    for (const Expiry::Expired& over : expired)
        net.changes.push_back({
            .kind = RowChange::Kind::remove,
            .before = over.row.get(),
            .op = nullptr,
            .owners = {},
        });
    net.removed = static_cast<std::uint32_t>(expired.size());
    RowCount counts;
    (void)apply(net, counts); // taking rows away needs no room
    for (const Expiry::Expired& over : expired) {
        control::Event event;
        control::FlowExpired& flow = *event.mutable_flow_expired();
        *flow.mutable_flow() = to_message(Relation::flow, over.row->bytes()).flow();
        flow.set_reason(over.hard ? "hard" : "idle");
        flow.set_packets(over.counters.packets);
        flow.set_bytes(over.counters.bytes);
        const std::string bridge{bridge_shown(flow.flow().bridge())};
        events_.add(Topic::flow, bridge, now_ms, std::move(event));
    }
    audit("switch", "timeouts", counts);
}

/// Rows whose time to live is over, and those of clients that did not come back, leave.
void Switch::end_lives() {
    const std::uint64_t now_ms = backend_.now_ms();
    NetChange net;
    for (Row* row : row_ends_.take(now_ms, expired_at_once))
        net.changes.push_back({
            .kind = RowChange::Kind::remove,
            .before = row,
            .op = nullptr,
            .owners = {},
        });
    net.removed = static_cast<std::uint32_t>(net.changes.size());
    RowCount counts;
    if (net.removed != 0) {
        (void)apply(net, counts); // taking rows away needs no room
        audit("switch", "time to live", counts);
    }
    for (const std::string& owner : owner_ends_.take(now_ms, 1))
        reap(owner);
}

/// Unless it is back, its ephemeral rows leave.
void Switch::reap(const std::string& owner) {
    for (const auto& [number, client] : clients_)
        if (client->session->label() == owner)
            return;
    ephemeral_owners_.erase(owner);
    TransactionInput input;
    SweepOf& sweep = input.sweep.emplace();
    sweep.owner = owner;
    sweep.ephemeral = true;
    sweep.relations.fill(true);
    Judged<NetChange> net = consolidate(rows_, input);
    RowCount counts;
    if (!net || net->changes.empty())
        return;
    (void)apply(*net, counts); // taking rows away needs no room
    audit("switch", "client \"" + owner + "\" is gone", counts);
}

void Switch::learn() {
    const std::uint64_t now_ms = backend_.now_ms();
    if (macs_.next_ms() > now_ms)
        return;
    const Macs::Changes changes = macs_.apply(now_ms, macs_at_once);
    if (changes.any)
        backend_.publish(tables_.commit());
    for (const Macs::Key& key : changes.learned) {
        control::Event event;
        *event.mutable_mac_learned() = macs_.row(key, now_ms);
        events_.add(Topic::mac, tables_.bridge_name(key.bridge), now_ms, std::move(event));
    }
    for (const BridgeId bridge : changes.full) {
        const std::string name{tables_.bridge_name(bridge)};
        tell_limit(
            "macs", macs_.size(), "bridge \"" + name + "\" learns no more addresses: it is full"
        );
    }
}

/// All workers are there, as of now.
control::Reply Switch::passed_barrier(const std::string& id, Generation generation) {
    control::Reply out;
    control::BarrierDone& done = *out.mutable_barrier();
    done.set_id(id);
    done.set_generation(generation);
    const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    done.set_passed_ns(static_cast<std::uint64_t>(now.count()));
    return out;
}

void Switch::answer_barriers() {
    const std::uint64_t now_ms = backend_.now_ms();
    for (auto at = barriers_.begin(); at != barriers_.end();) {
        std::vector<WorkerId> laggards;
        const bool passed = backend_.passed(at->generation, &laggards);
        if (!passed && now_ms < at->until_ms) {
            ++at;
            continue;
        }
        control::Reply out = passed_barrier(at->id, at->generation);
        control::BarrierDone& done = *out.mutable_barrier();
        if (!passed) {
            done.set_timeout(true);
            done.clear_passed_ns();
            for (const WorkerId worker : laggards)
                done.add_workers(static_cast<std::uint32_t>(worker));
        }
        const Barrier barrier = *at;
        at = barriers_.erase(at);
        if (Client* waits = client(barrier.session))
            waits->session->send(barrier.ticket, out);
    }
}

void Switch::tell_limit(std::string limit, std::uint64_t value, std::string message) {
    log(Severity::warning, message);
    control::Event event;
    control::LimitReached& reached = *event.mutable_limit();
    reached.set_limit(std::move(limit));
    reached.set_value(value);
    reached.set_message(std::move(message));
    events_.add(Topic::limit, {}, backend_.now_ms(), std::move(event));
}

/// Operators hear once in a while that there is no more room, not once per transaction.
void Switch::tell_full(const Fault& fault) {
    constexpr std::uint64_t quiet_ms = 10'000;
    const std::uint64_t now_ms = backend_.now_ms();
    if (told_full_ms_ && now_ms - *told_full_ms_ < quiet_ms)
        return;
    told_full_ms_ = now_ms;
    tell_limit(
        fault.code.substr(std::string_view{"too_many_"}.size()), rows_.count(), fault.message
    );
}

// -- the dataplane's events

void Switch::port_changed(PortId port, const DeviceState& state) {
    ports_.changed(port, state);
}

void Switch::mac_seen(const Learned& learned) {
    if (ports_.stands(learned.port))
        macs_.seen(learned);
}

void Switch::worker_stalled(WorkerId worker, std::uint64_t ms) {
    tell_limit(
        "worker_stalled",
        ms,
        "worker " + std::to_string(index(worker)) + " has not passed for " + std::to_string(ms) +
            " ms"
    );
}

void Switch::punted(const PuntedPacket& packet) {
    control::Event event;
    control::PacketIn& in = *event.mutable_packet_in();
    const std::string bridge{
        packet.port == PortId::none ? std::string_view{"main"}
                                    : tables_.bridge_name(tables_.bridge_of(packet.port))};
    in.set_bridge(bridge);
    if (packet.port != PortId::none)
        in.set_port(std::string{tables_.port_name(packet.port)});
    in.set_table(packet.table);
    if (packet.spec != nullptr) {
        in.set_cookie(packet.spec->cookie);
        in.set_reason(packet.spec->reason);
        in.set_userdata(packet.spec->userdata);
    }
    in.set_packet(packet.packet.data(), packet.packet.size());
    in.set_packet_bytes(packet.packet_bytes);
    const auto port_name = [&](PortNumber number) {
        const auto port = tables_.port_by_number(tables_.bridge_of(packet.port), number);
        return port ? tables_.port_name(*port) : std::string_view{};
    };
    if (packet.key != nullptr)
        for (auto& [field, value] :
             metadata_of(*packet.key, tables_.world().depth.words, port_name))
            (*in.mutable_metadata())[field] = std::move(value);
    events_.add(Topic::packet_in, bridge, backend_.now_ms(), std::move(event));
}

} // namespace weft
