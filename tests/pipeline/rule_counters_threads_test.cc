#include "pipeline/rule_counters.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace weft {
namespace {

TEST(RuleCounters, never_go_back_while_they_are_read) {
    const std::unique_ptr<Program[]> programs{new Program[2]};
    WorkerCounters counters{2, programs.get()};
    counters.prepare(CounterId{1});
    const Verdict verdict{programs[1], Way::send, 0xffff};
    constexpr std::uint64_t packets = 200'000, large = 0xffff'ffff; // totals every 128 packets
    std::atomic<bool> done{false};
    std::thread worker{[&] {
        for (std::uint64_t i = 0; i < packets; ++i)
            counters.count(verdict, large, i);
        done.store(true);
    }};
    RowCounters last;
    bool forward = true, whole = true;
    while (!done.load()) {
        const RowCounters now = counters.read(CounterId{1});
        forward = forward && now.packets >= last.packets && now.bytes >= last.bytes;
        whole = whole && now.bytes == now.packets * large;
        last = now;
    }
    worker.join();
    EXPECT_TRUE(forward);
    EXPECT_TRUE(whole);
    EXPECT_EQ(counters.read(CounterId{1}).packets, packets);
}

} // namespace
} // namespace weft
