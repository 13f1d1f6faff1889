#include "control/ports.hh"

#include "base/check.hh"
#include "control/macs.hh"

#include <algorithm>

namespace weft {

namespace {

control::Port message(const Row& row) {
    return to_message(row.relation, row.bytes()).port();
}

/// The same for both ends of a patch.
std::string cable_of(const control::Port& row) {
    if (row.peer().empty())
        return {};
    const auto [one, other] = std::minmax(row.name(), row.peer());
    return patch_name(one, other);
}

/// Holding a port does not need another device.
bool same_device(DeviceSpec a, const DeviceSpec& b) {
    a.hold = b.hold;
    return a == b;
}

} // namespace

DeviceSpec device_of(const control::Port& row) {
    return {
        .devargs = row.devargs(),
        .queues = static_cast<std::uint16_t>(std::max(1u, row.queues())),
        .mtu = static_cast<std::uint16_t>(row.mtu() == 0 ? 1'500 : row.mtu()),
        .buffers = row.buffers(),
        .hold = row.hold(),
    };
}

void Ports::applied(const Applied& change_of, Generation generation) {
    const Row& row = change_of.after ? *change_of.after : *change_of.before;
    const PortId id = lowering_.port_of(row);
    if (!change_of.before)
        add(id, message(row), generation);
    else if (!change_of.after)
        remove(id);
    else
        change(id, message(row), generation);
}

void Ports::add(PortId id, const control::Port& row, Generation generation) {
    Port& port = ports_[id];
    port = {};
    port.bridge = bridge_shown(row.bridge());
    port.name = row.name();
    port.admin_down = row.down();
    port.iface_id = row.iface_id();
    port.generation = generation;
    port.device = device_of(row);
    plug(id, row);
    if (port.is_patch()) {
        port.state.state = "down";
    } else {
        port.state.state = "opening";
        backend_.open_port(id, port.device);
    }
    claim(id);
}

void Ports::remove(PortId id) {
    Port& port = ports_.at(id);
    unclaim(id);
    tables_.set_link(id, false);
    port.state.link = false;
    port.up = port.ready = false;
    not_ready_.erase(id);
    tell(id, "gone", "its row was removed");
    if (!port.is_patch())
        backend_.close_port(id);
    unplug(id);
    ports_.erase(id);
}

void Ports::change(PortId id, const control::Port& row, Generation generation) {
    Port& port = ports_.at(id);
    if (port.is_patch() != !row.peer().empty()) {
        remove(id);
        return add(id, row, generation);
    }
    port.generation = generation;
    port.admin_down = row.down();
    if (port.iface_id != row.iface_id()) {
        unclaim(id);
        port.iface_id = row.iface_id();
        claim(id);
    }
    unplug(id);
    plug(id, row);
    const DeviceSpec device = device_of(row);
    const DeviceSpec before = std::exchange(port.device, device);
    if (!port.is_patch() && !same_device(before, device)) {
        tables_.set_link(id, false);
        port.state = {};
        port.state.state = "opening";
        judge(id, "its device is opened anew");
        backend_.close_port(id);
        backend_.open_port(id, device);
        return;
    }
    if (!port.is_patch() && before.hold != device.hold)
        backend_.set_hold(id, device.hold);
    judge(id, port.admin_down ? "set down by its row" : "its row changed");
}

void Ports::plug(PortId id, const control::Port& row) {
    std::string& cable = ports_.at(id).cable;
    cable = cable_of(row);
    if (cable.empty())
        return;
    cables_[cable].insert(id);
    cables_changed_.insert(cable);
}

void Ports::unplug(PortId id) {
    const std::string cable = std::exchange(ports_.at(id).cable, {});
    if (cable.empty())
        return;
    const auto ends = cables_.find(cable);
    ends->second.erase(id);
    if (ends->second.empty())
        cables_.erase(ends);
    cables_changed_.insert(cable);
}

void Ports::applied_all() {
    for (const std::string& cable : std::exchange(cables_changed_, {})) {
        const auto ends = cables_.find(cable);
        if (ends == cables_.end())
            continue;
        for (const PortId id : ends->second) {
            Port& port = ports_.at(id);
            const PortView* view = tables_.world().ports.find(index(id));
            const bool joined = view != nullptr && view->peer != PortId::none;
            if (port.state.link == joined)
                continue;
            port.state.link = joined;
            port.state.state = joined ? "up" : "down";
            tables_.set_link(id, joined);
            judge(id, joined ? "its other end is there" : "its other end is not there");
        }
    }
}

void Ports::changed(PortId id, const DeviceState& state) {
    const auto found = ports_.find(id);
    if (found == ports_.end() || found->second.is_patch())
        return; // closed meanwhile
    Port& port = found->second;
    const std::string before = std::exchange(port.state, state).state;
    tables_.set_link(id, state.link);
    judge(id, state.link ? "link up" : state.state == "failed" ? state.error : "link down");
    if (state.state == "failed" && before != "failed")
        tell(id, "failed", state.error);
}

/// Tells whether the port went up or down.
void Ports::judge(PortId id, const std::string& reason) {
    Port& port = ports_.at(id);
    const bool up = port.state.link && !port.admin_down;
    if (up == port.up)
        return;
    port.up = up;
    port.ready = false;
    if (up)
        not_ready_.insert(id);
    else
        not_ready_.erase(id);
    tell(id, up ? "up" : "down", reason);
}

bool Ports::poll() {
    if (not_ready_.empty())
        return false;
    std::map<Generation, bool> passed;
    for (const PortId id : std::set<PortId>{not_ready_}) {
        Port& port = ports_.at(id);
        const auto [known, fresh] = passed.emplace(port.generation, false);
        if (fresh)
            known->second = backend_.passed(port.generation, nullptr);
        if (!known->second)
            continue;
        port.ready = true;
        not_ready_.erase(id);
        tell(id, "ready", "every worker runs generation " + std::to_string(port.generation));
    }
    return !not_ready_.empty();
}

Result<void> Ports::release(PortId id, std::uint64_t packets) {
    const auto found = ports_.find(id);
    if (found == ports_.end() || found->second.is_patch() || !found->second.device.hold) {
        const std::string name{tables_.port_name(id)};
        return fail("bad_value", "port \"" + name + "\" is not held: its row has no hold");
    }
    return backend_.release(id, packets);
}

control::PortStatus Ports::status(PortId id) const {
    control::PortStatus status;
    const auto found = ports_.find(id);
    if (found == ports_.end())
        return status;
    const Port& port = found->second;
    status.set_bridge(port.bridge);
    status.set_name(port.name);
    status.set_number(static_cast<std::uint32_t>(tables_.port_number(id)));
    const bool shut = port.admin_down && (port.state.state == "up" || port.state.state == "held");
    status.set_state(shut ? "down" : port.state.state);
    status.set_error(port.state.error);
    if (port.state.mac != 0)
        status.set_mac(mac_text(port.state.mac));
    status.set_mtu(port.state.mtu != 0 ? port.state.mtu : port.device.mtu);
    status.set_speed_mbps(port.state.speed_mbps);
    status.set_rx_queues(port.state.rx_queues);
    status.set_tx_queues(port.state.tx_queues);
    status.set_numa_node(static_cast<std::uint32_t>(std::max(0, port.state.numa_node)));
    status.set_iface_id(port.iface_id);
    status.set_iface_active(!port.iface_id.empty() && is_active(id));
    return status;
}

std::vector<PortId> Ports::after(PortId port, std::size_t max) const {
    std::vector<PortId> ids;
    for (auto at = ports_.upper_bound(port); at != ports_.end() && ids.size() < max; ++at)
        ids.push_back(at->first);
    return ids;
}

void Ports::tell(PortId id, std::string what, std::string reason) {
    control::PortEvent event;
    event.set_what(std::move(what));
    event.set_reason(std::move(reason));
    *event.mutable_status() = status(id);
    tell_(ports_.at(id).bridge, std::move(event));
}

// -- iface_id: the first port of this node that claims one has it

bool Ports::is_active(PortId id) const {
    const auto claims = claims_.find(ports_.at(id).iface_id);
    return claims != claims_.end() && claims->second.front() == id;
}

void Ports::claim(PortId id) {
    const Port& port = ports_.at(id);
    if (port.iface_id.empty())
        return;
    auto& claims = claims_[port.iface_id];
    claims.push_back(id);
    if (claims.size() > 1)
        tell(
            id,
            "duplicate_iface_id",
            "iface_id \"" + port.iface_id + "\" is that of port \"" +
                ports_.at(claims.front()).name + "\" already"
        );
}

void Ports::unclaim(PortId id) {
    const Port& port = ports_.at(id);
    if (port.iface_id.empty())
        return;
    const auto claims = claims_.find(port.iface_id);
    const bool was_active = claims->second.front() == id;
    std::erase(claims->second, id);
    if (claims->second.empty()) {
        claims_.erase(claims);
        return;
    }
    if (!was_active)
        return;
    // The next in line has it now: whoever waits for the interface hears of it as of any port that
    // came up.
    const PortId next = claims->second.front();
    if (!ports_.at(next).up)
        return;
    tell(next, "up", "iface_id \"" + port.iface_id + "\" is this port's now");
    ports_.at(next).ready = false;
    not_ready_.insert(next);
}

} // namespace weft
