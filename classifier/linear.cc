#include "classifier/linear.hh"

#include "base/check.hh"

#include <algorithm>
#include <bit>
#include <type_traits>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace weft {

namespace {

/// Vectors for so many entries.
constexpr std::size_t fours_of(std::size_t entries) noexcept {
    return entries <= 4 ? 1 : entries <= 8 ? 2 : 4;
}

/// Bit i: number i is 0.
template <class Four>
std::uint32_t zeros(const Four& four) noexcept {
#ifdef __AVX2__
    const auto equal = reinterpret_cast<__m256d>(four == 0);
    return static_cast<std::uint32_t>(_mm256_movemask_pd(equal));
#else
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i)
        bits |= std::uint32_t{four[i] == 0} << i;
    return bits;
#endif
}

bool ranges_hold(const Entry& entry, const FlowKey& key) noexcept {
    const Range* const range = entry.form->ranges();
    for (std::size_t i = 0; i < entry.form->range_count; ++i)
        if (!range[i].has(key))
            return false;
    return true;
}

/// Whether some key has the bits of both.
bool go_together(const Entry& a, const Entry& b) noexcept {
    for (std::size_t i = 0, j = 0; i < a.form->count && j < b.form->count;) {
        const std::uint8_t word = a.form->word_at(i), other = b.form->word_at(j);
        if (word == other &&
            ((a.values()[i] ^ b.values()[j]) & a.form->bits()[i] & b.form->bits()[j]) != 0)
            return false;
        i += word <= other;
        j += other <= word;
    }
    return true;
}

} // namespace

Linear::Linear(std::span<const Entry* const> in_order)
    : count_{static_cast<std::uint8_t>(in_order.size())} {
    check(in_order.size() <= entries_max);
    std::copy(in_order.begin(), in_order.end(), entry_.begin());
    WordMask words = 0;
    for (std::size_t i = 0; i < count_; ++i) {
        words |= entry_[i]->form->mask().words();
        with_ranges_ |= std::uint32_t{entry_[i]->form->range_count != 0} << i;
    }
    for (; words != 0; words &= words - 1)
        word_[word_count_++] = static_cast<std::uint8_t>(std::countr_zero(words));
    const std::size_t fours = fours_of(count_);
    columns_.resize(fours * word_count_);
    for (std::size_t i = 0; i < count_; ++i) {
        const Form& form = *entry_[i]->form;
        std::size_t column = 0;
        for (std::size_t asked = 0; asked < form.count; ++asked) {
            while (word_[column] != form.word_at(asked))
                ++column;
            const std::size_t bits = 2 * fours * column + i / 4, value = bits + fours;
            columns_[bits / 2].half[bits % 2][i % 4] = form.bits()[asked];
            columns_[value / 2].half[value % 2][i % 4] = entry_[i]->values()[asked];
        }
    }
}

/// What stays the same for all lanes, at hand for the loop over them; for `words` columns, 0: any
/// number.
template <std::size_t fours, std::size_t words>
struct Linear::Compare {
    const Line* columns;
    std::size_t count;
    std::uint32_t all;
    std::conditional_t<words == 0, const std::uint8_t*, std::array<std::uint8_t, words>> word;

    explicit Compare(const Linear& linear) noexcept
        : columns{linear.columns_.data()},
          count{words == 0 ? linear.word_count_ : words},
          all{first_lanes(linear.count_)} {
        if constexpr (words == 0)
            word = linear.word_.data();
        else
            std::copy_n(linear.word_.begin(), words, word.begin());
    }
    std::uint32_t operator()(const FlowKey& key) const noexcept {
        std::array<Four, fours> differs{};
        const auto column = [&](std::size_t i) { return columns[i / 2].half[i % 2]; };
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t four = 0; four < fours; ++four) {
                const std::size_t bits = 2 * fours * i + four;
                differs[four] |= (key.word[word[i]] & column(bits)) ^ column(bits + fours);
            }
        std::uint32_t has = 0;
        for (std::size_t four = 0; four < fours; ++four)
            has |= zeros(differs[four]) << 4 * four;
        return has & all;
    }
};

template <std::size_t fours, std::size_t words>
void Linear::lookup_of(const FlowKey* keys, LaneMask live, Generation g, const Entry** best)
    const noexcept {
    const Compare<fours, words> candidates_of{*this};
    const std::uint32_t with_ranges = with_ranges_;
    for (const std::size_t lane : Lanes{live}) {
        const Entry* found = nullptr;
        for (const std::size_t i : Lanes{candidates_of(keys[lane])})
            if (entry_[i]->visible(g) &&
                ((with_ranges >> i & 1) == 0 || ranges_hold(*entry_[i], keys[lane]))) {
                found = entry_[i];
                break;
            }
        best[lane] = found;
    }
}

void Linear::lookup(const FlowKey* keys, LaneMask live, Generation g, const Entry** best)
    const noexcept {
    const auto in = [&]<std::size_t fours>() {
        switch (word_count_) {
        case 1:
            return lookup_of<fours, 1>(keys, live, g, best);
        case 2:
            return lookup_of<fours, 2>(keys, live, g, best);
        case 3:
            return lookup_of<fours, 3>(keys, live, g, best);
        case 4:
            return lookup_of<fours, 4>(keys, live, g, best);
        default:
            return lookup_of<fours, 0>(keys, live, g, best);
        }
    };
    switch (fours_of(count_)) {
    case 1:
        return in.template operator()<1>();
    case 2:
        return in.template operator()<2>();
    default:
        return in.template operator()<4>();
    }
}

std::uint32_t Linear::candidates(const FlowKey& key) const noexcept {
    switch (fours_of(count_)) {
    case 1:
        return Compare<1, 0>{*this}(key);
    case 2:
        return Compare<2, 0>{*this}(key);
    default:
        return Compare<4, 0>{*this}(key);
    }
}

// -- seeing inside

std::size_t Linear::most_candidates() const noexcept {
    std::array<std::uint32_t, entries_max> with{}; // that go together with each
    for (std::size_t i = 0; i < count_; ++i)
        for (std::size_t j = 0; j < count_; ++j)
            with[i] |= std::uint32_t{i != j && go_together(*entry_[i], *entry_[j])} << j;
    // Patterns of bits that go together pairwise do so all at once: the largest clique.
    const auto most_of = [&](const auto& self, std::uint32_t among) -> std::size_t {
        if (among == 0)
            return 0;
        const auto first = static_cast<std::size_t>(std::countr_zero(among));
        const std::uint32_t rest = among & (among - 1);
        const std::size_t taken = 1 + self(self, rest & with[first]);
        return (rest & ~with[first]) == 0 ? taken : std::max(taken, self(self, rest));
    };
    return most_of(most_of, first_lanes(count_));
}

std::size_t Linear::lines() const noexcept {
    if (count_ == 0)
        return 0;
    constexpr std::size_t entries_a_line = cache_line / sizeof(const Entry*);
    return 1 + (count_ + entries_a_line - 1) / entries_a_line + columns_.size();
}

} // namespace weft
