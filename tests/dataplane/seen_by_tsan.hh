// What the thread sanitizer has to be told of DPDK's libraries, which are not instrumented: where a
// packet passes from one thread to another inside them. Nothing in other builds.
#pragma once

#include "dataplane/dataplane.hh"

#include <cstddef>
#include <cstdint>

struct rte_mbuf;

namespace weft::test {

/// The packet is another thread's from here on; the call that gives it away follows.
void gives(rte_mbuf* packet) noexcept;
/// It was another thread's until the call before this one.
void got(rte_mbuf* packet) noexcept;
/// The same for all that the switch sends to and receives from this device.
void watch_device(std::uint16_t ethdev, std::size_t rx_queues, std::size_t tx_queues);
/// Packet pools of our own making behind the buffers' caches: a lock, which the sanitizer sees, in
/// place of librte_mempool_ring.
DataplaneConfig with_seen_pools(DataplaneConfig config);

} // namespace weft::test
