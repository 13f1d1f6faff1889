// Signals as something to read, so that no thread is ever interrupted by one.
#pragma once

namespace weft {

/// Blocks the signals that we act on in this thread and all that it starts, and ignores SIGPIPE.
/// Before any thread is started.
void block_signals() noexcept;

enum class Signal { none, stop, reload };

/// Reads the blocked signals. One thread.
class SignalReader {
public:
    SignalReader();
    ~SignalReader();
    SignalReader(const SignalReader&) = delete;
    SignalReader& operator=(const SignalReader&) = delete;

    /// Readable when a signal is there.
    int fd() const noexcept { return fd_; }
    /// The next one that came; none where there is none.
    Signal take() noexcept;

private:
    int fd_;
};

} // namespace weft
