// What the control thread needs of a dataplane: devices, workers, a clock. Tests give it a fake.
#pragma once

#include "base/drop.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "base/result.hh"
#include "pipeline/burst.hh"
#include "pipeline/story.hh"
#include "pipeline/tables.hh"
#include "pipeline/world.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// A device to open for a port row.
struct DeviceSpec {
    std::string devargs;
    std::uint16_t queues = 1;
    std::uint16_t mtu = 1'500;
    std::uint32_t buffers = 0; // 0: sized by the dataplane
    bool hold = false;
    friend bool operator==(const DeviceSpec&, const DeviceSpec&) = default;
};

struct DeviceState {
    std::string state; // "opening", "up", "down", "failed", "held"
    std::string error; // one sentence, where failed
    bool link = false; // up; a held port's link is, too
    std::uint64_t mac = 0;
    std::uint16_t mtu = 0;
    std::uint32_t speed_mbps = 0;
    std::uint16_t rx_queues = 0;
    std::uint16_t tx_queues = 0;
    int numa_node = -1;
};

/// received + made == sent + dropped (by reason) + taken + held, always.
struct WorkerReport {
    unsigned core = 0;
    std::uint64_t received = 0, made = 0, sent = 0, taken = 0, held = 0;
    std::array<std::uint64_t, drop_count> dropped{};
    std::uint64_t bursts = 0, empty_polls = 0, sleeps = 0;
    std::uint64_t busy_cycles = 0, total_cycles = 0;
    Generation generation = 0;
    bool stalled = false;
};

struct PortReport {
    std::uint64_t rx_packets = 0, rx_bytes = 0, rx_missed = 0, rx_errors = 0, rx_no_buffers = 0;
    std::uint64_t tx_packets = 0, tx_bytes = 0, tx_dropped = 0, tx_errors = 0;
};

/// A packet that a walk handed over. `spec` and `packet` are valid during the call that brings it.
struct PuntedPacket {
    PortId port{};
    std::uint16_t table = 0;
    const PuntSpec* spec = nullptr;
    const FlowKey* key = nullptr;
    std::span<const std::byte> packet; // what of it was kept
    std::uint32_t packet_bytes = 0;    // of the whole
};

/// Every function returns at once; what takes time comes back through BackendEvents. Control thread
/// only.
class PortsBackend {
public:
    virtual ~PortsBackend() = default;

    /// Makes `world` what workers read from their next burst on.
    virtual void publish(const World& world) = 0;
    /// True when every worker runs at or past `generation` (a sleeping one does); else the laggards
    /// are in `laggards`.
    virtual bool passed(Generation generation, std::vector<WorkerId>* laggards) = 0;

    /// Closing and opening the same port again keeps that order.
    virtual void open_port(PortId port, const DeviceSpec& device) = 0;
    virtual void close_port(PortId port) = 0;
    virtual void set_hold(PortId port, bool hold) = 0;
    /// Reads `packets` more from a held port; 0: from now on without limit.
    virtual Result<void> release(PortId port, std::uint64_t packets) = 0;

    /// Answered by packet_out_done() and trace_done() with the number returned here, never before
    /// this returns.
    virtual std::uint64_t packet_out(
        PortId ingress,
        BridgeId bridge,
        std::shared_ptr<const Program> actions,
        std::span<const std::byte> packet
    ) = 0;
    virtual std::uint64_t
    trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet) = 0;

    /// Milliseconds of the switch's one clock.
    virtual std::uint64_t now_ms() const = 0;
    virtual bool manual_clock() const = 0;
    virtual void advance_clock(std::uint64_t ms) = 0;

    virtual std::size_t workers() const = 0;
    virtual WorkerReport worker_report(std::size_t worker) const = 0;
    virtual PortReport port_report(PortId port) const = 0;
};

/// What the dataplane tells; Switch listens.
class BackendEvents {
public:
    virtual ~BackendEvents() = default;
    /// Opened, failed, link up or down.
    virtual void port_changed(PortId port, const DeviceState& state) = 0;
    virtual void punted(const PuntedPacket& packet) = 0;
    virtual void mac_seen(const Learned& learned) = 0;
    virtual void trace_done(std::uint64_t ticket, std::unique_ptr<Story> story) = 0;
    virtual void packet_out_done(std::uint64_t ticket, bool sent) = 0;
    virtual void worker_stalled(WorkerId worker, std::uint64_t ms) = 0;
};

} // namespace weft
