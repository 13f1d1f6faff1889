#include "bench/plain_tuples.hh"

#include "base/check.hh"

#include <algorithm>
#include <bit>
#include <utility>

namespace weft::bench {

void PlainTuples::insert(const Pattern& pattern, Rank rank, std::uintptr_t answer) {
    const Mask& mask = pattern.mask;
    const std::uint64_t name =
        KeyedHash{1}(mask.count, [&](std::size_t i) { return mask.bits[i] + mask.word[i]; });
    auto [at, end] = by_mask_.equal_range(name);
    while (at != end && !(tuples_[at->second].mask == mask))
        ++at;
    if (at == end) {
        at = by_mask_.emplace(name, tuples_.size());
        tuples_.push_back({mask, 0, {}, {}});
    }
    Tuple& tuple = tuples_[at->second];
    tuple.best = std::max(tuple.best, rank);
    Rule& rule = tuple.rules.emplace_back();
    check(mask.count <= rule.value.size() && pattern.range_count <= rule.range.size());
    rule.hash = hash_(mask.count, [&](std::size_t i) { return pattern.value[i]; });
    rule.rank = rank;
    rule.answer = answer;
    rule.range_count = pattern.range_count;
    std::copy_n(pattern.value.begin(), mask.count, rule.value.begin());
    std::copy_n(pattern.range.begin(), pattern.range_count, rule.range.begin());
}

void PlainTuples::finish() {
    by_mask_.clear();
    for (Tuple& tuple : tuples_) {
        tuple.heads.assign(std::bit_ceil(tuple.rules.size()), none);
        // The worst first, so that chains begin with the best.
        std::stable_sort(tuple.rules.begin(), tuple.rules.end(), [](const Rule& a, const Rule& b) {
            return a.rank < b.rank;
        });
        for (std::uint32_t i = 0; i < tuple.rules.size(); ++i) {
            std::uint32_t& head = tuple.heads[tuple.rules[i].hash & (tuple.heads.size() - 1)];
            tuple.rules[i].next = std::exchange(head, i);
        }
    }
    std::stable_sort(tuples_.begin(), tuples_.end(), [](const Tuple& a, const Tuple& b) {
        return a.best > b.best;
    });
}

bool PlainTuples::matches(const Rule& rule, const Tuple& tuple, const FlowKey& key) noexcept {
    for (std::size_t i = 0; i < tuple.mask.count; ++i)
        if ((key.word[tuple.mask.word[i]] & tuple.mask.bits[i]) != rule.value[i])
            return false;
    for (std::size_t i = 0; i < rule.range_count; ++i)
        if (!rule.range[i].has(key))
            return false;
    return true;
}

void PlainTuples::lookup(const FlowKey* keys, std::uintptr_t* answers) const noexcept {
    std::array<Rank, burst_max> best{};
    std::array<std::uint64_t, burst_max> hashes;
    std::fill_n(answers, burst_max, 0);
    LaneMask open = ~LaneMask{0};
    for (const Tuple& tuple : tuples_) {
        for (const std::size_t lane : Lanes{open})
            if (best[lane] > tuple.best)
                open &= ~lane_bit(lane);
        if (open == 0)
            return;
        for (const std::size_t lane : Lanes{open}) {
            hashes[lane] = hash_(tuple.mask.count, [&](std::size_t i) {
                return keys[lane].word[tuple.mask.word[i]] & tuple.mask.bits[i];
            });
            __builtin_prefetch(&tuple.heads[hashes[lane] & (tuple.heads.size() - 1)]);
        }
        for (const std::size_t lane : Lanes{open}) {
            std::uint32_t at = tuple.heads[hashes[lane] & (tuple.heads.size() - 1)];
            for (; at != none && tuple.rules[at].rank > best[lane]; at = tuple.rules[at].next)
                if (const Rule& rule = tuple.rules[at];
                    rule.hash == hashes[lane] && matches(rule, tuple, keys[lane])) {
                    best[lane] = rule.rank;
                    answers[lane] = rule.answer;
                    break;
                }
        }
    }
}

std::uint64_t PlainTuples::memory_bytes() const noexcept {
    std::uint64_t bytes = sizeof *this;
    for (const Tuple& tuple : tuples_)
        bytes += sizeof tuple + tuple.rules.capacity() * sizeof(Rule) +
                 tuple.heads.capacity() * sizeof(std::uint32_t);
    return bytes;
}

} // namespace weft::bench
