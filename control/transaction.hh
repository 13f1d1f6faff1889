// A change as a value: what a client's ops come to against the rows that stand. One engine for
// every relation.
#pragma once

#include "control/prepared_op.hh"
#include "control/rows/store.hh"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// "Make the rows of this scope or owner be exactly those": empty strings are not asked for.
struct ReplaceOf {
    std::string scope;
    std::optional<OwnerId> owner;
    std::array<bool, relation_count> relations{};
};

/// "Take away what this owner asserted in lives before `epoch`", or in ephemeral ones.
struct SweepOf {
    std::string owner;
    std::uint64_t epoch = 0;
    bool ephemeral = false;
    std::string scope; // empty: every scope
    std::array<bool, relation_count> relations{};
};

struct TransactionInput {
    OwnerId owner{}; // in whose name the ops are
    std::optional<ReplaceOf> replace;
    std::optional<SweepOf> sweep;
    std::vector<PreparedOp> ops;
};

/// What happens to one row.
struct RowChange {
    enum class Kind : std::uint8_t {
        add,     // `op` comes
        remove,  // `before` leaves
        replace, // both: the same key
        hold,    // `before` stays; its holders, scope or version change
    };
    Kind kind{};
    Row* before = nullptr;
    PreparedOp* op =
        nullptr; // add, replace; hold: the op that asserts, nullptr where one withdraws
    std::vector<OwnerId>
        owners; // hold: afterwards, sorted. A row that comes has one: NetChange::owner
    std::uint64_t version =
        0; // remove: of the op; what it leaves behind is the greater of this and the row's
};

struct NetChange {
    OwnerId owner{}; // in whose name rows come
    std::vector<RowChange>
        changes;             // each key at most once, in the order of the ops that name them first
    std::uint32_t added = 0; // distinct rows
    std::uint32_t removed = 0;
    std::uint32_t unchanged = 0;
    std::vector<const PreparedOp*> graves; // deletes by version of what does not stand: they leave
                                           // their version behind
    std::vector<PreparedOp*> asserted; // one op for each row that stands afterwards because of the
                                       // transaction, or also before
};

/// The net change of `input` against the rows that stand, or why it is refused: the fault with the
/// lowest op index. Changes nothing. Cost: one hash probe per op, and for a replace the rows of its
/// scope or owner; nothing depends on the other rows.
///
/// Weights are summed per distinct row first. Upsert and delete by key count as (-old, +new) and
/// -old of the row that stands. A row whose weights come to more than zero is asserted by the
/// owner, less: withdrawn. Withdrawing what the owner does not hold changes nothing; so does
/// asserting what it holds.
// clang-format off
///   key_conflict   two rows of one key would stand, or a row stands, held by this owner, and
///                  neither leaves nor is it the row that the op names
///   conflict       another owner holds the key with another value, or the same row in another scope
///   stale_version  the version is not newer than that of the row that stands or stood there
///   cas_failed     the row of the key is not at the version that the op asks for, or is (not) there
// clang-format on
Judged<NetChange> consolidate(const RowStore& rows, TransactionInput& input);

} // namespace weft
