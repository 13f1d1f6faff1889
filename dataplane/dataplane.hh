// The dataplane as the control thread sees it: devices, workers and what they report. All DPDK is
// behind this header.
#pragma once

#include "base/drop.hh"
#include "base/ids.hh"
#include "base/reclaim.hh"
#include "base/result.hh"
#include "pipeline/burst.hh"
#include "pipeline/story.hh"
#include "pipeline/tables.hh"
#include "pipeline/world.hh"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace weft {

struct DataplaneConfig {
    /// One worker each; empty: `workers` on the cores after the first that we may use.
    std::vector<unsigned> cores = {};
    std::size_t workers = 1;
    std::uint32_t worker_buffers = 8'192; // of each worker's pool for copies and made packets
    std::uint32_t memory_mb = 0;          // for DPDK; 0: as much as it needs
    bool manual_clock = false;
    std::string file_prefix = {};           // of EAL; empty: unique to this process
    std::vector<std::string> eal_args = {}; // appended, for what we do not know of
    std::uint32_t punts_per_s = 1'000;      // of each port and class (a punt's reason)
    std::uint32_t punts_burst = 100;
};

/// A device to open for a port row.
struct PortDevice {
    std::string devargs = {};
    std::uint16_t queues = 1;
    std::uint16_t mtu = 1'500; // bytes of L3; 0: 1500
    std::uint32_t buffers = 0; // 0: sized from queues, device and input file
    bool hold = false;
};

struct PortInfo {
    /// "opening", "up", "down", "failed", "held"; "closed" in the last PortChanged.
    std::string state;
    std::string error;    // one sentence, where failed
    bool link_up = false; // of a held port too
    std::uint64_t mac = 0;
    std::uint16_t mtu = 0;
    std::uint32_t speed_mbps = 0;
    std::uint16_t rx_queues = 0;
    std::uint16_t tx_queues = 0;
    int numa_node = -1;
};

/// Where a worker's packets went. received + made == sent + dropped (by reason) + taken + held,
/// always.
struct WorkerStats {
    unsigned core = 0;
    std::uint64_t received = 0, made = 0, sent = 0, taken = 0, held = 0;
    std::array<std::uint64_t, drop_count> dropped{};
    std::uint64_t bursts = 0, empty_polls = 0, sleeps = 0;
    std::uint64_t busy_cycles = 0;  // of turns that found packets or commands
    std::uint64_t total_cycles = 0; // since start
    Generation generation = 0;      // last seen
    bool stalled = false;           // has not passed for 100 ms
};

struct PortStats {
    std::uint64_t rx_packets = 0, rx_bytes = 0, rx_missed = 0, rx_errors = 0, rx_no_buffers = 0;
    std::uint64_t tx_packets = 0, tx_bytes = 0, tx_dropped = 0, tx_errors = 0;
};

// What the dataplane reports to poll()'s caller.
struct PortChanged {
    PortId port;
    PortInfo info;
}; // opened, failed, link up or down, closed
struct Punted {
    PortId port;
    std::uint16_t table;
    const PuntSpec* spec; // spec is valid until the handler returns
    FlowKey key;
    std::vector<std::byte> packet;
    std::uint32_t packet_bytes;
};
struct MacSeen {
    Learned learned;
};
struct TraceDone {
    std::uint64_t ticket;
    std::unique_ptr<Story> story;
};
struct PacketOutDone {
    std::uint64_t ticket;
    bool sent;
}; // false: no buffer, or the worker's queue was full
struct WorkerStalled {
    WorkerId worker;
    std::uint64_t ms;
};
using DataplaneEvent =
    std::variant<PortChanged, Punted, MacSeen, TraceDone, PacketOutDone, WorkerStalled>;

/// One per process. Every function is called by the control thread and returns at once; what takes
/// time (opening and closing devices) happens on a helper thread and comes back through poll().
/// Workers run from start() to the destructor.
class Dataplane : public Reclaimer {
public:
    /// Starts EAL (the first in a process does; later ones find it running, with its memory) and
    /// the workers. Fails with one sentence when EAL does; missing root or huge pages is no failure
    /// but a line in `notes()`.
    static Result<std::unique_ptr<Dataplane>> start(const DataplaneConfig& config);
    ~Dataplane() override;

    std::size_t workers() const noexcept;
    const std::vector<std::string>&
    notes() const noexcept; // one line each, for the log: "no huge pages: running on normal memory"

    /// Gives the workers their tables. Called once, before the first port.
    void attach(Tables& tables);
    /// Makes `world` what workers read from their next burst on.
    void publish(const World& world);
    /// True when every worker runs at or past `generation` (a sleeping one counts); the laggards
    /// otherwise. Who asks again before the next publish() is told by event_fd() when they have
    /// come to the newest one; the first who does so waits for them here, 20 us at most.
    bool passed(Generation generation, std::vector<WorkerId>* laggards = nullptr) const;
    /// Tables retire what the published world still refers to, and publish after: so `free` waits
    /// for the next publish() and the grace period after that, and for the records that control has
    /// not read yet. Inside a `free` that runs, only for the latter two.
    void retire(std::function<void()> free) override;

    // Ports. A device's state comes as PortChanged; the link's as Tables::set_link is called by the
    // receiver of PortChanged.
    void open_port(PortId port, const PortDevice& device);
    void close_port(PortId port);
    void set_hold(PortId port, bool hold);
    /// Reads `packets` more packets from a held port; 0: from now on without limit.
    Result<void> release(PortId port, std::uint64_t packets);

    /// Runs actions (kept alive here until after PacketOutDone) on the packet, on the worker that
    /// polls the ingress port. The answer carries the number returned here.
    std::uint64_t packet_out(
        PortId ingress,
        BridgeId bridge,
        std::shared_ptr<const Program> actions,
        std::span<const std::byte> packet
    );
    /// Tells the packet's story on the worker that would get it, without side effects. Its story is
    /// empty (no steps) where the bridge is not in the published world, and null where the worker
    /// has too many commands open.
    std::uint64_t trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet);

    /// Handles what was reported since the last call, at most `max` events, then frees what no
    /// worker can hold any more. Where events are left, event_fd() stays readable.
    template <class Handler>
    void poll(Handler&& handler, std::size_t max = 1'024) {
        DataplaneEvent event;
        for (std::size_t i = 0; i < max && next_event(event); ++i)
            handler(event);
        reclaim();
    }
    /// Readable when poll() has something to do (an eventfd): for the control thread's event loop.
    int event_fd() const noexcept;

    // Time: milliseconds since start, by the TSC, or as advanced with --clock manual. One clock for
    // workers and control.
    std::uint64_t now_ms() const noexcept;
    void advance_clock(std::uint64_t ms);

    // Seeing inside
    WorkerStats worker_stats(std::size_t worker) const;
    PortStats port_stats(PortId port) const;
    std::optional<PortInfo> port_info(PortId port) const;
    /// Input files only: all records of all pcap inputs were received (or refused by the device),
    /// and nothing is in flight. It compares with the call before, so ask again and again; nothing
    /// wakes event_fd() for it.
    bool idle() const;
    /// Stops receiving, sends what is in hand, closes devices and files, runs everything retired.
    /// Waits for all of it. Then only stats may be asked for. Records that poll() has not read are
    /// thrown away.
    void stop();

private:
    Dataplane();
    bool next_event(DataplaneEvent& event);
    void reclaim();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
