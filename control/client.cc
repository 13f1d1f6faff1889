#include "control/client.hh"

#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/system_says.hh"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weft {

namespace {

constexpr std::size_t reply_bytes_max = std::size_t{256} << 20;

tl::unexpected<Error> gone(std::string_view what) {
    return fail("no_connection", "connection to weftd lost: " + std::string{what});
}

void set_id(control::Request& request, const std::string& id) {
    const auto* all = request.GetReflection();
    const auto* kind =
        all->GetOneofFieldDescriptor(request, request.GetDescriptor()->oneof_decl(0));
    check(kind);
    auto* body = all->MutableMessage(&request, kind);
    body->GetReflection()->SetString(body, body->GetDescriptor()->FindFieldByName("id"), id);
}

bool is_event(std::string_view line) {
    return line.starts_with("{\"event\"");
}

} // namespace

Result<Client> Client::connect(const std::string& path, Encoding encoding) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return fail(
            "no_connection",
            "socket path \"" + path + "\" must have 1 to " +
                std::to_string(sizeof(address.sun_path) - 1) + " bytes"
        );
    path.copy(address.sun_path, path.size());
    Client client{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), encoding};
    if (client.fd_ < 0 ||
        ::connect(client.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(
            "no_connection",
            "cannot connect to " + path + ": " + system_says() + " (is weftd running?)"
        );
    ::fcntl(client.fd_, F_SETFL, O_NONBLOCK);
    if (encoding == Encoding::binary)
        if (auto sent = client.write_all("WEFT"); !sent)
            return tl::unexpected{sent.error()};
    return client;
}

Client::Client(int fd, Encoding encoding)
    : fd_{fd},
      framer_{std::make_unique<Framer>(reply_bytes_max)} {
    framer_->expect(encoding);
}

Client::Client(Client&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)},
      timeout_{other.timeout_},
      framer_{std::move(other.framer_)},
      events_{std::move(other.events_)},
      next_id_{other.next_id_} {}

Client& Client::operator=(Client&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(timeout_, other.timeout_);
    std::swap(framer_, other.framer_);
    std::swap(events_, other.events_);
    std::swap(next_id_, other.next_id_);
    return *this;
}

Client::~Client() {
    if (fd_ >= 0)
        ::close(fd_);
}

Result<void> Client::wait(short events) {
    pollfd watched{.fd = fd_, .events = events, .revents = 0};
    while (true) {
        const int ready = ::poll(&watched, 1, timeout_ ? static_cast<int>(timeout_->count()) : -1);
        if (ready > 0)
            return {};
        if (ready == 0)
            return fail(
                "timeout",
                "weftd did not answer within " + std::to_string(timeout_->count()) + " ms"
            );
        if (errno != EINTR)
            return gone(system_says());
    }
}

Result<void> Client::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            if (auto ready = wait(POLLOUT); !ready)
                return ready;
        } else if (errno != EINTR) {
            return gone(system_says());
        }
    }
    return {};
}

Result<bool> Client::read_some() {
    const auto space = framer_->space();
    while (true) {
        const auto got = ::recv(fd_, space.data(), space.size(), 0);
        if (got > 0) {
            framer_->commit(static_cast<std::size_t>(got));
            return true;
        }
        if (got == 0) {
            framer_->finish();
            return false;
        }
        if (errno == EAGAIN) {
            if (auto ready = wait(POLLIN); !ready)
                return tl::unexpected{ready.error()};
        } else if (errno != EINTR) {
            return gone(system_says());
        }
    }
}

Result<std::optional<std::string_view>> Client::next_frame() {
    for (bool more = true;;) {
        const Frame frame = framer_->next();
        if (const auto* bytes = std::get_if<std::string_view>(&frame))
            return std::optional{*bytes};
        if (const auto* broken = std::get_if<Broken>(&frame))
            return fail("malformed", "weftd sent no valid reply: " + broken->message);
        if (!more)
            return std::optional<std::string_view>{};
        auto got = read_some();
        if (!got)
            return tl::unexpected{got.error()};
        more = *got;
    }
}

Result<control::Reply> Client::next_reply() {
    const auto frame = next_frame();
    if (!frame)
        return tl::unexpected{frame.error()};
    if (!*frame)
        return gone("weftd closed it");
    control::Reply reply;
    if (!reply.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size())))
        return fail("malformed", "weftd sent a reply that is no protobuf message");
    return reply;
}

Result<control::Reply> Client::request(control::Request request) {
    if (id_of(request).empty())
        set_id(request, "c" + std::to_string(next_id_++));
    if (auto sent = write_all(encode_binary(request)); !sent)
        return tl::unexpected{sent.error()};
    while (true) {
        auto reply = next_reply();
        if (!reply || !reply->has_event())
            return reply;
        events_.push_back(std::move(*reply->mutable_event()));
    }
}

Result<control::Event> Client::next_event() {
    while (events_.empty()) {
        auto reply = next_reply();
        if (!reply)
            return tl::unexpected{reply.error()};
        if (reply->has_event())
            events_.push_back(std::move(*reply->mutable_event()));
        else if (reply->has_error())
            return gone(reply->error().message());
    }
    control::Event event = std::move(events_.front());
    events_.pop_front();
    return event;
}

Result<void> Client::send_line(std::string_view line) {
    return write_all(std::string{line} + '\n');
}

Result<std::optional<std::string>> Client::read_line() {
    const auto line = next_frame();
    if (!line)
        return tl::unexpected{line.error()};
    return *line ? std::optional<std::string>{**line} : std::nullopt;
}

Result<void> Client::exchange(
    const std::function<std::optional<std::string>()>& next_line,
    const std::function<void(std::string_view)>& on_line
) {
    std::string pending; // the line under way
    std::size_t sent = 0;
    std::uint64_t owed = 0;
    for (bool more = true; more || owed > 0;) {
        if (more && sent == pending.size()) {
            auto line = next_line();
            more = line.has_value();
            pending = more ? std::move(*line) + '\n' : std::string{};
            sent = 0;
            owed += more ? 1U : 0U;
            continue;
        }
        if (auto ready = wait(static_cast<short>(more ? POLLIN | POLLOUT : POLLIN)); !ready)
            return ready;
        const auto wrote =
            sent < pending.size()
                ? ::send(fd_, pending.data() + sent, pending.size() - sent, MSG_NOSIGNAL)
                : 0;
        if (wrote > 0)
            sent += static_cast<std::size_t>(wrote);
        const auto space = framer_->space();
        const auto got = ::recv(fd_, space.data(), space.size(), MSG_DONTWAIT);
        if (got > 0)
            framer_->commit(static_cast<std::size_t>(got));
        else if (got < 0 && errno != EAGAIN && errno != EINTR)
            return gone(system_says());
        for (Frame frame = framer_->next(); !std::holds_alternative<NeedMore>(frame);
             frame = framer_->next()) {
            if (const auto* broken = std::get_if<Broken>(&frame))
                return fail("malformed", "weftd sent no valid reply: " + broken->message);
            const std::string_view line = std::get<std::string_view>(frame);
            owed -= is_event(line) || owed == 0 ? 0U : 1U;
            on_line(line);
        }
        if (got == 0 && owed > 0)
            return gone("weftd closed it");
    }
    return {};
}

} // namespace weft
