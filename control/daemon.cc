// The running daemon: one loop over the control socket, the dataplane's events, signals and time.
#include "control/daemon_state.hh"
#include "control/log.hh"
#include "control/systemd.hh"

#include <boost/asio/post.hpp>
#include <chrono>

namespace weft {

namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr std::uint64_t idle_check_ms = 2;

} // namespace

Daemon::State::~State() {
    // The descriptors belong to others.
    if (dataplane_events.is_open())
        dataplane_events.release();
    if (signal_events.is_open())
        signal_events.release();
    server.reset();
    if (config_session && engine)
        engine->disconnected(*config_session);
    config_session.reset();
    if (dataplane)
        dataplane->stop();
}

/// Everything that is due now; the milliseconds until something else is.
std::uint64_t Daemon::State::step() {
    backend->poll(*engine);
    return engine->poll();
}

void Daemon::State::work() {
    work_posted = false;
    const std::uint64_t wait_ms = step();
    note_reload();
    if (wait_ms == 0)
        return work_soon();
    // A timer that rings too early costs one look; setting it costs system calls for every request.
    const auto due = std::chrono::steady_clock::now() + milliseconds{wait_ms};
    if (timer_set && timer.expiry() <= due)
        return;
    timer_set = true;
    timer.expires_at(due);
    timer.async_wait([this](const boost::system::error_code& stopped) {
        if (stopped)
            return;
        timer_set = false;
        work();
    });
}

/// Sockets have their turn in between.
void Daemon::State::work_soon() {
    if (!std::exchange(work_posted, true))
        asio::post(loop, [this] { work(); });
}

void Daemon::State::watch_dataplane() {
    dataplane_events.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& stopped) {
            if (stopped)
                return;
            work();
            watch_dataplane();
        }
    );
}

void Daemon::State::watch_signals() {
    signal_events.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& stopped) {
            if (stopped)
                return;
            for (Signal signal = signals.take(); signal != Signal::none; signal = signals.take())
                if (signal == Signal::reload)
                    reload();
                else
                    loop.stop();
            watch_signals();
        }
    );
}

void Daemon::State::watch_idle() {
    if (dataplane->idle())
        return loop.stop();
    idle_timer.expires_after(milliseconds{idle_check_ms});
    idle_timer.async_wait([this](const boost::system::error_code& stopped) {
        if (!stopped)
            watch_idle();
    });
}

/// systemd hears from us only while every worker passes.
void Daemon::State::feed_watchdog() {
    const std::uint64_t interval_ms = watchdog_interval_ms();
    if (interval_ms == 0)
        return;
    bool passing = true;
    for (std::size_t i = 0; i < dataplane->workers(); ++i)
        passing = passing && !dataplane->worker_stats(i).stalled;
    if (passing)
        notify_systemd("WATCHDOG=1");
    watchdog_timer.expires_after(milliseconds{interval_ms});
    watchdog_timer.async_wait([this](const boost::system::error_code& stopped) {
        if (!stopped)
            feed_watchdog();
    });
}

/// Reads the configuration again and replaces the rows of "config" by it, all or nothing.
void Daemon::State::reload() {
    if (reloading) { // a large one is under way: the file is read again after it
        reload_again = true;
        return;
    }
    auto wanted = configure(options);
    if (!wanted)
        return log(Severity::error, "reload: nothing was changed: " + wanted.error().what);
    for (const std::string& sentence : needs_restart(config, *wanted))
        log(Severity::warning, "reload: " + sentence);
    ++reloads;
    auto request = config_transaction(*wanted);
    reloading = std::move(*wanted);
    config_session->request(*engine, request);
    note_reload();
    work_soon();
}

/// Once the engine has answered: tells what became of the reload.
void Daemon::State::note_reload() {
    std::optional<control::Reply> answer;
    for (control::Reply& reply : config_session->take())
        if (!reply.has_event())
            answer = std::move(reply);
    if (!reloading || !answer)
        return;
    Config wanted = *std::exchange(reloading, std::nullopt);
    if (answer->has_ack()) {
        const control::Ack& ack = answer->ack();
        log(Severity::info,
            "reload: generation " + std::to_string(ack.generation()) + ", " +
                std::to_string(ack.added()) + " rows added, " + std::to_string(ack.removed()) +
                " removed, " + std::to_string(ack.unchanged()) + " unchanged");
        config.rows = std::move(wanted.rows);
        config.log_level = wanted.log_level;
        start_log(config.log_level);
    } else {
        log(Severity::error, "reload: nothing was changed: " + refusal_of(wanted, *answer));
    }
    if (std::exchange(reload_again, false))
        reload();
}

void Daemon::State::log_totals() const {
    WorkerStats sum;
    for (std::size_t i = 0; i < dataplane->workers(); ++i) {
        const WorkerStats worker = dataplane->worker_stats(i);
        sum.received += worker.received;
        sum.made += worker.made;
        sum.sent += worker.sent;
        sum.taken += worker.taken;
        for (std::size_t reason = 0; reason < drop_count; ++reason)
            sum.dropped[reason] += worker.dropped[reason];
    }
    std::uint64_t dropped = 0;
    std::string reasons;
    for (std::size_t reason = 0; reason < drop_count; ++reason) {
        dropped += sum.dropped[reason];
        if (sum.dropped[reason] != 0)
            reasons += (reasons.empty() ? " (" : ", ") +
                       std::string{name(static_cast<Drop>(reason))} + " " +
                       std::to_string(sum.dropped[reason]);
    }
    log(Severity::info,
        "stopped: received " + std::to_string(sum.received) + ", made " + std::to_string(sum.made) +
            ", sent " + std::to_string(sum.sent) + ", taken " + std::to_string(sum.taken) +
            ", dropped " + std::to_string(dropped) + (reasons.empty() ? "" : reasons + ")"));
}

Daemon::Daemon() = default;
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::start(const Options& options, Config config) {
    std::unique_ptr<Daemon> daemon{new Daemon};
    daemon->state_ = std::make_unique<State>(options, std::move(config));
    if (auto started = daemon->state_->start(); !started)
        return tl::unexpected{started.error()};
    const State& state = *daemon->state_;
    log(Severity::info,
        "weftd " WEFT_VERSION ": " + std::to_string(state.dataplane->workers()) + " worker" +
            (state.dataplane->workers() == 1 ? "" : "s") + ", " +
            std::to_string(state.config.rows.size()) + " rows of configuration, listening on " +
            state.config.socket);
    return daemon;
}

void Daemon::run() {
    State& state = *state_;
    state.dataplane_events.assign(state.dataplane->event_fd());
    state.signal_events.assign(state.signals.fd());
    state.watch_dataplane();
    state.watch_signals();
    state.work_soon();
    if (state.options.exit_when_idle)
        state.watch_idle();
    state.feed_watchdog();
    notify_systemd("READY=1");
    state.loop.run();
    notify_systemd("STOPPING=1");
    state.server.reset();
    state.dataplane->stop();
    state.log_totals();
}

} // namespace weft
