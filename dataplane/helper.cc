#include "dataplane/helper.hh"

#include <csignal>
#include <pthread.h>
#include <utility>

namespace weft {

// Not all signals: net_tap wants one of the real-time ones delivered to some thread.
void block_process_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE})
        sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Helper::Helper() : thread_{[this] { loop(); }} {}

Helper::~Helper() {
    {
        const std::lock_guard lock{mutex_};
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Helper::run(std::function<void()> job) {
    {
        const std::lock_guard lock{mutex_};
        jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
}

void Helper::finish() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
}

void Helper::loop() {
    block_process_signals();
    pthread_setname_np(pthread_self(), "devices");
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
        if (jobs_.empty())
            return;
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        busy_ = true;
        lock.unlock();
        job();
        job = nullptr;
        lock.lock();
        busy_ = false;
        changed_.notify_all();
    }
}

} // namespace weft
