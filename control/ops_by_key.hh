// The ops of a transaction that name one key, in their order.
//
// Layout: heads_ is an open-addressed table over the hashes of the keys, at most half full; an
// entry is the first op of a key, next_ leads from each op to the next one of its key.
#pragma once

#include "control/prepared_op.hh"

#include <cstdint>
#include <span>
#include <vector>

namespace weft {

/// Made of the ops of one transaction, which must stay where they are. Costs one probe an op.
class OpsByKey {
public:
    static constexpr std::uint32_t none = 0xffff'ffff;

    explicit OpsByKey(std::span<const PreparedOp> ops);

    /// Whether no op before this one names its key.
    bool is_first(std::uint32_t op) const noexcept { return first_of_key_[op]; }
    /// The next op that names the key of `op`, or none.
    std::uint32_t next(std::uint32_t op) const noexcept { return next_[op]; }
    /// Whether some op names the key of `row`.
    bool names(const Row& row) const;

private:
    std::span<const PreparedOp> ops_;
    std::vector<std::uint32_t> next_;
    std::vector<std::uint32_t> heads_;
    std::vector<bool> first_of_key_;
};

} // namespace weft
