#include "dataplane/plan.hh"

namespace weft {

namespace {

constexpr std::uint32_t ethernet_bytes = 14;

void add_port(Plan& plan, Port& port, std::size_t worker, std::size_t workers) {
    PortCounters* const counters = &port.counters[worker];
    for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue)
        if (port.owner_of(queue, workers) == worker)
            plan.rx.push_back({port.ethdev, queue, port.id, &port, counters});

    auto tx = std::make_unique<TxQueue>();
    tx->plain_bytes_max = port.mtu + ethernet_bytes;
    tx->ethdev = port.ethdev;
    tx->queue = port.tx_queue_of(worker, workers);
    tx->sends_segments = port.sends_segments;
    tx->handover = port.handover[worker].get();
    tx->port = &port;
    tx->counters = counters;
    if (plan.tx_by_port.size() <= index(port.id))
        plan.tx_by_port.resize(index(port.id) + 1);
    plan.tx_by_port[index(port.id)] = tx.get();
    plan.tx.push_back(std::move(tx));

    for (std::size_t from = 0; from < workers; ++from) {
        Handover* const handover = port.handover[from].get();
        const std::uint16_t queue = port.tx_queue_of(from, workers);
        if (handover != nullptr && port.owner_of(queue, workers) == worker)
            plan.handover.push_back({handover, port.ethdev, queue, counters});
    }
}

} // namespace

std::unique_ptr<Plan>
make_plan(std::span<Port* const> ports, std::size_t worker, std::size_t workers) {
    auto plan = std::make_unique<Plan>();
    for (Port* const port : ports)
        add_port(*plan, *port, worker, workers);
    return plan;
}

} // namespace weft
