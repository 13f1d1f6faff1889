// What helper threads tell the control thread, and the descriptor that wakes it.
#pragma once

#include "base/ids.hh"
#include "base/result.hh"
#include "dataplane/port.hh"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

namespace weft {

struct DeviceOpened {
    PortId port{};
    Result<std::unique_ptr<Port>> result;
};
struct DeviceClosed {
    PortId port{};
};
struct LinkChanged {
    PortId port{};
};
struct Stall {
    WorkerId worker{};
    std::uint64_t ms = 0;
};
using Notice = std::variant<DeviceOpened, DeviceClosed, LinkChanged, Stall>;

/// Any thread posts, control takes.
class Inbox {
public:
    Inbox();
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    void post(Notice notice);
    std::optional<Notice> take();
    /// Makes the descriptor readable: there is something to do.
    void wake() noexcept;
    /// Makes it unreadable until the next wake(). Control, before it looks at what there is.
    void quiet() noexcept;
    int fd() const noexcept { return fd_; }

private:
    int fd_;
    std::atomic<bool> awake_{false};
    std::atomic<bool> any_{false};
    std::mutex mutex_;
    std::deque<Notice> notices_;
};

} // namespace weft
