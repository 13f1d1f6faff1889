#include "dataplane/grace.hh"

#include <rte_rcu_qsbr.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include <utility>

namespace weft {

bool has_passed(rte_rcu_qsbr* qsbr, std::uint64_t token) noexcept {
    const bool passed = rte_rcu_qsbr_check(qsbr, token, false) == 1;
#ifdef __SANITIZE_THREAD__
    // Where another thread asked before, DPDK answers from a word that it reads plainly: what that
    // thread has seen of the workers is ours as well.
    if (passed) {
        __tsan_acquire(qsbr);
        __tsan_release(qsbr);
    }
#endif
    return passed;
}

void Grace::retire(std::function<void()> free) {
    fresh_.push_back(std::move(free));
}

void Grace::release(std::span<const ReportQueue* const> reports) {
    if (!fresh_.empty()) { // what was unlinked together with it is published by now
        const std::uint64_t token = rte_rcu_qsbr_start(qsbr_);
        for (auto& free : fresh_)
            retired_.push_back({token, std::move(free)});
        fresh_.clear();
    }
    // Workers that had passed may have reported things that point at what retires; their counts are
    // read after the check.
    std::vector<std::function<void()>> frees;
    while (!retired_.empty() && has_passed(qsbr_, retired_.front().token)) {
        frees.push_back(std::move(retired_.front().free));
        retired_.pop_front();
    }
    if (!frees.empty()) {
        Passed passed{{}, std::move(frees)};
        for (const ReportQueue* of : reports)
            passed.pushed.push_back(of->pushed());
        passed_.push_back(std::move(passed));
    }
    while (!passed_.empty()) {
        for (std::size_t worker = 0; worker < reports.size(); ++worker)
            if (reports[worker]->popped() < passed_.front().pushed[worker])
                return;
        const auto ready = std::move(passed_.front().frees); // one of them may retire something
        passed_.pop_front();
        for (const auto& free : ready)
            free();
    }
}

void Grace::release_all() {
    while (waiting() != 0) {
        std::vector<std::function<void()>> frees;
        if (!passed_.empty()) {
            frees = std::move(passed_.front().frees);
            passed_.pop_front();
        } else if (!retired_.empty()) {
            frees.push_back(std::move(retired_.front().free));
            retired_.pop_front();
        } else {
            frees = std::exchange(fresh_, {});
        }
        for (const auto& free : frees)
            free();
    }
}

} // namespace weft
