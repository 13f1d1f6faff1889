// Readers look up while the one writer changes routes of several routing tables, which come and go
// themselves: each sees exactly those of the generation that it holds.
#include "classifier/prefix_part.hh"
#include "tests/classifier/counted_readers.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <vector>

namespace weft {
namespace {

constexpr std::uint64_t vrfs = 12;
constexpr Generation generations = 200;

/// Whether table v's route of 8 * (1 + k) bits to 10.10.10.10 is there at generation g: a function
/// that both sides know. There are generations with one table, and some with none.
bool is_there(std::uint64_t v, unsigned k, Generation g) {
    if (g % 23 < 5)
        return v == 0 && g % 23 != 0;
    return (g / (2 + v % 5) + v + k) % 3 == 0;
}
Payload payload_of(std::uint64_t v, unsigned k) {
    return (v * 8 + k + 1) * 64;
}

using Readers = test::CountedReaders<Generation>;

void read(const PrefixPart& part, Readers& readers, std::size_t number) {
    std::array<FlowKey, burst_max> keys{};
    std::uint64_t round = number;
    while (!readers.stop.load()) {
        const Generation g = readers.published.load();
        std::array<unsigned, burst_max> shared{}; // bits that the address has of 10.10.10.10
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            keys[lane].word[6] = (round + lane) % vrfs;
            shared[lane] = static_cast<unsigned>((round / 3 + lane) % 33);
            keys[lane].word[3] = 0x0a0a'0a0a ^ (std::uint64_t{1} << 32 >> (shared[lane] + 1));
        }
        std::array<Payload, burst_max> found{};
        const LaneMask hit = part.lookup(keys.data(), ~LaneMask{0}, g, found.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            Payload wanted = 0;
            for (unsigned k = 0; k < 4; ++k)
                if (8 * (k + 1) <= shared[lane] && is_there(keys[lane].word[6], k, g))
                    wanted = payload_of(keys[lane].word[6], k);
            const bool right =
                found[lane] == wanted && (hit >> lane & 1) == (wanted != 0 ? 1u : 0u);
            readers.wrong += right ? 0 : 1;
        }
        ++round;
        ++readers.rounds[number];
    }
}

TEST(PrefixPartThreads, readers_see_exactly_their_generation_while_the_writer_works) {
    test::ManualReclaimer reclaimer;
    Tries tries{reclaimer};
    PrefixKind kind;
    kind.word = 3;
    kind.others.add(6, ~std::uint64_t{0});
    PrefixPart part{kind, tries, reclaimer, 0x5eed};
    Readers readers{Generation{1}};
    std::array<std::array<PrefixPart::Vrf*, 4>, vrfs> alive{};
    std::vector<PrefixPart::Vrf*> dead;

    const auto commit = [&](Generation g) {
        for (std::uint64_t v = 0; v < vrfs; ++v)
            for (unsigned k = 0; k < 4; ++k) {
                PrefixPart::Vrf*& vrf = alive[v][k];
                const U128 prefix{0x0a0a'0a0a & ~low_bits(24 - 8 * k).low};
                if (is_there(v, k, g) && vrf == nullptr) {
                    vrf = &part.enter({v, 0, 0});
                    ASSERT_TRUE(part.set(*vrf, prefix, 8 * (k + 1), payload_of(v, k)));
                } else if (!is_there(v, k, g) && vrf != nullptr) {
                    part.erase(*vrf, prefix, 8 * (k + 1));
                    dead.push_back(std::exchange(vrf, nullptr));
                }
            }
        tries.narrow.commit();
        part.publish(g);
        readers.published.store(g);
    };
    commit(1);
    readers.while_reading(
        [&](std::size_t reader) { read(part, readers, reader); },
        [&] {
            for (Generation g = 2; g <= generations; ++g) {
                commit(g);
                if (g % 3 != 0)
                    continue;             // several generations are held between two grace periods
                readers.wait_for_grace(); // nobody sees what died: tables without routes go
                for (PrefixPart::Vrf* vrf : std::exchange(dead, {}))
                    part.leave(*vrf);
                readers.wait_for_grace(); // nobody stands on them
                reclaimer.run();
            }
        }
    );
    EXPECT_EQ(readers.wrong.load(), 0u);
    EXPECT_GT(readers.rounds[0].load() + readers.rounds[1].load(), generations);
}

} // namespace
} // namespace weft
