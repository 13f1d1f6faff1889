// Nothing is received before everything stands: ports opened during the start are held until the
// gate opens.
#pragma once

#include "control/ports_backend.hh"

#include <cstdint>
#include <map>
#include <vector>

namespace weft {

/// Passes every call on. Until open() is called devices are opened held, and what was said of
/// holding and releasing them is remembered and done then. Control thread only.
class StartGate final : public PortsBackend {
public:
    explicit StartGate(PortsBackend& backend) : backend_{backend} {}

    /// Ports whose rows do not hold them receive from now on. Once.
    void open();

    void open_port(PortId port, const DeviceSpec& device) override;
    void close_port(PortId port) override;
    void set_hold(PortId port, bool hold) override;
    Result<void> release(PortId port, std::uint64_t packets) override;

    void publish(const World& world) override { backend_.publish(world); }
    bool passed(Generation generation, std::vector<WorkerId>* laggards) override {
        return backend_.passed(generation, laggards);
    }
    std::uint64_t packet_out(
        PortId ingress,
        BridgeId bridge,
        std::shared_ptr<const Program> actions,
        std::span<const std::byte> packet
    ) override {
        return backend_.packet_out(ingress, bridge, std::move(actions), packet);
    }
    std::uint64_t
    trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet) override {
        return backend_.trace(ingress, bridge, packet);
    }
    std::uint64_t now_ms() const override { return backend_.now_ms(); }
    bool manual_clock() const override { return backend_.manual_clock(); }
    void advance_clock(std::uint64_t ms) override { backend_.advance_clock(ms); }
    std::size_t workers() const override { return backend_.workers(); }
    WorkerReport worker_report(std::size_t worker) const override {
        return backend_.worker_report(worker);
    }
    PortReport port_report(PortId port) const override { return backend_.port_report(port); }

private:
    struct Held {
        bool hold = false;                   // also by its row
        std::vector<std::uint64_t> releases; // asked for meanwhile
    };

    PortsBackend& backend_;
    bool is_open_ = false;
    std::map<PortId, Held> held_;
};

} // namespace weft
