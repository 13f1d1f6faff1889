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

/// A handle names a slot and says what lies in it, so that nobody has to look to know: the kind in
/// the upper two bits. Handle 0 is a leaf of zeros, whose value is none.
enum class Kind : std::uint32_t {
    leaf,   // one prefix, compared whole
    values, // a node of several prefixes without a child
    branch, // a node with children, those that are there side by side
    dense,  // the same with a place for each chunk
};
inline constexpr unsigned slot_bits = 30;
constexpr Kind kind_of(SlotArena::Handle at) noexcept {
    return static_cast<Kind>(at >> slot_bits);
}
constexpr SlotArena::Handle slot_of(SlotArena::Handle at) noexcept {
    return at & ((SlotArena::Handle{1} << slot_bits) - 1);
}
constexpr SlotArena::Handle handle_of(Kind kind, SlotArena::Handle slot) noexcept {
    return static_cast<SlotArena::Handle>(kind) << slot_bits | slot;
}

/// A node with so many children becomes dense, one with less than half of them no more. A dense
/// node takes up to 240 bytes more than a branch; a table has at most 130 nodes on the first two
/// levels, which nearly all lookups pass; further down only nearly full ones pay.
constexpr unsigned dense_from(unsigned level) noexcept {
    return level <= 2 ? 6 : 32;
}

/// The head of a node; what follows in its slot:
///
///   values   | internal | window | place .. | results, 8 bytes each |
///   branch   | internal | window | place .. | external | children, 4 bytes each | results |
///   dense    | internal | window | place .. | children of all 64 chunks, 0: none | results |
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
    std::uint8_t place;      // Cut::shift
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
    static constexpr std::size_t head_words = sizeof(Head<Window>) / 8;

    std::uint64_t& external() noexcept { return words()[head_words]; } // of a branch
    std::uint64_t external() const noexcept { return words()[head_words]; }
    /// Of a branch: those that are there; of a dense node: by chunk.
    std::uint32_t* children(Kind kind) noexcept {
        return reinterpret_cast<std::uint32_t*>(words() + children_word(kind));
    }
    const std::uint32_t* children(Kind kind) const noexcept {
        return reinterpret_cast<const std::uint32_t*>(words() + children_word(kind));
    }
    std::uint64_t* results() noexcept { return words() + this->results_at; }
    const std::uint64_t* results() const noexcept { return words() + this->results_at; }

    static constexpr std::size_t results_word(Kind kind, std::size_t children) noexcept {
        const std::size_t places = kind == Kind::dense ? 64 : children;
        return kind == Kind::values ? head_words : children_word(kind) + (places + 1) / 2;
    }
    static constexpr std::size_t
    units(Kind kind, std::size_t children, std::size_t results) noexcept {
        const std::size_t bytes = (results_word(kind, children) + results) * 8;
        return (bytes + SlotArena::unit - 1) / SlotArena::unit;
    }

private:
    static constexpr std::size_t children_word(Kind kind) noexcept {
        return head_words + (kind == Kind::branch ? 1 : 0);
    }
    const std::uint64_t* words() const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this);
    }
    std::uint64_t* words() noexcept { return reinterpret_cast<std::uint64_t*>(this); }
};

/// A prefix that nothing shares a node with: a third of a full table's, most of a small one's.
template <class Address>
struct Leaf;
template <>
struct Leaf<std::uint32_t> {
    std::uint64_t value;
    std::uint32_t prefix;
    std::uint8_t shift; // bits that do not count

    unsigned length() const noexcept { return 32u - shift; }
    void set_length(unsigned to) noexcept { shift = static_cast<std::uint8_t>(32 - to); }
    /// 0 where the address has the prefix.
    std::uint64_t differs(std::uint32_t address) const noexcept {
        return std::uint64_t{address ^ prefix} >> shift;
    }
};
inline constexpr std::array<U128, 129> prefix_masks = [] {
    std::array<U128, 129> all{};
    for (unsigned length = 0; length <= 128; ++length)
        all[length] = ~U128{} << (128 - length);
    return all;
}();
template <>
struct Leaf<U128> {
    std::uint64_t value;
    U128 prefix;
    std::uint8_t bits;

    unsigned length() const noexcept { return bits; }
    void set_length(unsigned to) noexcept { bits = static_cast<std::uint8_t>(to); }
    std::uint64_t differs(U128 address) const noexcept {
        const U128 all = (address ^ prefix) & prefix_masks[bits];
        return all.high | all.low;
    }
};
static_assert(sizeof(Leaf<std::uint32_t>) <= SlotArena::unit);
static_assert(sizeof(Leaf<U128>) == SlotArena::unit);

/// An address as lookups cut it.
struct Key4 {
    static constexpr unsigned bits = 32;
    using Window = std::uint32_t; // levels up to 6: at most 31 bits lie before
    std::uint64_t word;

    Key4() = default;
    explicit Key4(std::uint32_t address) noexcept : word{std::uint64_t{address} << 32} {}
    unsigned first_bit() const noexcept { return static_cast<unsigned>(word >> 63); }
    std::uint64_t cut(Cut at) const noexcept { return word >> at.shift; }
    std::uint64_t cut(const Node<Window>& node) const noexcept { return word >> node.place; }
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
        return cut(Cut{node.offset, node.place});
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
