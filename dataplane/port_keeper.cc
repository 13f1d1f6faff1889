#include "dataplane/port_keeper.hh"

#include "base/check.hh"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace weft {

namespace {

/// Opens on the helper thread. Where memory is short, pools of closed ports may be on their way
/// home.
Result<std::unique_ptr<Port>>
open_with_patience(const OpenRequest& request, DpdkLog& log, PoolGraveyard& graveyard) {
    graveyard.sweep();
    auto result = open_device(request, log);
    for (int tries = 0;
         tries < 5 && !graveyard.empty() && !result && result.error().code == "no_memory";
         ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        graveyard.sweep();
        result = open_device(request, log);
    }
    return result;
}

bool same_device(const PortDevice& a, const PortDevice& b) {
    return a.devargs == b.devargs && a.queues == b.queues && a.mtu == b.mtu &&
           a.buffers == b.buffers;
}

} // namespace

void PortKeeper::open(PortId port, std::string name, PortDevice device) {
    if (device.mtu == 0)
        device.mtu = PortDevice{}.mtu;
    Entry& entry = entries_[port];
    entry.id = port;
    entry.name = std::move(name);
    const bool failed = entry.phase == Phase::idle && !entry.waits;
    const bool same = entry.wanted && same_device(*entry.wanted, device);
    entry.wanted = device;
    if (entry.hold != device.hold || failed)
        set_hold(port, device.hold);
    if (!same || failed)
        step(entry);
}

void PortKeeper::close(PortId port) {
    const auto at = entries_.find(port);
    if (at == entries_.end() || !at->second.wanted)
        return;
    at->second.wanted.reset();
    at->second.waits = false;
    step(at->second);
}

void PortKeeper::step(Entry& entry) {
    if (entry.phase == Phase::idle) {
        if (entry.wanted)
            return begin_opening(entry);
        entry.state = "closed";
        if (ending_)
            return;
        const PortId id = entry.id;
        around_.tell(PortChanged{id, info_of(entry)});
        entries_.erase(id);
        return;
    }
    if (entry.phase == Phase::open && (!entry.wanted || !same_device(*entry.wanted, entry.device)))
        begin_closing(entry);
}

const PortKeeper::Entry*
PortKeeper::holder_of(const std::string& device, const Entry& asker) const {
    for (const auto& [id, entry] : entries_)
        if (&entry != &asker && entry.phase != Phase::idle && entry.device_name == device)
            return &entry;
    return nullptr;
}

void PortKeeper::begin_opening(Entry& entry) {
    entry.device = *entry.wanted;
    entry.error.clear();
    entry.state = "opening";
    entry.waits = false;
    const auto args = parse_device_args(entry.device.devargs);
    if (!args)
        return refuse(entry, "port " + entry.name + ": " + args.error().what);
    entry.device_name = args->device;
    if (const Entry* holder = holder_of(entry.device_name, entry); holder != nullptr) {
        const bool leaves = holder->phase == Phase::closing || !holder->wanted ||
                            !same_device(*holder->wanted, holder->device);
        if (!leaves)
            return refuse(
                entry,
                "port " + entry.name + ": device " + entry.device_name + " belongs to port " +
                    holder->name
            );
        entry.waits = true;
        return;
    }
    entry.phase = Phase::opening;
    OpenRequest request{
        .port = entry.id,
        .name = entry.name,
        .devargs = entry.device.devargs,
        .queues = entry.device.queues,
        .mtu = entry.device.mtu,
        .buffers = entry.device.buffers,
        .workers = around_.workers.size(),
        .huge_pages = around_.huge_pages,
        .link_signal = &around_.monitor.link_signal(),
    };
    around_.helper.run([request = std::move(request),
                        graveyard = graveyard_,
                        &monitor = around_.monitor,
                        &inbox = around_.inbox,
                        &log = around_.log] {
        auto result = open_with_patience(request, log, *graveyard);
        if (result)
            monitor.watch(**result);
        inbox.post(DeviceOpened{request.port, std::move(result)});
    });
}

