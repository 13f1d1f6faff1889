// Packets for a transmit queue that belongs to another worker.
#pragma once

#include "base/counter.hh"

#include <cstdint>
#include <memory>

struct rte_mbuf;
struct rte_ring;

namespace weft {

/// From one worker to the owner of a device's transmit queue, where the device has fewer of them
/// than there are workers. A ring with one producer and one consumer. The sender's books count a
/// packet as handed; what became of it is counted here, to the sender's credit: handed == sent +
/// queue_full + closed + in the ring.
class Handover {
public:
    static constexpr unsigned size = 1'024;

    /// Null where there is no memory for the ring.
    static std::unique_ptr<Handover> make(const char* name, int numa_node);
    ~Handover();
    Handover(const Handover&) = delete;
    Handover& operator=(const Handover&) = delete;

    /// How many of the packets were taken; the rest stays the caller's. The sender alone.
    unsigned push(rte_mbuf** packets, unsigned count) noexcept;
    /// The owner alone, or whoever comes after both have gone.
    unsigned pop(rte_mbuf** packets, unsigned count) noexcept;
    bool empty() const noexcept;

    Counter sent;       // written by the owner
    Counter queue_full; // written by the owner
    Counter closed;     // written by whoever empties the ring of a port that goes away

private:
    explicit Handover(rte_ring* ring) : ring_{ring} {}
    rte_ring* ring_;
};

} // namespace weft
