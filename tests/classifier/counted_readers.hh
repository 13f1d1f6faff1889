// What the tests of one writer and two readers share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace weft::test {

/// The smallest QSBR: readers count their rounds; a grace period is over when each has ended the
/// round it was in. The writer publishes a value, e.g. a generation.
template <class Published>
struct CountedReaders {
    static constexpr std::size_t count = 2;
    std::atomic<Published> published;
    std::array<std::atomic<std::uint64_t>, count> rounds{};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0};

    explicit CountedReaders(Published first) : published{first} {}

    void wait_for_grace() const {
        std::array<std::uint64_t, count> before{};
        for (std::size_t reader = 0; reader < count; ++reader)
            before[reader] = rounds[reader].load();
        for (std::size_t reader = 0; reader < count; ++reader)
            while (rounds[reader].load() == before[reader])
                std::this_thread::yield();
    }
    /// Calls `read(number)` on a thread for each reader, which reads until `stop`, while `write()`
    /// works.
    template <class Read, class Write>
    void while_reading(const Read& read, const Write& write) {
        std::vector<std::thread> threads;
        for (std::size_t reader = 0; reader < count; ++reader)
            threads.emplace_back([&read, reader] { read(reader); });
        write();
        stop.store(true);
        for (std::thread& thread : threads)
            thread.join();
    }
};

} // namespace weft::test
