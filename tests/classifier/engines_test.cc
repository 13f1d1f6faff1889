// Every engine against the specification: all rules are tried, those of the generation asked for,
// and the best one wins. One test for all of them: random rules, corners and filter sets, while
// rules come and go, tables grow and entries move, and readers hold older generations.
#include "bench/classbench.hh"
#include "tests/classifier/engines.hh"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

namespace weft {
namespace {

using test::EngineRule;
using test::Random;

/// A rule of the specification: every version that any reader may still see.
struct Known {
    EngineRule rule;
    int number; // the greater one goes first where ranks are equal
    Generation born, died = never;
};

bool matches(const Pattern& pattern, const FlowKey& key) {
    for (std::size_t i = 0; i < pattern.mask.count; ++i)
        if ((key.word[pattern.mask.word[i]] & pattern.mask.bits[i]) != pattern.value[i])
            return false;
    for (const Range& range : pattern.ranges()) {
        const std::uint64_t number = key.word[range.word] >> range.shift;
        const std::uint64_t open = range.bits == 64 ? 0 : ~std::uint64_t{0} << range.bits;
        if ((number & ~open) < range.low || (number & ~open) > range.high)
            return false;
    }
    return true;
}

int best_of(const std::vector<Known>& rules, const FlowKey& key, Generation g) {
    const Known* best = nullptr;
    for (const Known& known : rules)
        if (known.born <= g && g < known.died && matches(known.rule.pattern, key) &&
            (best == nullptr || known.rule.rank > best->rule.rank ||
             (known.rule.rank == best->rule.rank && known.number > best->number)))
            best = &known;
    return best == nullptr ? 0 : best->number;
}

/// In the rule, or just beside it: at the ends of its ranges, one bit off; the rest zeros, ones or
/// like another rule.
FlowKey key_near(const std::vector<Known>& rules, Random& random) {
    FlowKey key;
    key.word.fill(random.below(3) == 0 ? ~std::uint64_t{0} : 0);
    const auto take = [&](const Pattern& from) {
        for (std::size_t i = 0; i < from.mask.count; ++i) {
            std::uint64_t& word = key.word[from.mask.word[i]];
            word = (word & ~from.mask.bits[i]) | from.value[i];
        }
        for (const Range& range : from.ranges()) {
            const std::array<std::uint64_t, 5> some{
                range.low, range.high, range.low - 1, range.high + 1, (range.low + range.high) / 2};
            const std::uint64_t bits =
                range.bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << range.bits) - 1;
            std::uint64_t& word = key.word[range.word];
            word = (word & ~(bits << range.shift)) | (some[random.below(some.size())] & bits)
                                                         << range.shift;
        }
    };
    if (rules.empty())
        return key;
    for (std::uint64_t more = 1 + random.below(2); more != 0; --more)
        take(rules[random.below(rules.size())].rule.pattern);
    const Pattern& near = rules[random.below(rules.size())].rule.pattern;
    if (near.mask.count != 0 && random.below(3) == 0) {
        const std::size_t i = random.below(near.mask.count);
        key.word[near.mask.word[i]] ^= std::uint64_t{1} << random.below(64);
    }
    return key;
}

/// One engine and the specification, through the same changes.
template <class Engine>
class Held {
public:
    Held(std::uint64_t seed, std::uint64_t engine_seed) : random_{seed}, engine_{engine_seed} {
        for (const EngineRule& rule : engine_.first_rules())
            insert(rule);
        publish();
    }
    /// Changes of one generation: rules drawn by `next(random)` come, rules from before leave. Most
    /// of the changes are inserts while the table grows.
    template <class Next>
    void change(bool grows, Next&& next) {
        for (std::uint64_t changes = 1 + random_.below(12); changes != 0; --changes) {
            const bool comes = random_.below(10) < (grows ? 8u : 2u);
            if (comes || known_.size() == kept_)
                insert(next(random_));
            else if (Known& one = known_[kept_ + random_.below(known_.size() - kept_)];
                     one.died == never)
                expire(one);
        }
        publish();
        // Nobody holds the oldest any more, or nobody anything but the newest.
        if (random_.below(3) == 0)
            let_go(now_ - random_.below(std::min<Generation>(now_ - oldest_ + 1, 3)));
        engine_.background(random_);
    }
    void expect_right(std::size_t bursts = 1) {
        for (std::size_t burst = 0; burst < bursts; ++burst) {
            std::array<FlowKey, burst_max> keys;
            for (FlowKey& key : keys)
                key = key_near(known_, random_);
            for (Generation g = oldest_; g <= now_; ++g) {
                const auto live = static_cast<LaneMask>(random_.engine());
                std::array<int, burst_max> found{};
                engine_.lookup(keys.data(), live, g, found.data());
                for (const std::size_t lane : Lanes{live}) {
                    const int wanted = best_of(known_, keys[lane], g);
                    hits_ += wanted != 0;
                    ASSERT_EQ(found[lane], wanted)
                        << "generation " << g << " of " << oldest_ << " to " << now_;
                }
            }
        }
    }
    /// Everything leaves; nothing stays behind.
    void end() {
        for (Known& one : known_)
            if (one.died == never)
                expire(one);
        publish();
        let_go(now_);
        EXPECT_TRUE(known_.empty());
        engine_.expect_empty();
        EXPECT_GT(hits_, 0u);
    }
    Engine& engine() { return engine_; }
    std::size_t rules() const { return known_.size(); }

private:
    void insert(const EngineRule& rule) {
        if (!engine_.insert(rule, ++number_, now_ + 1))
            return;
        known_.push_back({rule, number_, now_ + 1});
        if (now_ == 0)
            kept_ = known_.size();
    }
    void expire(Known& one) {
        one.died = now_ + 1;
        engine_.expire(one.number, one.died);
    }
    void publish() { engine_.publish(++now_); }
    void let_go(Generation oldest) {
        oldest_ = oldest;
        std::erase_if(known_, [&](const Known& one) {
            if (one.died > oldest_)
                return false;
            engine_.remove(one.number);
            return true;
        });
        if (oldest_ == now_) // no reader is where it was when something was retired
            engine_.after_grace();
    }

