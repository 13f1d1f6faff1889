#include "dataplane/pool.hh"

#include "dataplane/grace.hh"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <atomic>

namespace weft {

namespace {

std::atomic<unsigned> pools_made{0}; // names are unique in the process

} // namespace

std::uint32_t buffers_for(const PoolNeed& need) noexcept {
    // Twice the receive descriptors: one set in the device, one on its way. A cache may hold one
    // and a half times its size; the control thread has one too.
    const std::uint64_t caches = (need.workers + 1ull) * pool_cache * 3 / 2;
    const std::uint64_t moving = 2ull * need.rx_queues * need.rx_descriptors + need.tx_descriptors;
    const std::uint64_t least = moving + caches + need.endless_records;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max<std::uint64_t>(least, need.asked), 1u << 28)
    );
}

Result<rte_mempool*> make_pool(const PoolSize& size, int numa_node) {
    const std::string name = "weft_pool_" + std::to_string(pools_made.fetch_add(1));
    const auto room = static_cast<std::uint16_t>(size.buffer_bytes + RTE_PKTMBUF_HEADROOM);
    rte_mempool* const pool =
        rte_pktmbuf_pool_create(name.c_str(), size.buffers, pool_cache, 0, room, numa_node);
    if (pool != nullptr)
        return pool;
    const std::uint64_t mb = size.buffers * (room + sizeof(rte_mbuf) + 64ull) >> 20;
    return fail(
        "no_memory",
        "a pool of " + std::to_string(size.buffers) + " buffers of " + std::to_string(room) +
            " bytes (" + std::to_string(mb) + " MB) does not fit: " + rte_strerror(rte_errno)
    );
}

PoolGraveyard::~PoolGraveyard() {
    for (const Grave& grave : pools_)
        rte_mempool_free(grave.pool);
}

void PoolGraveyard::bury(rte_mempool* pool) {
    if (pool != nullptr)
        pools_.push_back({pool, false, 0});
}

void PoolGraveyard::sweep() {
    // Twice: one counting may meet packets between a cache and the pool.
    for (Grave& grave : pools_) {
        const bool full = rte_mempool_avail_count(grave.pool) == grave.pool->size;
        if (full && grave.was_full && (qsbr_ == nullptr || has_passed(qsbr_, grave.token))) {
            rte_mempool_free(grave.pool);
            grave.pool = nullptr;
        } else if (full && !grave.was_full && qsbr_ != nullptr) {
            grave.token = rte_rcu_qsbr_start(qsbr_);
        }
        grave.was_full = full;
    }
    std::erase_if(pools_, [](const Grave& grave) { return grave.pool == nullptr; });
}

} // namespace weft
