// The control socket: listens, accepts, and keeps one session per connection.
#pragma once

#include "base/result.hh"
#include "control/service.hh"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace boost::asio {
class io_context;
}

namespace weft {

struct ServerConfig {
    std::string path = "/run/weft/control.sock";
    std::string read_only_path; // empty: `path` + ".ro"
    unsigned mode = 0660;       // of both sockets
    std::size_t sessions_max =
        256; // of both together; a connection above that gets an error and a close
    std::size_t reply_bytes_max = std::size_t{64}
                                  << 20; // unsent, of one session; then it is closed
    std::size_t event_bytes_max =
        std::size_t{4} << 20; // unsent, of one session; then events are lost and a gap is announced
    std::size_t owed_max = 4'096; // deferred replies of one session; then its requests wait
    std::size_t helper_frame_bytes = std::size_t{256}
                                     << 10; // larger frames are decoded on a helper thread
    std::function<std::uint64_t()> now_ms;  // the switch's clock, for gap events; none: 0
    std::function<void(std::string_view)>
        note; // one line for the log: a client was cut off, accepting failed
};

struct ServerStats {
    std::uint64_t sessions = 0; // open now
    std::uint64_t accepted = 0;
    std::uint64_t turned_away = 0; // above sessions_max
    std::uint64_t cut_off = 0;     // did not read their replies
    std::uint64_t broken = 0;      // sent what could not be framed or is not JSON
    std::uint64_t requests = 0;
    std::uint64_t refused = 0; // did not decode, or not allowed on the read-only socket
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t events_lost = 0; // announced by gaps
};

/// Owned and used by the thread that runs `loop`; the service is called there. Requests of all
/// sessions take turns, a few dozen each.
class Server {
public:
    /// Listens on both sockets. A socket file that nobody answers is replaced. Fails with one
    /// sentence: "busy" where another process answers, else the path and what the system says.
    /// `loop` and `service` outlive the server.
    static Result<std::unique_ptr<Server>>
    open(boost::asio::io_context& loop, Service& service, ServerConfig config);
    /// Closes every session (the service hears of each) and removes the socket files. Not from
    /// inside a call to the service.
    ~Server();

    ServerStats stats() const noexcept;

private:
    struct State;
    explicit Server(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace weft
