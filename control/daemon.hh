// The running switch: what main() puts together, from the first row to the last packet.
#pragma once

#include "base/result.hh"
#include "control/config.hh"
#include "control/options.hh"
#include "control/signals.hh"

#include <memory>

namespace weft {

/// One per process. Everything happens on the thread that calls; workers and helpers run beside it.
class Daemon {
public:
    /// Starts workers and the control socket, states the rows of `config`, waits until the devices
    /// are open, then applies the requests of --init and lets packets in. Fails with one sentence,
    /// and then nothing runs; also where a signal told us to stop meanwhile (code "stopped"). Needs
    /// block_signals().
    static Result<std::unique_ptr<Daemon>> start(const Options& options, Config config);
    ~Daemon();

    /// Serves until a signal says stop or, with --exit-when-idle, all input was read and sent. Then
    /// nothing is received any more, what was in hand has left, and files are closed.
    void run();

private:
    Daemon();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
