// One term of a rule as lookups see it: when it is visible, how it ranks, and the masked words that
// a key must have.
#pragma once

#include "base/ids.hh"
#include "base/key.hh"

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace weft {

/// What lookups compare: priority in the upper 32 bits, how many bits the row's match asks for
/// below. Between equal ranks of different masks the greater mask wins (greater()), within one mask
/// the writer's order of the chain.
using Rank = std::uint64_t;
constexpr Rank make_rank(std::uint32_t priority, std::size_t mask_bits) noexcept {
    return std::uint64_t{priority} << 32 | mask_bits;
}
constexpr std::uint32_t priority_of(Rank rank) noexcept {
    return static_cast<std::uint32_t>(rank >> 32);
}

/// Which words of the key a term looks at, and which bits of each. Words ascend.
struct Mask {
    std::uint8_t count = 0;
    std::array<std::uint8_t, key_words> word{};
    std::array<std::uint64_t, key_words> bits{};

    void add(std::uint8_t at, std::uint64_t mask) noexcept {
        word[count] = at;
        bits[count] = mask;
        ++count;
    }
    std::size_t bit_count() const noexcept {
        std::size_t total = 0;
        for (std::size_t i = 0; i < count; ++i)
            total += static_cast<std::size_t>(std::popcount(bits[i]));
        return total;
    }
    WordMask words() const noexcept {
        WordMask all = 0;
        for (std::size_t i = 0; i < count; ++i)
            all |= WordMask{1} << word[i];
        return all;
    }
    friend bool operator==(const Mask& a, const Mask& b) noexcept {
        return a.count == b.count &&
               std::equal(a.word.begin(), a.word.begin() + a.count, b.word.begin()) &&
               std::equal(a.bits.begin(), a.bits.begin() + a.count, b.bits.begin());
    }
};

/// The greater mask, compared word by word from the first as unsigned numbers; a word that is not
/// there is 0.
bool greater(const Mask& a, const Mask& b) noexcept;

/// Layout (one cache line, and more only for masks of four words and up):
///
///    0       8       16      24      32        40                64
///   | born  | died  | rank  | next  | payload | value[0..2]      | value[3..]
///
/// Invariants: (1) `value` has no bit outside its tuple's mask; (2) a chain over `next` holds
/// entries of one tuple with equal values, best rank first; (3) `born`, `rank` and `value` never
/// change once readers can reach the entry; `died` changes once, from `never`.
struct alignas(cache_line) Entry {
    Generation born = 0;
    std::atomic<Generation> died{never};
    Rank rank = 0;
    std::atomic<Entry*> next{nullptr};
    const void* payload = nullptr; // the owner's: what to do on a hit
    std::uint64_t value[3];        // and beyond, as many as the mask has words

    bool visible(Generation g) const noexcept {
        return born <= g && g < died.load(std::memory_order_relaxed);
    }
    static std::size_t bytes(std::size_t words) noexcept {
        const std::size_t size = offsetof(Entry, value) + words * sizeof(std::uint64_t);
        return (size + cache_line - 1) / cache_line * cache_line;
    }
    /// Room for `words` values; freed by destroy().
    static Entry* make(std::size_t words) {
        void* memory = std::aligned_alloc(cache_line, bytes(words));
        if (memory == nullptr)
            std::abort();
        return new (memory) Entry;
    }
    static void destroy(Entry* entry) noexcept {
        entry->~Entry();
        std::free(entry);
    }
    std::uint64_t* values() noexcept { return value; }
    const std::uint64_t* values() const noexcept { return value; }
};
static_assert(sizeof(Entry) == cache_line);

} // namespace weft
