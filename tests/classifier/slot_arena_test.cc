#include "classifier/slot_arena.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace weft {
namespace {

constexpr std::size_t megabyte = 1'024 * 1'024;

TEST(SlotArena, slots_do_not_overlap_and_keep_what_is_written) {
    SlotArena arena{16 * megabyte};
    std::mt19937_64 engine{1};
    struct Held {
        std::size_t units;
        unsigned char mark;
    };
    std::map<SlotArena::Handle, Held> held;
    const auto is_whole = [&](SlotArena::Handle at, const Held& slot) {
        for (std::size_t i = 0; i < slot.units * SlotArena::unit; ++i)
            if (arena.at(at)[i] != std::byte{slot.mark})
                return false;
        return true;
    };
    std::uint64_t used = 0;
    for (int step = 0; step < 20'000; ++step) {
        const bool grows = step / 5'000 % 2 == 0;
        if (held.empty() || engine() % 8 < (grows ? 6u : 2u)) {
            const std::size_t units = 1 + engine() % SlotArena::units_max;
            const auto mark = static_cast<unsigned char>(engine());
            if (arena.slots_left() == 0)
                continue;
            const SlotArena::Handle at = arena.allocate(units);
            ASSERT_NE(at, 0u);
            ASSERT_TRUE(held.emplace(at, Held{units, mark}).second);
            std::memset(arena.at(at), mark, units * SlotArena::unit);
            used += units * SlotArena::unit;
        } else {
            auto victim = held.lower_bound(static_cast<SlotArena::Handle>(engine() % 400'000));
            if (victim == held.end())
                victim = held.begin();
            ASSERT_TRUE(is_whole(victim->first, victim->second));
            used -= victim->second.units * SlotArena::unit;
            arena.free(victim->first);
            held.erase(victim);
        }
        ASSERT_EQ(arena.used_bytes(), used);
        ASSERT_GE(arena.memory_bytes(), used);
    }
    for (const auto& [at, slot] : held)
        ASSERT_TRUE(is_whole(at, slot));
    for (std::size_t i = 0; i < SlotArena::unit; ++i)
        EXPECT_EQ(arena.at(0)[i], std::byte{0}); // handle 0 names zeros
}

TEST(SlotArena, slots_of_one_or_two_units_lie_in_one_cache_line) {
    SlotArena arena{2 * megabyte};
    for (const std::size_t units : {1u, 2u})
        for (int i = 0; i < 5'000; ++i) {
            const auto from = reinterpret_cast<std::uintptr_t>(arena.at(arena.allocate(units)));
            ASSERT_EQ(from / 64, (from + units * SlotArena::unit - 1) / 64);
        }
}

TEST(SlotArena, what_is_freed_is_used_again_for_any_size_and_its_pages_go_back) {
    SlotArena arena{64 * megabyte};
    const std::size_t left = arena.slots_left();
    for (std::size_t units = 1; units <= SlotArena::units_max; units += 5) {
        std::vector<SlotArena::Handle> slots;
        while (arena.used_bytes() < 40 * megabyte)
            slots.push_back(arena.allocate(units));
        EXPECT_GE(arena.memory_bytes(), 40 * megabyte);
        for (const SlotArena::Handle at : slots)
            arena.free(at);
        EXPECT_EQ(arena.used_bytes(), 0u);
        EXPECT_EQ(arena.slots_left(), left);
        EXPECT_LE(arena.memory_bytes(), 3 * megabyte); // one page is kept
    }
}

TEST(SlotArenaDeathTest, taking_more_than_there_is_ends_the_process) {
    SlotArena arena{2 * megabyte};
    EXPECT_DEATH(for (;;) arena.allocate(1), "take_chunk");
}

} // namespace
} // namespace weft
