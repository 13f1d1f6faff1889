// What may be freed when: after every worker has passed between two bursts, and control has read
// all that they reported before.
#pragma once

#include "dataplane/records.hh"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

struct rte_rcu_qsbr;

namespace weft {

/// Of the control thread. What is to be freed moves through three queues, in order:
///
// clang-format off
///   fresh_ --release()--> retired_ --workers passed--> passed_ --their reports are read--> freed
///                         (token, free)                (counts, frees)
// clang-format on
class Grace {
public:
    explicit Grace(rte_rcu_qsbr* qsbr) noexcept : qsbr_{qsbr} {}

    rte_rcu_qsbr* qsbr() const noexcept { return qsbr_; }
    /// `free` runs in some later release() or release_all(), in the order of the calls. Its grace
    /// period begins in the next release(), when the writer has published what it was doing.
    void retire(std::function<void()> free);

    /// Runs what may run. `reports` by worker.
    void release(std::span<const ReportQueue* const> reports);
    /// Runs everything: there are no workers any more.
    void release_all();
    std::size_t waiting() const noexcept {
        return fresh_.size() + retired_.size() + passed_.size();
    }
    /// Of the oldest thing that waits for workers; 0: none does.
    std::uint64_t oldest_token() const noexcept {
        return retired_.empty() ? 0 : retired_.front().token;
    }

private:
    struct Retired {
        std::uint64_t token;
        std::function<void()> free;
    };
    struct Passed {
        std::vector<std::uint64_t> pushed; // reports that must be read first, by worker
        std::vector<std::function<void()>> frees;
    };

    rte_rcu_qsbr* qsbr_;
    std::vector<std::function<void()>> fresh_;
    std::deque<Retired> retired_;
    std::deque<Passed> passed_;
};

/// True when every worker has passed since the token was taken. Any thread.
bool has_passed(rte_rcu_qsbr* qsbr, std::uint64_t token) noexcept;

} // namespace weft
