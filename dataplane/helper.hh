// A thread for what takes time: opening and closing devices, one after the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace weft {

class Helper {
public:
    Helper();
    /// Does what is left first.
    ~Helper();
    Helper(const Helper&) = delete;
    Helper& operator=(const Helper&) = delete;

    void run(std::function<void()> job);
    /// Waits until nothing is left to do.
    void finish();

private:
    void loop();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool busy_ = false;
    bool stop_ = false;
    std::thread thread_;
};

/// Leaves the process's signals to the control thread. At the start of every helper thread.
void block_process_signals();

} // namespace weft
