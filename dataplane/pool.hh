// Packet pools: how large, and when they may go.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_mempool;
struct rte_rcu_qsbr;

namespace weft {

/// What a packet buffer holds besides its headroom of 128 bytes, where the port asks for no more.
inline constexpr std::uint32_t buffer_bytes_default = 2'048;
inline constexpr std::uint32_t buffer_bytes_max = 65'535 - 128;

struct PoolSize {
    std::uint32_t buffers = 0;
    std::uint32_t buffer_bytes = buffer_bytes_default; // without headroom
};

/// What a port's pool is sized from.
struct PoolNeed {
    std::uint32_t rx_queues = 1;
    std::uint32_t rx_descriptors = 1'024;
    std::uint32_t tx_descriptors = 1'024; // packets of this port may wait in another one's queue
    std::uint32_t workers = 1;            // each keeps a cache of its own
    /// Of input files that are read again and again: the device keeps them all.
    std::uint64_t endless_records = 0;
    std::uint32_t asked = 0; // the port row's setting; 0: none
};
std::uint32_t buffers_for(const PoolNeed& need) noexcept;

/// Buffers of one worker's cache of a pool.
inline constexpr unsigned pool_cache = 256;

/// Fails with `no_memory` and a sentence that names the size.
Result<rte_mempool*> make_pool(const PoolSize& size, int numa_node);

/// Pools whose packets may still be on their way through rings, queues and records of others: freed
/// when all have come home and every worker has passed since, because a worker counts a buffer into
/// its cache before it writes it there. One thread at a time.
class PoolGraveyard {
public:
    /// `qsbr`: of the workers; nullptr where none can have had a packet.
    explicit PoolGraveyard(rte_rcu_qsbr* qsbr = nullptr) noexcept : qsbr_{qsbr} {}
    /// Frees what is left: by then nobody may hold a packet.
    ~PoolGraveyard();
    void bury(rte_mempool* pool);
    /// Frees pools that are full and were full at an earlier call, before a grace period.
    void sweep();
    bool empty() const noexcept { return pools_.empty(); }

private:
    struct Grave {
        rte_mempool* pool;
        bool was_full;
        std::uint64_t token; // since it was full
    };
    rte_rcu_qsbr* qsbr_;
    std::vector<Grave> pools_;
};

} // namespace weft