void PortKeeper::refuse(Entry& entry, std::string why) {
    entry.phase = Phase::idle;
    entry.error = std::move(why);
    tell_state(entry);
}

void PortKeeper::opened(DeviceOpened notice) {
    const auto at = entries_.find(notice.port);
    check(at != entries_.end() && at->second.phase == Phase::opening);
    Entry& entry = at->second;
    const bool still_wanted = entry.wanted && same_device(*entry.wanted, entry.device);
    if (!notice.result) {
        entry.phase = Phase::idle;
        if (still_wanted)
            return refuse(entry, std::move(notice.result.error().what));
        return step(entry);
    }
    entry.port = std::move(*notice.result);
    entry.phase = Phase::open;
    if (!still_wanted)
        return begin_closing(entry);
    if (entry.hold)
        entry.port->budget.set(std::exchange(entry.released, 0));
    replan();
    tell_state(entry);
}

/// Workers let go of the port first; then the helper thread closes it.
void PortKeeper::begin_closing(Entry& entry) {
    entry.phase = Phase::closing;
    replan();
    around_.grace.retire([this, port = entry.port.get()] {
        around_.helper.run(
            [port, graveyard = graveyard_, &monitor = around_.monitor, &inbox = around_.inbox] {
                monitor.unwatch(*port);
                close_device(*port, *graveyard);
                graveyard->sweep();
                inbox.post(DeviceClosed{port->id});
            }
        );
    });
}

void PortKeeper::closed(PortId port) {
    const auto at = entries_.find(port);
    check(at != entries_.end() && at->second.phase == Phase::closing);
    Entry& entry = at->second;
    settled_.resize(around_.workers.size());
    for (std::size_t worker = 0; worker < entry.port->handover.size(); ++worker)
        if (const auto& ring = entry.port->handover[worker]; ring != nullptr) {
            settled_[worker].sent += ring->sent.read();
            settled_[worker].queue_full += ring->queue_full.read();
            settled_[worker].closed += ring->closed.read();
        }
    entry.last = stats_of(*entry.port);
    entry.port.reset();
    entry.phase = Phase::idle;
    std::vector<PortId> waiting;
    for (const auto& [id, other] : entries_)
        if (other.waits && other.wanted)
            waiting.push_back(id);
    step(entry); // may erase it
    for (const PortId id : waiting)
        if (const auto other = entries_.find(id); other != entries_.end() && other->second.waits)
            begin_opening(other->second);
}

void PortKeeper::link_changed(PortId port) {
    if (const auto at = entries_.find(port);
        at != entries_.end() && at->second.phase == Phase::open)
        tell_state(at->second);
}

void PortKeeper::set_hold(PortId port, bool hold) {
    const auto at = entries_.find(port);
    if (at == entries_.end())
        return;
    Entry& entry = at->second;
    entry.hold = hold;
    entry.released = 0;
    if (entry.wanted)
        entry.wanted->hold = hold;
    if (entry.phase != Phase::open)
        return;
    entry.port->budget.set(hold ? 0 : RxBudget::unlimited);
    tell_state(entry);
}

Result<void> PortKeeper::release(PortId port, std::uint64_t packets) {
    const auto at = entries_.find(port);
    if (at == entries_.end() || !at->second.wanted)
        return fail("unknown_port", "port " + std::to_string(index(port)) + " has no device");
    Entry& entry = at->second;
    if (!entry.hold)
        return fail("not_held", "port " + entry.name + ": is not held");
    if (packets == 0)
        set_hold(port, false);
    else if (entry.phase == Phase::open)
        entry.port->budget.add(packets);
    else
        entry.released += packets;
    return {};
}

void PortKeeper::replan() {
    std::vector<Port*> ports;
    for (const auto& [id, entry] : entries_)
        if (entry.phase == Phase::open)
            ports.push_back(entry.port.get());
    const std::size_t workers = around_.workers.size();
    for (std::size_t worker = 0; worker < workers; ++worker) {
        std::shared_ptr<Plan> old =
            around_.workers[worker]->exchange_plan(make_plan(ports, worker, workers));
        around_.grace.retire([old = std::move(old)] {});
    }
}

