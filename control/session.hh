// Order: replies leave as the requests came, whatever order they are given in; events go between
// them.
#pragma once

#include "control/service.hh"

#include <deque>
#include <string>
#include <vector>

namespace weft {

/// A session without a transport: keeps the slots of requests that are not yet answered, hands
/// encoded bytes to deliver().
class OrderedSession : public Session {
public:
    /// A request is about to be handled: the next send() or defer() is its.
    void begin_request();
    /// The request was handled. A service that neither answered nor deferred is a bug.
    void end_request();
    /// Requests whose replies are still owed or wait for an earlier one.
    std::size_t owed() const noexcept { return slots_.size(); }
    /// Bytes of replies that wait for an earlier one.
    std::size_t waiting_bytes() const noexcept { return waiting_bytes_; }

    void send(const control::Reply& reply) override;
    Ticket defer() override;
    void send(Ticket ticket, const control::Reply& reply) override;
    void event(const control::Reply& reply) override;

protected:
    using Session::Session;
    virtual void deliver(std::string frame) = 0;
    /// `seq`: of the event in the frame.
    virtual void deliver_event(std::string frame, std::uint64_t seq) = 0;

private:
    struct Slot {
        bool answered = false;
        std::string frame;
    };
    void answer(std::uint64_t place, const control::Reply& reply);

    std::deque<Slot> slots_; // of requests first_, first_ + 1, ...
    std::uint64_t first_ = 0;
    std::size_t waiting_bytes_ = 0;
    bool in_request_ =
        false; // the last slot belongs to the request being handled, which has not been answered
};

/// A session inside the process, for --init and tests: replies and events are collected.
class LocalSession final : public OrderedSession {
public:
    explicit LocalSession(std::uint64_t number)
        : OrderedSession{Peer{.number = number, .encoding = Encoding::binary}} {}

    /// Decodes and handles one JSON line (or refuses it); the reply is in take() at once or later.
    void line(Service& service, std::string_view line);
    void request(Service& service, control::Request& request);
    void refuse(Service& service, const control::Nak& nak);
    /// What has come since the last call, in order.
    std::vector<control::Reply> take() { return std::exchange(replies_, {}); }

private:
    void deliver(std::string frame) override { keep(frame); }
    void deliver_event(std::string frame, std::uint64_t) override { keep(frame); }
    void keep(std::string_view frame);

    std::vector<control::Reply> replies_;
};

} // namespace weft
