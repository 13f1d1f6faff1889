// One term of a rule as lookups see it: when it is visible, how it ranks, and what it asks of a
// key.
#pragma once

#include "base/ids.hh"
#include "base/key.hh"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>
#include <type_traits>

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

/// A condition that the bits of a mask cannot say: the `bits` bits of `word` from `shift` up, as a
/// number, lie in [low, high].
struct Range {
    std::uint8_t word = 0;
    std::uint8_t shift = 0;
    std::uint8_t bits = 0;
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    bool has(const FlowKey& key) const noexcept {
        const std::uint64_t all = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
        return (key.word[word] >> shift & all) - low <= high - low;
    }
    friend bool operator==(const Range&, const Range&) = default;
};

/// What one term asks of a key, as the writer gives it: every word under `mask` has its value, and
/// every range holds. The bits that all numbers of a range share belong to the mask, too, so that
/// hashes use them.
struct Pattern {
    static constexpr std::size_t ranges_max = 4;

    Mask mask;
    std::array<std::uint64_t, key_words> value; // of mask.word[i], no bit outside mask.bits[i]
    std::uint8_t range_count = 0;
    std::array<Range, ranges_max> range;

    void add(std::uint8_t word, std::uint64_t bits, std::uint64_t of) noexcept {
        value[mask.count] = of & bits;
        mask.add(word, bits);
    }
    std::span<const Range> ranges() const noexcept { return {range.data(), range_count}; }
};

/// A pattern without its values: entries that differ in values alone share one. Made and counted
/// by Forms; immutable while readers can reach it.
///
/// Layout (from a multiple of 32 bytes, so that all of up to three words without ranges lies in one
/// cache line, and in half of it):
///
///    0       1            4              8                  8 + 8 max(3, count)
///   | count | word[0..2] | use, ranges  | bits[0..count-1] | Range[ranges] | word[3..]
struct Form {
    static constexpr std::size_t words_inline = 3;
    static constexpr unsigned use_bits = 29;

    std::uint8_t count = 0;
    std::uint8_t word[words_inline] = {};
    std::uint32_t use : use_bits = 0; // the writer's number for it
    std::uint32_t range_count : 3 = 0;

    const std::uint64_t* bits() const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this + 1);
    }
    const Range* ranges() const noexcept {
        return reinterpret_cast<const Range*>(bits() + std::max(std::size_t{count}, words_inline));
    }
    /// At most three words and no range.
    bool is_plain() const noexcept { return count <= words_inline && range_count == 0; }
    std::uint8_t word_at(std::size_t i) const noexcept {
        if (i < words_inline)
            return word[i];
        return reinterpret_cast<const std::uint8_t*>(ranges() + range_count)[i - words_inline];
    }
    Mask mask() const noexcept {
        Mask all;
        for (std::size_t i = 0; i < count; ++i)
            all.add(word_at(i), bits()[i]);
        return all;
    }
};
static_assert(sizeof(Form) == 8 && Pattern::ranges_max < 8);

/// What an entry says on a hit, its owner's alone. Lookups say 0 where there is no entry.
using Payload = std::uint64_t;

/// Layout (one cache line, and more only for masks of four words and up):
///
///    0       8       16      24        32     40                64
///   | born  | died  | rank  | payload | form | value[0..2]      | value[3..]
///
/// Invariants: (1) `value` has no bit outside its form's; (2) nothing but `died` changes while
/// readers can reach the entry; `died` changes once, from `never`.
struct alignas(cache_line) Entry {
    Generation born = 0;
    std::atomic<Generation> died{never};
    Rank rank = 0;
    Payload payload = 0;
    const Form* form = nullptr;
    std::uint64_t value[3] = {}; // and beyond, as many as the form has words

    bool visible(Generation g) const noexcept {
        return born <= g && g < died.load(std::memory_order_relaxed);
    }
    static std::size_t bytes(std::size_t words) noexcept {
        const std::size_t size = offsetof(Entry, value) + words * sizeof(std::uint64_t);
        return (size + cache_line - 1) / cache_line * cache_line;
    }
    std::uint64_t* values() noexcept { return value; }
    const std::uint64_t* values() const noexcept { return value; }

    /// The first three words, without a branch: forms and entries have zeros where there are fewer.
    std::uint64_t differs(const FlowKey& key) const noexcept {
        const std::uint64_t* const bits = form->bits();
        std::uint64_t all = 0;
        for (std::size_t i = 0; i < std::size(value); ++i)
            all |= (key.word[form->word[i]] & bits[i]) ^ value[i];
        return all;
    }
    /// What a form asks for beyond three words.
    bool rest_matches(const FlowKey& key) const noexcept {
        for (std::size_t i = std::size(value); i < form->count; ++i)
            if ((key.word[form->word_at(i)] & form->bits()[i]) != values()[i])
                return false;
        for (std::size_t i = 0; i < form->range_count; ++i)
            if (!form->ranges()[i].has(key))
                return false;
        return true;
    }
    bool matches(const FlowKey& key) const noexcept {
        return differs(key) == 0 && (form->is_plain() || rest_matches(key));
    }
};
static_assert(sizeof(Entry) == cache_line);

/// What lookups give for an entry or none: Result is const Entry*, or Payload for what it is for.
template <class Result>
Result result_of(const Entry* entry) noexcept {
    if constexpr (std::is_same_v<Result, Payload>)
        return entry == nullptr ? 0 : entry->payload;
    else
        return entry;
}
/// The same for one that may be invisible at `g`: as visible(), of which the compiler makes a jump.
template <class Result>
Result result_at(const Entry& entry, Generation g) noexcept {
    if (g < entry.born) [[unlikely]]
        return Result{};
    if (g >= entry.died.load(std::memory_order_relaxed)) [[unlikely]]
        return Result{};
    return result_of<Result>(&entry);
}

} // namespace weft
