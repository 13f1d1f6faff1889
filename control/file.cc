#include "control/file.hh"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace weft {

Result<std::string>
read_file(const std::string& what, const std::string& path, std::size_t bytes_max) {
    const auto wrong = [&](const std::string& why) {
        return fail("bad_config", what + " " + path + ": cannot be read: " + why);
    };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return wrong(std::strerror(errno));
    std::string text;
    std::array<char, 65'536> block{};
    ssize_t got = 0;
    do {
        got = ::read(fd, block.data(), block.size());
        text.append(block.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    } while ((got > 0 && text.size() <= bytes_max) || (got < 0 && errno == EINTR));
    const int error = errno;
    ::close(fd);
    if (got < 0)
        return wrong(std::strerror(error));
    if (text.size() > bytes_max)
        return wrong("larger than " + std::to_string(bytes_max >> 20) + " MiB");
    return text;
}

} // namespace weft
