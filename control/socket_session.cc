#include "control/socket_session.hh"

#include "control/codec_binary.hh"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace weft {

namespace asio = boost::asio;

namespace {

constexpr int turn_requests = 64;                    // then other sessions have theirs
constexpr std::size_t small_frame_bytes = 1024;      // is handled before anybody waits for a reply
constexpr std::size_t together_bytes_max = 64 << 10; // of replies that wait for others
constexpr std::size_t drain_bytes_max =
    64UL << 20; // read and thrown away after an error, so that the peer reads it

bool allowed_read_only(const control::Request& request) noexcept {
    switch (request.request_case()) {
    case control::Request::kHello:
    case control::Request::kGet:
    case control::Request::kStats:
    case control::Request::kDigest:
    case control::Request::kWatch:
    case control::Request::kUnwatch:
    case control::Request::kExplain:
    case control::Request::kTrace:
    case control::Request::kPending:
        return true;
    default:
        return false;
    }
}

} // namespace

SocketSession::SocketSession(SessionHost& host, Socket socket, Peer peer)
    : OrderedSession{peer},
      host_{host},
      socket_{std::move(socket)} {}

void SocketSession::close() {
    if (std::exchange(closed_, true))
        return;
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (connected_)
        host_.service.disconnected(*this);
    host_.forget(peer().number);
}

void SocketSession::read() {
    const auto space = framer_.space();
    socket_.async_read_some(
        asio::buffer(space.data(), space.size()),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
            self->on_read(error, bytes);
        }
    );
}

void SocketSession::on_read(const boost::system::error_code& error, std::size_t bytes) {
    if (closed_)
        return;
    if (error && error != asio::error::eof)
        return close();
    host_.stats.bytes_in += bytes;
    framer_.commit(bytes);
    if (error) {
        ended_ = true;
        framer_.finish();
    }
    take_turn();
}

void SocketSession::take_turn() {
    in_turn_ = true;
    take_requests();
    in_turn_ = false;
    flush();
}

void SocketSession::take_requests() {
    for (int left = turn_requests; !closed_ && !failed_; --left) {
        if (owed() >= host_.config.owed_max) {
            waiting_ = true; // deliver() goes on
            return;
        }
        if (left == 0) {
            asio::post(host_.loop, [self = shared_from_this()] { self->take_turn(); });
            return;
        }
        const Frame frame = framer_.next();
        if (const auto* broken = std::get_if<Broken>(&frame)) {
            ++host_.stats.broken;
            return fail(broken->message);
        }
        const auto* bytes = std::get_if<std::string_view>(&frame);
        if (!bytes) {
            all_handled_ = ended_;
            flush();
            return ended_ ? end_if_done() : read();
        }
        if (!connected_) {
            connected_ = true;
            set_encoding(framer_.encoding());
            host_.service.connected(*this);
        }
        if (bytes->size() > host_.config.helper_frame_bytes)
            return decode_elsewhere(*bytes);
        const bool is_small = bytes->size() <= small_frame_bytes;
        on_decoded(decode(peer().encoding, *bytes, &host_.arena));
        host_.arena.Reset();
        if (!is_small)
            flush();
    }
}

/// Nothing else is read or handled until it comes back, so order is kept.
void SocketSession::decode_elsewhere(std::string_view frame) {
    asio::post(
        host_.helper,
        [self = shared_from_this(),
         frame = std::string{frame},
         encoding = peer().encoding,
         &loop = host_.loop]() mutable {
            auto decoded = std::make_unique<Decoded>(decode(encoding, frame));
            frame = {};
            asio::post(loop, [self = std::move(self), decoded = std::move(decoded)] {
                if (self->closed_)
                    return;
                self->on_decoded(std::move(*decoded));
                self->take_turn();
            });
        }
    );
}

void SocketSession::on_decoded(Decoded decoded) {
    if (auto* request = request_of(decoded))
        return on_request(*request);
    if (const auto* nak = std::get_if<control::Nak>(&decoded))
        return refuse(*nak);
    ++host_.stats.broken;
    fail(std::move(*std::get<control::Failure>(decoded).mutable_message()));
}

void SocketSession::on_request(control::Request& request) {
    if (peer().read_only && !allowed_read_only(request))
        return refuse(nak_of(
            id_of(request),
            {.code = "read_only",
             .message =
                 "this socket is read-only: send what changes the switch to the control socket",
             .path = {},
             .op = {}}
        ));
    ++host_.stats.requests;
    if (request.request_case() == control::Request::kWatch)
        watching_ = true;
    else if (request.request_case() == control::Request::kUnwatch)
        watching_ = false;
    begin_request();
    host_.service.handle(*this, request);
    end_request();
}

