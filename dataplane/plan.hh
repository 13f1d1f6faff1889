// Who polls and sends what: one small plan per worker, replaced whole when a port comes or goes.
#pragma once

#include "base/ids.hh"
#include "dataplane/port.hh"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct rte_mbuf;

namespace weft {

/// A receive queue that this worker polls.
struct RxQueue {
    std::uint16_t ethdev = 0;
    std::uint16_t queue = 0;
    PortId id{};
    Port* port = nullptr;
    PortCounters* counters = nullptr;
};

/// This worker's way out of a port: packets wait here until the end of the burst.
struct TxQueue {
    static constexpr std::uint32_t size = 32;

    std::uint32_t count = 0;
    std::uint32_t bytes = 0;
    std::uint32_t plain_bytes_max = 0; // of a frame without tags
    std::uint16_t ethdev = 0;
    std::uint16_t queue = 0;
    bool sends_segments = false;
    Handover* handover = nullptr; // null: the queue is this worker's
    Port* port = nullptr;
    PortCounters* counters = nullptr;
    std::array<rte_mbuf*, size> packets;
};

/// A ring whose packets this worker sends for another one.
struct HandoverIn {
    Handover* from = nullptr;
    std::uint16_t ethdev = 0;
    std::uint16_t queue = 0;
    PortCounters* counters = nullptr;
};

/// Made by control, then used by one worker alone until the grace period after the next one is
/// over.
struct Plan {
    std::vector<RxQueue> rx;
    std::vector<std::unique_ptr<TxQueue>> tx;
    std::vector<TxQueue*> tx_by_port; // by PortId; null where there is no device
    std::vector<HandoverIn> handover;

    /// nullptr where the port has no device.
    TxQueue* way_out(PortId port) const noexcept {
        return index(port) < tx_by_port.size() ? tx_by_port[index(port)] : nullptr;
    }
};

/// The plan of `worker` over these ports. Queue q of a port belongs to worker (q + port) % workers.
std::unique_ptr<Plan>
make_plan(std::span<Port* const> ports, std::size_t worker, std::size_t workers);

} // namespace weft
