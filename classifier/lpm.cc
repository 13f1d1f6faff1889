// The writer's side; lookups are in lpm_lookup.cc, the layout of nodes in lpm_node.hh.
//
// Invariants: (1) a node has a prefix, a child or both, and one that has nothing but one child is
// there only because the child's window would not reach up to what is verified above it; (2) a node
// lies below another only if its prefix goes on from the other's chunk; (3) the bits of a node's
// prefix that its window does not show are those that the nodes above it verify; (4) a node that
// hangs on a fresh node only, and no node else, is changed in place; what hangs on a committed one
// is never written; a fresh node hangs on fresh nodes.
#include "classifier/lpm.hh"

#include "base/check.hh"
#include "classifier/lpm_node.hh"

#include <algorithm>
#include <utility>

namespace weft {

using namespace lpm;

namespace {

// One change takes a slot for each level of the path, one to branch and a few to bridge long gaps.
constexpr std::size_t slots_of_change = 32;

template <class Address>
using NodeOf = Node<typename Family<Address>::Key::Window>;

template <class Address>
NodeOf<Address>& node_at(const SlotArena& arena, std::uint32_t handle) noexcept {
    return *reinterpret_cast<NodeOf<Address>*>(arena.at(handle));
}

/// So many bits of an address are known to agree in a child of a node at this level.
constexpr unsigned verified_by(unsigned level) noexcept {
    return bits_through(level);
}
constexpr unsigned verified_by_root = 1;
constexpr bool reaches(unsigned level, unsigned verified) noexcept {
    return 8u * cuts[level].offset <= verified;
}

bool has(std::uint64_t set, unsigned at) noexcept {
    return (set >> at & 1) != 0;
}

} // namespace

/// The prefix that a change is about.
template <class Address>
struct Lpm<Address>::Target {
    typename Family<Address>::Key key;
    unsigned level;
    unsigned place; // of its bit in the node's `internal`
    std::uint64_t value;

    Target(Address prefix, unsigned length, std::uint64_t v) noexcept
        : key{prefix},
          level{level_of_length(length)},
          place{0},
          value{v} {
        const unsigned n = length + 5 - 6 * level; // bits of the chunk
        place = (1u << n) - 1 + (chunk(level) >> (6 - n));
    }
    std::uint64_t cut(unsigned at_level) const noexcept { return key.cut(cuts[at_level]); }
    unsigned chunk(unsigned at_level) const noexcept {
        return static_cast<unsigned>(cut(at_level) & 63);
    }
};

/// A node taken apart, to be changed and put together again.
template <class Address>
struct Lpm<Address>::Parts {
    unsigned level = 0;
    unsigned height = 1;
    std::uint64_t window = 0;
    std::uint64_t internal = 0;
    std::uint64_t external = 0;
    std::array<std::uint64_t, 64> results;
    std::array<Handle, 64> children;

