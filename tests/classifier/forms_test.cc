#include "classifier/forms.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;

/// One of few masks, of up to nine words, and up to three ranges.
Pattern random_pattern(std::mt19937_64& random) {
    Pattern pattern;
    const std::size_t words = random() % 10;
    for (std::uint8_t word = 0; word < words; ++word)
        pattern.add(static_cast<std::uint8_t>(3 * word), 0xff << random() % 2, random());
    for (pattern.range_count = 0; pattern.range_count < random() % 4; ++pattern.range_count)
        pattern.range[pattern.range_count] = {
            .word = 2, .shift = 4, .bits = 16, .low = random() % 2, .high = 2 + random() % 2};
    return pattern;
}

void expect_form_of(const Form& form, const Pattern& pattern) {
    EXPECT_EQ(form.mask(), pattern.mask);
    EXPECT_TRUE(std::equal(
        form.ranges(),
        form.ranges() + form.range_count,
        pattern.ranges().begin(),
        pattern.ranges().end()
    ));
    const auto at = reinterpret_cast<std::uintptr_t>(&form);
    EXPECT_EQ(at % 32, 0u);
    for (std::size_t i = pattern.mask.count; i < 3; ++i) {
        EXPECT_EQ(form.bits()[i], 0u);
        EXPECT_EQ(form.word[i], 0u);
    }
}

TEST(Forms, patterns_that_differ_in_values_alone_share_one_until_the_last_of_them_leaves) {
    ManualReclaimer reclaimer;
    Forms forms;
    std::mt19937_64 random{1};
    struct Held {
        Pattern pattern;
        std::uint64_t users = 0;
        Rank best_rank = 0;
    };
    std::map<const Form*, Held> held;
    std::vector<const Form*> uses;
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 5'000 < 2'600 || uses.empty()) {
            const Pattern pattern = random_pattern(random);
            const Rank rank = random();
            const Form& form = forms.use(pattern, rank);
            expect_form_of(form, pattern);
            Held& one = held[&form];
            if (one.users == 0)
                one = {pattern, 0, 0};
            ++one.users;
            one.best_rank = std::max(one.best_rank, rank);
            uses.push_back(&form);
        } else {
            std::swap(uses[random() % uses.size()], uses.back());
            expect_form_of(*uses.back(), held[uses.back()].pattern);
            if (--held[uses.back()].users == 0)
                held.erase(uses.back());
            forms.leave(*uses.back(), reclaimer);
            uses.pop_back();
        }
        if (step % 100 == 0)
            reclaimer.run();
        ASSERT_EQ(forms.count(), held.size());
    }
    std::size_t seen = 0;
    forms.for_each([&](const Form& form, std::uint64_t users, Rank best_rank) {
        ++seen;
        EXPECT_EQ(users, held.at(&form).users);
        EXPECT_EQ(best_rank, held.at(&form).best_rank);
        expect_form_of(form, held.at(&form).pattern);
    });
    EXPECT_EQ(seen, held.size());
    EXPECT_GT(seen, 500u);
}

TEST(Forms, a_note_stays_until_all_are_forgotten_or_its_form_leaves) {
    ManualReclaimer reclaimer;
    Forms forms;
    Pattern pattern;
    pattern.add(1, 0xff, 5);
    const Form& first = forms.use(pattern, 1);
    EXPECT_EQ(forms.note_of(first), Forms::nothing);
    forms.note(first, 7);
    EXPECT_EQ(forms.note_of(forms.use(pattern, 1)), 7u);
    forms.forget_notes();
    EXPECT_EQ(forms.note_of(first), Forms::nothing);
    forms.note(first, 8);
    forms.leave(first, reclaimer);
    forms.leave(first, reclaimer);
    EXPECT_EQ(forms.note_of(forms.use(pattern, 1)), Forms::nothing);
}

TEST(Forms, what_left_makes_room_for_what_comes) {
    ManualReclaimer reclaimer;
    Forms forms;
    std::uint64_t after_one_round = 0;
    for (std::uint64_t round = 0; round < 20; ++round) {
        std::vector<const Form*> all;
        for (std::uint64_t i = 0; i < 1'000; ++i) {
            Pattern pattern;
            pattern.add(1, round << 32 | i << 1 | 1, 0);
            all.push_back(&forms.use(pattern, 1));
        }
        for (const Form* form : all)
            forms.leave(*form, reclaimer);
        EXPECT_EQ(forms.count(), 0u);
        EXPECT_EQ(reclaimer.waiting(), 1'000u);
        reclaimer.run();
        if (round == 0)
            after_one_round = forms.memory_bytes();
    }
    EXPECT_EQ(forms.memory_bytes(), after_one_round);
}

} // namespace
} // namespace weft
