#include "classifier/prefix_part.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

namespace weft {
namespace {

struct Random {
    std::mt19937_64 engine;
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
};

PrefixKind kind_of(bool wide, std::size_t words) {
    PrefixKind kind;
    kind.wide = wide;
    kind.word = wide ? 18 : 3;
    if (words > 0)
        kind.others.add(0, 0xffff'0000'0000'ffff);
    if (words > 1)
        kind.others.add(6, ~std::uint64_t{0});
    return kind;
}

TEST(PrefixKindTest, a_rules_pattern_has_its_other_words_and_its_prefix_in_the_order_of_words) {
    const PrefixKind kind = kind_of(false, 2);
    const Pattern pattern =
        pattern_of(kind, {.others = {7, 9, 0}, .prefix = U128{0x0a00'0000}, .length = 8});
    ASSERT_EQ(pattern.mask.count, 3);
    EXPECT_EQ(pattern.mask.word[1], 3);
    EXPECT_EQ(pattern.mask.bits[1], 0xff00'0000u);
    EXPECT_EQ(pattern.value[0], 7u);
    EXPECT_EQ(pattern.value[1], 0x0a00'0000u);
    EXPECT_EQ(pattern.value[2], 9u);
    EXPECT_EQ(kind.mask(0), kind.others);
    EXPECT_EQ(kind_of(true, 0).mask(65).bit_count(), 65u);
}

TEST(PrefixRanksTest, admit_what_keeps_the_order_of_lengths_as_trying_all_pairs_does) {
    Random random{std::mt19937_64{5}};
    for (int turn = 0; turn < 200; ++turn) {
        PrefixRanks ranks{3};
        std::multimap<unsigned, std::uint32_t> in;
        for (int i = 0; i < 60; ++i) {
            static constexpr std::array<unsigned, 9> some{0, 1, 24, 63, 64, 65, 127, 128, 32};
            const unsigned length = some[random.below(some.size())];
            const auto priority = static_cast<std::uint32_t>(random.below(8) + length / 16);
            const bool fits = std::all_of(in.begin(), in.end(), [&](const auto& other) {
                return other.first == length  ? other.second == priority
                       : other.first < length ? other.second <= priority
                                              : other.second >= priority;
            });
            ASSERT_EQ(ranks.admits(length, priority), fits);
            if (fits) {
                ranks.enter(length, priority);
                in.emplace(length, priority);
            } else {
                const auto gone =
                    std::next(in.begin(), static_cast<std::ptrdiff_t>(random.below(in.size())));
                ranks.leave(gone->first);
                in.erase(gone);
            }
            ASSERT_EQ(ranks.empty(), in.empty());
            if (in.empty())
                continue;
            ASSERT_EQ(ranks.best(), make_rank(in.rbegin()->second, 3 + in.rbegin()->first));
            ASSERT_EQ(ranks.worst(), make_rank(in.begin()->second, 3 + in.begin()->first));
        }
    }
}

} // namespace
} // namespace weft
