#include "dataplane/handover.hh"

#include <rte_ring.h>

namespace weft {

std::unique_ptr<Handover> Handover::make(const char* name, int numa_node) {
    rte_ring* const ring = rte_ring_create(name, size, numa_node, RING_F_SP_ENQ | RING_F_SC_DEQ);
    return ring == nullptr ? nullptr : std::unique_ptr<Handover>{new Handover{ring}};
}

Handover::~Handover() {
    rte_ring_free(ring_);
}

unsigned Handover::push(rte_mbuf** packets, unsigned count) noexcept {
    return rte_ring_sp_enqueue_burst(ring_, reinterpret_cast<void**>(packets), count, nullptr);
}

unsigned Handover::pop(rte_mbuf** packets, unsigned count) noexcept {
    return rte_ring_sc_dequeue_burst(ring_, reinterpret_cast<void**>(packets), count, nullptr);
}

bool Handover::empty() const noexcept {
    return rte_ring_empty(ring_) != 0;
}

} // namespace weft
