// The kernel's side of a device that stands on a network interface: net_af_packet and net_tap call
// their link up whatever happens to it.
#pragma once

#include <cstdint>
#include <string>

namespace weft {

/// Watches one interface. One thread at a time; system calls, so never a worker.
class KernelLink {
public:
    /// Not watching anything: always up.
    KernelLink() = default;
    /// `is_tap`: the device made the interface itself and holds it by a descriptor of /dev/net/tun,
    /// which stays good when the interface is moved to another network namespace, where we cannot
    /// see its state: then it counts as up.
    KernelLink(std::string interface, bool is_tap);

    struct State {
        bool up = true;
        bool gone = false; // deleted, moved away, or made anew under the same name: this device
                           // will see no more of it
    };
    State read() const;
    /// Whether the kernel took it.
    bool set_mtu(std::uint16_t mtu) const;
    const std::string& interface() const noexcept { return interface_; }

private:
    std::string interface_;
    unsigned index_ = 0; // as it was at first
    int tun_ = -1;       // the device's descriptor, not ours
};

} // namespace weft
