#include "classifier/tuple_filter.hh"

#include "base/check.hh"

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#endif

namespace weft {

namespace {

using Set = TupleFilter::Set;

/// There is one writer, so this is no race; readers need an order only with what it publishes. What
/// has the tuples already is not written, so that it stays in the readers' caches.
void widen(std::atomic<Set>& set, Set more) noexcept {
    const Set has = set.load(std::memory_order_relaxed);
    if ((has & more) != more)
        set.store(has | more, std::memory_order_relaxed);
}

/// A power of two of neighbours, the first one at a multiple of it.
void widen(std::atomic<Set>* first, std::size_t count, Set more) noexcept {
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
    if (count >= 8) {
        const __m256i all = _mm256_set1_epi32(static_cast<int>(more));
        auto* const end = reinterpret_cast<__m256i*>(first + count);
        for (auto* eight = reinterpret_cast<__m256i*>(first); eight != end; ++eight)
            if (const __m256i has = _mm256_load_si256(eight); _mm256_testc_si256(has, all) == 0)
                _mm256_store_si256(eight, _mm256_or_si256(has, all));
        return;
    }
#endif
    for (std::size_t i = 0; i < count; ++i)
        widen(first[i], more);
}

} // namespace

TupleFilter::TupleFilter(const FilterPlan& plan)
    : plan_{plan},
      index_mask_{(std::uint64_t{1} << plan.bits) - 1} {
    check(plan.windows.size() <= windows_max);
    for (std::size_t w = 0; w < plan.windows.size(); ++w) {
        tables_[w].window = plan.windows[w];
        const std::size_t lines = ((index_mask_ + 1) * sizeof(Set) + cache_line - 1) / cache_line;
        tables_[w].sets = {new (take_lines(lines)) std::atomic<Set>[index_mask_ + 1], { lines }};
    }
}

TupleFilter::Set TupleFilter::select(const FlowKey& key) const noexcept {
    Set set = ~Set{0};
    for (std::size_t w = 0; w < plan_.windows.size(); ++w) {
        const Table& table = tables_[w];
        const std::uint64_t at = key.word[table.window.word] >> table.window.shift & index_mask_;
        set &= table.sets[at].load(std::memory_order_relaxed);
    }
    return set;
}

template <std::size_t windows>
void TupleFilter::select_of(const FlowKey* keys, LaneMask live, Set among, Set* sets)
    const noexcept {
    std::array<const std::atomic<Set>*, windows> of;
    std::array<Window, windows> look;
    for (std::size_t w = 0; w < windows; ++w) { // in registers
        of[w] = tables_[w].sets.get();
        look[w] = tables_[w].window;
    }
    const std::uint64_t all = index_mask_;
    for_lanes(live, [&](std::size_t lane) {
        Set set = among;
        for (std::size_t w = 0; w < windows; ++w)
            set &= of[w][keys[lane].word[look[w].word] >> look[w].shift & all].load(
                std::memory_order_relaxed
            );
        sets[lane] = set;
    });
}

void TupleFilter::select(const FlowKey* keys, LaneMask live, Set among, Set* sets) const noexcept {
    static_assert(windows_max == 3);
    switch (plan_.windows.size()) {
    case 1:
        return select_of<1>(keys, live, among, sets);
    case 2:
        return select_of<2>(keys, live, among, sets);
    case 3:
        return select_of<3>(keys, live, among, sets);
    default:
        return select_of<0>(keys, live, among, sets);
    }
}

LaneMask TupleFilter::lanes_with(std::uint8_t tuple, const Set* sets) noexcept {
    if (tuple == none)
        return ~LaneMask{0};
    LaneMask lanes = 0;
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
    const __m128i to_sign = _mm_cvtsi32_si128(31 - tuple);
    for (unsigned lane = 0; lane < burst_max; lane += 8) {
        const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sets + lane));
        const __m256 signs = _mm256_castsi256_ps(_mm256_sll_epi32(eight, to_sign));
        lanes |= static_cast<LaneMask>(_mm256_movemask_ps(signs)) << lane;
    }
#else
    for (std::size_t lane = 0; lane < burst_max; ++lane)
        lanes |= (sets[lane] >> tuple & 1) << lane;
#endif
    return lanes;
}

void TupleFilter::add(std::uint8_t tuple, const Entry& entry) noexcept {
    if (tuple == none)
        return;
    const Set more = Set{1} << tuple;
    const Form& form = *entry.form;
    for (std::size_t w = 0; w < plan_.windows.size(); ++w) {
        Table& table = tables_[w];
        if ((table.open & more) != 0)
            continue;
        std::uint64_t known = 0, value = 0;
        for (std::size_t i = 0; i < form.count; ++i)
            if (form.word_at(i) == table.window.word) {
                known = form.bits()[i] >> table.window.shift & index_mask_;
                value = entry.values()[i] >> table.window.shift & known;
            }
        const std::uint64_t open = index_mask_ & ~known;
        if (std::popcount(open) > spread_max) {
            table.open |= more;
            widen(&table.sets[0], index_mask_ + 1, more);
        } else if ((open & (open + 1)) == 0) { // as a prefix leaves it
            widen(&table.sets[value], open + 1, more);
        } else {
            spread(plan_.bits, spread_max, known, value, [&](std::uint64_t at) {
                widen(table.sets[at], more);
            });
        }
    }
}

std::uint64_t TupleFilter::memory_bytes() const noexcept {
    return sizeof *this + plan_.windows.size() * (index_mask_ + 1) * sizeof(Set);
}

} // namespace weft
