// Records between control and workers, and the end of their work.
#include "base/check.hh"
#include "dataplane/buffers.hh"
#include "dataplane/dataplane_state.hh"

#include <algorithm>
#include <utility>

namespace weft {

namespace {

// Room in front of a traced packet, as live ones have.
constexpr std::size_t trace_headroom = 128;

std::vector<std::byte> bytes_of(const rte_mbuf* packet, std::uint32_t bytes_max) {
    std::vector<std::byte> bytes;
    bytes.reserve(std::min(packet->pkt_len, bytes_max));
    for (const rte_mbuf* at = packet; at != nullptr && bytes.size() < bytes_max; at = at->next) {
        const auto* from = rte_pktmbuf_mtod(at, const std::byte*);
        const auto part = std::min<std::size_t>(at->data_len, bytes_max - bytes.size());
        bytes.insert(bytes.end(), from, from + part);
    }
    return bytes;
}

} // namespace

/// Gives the command to the worker, or answers that it could not be given.
std::uint64_t Dataplane::State::command(Command command, OpenCommand open) {
    const std::uint64_t ticket = ++tickets;
    command.ticket = ticket;
    const std::size_t worker = ports->worker_of(command.ingress);
    open.worker = worker;
    const bool is_trace = command.kind == Command::Kind::trace;
    const bool given = !stopped && (is_trace || command.packet != nullptr) &&
                       open_count[worker] < commands_open_max &&
                       workers[worker]->commands().push(command);
    if (given) {
        ++open_count[worker];
        open_commands.emplace(ticket, std::move(open));
        return ticket;
    }
    rte_pktmbuf_free(command.packet);
    if (is_trace)
        ready.push_back(TraceDone{ticket, nullptr});
    else
        ready.push_back(PacketOutDone{ticket, false});
    inbox.wake();
    return ticket;
}

std::uint64_t Dataplane::packet_out(
    PortId ingress,
    BridgeId bridge,
    std::shared_ptr<const Program> actions,
    std::span<const std::byte> packet
) {
    const std::size_t worker = state_->ports->worker_of(ingress);
    const bool can = !state_->stopped && state_->shared.world.load() != nullptr;
    Command command;
    command.kind = Command::Kind::packet_out;
    command.ingress = ingress;
    command.bridge = bridge;
    command.actions = actions.get();
    command.packet = can ? make_packet(packet, state_->workers[worker]->pool()) : nullptr;
    OpenCommand open;
    open.actions = std::move(actions);
    return state_->command(command, std::move(open));
}

std::uint64_t Dataplane::trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet) {
    auto job = std::make_unique<TraceJob>();
    job->headroom = trace_headroom;
    job->memory.resize(trace_headroom + packet.size());
    std::copy(packet.begin(), packet.end(), job->memory.begin() + trace_headroom);
    job->story = std::make_unique<Story>();
    Command command;
    command.kind = Command::Kind::trace;
    command.ingress = ingress;
    command.bridge = bridge;
    command.trace = job.get();
    OpenCommand open;
    open.trace = std::move(job);
    return state_->command(command, std::move(open));
}

void Dataplane::State::handle(Notice notice, DataplaneEvent& event, bool& is_event) {
    is_event = false;
    if (auto* opened = std::get_if<DeviceOpened>(&notice)) {
        ports->opened(std::move(*opened));
    } else if (const auto* closed = std::get_if<DeviceClosed>(&notice)) {
        ports->closed(closed->port);
    } else if (const auto* link = std::get_if<LinkChanged>(&notice)) {
        ports->link_changed(link->port);
    } else if (const auto* stall = std::get_if<Stall>(&notice)) {
        event = WorkerStalled{stall->worker, stall->ms};
        is_event = true;
    }
}

/// False where the record was one of a command that nobody asks for any more.
bool Dataplane::State::handle(const Report& report, DataplaneEvent& event) {
    switch (report.kind) {
    case Report::Kind::punt: {
        const std::uint32_t bytes_max = report.spec == nullptr ? 0xffff : report.spec->max_bytes;
        event = Punted{
            report.port,
            report.table,
            report.spec,
            report.key,
            bytes_of(report.packet, bytes_max),
            report.packet_bytes};
        rte_pktmbuf_free(report.packet);
        return true;
    }
    case Report::Kind::learned:
        event = MacSeen{report.learned};
        return true;
    case Report::Kind::packet_out_done:
    case Report::Kind::trace_done:
        break;
    }
    const auto at = open_commands.find(report.ticket);
    check(at != open_commands.end());
    OpenCommand open = std::move(at->second);
    open_commands.erase(at);
    --open_count[open.worker];
    if (open.trace != nullptr) {
        event = TraceDone{report.ticket, std::move(open.trace->story)};
    } else {
        event = PacketOutDone{report.ticket, true};
        done_programs.push_back(std::move(open.actions));
    }
    return true;
}

bool Dataplane::next_event(DataplaneEvent& event) {
    State& state = *state_;
    state.inbox.quiet();
    for (;;) {
        if (!state.ready.empty()) {
            event = std::move(state.ready.front());
            state.ready.pop_front();
            return true;
        }
        auto notice = state.inbox.take();
        if (!notice)
            break;
        bool is_event = false;
        state.handle(std::move(*notice), event, is_event);
        if (is_event)
            return true;
    }
    // Round robin, so that no worker's flood of punts hides another's records.
    for (std::size_t i = 0; i < state.workers.size(); ++i) {
        Worker& worker = *state.workers[state.next_worker];
        state.next_worker = (state.next_worker + 1) % state.workers.size();
        Report report;
        if (worker.reports().pop(report) && state.handle(report, event))
            return true;
    }
    return false;
}

void Dataplane::reclaim() {
    State& state = *state_;
    state.releasing = true;
    state.grace.release(state.reports);
    state.releasing = false;
    state.done_programs.clear();
    if (state.stopped)
        return;
    state.monitor->expect_token(state.grace.oldest_token());
    state.monitor->control_looked();
    const bool more =
        !state.ready.empty() ||
        std::any_of(state.reports.begin(), state.reports.end(), [](const ReportQueue* of) {
            return !of->empty();
        });
    if (more)
        state.inbox.wake();
}

/// True when every worker made two turns since anything moved: whatever one of them put into a ring
/// or a loop was seen by the other.
bool Dataplane::State::is_quiet() {
    bool moved = quiet_received.size() != workers.size();
    quiet_received.resize(workers.size());
    quiet_passes.resize(workers.size());
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const Account account = workers[i]->ledger().read();
        const std::uint64_t sum = account.received + account.made + account.handed;
        moved = moved || sum != quiet_received[i];
        quiet_received[i] = sum;
        const HandedOutcome outcome = ports->outcome_of(i);
        moved = moved || account.handed != outcome.sent + outcome.queue_full + outcome.closed;
    }
    bool quiet = !moved;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const std::uint64_t passes = workers[i]->passes();
        if (moved)
            quiet_passes[i] = passes;
        quiet = quiet && passes >= quiet_passes[i] + 2;
    }
    return quiet;
}

bool Dataplane::idle() const {
    State& state = *state_;
    const bool told =
        state.ready.empty() && state.open_commands.empty() &&
        std::all_of(state.reports.begin(), state.reports.end(), [](const ReportQueue* of) {
            return of->empty();
        });
    if (!told || !state.ports->inputs_done()) {
        state.quiet_received.clear();
        return false;
    }
    return state.is_quiet();
}

} // namespace weft
