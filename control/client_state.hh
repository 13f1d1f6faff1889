// What the engine keeps of one session.
#pragma once

#include "control/switch.hh"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// A transaction that is being put together, part by part and slice by slice.
struct Switch::Parts {
    std::string id;
    bool strict = false;
    std::string scope;
    std::optional<control::Replace> replace;
    std::optional<control::Sweep> sweep;
    std::uint64_t fence = 0;
    bool ephemeral = false;
    std::vector<PreparedOp> ops;
    std::uint32_t op_count = 0; // of all parts so far, those that were refused among them
    std::size_t bytes = 0;
    std::size_t terms = 0;      // of all matches
    std::uint64_t content = 0;  // hash of all that was asked
    std::optional<Fault> fault; // the first; judged at the last part
    // the part being prepared
    control::Transaction* part = nullptr;
    control::Transaction kept_part; // where it is not done within the request that brought it
    int at = 0;                     // its next op
    std::optional<Ticket> ticket;   // of its request, where it was put off
};

struct Switch::Client {
    Session* session = nullptr;
    std::uint64_t owner_epoch = 0;
    std::uint32_t grace_ms = 0;             // of its ephemeral rows; 0: the switch's
    std::optional<OwnerId> owner;           // pinned
    std::optional<OwnerId> ephemeral_owner; // the same life's, pinned
    std::shared_ptr<AcceptedIds> ids;
    std::unique_ptr<Parts> parts;
    bool preparing = false; // poll() goes on with parts->part
    struct Waiting {
        Ticket ticket{};
        control::Request request;
    };
    std::deque<Waiting> waiting; // behind it
};

} // namespace weft
