#include "control/daemon.hh"

#include "control/dataplane_backend.hh"
#include "control/init_file.hh"
#include "control/log.hh"
#include "control/server.hh"
#include "control/session.hh"
#include "control/signals.hh"
#include "control/socket_path.hh"
#include "control/start_gate.hh"
#include "control/switch.hh"
#include "control/systemd.hh"
#include "dataplane/dataplane.hh"
#include "pipeline/tables.hh"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <poll.h>
#include <random>
#include <unistd.h>
#include <utility>

namespace weft {

namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// Peer numbers that the server leaves to us.
constexpr std::uint64_t config_peer = 1;
constexpr std::uint64_t init_peer = 2;

constexpr std::uint64_t idle_check_ms = 2;
constexpr std::uint64_t start_poll_ms = 100;

std::uint64_t random_key() {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
}

std::string host_name() {
    char name[256] = "";
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "weft";
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
    std::string text;
    for (const std::string& part : parts)
        text += (text.empty() ? "" : std::string{between}) + part;
    return text;
}

/// The switch, with somebody to tell that it was given work.
class WatchedService final : public Service {
public:
    WatchedService(Service& service, std::function<void()> worked)
        : service_{service},
          worked_{std::move(worked)} {}

    void connected(Session& session) override { service_.connected(session); }
    void disconnected(Session& session) override { service_.disconnected(session); }
    void handle(Session& session, control::Request& request) override {
        service_.handle(session, request);
        worked_();
    }
    void refuse(Session& session, const control::Nak& nak) override {
        service_.refuse(session, nak);
    }

private:
    Service& service_;
    std::function<void()> worked_;
};

} // namespace

// Destroyed from the last member up: sessions and the switch before the tables, those before the
// dataplane that frees their memory.
struct Daemon::State {
    State(const Options& of, Config with) : options{of}, config{std::move(with)} {}
    ~State();

    // starting
    Result<void> start();
    Result<void> start_dataplane();
    Result<void> state_rows();
    Result<void> apply_init();
    Result<void> wait_for_ports();
    bool wait_until(const std::function<bool()>& is_done);
    std::optional<control::Reply> answer_of(LocalSession& session);
    control::Request config_transaction(const Config& of) const;
    std::string refusal_of(const Config& of, const control::Reply& reply) const;

    // running
    std::uint64_t step();
    void work();
    void work_soon();
    void watch_dataplane();
    void watch_signals();
    void watch_idle();
    void feed_watchdog();
    void reload();
    void note_reload();
    void log_totals() const;

    const Options options;
    Config config; // the rows and settings in force
    std::vector<InitLine> init;
    SignalReader signals;
    std::unique_ptr<Dataplane> dataplane;
    std::unique_ptr<Tables> tables;
    std::unique_ptr<DataplaneBackend> backend;
    std::unique_ptr<StartGate> gate;
    std::unique_ptr<Switch> engine;
    std::unique_ptr<LocalSession> config_session;
    asio::io_context loop{1};
    std::unique_ptr<WatchedService> service;
    std::unique_ptr<Server> server;
    asio::posix::stream_descriptor dataplane_events{loop};
    asio::posix::stream_descriptor signal_events{loop};
    asio::steady_timer timer{loop};
    asio::steady_timer idle_timer{loop};
    asio::steady_timer watchdog_timer{loop};
    bool work_posted = false;
    std::optional<Config> reloading; // asked for, not yet answered
    bool reload_again = false;
    std::uint64_t reloads = 0;
};

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

// -- starting

Result<void> Daemon::State::start_dataplane() {
    auto started = Dataplane::start(
        {.cores = config.cores,
         .workers = config.workers,
         .worker_buffers = config.worker_buffers,
         .memory_mb = config.memory_mb,
         .manual_clock = config.manual_clock,
         .file_prefix = {},
         .eal_args = config.eal_args}
    );
    if (!started)
        return tl::unexpected{started.error()};
    dataplane = std::move(*started);
    if (!dataplane->notes().empty())
        log(Severity::warning, joined(dataplane->notes(), "; "));
    tables =
        std::make_unique<Tables>(config.limits, dataplane->workers(), *dataplane, random_key());
    dataplane->attach(*tables);
    backend = std::make_unique<DataplaneBackend>(*dataplane, config.manual_clock);
    gate = std::make_unique<StartGate>(*backend);
    SwitchConfig settings;
    settings.node = config.node.empty() ? host_name() : config.node;
    settings.version = WEFT_VERSION;
    settings.tables = config.limits;
    engine = std::make_unique<Switch>(std::move(settings), *tables, *gate);
    return {};
}

