// Port rows and their devices: who is to be open, what is under way, what is true.
#pragma once

#include "dataplane/dataplane.hh"
#include "dataplane/device.hh"
#include "dataplane/grace.hh"
#include "dataplane/helper.hh"
#include "dataplane/inbox.hh"
#include "dataplane/monitor.hh"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// Packets of a worker that others finished: outcomes of its hand-over rings.
struct HandedOutcome {
    std::uint64_t sent = 0;
    std::uint64_t queue_full = 0;
    std::uint64_t closed = 0;
};

/// Each port is in one phase:
///
///     idle -> opening -> open -> closing -> idle
///
/// (1) what the row says (`wanted`) may change in any phase; a phase that ends looks at it and goes
/// on; (2) a device is opened and closed on the helper thread; (3) a worker can see a port only
/// while it is open, and a port that closes waits for the workers first; (4) of two ports with one
/// device the second fails, or waits where the first is on its way out. Control thread only.
class PortKeeper {
public:
    struct Around {
        std::vector<std::unique_ptr<Worker>>& workers;
        Grace& grace;
        Helper& helper;
        Monitor& monitor;
        Inbox& inbox;
        DpdkLog& log;
        bool huge_pages;
        std::function<void(DataplaneEvent)> tell;
    };
    explicit PortKeeper(Around around)
        : around_{std::move(around)},
          graveyard_{std::make_shared<PoolGraveyard>(around_.grace.qsbr())} {}

    void open(PortId port, std::string name, PortDevice device);
    void close(PortId port);
    void set_hold(PortId port, bool hold);
    Result<void> release(PortId port, std::uint64_t packets);

    void opened(DeviceOpened notice);
    void closed(PortId port);
    void link_changed(PortId port);
    /// Workers are gone: closes all devices and waits for them.
    void close_all();

    std::optional<PortInfo> info(PortId port) const;
    PortStats stats(PortId port) const;
    HandedOutcome outcome_of(std::size_t worker) const;
    /// The worker that polls the port's first queue.
    std::size_t worker_of(PortId port) const noexcept {
        return index(port) % around_.workers.size();
    }
    /// All input files are read to their end, and no device is being opened.
    bool inputs_done() const;

private:
    enum class Phase : std::uint8_t { idle, opening, open, closing };
    struct Entry {
        PortId id{};
        std::string name;
        std::optional<PortDevice> wanted; // by the row; none: it is gone
        Phase phase = Phase::idle;
        bool waits = false; // for another port to let go of its device
        PortDevice device;  // that is opened, open or closed
        std::string device_name;
        std::unique_ptr<Port> port;
        bool hold = false;
        std::uint64_t released = 0; // while it was opening
        std::string error;
        std::string state = "opening";
        PortStats last; // of a device that is gone
    };

    void step(Entry& entry);
    void begin_opening(Entry& entry);
    void begin_closing(Entry& entry);
    void refuse(Entry& entry, std::string why);
    const Entry* holder_of(const std::string& device, const Entry& asker) const;
    void replan();
    void tell_state(Entry& entry);
    PortInfo info_of(const Entry& entry) const;
    static std::string state_of(const Entry& entry);
    static PortStats stats_of(const Port& port);

    Around around_;
    bool ending_ = false; // devices close for good; what is known of them stays
    std::map<PortId, Entry> entries_;
    std::vector<HandedOutcome> settled_; // by worker, of ports that are gone
    /// The helper thread's.
    std::shared_ptr<PoolGraveyard> graveyard_;
};

} // namespace weft
