// An open device as workers see it.
#pragma once

#include "base/counter.hh"
#include "base/ids.hh"
#include "dataplane/handover.hh"
#include "dataplane/kernel_link.hh"
#include "dataplane/punt_rate.hh"
#include "dataplane/rx_budget.hh"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_device;
struct rte_mempool;

namespace weft {

/// What one worker received from and sent to one port.
struct alignas(cache_line) PortCounters {
    Counter rx_packets, rx_bytes;
    Counter tx_packets, tx_bytes, tx_dropped;
};

/// An open and started device. Made and closed on the helper thread (device.hh); in between,
/// workers find it through their plans. Fields are grouped by writer.
struct Port {
    // Constant while workers can see it.
    PortId id{};
    std::string name;   // of the port row
    std::string device; // of the device: "net_pcap0"
    std::uint16_t ethdev = 0;
    rte_device* handle = nullptr;
    std::uint16_t rx_queues = 0;
    std::uint16_t tx_queues = 0;
    std::uint16_t mtu = 0;
    std::uint64_t mac = 0;
    int numa_node = -1;
    bool sends_segments = false;    // a packet in several buffers may be given to it as it is
    std::uint64_t tx_checksums = 0; // RTE_ETH_TX_OFFLOAD_*: what it completes itself
    rte_mempool* pool = nullptr;
    std::uint64_t input_records = 0; // of the pcap files that it reads
    bool endless_input = false;      // they are read again and again
    bool has_input_files = false;
    KernelLink kernel;
    /// By worker; null where a worker owns its queue.
    std::vector<std::unique_ptr<Handover>> handover;

    // Workers.
    std::vector<PortCounters> counters; // by worker
    PuntBuckets punts;
    RxBudget budget; // control sets, workers take

    // The monitor thread, from the device's own counters.
    std::atomic<bool> link_up{false};
    std::atomic<std::uint32_t> speed_mbps{0};
    Counter missed, rx_errors, no_buffers, tx_errors;

    /// Queue q of the port belongs to this worker, for receiving and for sending.
    std::size_t owner_of(std::size_t queue, std::size_t workers) const noexcept {
        return (queue + index(id)) % workers;
    }
    /// The transmit queue that packets of `worker` go to.
    std::uint16_t tx_queue_of(std::size_t worker, std::size_t workers) const noexcept {
        const std::size_t place = (worker + workers - index(id) % workers) % workers;
        return static_cast<std::uint16_t>(place % tx_queues);
    }
    std::uint64_t received() const noexcept {
        std::uint64_t sum = 0;
        for (const PortCounters& of : counters)
            sum += of.rx_packets.read();
        return sum;
    }
};

} // namespace weft