void SocketSession::refuse(const control::Nak& nak) {
    ++host_.stats.refused;
    begin_request();
    host_.service.refuse(*this, nak);
    end_request();
}

void SocketSession::fail(std::string message) {
    failed_ = true;
    control::Reply reply;
    reply.mutable_error()->set_message(std::move(message));
    append(encode(framer_.encoding(), reply));
}

void SocketSession::cut_off(std::string_view why) {
    if (failed_)
        return;
    failed_ = true;
    ++host_.stats.cut_off;
    if (host_.config.note)
        host_.config.note("client " + label() + " " + std::string{why});
    asio::post(host_.loop, [self = shared_from_this()] { self->close(); });
}

/// A peer that is still sending would get an error from the system instead of reading ours: so its
/// bytes are taken and thrown away for a while.
void SocketSession::drain() {
    if (drained_ == 0) {
        boost::system::error_code ignored;
        socket_.shutdown(Socket::shutdown_send, ignored);
        framer_ = Framer{};
    }
    const auto space = framer_.space(); // the same each time, as nothing is committed
    socket_.async_read_some(
        asio::buffer(space.data(), space.size()),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
            self->drained_ += bytes;
            if (error || self->closed_ || self->drained_ > drain_bytes_max)
                return self->close();
            self->drain();
        }
    );
}

/// The peer sends no more: we go when everything is answered and sent, a watcher when it is gone
/// altogether.
void SocketSession::end_if_done() {
    if (owed() > 0 || write_under_way_)
        return; // on_written() asks again
    if (!watching_)
        return close();
    if (std::exchange(awaits_hang_up_, true))
        return;
    socket_.async_wait(
        Socket::wait_error,
        [self = shared_from_this()](const boost::system::error_code&) { self->close(); }
    );
}

void SocketSession::deliver(std::string frame) {
    append(frame);
    const std::size_t unsent =
        filling_.size() - filling_events_ + writing_.size() - writing_events_ + waiting_bytes();
    if (unsent > host_.config.reply_bytes_max)
        return cut_off("does not read its replies: disconnected");
    if (waiting_ && owed() <= host_.config.owed_max / 2) {
        waiting_ = false;
        asio::post(host_.loop, [self = shared_from_this()] { self->take_turn(); });
    }
}

void SocketSession::deliver_event(std::string frame, std::uint64_t seq) {
    if (closed_ || failed_)
        return;
    if (gap_open_ ||
        filling_events_ + writing_events_ + frame.size() > host_.config.event_bytes_max) {
        if (!std::exchange(gap_open_, true))
            gap_first_ = seq;
        gap_last_ = seq;
        ++host_.stats.events_lost;
        return;
    }
    filling_events_ += frame.size();
    append(frame);
}

void SocketSession::append(std::string_view frame) {
    if (closed_)
        return;
    filling_ += frame;
    if (!in_turn_ || filling_.size() > together_bytes_max)
        flush();
}

void SocketSession::flush() {
    if (!filling_.empty() && !write_under_way_ && !closed_)
        write();
}

void SocketSession::write() {
    write_under_way_ = true;
    writing_.swap(filling_);
    filling_.clear();
    writing_events_ = std::exchange(filling_events_, 0);
    asio::async_write(
        socket_,
        asio::buffer(writing_),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
            self->on_written(error);
        }
    );
}

void SocketSession::on_written(const boost::system::error_code& error) {
    constexpr std::size_t keep_bytes = 1 << 20;
    if (closed_)
        return;
    if (error)
        return close();
    host_.stats.bytes_out += writing_.size();
    if (writing_.capacity() > keep_bytes)
        writing_ = {};
    writing_.clear();
    writing_events_ = 0;
    write_under_way_ = false;
    if (gap_open_ && filling_events_ <= host_.config.event_bytes_max / 2)
        announce_gap();
    if (write_under_way_)
        return;
    if (!filling_.empty())
        return write();
    if (failed_)
        return drain();
    if (all_handled_)
        end_if_done();
}

void SocketSession::announce_gap() {
    gap_open_ = false;
    control::Reply reply;
    auto& event = *reply.mutable_event();
    event.set_seq(gap_last_);
    event.set_time_ms(host_.config.now_ms ? host_.config.now_ms() : 0);
    event.mutable_gap()->set_first(gap_first_);
    event.mutable_gap()->set_last(gap_last_);
    const std::string frame = encode(peer().encoding, reply);
    filling_events_ += frame.size();
    append(frame);
}

} // namespace weft
