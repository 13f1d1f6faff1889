// The engine with real tables and a dataplane that is played: devices come up when the test says
// so, packets run through the real walks, workers pass generations at once unless held.
#pragma once

#include "control/ports_backend.hh"
#include "control/session.hh"
#include "control/switch.hh"
#include "pipeline/process.hh"
#include "pipeline/tables.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/packets.hh"

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace weft::test {

class FakeBackend final : public PortsBackend {
public:
    explicit FakeBackend(Tables& tables);

    void publish(const World& world) override { published = world.generation; }
    bool passed(Generation generation, std::vector<WorkerId>* laggards) override;
    void open_port(PortId port, const DeviceSpec& device) override;
    void close_port(PortId port) override;
    void set_hold(PortId port, bool hold) override;
    Result<void> release(PortId port, std::uint64_t packets) override;
    std::uint64_t packet_out(
        PortId ingress,
        BridgeId bridge,
        std::shared_ptr<const Program> actions,
        std::span<const std::byte> packet
    ) override;
    std::uint64_t
    trace(PortId ingress, BridgeId bridge, std::span<const std::byte> packet) override;
    std::uint64_t now_ms() const override { return clock_ms; }
    bool manual_clock() const override { return true; }
    void advance_clock(std::uint64_t ms) override { clock_ms += ms; }
    std::size_t workers() const override { return 2; }
    WorkerReport worker_report(std::size_t) const override { return {}; }
    PortReport port_report(PortId) const override { return {}; }

    /// Runs one packet and tells what happened: "p2", "p2 p3", "drop no_match", "punt".
    std::string
    run(PortId ingress, const Bytes& bytes, const Program* actions = nullptr, Story* story = nullptr
    );
    /// Hands over what workers would have reported since the last call.
    void deliver(BackendEvents& events);

    Tables& tables;
    std::uint64_t clock_ms = 1'000;
    Generation published = 0;
    bool hold_workers = false; // worker 1 passes nothing from here on
    Generation held_at = 0;
    std::vector<std::string> calls; // "open p1 net_null0", "close p1" ...
    std::map<PortId, DeviceSpec> devices;

private:
    struct Punt {
        PortId port{};
        std::uint16_t table = 0;
        const PuntSpec* spec = nullptr;
        FlowKey key;
        Bytes packet;
    };
    std::unique_ptr<PipelineWorker> worker_;
    std::unique_ptr<Burst> burst_;
    std::vector<Punt> punts_;
    std::vector<Learned> learned_;
    std::map<std::uint64_t, std::unique_ptr<Story>> stories_;
    std::vector<std::uint64_t> packet_outs_;
    std::uint64_t next_ticket_ = 1;
};

class Controller;

class Engine {
public:
    explicit Engine(SwitchConfig config = {}, TableLimits limits = {.rules = 200'000});
    ~Engine();

    Controller connect(const std::string& name = "");
    /// Delivers backend events, polls until nothing is due, ends grace periods.
    void settle();
    void port_up(std::string_view port, std::string_view bridge = "main") {
        state(port, "up", true, "", bridge);
    }
    void port_down(std::string_view port) { state(port, "down", false, ""); }
    void port_failed(std::string_view port, std::string error) {
        state(port, "failed", false, std::move(error));
    }
    std::string
    sends(std::string_view port, const PacketSpec& packet, std::string_view bridge = "main");
    PortId port(std::string_view name, std::string_view bridge = "main");
    std::string log() const { return log_.str(); }

    ManualReclaimer reclaimer;
    std::unique_ptr<Tables> tables;
    std::unique_ptr<FakeBackend> backend;
    std::unique_ptr<Switch> engine;

private:
    friend class Controller;
    void state(
        std::string_view port,
        std::string word,
        bool link,
        std::string error,
        std::string_view bridge = "main"
    );
    std::ostringstream log_;
    std::uint64_t next_session_ = 16; // smaller ones are clients inside the process
};

/// One client on its own connection.
class Controller {
public:
    Controller(Engine& engine, const std::string& name);
    Controller(Controller&&) = default;
    Controller& operator=(Controller&&) = delete;
    ~Controller();

    /// The one reply to a request; what is answered later is waited for.
    control::Reply ask(std::string_view json);
    /// A transaction in short: "ack +1 -0 =0", "ack +1 -0 =0 dup", "nak key_conflict op 1". `more`:
    /// further members.
    std::string says(std::string_view id, std::string_view ops, std::string_view more = "");
    std::vector<control::Reply> get(std::string_view relation, std::string_view more = "");
    /// Rows of a relation in short, one a line, sorted.
    std::string rows(std::string_view relation, std::string_view more = "");
    std::string digests();
    void send(std::string_view json);
    std::vector<control::Reply> take();
    /// Events since the last call, in short: "port up p1", "commit 3".
    std::vector<std::string> events();
    void disconnect();

    std::unique_ptr<LocalSession> session;

private:
    Engine* engine_;
    std::vector<control::Reply> replies_;
    std::vector<control::Event> events_;
};

std::string in_short(const control::Reply& reply);
std::string in_short(const control::Event& event);
/// {"weight": W, "flow": {...}}
std::string flow(
    int weight,
    int table,
    int priority,
    std::string_view match,
    std::string_view actions,
    std::string_view more = ""
);
std::string port_row(int weight, std::string_view name, std::string_view more = "");

} // namespace weft::test
