// The dataplane as the engine's backend.
#pragma once

#include "control/ports_backend.hh"
#include "dataplane/dataplane.hh"

namespace weft {

class DataplaneBackend final : public PortsBackend {
public:
    DataplaneBackend(Dataplane& dataplane, bool manual_clock)
        : dataplane_{dataplane},
          manual_clock_{manual_clock} {}

    /// Hands what the dataplane reported to `events`. Call it when dataplane.event_fd() is
    /// readable, then Switch::poll().
    void poll(BackendEvents& events);

    void publish(const World& world) override { dataplane_.publish(world); }
    bool passed(Generation generation, std::vector<WorkerId>* laggards) override {
        return dataplane_.passed(generation, laggards);
    }
    void open_port(PortId port, const DeviceSpec& device) override;
    void close_port(PortId port) override { dataplane_.close_port(port); }
    void set_hold(PortId port, bool hold) override { dataplane_.set_hold(port, hold); }
    Result<void> release(PortId port, std::uint64_t packets) override {
        return dataplane_.release(port, packets);
    }
    std::uint64_t packet_out(
        PortId ingress,
        BridgeId bridge,
        std::shared_ptr<const Program> actions,
        std::span<const std::byte> packet
    ) override {
        return dataplane_.packet_out(ingress, bridge, std::move(actions), packet);
    }
    std::uint64_t
    trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet) override {
        return dataplane_.trace(ingress, bridge, packet);
    }
    std::uint64_t now_ms() const override { return dataplane_.now_ms(); }
    bool manual_clock() const override { return manual_clock_; }
    void advance_clock(std::uint64_t ms) override { dataplane_.advance_clock(ms); }
    std::size_t workers() const override { return dataplane_.workers(); }
    WorkerReport worker_report(std::size_t worker) const override;
    PortReport port_report(PortId port) const override;

private:
    Dataplane& dataplane_;
    bool manual_clock_;
};

} // namespace weft
