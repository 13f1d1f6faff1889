// Rules' counters of one worker: memory that grows in chunks ahead of the rules, written by that
// worker alone.
#pragma once

#include "base/counter.hh"
#include "base/ids.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace weft {

/// Half a cache line, so that no rule's counters lie in two.
struct alignas(32) RuleCounters {
    Counter packets;
    Counter bytes;
    Counter used_ms;
};

/// The control thread calls prepare() before a rule with that counter is published; the worker then
/// finds the chunk there.
class WorkerCounters {
public:
    static constexpr std::size_t chunk_size = 4'096;

    explicit WorkerCounters(std::size_t counters_max)
        : chunks_max_{counters_max / chunk_size + 1},
          chunks_{std::make_unique<std::atomic<Chunk*>[]>(chunks_max_)} {}
    ~WorkerCounters() {
        for (std::size_t i = 0; i < chunks_max_; ++i)
            delete chunks_[i].load(std::memory_order_relaxed);
    }
    WorkerCounters(const WorkerCounters&) = delete;
    WorkerCounters& operator=(const WorkerCounters&) = delete;

    RuleCounters& of(CounterId id) noexcept {
        return (*chunks_[index(id) / chunk_size].load(std::memory_order_relaxed)
        )[index(id) % chunk_size];
    }
    void
    add(CounterId id, std::uint64_t packets, std::uint64_t bytes, std::uint64_t now_ms) noexcept {
        RuleCounters& counters = of(id);
        counters.packets.add(packets);
        counters.bytes.add(bytes);
        counters.used_ms.set(now_ms);
    }
    void prepare(CounterId id) {
        auto& chunk = chunks_[index(id) / chunk_size];
        if (chunk.load(std::memory_order_relaxed) == nullptr)
            chunk.store(new Chunk, std::memory_order_release);
    }

private:
    using Chunk = std::array<RuleCounters, chunk_size>;
    std::size_t chunks_max_;
    std::unique_ptr<std::atomic<Chunk*>[]> chunks_;
};

} // namespace weft