Result<void> Daemon::State::start() {
    if (!options.init_file.empty()) { // before anything is touched
        auto lines = read_init(options.init_file);
        if (!lines)
            return tl::unexpected{lines.error()};
        init = std::move(*lines);
    }
    if (auto made = make_socket_directory(config.socket); !made)
        return made;
    if (auto started = start_dataplane(); !started)
        return started;
    // The socket exists from here on, so that a second daemon finds it; whoever connects is
    // answered once everything stands.
    service = std::make_unique<WatchedService>(*engine, [this] { work_soon(); });
    ServerConfig sockets;
    sockets.path = config.socket;
    sockets.read_only_path = config.read_only_socket;
    sockets.now_ms = [this] { return backend->now_ms(); };
    sockets.note = [](std::string_view line) { log(Severity::info, line); };
    auto opened = Server::open(loop, *service, std::move(sockets));
    if (!opened)
        return tl::unexpected{opened.error()};
    server = std::move(*opened);
    for (const auto part :
         {&State::state_rows, &State::wait_for_ports, &State::apply_init, &State::wait_for_ports})
        if (auto done = (this->*part)(); !done)
            return done;
    gate->open();
    return {};
}

bool Daemon::State::wait_until(const std::function<bool()>& is_done) {
    while (true) {
        const std::uint64_t wait_ms = std::min(step(), start_poll_ms);
        if (is_done())
            return true;
        if (signals.take() == Signal::stop)
            return false;
        pollfd watched[] = {
            {.fd = dataplane->event_fd(), .events = POLLIN, .revents = 0},
            {.fd = signals.fd(), .events = POLLIN, .revents = 0}};
        ::poll(watched, 2, static_cast<int>(wait_ms));
    }
}

/// The reply to the one request of `session` that is under way; nothing where we are to stop.
std::optional<control::Reply> Daemon::State::answer_of(LocalSession& session) {
    std::optional<control::Reply> answer;
    wait_until([&] {
        for (control::Reply& reply : session.take())
            if (!reply.has_event())
                answer = std::move(reply);
        return answer.has_value();
    });
    return answer;
}

control::Request Daemon::State::config_transaction(const Config& of) const {
    control::Request request;
    control::Transaction& transaction = *request.mutable_transaction();
    transaction.set_id("configuration-" + std::to_string(reloads));
    transaction.mutable_replace(); // of this client's rows
    for (const ConfigRow& row : of.rows)
        *transaction.add_ops() = row.op;
    return request;
}

std::string Daemon::State::refusal_of(const Config& of, const control::Reply& reply) const {
    if (reply.has_nak() && reply.nak().has_op() && reply.nak().op() < of.rows.size())
        return of.rows[reply.nak().op()].where + ": " + reply.nak().message();
    return "configuration: " + refusal_in(reply).value_or("no answer");
}

Result<void> Daemon::State::state_rows() {
    config_session = std::make_unique<LocalSession>(config_peer);
    engine->connected(*config_session);
    control::Request hello;
    hello.mutable_hello()->set_client("config");
    config_session->request(*engine, hello);
    if (!answer_of(*config_session))
        return fail("stopped", "stopped while starting");
    auto request = config_transaction(config);
    config_session->request(*engine, request);
    const auto answer = answer_of(*config_session);
    if (!answer)
        return fail("stopped", "stopped while starting");
    if (!answer->has_ack())
        return fail("refused", refusal_of(config, *answer));
    return {};
}

Result<void> Daemon::State::apply_init() {
    if (init.empty())
        return {};
    LocalSession session{init_peer};
    engine->connected(session);
    Result<void> result;
    for (const InitLine& line : init) {
        session.line(*engine, line.text);
        const auto answer = answer_of(session);
        const auto refusal = answer ? refusal_in(*answer) : std::nullopt;
        if (!answer)
            result = fail("stopped", "stopped while starting");
        else if (refusal)
            result = fail(
                "refused", options.init_file + ":" + std::to_string(line.number) + ": " + *refusal
            );
        if (!result)
            break;
    }
    engine->disconnected(session);
    return result;
}

/// A device takes its time to open, and one that cannot is worth a sentence before anything runs.
Result<void> Daemon::State::wait_for_ports() {
    control::Reply hello;
    const bool settled = wait_until([&] {
        control::Request request;
        request.mutable_hello()->set_client("config");
        config_session->request(*engine, request);
        hello = config_session->take().back();
        return std::ranges::none_of(hello.hello().ports(), [](const control::PortStatus& port) {
            return port.state() == "opening";
        });
    });
    if (!settled)
        return fail("stopped", "stopped while starting");
    for (const control::PortStatus& port : hello.hello().ports())
        if (port.state() == "failed")
            return fail("bad_device", port.error());
    return {};
}

// -- running

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
    timer.expires_after(milliseconds{wait_ms});
    timer.async_wait([this](const boost::system::error_code& stopped) {
        if (!stopped)
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
