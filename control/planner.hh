// Keeps tables in the shape that their rules ask for, while commits go on.
#pragma once

#include "pipeline/tables.hh"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

namespace weft {

/// Plans (tens of milliseconds each) are made on a thread of its own, one at a time and with
/// little claim to its core; rules move on the caller's, in slices. While generations follow each
/// other a new plan waits for a pause: a large load would be planned anew at every half as much
/// again, and each of these plans takes its time from the load. Wildcards of names are compiled in
/// the same way. Everything but that thread belongs to the thread that calls it.
class Planner {
public:
    explicit Planner(Tables& tables);
    ~Planner();
    Planner(const Planner&) = delete;
    Planner& operator=(const Planner&) = delete;

    /// One slice, some tens of microseconds. Returns in how many milliseconds there is more to do
    /// (0: at once); nothing where all is done.
    std::optional<std::uint64_t> step();

    /// Steps that a plan waits at most.
    static constexpr unsigned put_off_max = 4'096;

private:
    using Job = std::variant<PlanJob, Tables::NamesJob>;
    using Made = std::variant<TuplePlan, std::shared_ptr<const CompiledWildcards>>;

    void run();
    static Made make(const Job& job);

    bool is_pause(bool same);
    std::optional<Job> next();

    Tables& tables_;
    bool busy_ = false;        // a plan is being made, or wildcards compiled
    Generation last_seen_ = 0; // by step()
    unsigned put_off_ = 0;     // steps in a row that found a newer one
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stop_ = false;        // these three under mutex_
    std::optional<Job> job_;   // taken by the thread
    std::optional<Made> made_; // given by it
    TableId made_for_{};
    std::thread thread_;
};

} // namespace weft
