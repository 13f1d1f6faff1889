#include "control/server.hh"

#include "control/codec_json.hh"
#include "control/socket_session.hh"
#include "control/system_says.hh"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weft {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;

namespace {

/// For the requests that are decoded on the control thread, one at a time; larger ones take more
/// for as long as they last.
constexpr std::size_t arena_bytes = std::size_t{256} << 10;

google::protobuf::ArenaOptions arena_options(char* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = arena_bytes;
    options.max_block_size = arena_bytes;
    return options;
}

/// A file descriptor that closes itself.
class Fd {
public:
    explicit Fd(int fd) noexcept : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&&) = delete;
    ~Fd() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return fail(
            "bad_value",
            "socket path \"" + path + "\" has " + std::to_string(path.size()) +
                " bytes: it must have 1 to " + std::to_string(sizeof(address.sun_path) - 1)
        );
    path.copy(address.sun_path, path.size());
    return address;
}

const sockaddr* plain(const sockaddr_un& address) noexcept {
    return reinterpret_cast<const sockaddr*>(&address);
}

/// Two processes that start at once must not both take a stale file for free: whoever holds this
/// goes first. Best effort, as anybody who may read the directory can hold it too.
Fd lock_directory(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    Fd lock{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    for (int tries = 0; lock.get() >= 0 && tries < 100; ++tries) {
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return lock;
}

/// Makes the path free for us, or says why it is not.
Result<void> clear_the_way(const std::string& path, const sockaddr_un& address) {
    struct stat there {};
    if (::lstat(path.c_str(), &there) != 0)
        return {};
    if (!S_ISSOCK(there.st_mode))
        return fail("busy", "socket " + path + ": a file that is no socket is there already");
    const Fd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    // EAGAIN: it listens, and its queue is full.
    if (::connect(probe.get(), plain(address), sizeof address) == 0 || errno == EAGAIN)
        return fail("busy", "socket " + path + " is busy: another process listens there");
    if (errno != ECONNREFUSED)
        return fail(
            "busy", "socket " + path + ": cannot tell whether it is in use: " + system_says()
        );
    if (::unlink(path.c_str()) != 0)
        return fail(
            "bad_value", "socket " + path + ": cannot remove the stale file: " + system_says()
        );
    return {};
}

/// Bound, with its mode, listening: nobody can connect before the mode is set.
Result<Fd> listen_at(const std::string& path, unsigned mode) {
    const auto address = address_of(path);
    if (!address)
        return tl::unexpected{address.error()};
    const Fd lock = lock_directory(path);
    if (auto clear = clear_the_way(path, *address); !clear)
        return tl::unexpected{clear.error()};
    Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (fd.get() < 0 || ::bind(fd.get(), plain(*address), sizeof *address) != 0)
        return fail("bad_value", "socket " + path + ": cannot be made: " + system_says());
    if (::chmod(path.c_str(), mode) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
        return fail("bad_value", "socket " + path + ": cannot listen: " + system_says());
    return fd;
}

Peer peer_of(int fd, std::uint64_t number, bool read_only) {
    ucred who{};
    socklen_t bytes = sizeof who;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) != 0)
        who = {};
    return {
        .number = number,
        .encoding = Encoding::json,
        .read_only = read_only,
        .pid = who.pid,
        .uid = who.uid,
        .gid = who.gid};
}

} // namespace

struct Server::State {
    /// One of the two sockets.
    struct Door {
        Door(State& owner, std::string path, bool is_read_only)
            : state{owner},
              where{std::move(path)},
              read_only{is_read_only},
              acceptor{owner.loop},
              retry{owner.loop} {}

        State& state;
        std::string where;
        bool read_only;
        Protocol::acceptor acceptor;
        asio::steady_timer retry;
        ino_t file = 0; // so that only our own file is removed

        Result<void> open();
        void accept();
        void on_accept(const boost::system::error_code& error, Protocol::socket socket);
        void remove_file() const;
    };

