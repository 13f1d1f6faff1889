// Ports of a bridge: their list, their numbers, and what one more costs.
#include "pipeline/number_runs.hh"
#include "pipeline/port_list.hh"
#include "pipeline/tables.hh"
#include "pipeline/world.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <new>
#include <random>
#include <set>
#include <vector>

// What is allocated is counted where no sanitizer has operators of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_COUNTS_BYTES 0
#else
#define WEFT_COUNTS_BYTES 1
#endif

#if WEFT_COUNTS_BYTES
namespace {
std::size_t allocated_bytes = 0;
} // namespace

void* operator new(std::size_t bytes) {
    allocated_bytes += bytes;
    if (void* const memory = std::malloc(bytes))
        return memory;
    std::abort();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
#endif

namespace weft {
namespace {

using Known = std::map<PortNumber, PortId>;

std::vector<PortId> in_order(const PortList& list) {
    std::vector<PortId> all;
    std::uint32_t place = 0;
    for (PortId port; (port = list.next(place)) != PortId::none;)
        all.push_back(port);
    return all;
}

void expect_same(const PortList& list, const Known& known) {
    std::vector<PortId> wanted;
    for (const auto& [number, port] : known) {
        wanted.push_back(port);
        ASSERT_EQ(list.find(number), port);
        const auto next = static_cast<PortNumber>(static_cast<std::uint32_t>(number) + 1);
        ASSERT_EQ(list.find(next), known.contains(next) ? known.at(next) : PortId::none);
    }
    ASSERT_EQ(in_order(list), wanted);
}

TEST(PortList, lists_ports_by_number_and_a_copy_stays_as_it_was) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random{seed};
        const std::uint64_t numbers = seed % 2 == 0 ? 600 : 0xffff'ffff; // dense, or far apart
        PortList list;
        Known known;
        std::deque<std::pair<PortList, Known>> copies;
        std::uint32_t ports = 0;
        for (int step = 0; step < 4'000; ++step) {
            const auto number = static_cast<PortNumber>(1 + random() % numbers);
            const auto near = known.lower_bound(number);
            if (step % 2'000 < 1'400 || near == known.end()) {
                list.set(number, PortId{++ports});
                known[number] = PortId{ports};
            } else {
                const PortNumber gone = near->first;
                list.erase(gone);
                list.erase(gone); // that it is not there is no error
                known.erase(gone);
            }
            if (random() % 400 == 0)
                copies.emplace_back(list, known);
        }
        expect_same(list, known);
        for (const auto& [copy, then] : copies)
            expect_same(copy, then);
        while (!known.empty()) {
            list.erase(known.begin()->first);
            known.erase(known.begin());
        }
        expect_same(list, known);
    }
}

TEST(NumberRuns, the_lowest_free_number_is_the_first_gap_from_1_up) {
    std::mt19937_64 random{4};
    NumberRuns runs;
    std::set<std::uint32_t> taken;
    constexpr std::array<std::uint32_t, 4> corners{0, 1, 0xffff'fffe, 0xffff'ffff};
    for (int step = 0; step < 20'000; ++step) {
        const std::uint32_t number = random() % 50 == 0 ? corners[random() % corners.size()]
                                                        : static_cast<std::uint32_t>(random() % 60);
        if (random() % 100 < (step % 2'000 < 1'000 ? 70u : 30u)) {
            runs.insert(number);
            taken.insert(number);
        } else {
            runs.erase(number);
            taken.erase(number);
        }
        std::uint32_t wanted = 1;
        while (taken.contains(wanted))
            ++wanted;
        ASSERT_EQ(runs.lowest_free(), wanted) << step;
    }
}

/// Memory that one port takes with its commit, when it comes, gets another setting, and goes.
class Ports : public testing::Test {
protected:
    test::ManualReclaimer reclaimer;
    Tables tables{TableLimits{}, 1, reclaimer, 1};
    BridgeId bridge = *tables.bridge_id("main");
    std::size_t count = 0;

    void add(std::size_t more) {
        for (; more != 0; --more)
            tables.set_port(*tables.port_id(bridge, "p" + std::to_string(++count)), {});
        commit();
    }
    void commit() {
        tables.commit();
        reclaimer.run_all();
    }
#if WEFT_COUNTS_BYTES
    template <class Change>
    std::size_t cost_of(Change&& change) {
        const std::size_t before = allocated_bytes;
        change();
        commit();
        return allocated_bytes - before;
    }
#endif
};

#if WEFT_COUNTS_BYTES

TEST_F(Ports, one_more_one_less_and_one_changed_cost_the_same_among_ten_thousand_as_among_hundred) {
    std::array<std::array<std::size_t, 3>, 2> cost{};
    for (std::size_t size = 0; size < 2; ++size) {
        add(size == 0 ? 100 : 9'900);
        const PortId port = *tables.port_id(bridge, "port");
        cost[size] = {
            cost_of([&] { tables.set_port(port, {}); }),
            cost_of([&] { tables.set_port(port, {.down = true}); }),
            cost_of([&] { tables.erase_port(port); })};
    }
    for (std::size_t what = 0; what < 3; ++what)
        EXPECT_LE(cost[1][what], 2 * cost[0][what]);
    EXPECT_GT(cost[0][0], 0u);
}
#endif

TEST_F(Ports, one_that_lost_its_number_to_another_is_still_one_of_its_bridges_ports) {
    add(2);
    const PortId p2 = *tables.port_id(bridge, "p2"), p3 = *tables.port_id(bridge, "p3");
    EXPECT_EQ(tables.set_port(p3, {.number = PortNumber{2}}).size(), 2u);
    tables.set_port(p2, {}); // as control does with whoever lost its number
    commit();
    const PortList& ports = tables.world().bridges.find(0)->ports;
    EXPECT_EQ(ports.find(PortNumber{2}), p3);
    EXPECT_EQ(ports.find(tables.port_number(p2)), p2);
    EXPECT_EQ(in_order(ports).size(), 3u);
}

} // namespace
} // namespace weft
