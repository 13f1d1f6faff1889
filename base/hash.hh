// Hashes: a keyed one for lookup structures, and a fixed 64-bit one for digests that travel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weft {

/// The halves of a product, folded into one word: every bit of the result depends on all of both.
constexpr std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// A keyed 64-bit hash of words for tables inside one process: one folded multiplication a word
/// (the step of Wang Yi's wyhash). Not for untrusted rules to be safe from collisions: whoever
/// uses it bounds its probes by the rules it holds.
class WordHash {
public:
    explicit constexpr WordHash(std::uint64_t key) noexcept
        : state_{key ^ 0xa076'1d64'78bd'642fu} {}
    constexpr void add(std::uint64_t word) noexcept {
        state_ = folded_product(state_ ^ word, 0xe703'7ed1'a0b4'28dbu) + 0x8ebc'6af0'9c88'c6e3u;
    }
    constexpr std::uint64_t value() const noexcept {
        return folded_product(state_, 0x9e37'79b9'7f4a'7c15u);
    }

private:
    std::uint64_t state_;
};

/// Of one word. Of key and word it sees the difference, so both should not be small numbers.
constexpr std::uint64_t word_hash(std::uint64_t key, std::uint64_t word) noexcept {
    WordHash hash{key};
    hash.add(word);
    return hash.value();
}

/// The same for words that are known together: one folded multiplication for each two. Both secrets
/// come from the key, so that who does not know it cannot choose words that make a factor zero.
class KeyedHash {
public:
    explicit constexpr KeyedHash(std::uint64_t key) noexcept
        : start_{folded_product(key ^ 0xa076'1d64'78bd'642fu, 0xe703'7ed1'a0b4'28dbu)},
          secret_{folded_product(key ^ 0x8ebc'6af0'9c88'c6e3u, 0x5899'65cc'7537'4cc3u) | 1} {}

    /// Of `count` words; `word(i)` gives one, in ascending order.
    template <class Word>
    constexpr std::uint64_t operator()(std::size_t count, Word&& word) const noexcept {
        std::uint64_t state = start_;
        std::size_t i = 0;
        for (; i + 1 < count; i += 2) {
            const std::uint64_t first = word(i) ^ state; // asked for in order
            state = folded_product(first, word(i + 1) ^ secret_);
        }
        return i < count ? folded_product(word(i) ^ state, secret_) : state;
    }

private:
    std::uint64_t start_, secret_;
};

/// FNV-1a with a final mix, the same in every process and version: rows' digests are sums of it.
/// (Fowler, Noll, Vo; the mixer is that of MurmurHash3.)
constexpr std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed = 0) noexcept {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325u ^ seed;
    for (const char byte : bytes) {
        hash ^= static_cast<unsigned char>(byte);
        hash *= 0x0000'0100'0000'01b3u;
    }
    hash ^= hash >> 33;
    hash *= 0xff51'afd7'ed55'8ccdu;
    hash ^= hash >> 33;
    hash *= 0xc4ce'b9fe'1a85'ec53u;
    return hash ^ hash >> 33;
}

} // namespace weft
