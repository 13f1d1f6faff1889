// A plain tuple space search, the baseline of classifier_bench: a hash for each mask that a rule
// has, in the order of the best rank in each, with early stop. What Open vSwitch does without its
// caches.
#pragma once

#include "base/hash.hh"
#include "base/lanes.hh"
#include "classifier/entry.hh"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weft::bench {

/// Built once, in any order of ranks; no changes.
class PlainTuples {
public:
    /// `answer` is what a hit says, never 0.
    void insert(const Pattern& pattern, Rank rank, std::uintptr_t answer);
    void finish();
    /// The answer of the best rule of each key, or 0.
    void lookup(const FlowKey* keys, std::uintptr_t* answers) const noexcept;
    std::size_t tuples() const noexcept { return tuples_.size(); }
    std::uint64_t memory_bytes() const noexcept;

private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    struct Rule {
        std::uint64_t hash;
        Rank rank;
        std::uintptr_t answer;
        std::uint32_t next = none; // under the same hash, not better
        std::uint8_t range_count = 0;
        std::array<std::uint64_t, 4> value{};
        std::array<Range, 2> range{};
    };
    struct Tuple {
        Mask mask;
        Rank best = 0;
        std::vector<Rule> rules;
        std::vector<std::uint32_t> heads; // a power of two
    };

    static bool matches(const Rule& rule, const Tuple& tuple, const FlowKey& key) noexcept;

    KeyedHash hash_{0x5eed};
    std::vector<Tuple> tuples_; // after finish() the best rank first
    std::unordered_multimap<std::uint64_t, std::size_t> by_mask_;
};

} // namespace weft::bench
