#include "control/start_gate.hh"

namespace weft {

void StartGate::open() {
    is_open_ = true;
    for (const auto& [port, held] : held_) {
        if (!held.hold)
            backend_.set_hold(port, false);
        // A device that did not open has its own error; there is nobody left who asked for the
        // release.
        for (const std::uint64_t packets : held.releases)
            (void)backend_.release(port, packets);
    }
    held_.clear();
}

void StartGate::open_port(PortId port, const DeviceSpec& device) {
    DeviceSpec opened = device;
    if (!is_open_) {
        held_[port] = {.hold = device.hold, .releases = {}};
        opened.hold = true;
    }
    backend_.open_port(port, opened);
}

void StartGate::close_port(PortId port) {
    held_.erase(port);
    backend_.close_port(port);
}

void StartGate::set_hold(PortId port, bool hold) {
    const auto held = held_.find(port);
    if (held == held_.end())
        return backend_.set_hold(port, hold);
    held->second = {.hold = hold, .releases = {}};
}

Result<void> StartGate::release(PortId port, std::uint64_t packets) {
    const auto held = held_.find(port);
    if (held == held_.end())
        return backend_.release(port, packets);
    held->second.releases.push_back(packets);
    return {};
}

} // namespace weft