    State(asio::io_context& io, Service& answers, ServerConfig limits)
        : loop{io},
          config{std::move(limits)},
          control{*this, config.path, false},
          read_only{*this, config.read_only_path, true},
          host{loop, helper, answers, config, stats, arena, [this](std::uint64_t number) {
                   sessions.erase(number);
                   stats.sessions = sessions.size();
               }} {}

    asio::io_context& loop;
    ServerConfig config;
    ServerStats stats;
    asio::thread_pool helper{1};
    std::unique_ptr<char[]> arena_block = std::make_unique<char[]>(arena_bytes);
    google::protobuf::Arena arena{arena_options(arena_block.get())};
    Door control;
    Door read_only;
    SessionHost host;
    std::map<std::uint64_t, std::shared_ptr<SocketSession>> sessions;
    std::uint64_t next_number = 16; // smaller ones are for sessions inside the process
    // Handlers of the acceptors may run after the server is gone: they look here first.
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

Result<void> Server::State::Door::open() {
    auto fd = listen_at(where, state.config.mode);
    if (!fd)
        return tl::unexpected{fd.error()};
    struct stat made {};
    if (::lstat(where.c_str(), &made) == 0)
        file = made.st_ino;
    boost::system::error_code error;
    acceptor.assign(Protocol{}, fd->release(), error);
    if (error)
        return fail("bad_value", "socket " + where + ": " + error.message());
    accept();
    return {};
}

void Server::State::Door::accept() {
    acceptor.async_accept([this, alive = state.alive](
                              const boost::system::error_code& error, Protocol::socket socket
                          ) {
        if (*alive)
            on_accept(error, std::move(socket));
    });
}

void Server::State::Door::on_accept(
    const boost::system::error_code& error, Protocol::socket socket
) {
    if (error == asio::error::operation_aborted)
        return;
    if (error) { // out of descriptors, most likely: that passes
        if (state.config.note)
            state.config.note("socket " + where + ": cannot accept: " + error.message());
        retry.expires_after(std::chrono::milliseconds{100});
        retry.async_wait([this, alive = state.alive](const boost::system::error_code& stopped) {
            if (*alive && !stopped)
                accept();
        });
        return;
    }
    if (state.sessions.size() >= state.config.sessions_max) {
        ++state.stats.turned_away;
        control::Reply reply;
        reply.mutable_error()->set_message(
            "too many connections: at most " + std::to_string(state.config.sessions_max) +
            " may be open"
        );
        const std::string line = encode_json(reply);
        static_cast<void>(
            ::send(socket.native_handle(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
        );
    } else {
        ++state.stats.accepted;
        const std::uint64_t number = state.next_number++;
        const Peer peer = peer_of(socket.native_handle(), number, read_only);
        auto session = std::make_shared<SocketSession>(state.host, std::move(socket), peer);
        state.sessions.emplace(number, session);
        state.stats.sessions = state.sessions.size();
        session->start();
    }
    accept();
}

void Server::State::Door::remove_file() const {
    struct stat there {};
    if (file != 0 && ::lstat(where.c_str(), &there) == 0 && there.st_ino == file)
        ::unlink(where.c_str());
}

Server::Server(std::unique_ptr<State> state) : state_{std::move(state)} {}

Result<std::unique_ptr<Server>>
Server::open(asio::io_context& loop, Service& service, ServerConfig config) {
    if (config.read_only_path.empty())
        config.read_only_path = config.path + ".ro";
    std::unique_ptr<Server> server{
        new Server{std::make_unique<State>(loop, service, std::move(config))}};
    for (State::Door* door : {&server->state_->control, &server->state_->read_only})
        if (auto opened = door->open(); !opened)
            return tl::unexpected{opened.error()};
    return server;
}

Server::~Server() {
    State& state = *state_;
    *state.alive = false;
    state.helper.join();
    for (State::Door* door : {&state.control, &state.read_only}) {
        boost::system::error_code ignored;
        door->acceptor.close(ignored);
        door->remove_file();
    }
    while (!state.sessions.empty()) {
        const auto session = state.sessions.begin()->second; // close() drops the map's reference
        session->close();
    }
}

ServerStats Server::stats() const noexcept {
    return state_->stats;
}

} // namespace weft