    template <class T>
    static void insert(std::array<T, 64>& all, std::uint64_t& set, unsigned at, T value) noexcept {
        const std::size_t rank = rank_of(set, at);
        const auto count = static_cast<std::size_t>(std::popcount(set));
        std::copy_backward(&all[rank], &all[0] + count, &all[0] + count + 1);
        all[rank] = value;
        set |= std::uint64_t{1} << at;
    }
    template <class T>
    static void remove(std::array<T, 64>& all, std::uint64_t& set, unsigned at) noexcept {
        const std::size_t rank = rank_of(set, at);
        std::copy(&all[0] + rank + 1, &all[0] + std::popcount(set), &all[0] + rank);
        set &= ~(std::uint64_t{1} << at);
    }
    void add_value(const Target& target) noexcept {
        insert(results, internal, target.place, target.value);
    }
    void add_child(unsigned chunk, Handle child, unsigned child_height) noexcept {
        insert(children, external, chunk, child);
        height = std::max(height, child_height + 1);
    }
};

template <class Address>
Lpm<Address>::Lpm(Reclaimer& reclaimer, std::size_t bytes_max)
    : bytes_max_{std::max(bytes_max, std::size_t{1} << 20)},
      // As much again for erasing, and pages for chunks that are not full.
      arena_{std::make_shared<SlotArena>(2 * bytes_max_ + (std::size_t{8} << 20))},
      reclaimer_{reclaimer} {}

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
    std::vector<Handle> open;
    for (const Handle top : root.node)
        if (top != 0)
            open.push_back(top);
    while (!open.empty()) {
        const Handle at = open.back();
        open.pop_back();
        const auto& node = node_at<Address>(*arena_, at);
        open.insert(open.end(), node.children(), node.children() + std::popcount(node.external()));
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
    for (Handle at = root.node[target.key.first_bit()]; at != 0;) {
        const auto& node = node_at<Address>(*arena_, at);
        const std::uint64_t cut = target.cut(node.level);
        if (node.level > target.level || cut >> 6 != node.window)
            return 0;
        if (node.level == target.level)
            return has(node.internal, target.place)
                       ? node.results()[rank_of(node.internal, target.place)]
                       : 0;
        const auto chunk = static_cast<unsigned>(cut & 63);
        const std::uint64_t external = node.external();
        at = has(external, chunk) ? node.children()[rank_of(external, chunk)] : 0;
    }
    return 0;
}

template <class Address>
void Lpm<Address>::commit() {
    for (const Handle at : fresh_)
        fresh_bits_[at / 64] &= ~(std::uint64_t{1} << at % 64);
    fresh_.clear();
    if (fresh_.capacity() > 4'096)
        fresh_.shrink_to_fit(); // it was a bulk load
    if (!dead_.empty())
        reclaimer_.retire([arena = arena_, dead = std::exchange(dead_, {})] {
            for (const Handle at : dead)
                arena->free(at);
        });
}

template <class Address>
unsigned Lpm<Address>::nodes_max(const LpmRoot& root) const noexcept {
    unsigned height = 0; // handle 0 names a node of zeros
    for (const Handle top : root.node)
        height = std::max<unsigned>(height, node_at<Address>(*arena_, top).height);
    return height;
}

template <class Address>
std::uint64_t Lpm<Address>::memory_bytes() const noexcept {
    return sizeof *this + arena_->memory_bytes() + fresh_bits_.capacity() * sizeof(std::uint64_t) +
           (fresh_.capacity() + dead_.capacity()) * sizeof(Handle);
}

template <class Address>
auto Lpm<Address>::set_below(Handle at, unsigned verified, const Target& target) -> Handle {
    if (at == 0)
        return leaf(verified, target);
    const auto& node = node_at<Address>(*arena_, at);
    const unsigned level = node.level;
    const std::uint64_t cut = target.cut(level);
    const std::uint64_t differs = (cut >> 6) ^ node.window;
    if (differs == 0 && target.level == level)
        return put_value(at, target);
    if (differs == 0 && target.level > level) {
        const auto chunk = static_cast<unsigned>(cut & 63);
        const std::uint64_t external = node.external();
        const Handle child = has(external, chunk) ? node.children()[rank_of(external, chunk)] : 0;
        const unsigned old_height = child == 0 ? 0 : node_at<Address>(*arena_, child).height;
        return put_child(at, chunk, set_below(child, verified_by(level), target), old_height);
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
    if (parts.level == target.level) {
        parts.add_value(target);
    } else {
        const Handle other = leaf(verified_by(parts.level), target);
        parts.add_child(target.chunk(parts.level), other, node_at<Address>(*arena_, other).height);
    }
    return make(parts);
}

template <class Address>
auto Lpm<Address>::erase_below(Handle at, unsigned verified, const Target& target) -> Handle {
    const unsigned level = node_at<Address>(*arena_, at).level;
    if (level == target.level) {
        Parts parts = take_apart(at);
        Parts::remove(parts.results, parts.internal, target.place);
        return replace(at, verified, parts);
    }
    const unsigned chunk = target.chunk(level);
    const auto& node = node_at<Address>(*arena_, at);
    const Handle child = node.children()[rank_of(node.external(), chunk)];
    const unsigned old_height = node_at<Address>(*arena_, child).height;
    const Handle left = erase_below(child, verified_by(level), target);
    if (left != 0 && (node.internal != 0 || std::popcount(node.external()) > 1))
        return put_child(at, chunk, left, old_height);
    Parts parts = take_apart(at);
    Parts::remove(parts.children, parts.external, chunk);
    parts.height = height_without(parts, old_height);
    if (left != 0)
        parts.add_child(chunk, left, node_at<Address>(*arena_, left).height);
    return replace(at, verified, parts);
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
    parts.add_value(target);
    return replace(at, bits, parts);
}

/// Of `old_height` 0: a new child.
template <class Address>
auto Lpm<Address>::put_child(Handle at, unsigned chunk, Handle child, unsigned old_height)
    -> Handle {
    const unsigned height = node_at<Address>(*arena_, child).height;
    if (old_height == 0) {
        Parts parts = take_apart(at);
        parts.add_child(chunk, child, height);
        return replace(at, bits, parts);
    }
    at = writable(at);
    auto& node = node_at<Address>(*arena_, at);
    node.children()[rank_of(node.external(), chunk)] = child;
    if (height > old_height)
        node.height = static_cast<std::uint8_t>(std::max<unsigned>(node.height, height + 1));
    else if (height < old_height)
        node.height = static_cast<std::uint8_t>(height_without(take_apart(at), old_height));
    return at;
}

/// The height of a node whose children lost one of this height, or have it no more.
template <class Address>
unsigned Lpm<Address>::height_without(const Parts& parts, unsigned height_of_gone) const noexcept {
    if (height_of_gone + 1 < parts.height)
        return parts.height;
    unsigned height = 1;
    const auto count = static_cast<std::size_t>(std::popcount(parts.external));
    for (std::size_t i = 0; i < count && height < parts.height; ++i)
        height = std::max(height, node_at<Address>(*arena_, parts.children[i]).height + 1u);
    return height;
}

template <class Address>
auto Lpm<Address>::leaf(unsigned verified, const Target& target) -> Handle {
    Parts parts;
    parts.level = target.level;
    parts.window = target.cut(target.level) >> 6;
    parts.add_value(target);
    return attach(verified, make(parts), target);
}

/// `below` itself, or under nodes of one child where its window does not reach up to `verified`.
template <class Address>
auto Lpm<Address>::attach(unsigned verified, Handle below, const Target& target) -> Handle {
    for (;;) {
        const auto& node = node_at<Address>(*arena_, below);
        if (reaches(node.level, verified))
            return below;
        Parts bridge;
        bridge.level = level_of_bit(8u * cuts[node.level].offset - 1);
        bridge.window = target.cut(bridge.level) >> 6;
        bridge.add_child(target.chunk(bridge.level), below, node.height);
        below = make(bridge);
    }
}

template <class Address>
auto Lpm<Address>::take_apart(Handle at) const -> Parts {
    const auto& node = node_at<Address>(*arena_, at);
    Parts parts;
    parts.level = node.level;
    parts.height = node.height;
    parts.window = node.window;
    parts.internal = node.internal;
    parts.external = node.external();
    std::copy_n(node.results(), std::popcount(parts.internal), parts.results.begin());
    std::copy_n(node.children(), std::popcount(parts.external), parts.children.begin());
    return parts;
}

namespace {

template <class Window, class Parts>
void put_together(Node<Window>& node, const Parts& parts) noexcept {
    const auto children = static_cast<std::size_t>(std::popcount(parts.external));
    const auto results = static_cast<std::size_t>(std::popcount(parts.internal));
    node.internal = parts.internal;
    node.window = static_cast<Window>(parts.window);
    node.place = cuts[parts.level].shift;
    node.set_offset(cuts[parts.level].offset);
    node.results_at = static_cast<std::uint8_t>(Node<Window>::results_word(children));
    node.height = static_cast<std::uint8_t>(parts.height);
    node.level = static_cast<std::uint8_t>(parts.level);
    if (children != 0) {
        node.place |= Node<Window>::has_children;
        node.words()[Node<Window>::head_words] = parts.external;
        std::copy_n(parts.children.begin(), children, node.children());
    }
    std::copy_n(parts.results.begin(), results, node.results());
}

template <class Window>
std::size_t units_of(std::uint64_t external, std::uint64_t internal) noexcept {
    return Node<Window>::units(
        static_cast<std::size_t>(std::popcount(external)),
        static_cast<std::size_t>(std::popcount(internal))
    );
}

} // namespace

template <class Address>
auto Lpm<Address>::make(const Parts& parts) -> Handle {
    using Window = typename Family<Address>::Key::Window;
    const Handle at = allocate(units_of<Window>(parts.external, parts.internal));
    put_together(node_at<Address>(*arena_, at), parts);
    return at;
}

/// The node that takes the place of `at`: none, the only child, or one made of `parts`.
template <class Address>
auto Lpm<Address>::replace(Handle at, unsigned verified, const Parts& parts) -> Handle {
    using Window = typename Family<Address>::Key::Window;
    if (parts.internal == 0 && std::popcount(parts.external) <= 1) {
        if (parts.external == 0) {
            release(at);
            return 0;
        }
        if (reaches(node_at<Address>(*arena_, parts.children[0]).level, verified)) {
            release(at);
            return parts.children[0];
        }
    }
    auto& node = node_at<Address>(*arena_, at);
    if (is_fresh(at) && units_of<Window>(parts.external, parts.internal) ==
                            units_of<Window>(node.external(), node.internal)) {
        put_together(node, parts);
        return at;
    }
    const Handle other = make(parts);
    release(at);
    return other;
}

template <class Address>
auto Lpm<Address>::writable(Handle at) -> Handle {
    using Window = typename Family<Address>::Key::Window;
    if (is_fresh(at))
        return at;
    const auto& node = node_at<Address>(*arena_, at);
    const std::size_t units = units_of<Window>(node.external(), node.internal);
    const Handle copy = allocate(units);
    std::memcpy(arena_->at(copy), arena_->at(at), units * SlotArena::unit);
    release(at);
    return copy;
}

template <class Address>
auto Lpm<Address>::allocate(std::size_t units) -> Handle {
    const Handle at = arena_->allocate(units);
    if (at / 64 >= fresh_bits_.size())
        fresh_bits_.resize(std::max<std::size_t>(at / 64 + 1, fresh_bits_.size() * 2));
    fresh_bits_[at / 64] |= std::uint64_t{1} << at % 64;
    fresh_.push_back(at);
    return at;
}

template <class Address>
void Lpm<Address>::release(Handle at) {
    if (!is_fresh(at)) {
        dead_.push_back(at);
        return;
    }
    fresh_bits_[at / 64] &= ~(std::uint64_t{1} << at % 64);
    arena_->free(at);
}

template <class Address>
bool Lpm<Address>::is_fresh(Handle at) const noexcept {
    return at / 64 < fresh_bits_.size() && (fresh_bits_[at / 64] >> at % 64 & 1) != 0;
}

template class Lpm<std::uint32_t>;
template class Lpm<U128>;

} // namespace weft
