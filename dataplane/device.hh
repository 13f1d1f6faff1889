// Devices: from an argument string to a started port, and back.
#pragma once

#include "base/result.hh"
#include "dataplane/devargs.hh"
#include "dataplane/dpdk_log.hh"
#include "dataplane/pool.hh"
#include "dataplane/port.hh"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

struct OpenRequest {
    PortId port{};
    std::string name; // of the port row, for sentences
    std::string devargs;
    std::uint16_t queues = 1;
    std::uint16_t mtu = 1'500;
    std::uint32_t buffers = 0;
    std::size_t workers = 1;
    bool huge_pages = false;
    /// Set when a device that can says that its link changed.
    std::atomic<bool>* link_signal = nullptr;
};

/// Opens, configures and starts the device: queues (as many for sending as there are workers, where
/// it has them), RSS over several receive queues where it can, its MTU, promiscuous. Takes as long
/// as the device takes: helper thread only. Fails with `bad_device`, `bad_value` or `no_memory` and
/// a sentence that begins with the port and its device; nothing is left open then.
Result<std::unique_ptr<Port>> open_device(const OpenRequest& request, DpdkLog& log);

/// Stops and closes a device that no worker can see any more. Packets left in its hand-over rings
/// are counted as closed; the pool is buried. Helper thread only.
void close_device(Port& port, PoolGraveyard& graveyard);

/// `signal` is set whenever the device says that its link changed, until it is closed. For devices
/// that can.
void listen_for_link(std::uint16_t ethdev, std::atomic<bool>& signal);

/// Reads link state and counters into the port. True if the link changed. Never waits for the
/// device; makes system calls.
bool sample_device(Port& port);

} // namespace weft
