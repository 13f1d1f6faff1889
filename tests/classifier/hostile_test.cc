// Packets that want to be expensive: a search for keys that cost more than the bound that explain
// prints, and keys made to collide. What may be steered by whoever sends packets is the key alone.
#include "bench/classbench.hh"
#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

namespace weft {
namespace {

using test::ManualReclaimer;
using Bound = TupleSpace::Bound;
using Random = std::mt19937_64;

bool any_order(const Entry&, const Entry&) {
    return false;
}

std::uint64_t price(const Bound& cost) {
    return 20 * cost.probes + 20 * cost.entries + 30 * cost.lines;
}

/// A table of rules as the switch keeps it, tidied as the switch does it in the background.
class Victim {
public:
    explicit Victim(const std::vector<Pattern>& rules, std::uint64_t hash_key = 0x5eed)
        : space_{reclaimer_, hash_key, any_order} {
        auto priority = static_cast<std::uint32_t>(rules.size());
        for (const Pattern& rule : rules)
            space_.insert(rule, make_rank(priority--, 0), 1, 1);
        for (int round = 0; round < 2 && space_.wants_plan(); ++round) {
            space_.adopt(plan_tuples(space_.sample(1'024, 1), 1));
            while (space_.move_some(1'024) || space_.is_moving())
                reclaimer_.run_all();
        }
        reclaimer_.run_all();
    }
    const TupleSpace& space() const { return space_; }

private:
    ManualReclaimer reclaimer_;
    TupleSpace space_;
};

/// Climbs from keys near rules towards dearer ones: one field from another rule, one bit, the
/// fields of two good keys. Returns the dearest price that it met.
std::uint64_t
search(const TupleSpace& space, const std::vector<Pattern>& rules, std::uint64_t seed) {
    constexpr std::size_t kept = 24, steps = 20'000;
    Random random{seed};
    const Bound bound = space.bound();
    struct Found {
        FlowKey key{};
        std::uint64_t price = 0;
    };
    std::vector<Found> best(kept);
    const auto take = [&](FlowKey& key, const Pattern& from) {
        for (std::size_t i = 0; i < from.mask.count; ++i) {
            std::uint64_t& word = key.word[from.mask.word[i]];
            word = (word & ~from.mask.bits[i]) | from.value[i];
        }
    };
    for (std::size_t step = 0; step < steps; ++step) {
        FlowKey key = best[random() % kept].key;
        const Pattern& rule = rules[random() % rules.size()];
        switch (random() % 4) {
        case 0:
            take(key, rule);
            break;
        case 1: {
            const std::size_t i = random() % std::max<std::size_t>(rule.mask.count, 1);
            if (rule.mask.count != 0)
                key.word[rule.mask.word[i]] ^=
                    std::uint64_t{1} << random() % 64 & rule.mask.bits[i];
            break;
        }
        case 2: {
            const std::size_t i = random() % std::max<std::size_t>(rule.mask.count, 1);
            if (rule.mask.count != 0)
                key.word[rule.mask.word[i]] =
                    (key.word[rule.mask.word[i]] & ~rule.mask.bits[i]) | rule.value[i];
            break;
        }
        default: {
            const FlowKey& other = best[random() % kept].key;
            for (const std::size_t word : {3u, 4u})
                if (random() % 2 == 0)
                    key.word[word] = other.word[word];
        }
        }
        const Bound cost = space.cost(key, 1);
        EXPECT_LE(cost.probes, bound.probes);
        EXPECT_LE(cost.entries, bound.entries);
        EXPECT_LE(cost.lines, bound.lines);
        Found& worst =
            *std::min_element(best.begin(), best.end(), [](const Found& a, const Found& b) {
                return a.price < b.price;
            });
        if (price(cost) > worst.price)
            worst = {key, price(cost)};
    }
    std::uint64_t dearest = 0;
    for (const Found& found : best) {
        // The same packets again, after all the others: nothing was remembered.
        EXPECT_EQ(price(space.cost(found.key, 1)), found.price);
        dearest = std::max(dearest, found.price);
    }
    return dearest;
}

void attack(const std::vector<Pattern>& rules) {
    const Victim victim{rules};
    const Bound bound = victim.space().bound();
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        const std::uint64_t dearest = search(victim.space(), rules, seed);
        EXPECT_LE(dearest, price(bound));
        EXPECT_GE(dearest * 5, price(bound))
            << "the search is no search, or the bound says nothing";
        testing::Test::RecordProperty("dearest", std::to_string(dearest));
        std::cout << rules.size() << " rules: bound " << price(bound) << " cycles (" << bound.probes
                  << " probes, " << bound.entries << " entries, " << bound.lines
                  << " lines), dearest found " << dearest << "\n";
    }
}

/// Rules of an access list: prefixes of both addresses, ports or none.
std::vector<Pattern> access_list(std::size_t count, Random& random) {
    std::vector<Pattern> rules;
    for (std::size_t i = 0; i < count; ++i) {
        const auto prefix = [&](unsigned bits) {
            return bits == 0 ? 0 : ~std::uint64_t{0} << (32 - bits) & 0xffff'ffff;
        };
        const std::uint64_t src = prefix(static_cast<unsigned>(random() % 3 * 12));
        const std::uint64_t dst = prefix(static_cast<unsigned>(16 + random() % 17));
        const std::uint64_t addresses = (random() & 0x0fff'ff0f) << 32 | (random() & 0x0fff'ffff);
        Pattern rule;
        rule.add(3, src << 32 | dst, addresses & (src << 32 | dst));
        if (random() % 3 != 0) {
            const std::uint64_t mask = 0xff00'0000'0000'ffff;
            rule.add(4, mask, 6ull << 56 | random() % 1'024);
        }
        rules.push_back(rule);
    }
    return rules;
}

TEST(Hostile, no_packet_costs_more_than_the_bound_of_an_access_list) {
    Random random{5};
    attack(access_list(3'000, random));
}

TEST(Hostile, no_packet_costs_more_than_the_bound_where_rules_have_a_thousand_masks) {
    // Tuple-space explosion: every length of one prefix against every length of another.
    std::vector<Pattern> rules;
    Random random{6};
    for (unsigned src = 1; src <= 32; ++src)
        for (unsigned dst = 1; dst <= 32; ++dst) {
            const std::uint64_t mask = (~std::uint64_t{0} << (32 - src) & 0xffff'ffff) << 32 |
                                       (~std::uint64_t{0} << (32 - dst) & 0xffff'ffff);
            Pattern rule;
            rule.add(3, mask, random() & mask);
            rules.push_back(rule);
        }
    attack(rules);
}

class HostileToFilters : public testing::TestWithParam<const char*> {};

TEST_P(HostileToFilters, no_packet_costs_more_than_the_bound) {
    const std::string path = std::string{WEFT_SHARED_DIR "/classbench/"} + GetParam();
    if (!std::ifstream{path})
        GTEST_SKIP() << "the filter sets are not here: " << path;
    const auto filters = bench::read_filters(path);
    ASSERT_TRUE(filters) << filters.error().what;
    std::vector<Pattern> rules;
    for (const bench::Filter& filter : *filters)
        for (const Pattern& pattern : bench::patterns_of(filter))
            rules.push_back(pattern);
    attack(rules);
}

INSTANTIATE_TEST_SUITE_P(
    Sets,
    HostileToFilters,
    testing::Values("acl1_1k", "fw1_1k", "ipc1_1k", "acl3_10k"),
    [](const auto& set) { return std::string{set.param}; }
);

// -- keys that collide: what an attacker can put into a table himself (addresses that are learned)

/// Words whose hashes fall into one bucket in 4,096, under that key of the hash.
std::vector<Pattern> colliding(std::uint64_t hash_key, std::size_t count) {
    std::vector<Pattern> rules;
    for (std::uint64_t word = 0; rules.size() < count; ++word) {
        const std::uint64_t hash = KeyedHash{hash_key}(1, [&](std::size_t) { return word; });
        if (bucket_index(hash, 4'096) != 0)
            continue;
        Pattern rule;
        rule.add(1, ~std::uint64_t{0}, word);
        rules.push_back(rule);
    }
    return rules;
}

TEST(Hostile, keys_made_to_collide_do_so_only_for_who_knows_the_hash_key) {
    const std::vector<Pattern> crafted = colliding(0x1111, 2'000);
    const Victim known{crafted, 0x1111};
    EXPECT_GT(known.space().bound().lines, 200u) << "they do collide";
    Random random{8};
    for (int i = 0; i < 8; ++i) {
        const Victim victim{crafted, random()};
        EXPECT_LE(victim.space().bound().lines, 8u);
        EXPECT_LE(victim.space().bound().entries, 4u);
    }
}

} // namespace
} // namespace weft
