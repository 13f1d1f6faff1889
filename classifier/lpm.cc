// The writer's side; lookups are in lpm_lookup.cc, the layout of nodes in lpm_node.hh, a node taken
// apart in lpm_parts.hh.
//
// Invariants: (1) a node has two prefixes, a child or both (one prefix alone is a leaf), and one
// that has nothing but one child is there only because the child's window would not reach up to
// what is verified above it; (2) a node or leaf lies below another node only if its prefix goes on
// from the other's chunk; (3) the bits of a node's prefix that its window does not show are those
// that the nodes above it verify; (4) a slot that hangs on a fresh node only, and no node else, is
// changed in place; what hangs on a committed one is never written; a fresh node hangs on fresh
// nodes; (5) how many children a node has, and had, says whether it is dense (dense_from).
#include "classifier/lpm.hh"

#include "base/check.hh"
#include "classifier/lpm_parts.hh"

#include <algorithm>
#include <utility>

namespace weft {

using namespace lpm;

namespace {

// One change takes a slot for each level of the path, one to branch and a few to bridge long gaps.
constexpr std::size_t slots_of_change = 32;

/// So many bits of an address are known to agree in a child of a node at this level.
constexpr unsigned verified_by(unsigned level) noexcept {
    return bits_through(level);
}
constexpr unsigned verified_by_root = 1;

unsigned common_bits(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<unsigned>(std::countl_zero(a ^ b));
}
unsigned common_bits(U128 a, U128 b) noexcept {
    const U128 all = a ^ b;
    return static_cast<unsigned>(
        all.high != 0 ? std::countl_zero(all.high) : 64 + std::countl_zero(all.low)
    );
}

} // namespace

template <class Address>
Lpm<Address>::Lpm(Reclaimer& reclaimer, std::size_t bytes_max)
    : bytes_max_{std::max(bytes_max, std::size_t{1} << 20)},
      // As much again for erasing, and pages for chunks that are not full.
      arena_{std::make_shared<SlotArena>(2 * bytes_max_ + (std::size_t{8} << 20))},
      reclaimer_{reclaimer} {
    check(2 * bytes_max_ + (std::size_t{10} << 20) <= SlotArena::unit << slot_bits);
}

template <class Address>
Lpm<Address>::~Lpm() = default;

template <class Address>
LpmChange Lpm<Address>::set(LpmRoot& root, Address prefix, unsigned length, std::uint64_t value) {
    check(length <= bits && value != 0);
    if (used_bytes() >= bytes_max_ || arena_->slots_left() < 2 * slots_of_change)
        return LpmChange::no_memory;
    if (length == 0) {
        root.default_value = value;
        return LpmChange::done;
    }
    const Target target{prefix, length, value};
    Handle& top = root.node[target.key.first_bit()];
    top = set_below(top, verified_by_root, target);
    return LpmChange::done;
}

template <class Address>
LpmChange Lpm<Address>::erase(LpmRoot& root, Address prefix, unsigned length) {
    if (find(root, prefix, length) == 0)
        return LpmChange::absent;
    if (length == 0) {
        root.default_value = 0;
        return LpmChange::done;
    }
    if (arena_->slots_left() < slots_of_change)
        return LpmChange::no_memory;
    const Target target{prefix, length, 0};
    Handle& top = root.node[target.key.first_bit()];
    top = erase_below(top, verified_by_root, target);
    return LpmChange::done;
}

template <class Address>
void Lpm<Address>::clear(LpmRoot& root) {
    std::vector<Handle> open{root.node.begin(), root.node.end()};
    while (!open.empty()) {
        const Handle at = open.back();
        open.pop_back();
        if (at == 0)
            continue;
        if (kind_of(at) == Kind::branch || kind_of(at) == Kind::dense) {
            const Parts parts = take_apart(at);
            const Handle* children = parts.children.data();
            open.insert(open.end(), children, children + parts.child_count());
        }
        release(at);
    }
    root = {};
}

template <class Address>
std::uint64_t
Lpm<Address>::find(const LpmRoot& root, Address prefix, unsigned length) const noexcept {
    check(length <= bits);
    if (length == 0)
        return root.default_value;
    const Target target{prefix, length, 0};
    Handle at = root.node[target.key.first_bit()];
    while (kind_of(at) != Kind::leaf) {
        const auto& node = node_at<Address>(*arena_, at);
        const std::uint64_t cut = target.cut(node.level);
        if (node.level > target.level || cut >> 6 != node.window)
            return 0;
        if (node.level == target.level)
            return has(node.internal, target.place)
                       ? node.results()[rank_of(node.internal, target.place)]
                       : 0;
        at = child_of(at, static_cast<unsigned>(cut & 63));
    }
    const auto& leaf = leaf_at<Address>(*arena_, at);
    return leaf.length() == length && leaf.differs(prefix) == 0 ? leaf.value : 0;
}

template <class Address>
void Lpm<Address>::commit() {
    for (const Handle slot : fresh_)
        fresh_bits_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    fresh_.clear();
    if (fresh_.capacity() > 4'096)
        fresh_.shrink_to_fit(); // it was a bulk load
    if (!dead_.empty())
        reclaimer_.retire([arena = arena_, dead = std::exchange(dead_, {})] {
            for (const Handle slot : dead)
                arena->free(slot);
        });
}

template <class Address>
unsigned Lpm<Address>::nodes_max(const LpmRoot& root) const noexcept {
    return std::max(height_of(root.node[0]), height_of(root.node[1]));
}

template <class Address>
std::uint64_t Lpm<Address>::memory_bytes() const noexcept {
    return sizeof *this + arena_->memory_bytes() + fresh_bits_.capacity() * sizeof(std::uint64_t) +
           (fresh_.capacity() + dead_.capacity()) * sizeof(Handle);
}

// -- changes

template <class Address>
auto Lpm<Address>::set_below(Handle at, unsigned verified, const Target& target) -> Handle {
    if (at == 0)
        return make_leaf(target.prefix, target.length, target.value);
    if (kind_of(at) == Kind::leaf)
        return set_beside_leaf(at, verified, target);
    const auto& node = node_at<Address>(*arena_, at);
    const unsigned level = node.level;
    const std::uint64_t cut = target.cut(level);
    const std::uint64_t differs = (cut >> 6) ^ node.window;
    if (differs == 0 && target.level == level)
        return put_value(at, target);
    if (differs == 0 && target.level > level) {
        const auto chunk = static_cast<unsigned>(cut & 63);
        const Handle child = child_of(at, chunk);
        const unsigned old_height = height_of(child);
        return put_child(
            at, chunk, set_below(child, verified_by(level), target), old_height, target
        );
    }
    // The prefix ends above the node or turns away from it: a new node above it.
    Parts parts;
    parts.level = target.level;
    if (differs != 0) {
        const auto first = static_cast<unsigned>(std::countl_zero(differs)) - (64 - 1);
        const unsigned turns = level_of_bit(bits_before(level) - 1 + first);
        parts.level = std::min(target.level, turns);
    }
    parts.window = target.cut(parts.level) >> 6;
    const auto chunk =
        static_cast<unsigned>(std::uint64_t{node.window} >> 6 * (level - 1 - parts.level) & 63);
    parts.add_child(chunk, at, node.height);
    if (parts.level == target.level)
        parts.add_value(target.place, target.value);
    else
        parts.add_child(
            target.chunk(parts.level), make_leaf(target.prefix, target.length, target.value), 1
        );
    return make(parts, target); // its window reaches as far up as the node's did
}

/// The leaf gets the new value, or a node with it: where the two part, or the shorter one ends.
template <class Address>
auto Lpm<Address>::set_beside_leaf(Handle at, unsigned verified, const Target& target) -> Handle {
    const Leaf<Address> leaf = leaf_at<Address>(*arena_, at);
    if (leaf.length() == target.length && leaf.differs(target.prefix) == 0) {
        at = writable(at);
        leaf_at<Address>(*arena_, at).value = target.value;
        return at;
    }
    const Target other{leaf.prefix, leaf.length(), leaf.value};
    Parts parts;
    parts.level =
        std::min({target.level, other.level, level_of_bit(common_bits(target.prefix, leaf.prefix))}
        );
    parts.window = target.cut(parts.level) >> 6;
    if (parts.level == other.level) {
        parts.add_value(other.place, other.value);
        release(at);
    } else {
        parts.add_child(other.chunk(parts.level), at, 1);
    }
    if (parts.level == target.level)
        parts.add_value(target.place, target.value);
    else
        parts.add_child(
            target.chunk(parts.level), make_leaf(target.prefix, target.length, target.value), 1
        );
    return attach(verified, make(parts, target), target);
}

/// The prefix is there.
template <class Address>
auto Lpm<Address>::erase_below(Handle at, unsigned verified, const Target& target) -> Handle {
    if (kind_of(at) == Kind::leaf) {
        release(at);
        return 0;
    }
    const unsigned level = node_at<Address>(*arena_, at).level;
    if (level == target.level) {
        Parts parts = take_apart(at);
        Parts::remove(parts.results, parts.internal, target.place);
        return replace(at, verified, parts, target);
    }
    const unsigned chunk = target.chunk(level);
    const Handle child = child_of(at, chunk);
    const unsigned old_height = height_of(child);
    const Handle left = erase_below(child, verified_by(level), target);
    if (left != 0 && kind_of(at) == Kind::dense)
        return put_child(at, chunk, left, old_height, target);
    const auto& node = node_at<Address>(*arena_, at);
    if (left != 0 && (node.internal != 0 || std::popcount(node.external()) > 1))
        return put_child(at, chunk, left, old_height, target);
    Parts parts = take_apart(at);
    Parts::remove(parts.children, parts.external, chunk);
    parts.height = height_without(parts, old_height);
    if (left != 0)
        parts.add_child(chunk, left, height_of(left));
    return replace(at, verified, parts, target);
}

template <class Address>
auto Lpm<Address>::put_value(Handle at, const Target& target) -> Handle {
    const std::uint64_t internal = node_at<Address>(*arena_, at).internal;
    if (has(internal, target.place)) {
        at = writable(at);
        node_at<Address>(*arena_, at).results()[rank_of(internal, target.place)] = target.value;
        return at;
    }
    Parts parts = take_apart(at);
    parts.add_value(target.place, target.value);
    return replace(at, bits, parts, target);
}

/// Of `old_height` 0: a new child.
template <class Address>
auto Lpm<Address>::put_child(
    Handle at, unsigned chunk, Handle child, unsigned old_height, const Target& target
) -> Handle {
    const unsigned height = height_of(child);
    if (old_height == 0 && kind_of(at) != Kind::dense) {
        Parts parts = take_apart(at);
        parts.add_child(chunk, child, height);
        return replace(at, bits, parts, target);
    }
    at = writable(at);
    auto& node = node_at<Address>(*arena_, at);
    const Kind kind = kind_of(at);
    node.children(kind)[kind == Kind::dense ? chunk : rank_of(node.external(), chunk)] = child;
    if (height > old_height)
        node.height = static_cast<std::uint8_t>(std::max<unsigned>(node.height, height + 1));
    else if (height < old_height)
        node.height = static_cast<std::uint8_t>(height_without(take_apart(at), old_height));
    return at;
}

template <class Address>
unsigned Lpm<Address>::height_of(Handle at) const noexcept {
    if (kind_of(at) == Kind::leaf)
        return at == 0 ? 0 : 1;
    return node_at<Address>(*arena_, at).height;
}

/// The height of a node whose children lost one of this height, or have it no more.
template <class Address>
unsigned Lpm<Address>::height_without(const Parts& parts, unsigned height_of_gone) const noexcept {
    if (height_of_gone + 1 < parts.height)
        return parts.height;
    unsigned height = 1;
    for (std::size_t i = 0; i < parts.child_count() && height < parts.height; ++i)
        height = std::max(height, height_of(parts.children[i]) + 1);
    return height;
}

template <class Address>
auto Lpm<Address>::child_of(Handle at, unsigned chunk) const noexcept -> Handle {
    const auto& node = node_at<Address>(*arena_, at);
    if (kind_of(at) == Kind::dense)
        return node.children(Kind::dense)[chunk];
    return kind_of(at) == Kind::branch && has(node.external(), chunk)
               ? node.children(Kind::branch)[rank_of(node.external(), chunk)]
               : 0;
}

/// Whether what it compares begins within what is verified above it.
template <class Address>
bool Lpm<Address>::reaches(Handle at, unsigned verified) const noexcept {
    return kind_of(at) == Kind::leaf ||
           8u * cuts[node_at<Address>(*arena_, at).level].offset <= verified;
}

/// `below` itself, or under nodes of one child where its window does not reach up to `verified`.
template <class Address>
auto Lpm<Address>::attach(unsigned verified, Handle below, const Target& target) -> Handle {
    while (!reaches(below, verified)) {
        Parts bridge;
        bridge.level = level_of_bit(8u * cuts[node_at<Address>(*arena_, below).level].offset - 1);
        bridge.window = target.cut(bridge.level) >> 6;
        bridge.add_child(target.chunk(bridge.level), below, height_of(below));
        below = make(bridge, target);
    }
    return below;
}

// -- slots

template <class Address>
auto Lpm<Address>::take_apart(Handle at) const -> Parts {
    const auto& node = node_at<Address>(*arena_, at);
    Parts parts;
    parts.level = node.level;
    parts.height = node.height;
    parts.window = node.window;
    parts.internal = node.internal;
    std::copy_n(node.results(), parts.result_count(), parts.results.begin());
    if (kind_of(at) == Kind::branch) {
        parts.external = node.external();
        std::copy_n(node.children(Kind::branch), parts.child_count(), parts.children.begin());
    } else if (kind_of(at) == Kind::dense) {
        parts.was_dense = true;
        const Handle* children = node.children(Kind::dense);
        std::size_t count = 0;
        for (unsigned chunk = 0; chunk < 64; ++chunk) {
            parts.children[count] = children[chunk];
            const bool is_there = children[chunk] != 0;
            parts.external |= std::uint64_t{is_there} << chunk;
            count += is_there;
        }
    }
    return parts;
}

template <class Address>
auto Lpm<Address>::make_leaf(Address prefix, unsigned length, std::uint64_t value) -> Handle {
    const Handle slot = allocate(1);
    auto& leaf = leaf_at<Address>(*arena_, slot);
    leaf.value = value;
    leaf.prefix = upper_bits(prefix, length);
    leaf.set_length(length);
    return handle_of(Kind::leaf, slot);
}

/// A leaf gets the bits above its chunk from the target, which lies under the same prefix.
template <class Address>
auto Lpm<Address>::make(const Parts& parts, const Target& target) -> Handle {
    if (parts.kind() == Kind::leaf) {
        const auto place = static_cast<unsigned>(std::countr_zero(parts.internal)) + 1;
        const auto below = static_cast<unsigned>(std::bit_width(place)) - 1;
        const unsigned above = bits_before(parts.level), length = above + below;
        const Address end = Address{place ^ 1u << below} << (bits - length);
        return make_leaf(upper_bits(target.prefix, above) | end, length, parts.results[0]);
    }
    const Handle slot = allocate(parts.units());
    put_together(node_at<Address>(*arena_, slot), parts);
    return handle_of(parts.kind(), slot);
}

/// What takes the place of `at`: nothing, the only child, or what is made of `parts`.
template <class Address>
auto Lpm<Address>::replace(Handle at, unsigned verified, const Parts& parts, const Target& target)
    -> Handle {
    if (parts.internal == 0 && parts.child_count() <= 1) {
        const Handle child = parts.external == 0 ? 0 : parts.children[0];
        if (reaches(child, verified)) {
            release(at);
            return child;
        }
    }
    if (parts.kind() != Kind::leaf && is_fresh(at) && parts.units() == units_of(at)) {
        put_together(node_at<Address>(*arena_, at), parts);
        return handle_of(parts.kind(), slot_of(at));
    }
    const Handle other = make(parts, target);
    release(at);
    return other;
}

template <class Address>
std::size_t Lpm<Address>::units_of(Handle at) const noexcept {
    const Kind kind = kind_of(at);
    if (kind == Kind::leaf)
        return 1;
    const auto& node = node_at<Address>(*arena_, at);
    const auto children =
        static_cast<std::size_t>(kind == Kind::branch ? std::popcount(node.external()) : 0);
    const auto results = static_cast<std::size_t>(std::popcount(node.internal));
    return NodeOf<Address>::units(kind, children, results);
}

template <class Address>
auto Lpm<Address>::writable(Handle at) -> Handle {
    if (is_fresh(at))
        return at;
    const std::size_t units = units_of(at);
    const Handle copy = allocate(units);
    std::memcpy(arena_->at(copy), arena_->at(slot_of(at)), units * SlotArena::unit);
    release(at);
    return handle_of(kind_of(at), copy);
}

template <class Address>
auto Lpm<Address>::allocate(std::size_t units) -> Handle {
    const Handle slot = arena_->allocate(units);
    if (slot / 64 >= fresh_bits_.size())
        fresh_bits_.resize(std::max<std::size_t>(slot / 64 + 1, fresh_bits_.size() * 2));
    fresh_bits_[slot / 64] |= std::uint64_t{1} << slot % 64;
    fresh_.push_back(slot);
    return slot;
}

template <class Address>
void Lpm<Address>::release(Handle at) {
    const Handle slot = slot_of(at);
    if (!is_fresh(at)) {
        dead_.push_back(slot);
        return;
    }
    fresh_bits_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    arena_->free(slot);
}

template <class Address>
bool Lpm<Address>::is_fresh(Handle at) const noexcept {
    const Handle slot = slot_of(at);
    return slot / 64 < fresh_bits_.size() && (fresh_bits_[slot / 64] >> slot % 64 & 1) != 0;
}

template class Lpm<std::uint32_t>;
template class Lpm<U128>;

} // namespace weft
