// One core's loop: polls its queues, takes each burst to completion, tells control what came of it.
#pragma once

#include "base/ids.hh"
#include "dataplane/clock.hh"
#include "dataplane/plan.hh"
#include "dataplane/records.hh"
#include "dataplane/stats.hh"
#include "dataplane/transmit.hh"
#include "pipeline/process.hh"
#include "pipeline/world.hh"

#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <thread>

struct rte_mbuf;
struct rte_mempool;
struct rte_rcu_qsbr;

namespace weft {

/// What all workers read and control writes.
struct WorkersShared {
    explicit WorkersShared(bool manual_clock, std::size_t workers) noexcept
        : clock{manual_clock},
          receiving{workers} {}

    Clock clock; // control advances a manual one
    alignas(cache_line
    ) std::atomic<const World*> world{nullptr}; // the root; null: nothing is processed yet
    rte_rcu_qsbr* qsbr = nullptr;
    std::atomic<bool> stop{false};
    std::atomic<std::size_t> receiving; // workers that may still hand packets over
};

/// Runs from its construction until `shared.stop`. Control owns it and calls everything but run().
class Worker {
public:
    struct Settings {
        WorkerId id{};
        unsigned core = 0;
        rte_mempool* pool = nullptr; // for copies and made packets
        PuntRate punt_rate;
    };
    /// Starts the thread, which counts `ready` down when it stands in the grace periods, or could
    /// not (registered()).
    Worker(const Settings& settings, WorkersShared& shared, std::latch& ready);
    /// The thread has been told to stop; waits for it.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Before the first world is published.
    void attach(WorkerCounters& counters, std::size_t number);
    /// The worker's plan from its next turn on; the old one, which may be freed after a grace
    /// period.
    std::unique_ptr<Plan> exchange_plan(std::unique_ptr<Plan> plan);
    void join();

    bool registered() const noexcept { return registered_.load(std::memory_order_acquire); }
    /// Every burst from now on runs at or past this generation. 0 where nothing was published yet.
    Generation generation() const noexcept { return generation_.load(std::memory_order_seq_cst); }
    /// True while it sleeps: then it reads the root anew before its next burst.
    bool asleep() const noexcept { return asleep_.load(std::memory_order_seq_cst); }
    std::uint64_t passes() const noexcept { return passes_.read(); }

    CommandQueue& commands() noexcept { return commands_; }
    ReportQueue& reports() noexcept { return reports_; }
    const ReportQueue& reports() const noexcept { return reports_; }
    const Ledger& ledger() const noexcept { return ledger_; }

    // Written by the worker, read by anyone.
    Counter bursts, empty_polls, sleeps, busy_cycles, commands_done;
    unsigned core() const noexcept { return settings_.core; }
    rte_mempool* pool() const noexcept { return settings_.pool; }

private:
    struct Seen; // MACs that were reported a moment ago

    void run(std::latch& ready) noexcept;
    void loop() noexcept;
    bool poll(RxQueue& queue, Plan& plan) noexcept;
    std::uint32_t take_in(std::uint32_t count) noexcept;
    std::uint32_t take_in_others(std::uint32_t count) noexcept;
    rte_mbuf* take_in_other(rte_mbuf* buffer, Packet& packet) noexcept;
    bool housekeep(Plan& plan) noexcept;
    void run_packet_out(const Command& command, const World& now, Plan& plan) noexcept;
    void run_trace(const Command& command, const World* now) noexcept;
    void report_learned() noexcept;
    void nap() noexcept;
    void drain() noexcept;

    const Settings settings_;
    WorkersShared& shared_;
    std::atomic<Plan*> plan_;

    // The worker's own from here on.
    alignas(cache_line) std::unique_ptr<Burst> burst_;
    std::optional<PipelineWorker> pipeline_; // made by control before the first world
    std::unique_ptr<Seen> seen_;
    Taken taken_;
    Account account_;
    std::uint64_t last_tsc_ = 0;
    std::uint64_t now_ms_ = 0;
    std::uint32_t idle_turns_ = 0;
    std::uint32_t nap_us_ = 20;
    Ledger ledger_;
    CommandQueue commands_{commands_open_max};
    ReportQueue reports_;
    Transmit transmit_;

    // Read by control, written every turn.
    alignas(cache_line) std::atomic<Generation> generation_{0};
    std::atomic<bool> asleep_{false};
    std::atomic<bool> registered_{false};
    Counter passes_;

    std::thread thread_; // last: it uses everything above
};

} // namespace weft
