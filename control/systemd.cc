#include "control/systemd.hh"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace weft {

void notify_systemd(std::string_view state) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t size = path == nullptr ? 0 : std::strlen(path);
    if (size < 2 || size > sizeof(address.sun_path))
        return;
    std::memcpy(address.sun_path, path, size);
    if (address.sun_path[0] == '@') // the abstract namespace
        address.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    ::sendto(
        fd,
        state.data(),
        state.size(),
        MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&address),
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size)
    );
    ::close(fd);
}

std::uint64_t watchdog_interval_ms() noexcept {
    const char* patience_us = std::getenv("WATCHDOG_USEC");
    const char* pid = std::getenv("WATCHDOG_PID");
    if (patience_us == nullptr || (pid != nullptr && std::atol(pid) != ::getpid()))
        return 0;
    return std::strtoull(patience_us, nullptr, 10) / 2'000;
}

} // namespace weft
