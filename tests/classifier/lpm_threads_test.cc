// Readers look up while the one writer changes routes: each sees exactly those of the roots it
// read.
#include "classifier/lpm.hh"
#include "tests/classifier/counted_readers.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <vector>

namespace weft {
namespace {

constexpr std::uint32_t nested = 96;
constexpr std::uint32_t route_count = nested + 12;
constexpr Generation generations = 200;

/// Routes nested in few places, and side by side the children of one node, now many, now few. Of
/// them route k is there at generation g: both sides know.
std::uint32_t prefix_of(std::uint32_t k) {
    return k < nested ? k % 4 * 0x4001'0203u << (k / 4 % 3) : (k - nested) << 25;
}
unsigned length_of(std::uint32_t k) {
    return k < nested ? k / 3 % 33 : 12;
}
bool is_there(std::uint32_t k, Generation g) {
    if (k < nested)
        return g / (1 + k % 7) % 2 == 0;
    const Generation wave = g % 24 < 12 ? g % 24 : 24 - g % 24; // 0 to 12 and back
    return k - nested < wave;
}
std::uint64_t value_of(std::uint32_t k, Generation g) {
    return g / (1 + k % 7) * 1'000 + k + 1;
}

std::uint32_t upper(std::uint32_t address, unsigned length) {
    return length == 0 ? 0 : address >> (32 - length);
}
/// Of routes of one prefix the last one counts, as the writer sets them in order.
std::uint64_t expected(std::uint32_t address, Generation g) {
    std::uint64_t best = 0;
    unsigned longest = 0;
    for (std::uint32_t k = 0; k < route_count; ++k) {
        const unsigned length = length_of(k);
        if (is_there(k, g) && upper(address, length) == upper(prefix_of(k), length) &&
            length >= longest) {
            best = value_of(k, g);
            longest = length;
        }
    }
    return best;
}

struct View { // what a commit publishes
    Generation generation;
    LpmRoot root;
};

using Readers = test::CountedReaders<const View*>;

void read(const Lpm<std::uint32_t>& lpm, Readers& readers, std::size_t number) {
    auto round = static_cast<std::uint32_t>(number);
    while (!readers.stop.load()) {
        const View& view = *readers.published.load();
        std::array<LpmRoot, burst_max> roots;
        std::array<std::uint32_t, burst_max> addresses;
        std::array<std::uint64_t, burst_max> values{};
        for (std::uint32_t lane = 0; lane < burst_max; ++lane) {
            const std::uint32_t k = (round * 7 + lane) % route_count;
            roots[lane] = view.root;
            addresses[lane] = prefix_of(k) ^ (lane % 4 == 0 ? 0 : 1u << (round + lane) % 32);
        }
        lpm.lookup(roots.data(), addresses.data(), ~LaneMask{0}, values.data());
        for (std::size_t lane = 0; lane < burst_max; lane += 5)
            readers.wrong += values[lane] == expected(addresses[lane], view.generation) ? 0 : 1;
        ++round;
        ++readers.rounds[number];
    }
}

TEST(LpmThreads, readers_see_exactly_the_routes_of_their_generation_while_the_writer_works) {
    test::ManualReclaimer reclaimer;
    Lpm<std::uint32_t> lpm{reclaimer};
    Readers readers{nullptr};
    std::vector<std::unique_ptr<View>> views;
    LpmRoot root;
    const auto commit = [&](Generation g) {
        for (std::uint32_t k = 0; k < route_count; ++k)
            if (!is_there(k, g)) { // of two with one prefix, the one that stays is set again below
                const LpmChange gone = lpm.erase(root, prefix_of(k), length_of(k));
                ASSERT_NE(gone, LpmChange::no_memory);
            }
        for (std::uint32_t k = 0; k < route_count; ++k)
            if (is_there(k, g)) {
                ASSERT_EQ(
                    lpm.set(root, prefix_of(k), length_of(k), value_of(k, g)), LpmChange::done
                );
            }
        lpm.commit();
        views.push_back(std::make_unique<View>(View{g, root}));
        readers.published.store(views.back().get());
    };
    commit(1);
    readers.while_reading(
        [&](std::size_t reader) { read(lpm, readers, reader); },
        [&] {
            for (Generation g = 2; g <= generations; ++g) {
                commit(g);
                if (g % 3 == 0) { // several generations are held between two grace periods
                    readers.wait_for_grace();
                    reclaimer.run_all();
                }
            }
        }
    );
    reclaimer.run_all();
    EXPECT_EQ(readers.wrong.load(), 0u);
    lpm.clear(root);
    lpm.commit();
    reclaimer.run_all();
    EXPECT_EQ(lpm.used_bytes(), 0u);
}

} // namespace
} // namespace weft
