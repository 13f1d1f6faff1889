// The engines as one test drives them: an adapter for each, with rules that suit it.
#pragma once

#include "bench/classbench.hh"
#include "classifier/prefix_part.hh"
#include "classifier/tuple_plan.hh"
#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace weft::test {

struct Random {
    std::mt19937_64 engine;
    explicit Random(std::uint64_t seed) : engine{seed} {}
    std::uint64_t below(std::uint64_t n) { return engine() % n; }
    template <class T, std::size_t count>
    T one_of(const std::array<T, count>& some) {
        return some[below(count)];
    }
};

/// What both sides are told: the specification reads pattern and rank, longest prefix match the
/// route that they stand for.
struct EngineRule {
    Pattern pattern;
    Rank rank = 0;
    PrefixRule route{};
};

inline EngineRule ranked(const Pattern& pattern, std::uint32_t priority) {
    return {pattern, make_rank(priority, pattern.mask.bit_count())};
}

inline Payload payload_of(int number) {
    return static_cast<Payload>(number) * 64;
}
inline int number_of(Payload payload) {
    return static_cast<int>(payload / 64);
}

/// A tuple space; what its rules are like makes it one engine or another.
class InTupleSpace {
public:
    explicit InTupleSpace(std::uint64_t seed) : space_{reclaimer_, seed * 0x9e37'79b9, newer} {}

    bool insert(const EngineRule& rule, int number, Generation born) {
        entries_[number] = space_.insert(rule.pattern, rule.rank, born, payload_of(number));
        return true;
    }
    void expire(int number, Generation died) { space_.expire(*entries_.at(number), died); }
    void remove(int number) {
        space_.remove(*entries_.at(number));
        entries_.erase(number);
    }
    void publish(Generation) {}
    void after_grace() { reclaimer_.run_all(); }
    void lookup(const FlowKey* keys, LaneMask live, Generation g, int* found) const {
        std::array<const Entry*, burst_max> best{};
        space_.lookup(keys, live, g, best.data());
        for (const std::size_t lane : Lanes{live})
            found[lane] = best[lane] == nullptr ? 0 : number_of(best[lane]->payload);
    }
    void expect_empty() {
        after_grace();
        EXPECT_EQ(space_.entries(), 0u);
    }

protected:
    static bool newer(const Entry& a, const Entry& b) {
        return number_of(a.payload) > number_of(b.payload);
    }
    static EngineRule from(const bench::Filter& filter, std::uint32_t priority) {
        const std::vector<Pattern> patterns = bench::patterns_of(filter);
        return ranked(patterns.empty() ? Pattern{} : patterns.front(), priority);
    }

    ManualReclaimer reclaimer_;
    TupleSpace space_;
    std::map<int, Entry*> entries_;
};

/// Any rules: few words and few values, so that they overlap, equal each other and hit.
class GeneralEngine : public InTupleSpace {
public:
    using InTupleSpace::InTupleSpace;
    static std::vector<EngineRule> first_rules() { return {}; }
    static EngineRule rule(Random& random) {
        static constexpr std::array<std::uint64_t, 5> masks{
            0xff, 0xf0, 0x0f, ~std::uint64_t{0}, 0x3c};
        Pattern pattern;
        const std::uint64_t sparse = 2 + random.below(3);
        for (std::uint8_t word = 0; word < 9; ++word)
            if (random.below(sparse) == 0)
                pattern.add(word, random.one_of(masks), random.below(4) * 0x11);
        while (pattern.range_count < 2 && random.below(3) == 0) {
            const std::uint64_t low = random.below(0x34);
            pattern.range[pattern.range_count++] = {
                static_cast<std::uint8_t>(random.below(9)), 0, 8, low, low + random.below(0x34)};
        }
        static constexpr std::array<std::uint32_t, 4> priorities{0, 1, 40'000'000, 0xffff'ffff};
        return ranked(pattern, random.one_of(priorities));
    }
    static std::vector<EngineRule> corners() {
        constexpr std::uint64_t all = ~std::uint64_t{0}, top = std::uint64_t{1} << 63;
        std::vector<EngineRule> rules;
        for (const std::uint32_t priority : {0u, 1u, 0xffff'ffffu}) {
            rules.push_back(ranked({}, priority));
            for (const std::uint8_t word : {std::uint8_t{0}, std::uint8_t{key_words - 1}})
                for (const std::uint64_t bits : {all, top, std::uint64_t{1}, all << 32})
                    for (const std::uint64_t value : {std::uint64_t{0}, all}) {
                        Pattern pattern;
                        pattern.add(word, bits, value);
                        rules.push_back(ranked(pattern, priority));
                    }
            Pattern whole; // every bit of every word
            for (std::uint8_t word = 0; word < key_words; ++word)
                whole.add(word, all, all);
            rules.push_back(ranked(whole, priority));
            for (const Range& range :
                 {Range{1, 0, 64, 0, all},
                  Range{1, 0, 64, all, all},
                  Range{1, 63, 1, 0, 0},
                  Range{2, 16, 16, 0, 0xfffe},
                  Range{2, 16, 16, 1, 0xffff},
                  Range{2, 48, 16, 7, 7}}) {
                Pattern pattern;
                pattern.range[pattern.range_count++] = range;
                rules.push_back(ranked(pattern, priority));
                pattern.range[pattern.range_count++] = {3, 0, 32, 1, 0xffff'fffe};
                pattern.add(4, 1, 1);
                rules.push_back(ranked(pattern, priority));
            }
        }
        return rules;
    }
    static EngineRule rule_of(const bench::Filter& filter, std::uint32_t priority, Random&) {
        return from(filter, priority);
    }
    /// Other tuples now and then, and a slice of moving.
    void background(Random& random) {
        if (random.below(6) == 0 && !space_.is_moving() && !space_.is_linear())
            space_.adopt(plan_tuples(space_.sample(8 + random.below(60), random.engine()), 1));
        space_.move_some(1 + random.below(40));
        const TupleSpace::Bound cost = space_.cost(FlowKey{}, 1), bound = space_.bound();
        EXPECT_LE(cost.probes, bound.probes);
        EXPECT_LE(cost.lines, bound.lines);
        EXPECT_LE(cost.entries, bound.entries);
    }
};

/// A handful of any rules: what is more is not let in.
class LinearEngine : public GeneralEngine {
public:
    using GeneralEngine::GeneralEngine;
    bool insert(const EngineRule& rule, int number, Generation born) {
        return space_.entries() < TupleSpace::linear_max &&
               GeneralEngine::insert(rule, number, born);
    }
    void background(Random&) {
        EXPECT_TRUE(space_.is_linear());
        EXPECT_LE(space_.cost(FlowKey{}, 1).entries, space_.bound().entries);
    }
};

/// One mask for all, many of one value and few: exact-match hash.
class ExactEngine : public InTupleSpace {
public:
    using InTupleSpace::InTupleSpace;
    static constexpr std::uint64_t bits1 = 0xffff'ffff'ffff'0000, bits2 = 0xff;

    static EngineRule exactly(std::uint64_t value1, std::uint64_t value2, std::uint32_t priority) {
        Pattern pattern;
        pattern.add(1, bits1, value1);
        pattern.add(40, bits2, value2);
        return ranked(pattern, priority);
    }
    /// More than a handful.
    static std::vector<EngineRule> first_rules() {
        std::vector<EngineRule> rules;
        for (std::uint64_t i = 0; i <= TupleSpace::linear_max; ++i)
            rules.push_back(exactly(i << 40, i, 1));
        return rules;
    }
    static EngineRule rule(Random& random) {
        return exactly(
            random.below(40) << 16, random.below(2), static_cast<std::uint32_t>(random.below(2))
        );
    }
    static std::vector<EngineRule> corners() {
        std::vector<EngineRule> rules;
        for (const std::uint64_t value1 : {std::uint64_t{0}, bits1, std::uint64_t{1} << 63})
            for (const std::uint64_t value2 : {std::uint64_t{0}, bits2})
                for (const std::uint32_t priority : {0u, 0xffff'ffffu})
                    rules.push_back(exactly(value1, value2, priority));
        return rules;
    }
    static EngineRule rule_of(const bench::Filter& filter, std::uint32_t priority, Random&) {
        return exactly(
            std::uint64_t{filter.src} << 32 | (filter.dst & 0xffff'0000), filter.proto, priority
        );
    }
    void background(Random&) {
        while (space_.move_some(16))
            after_grace();
        EXPECT_EQ(space_.tuples(), 1u);
        EXPECT_FALSE(space_.is_linear());
    }
};

/// Exact matches on one word with small values, in versions and of several priorities, now and then
/// one too large: direct index.
class DirectEngine : public ExactEngine {
public:
    using ExactEngine::ExactEngine;
    static constexpr std::uint64_t bits = 0xffff'0000;

    static EngineRule of_value(std::uint64_t value, std::uint32_t priority) {
        Pattern pattern;
        pattern.add(1, bits, value << 16);
        return ranked(pattern, priority);
    }
    static std::vector<EngineRule> first_rules() {
        std::vector<EngineRule> rules;
        for (std::uint64_t i = 0; i <= TupleSpace::linear_max; ++i)
            rules.push_back(of_value(i, 1));
        return rules;
    }
    static EngineRule rule(Random& random) {
        static constexpr std::array<std::uint64_t, 4> below{30, 60, 130, 200};
        return of_value(
            random.below(random.one_of(below)), static_cast<std::uint32_t>(random.below(2))
        );
    }
    /// The last one that has a slot and the first one that has not.
    static std::vector<EngineRule> corners() {
        std::vector<EngineRule> rules;
        for (const std::uint64_t value : {0ul, 63ul, 64ul, 4095ul, 4096ul, 0xfffful})
            for (const std::uint32_t priority : {0u, 0xffff'ffffu})
                rules.push_back(of_value(value, priority));
        return rules;
    }
    static EngineRule rule_of(const bench::Filter& filter, std::uint32_t priority, Random&) {
        return of_value(filter.dst_port[0] % 300, priority);
    }
};

/// Exact matches, each for what the one before leaves, and a default: in versions and of several
/// priorities, now and then of one that wins over what should come first.
class ChainEngine : public ExactEngine {
public:
    using ExactEngine::ExactEngine;

    static EngineRule by_one_word(std::uint64_t value, std::uint32_t priority) {
        Pattern pattern;
        pattern.add(1, bits1, value);
        return ranked(pattern, priority);
    }
    static std::vector<EngineRule> first_rules() {
        std::vector<EngineRule> rules;
        for (std::uint64_t i = 0; i <= TupleSpace::linear_max; ++i)
            rules.push_back(exactly(i << 40, i, 4));
        rules.push_back(by_one_word(0, 2));
        rules.push_back(ranked({}, 0));
        return rules;
    }
    static EngineRule rule(Random& random) {
        const std::uint32_t more = random.below(50) == 0 ? 2 : random.below(2) != 0;
        const std::uint64_t value = random.below(40) << 16;
        switch (random.below(6)) {
        case 0:
            return ranked({}, more);
        case 1:
        case 2:
            return by_one_word(value, 2 + more);
        default:
            return exactly(value, random.below(2), 4 + more);
        }
    }
    static std::vector<EngineRule> corners() {
        std::vector<EngineRule> rules = ExactEngine::corners();
        for (const std::uint32_t priority : {0u, 1u, 0xffff'ffffu}) {
            rules.push_back(ranked({}, priority));
            rules.push_back(by_one_word(bits1, priority));
        }
        return rules;
    }
    void background(Random&) {
        while (space_.move_some(16))
            after_grace();
        EXPECT_EQ(space_.tuples(), 3u);
    }
};

/// Routes of many routing tables.
template <bool wide, std::size_t other_words>
class PrefixEngine {
public:
    explicit PrefixEngine(std::uint64_t seed)
        : part_{kind(), tries_, reclaimer_, seed * 0x9e37'79b9} {}

    static PrefixKind kind() {
        constexpr std::array<std::uint8_t, 3> words{0, 6, 40};
        constexpr std::array<std::uint64_t, 3> bits{
            0xffff'0000'0000'ffff, ~std::uint64_t{0}, 0xff00};
        PrefixKind made;
        made.wide = wide;
        made.word = wide ? 18 : 3;
        for (std::size_t i = 0; i < other_words; ++i)
            made.others.add(words[i], bits[i]);
        return made;
    }
    static constexpr unsigned address_bits = wide ? 128 : 32;

    static EngineRule route(std::uint64_t vrf, U128 address, unsigned length) {
        const PrefixKind of = kind();
        EngineRule made;
        for (std::size_t i = 0; i < other_words; ++i)
            made.route.others[i] = (vrf >> 2 * i & 3) << 8 & of.others.bits[i];
        made.route.prefix = address & low_bits(address_bits) & ~low_bits(address_bits - length);
        made.route.length = length;
        made.pattern = pattern_of(of, made.route);
        made.rank = make_rank(7, made.pattern.mask.bit_count());
        return made;
    }
    static std::vector<EngineRule> first_rules() { return {}; }
    /// Few different addresses, which share beginnings of every length.
    static EngineRule rule(Random& random) {
        U128 address = random.below(2) != 0 ? low_bits(128) : U128{};
        for (std::uint64_t flips = random.below(4); flips != 0; --flips)
            address = address ^ U128 { 1 } << static_cast<unsigned>(random.below(address_bits));
        const auto length = static_cast<unsigned>(random.below(address_bits + 1));
        return route(random.below(64), address, length);
    }
    static std::vector<EngineRule> corners() {
        std::vector<EngineRule> rules;
        for (const U128 address : {U128{}, low_bits(128), U128{1}, U128{1} << (address_bits - 1)})
            for (unsigned length = 0; length <= address_bits; ++length)
                rules.push_back(route(0, address, length));
        return rules;
    }
    static EngineRule rule_of(const bench::Filter& filter, std::uint32_t, Random& random) {
        U128 address{filter.dst};
        if (wide)
            address = address << 96;
        return route(random.below(3), address, filter.dst_bits);
    }

    bool insert(const EngineRule& rule, int number, Generation) {
        auto& vrf = part_.enter(rule.route.others);
        if (part_.set(vrf, rule.route.prefix, rule.route.length, payload_of(number))) {
            routes_.insert({number, {rule.route, &vrf}});
            return true;
        }
        part_.leave(vrf); // a routing table has a prefix once
        return false;
    }
    void expire(int number, Generation) {
        const auto& [route, vrf] = routes_.at(number);
        part_.erase(*vrf, route.prefix, route.length);
    }
    void remove(int number) {
        part_.leave(*routes_.at(number).second);
        routes_.erase(number);
    }
    void publish(Generation g) {
        tries_.narrow.commit();
        tries_.wide.commit();
        part_.publish(g);
    }
    void after_grace() { reclaimer_.run_all(); }
    void background(Random&) {}
    void lookup(const FlowKey* keys, LaneMask live, Generation g, int* found) const {
        std::array<Payload, burst_max> payload{};
        const LaneMask hit = part_.lookup(keys, live, g, payload.data());
        for (const std::size_t lane : Lanes{live & hit})
            found[lane] = number_of(payload[lane]);
        EXPECT_EQ(hit & ~live, 0u);
    }
    void expect_empty() {
        after_grace();
        EXPECT_EQ(part_.vrfs(), 0u);
        EXPECT_EQ(tries_.narrow.used_bytes() + tries_.wide.used_bytes(), 0u);
    }

private:
    ManualReclaimer reclaimer_;
    Tries tries_{reclaimer_};
    PrefixPart part_;
    std::map<int, std::pair<PrefixRule, PrefixPart::Vrf*>> routes_;
};

using EngineTypes = testing::Types<
    LinearEngine,
    ExactEngine,
    DirectEngine,
    ChainEngine,
    GeneralEngine,
    PrefixEngine<false, 0>,
    PrefixEngine<false, 1>,
    PrefixEngine<false, 3>,
    PrefixEngine<true, 0>,
    PrefixEngine<true, 2>,
    PrefixEngine<true, 3>>;

struct EngineNames {
    template <class Engine>
    static std::string GetName(int at) {
        static constexpr std::array<const char*, 11> names{
            "linear",
            "exact_match",
            "direct_index",
            "chain",
            "tuple_space",
            "lpm4",
            "lpm4_of_1_word",
            "lpm4_of_3_words",
            "lpm6",
            "lpm6_of_2_words",
            "lpm6_of_3_words"};
        return names.at(static_cast<std::size_t>(at));
    }
};

} // namespace weft::test