    Random random_;
    Engine engine_;
    std::vector<Known> known_; // the first kept_ of them stay until the end
    std::size_t kept_ = 0;
    Generation now_ = 0, oldest_ = 0;
    int number_ = 0;
    std::uint64_t hits_ = 0;
};

template <class Engine>
class Engines : public testing::Test {};
TYPED_TEST_SUITE(Engines, test::EngineTypes, test::EngineNames);

TYPED_TEST(Engines, see_at_every_held_generation_exactly_its_rules) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Held<TypeParam> held{seed, seed};
        for (int commit = 0; commit < 60 && !this->HasFatalFailure(); ++commit) {
            held.change(commit % 30 < 20, [](Random& random) { return TypeParam::rule(random); });
            held.expect_right();
        }
        held.end();
    }
}

TYPED_TEST(Engines, answer_right_at_the_corners_of_what_rules_can_ask_for) {
    const std::vector<EngineRule> corners = TypeParam::corners();
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Held<TypeParam> held{seed, seed};
        for (int commit = 0; commit < 40 && !this->HasFatalFailure(); ++commit) {
            held.change(commit % 20 < 14, [&](Random& random) {
                return corners[random.below(corners.size())];
            });
            held.expect_right(2);
        }
        held.end();
    }
}

TYPED_TEST(Engines, answer_right_on_filter_sets) {
    for (const std::string name : {"acl1_1k", "fw1_1k", "ipc1_1k"}) {
        SCOPED_TRACE(name);
        const std::string path = WEFT_SHARED_DIR "/classbench/" + name;
        if (!std::ifstream{path})
            GTEST_SKIP() << "the filter sets are not here: " << path;
        const auto filters = bench::read_filters(path);
        ASSERT_TRUE(filters) << filters.error().what;
        Held<TypeParam> held{7, 7};
        for (int commit = 0; commit < 160 && !this->HasFatalFailure(); ++commit) {
            held.change(commit < 120, [&](Random& random) {
                const std::size_t at = random.below(filters->size());
                const auto priority = static_cast<std::uint32_t>(filters->size() - at);
                return TypeParam::rule_of((*filters)[at], priority, random);
            });
            held.expect_right();
        }
        held.end();
    }
}

} // namespace
} // namespace weft
