// Readers look up while the one writer changes the tables: each reader sees exactly the rules of
// the generation that it holds.
#include "classifier/tuple_space.hh"
#include "tests/classifier/counted_readers.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <vector>

namespace weft {
namespace {

constexpr std::uint64_t key_count = 64;
constexpr Generation generations = 150;

/// Whether the rule of key k is there at generation g: a function that both sides know.
bool is_there(std::uint64_t k, Generation g) {
    return g / (1 + k % 7) % 2 == 0;
}

using Readers = test::CountedReaders<Generation>;

Payload payload_of(std::uint64_t k) {
    return k + 1;
}
Mask mask_of(std::uint64_t bits) {
    Mask mask;
    mask.add(1, bits);
    return mask;
}
/// Rules that no key matches, of so many masks that lookups take each lane its own way.
constexpr std::uint64_t other_masks = 16;
Pattern other_rule(std::uint64_t i) {
    Pattern pattern;
    const std::uint64_t mask = std::uint64_t{0xf} << 3 * (i % other_masks);
    pattern.add(2, mask, mask);
    return pattern;
}
TuplePlan plan(Generation g) {
    TuplePlan made{
        .masks = {mask_of(g % 20 == 0 ? 0xf : 0xff)},
        .filter = {
            .windows = {{1, static_cast<std::uint8_t>(g % 4)}}, .bits = 4, .apart = g % 40 != 0}};
    for (std::uint64_t i = 0; i < other_masks; ++i)
        made.masks.push_back(other_rule(i).mask);
    made.masks.emplace_back();
    return made;
}
bool any_order(const Entry&, const Entry&) {
    return false;
}

void read(const TupleSpace& space, Readers& readers, std::size_t number) {
    std::array<FlowKey, burst_max> keys{};
    std::uint64_t round = number;
    while (!readers.stop.load()) {
        const Generation g = readers.published.load();
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            keys[lane].word[1] = (round * 32 + lane) % key_count;
        std::array<const Entry*, burst_max> best{};
        space.lookup(keys.data(), ~LaneMask{0}, g, best.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            const std::uint64_t k = keys[lane].word[1];
            const bool right = is_there(k, g)
                                   ? best[lane] != nullptr && best[lane]->payload == payload_of(k)
                                   : best[lane] == nullptr;
            readers.wrong += right ? 0 : 1;
        }
        ++round;
        ++readers.rounds[number];
    }
}

TEST(TupleSpaceThreads, readers_see_exactly_their_generation_while_the_writer_works) {
    test::ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x5eed, any_order};
    Readers readers{Generation{1}};
    std::vector<Entry*> dead;
    std::array<Entry*, key_count> alive{};
    // Two masks, so that tuples come and go too.
    constexpr std::array<std::uint64_t, 2> masks{0xff, 0xffff};

    const auto commit = [&](Generation g) {
        for (std::uint64_t k = 0; k < key_count; ++k) {
            const std::uint64_t mask = masks[k % 2];
            if (is_there(k, g) && alive[k] == nullptr) {
                Pattern pattern;
                pattern.add(1, mask, k);
                alive[k] = space.insert(pattern, make_rank(1, 8), g, payload_of(k));
            } else if (!is_there(k, g) && alive[k] != nullptr) {
                space.expire(*alive[k], g);
                dead.push_back(std::exchange(alive[k], nullptr));
            }
        }
        // Ranks rise, so that bounds widen under the readers' eyes.
        space.insert(other_rule(g), make_rank(static_cast<std::uint32_t>(g), 4), g, 1);
        readers.published.store(g);
    };
    for (std::uint64_t i = 0; i < other_masks; ++i)
        space.insert(other_rule(i), make_rank(1, 4), 1, 1);
    commit(1);
    readers.while_reading(
        [&](std::size_t reader) { read(space, readers, reader); },
        [&] {
            for (Generation g = 2; g <= generations; ++g) {
                commit(g);
                readers.wait_for_grace(); // nobody sees what died: out of the tables
                for (Entry* entry : std::exchange(dead, {}))
                    space.remove(*entry);
                if (g % 10 == 0 && !space.is_moving()) // other tuples now and then, back and forth
                    space.adopt(plan(g));
                space.move_some(8);
                readers.wait_for_grace(); // nobody stands on what was taken out
                reclaimer.run();
            }
        }
    );
    reclaimer.run_all();
    EXPECT_EQ(readers.wrong.load(), 0u);
    EXPECT_GT(readers.rounds[0].load() + readers.rounds[1].load(), generations);
}

/// Values of rules that are found in an array: more and more, then few, then many at once, so that
/// it grows, goes and comes back.
constexpr std::uint64_t values_max = 512;
bool has_value(std::uint64_t value, Generation g) {
    const std::uint64_t end = g < 100 ? 32 + 5 * g : g < 120 ? 20 : values_max;
    return value < end && is_there(value, g);
}

TEST(TupleSpaceThreads, readers_of_a_direct_index_see_exactly_their_generation) {
    test::ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, 0x5eed, any_order};
    Readers readers{Generation{1}};
    std::vector<Entry*> dead;
    std::array<Entry*, values_max> alive{};
    std::size_t direct = 0, hashed = 0; // generations

    const auto commit = [&](Generation g) {
        for (std::uint64_t value = 0; value < values_max; ++value) {
            Entry*& entry = alive[value];
            const bool stays = has_value(value, g);
            const bool is_replaced = (value + g) % 3 == 0; // by another version
            if (entry != nullptr && (!stays || is_replaced)) {
                space.expire(*entry, g);
                dead.push_back(std::exchange(entry, nullptr));
            }
            if (stays && entry == nullptr) {
                Pattern pattern;
                pattern.add(1, 0xffff, value);
                entry = space.insert(pattern, make_rank(1, 16), g, payload_of(value));
            }
        }
        ++(space.is_direct() ? direct : hashed);
        readers.published.store(g);
    };
    const auto read_all = [&](std::size_t number) {
        for (std::uint64_t round = number; !readers.stop.load(); ++round) {
            const Generation g = readers.published.load();
            std::array<FlowKey, burst_max> keys{};
            for (std::size_t lane = 0; lane < burst_max; ++lane)
                keys[lane].word[1] = (round * burst_max + lane) % (2 * values_max);
            std::array<Payload, burst_max> found{};
            space.lookup_payloads(keys.data(), ~LaneMask{0}, g, found.data());
            for (std::size_t lane = 0; lane < burst_max; ++lane) {
                const std::uint64_t value = keys[lane].word[1];
                const bool is_here = value < values_max && has_value(value, g);
                readers.wrong += found[lane] != (is_here ? payload_of(value) : 0);
            }
            ++readers.rounds[number];
        }
    };
    commit(1);
    readers.while_reading(read_all, [&] {
        for (Generation g = 2; g <= generations; ++g) {
            commit(g);
            readers.wait_for_grace(); // nobody sees what died: out of the tables
            for (Entry* entry : std::exchange(dead, {}))
                space.remove(*entry);
            readers.wait_for_grace(); // nobody stands on what was taken out
            reclaimer.run();
        }
    });
    reclaimer.run_all();
    EXPECT_EQ(readers.wrong.load(), 0u);
    EXPECT_GT(direct, 100u);
    EXPECT_GT(hashed, 10u);
}

} // namespace
} // namespace weft
