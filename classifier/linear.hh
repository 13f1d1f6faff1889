// A handful of entries, compared with a key all at once.
#pragma once

#include "base/lanes.hh"
#include "classifier/entry.hh"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace weft {

/// Layout, for each word of the key that any of the entries asks for:
///
///   | bits of entry 0 | of entry 1 | .. | value of entry 0 | of entry 1 | ..      8 bytes each
///
/// for four, eight or sixteen entries. Both are 0 where an entry does not ask for the word, so a
/// key has an entry's bits where its words under them are the values: a vector for four entries at
/// a time.
///
/// Immutable, replaced as a whole. Invariant: entries stand in the order in which they win.
class alignas(cache_line) Linear {
public:
    static constexpr std::size_t entries_max = 16;

    Linear() = default;
    /// Of at most entries_max, those that win first.
    explicit Linear(std::span<const Entry* const> in_order);

    std::span<const Entry* const> entries() const noexcept { return {entry_.data(), count_}; }

    /// Writes best[lane] = the first entry that key[lane] matches at generation g, or nullptr, for
    /// each lane in `live`. Pure; never allocates, waits or fails. Cost: lines() cache lines, and
    /// of the candidates, until one is the answer, an entry each.
    void
    lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best) const noexcept;
    /// The entries whose bits the key has, visible or not, their ranges not yet asked: bit i for
    /// entries()[i].
    std::uint32_t candidates(const FlowKey& key) const noexcept;

    // -- seeing inside
    /// The most candidates that any key can have, from the entries alone.
    std::size_t most_candidates() const noexcept;
    /// Cache lines that a lookup reads beside entries.
    std::size_t lines() const noexcept;
    std::uint64_t memory_bytes() const noexcept { return columns_.capacity() * sizeof(Line); }

private:
    using Four = std::uint64_t __attribute__((vector_size(32)));
    struct alignas(cache_line) Line {
        std::array<Four, 2> half;
    };

    template <std::size_t fours, std::size_t words>
    struct Compare;
    template <std::size_t fours, std::size_t words>
    void
    lookup_of(const FlowKey* keys, LaneMask live, Generation g, const Entry** best) const noexcept;

    std::vector<Line> columns_;
    std::uint32_t with_ranges_ = 0; // bit i for entry i
    std::uint8_t count_ = 0;
    std::uint8_t word_count_ = 0;
    std::array<std::uint8_t, key_words> word_{}; // of each column, ascending
    std::array<const Entry*, entries_max> entry_{};
};

} // namespace weft
