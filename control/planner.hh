// Keeps tables in the shape that their rules ask for, while commits go on.
#pragma once

#include "pipeline/tables.hh"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

namespace weft {

/// Plans (tens of milliseconds each) are made on a thread of its own, one at a time; rules move on
/// the caller's, in slices. Everything but that thread belongs to the thread that calls it.
class Planner {
public:
    explicit Planner(Tables& tables);
    ~Planner();
    Planner(const Planner&) = delete;
    Planner& operator=(const Planner&) = delete;

    /// One slice, some tens of microseconds. Returns in how many milliseconds there is more to do
    /// (0: at once); nothing where all is done.
    std::optional<std::uint64_t> step();

private:
    void run();

    Tables& tables_;
    bool busy_ = false; // a plan is being made
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stop_ = false;             // these three under mutex_
    std::optional<PlanJob> job_;    // taken by the thread
    std::optional<TuplePlan> plan_; // given by it
    TableId planned_{};
    std::thread thread_;
};

} // namespace weft