void PortKeeper::tell_state(Entry& entry) {
    std::string state = state_of(entry);
    if (state == entry.state && entry.error.empty() && entry.phase == Phase::open)
        return;
    entry.state = std::move(state);
    around_.tell(PortChanged{entry.id, info_of(entry)});
}

std::string PortKeeper::state_of(const Entry& entry) {
    if (entry.phase == Phase::idle)
        return entry.waits ? "opening" : "failed";
    if (entry.phase != Phase::open)
        return "opening";
    if (!entry.port->link_up.load(std::memory_order_relaxed))
        return "down";
    return entry.hold ? "held" : "up";
}

PortInfo PortKeeper::info_of(const Entry& entry) const {
    PortInfo info;
    info.state = entry.state;
    info.error = entry.error;
    if (entry.phase != Phase::open)
        return info;
    const Port& port = *entry.port;
    info.link_up = port.link_up.load(std::memory_order_relaxed);
    info.mac = port.mac;
    info.mtu = port.mtu;
    info.speed_mbps = port.speed_mbps.load(std::memory_order_relaxed);
    info.rx_queues = port.rx_queues;
    info.tx_queues = port.tx_queues;
    info.numa_node = port.numa_node;
    return info;
}

std::optional<PortInfo> PortKeeper::info(PortId port) const {
    const auto at = entries_.find(port);
    if (at == entries_.end())
        return std::nullopt;
    return info_of(at->second);
}

PortStats PortKeeper::stats_of(const Port& port) {
    PortStats stats;
    for (const PortCounters& of : port.counters) {
        stats.rx_packets += of.rx_packets.read();
        stats.rx_bytes += of.rx_bytes.read();
        stats.tx_packets += of.tx_packets.read();
        stats.tx_bytes += of.tx_bytes.read();
        stats.tx_dropped += of.tx_dropped.read();
    }
    stats.rx_missed = port.missed.read();
    stats.rx_errors = port.rx_errors.read();
    stats.rx_no_buffers = port.no_buffers.read();
    stats.tx_errors = port.tx_errors.read();
    return stats;
}

PortStats PortKeeper::stats(PortId port) const {
    const auto at = entries_.find(port);
    if (at == entries_.end())
        return {};
    return at->second.port == nullptr ? at->second.last : stats_of(*at->second.port);
}

HandedOutcome PortKeeper::outcome_of(std::size_t worker) const {
    HandedOutcome sum = worker < settled_.size() ? settled_[worker] : HandedOutcome{};
    for (const auto& [id, entry] : entries_) {
        if (entry.port == nullptr || entry.port->handover[worker] == nullptr)
            continue;
        const Handover& ring = *entry.port->handover[worker];
        sum.sent += ring.sent.read();
        sum.queue_full += ring.queue_full.read();
        sum.closed += ring.closed.read();
    }
    return sum;
}

bool PortKeeper::inputs_done() const {
    for (const auto& [id, entry] : entries_) {
        if (entry.phase == Phase::idle && !entry.waits)
            continue; // failed
        if (entry.phase != Phase::open)
            return false;
        const Port& port = *entry.port;
        if (!port.has_input_files)
            continue;
        const std::uint64_t refused =
            port.missed.read() + port.rx_errors.read() + port.no_buffers.read();
        if (port.endless_input || port.received() + refused < port.input_records)
            return false;
    }
    return true;
}

void PortKeeper::close_all() {
    ending_ = true;
    const auto all_idle = [this] {
        return std::all_of(entries_.begin(), entries_.end(), [](const auto& at) {
            return at.second.phase == Phase::idle;
        });
    };
    for (auto& [id, entry] : entries_) {
        entry.wanted.reset();
        entry.waits = false;
        step(entry);
    }
    while (!all_idle()) {
        around_.grace.release_all();
        around_.helper.finish();
        while (auto notice = around_.inbox.take()) {
            if (auto* done = std::get_if<DeviceOpened>(&*notice))
                opened(std::move(*done));
            else if (const auto* gone = std::get_if<DeviceClosed>(&*notice))
                closed(gone->port);
        }
    }
}

} // namespace weft
