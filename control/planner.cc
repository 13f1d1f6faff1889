#include "control/planner.hh"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace weft {

namespace {

constexpr std::size_t slice_buckets = 256;
constexpr std::size_t slice_between = 64; // generations: the next one waits for it
constexpr std::uint64_t wait_ms = 2;      // while a plan is made or a grace period passes
constexpr std::uint64_t pause_ms = 10;    // without a generation, before a plan is made
constexpr std::uint64_t plan_seed = 1;
constexpr int niceness = 10; // a tenth of a core that others want as well

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
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness); // of this thread
    std::unique_lock lock{mutex_};
    while (true) {
        changed_.wait(lock, [this] { return stop_ || job_; });
        if (stop_)
            return;
        const Job job = *std::exchange(job_, std::nullopt);
        lock.unlock();
        Made made = make(job);
        lock.lock();
        made_ = std::move(made);
    }
}

Planner::Made Planner::make(const Job& job) {
    if (const auto* plan = std::get_if<PlanJob>(&job))
        return plan_tuples(plan->sample, plan_seed);
    return CompiledWildcards::compile(std::get<Tables::NamesJob>(job).wildcards);
}

/// The next thing to be made, if there is one.
std::optional<Planner::Job> Planner::next() {
    if (auto names = tables_.next_names())
        return std::move(*names);
    if (auto plan = tables_.next_plan())
        return std::move(*plan);
    return std::nullopt;
}

/// No generation since the last step (`same`), or too many steps for a plan to wait any longer.
bool Planner::is_pause(bool same) {
    put_off_ = same || put_off_ == put_off_max ? 0 : put_off_ + 1;
    return put_off_ == 0;
}

std::optional<std::uint64_t> Planner::step() {
    if (busy_) {
        std::optional<Made> made;
        {
            const std::lock_guard lock{mutex_};
            made = std::exchange(made_, std::nullopt);
        }
        if (made) {
            if (const auto* plan = std::get_if<TuplePlan>(&*made))
                tables_.adopt(made_for_, *plan);
            else
                tables_.adopt_wildcards(made_for_, std::get<1>(std::move(*made)));
            busy_ = false;
        }
    }
    const Generation now = tables_.generation();
    const bool same = std::exchange(last_seen_, now) == now;
    const bool pause = is_pause(same);
    if (!busy_ && pause)
        if (auto job = next()) {
            made_for_ = std::visit([](const auto& of) { return of.table; }, *job);
            busy_ = true;
            {
                const std::lock_guard lock{mutex_};
                job_ = std::move(job);
            }
            changed_.notify_one();
        }
    // While generations come each brings its slice: whoever makes them may want the core.
    const Tables::Tidied tidied = tables_.tidy(same ? slice_buckets : slice_between);
    if (tidied == Tables::Tidied::more)
        return same ? 0 : wait_ms;
    if (busy_ || tidied == Tables::Tidied::waits)
        return wait_ms;
    if (!pause) // whoever calls again so late has seen no generation meanwhile
        return pause_ms;
    return std::nullopt;
}

} // namespace weft
