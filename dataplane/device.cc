#include "dataplane/device.hh"

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>

namespace weft {

namespace {

int on_link_event(std::uint16_t, rte_eth_event_type, void* signal, void*) {
    static_cast<std::atomic<bool>*>(signal)->store(true, std::memory_order_relaxed);
    return 0;
}

/// net_ring makes 16 rings and frees only those of configured queues; what waits in them would be
/// lost to its pool, and a second device of the name could not be made.
void free_rings_of(const std::string& device) {
    for (unsigned i = 0; i < 16; ++i) {
        const std::string name = "ETH_RXTX" + std::to_string(i) + "_" + device;
        rte_ring* const ring = rte_ring_lookup(name.c_str());
        if (ring == nullptr)
            continue;
        void* packet = nullptr;
        while (rte_ring_dequeue(ring, &packet) == 0)
            rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    }
}
void free_leftover_rings_of(const std::string& device) {
    for (unsigned i = 0; i < 16; ++i)
        rte_ring_free(rte_ring_lookup(("ETH_RXTX" + std::to_string(i) + "_" + device).c_str()));
}

} // namespace

void listen_for_link(std::uint16_t ethdev, std::atomic<bool>& signal) {
    rte_eth_dev_callback_register(ethdev, RTE_ETH_EVENT_INTR_LSC, on_link_event, &signal);
}

void close_device(Port& port, PoolGraveyard& graveyard) {
    rte_eth_dev_stop(port.ethdev);
    // All of them, whatever their argument; none is no error that matters.
    rte_eth_dev_callback_unregister(
        port.ethdev, RTE_ETH_EVENT_INTR_LSC, on_link_event, reinterpret_cast<void*>(-1)
    );
    for (const auto& handover : port.handover) {
        std::array<rte_mbuf*, 32> packets;
        while (handover != nullptr) {
            const unsigned count = handover->pop(packets.data(), packets.size());
            if (count == 0)
                break;
            rte_pktmbuf_free_bulk(packets.data(), count);
            handover->closed.add(count);
        }
    }
    const bool is_ring = port.device.starts_with("net_ring");
    if (is_ring)
        free_rings_of(port.device);
    rte_eth_dev_close(port.ethdev);
    rte_dev_remove(port.handle);
    if (is_ring)
        free_leftover_rings_of(port.device);
    graveyard.bury(port.pool);
    port.pool = nullptr;
}

bool sample_device(Port& port) {
    rte_eth_stats stats{};
    if (rte_eth_stats_get(port.ethdev, &stats) == 0) {
        port.missed.set(stats.imissed);
        port.rx_errors.set(stats.ierrors);
        port.no_buffers.set(stats.rx_nombuf);
        port.tx_errors.set(stats.oerrors);
    }
    rte_eth_link link{};
    const bool known = rte_eth_link_get_nowait(port.ethdev, &link) == 0;
    const auto kernel = port.kernel.read();
    // The kernel knows better than the drivers that stand on its interfaces.
    const bool up =
        port.kernel.interface().empty() ? known && link.link_status == RTE_ETH_LINK_UP : kernel.up;
    const bool speed_known = known && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
    port.speed_mbps.store(speed_known ? link.link_speed : 0, std::memory_order_relaxed);
    return port.link_up.exchange(up, std::memory_order_relaxed) != up;
}

} // namespace weft
