#include "tests/control/engine.hh"

#include "control/codec_json.hh"
#include "pipeline/program.hh"
#include "pipeline/rule_counters.hh"
#include "tests/support/spell_out.hh"

#include <gtest/gtest.h>

#include <algorithm>

namespace weft::test {

FakeBackend::FakeBackend(Tables& of)
    : tables{of},
      worker_{std::make_unique<PipelineWorker>(of.worker_counters(0))},
      burst_{std::make_unique<Burst>()} {}

bool FakeBackend::passed(Generation generation, std::vector<WorkerId>* laggards) {
    if (!hold_workers || generation <= held_at)
        return true;
    if (laggards != nullptr)
        laggards->push_back(WorkerId{1});
    return false;
}

void FakeBackend::open_port(PortId port, const DeviceSpec& device) {
    calls.push_back("open " + std::string{tables.port_name(port)} + " " + device.devargs);
    devices[port] = device;
}
void FakeBackend::close_port(PortId port) {
    calls.push_back("close " + std::string{tables.port_name(port)});
    devices.erase(port);
}
void FakeBackend::set_hold(PortId port, bool hold) {
    calls.push_back((hold ? "hold " : "unhold ") + std::string{tables.port_name(port)});
}
Result<void> FakeBackend::release(PortId port, std::uint64_t packets) {
    calls.push_back(
        "release " + std::string{tables.port_name(port)} + " " + std::to_string(packets)
    );
    return Result<void>::Base{};
}

std::uint64_t FakeBackend::packet_out(
    PortId ingress,
    BridgeId,
    std::shared_ptr<const Program> actions,
    std::span<const std::byte> packet
) {
    calls.push_back("packet_out " + run(ingress, {packet.begin(), packet.end()}, actions.get()));
    packet_outs_.push_back(next_ticket_);
    return next_ticket_++;
}

std::uint64_t FakeBackend::trace(PortId ingress, BridgeId, std::span<const std::byte> packet) {
    auto story = std::make_unique<Story>();
    run(ingress, {packet.begin(), packet.end()}, nullptr, story.get());
    stories_[next_ticket_] = std::move(story);
    return next_ticket_++;
}

std::string
FakeBackend::run(PortId ingress, const Bytes& bytes, const Program* actions, Story* story) {
    OwnedPacket owned{bytes};
    Burst& burst = *burst_;
    burst.count = 1;
    burst.bridge = ingress == PortId::none ? BridgeId::main : tables.bridge_of(ingress);
    burst.ingress = ingress;
    burst.packet[0] = owned.packet;
    worker_->now_ms = clock_ms;
    worker_->story = story;
    if (actions == nullptr)
        process(burst, tables.world(), *worker_);
    else
        process_with(burst, *actions, tables.world(), *worker_);
    worker_->story = nullptr;
    if (story == nullptr)
        learned_.insert(
            learned_.end(), burst.learned.begin(), burst.learned.begin() + burst.learned_count
        );
    test::spell_out_plain(burst);
    if (burst.effects.first[0] == Effect::none)
        return "drop " + std::string{name(burst.why[0])};
    std::string out;
    for (std::uint16_t at = burst.effects.first[0]; at != Effect::none;
         at = burst.effects.effect[at].next) {
        const Effect& effect = burst.effects.effect[at];
        out += out.empty() ? "" : " ";
        if (effect.kind == Effect::Kind::drop) {
            out += "drop " + std::string{name(effect.reason)};
        } else if (effect.kind == Effect::Kind::punt) {
            out += "punt";
            if (story == nullptr)
                punts_.push_back({effect.port, effect.table, effect.punt, burst.key[0], bytes});
        } else {
            out += tables.port_name(effect.port);
        }
    }
    return out;
}

void FakeBackend::deliver(BackendEvents& events) {
    for (const Punt& punt : std::exchange(punts_, {}))
        events.punted({
            .port = punt.port,
            .table = punt.table,
            .spec = punt.spec,
            .key = &punt.key,
            .packet = punt.packet,
            .packet_bytes = static_cast<std::uint32_t>(punt.packet.size()),
        });
    for (const Learned& learned : std::exchange(learned_, {}))
        events.mac_seen(learned);
    for (const std::uint64_t ticket : std::exchange(packet_outs_, {}))
        events.packet_out_done(ticket, true);
    for (auto& [ticket, story] : std::exchange(stories_, {}))
        events.trace_done(ticket, std::move(story));
}

// -- the engine

Engine::Engine(SwitchConfig config, TableLimits limits)
    : tables{std::make_unique<Tables>(limits, 2, reclaimer, 0x5eed)},
      backend{std::make_unique<FakeBackend>(*tables)} {
    config.node = "node-1";
    config.version = "test";
    config.tables = limits;
    config.log = [this](Severity, std::string_view line) { log_ << line << '\n'; };
    engine = std::make_unique<Switch>(std::move(config), *tables, *backend);
}

Engine::~Engine() {
    engine.reset();
    tables->commit();
    reclaimer.run_all();
}

Controller Engine::connect(const std::string& name) {
    return {*this, name};
}

void Engine::settle() {
    backend->deliver(*engine);
    for (int i = 0; i < 10'000 && engine->poll() == 0; ++i) {}
    reclaimer.run_all();
}

PortId Engine::port(std::string_view name, std::string_view bridge) {
    return tables->port_id(tables->bridge_id(bridge).value(), name).value();
}

void Engine::state(
    std::string_view name, std::string word, bool link, std::string error, std::string_view bridge
) {
    engine->port_changed(
        port(name, bridge),
        {.state = std::move(word), .error = std::move(error), .link = link, .mac = 0x020000000001}
    );
    settle();
}

std::string
Engine::sends(std::string_view name, const PacketSpec& packet, std::string_view bridge) {
    std::string out = backend->run(port(name, bridge), packet.bytes());
    settle();
    return out;
}

// -- controllers

Controller::Controller(Engine& engine, const std::string& name)
    : session{std::make_unique<LocalSession>(engine.next_session_++)},
      engine_{&engine} {
    engine.engine->connected(*session);
    if (!name.empty())
        ask(R"({"hello": {"id": "hello", "client": ")" + name + R"("}})");
}

Controller::~Controller() {
    disconnect();
}

void Controller::disconnect() {
    if (session)
        engine_->engine->disconnected(*session);
    session.reset();
}

void Controller::send(std::string_view json) {
    session->line(*engine_->engine, json);
}

std::vector<control::Reply> Controller::take() {
    engine_->settle();
    for (control::Reply& reply : session->take()) {
        if (reply.has_event())
            events_.push_back(reply.event());
        else
            replies_.push_back(std::move(reply));
    }
    return std::exchange(replies_, {});
}

control::Reply Controller::ask(std::string_view json) {
    send(json);
    std::vector<control::Reply> replies = take();
    EXPECT_EQ(replies.size(), 1u) << json;
    return replies.empty() ? control::Reply{} : replies.back();
}

std::string Controller::says(std::string_view id, std::string_view ops, std::string_view more) {
    return in_short(
        ask(R"({"transaction": {"id": ")" + std::string{id} + R"(", )" + std::string{more} +
            (more.empty() ? "" : ", ") + R"("ops": [)" + std::string{ops} + "]}}")
    );
}

std::vector<control::Reply> Controller::get(std::string_view relation, std::string_view more) {
    std::vector<control::Reply> pages;
    std::string cursor;
    do {
        pages.push_back(ask(
            R"({"get": {"id": "get", "relation": ")" + std::string{relation} + R"(", "cursor": ")" +
            cursor + "\"" + (more.empty() ? "" : ", ") + std::string{more} + "}}"
        ));
        cursor = pages.back().rows().cursor();
    } while (!cursor.empty());
    return pages;
}

std::string Controller::rows(std::string_view relation, std::string_view more) {
    std::multiset<std::string> lines;
    for (const control::Reply& page : get(relation, more)) {
        if (page.has_nak())
            return in_short(page);
        for (const control::StoredRow& row : page.rows().rows()) {
            std::string line;
            if (row.row().has_flow())
                line = row.row().flow().match() + " -> " + row.row().flow().actions();
            else
                line = to_json(row.row());
            lines.insert(
                line + " [" + row.owner() + (row.scope().empty() ? "" : "/" + row.scope()) + "]"
            );
        }
    }
    std::string out;
    for (const std::string& line : lines)
        out += line + "\n";
    return out;
}

std::string Controller::digests() {
    control::Reply reply = ask(R"({"digest": {"id": "d"}})");
    reply.mutable_digests()->set_generation(0);
    return to_json(reply);
}

std::vector<std::string> Controller::events() {
    for (control::Reply& reply : take())
        ADD_FAILURE() << "a reply that nobody waited for: " << to_json(reply);
    std::vector<std::string> out;
    for (const control::Event& event : std::exchange(events_, {}))
        out.push_back(in_short(event));
    return out;
}

std::string in_short(const control::Reply& reply) {
    if (reply.has_ack()) {
        const control::Ack& ack = reply.ack();
        return "ack +" + std::to_string(ack.added()) + " -" + std::to_string(ack.removed()) + " =" +
               std::to_string(ack.unchanged()) + (ack.dup() ? " dup" : "");
    }
    if (reply.has_nak())
        return "nak " + reply.nak().code() +
               (reply.nak().has_op() ? " op " + std::to_string(reply.nak().op()) : "");
    if (reply.has_done())
        return "done";
    if (reply.has_barrier())
        return reply.barrier().timeout() ? "barrier timeout" : "barrier";
    return to_json(reply);
}

std::string in_short(const control::Event& event) {
    if (event.has_port())
        return "port " + event.port().what() + " " + event.port().status().name();
    if (event.has_commit())
        return "commit " + event.commit().client() + " " + event.commit().id();
    if (event.has_flow_expired())
        return "expired " + event.flow_expired().reason() + " " +
               event.flow_expired().flow().match() + " packets " +
               std::to_string(event.flow_expired().packets());
    if (event.has_mac_learned())
        return "mac " + event.mac_learned().mac() + " at " + event.mac_learned().port();
    if (event.has_packet_in())
        return "packet_in " + event.packet_in().port();
    if (event.has_limit())
        return "limit " + event.limit().limit();
    if (event.has_gap())
        return "gap " + std::to_string(event.gap().first()) + ".." +
               std::to_string(event.gap().last());
    return to_json(event);
}

namespace {
std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    return out + "\"";
}
} // namespace

std::string flow(
    int weight,
    int table,
    int priority,
    std::string_view match,
    std::string_view actions,
    std::string_view more
) {
    return R"({"weight": )" + std::to_string(weight) + R"(, "flow": {"table": )" +
           std::to_string(table) + R"(, "priority": )" + std::to_string(priority) +
           R"(, "match": )" + json_text(match) + R"(, "actions": )" + json_text(actions) +
           (more.empty() ? "" : ", ") + std::string{more} + "}}";
}

std::string port_row(int weight, std::string_view name, std::string_view more) {
    return R"({"weight": )" + std::to_string(weight) + R"(, "port": {"name": )" + json_text(name) +
           (more.find("peer") != std::string_view::npos
                ? ""
                : R"(, "devargs": "net_)" + std::string{name} + "\"") +
           (more.empty() ? "" : ", ") + std::string{more} + "}}";
}

} // namespace weft::test
