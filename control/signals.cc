#include "control/signals.hh"

#include "base/check.hh"

#include <csignal>
#include <initializer_list>
#include <sys/signalfd.h>
#include <unistd.h>

namespace weft {

namespace {

sigset_t ours() noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&set, signal);
    return set;
}

} // namespace

void block_signals() noexcept {
    const sigset_t set = ours();
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

SignalReader::SignalReader() {
    const sigset_t set = ours();
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    check(fd_ >= 0);
}

SignalReader::~SignalReader() {
    ::close(fd_);
}

Signal SignalReader::take() noexcept {
    signalfd_siginfo got{};
    if (::read(fd_, &got, sizeof got) != sizeof got)
        return Signal::none;
    return got.ssi_signo == SIGHUP ? Signal::reload : Signal::stop;
}

} // namespace weft
