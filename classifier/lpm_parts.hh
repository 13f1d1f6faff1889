// What the writer of the longest-prefix-match tries works with: the prefix that a change is about,
// and a node taken apart.
#pragma once

#include "classifier/lpm.hh"
#include "classifier/lpm_node.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft {

namespace lpm {

template <class Address>
using NodeOf = Node<typename Family<Address>::Key::Window>;

template <class Address>
NodeOf<Address>& node_at(const SlotArena& arena, std::uint32_t at) noexcept {
    return *reinterpret_cast<NodeOf<Address>*>(arena.at(slot_of(at)));
}
template <class Address>
Leaf<Address>& leaf_at(const SlotArena& arena, std::uint32_t at) noexcept {
    return *reinterpret_cast<Leaf<Address>*>(arena.at(slot_of(at)));
}

inline bool has(std::uint64_t set, unsigned at) noexcept {
    return (set >> at & 1) != 0;
}
constexpr unsigned place_of(unsigned chunk, unsigned bits_of_chunk) noexcept {
    return (1u << bits_of_chunk) - 1 + (chunk >> (6 - bits_of_chunk));
}

template <class Address>
Address upper_bits(Address address, unsigned count) noexcept {
    return address & ~Address{} << (sizeof(Address) * 8 - count);
}

} // namespace lpm

/// The prefix that a change is about.
template <class Address>
struct Lpm<Address>::Target {
    typename lpm::Family<Address>::Key key;
    Address prefix;
    unsigned length;
    unsigned level;
    unsigned place; // of its bit in the node's `internal`
    std::uint64_t value;

    Target(Address p, unsigned n, std::uint64_t v) noexcept
        : key{p},
          prefix{p},
          length{n},
          level{lpm::level_of_length(n)},
          place{lpm::place_of(chunk(level), n + 5 - 6 * level)},
          value{v} {}
    std::uint64_t cut(unsigned at_level) const noexcept { return key.cut(lpm::cuts[at_level]); }
    unsigned chunk(unsigned at_level) const noexcept {
        return static_cast<unsigned>(cut(at_level) & 63);
    }
};

/// A node taken apart, to be changed and put together again.
template <class Address>
struct Lpm<Address>::Parts {
    unsigned level = 0;
    unsigned height = 1;
    bool was_dense = false;
    std::uint64_t window = 0;
    std::uint64_t internal = 0;
    std::uint64_t external = 0;
    std::array<std::uint64_t, 64> results;
    std::array<Handle, 64> children;

    std::size_t result_count() const noexcept {
        return static_cast<std::size_t>(std::popcount(internal));
    }
    std::size_t child_count() const noexcept {
        return static_cast<std::size_t>(std::popcount(external));
    }
    lpm::Kind kind() const noexcept {
        if (external == 0)
            return result_count() == 1 ? lpm::Kind::leaf : lpm::Kind::values;
        return child_count() < lpm::dense_from(level) / (was_dense ? 2 : 1) ? lpm::Kind::branch
                                                                            : lpm::Kind::dense;
    }
    std::size_t units() const noexcept {
        return lpm::NodeOf<Address>::units(kind(), child_count(), result_count());
    }

    template <class T>
    static void insert(std::array<T, 64>& all, std::uint64_t& set, unsigned at, T value) noexcept {
        const std::size_t rank = lpm::rank_of(set, at);
        const auto count = static_cast<std::size_t>(std::popcount(set));
        std::copy_backward(&all[rank], &all[0] + count, &all[0] + count + 1);
        all[rank] = value;
        set |= std::uint64_t{1} << at;
    }
    template <class T>
    static void remove(std::array<T, 64>& all, std::uint64_t& set, unsigned at) noexcept {
        const std::size_t rank = lpm::rank_of(set, at);
        std::copy(&all[0] + rank + 1, &all[0] + std::popcount(set), &all[0] + rank);
        set &= ~(std::uint64_t{1} << at);
    }
    void add_value(unsigned place, std::uint64_t value) noexcept {
        insert(results, internal, place, value);
    }
    void add_child(unsigned chunk, Handle child, unsigned child_height) noexcept {
        insert(children, external, chunk, child);
        height = std::max(height, child_height + 1);
    }
};

namespace lpm {

template <class Window, class Parts>
void put_together(Node<Window>& node, const Parts& parts) noexcept {
    const Kind kind = parts.kind();
    node.internal = parts.internal;
    node.window = static_cast<Window>(parts.window);
    node.place = cuts[parts.level].shift;
    node.set_offset(cuts[parts.level].offset);
    node.results_at =
        static_cast<std::uint8_t>(Node<Window>::results_word(kind, parts.child_count()));
    node.height = static_cast<std::uint8_t>(parts.height);
    node.level = static_cast<std::uint8_t>(parts.level);
    if (kind == Kind::branch) {
        node.external() = parts.external;
        std::copy_n(parts.children.begin(), parts.child_count(), node.children(kind));
    } else if (kind == Kind::dense) {
        std::fill_n(node.children(kind), 64, 0);
        std::size_t next = 0;
        for (std::uint64_t left = parts.external; left != 0; left &= left - 1)
            node.children(kind)[std::countr_zero(left)] = parts.children[next++];
    }
    std::copy_n(parts.results.begin(), parts.result_count(), node.results());
}

} // namespace lpm

} // namespace weft
