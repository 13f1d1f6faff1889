#include "control/dataplane_backend.hh"

namespace weft {

namespace {

struct Deliver {
    BackendEvents& events;

    void operator()(PortChanged& changed) const {
        const PortInfo& info = changed.info;
        events.port_changed(
            changed.port,
            {
                .state = info.state,
                .error = info.error,
                .link = info.link_up,
                .mac = info.mac,
                .mtu = info.mtu,
                .speed_mbps = info.speed_mbps,
                .rx_queues = info.rx_queues,
                .tx_queues = info.tx_queues,
                .numa_node = info.numa_node,
            }
        );
    }
    void operator()(Punted& punted) const {
        events.punted({
            .port = punted.port,
            .table = punted.table,
            .spec = punted.spec,
            .key = &punted.key,
            .packet = punted.packet,
            .packet_bytes = punted.packet_bytes,
        });
    }
    void operator()(MacSeen& seen) const { events.mac_seen(seen.learned); }
    void operator()(TraceDone& done) const {
        events.trace_done(done.ticket, std::move(done.story));
    }
    void operator()(PacketOutDone& done) const { events.packet_out_done(done.ticket, done.sent); }
    void operator()(WorkerStalled& stalled) const {
        events.worker_stalled(stalled.worker, stalled.ms);
    }
};

} // namespace

void DataplaneBackend::poll(BackendEvents& events) {
    dataplane_.poll([&](DataplaneEvent& event) { std::visit(Deliver{events}, event); });
}

void DataplaneBackend::open_port(PortId port, const DeviceSpec& device) {
    dataplane_.open_port(
        port,
        {
            .devargs = device.devargs,
            .queues = device.queues,
            .mtu = device.mtu,
            .buffers = device.buffers,
            .hold = device.hold,
        }
    );
}

WorkerReport DataplaneBackend::worker_report(std::size_t worker) const {
    const WorkerStats stats = dataplane_.worker_stats(worker);
    return {
        .core = stats.core,
        .received = stats.received,
        .made = stats.made,
        .sent = stats.sent,
        .taken = stats.taken,
        .held = stats.held,
        .dropped = stats.dropped,
        .bursts = stats.bursts,
        .empty_polls = stats.empty_polls,
        .sleeps = stats.sleeps,
        .busy_cycles = stats.busy_cycles,
        .total_cycles = stats.total_cycles,
        .generation = stats.generation,
        .stalled = stats.stalled,
    };
}

PortReport DataplaneBackend::port_report(PortId port) const {
    const PortStats stats = dataplane_.port_stats(port);
    return {
        .rx_packets = stats.rx_packets,
        .rx_bytes = stats.rx_bytes,
        .rx_missed = stats.rx_missed,
        .rx_errors = stats.rx_errors,
        .rx_no_buffers = stats.rx_no_buffers,
        .tx_packets = stats.tx_packets,
        .tx_bytes = stats.tx_bytes,
        .tx_dropped = stats.tx_dropped,
        .tx_errors = stats.tx_errors,
    };
}

} // namespace weft
