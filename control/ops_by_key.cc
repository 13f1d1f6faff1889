#include "control/ops_by_key.hh"

#include <bit>

namespace weft {

namespace {

bool same_key(const CanonicalRow& a, const CanonicalRow& b) {
    return a.hash == b.hash && a.relation == b.relation && a.key() == b.key();
}

} // namespace

OpsByKey::OpsByKey(std::span<const PreparedOp> ops)
    : ops_{ops},
      next_(ops.size(), none),
      heads_(std::bit_ceil(ops.size() * 2 + 1), none),
      first_of_key_(ops.size(), false) {
    std::vector<std::uint32_t> tails(ops.size(), none);
    const std::size_t mask = heads_.size() - 1;
    for (std::uint32_t i = 0; i < ops.size(); ++i) {
        const CanonicalRow& row = ops[i].row;
        std::size_t at = row.hash & mask;
        while (heads_[at] != none && !same_key(ops[heads_[at]].row, row))
            at = (at + 1) & mask;
        const std::uint32_t head = heads_[at];
        if (head == none) {
            heads_[at] = i;
            first_of_key_[i] = true;
        } else {
            next_[tails[head]] = i;
        }
        tails[head == none ? i : head] = i;
    }
}

bool OpsByKey::names(const Row& row) const {
    const std::size_t mask = heads_.size() - 1;
    for (std::size_t at = row.hash & mask; heads_[at] != none; at = (at + 1) & mask) {
        const CanonicalRow& other = ops_[heads_[at]].row;
        if (other.hash == row.hash && other.relation == row.relation && other.key() == row.key())
            return true;
    }
    return false;
}

} // namespace weft
