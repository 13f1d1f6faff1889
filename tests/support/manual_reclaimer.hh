// A Reclaimer whose grace periods end when the test says so.
#pragma once

#include "base/reclaim.hh"

#include <functional>
#include <utility>
#include <vector>

namespace weft::test {

class ManualReclaimer final : public Reclaimer {
public:
    ~ManualReclaimer() override { run_all(); }
    void retire(std::function<void()> free) override { waiting_.push_back(std::move(free)); }
    /// One grace period: runs what was retired until now; what that retires waits for the next.
    void run() {
        for (const auto& free : std::exchange(waiting_, {}))
            free();
    }
    void run_all() {
        while (!waiting_.empty())
            run();
    }
    std::size_t waiting() const noexcept { return waiting_.size(); }

private:
    std::vector<std::function<void()>> waiting_;
};

} // namespace weft::test
