// A thread that looks: at links, at workers that do not pass, and at whether control has something
// to do. Workers make no system calls, so nobody else can wake control on their behalf.
#pragma once

#include "dataplane/inbox.hh"
#include "dataplane/pool.hh"
#include "dataplane/port.hh"
#include "dataplane/worker.hh"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace weft {

class Monitor {
public:
    Monitor(Inbox& inbox, std::vector<std::unique_ptr<Worker>>& workers, WorkersShared& shared);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// From the helper thread: the device is looked at until unwatch() has returned.
    void watch(Port& port);
    void unwatch(Port& port);

    /// Control waits for all workers to reach a generation: wakes it as soon as that is so.
    void expect_generation(Generation generation);
    /// Control has memory to free when all workers have passed a token (0: none): wakes it a turn
    /// or two after that, unless it expects another one by then. Every commit leaves some, and
    /// nobody is in a hurry for it.
    void expect_token(std::uint64_t token) noexcept {
        expected_token_.store(token, std::memory_order_release);
    }
    /// Control has looked at everything by itself just now. While it does so all the time the
    /// monitor's turns are long: each takes the core of whatever control is at.
    void control_looked() noexcept {
        looks_.store(looks_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    /// A device that can tell sets it.
    std::atomic<bool>& link_signal() noexcept { return link_signal_; }
    bool is_stalled(std::size_t worker) const noexcept {
        return stalled_[worker].load(std::memory_order_relaxed);
    }

private:
    struct Pulse { // a worker's last sign of life
        std::uint64_t passes = 0;
        std::uint64_t tsc = 0;
    };

    void loop();
    void hurry();
    bool look_for_control();
    bool control_looks_itself() noexcept;
    void look_at_links();
    void look_at_workers();

    Inbox& inbox_;
    std::vector<std::unique_ptr<Worker>>& workers_;
    WorkersShared& shared_;
    std::atomic<bool> link_signal_{false};
    std::unique_ptr<std::atomic<bool>[]> stalled_;
    std::vector<Pulse> pulses_;

    std::atomic<Generation> expected_generation_{0};
    std::atomic<std::uint64_t> expected_token_{0};
    std::atomic<std::uint64_t> looks_{0}; // written by control
    std::uint64_t seen_token_ = 0;        // in the turn before; of the monitor's thread
    std::uint64_t seen_looks_ = 0;        // the same

    std::mutex ports_mutex_; // held while a device is looked at
    std::vector<Port*> ports_;

    std::mutex mutex_;
    std::condition_variable changed_;
    bool hurry_ = false;
    bool stop_ = false;
    std::thread thread_;
};

} // namespace weft
