#include "dataplane/inbox.hh"

#include "base/check.hh"

#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace weft {

Inbox::Inbox() : fd_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
    check(fd_ >= 0);
}

Inbox::~Inbox() {
    close(fd_);
}

void Inbox::post(Notice notice) {
    {
        const std::lock_guard lock{mutex_};
        notices_.push_back(std::move(notice));
        any_.store(true, std::memory_order_release);
    }
    wake();
}

std::optional<Notice> Inbox::take() {
    if (!any_.load(std::memory_order_acquire))
        return std::nullopt;
    const std::lock_guard lock{mutex_};
    if (notices_.empty()) {
        any_.store(false, std::memory_order_release);
        return std::nullopt;
    }
    Notice notice = std::move(notices_.front());
    notices_.pop_front();
    return notice;
}

void Inbox::wake() noexcept {
    if (awake_.exchange(true, std::memory_order_acq_rel))
        return;
    const std::uint64_t one = 1;
    static_cast<void>(!write(fd_, &one, sizeof one));
}

void Inbox::quiet() noexcept {
    if (!awake_.load(std::memory_order_acquire))
        return;
    std::uint64_t count = 0;
    static_cast<void>(!read(fd_, &count, sizeof count));
    // An exchange, so that what was posted before a wake() that found us awake is seen from here
    // on.
    awake_.exchange(false, std::memory_order_acq_rel);
}

} // namespace weft
