#include "dataplane/dataplane.hh"

#include "base/check.hh"
#include "dataplane/buffers.hh"
#include "dataplane/cores.hh"
#include "dataplane/eal.hh"
#include "dataplane/grace.hh"
#include "dataplane/helper.hh"
#include "dataplane/inbox.hh"
#include "dataplane/monitor.hh"
#include "dataplane/pool.hh"
#include "dataplane/port_keeper.hh"
#include "dataplane/worker.hh"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <latch>
#include <map>
#include <utility>

#include <pthread.h>
#include <sched.h>

namespace weft {

namespace {

struct FreeMemory {
    void operator()(void* memory) const noexcept { std::free(memory); }
};
using QsbrMemory = std::unique_ptr<rte_rcu_qsbr, FreeMemory>;

QsbrMemory make_qsbr(std::size_t workers) {
    const auto threads = static_cast<std::uint32_t>(workers);
    const std::size_t bytes = (rte_rcu_qsbr_get_memsize(threads) + cache_line - 1) / cache_line * cache_line;
    QsbrMemory qsbr{static_cast<rte_rcu_qsbr*>(std::aligned_alloc(cache_line, bytes))};
    check(qsbr != nullptr && rte_rcu_qsbr_init(qsbr.get(), threads) == 0);
    return qsbr;
}

// Room in front of a traced packet, as live ones have.
constexpr std::size_t trace_headroom = 128;

/// A command that control gave and whose answer it has not read yet.
struct OpenCommand {
    std::size_t worker = 0;
    std::shared_ptr<const Program> actions;
    std::unique_ptr<TraceJob> trace;
};

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

struct Dataplane::State {
    State(const DataplaneConfig& of, CoreLayout on, Eal& with)
        : config{of}, layout{std::move(on)}, eal{with}, qsbr{make_qsbr(layout.workers.size())},
          shared{of.manual_clock, layout.workers.size()}, grace{qsbr.get()} {
        shared.qsbr = qsbr.get();
    }
    ~State();

    Result<void> start_workers();
    void handle(Notice notice, DataplaneEvent& event, bool& is_event);
    bool handle(const Report& report, DataplaneEvent& event);
    std::uint64_t command(Command command, OpenCommand open);
    bool is_quiet();
    void stop();

    const DataplaneConfig config;
    const CoreLayout layout;
    Eal& eal;
    std::vector<std::string> notes;
    QsbrMemory qsbr;
    WorkersShared shared;
    Grace grace;
    std::vector<std::function<void()>> unpublished; // retired since the last publish()
    bool releasing = false;
    std::vector<rte_mempool*> pools;
    Inbox inbox;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<const ReportQueue*> reports;
    // These two use all above; their threads end first.
    std::unique_ptr<Monitor> monitor;
    std::unique_ptr<Helper> helper;
    std::unique_ptr<PortKeeper> ports;

    Tables* tables = nullptr;
    std::deque<DataplaneEvent> ready; // events that are due before what is in the queues
    std::map<std::uint64_t, OpenCommand> open_commands;
    std::vector<std::size_t> open_count; // by worker
    std::vector<std::shared_ptr<const Program>> done_programs; // until poll() ends: events may point into them
    std::uint64_t tickets = 0;
    std::size_t next_worker = 0; // whose queue is read first
    bool stopped = false;
    std::uint64_t stopped_tsc = 0;

