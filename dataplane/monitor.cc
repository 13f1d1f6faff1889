#include "dataplane/monitor.hh"

#include "dataplane/device.hh"
#include "dataplane/grace.hh"
#include "dataplane/helper.hh"

#include <rte_cycles.h>

#include <algorithm>
#include <chrono>
#include <pthread.h>
#include <sys/prctl.h>
#include <utility>

namespace weft {

namespace {

using namespace std::chrono_literals;

constexpr auto turn = 1ms;              // reports of workers are seen this late at most
constexpr auto hurried_turn = 50us;     // while control waits for workers to pass
constexpr auto long_turn = 10ms;        // while control looks at the reports itself
constexpr std::uint64_t looks_many = 8; // in one turn, of either kind
constexpr std::uint64_t links_every_ms = 50;
constexpr std::uint64_t stalled_after_ms = 100;

} // namespace

Monitor::Monitor(Inbox& inbox, std::vector<std::unique_ptr<Worker>>& workers, WorkersShared& shared)
    : inbox_{inbox},
      workers_{workers},
      shared_{shared},
      stalled_{std::make_unique<std::atomic<bool>[]>(workers.size())},
      pulses_(workers.size()),
      thread_{[this] { loop(); }} {}

Monitor::~Monitor() {
    {
        const std::lock_guard lock{mutex_};
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Monitor::watch(Port& port) {
    const std::lock_guard lock{ports_mutex_};
    ports_.push_back(&port);
}

void Monitor::unwatch(Port& port) {
    const std::lock_guard lock{ports_mutex_};
    std::erase(ports_, &port);
}

void Monitor::expect_generation(Generation generation) {
    if (expected_generation_.exchange(generation, std::memory_order_acq_rel) != generation)
        hurry();
}

void Monitor::hurry() {
    {
        const std::lock_guard lock{mutex_};
        hurry_ = true;
    }
    changed_.notify_all();
}

void Monitor::loop() {
    block_process_signals();
    pthread_setname_np(pthread_self(), "monitor");
    prctl(PR_SET_TIMERSLACK, 1'000ul);
    const std::uint64_t tsc_per_ms = shared_.clock.tsc_per_ms();
    std::uint64_t links_at = rte_rdtsc();
    std::unique_lock lock{mutex_};
    while (!stop_) {
        lock.unlock();
        const bool waiting = look_for_control();
        look_at_workers();
        if (rte_rdtsc() - links_at >= links_every_ms * tsc_per_ms ||
            link_signal_.exchange(false, std::memory_order_relaxed)) {
            links_at = rte_rdtsc();
            look_at_links();
        }
        lock.lock();
        if (stop_)
            break;
        // hurry_ cuts the long turn short once; after that the turns are short as long as something
        // is waited for.
        if (waiting)
            changed_.wait_for(lock, hurried_turn, [this] { return stop_; });
        else
            changed_.wait_for(lock, control_looks_itself() ? long_turn : turn, [this] {
                return stop_ || hurry_;
            });
        hurry_ = false;
    }
}

/// A hundred turns a second instead of a thousand, and the changes that control makes meanwhile are
/// that much less often interrupted. A report that comes when it has just fallen silent waits for
/// the end of the long turn.
bool Monitor::control_looks_itself() noexcept {
    const std::uint64_t looks = looks_.load(std::memory_order_relaxed);
    return looks - std::exchange(seen_looks_, looks) >= looks_many;
}

/// True while control still waits for workers.
bool Monitor::look_for_control() {
    const Generation generation = expected_generation_.load(std::memory_order_acquire);
    const std::uint64_t token = expected_token_.load(std::memory_order_acquire);
    bool wake = false;
    bool waiting = false;
    if (generation != 0) {
        const bool there = std::all_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
            return worker->asleep() || worker->generation() >= generation;
        });
        Generation expected = generation;
        if (!there)
            waiting = true;
        else if (expected_generation_.compare_exchange_strong(expected, 0))
            wake = true;
    }
    // While control is busy it frees memory by itself, and the token is another one each turn.
    if (std::exchange(seen_token_, token) == token && token != 0) {
        std::uint64_t expected = token;
        if (!has_passed(shared_.qsbr, token))
            waiting = true;
        else if (expected_token_.compare_exchange_strong(expected, 0))
            wake = true;
    }
    for (const auto& worker : workers_)
        wake = wake || !worker->reports().empty();
    if (wake)
        inbox_.wake();
    return waiting;
}

void Monitor::look_at_links() {
    const std::lock_guard lock{ports_mutex_};
    for (Port* const port : ports_)
        if (sample_device(*port))
            inbox_.post(LinkChanged{port->id});
}

void Monitor::look_at_workers() {
    if (shared_.stop.load(std::memory_order_relaxed))
        return;
    const std::uint64_t now = rte_rdtsc();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        const std::uint64_t passes = workers_[i]->passes();
        if (passes != pulses_[i].passes || workers_[i]->asleep() || pulses_[i].tsc == 0) {
            pulses_[i] = {passes, now};
            stalled_[i].store(false, std::memory_order_relaxed);
            continue;
        }
        const std::uint64_t ms = (now - pulses_[i].tsc) / shared_.clock.tsc_per_ms();
        if (ms >= stalled_after_ms && !stalled_[i].exchange(true, std::memory_order_relaxed))
            inbox_.post(Stall{WorkerId{static_cast<std::uint16_t>(i)}, ms});
    }
}

} // namespace weft
