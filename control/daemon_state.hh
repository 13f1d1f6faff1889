// What a running daemon holds; shared by its two halves, daemon_start.cc and daemon.cc.
#pragma once

#include "control/daemon.hh"
#include "control/dataplane_backend.hh"
#include "control/init_file.hh"
#include "control/server.hh"
#include "control/session.hh"
#include "control/signals.hh"
#include "control/start_gate.hh"
#include "control/switch.hh"
#include "dataplane/dataplane.hh"
#include "pipeline/tables.hh"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

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

/// Destroyed from the last member up: sessions and the switch before the tables, those before the
/// dataplane that frees their memory.
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
    boost::asio::io_context loop{1};
    std::unique_ptr<WatchedService> service;
    std::unique_ptr<Server> server;
    boost::asio::posix::stream_descriptor dataplane_events{loop};
    boost::asio::posix::stream_descriptor signal_events{loop};
    boost::asio::steady_timer timer{loop};
    boost::asio::steady_timer idle_timer{loop};
    boost::asio::steady_timer watchdog_timer{loop};
    bool work_posted = false;
    bool timer_set = false;
    std::optional<Config> reloading; // asked for, not yet answered
    bool reload_again = false;
    std::uint64_t reloads = 0;
};

} // namespace weft
