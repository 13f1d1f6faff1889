// One connection of the control socket. Internal to the server.
#pragma once

#include "control/schema.hh"
#include "control/server.hh"
#include "control/session.hh"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>
#include <google/protobuf/arena.h>
#include <memory>
#include <string>

namespace weft {

/// What sessions share. Outlives them, except for handlers that are still in the loop when the
/// server is gone: those find the session closed and touch nothing.
struct SessionHost {
    boost::asio::io_context& loop;
    boost::asio::thread_pool& helper;
    Service& service;
    const ServerConfig& config;
    ServerStats& stats;
    google::protobuf::Arena& arena;                   // of the request being handled
    std::function<void(std::uint64_t number)> forget; // drops the server's reference
};

/// Reads, decodes and hands on one request after another; writes what the service answers. At any
/// time either a read, a turn of requests or a decoding on the helper is under way, beside at most
/// one write.
class SocketSession final : public OrderedSession,
                            public std::enable_shared_from_this<SocketSession> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;

    SocketSession(SessionHost& host, Socket socket, Peer peer);

    void start() { read(); }
    /// At once; the service hears of it. Idempotent. Not from inside a call to the service.
    void close();

private:
    void read();
    void on_read(const boost::system::error_code& error, std::size_t bytes);
    void take_turn();
    void take_requests();
    void decode_elsewhere(std::string_view frame);
    void on_decoded(Decoded decoded);
    void on_request(control::Request& request);
    void refuse(const control::Nak& nak);
    /// Says why and ends the connection once that is sent.
    void fail(std::string message);
    /// Ends the connection soon, also from inside a call to the service.
    void cut_off(std::string_view why);
    void drain();
    void end_if_done();

    void deliver(std::string frame) override;
    void deliver_event(std::string frame, std::uint64_t seq) override;
    void append(std::string_view frame);
    void flush();
    void write();
    void on_written(const boost::system::error_code& error);
    void announce_gap();

    SessionHost& host_;
    Socket socket_;
    Framer framer_;

    // What is to be sent: `writing_` is under way, `filling_` follows.
    std::string filling_;
    std::string writing_;
    std::size_t filling_events_ = 0; // bytes of events in each
    std::size_t writing_events_ = 0;
    std::uint64_t gap_first_ = 0; // events lost since, where gap_open_
    std::uint64_t gap_last_ = 0;
    std::size_t drained_ = 0;

    bool in_turn_ = false; // replies to small requests that came together leave together
    bool write_under_way_ = false;
    bool gap_open_ = false;
    bool connected_ = false;   // the service knows of us
    bool waiting_ = false;     // too many replies are owed: no turn until there are fewer
    bool ended_ = false;       // the peer sends no more
    bool all_handled_ = false; // and every request that it sent was handed on
    bool awaits_hang_up_ = false;
    bool watching_ = false; // asked for events: stays after its end of sending
    bool failed_ = false;   // an error is on its way, then the end
    bool closed_ = false;
};

} // namespace weft
