#include "dataplane/dataplane.hh"

#include "base/check.hh"
#include "dataplane/dataplane_state.hh"
#include "dataplane/pool.hh"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <latch>
#include <utility>

namespace weft {

namespace {

QsbrMemory make_qsbr(std::size_t workers) {
    const auto threads = static_cast<std::uint32_t>(workers);
    const std::size_t bytes =
        (rte_rcu_qsbr_get_memsize(threads) + cache_line - 1) / cache_line * cache_line;
    QsbrMemory qsbr{static_cast<rte_rcu_qsbr*>(std::aligned_alloc(cache_line, bytes))};
    check(qsbr != nullptr && rte_rcu_qsbr_init(qsbr.get(), threads) == 0);
    return qsbr;
}

} // namespace

Dataplane::State::State(const DataplaneConfig& of, CoreLayout on, Eal& with)
    : config{of},
      layout{std::move(on)},
      eal{with},
      qsbr{make_qsbr(layout.workers.size())},
      shared{of.manual_clock, layout.workers.size()},
      grace{qsbr.get()} {
    shared.qsbr = qsbr.get();
}

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
        auto pool =
            make_pool({config.worker_buffers + caches, buffer_bytes_default}, SOCKET_ID_ANY);
        if (!pool)
            return fail(
                pool.error().code, "worker " + std::to_string(i) + ": " + pool.error().what
            );
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
            return fail(
                "too_many_workers", "DPDK has no room for " + std::to_string(count) + " workers"
            );
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
        .tell =
            [this](DataplaneEvent event) {
                ready.push_back(std::move(event));
                inbox.wake();
            },
    });
    return {};
}

Dataplane::Dataplane() = default;
Dataplane::~Dataplane() = default;

Result<std::unique_ptr<Dataplane>> Dataplane::start(const DataplaneConfig& config) {
    // The first start narrows the caller's affinity to the control cores; what it had before is
    // what workers choose from.
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
        state_->workers[i]->attach(tables.worker_counters(i), i);
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
    if (all || state_->stopped)
        return all;
    // Workers mostly pass while control finishes its turn, and to wake the monitor takes the core
    // from it: only who asks again waits.
    const Generation newest = state_->shared.world.load()->generation;
    if (std::exchange(state_->asked_before, newest) != newest)
        return false;
    if (std::exchange(state_->waited_for, newest) != newest && state_->pass_soon(generation)) {
        if (laggards != nullptr)
            laggards->clear();
        return true;
    }
    state_->monitor->expect_generation(newest);
    return false;
}

/// A worker passes after each burst, within a few microseconds. To be told so costs two changes of
/// thread on control's core and the rest of the monitor's turn.
bool Dataplane::State::pass_soon(Generation generation) const noexcept {
    constexpr std::uint64_t soon_us = 20;
    const std::uint64_t begun = rte_rdtsc(), soon = soon_us * shared.clock.tsc_per_ms() / 1'000;
    const auto is_there = [&](const std::unique_ptr<Worker>& worker) {
        return worker->asleep() || worker->generation() >= generation;
    };
    while (!std::all_of(workers.begin(), workers.end(), is_there)) {
        if (rte_rdtsc() - begun > soon)
            return false;
        rte_pause();
    }
    return true;
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