    // is_quiet(): the workers' books when they last moved, and the passes since.
    std::vector<std::uint64_t> quiet_received, quiet_passes;
};

Dataplane::State::~State() {
    stop();
    helper.reset();
    monitor.reset();
    ports.reset();
    workers.clear();
    for (rte_mempool* const pool : pools)
        rte_mempool_free(pool);
}

Result<void> Dataplane::State::start_workers() {
    const std::size_t count = layout.workers.size();
    for (std::size_t i = 0; i < count; ++i) {
        // What other threads' caches may hold comes on top.
        const auto caches = static_cast<std::uint32_t>((count + 1) * pool_cache * 3 / 2);
        auto pool = make_pool({config.worker_buffers + caches, buffer_bytes_default}, SOCKET_ID_ANY);
        if (!pool)
            return fail(pool.error().code, "worker " + std::to_string(i) + ": " + pool.error().what);
        pools.push_back(*pool);
    }
    std::latch standing{static_cast<std::ptrdiff_t>(count)};
    for (std::size_t i = 0; i < count; ++i) {
        const Worker::Settings settings{
            .id = WorkerId{static_cast<std::uint16_t>(i)},
            .core = layout.workers[i],
            .pool = pools[i],
            .punt_rate = {config.punts_per_s, config.punts_burst},
        };
        workers.push_back(std::make_unique<Worker>(settings, shared, standing));
        reports.push_back(&workers.back()->reports());
    }
    standing.wait();
    open_count.resize(count);
    for (const auto& worker : workers)
        if (!worker->registered())
            return fail("too_many_workers", "DPDK has no room for " + std::to_string(count) + " workers");
    monitor = std::make_unique<Monitor>(inbox, workers, shared);
    helper = std::make_unique<Helper>();
    ports = std::make_unique<PortKeeper>(PortKeeper::Around{
        .workers = workers,
        .grace = grace,
        .helper = *helper,
        .monitor = *monitor,
        .inbox = inbox,
        .log = eal.log,
        .huge_pages = eal.huge_pages,
        .tell = [this](DataplaneEvent event) {
            ready.push_back(std::move(event));
            inbox.wake();
        },
    });
    return {};
}

Dataplane::Dataplane() = default;
Dataplane::~Dataplane() = default;

Result<std::unique_ptr<Dataplane>> Dataplane::start(const DataplaneConfig& config) {
    // The first start narrows the caller's affinity to the control cores; what it had before is what workers choose from.
    static const std::vector<unsigned> allowed = allowed_cores();
    auto layout = lay_out_cores(config.cores, config.workers, allowed);
    if (!layout)
        return tl::unexpected<Error>{std::move(layout.error())};
    auto eal = start_eal({
        .control_cores = layout->control,
        .memory_mb = config.memory_mb,
        .file_prefix = config.file_prefix,
        .extra = config.eal_args,
    });
    if (!eal)
        return tl::unexpected<Error>{std::move(eal.error())};
    std::unique_ptr<Dataplane> dataplane{new Dataplane};
    dataplane->state_ = std::make_unique<State>(config, std::move(*layout), **eal);
    State& state = *dataplane->state_;
    state.notes = state.eal.notes;
    state.notes.insert(state.notes.end(), state.layout.notes.begin(), state.layout.notes.end());
    if (auto started = state.start_workers(); !started)
        return tl::unexpected<Error>{std::move(started.error())};
    return dataplane;
}

std::size_t Dataplane::workers() const noexcept {
    return state_->workers.size();
}

const std::vector<std::string>& Dataplane::notes() const noexcept {
    return state_->notes;
}

void Dataplane::attach(Tables& tables) {
    check(state_->tables == nullptr && state_->shared.world.load() == nullptr);
    state_->tables = &tables;
    for (std::size_t i = 0; i < state_->workers.size(); ++i)
        state_->workers[i]->attach(tables.worker_counters(i));
}

void Dataplane::publish(const World& world) {
    State& state = *state_;
    check(state.tables != nullptr);
    state.shared.world.store(&world, std::memory_order_seq_cst);
    for (auto& free : state.unpublished)
        state.grace.retire(std::move(free));
    state.unpublished.clear();
    if (state.stopped)
        return;
    state.monitor->expect_generation(world.generation);
    state.monitor->expect_token(state.grace.oldest_token());
}

bool Dataplane::passed(Generation generation, std::vector<WorkerId>* laggards) const {
    bool all = true;
    for (std::size_t i = 0; i < state_->workers.size(); ++i) {
        const Worker& worker = *state_->workers[i];
        if (worker.asleep() || worker.generation() >= generation)
            continue;
        all = false;
        if (laggards != nullptr)
            laggards->push_back(WorkerId{static_cast<std::uint16_t>(i)});
    }
    return all;
}

void Dataplane::retire(std::function<void()> free) {
    if (state_->releasing || state_->stopped)
        state_->grace.retire(std::move(free));
    else
        state_->unpublished.push_back(std::move(free));
}

void Dataplane::open_port(PortId port, const PortDevice& device) {
    check(!state_->stopped);
    std::string name = "#" + std::to_string(index(port));
    if (state_->tables != nullptr)
        if (const auto known = state_->tables->port_name(port); !known.empty())
            name = known;
    state_->ports->open(port, std::move(name), device);
}

void Dataplane::close_port(PortId port) {
    if (state_->stopped)
        return;
    state_->ports->close(port);
    state_->monitor->expect_token(state_->grace.oldest_token());
}

void Dataplane::set_hold(PortId port, bool hold) {
    if (!state_->stopped)
        state_->ports->set_hold(port, hold);
}

Result<void> Dataplane::release(PortId port, std::uint64_t packets) {
    return state_->ports->release(port, packets);
}

/// Gives the command to the worker, or answers that it could not be given.
std::uint64_t Dataplane::State::command(Command command, OpenCommand open) {
    const std::uint64_t ticket = ++tickets;
    command.ticket = ticket;
    const std::size_t worker = ports->worker_of(command.ingress);
    open.worker = worker;
    const bool is_trace = command.kind == Command::Kind::trace;
    const bool given = !stopped && (is_trace || command.packet != nullptr) &&
                       open_count[worker] < commands_open_max && workers[worker]->commands().push(command);
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
            report.port, report.table, report.spec, report.key, bytes_of(report.packet, bytes_max),
            report.packet_bytes
        };
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
    const bool more = !state.ready.empty() ||
                      std::any_of(state.reports.begin(), state.reports.end(), [](const ReportQueue* of) {
                          return !of->empty();
                      });
    if (more)
        state.inbox.wake();
}

int Dataplane::event_fd() const noexcept {
    return state_->inbox.fd();
}

std::uint64_t Dataplane::now_ms() const noexcept {
    return state_->shared.clock.now();
}

void Dataplane::advance_clock(std::uint64_t ms) {
    state_->shared.clock.advance(ms);
}

WorkerStats Dataplane::worker_stats(std::size_t index_of) const {
    const State& state = *state_;
    const Worker& worker = *state.workers[index_of];
    // The rings' outcomes first: what is handed over meanwhile then counts as held.
    const HandedOutcome outcome = state.ports->outcome_of(index_of);
    const Account account = worker.ledger().read();
    WorkerStats stats;
    stats.core = worker.core();
    stats.received = account.received;
    stats.made = account.made;
    stats.sent = account.sent + outcome.sent;
    stats.taken = account.taken;
    stats.dropped = account.dropped;
    stats.dropped[static_cast<std::size_t>(Drop::queue_full)] += outcome.queue_full;
    stats.dropped[static_cast<std::size_t>(Drop::port_closed)] += outcome.closed;
    stats.held = account.handed - outcome.sent - outcome.queue_full - outcome.closed;
    stats.bursts = worker.bursts.read();
    stats.empty_polls = worker.empty_polls.read();
    stats.sleeps = worker.sleeps.read();
    stats.busy_cycles = worker.busy_cycles.read();
    stats.total_cycles =
        (state.stopped ? state.stopped_tsc : rte_rdtsc()) - state.shared.clock.start_tsc();
    stats.generation = worker.generation();
    stats.stalled = !state.stopped && state.monitor->is_stalled(index_of);
    return stats;
}

PortStats Dataplane::port_stats(PortId port) const {
    return state_->ports->stats(port);
}

std::optional<PortInfo> Dataplane::port_info(PortId port) const {
    return state_->ports->info(port);
}

/// True when every worker made two turns since anything moved: whatever one of them put into a ring or a loop was seen by the other.
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
    const bool told = state.ready.empty() && state.open_commands.empty() &&
                      std::all_of(state.reports.begin(), state.reports.end(), [](const ReportQueue* of) {
                          return of->empty();
                      });
    if (!told || !state.ports->inputs_done()) {
        state.quiet_received.clear();
        return false;
    }
    return state.is_quiet();
}

void Dataplane::State::stop() {
    if (stopped)
        return;
    shared.stop.store(true, std::memory_order_seq_cst);
    for (const auto& worker : workers)
        worker->join();
    stopped = true;
    stopped_tsc = rte_rdtsc();
    Report report;
    for (const auto& worker : workers)
        while (worker->reports().pop(report))
            if (report.kind == Report::Kind::punt)
                rte_pktmbuf_free(report.packet);
    open_commands.clear();
    if (ports != nullptr)
        ports->close_all();
    for (auto& free : unpublished)
        grace.retire(std::move(free));
    unpublished.clear();
    grace.release_all();
    ready.clear();
}

void Dataplane::stop() {
    state_->stop();
}

} // namespace weft
