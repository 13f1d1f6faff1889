// From nothing to a switch whose rows stand and whose ports are open, held by the gate.
#include "control/daemon_state.hh"
#include "control/log.hh"
#include "control/socket_path.hh"

#include <algorithm>
#include <poll.h>
#include <random>
#include <unistd.h>

namespace weft {

namespace {

// Peer numbers that the server leaves to us.
constexpr std::uint64_t config_peer = 1;
constexpr std::uint64_t init_peer = 2;

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

} // namespace

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
    settings.log = log;
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

} // namespace weft
