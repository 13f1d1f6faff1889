#include "control/weftctl/line_source.hh"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weft::ctl {

Result<LineSource> LineSource::open(const std::string& path) {
    if (path == "-")
        return LineSource{STDIN_FILENO};
    LineSource file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat facts {};
    if (file.fd_ >= 0 && ::fstat(file.fd_, &facts) == 0 && S_ISDIR(facts.st_mode))
        errno = EISDIR;
    else if (file.fd_ >= 0)
        return file;
    return fail("bad_value", "file " + path + ": cannot be read: " + std::strerror(errno));
}

LineSource::LineSource(LineSource&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)},
      ended_{other.ended_},
      buffer_{std::move(other.buffer_)},
      begin_{other.begin_},
      line_number_{other.line_number_} {}

LineSource::~LineSource() {
    if (fd_ > STDIN_FILENO)
        ::close(fd_);
}

bool LineSource::read_more() {
    constexpr std::size_t block = 65'536;
    buffer_.erase(0, std::exchange(begin_, 0));
    const std::size_t before = buffer_.size();
    buffer_.resize(before + block);
    ssize_t got = 0;
    do
        got = ::read(fd_, buffer_.data() + before, block);
    while (got < 0 && errno == EINTR);
    buffer_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    ended_ = got <= 0;
    return !ended_;
}

std::optional<std::string> LineSource::next() {
    std::size_t scanned = begin_;
    while (true) {
        const std::size_t newline = buffer_.find('\n', scanned);
        if (newline != std::string::npos) {
            std::string line = buffer_.substr(begin_, newline - begin_);
            begin_ = newline + 1;
            ++line_number_;
            return line;
        }
        scanned = buffer_.size() - begin_; // where it will be after read_more() moved it
        if (ended_ || !read_more())
            break;
    }
    if (begin_ == buffer_.size())
        return std::nullopt;
    ++line_number_;
    return buffer_.substr(std::exchange(begin_, buffer_.size()));
}

bool LineSource::ready() const {
    if (ended_ || begin_ < buffer_.size())
        return true;
    pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, 0) > 0;
}

std::string LineSource::rest() {
    while (!ended_)
        read_more();
    return buffer_.substr(std::exchange(begin_, buffer_.size()));
}

} // namespace weft::ctl
