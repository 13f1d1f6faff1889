#include "control/planner.hh"

#include <pthread.h>
#include <utility>

namespace weft {

namespace {

constexpr std::size_t slice_buckets = 256;
constexpr std::uint64_t wait_ms = 2; // while a plan is made or a grace period passes
constexpr std::uint64_t plan_seed = 1;

} // namespace

Planner::Planner(Tables& tables) : tables_{tables}, thread_{[this] { run(); }} {}

Planner::~Planner() {
    {
        const std::lock_guard lock{mutex_};
        stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Planner::run() {
    pthread_setname_np(pthread_self(), "planner");
    std::unique_lock lock{mutex_};
    while (true) {
        changed_.wait(lock, [this] { return stop_ || job_; });
        if (stop_)
            return;
        const PlanJob job = *std::exchange(job_, std::nullopt);
        lock.unlock();
        TuplePlan plan = plan_tuples(job.sample, plan_seed);
        lock.lock();
        plan_ = std::move(plan);
    }
}

std::optional<std::uint64_t> Planner::step() {
    if (busy_) {
        std::optional<TuplePlan> made;
        {
            const std::lock_guard lock{mutex_};
            made = std::exchange(plan_, std::nullopt);
        }
        if (made) {
            tables_.adopt(planned_, *made);
            busy_ = false;
        }
    }
    if (!busy_)
        if (auto job = tables_.next_plan()) {
            planned_ = job->table;
            busy_ = true;
            {
                const std::lock_guard lock{mutex_};
                job_ = std::move(job);
            }
            changed_.notify_one();
        }
    const Tables::Tidied tidied = tables_.tidy(slice_buckets);
    if (tidied == Tables::Tidied::more)
        return 0;
    if (busy_ || tidied == Tables::Tidied::waits)
        return wait_ms;
    return std::nullopt;
}

} // namespace weft
