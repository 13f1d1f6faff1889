#include "tests/dataplane/seen_by_tsan.hh"

#ifndef __SANITIZE_THREAD__

namespace weft::test {

void gives(rte_mbuf*) noexcept {}
void got(rte_mbuf*) noexcept {}
void watch_device(std::uint16_t, std::size_t, std::size_t) {}
DataplaneConfig with_seen_pools(DataplaneConfig config) {
    return config;
}

} // namespace weft::test

#else

#include "base/check.hh"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cerrno>
#include <mutex>
#include <sanitizer/tsan_interface.h>
#include <vector>

namespace weft::test {

namespace {

std::uint16_t
on_receive(std::uint16_t, std::uint16_t, rte_mbuf** packets, std::uint16_t count, std::uint16_t, void*) {
    for (std::uint16_t i = 0; i < count; ++i)
        got(packets[i]);
    return count;
}

std::uint16_t
on_send(std::uint16_t, std::uint16_t, rte_mbuf** packets, std::uint16_t count, void*) {
    for (std::uint16_t i = 0; i < count; ++i)
        gives(packets[i]);
    return count;
}

struct Objects {
    std::mutex mutex;
    std::vector<void*> free;
};

Objects& objects_of(const rte_mempool* pool) {
    return *static_cast<Objects*>(pool->pool_data);
}

int make_objects(rte_mempool* pool) {
    constexpr unsigned more_than_any_test_fills = 10'000'000;
    if (pool->size > more_than_any_test_fills) // as the ring would, whose memory is taken at once
        return -ENOMEM;
    pool->pool_data = new Objects;
    return 0;
}

void destroy_objects(rte_mempool* pool) {
    delete &objects_of(pool);
}

int put(rte_mempool* pool, void* const* put, unsigned count) {
    Objects& objects = objects_of(pool);
    const std::lock_guard lock{objects.mutex};
    objects.free.insert(objects.free.end(), put, put + count);
    return 0;
}

int take(rte_mempool* pool, void** taken, unsigned count) {
    Objects& objects = objects_of(pool);
    const std::lock_guard lock{objects.mutex};
    if (objects.free.size() < count)
        return -ENOBUFS;
    for (unsigned i = 0; i < count; ++i) {
        taken[i] = objects.free.back();
        objects.free.pop_back();
    }
    return 0;
}

unsigned count(const rte_mempool* pool) {
    Objects& objects = objects_of(pool);
    const std::lock_guard lock{objects.mutex};
    return static_cast<unsigned>(objects.free.size());
}

rte_mempool_ops seen_ops() {
    rte_mempool_ops ops{};
    std::snprintf(ops.name, sizeof ops.name, "seen_by_tsan");
    ops.alloc = make_objects;
    ops.free = destroy_objects;
    ops.enqueue = put;
    ops.dequeue = take;
    ops.get_count = count;
    return ops;
}

} // namespace

void gives(rte_mbuf* packet) noexcept {
    __tsan_release(packet);
}

void got(rte_mbuf* packet) noexcept {
    __tsan_acquire(packet);
}

void watch_device(std::uint16_t ethdev, std::size_t rx_queues, std::size_t tx_queues) {
    for (std::uint16_t queue = 0; queue < rx_queues; ++queue)
        check(rte_eth_add_rx_callback(ethdev, queue, on_receive, nullptr) != nullptr);
    for (std::uint16_t queue = 0; queue < tx_queues; ++queue)
        check(rte_eth_add_tx_callback(ethdev, queue, on_send, nullptr) != nullptr);
}

DataplaneConfig with_seen_pools(DataplaneConfig config) {
    static const int registered = [] {
        const rte_mempool_ops ops = seen_ops();
        return rte_mempool_register_ops(&ops);
    }();
    check(registered >= 0);
    config.eal_args.emplace_back("--mbuf-pool-ops-name=seen_by_tsan");
    return config;
}

} // namespace weft::test

#endif
