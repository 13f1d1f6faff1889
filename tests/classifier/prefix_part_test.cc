#include "classifier/prefix_part.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

namespace weft {
namespace {

using test::ManualReclaimer;
using Others = std::array<std::uint64_t, PrefixKind::others_max>;

struct Random {
    std::mt19937_64 engine;
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
};

/// A route and when it is there: the specification tries all of them.
struct Known {
    Others others;
    U128 prefix;
    unsigned length;
    const void* payload;
    PrefixPart::Vrf* vrf;
    Generation born, died = never;
};

PrefixKind kind_of(bool wide, std::size_t words) {
    PrefixKind kind;
    kind.wide = wide;
    kind.word = wide ? 18 : 3;
    if (words > 0)
        kind.others.add(0, 0xffff'0000'0000'ffff);
    if (words > 1)
        kind.others.add(6, ~std::uint64_t{0});
    if (words > 2)
        kind.others.add(9, 0xff00);
    return kind;
}

class Parts : public testing::TestWithParam<std::tuple<bool, std::size_t>> {
protected:
    bool wide = std::get<0>(GetParam());
    PrefixKind kind = kind_of(wide, std::get<1>(GetParam()));
    ManualReclaimer reclaimer;
    Tries tries{reclaimer};

    void commit(PrefixPart& part, Generation g) {
        tries.narrow.commit();
        tries.wide.commit();
        part.publish(g);
    }
    U128 address(Random& random) const {
        U128 made;
        for (int flips = 0; flips < 3; ++flips)
            made = made ^ U128 { 1 } << static_cast<unsigned>(random.below(kind.bits()));
        return made;
    }
    U128 masked(U128 of, unsigned length) const {
        return of & low_bits(kind.bits()) & ~low_bits(kind.bits() - length);
    }
    Others others(Random& random) const {
        Others made{};
        for (std::size_t i = 0; i < kind.others.count; ++i)
            made[i] = random.below(3) << 8 & kind.others.bits[i];
        return made;
    }
    FlowKey key(const Others& of, U128 at) const {
        FlowKey made{};
        for (std::size_t i = 0; i < kind.others.count; ++i)
            made.word[kind.others.word[i]] = of[i] | (0x5a & ~kind.others.bits[i]);
        if (wide) {
            made.word[18] = at.high;
            made.word[19] = at.low;
        } else {
            made.word[3] = at.low | std::uint64_t{0xdead} << 32;
        }
        return made;
    }
    const void* wanted(const std::vector<Known>& all, const Others& of, U128 at, Generation g) {
        const Known* best = nullptr;
        for (const Known& one : all)
            if (one.born <= g && g < one.died && one.others == of &&
                masked(at, one.length) == one.prefix &&
                (best == nullptr || one.length > best->length))
                best = &one;
        return best == nullptr ? nullptr : best->payload;
    }
};

TEST_P(Parts, answer_as_the_longest_of_all_routes_at_every_generation_that_is_held) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        Random random{std::mt19937_64{seed}};
        PrefixPart part{kind, tries, reclaimer, random.engine()};
        std::vector<Known> all; // also of the past, while somebody holds it
        Generation now = 0, oldest = 0;
        std::uint64_t payloads = 0;
        for (int round = 0; round < 120; ++round) {
            const Generation next = now + 1;
            const bool leaving = random.below(6) == 0;
            for (std::uint64_t i = random.below(10) + 1; i > 0; --i) {
                const std::size_t at = all.empty() ? 0 : random.below(all.size());
                if (random.below(10) < (leaving ? 9u : 4u) && !all.empty() &&
                    all[at].died == never) {
                    part.erase(*all[at].vrf, all[at].prefix, all[at].length);
                    all[at].died = next;
                    continue;
                }
                const auto length = static_cast<unsigned>(random.below(kind.bits() + 1));
                Known one{
                    others(random),
                    masked(address(random), length),
                    length,
                    nullptr,
                    nullptr,
                    next};
                one.payload = reinterpret_cast<const void*>(64 * ++payloads);
                one.vrf = &part.enter(one.others);
                const bool is_there = std::any_of(all.begin(), all.end(), [&](const Known& known) {
                    return known.died == never && known.others == one.others &&
                           known.prefix == one.prefix && known.length == one.length;
                });
                ASSERT_EQ(part.set(*one.vrf, one.prefix, one.length, one.payload), !is_there);
                if (is_there)
                    part.leave(*one.vrf);
                else
                    all.push_back(one);
            }
            commit(part, next);
            now = next;
            if (now - oldest > random.below(6)) { // nobody holds the oldest any more
                oldest = now - random.below(now - oldest + 1);
                std::erase_if(all, [&](const Known& known) {
                    if (known.died > oldest)
                        return false;
                    part.leave(*known.vrf);
                    return true;
                });
            }
            if (oldest == now)
                reclaimer.run_all();
            for (Generation g = oldest; g <= now; ++g) {
                std::array<FlowKey, burst_max> keys;
                std::array<const void*, burst_max> want{}, got{};
                for (std::size_t lane = 0; lane < burst_max; ++lane) {
                    const Others of = others(random);
                    const U128 at = address(random);
                    keys[lane] = key(of, at);
                    want[lane] = wanted(all, of, at, g);
                }
                const auto live = static_cast<LaneMask>(random.engine());
                const LaneMask hit = part.lookup(keys.data(), live, g, got.data());
                ASSERT_EQ(hit & ~live, 0u);
                for (std::size_t lane = 0; lane < burst_max; ++lane)
                    ASSERT_EQ(got[lane], (live & lane_bit(lane)) != 0 ? want[lane] : nullptr)
                        << "seed " << seed << ", round " << round << ", generation " << g << " of "
                        << oldest << " to " << now;
            }
        }
        for (Known& known : all) {
            if (known.died == never)
                part.erase(*known.vrf, known.prefix, known.length);
        }
        commit(part, now + 1);
        for (Known& known : all)
            part.leave(*known.vrf);
        reclaimer.run_all();
        EXPECT_EQ(part.vrfs(), 0u);
        EXPECT_EQ(tries.narrow.used_bytes() + tries.wide.used_bytes(), 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Parts, testing::Combine(testing::Bool(), testing::Values(0u, 1u, 2u, 3u))
);

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
