#include "pipeline/rule_counters.hh"

#include <gtest/gtest.h>

#include <memory>

namespace weft {
namespace {

/// Of a switch with eight rules; that of id 0 is none.
struct Counted {
    std::unique_ptr<Program[]> programs{new Program[9]};
    WorkerCounters counters{9, programs.get()};

    Counted() {
        for (std::uint32_t id = 1; id <= 8; ++id)
            counters.prepare(static_cast<CounterId>(id));
    }
    Verdict verdict(std::size_t id) const { return {programs[id], Way::send, 0xffff}; }
};

TEST(RuleCounters, lie_where_the_program_does) {
    Counted all;
    all.counters.count(all.verdict(1), 60, 5);
    all.counters.count(all.verdict(8), 1'500, 6);
    all.counters.count(all.verdict(8), 64, 7);
    const RowCounters first = all.counters.read(CounterId{1}),
                      last = all.counters.read(CounterId{8});
    EXPECT_EQ(first.packets, 1u);
    EXPECT_EQ(first.bytes, 60u);
    EXPECT_EQ(first.used_ms, 5u);
    EXPECT_EQ(last.packets, 2u);
    EXPECT_EQ(last.bytes, 1'564u);
    EXPECT_EQ(last.used_ms, 7u);
    EXPECT_EQ(all.counters.read(CounterId{2}).packets, 0u);
    all.counters.clear(CounterId{8});
    EXPECT_EQ(all.counters.read(CounterId{8}).bytes, 0u);
    EXPECT_EQ(all.counters.read(CounterId{1}).packets, 1u);
}

TEST(RuleCounters, lose_nothing_where_many_or_large_packets_come) {
    Counted all;
    constexpr std::uint64_t many = (1 << 24) + 12'345, large = 0xffff'ffff, few = 5'000;
    for (std::uint64_t i = 0; i < many; ++i)
        all.counters.count(all.verdict(3), 64, i);
    for (std::uint64_t i = 0; i < few; ++i)
        all.counters.count(all.verdict(4), large, i);
    EXPECT_EQ(all.counters.read(CounterId{3}).packets, many);
    EXPECT_EQ(all.counters.read(CounterId{3}).bytes, 64 * many);
    EXPECT_EQ(all.counters.read(CounterId{4}).packets, few);
    EXPECT_EQ(all.counters.read(CounterId{4}).bytes, large * few);
}

} // namespace
} // namespace weft
