// Between the control socket's transport (server, sessions, codecs) and the engine that answers
// requests.
#pragma once

#include "control/framing.hh"
#include "control/weft.pb.h"

#include <cstdint>
#include <string>
#include <utility>

namespace weft {

/// A reply that is still owed: the place of one request in its session's order.
enum class Ticket : std::uint64_t {};

/// Who is on the other side. `number` is unique in the life of the process and never reused.
struct Peer {
    std::uint64_t number = 0;
    Encoding encoding = Encoding::json;
    bool read_only = false; // came in on the statistics socket: state-changing requests were
                            // refused before the service
    std::int64_t pid = 0;   // by SO_PEERCRED; 0 where unknown (a local session)
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

/// One connected client, as the service sees it. Valid from Service::connected() until
/// Service::disconnected() returns. Belongs to the control thread: every call is made there, none
/// of them blocks or fails. Each request has exactly one reply, and replies leave in the order of
/// the requests; a reply that is given early waits for the ones before it. Events leave at once.
class Session {
public:
    virtual ~Session() = default;

    const Peer& peer() const noexcept { return peer_; }
    /// The name that the client gave in its hello; empty until then. The service sets it.
    const std::string& client() const noexcept { return client_; }
    void set_client(std::string name) { client_ = std::move(name); }
    /// For audit lines: the name, else "#number".
    std::string label() const {
        return client_.empty() ? "#" + std::to_string(peer_.number) : client_;
    }

    /// Answers the request that Service::handle() or refuse() is being called for. Once per call of
    /// those.
    virtual void send(const control::Reply& reply) = 0;
    /// Takes the place of the request being handled, to be answered later. Instead of send().
    virtual Ticket defer() = 0;
    /// Answers a deferred request. Once per ticket. Never after disconnected(): the service forgets
    /// the session's tickets there.
    virtual void send(Ticket ticket, const control::Reply& reply) = 0;
    /// Sends an event between replies (`reply` holds one, with its seq). Where the client reads too
    /// slowly the event is dropped, and a gap event with the first and last lost seq follows when
    /// the client has caught up.
    virtual void event(const control::Reply& reply) = 0;

protected:
    explicit Session(Peer peer) : peer_{peer} {}
    void set_encoding(Encoding encoding) noexcept { peer_.encoding = encoding; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

private:
    Peer peer_;
    std::string client_;
};

/// What answers. Called by the control thread only; requests of one session come in their order,
/// those of several interleaved.
class Service {
public:
    virtual ~Service() = default;

    virtual void connected(Session& session) = 0;
    /// Last call for this session: forget its tickets, watches and unfinished transactions. Not
    /// called from inside handle().
    virtual void disconnected(Session& session) = 0;
    /// Answers `request`, now by send() or later by defer(). A part of a transaction with `more` is
    /// answered with Done. The request was checked against the schema: every op has exactly one
    /// relation, a known verb and, without a verb, a weight that is not 0. The service may move
    /// parts out of it; what is left dies after the call.
    virtual void handle(Session& session, control::Request& request) = 0;
    /// A request that did not decode, or is not allowed on this socket. The service forgets
    /// unfinished parts of a transaction with nak.id(), then sends the NAK.
    virtual void refuse(Session& session, const control::Nak& nak) = 0;
};

} // namespace weft
