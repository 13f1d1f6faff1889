// The client side of the control socket, for weftctl: blocking, one thread.
#pragma once

#include "base/result.hh"
#include "control/framing.hh"
#include "control/weft.pb.h"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// A connection speaks one encoding: binary for request() and next_event(), JSON lines for the
/// lines. Error codes: "no_connection" (nobody listens, or the connection ended), "timeout",
/// "malformed" (the other side does not speak the protocol).
class Client {
public:
    static Result<Client> connect(const std::string& path, Encoding encoding = Encoding::binary);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    /// How long one call waits for the other side; none: without end.
    void set_timeout(std::optional<std::chrono::milliseconds> timeout) noexcept {
        timeout_ = timeout;
    }
    int fd() const noexcept { return fd_; }

    /// Sends `request`, which gets an id where it has none, and waits for its reply, a NAK
    /// included. Events that come before it are kept for next_event().
    Result<control::Reply> request(control::Request request);
    /// The oldest event that was not yet handed out; waits for one.
    Result<control::Event> next_event();

    /// JSON lines, without their newlines. read_line() gives nothing at the end of the connection.
    Result<void> send_line(std::string_view line);
    Result<std::optional<std::string>> read_line();
    /// Sends what `next_line` gives until it gives nothing, reading all the while, hands every line
    /// that comes back to `on_line`, and returns when each line sent has its reply. Any number of
    /// lines: neither side can make the other stand still.
    Result<void> exchange(
        const std::function<std::optional<std::string>()>& next_line,
        const std::function<void(std::string_view)>& on_line
    );

private:
    explicit Client(int fd, Encoding encoding);
    Result<void> wait(short events);
    Result<void> write_all(std::string_view bytes);
    /// Fills the framer by one read; false at the end.
    Result<bool> read_some();
    /// The next frame; nothing at the end.
    Result<std::optional<std::string_view>> next_frame();
    Result<control::Reply> next_reply();

    int fd_ = -1;
    std::optional<std::chrono::milliseconds> timeout_ = std::chrono::seconds{30};
    std::unique_ptr<Framer> framer_; // of what comes back
    std::deque<control::Event> events_;
    std::uint64_t next_id_ = 1;
};

} // namespace weft
