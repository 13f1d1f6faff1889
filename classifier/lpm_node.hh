// How a node of the longest-prefix-match tries lies in memory, and how addresses are cut into
// levels.
#pragma once

#include "base/u128.hh"
#include "classifier/slot_arena.hh"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weft::lpm {

// Levels. The first bit of an address chooses one of a root's two nodes, and the default route
// stands in the root; below, an address is read in chunks of 6 bits, one per level, so that 24 and
// 48, the lengths that most routes have, are the last ones of a level:
//
//   level                          1       2        3        4        5        6        k
//   bits of its chunk, from 0      1..6    7..12    13..18   19..24   25..30   31..36   6k-5..6k
//   lengths of its prefixes        1..6    7..12    13..18   19..24   25..30   31..36   6k-5..6k
//
// (A prefix of n bits ends before bit n: a node's prefixes fix 0 to 5 bits of its chunk.)
inline constexpr unsigned first_level = 1;
constexpr unsigned bits_before(unsigned level) noexcept {
    return 6 * level - 5;
}
constexpr unsigned bits_through(unsigned level) noexcept {
    return 6 * level + 1;
}
constexpr unsigned level_of_length(unsigned length) noexcept {
    return (length + 5) / 6;
}
/// The level whose chunk has bit `bit` of the address, 0 the first.
constexpr unsigned level_of_bit(unsigned bit) noexcept {
    return (bit + 5) / 6;
}

/// How many of `set` stand below bit `at`.
inline std::size_t rank_of(std::uint64_t set, unsigned at) noexcept {
    return static_cast<std::size_t>(std::popcount(set & ((std::uint64_t{1} << at) - 1)));
}

/// The 6 bits of a level and up to 58 bits before them, from one load: the word at byte `offset` of
/// the address, shifted down by `shift`.
struct Cut {
    std::uint8_t offset;
    std::uint8_t shift;
};
constexpr Cut cut_of(unsigned level) noexcept {
    const unsigned end = bits_through(level);
    const unsigned offset = end <= 64 ? 0 : (end + 7) / 8 - 8;
    return {static_cast<std::uint8_t>(offset), static_cast<std::uint8_t>(8 * (offset + 8) - end)};
}

/// Where the prefixes that end in a node at chunk c, 0 to 5 bits into it, have their bits in
/// `internal`: prefix of n bits v at bit 2^n - 1 + v, so that the longest is the highest bit.
inline constexpr std::array<std::uint64_t, 64> ancestors = [] {
    std::array<std::uint64_t, 64> table{};
    for (unsigned chunk = 0; chunk < 64; ++chunk)
        for (unsigned n = 0; n < 6; ++n)
            table[chunk] |= std::uint64_t{1} << ((1u << n) - 1 + (chunk >> (6 - n)));
    return table;
}();

/// The head of a node; what follows in its slot:
///
///   | internal | window | place .. | external | children, 4 bytes each | results, 8 bytes each |
///                                  '- only in a node with children ----'
///
/// internal: bit p, a prefix of this node ends at place p (ancestors); its value is the results'
/// popcount(bits below p)-th. external: bit c, chunk c has a child, the popcount(bits below c)-th.
/// window: the bits of the prefix that all addresses below share, as cut_of() shows them, above the
/// chunk: a lookup compares them, so levels where nothing branches have no node.
template <class Window>
struct Head;
template <>
struct Head<std::uint32_t> {
    std::uint64_t internal;
    std::uint32_t window;
    std::uint8_t place;      // Cut::shift and, on top, has_children
    std::uint8_t results_at; // in words from the head
    std::uint8_t height;     // nodes on the longest way down from here, this one among them
    std::uint8_t level;

    void set_offset(std::uint8_t) noexcept {} // a load of 8 bytes has all
};
template <>
struct Head<std::uint64_t> {
    std::uint64_t internal;
    std::uint64_t window;
    std::uint8_t place;
    std::uint8_t results_at;
    std::uint8_t height;
    std::uint8_t level;
    std::uint8_t offset; // Cut::offset
    std::array<std::uint8_t, 3> unused;

    void set_offset(std::uint8_t to) noexcept { offset = to; }
};
static_assert(sizeof(Head<std::uint32_t>) == 16 && sizeof(Head<std::uint64_t>) == 24);

template <class Window>
struct Node : Head<Window> {
    static constexpr std::uint8_t has_children = 0x80;

    bool is_branch() const noexcept { return (this->place & has_children) != 0; }
    std::uint64_t external() const noexcept { return is_branch() ? words()[head_words] : 0; }
    std::uint32_t* children() noexcept {
        return reinterpret_cast<std::uint32_t*>(words() + head_words + 1);
    }
    const std::uint32_t* children() const noexcept {
        return reinterpret_cast<const std::uint32_t*>(words() + head_words + 1);
    }
    std::uint64_t* results() noexcept { return words() + this->results_at; }
    const std::uint64_t* results() const noexcept { return words() + this->results_at; }
    const std::uint64_t* words() const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this);
    }
    std::uint64_t* words() noexcept { return reinterpret_cast<std::uint64_t*>(this); }

    static constexpr std::size_t head_words = sizeof(Head<Window>) / 8;
    static constexpr std::size_t results_word(std::size_t children) noexcept {
        return head_words + (children == 0 ? 0 : 1 + (children + 1) / 2);
    }
    static constexpr std::size_t units(std::size_t children, std::size_t results) noexcept {
        return ((results_word(children) + results) * 8 + SlotArena::unit - 1) / SlotArena::unit;
    }
};

/// An address as lookups cut it.
struct Key4 {
    static constexpr unsigned bits = 32;
    using Window = std::uint32_t; // levels up to 6: at most 31 bits lie before
    std::uint64_t word;

    Key4() = default;
    explicit Key4(std::uint32_t address) noexcept : word{std::uint64_t{address} << 32} {}
    unsigned first_bit() const noexcept { return static_cast<unsigned>(word >> 63); }
    std::uint64_t cut(Cut at) const noexcept { return word >> at.shift; }
    std::uint64_t cut(const Node<Window>& node) const noexcept { return word >> (node.place & 63); }
};
struct Key6 {
    static constexpr unsigned bits = 128;
    using Window = std::uint64_t;
    std::array<std::uint64_t, 3> bytes; // in wire order, zeros behind

    Key6() = default;
    explicit Key6(U128 address) noexcept
        : bytes{__builtin_bswap64(address.high), __builtin_bswap64(address.low), 0} {}
    unsigned first_bit() const noexcept { return bytes[0] >> 7 & 1; }
    std::uint64_t cut(Cut at) const noexcept {
        std::uint64_t word;
        std::memcpy(&word, reinterpret_cast<const std::byte*>(bytes.data()) + at.offset, 8);
        return __builtin_bswap64(word) >> at.shift;
    }
    std::uint64_t cut(const Node<Window>& node) const noexcept {
        return cut(Cut{node.offset, static_cast<std::uint8_t>(node.place & 63)});
    }
};

/// cut_of() each level that has nodes.
inline constexpr std::array<Cut, 23> cuts = [] {
    std::array<Cut, 23> all{};
    for (unsigned level = first_level; level < all.size(); ++level)
        all[level] = cut_of(level);
    return all;
}();

template <class Address>
struct Family;
template <>
struct Family<std::uint32_t> {
    using Key = Key4;
};
template <>
struct Family<U128> {
    using Key = Key6;
};

} // namespace weft::lpm
