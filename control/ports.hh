// Port rows and their devices: what to open and close, what state each is in, who holds which
// iface_id, and the events of all that.
#pragma once

#include "control/lowering.hh"
#include "control/ports_backend.hh"
#include "control/weft.pb.h"
#include "pipeline/tables.hh"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weft {

/// The rows of port_status. Devices open and close on the backend's own time; a row stands from its
/// commit on, whatever becomes of its device. "ready" is told only when the link is up and every
/// worker runs at or past the generation that has the port, so a packet that comes after it is
/// treated by the rules. Control thread only.
class Ports {
public:
    using Tell = std::function<void(std::string_view bridge, control::PortEvent event)>;

    Ports(Tables& tables, const Lowering& lowering, PortsBackend& backend, Tell tell)
        : tables_{tables},
          lowering_{lowering},
          backend_{backend},
          tell_{std::move(tell)} {}

    /// A port row's change was published as `generation`: devices are opened, closed, held.
    void applied(const Applied& change, Generation generation);
    /// After all changes of a generation: patch ports have found or lost their ends.
    void applied_all();
    void changed(PortId port, const DeviceState& state);
    /// Tells the ports that became ready. True while some wait for workers.
    bool poll();

    /// Changes nothing where the row has no standing port.
    Result<void> release(PortId port, std::uint64_t packets);
    control::PortStatus status(PortId port) const;
    bool stands(PortId port) const { return ports_.contains(port); }
    /// Ports in the order of their ids, which is that of their first mention.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [id, port] : ports_)
            visit(id);
    }
    std::vector<PortId> after(PortId port, std::size_t max) const;
    std::size_t size() const noexcept { return ports_.size(); }

private:
    struct Port {
        std::string bridge; // as shown
        std::string name;
        std::string cable; // of a patch port: what both its ends are known by
        bool admin_down = false;
        DeviceSpec device;
        DeviceState state;
        std::string iface_id;
        Generation generation = 0; // of the row
        bool up = false;           // link and administration, as told
        bool ready = false;        // told since it came up

        bool is_patch() const noexcept { return !cable.empty(); }
    };

    void add(PortId id, const control::Port& row, Generation generation);
    void remove(PortId id);
    void change(PortId id, const control::Port& row, Generation generation);
    void judge(PortId id, const std::string& reason);
    void tell(PortId id, std::string what, std::string reason);
    void plug(PortId id, const control::Port& row);
    void unplug(PortId id);
    void claim(PortId id);
    void unclaim(PortId id);
    bool is_active(PortId id) const;

    Tables& tables_;
    const Lowering& lowering_;
    PortsBackend& backend_;
    Tell tell_;
    std::map<PortId, Port> ports_;
    std::map<std::string, std::vector<PortId>> claims_; // iface_id: who claims it, first come first
    std::map<std::string, std::set<PortId>> cables_;    // who names them
    std::set<std::string> cables_changed_;
    std::set<PortId> not_ready_; // up, and not told ready
};

/// The device that a port row asks for.
DeviceSpec device_of(const control::Port& row);

} // namespace weft
