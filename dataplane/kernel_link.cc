#include "dataplane/kernel_link.hh"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace weft {

namespace {

ifreq request_for(const std::string& interface) {
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    return request;
}

bool ask_interface(unsigned long what, ifreq& request) {
    const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0)
        return false;
    const bool done = ioctl(socket_fd, what, &request) == 0;
    close(socket_fd);
    return done;
}

/// The descriptor of /dev/net/tun that holds `interface`, or -1.
int tun_of(const std::string& interface) {
    namespace fs = std::filesystem;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{"/proc/self/fd", none}) {
        if (fs::read_symlink(entry.path(), none) != "/dev/net/tun")
            continue;
        const int fd = std::atoi(entry.path().filename().c_str());
        ifreq request{};
        if (ioctl(fd, TUNGETIFF, &request) == 0 && interface == request.ifr_name)
            return fd;
    }
    return -1;
}

} // namespace

KernelLink::KernelLink(std::string interface, bool is_tap)
    : interface_{std::move(interface)},
      index_{if_nametoindex(interface_.c_str())},
      tun_{is_tap ? tun_of(interface_) : -1} {}

KernelLink::State KernelLink::read() const {
    if (interface_.empty())
        return {};
    if (if_nametoindex(interface_.c_str()) != index_ || index_ == 0) {
        ifreq request{};
        const bool held = tun_ >= 0 && ioctl(tun_, TUNGETIFF, &request) == 0;
        return {.up = held, .gone = !held};
    }
    ifreq request = request_for(interface_);
    const bool known = ask_interface(SIOCGIFFLAGS, request);
    const int flags = known ? static_cast<unsigned short>(request.ifr_flags) : 0;
    return {.up = (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0, .gone = false};
}

bool KernelLink::set_mtu(std::uint16_t mtu) const {
    ifreq request = request_for(interface_);
    request.ifr_mtu = mtu;
    return ask_interface(SIOCSIFMTU, request);
}

} // namespace weft
