#include "tests/story/net.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "control/language/language.hh"
#include "pipeline/rewrite.hh"
#include "pipeline/world.hh"
#include "tests/support/spell_out.hh"

#include <algorithm>

namespace weft::test {

namespace {

std::string flow_name(
    std::string_view bridge, std::uint32_t table, std::uint32_t priority, std::string_view match
) {
    return std::string{bridge} + "/" + std::to_string(table) + "/" + std::to_string(priority) +
           "/" + print(parse_match(match).value());
}

Actions actions_of(std::string_view text) {
    auto actions = parse_actions(text);
    if (!actions)
        ADD_FAILURE() << text << ": " << actions.error().what;
    return actions.value();
}

} // namespace

Outcome::~Outcome() {
    for (const Sent& sent : sent_)
        ADD_FAILURE() << "a packet of " << sent.bytes.size() << " bytes left at " << sent.port
                      << ", which the story does not tell";
    for (const Drop reason : dropped_)
        ADD_FAILURE() << "dropped as " << name(reason) << ", which the story does not tell";
    for (const std::uint8_t reason : punted_)
        ADD_FAILURE() << "punted for reason " << int{reason} << ", which the story does not tell";
}

Outcome& Outcome::leaves_at(std::string_view port) {
    const auto at = std::find_if(sent_.begin(), sent_.end(), [&](const Sent& s) {
        return s.port == port && s.bytes == came_;
    });
    if (at == sent_.end())
        ADD_FAILURE() << "nothing left unchanged at " << port;
    else
        sent_.erase(at);
    return *this;
}

Outcome& Outcome::leaves_at(std::string_view port, const PacketSpec& as) {
    const Bytes bytes = as.bytes();
    const auto at = std::find_if(sent_.begin(), sent_.end(), [&](const Sent& s) {
        return s.port == port && s.bytes == bytes;
    });
    if (at == sent_.end())
        ADD_FAILURE() << "no such packet left at " << port;
    else
        sent_.erase(at);
    return *this;
}

std::string Outcome::port() const {
    EXPECT_EQ(sent_.size(), 1u);
    return sent_.empty() ? std::string{} : sent_[0].port;
}

Outcome& Outcome::is_dropped(Drop reason) {
    const auto at = std::find(dropped_.begin(), dropped_.end(), reason);
    if (at == dropped_.end())
        ADD_FAILURE() << "not dropped as " << name(reason)
                      << (dropped_.empty() ? std::string{}
                                           : ", but as " + std::string{name(dropped_.front())});
    else
        dropped_.erase(at);
    return *this;
}

Outcome& Outcome::is_punted(std::uint8_t reason) {
    const auto at = std::find(punted_.begin(), punted_.end(), reason);
    if (at == punted_.end())
        ADD_FAILURE() << "not punted for reason " << int{reason};
    else
        punted_.erase(at);
    return *this;
}

Net::Net()
    : tables_{std::make_unique<Tables>(TableLimits{.rules = 100'000}, 1, reclaimer_, 0x5eed)},
      worker_{std::make_unique<PipelineWorker>(tables_->worker_counters(0))},
      burst_{std::make_unique<Burst>()} {
    worker_->now_ms = 1;
}

Net::~Net() {
    commit();
    reclaimer_.run_all();
}

Net& Net::port(std::string_view name, PortSettings settings, std::string_view bridge) {
    const PortId id = tables_->port_id(tables_->bridge_id(bridge).value(), name).value();
    EXPECT_TRUE(tables_->set_port(id, settings).empty())
        << "rules that name a renumbered port are control's to renew";
    tables_->set_link(id, true);
    ports_[std::string{name}] = id;
    changed_ = true;
    return *this;
}

Net& Net::patch(
    std::string_view a, std::string_view bridge_a, std::string_view b, std::string_view bridge_b
) {
    const PortId id_a = tables_->port_id(tables_->bridge_id(bridge_a).value(), a).value();
    const PortId id_b = tables_->port_id(tables_->bridge_id(bridge_b).value(), b).value();
    port(a, {.peer = id_b, .is_patch = true}, bridge_a);
    return port(b, {.peer = id_a, .is_patch = true}, bridge_b);
}

Net& Net::unplug(std::string_view port) {
    tables_->erase_port(port_id(port));
    changed_ = true;
    return *this;
}

Net& Net::link(std::string_view port, bool up) {
    tables_->set_link(port_id(port), up);
    return *this;
}

Net& Net::bridge(std::string_view name, BridgeSettings settings) {
    tables_->set_bridge(tables_->bridge_id(name).value(), settings);
    changed_ = true;
    return *this;
}

Net& Net::flow(
    std::uint32_t table,
    std::uint32_t priority,
    std::string_view match,
    std::string_view actions,
    std::string_view bridge
) {
    auto parsed = parse_match(match);
    if (!parsed) {
        ADD_FAILURE() << match << ": " << parsed.error().what;
        return *this;
    }
    const TableId id = tables_->table_id(tables_->bridge_id(bridge).value(), table).value();
    const Actions list = actions_of(actions);
    rules_[flow_name(bridge, table, priority, match)] =
        tables_->insert_rule({.table = id, .priority = priority, .match = *parsed, .actions = list})
            .value();
    changed_ = true;
    return *this;
}

Net& Net::unflow(
    std::uint32_t table, std::uint32_t priority, std::string_view match, std::string_view bridge
) {
    const auto at = rules_.find(flow_name(bridge, table, priority, match));
    check(at != rules_.end());
    tables_->erase_rule(at->second);
    rules_.erase(at);
    changed_ = true;
    return *this;
}

Net& Net::miss(std::uint32_t table, std::string_view actions) {
    tables_->set_table(
        tables_->table_id(BridgeId::main, table).value(), {.miss = actions_of(actions)}
    );
    changed_ = true;
    return *this;
}

Net& Net::meter(std::uint32_t number) {
    tables_->set_meter(tables_->meter_id(BridgeId::main, number).value());
    changed_ = true;
    return *this;
}

Net& Net::group(
    std::uint32_t number,
    GroupType type,
    std::vector<std::pair<std::uint32_t, std::string>> buckets,
    std::vector<FieldId> hash
) {
    GroupSettings settings{.type = type, .buckets = {}, .hash_fields = std::move(hash)};
    for (const auto& [weight, actions] : buckets)
        settings.buckets.push_back(
            {.weight = weight, .actions = actions_of(actions), .identity = stable_hash(actions)}
        );
    tables_->set_group(BridgeId::main, tables_->group_id(BridgeId::main, number).value(), settings);
    changed_ = true;
    return *this;
}

void Net::commit() {
    if (!std::exchange(changed_, false))
        return;
    tables_->commit();
    reclaimer_.run_all();
}

PortId Net::port_id(std::string_view name) const {
    const auto at = ports_.find(name);
    check(at != ports_.end());
    return at->second;
}

PortNumber Net::number(std::string_view port) const {
    return tables_->port_number(port_id(port));
}

RowCounters Net::counters(
    std::uint32_t table, std::uint32_t priority, std::string_view match, std::string_view bridge
) {
    return tables_->counters(*rules_.at(flow_name(bridge, table, priority, match)));
}

Outcome Net::send(const std::string& port, const PacketSpec& packet) {
    const PortId id = port_id(port);
    return run(id, tables_->bridge_of(id), nullptr, packet);
}

Outcome Net::sends_out(std::string_view port, std::string_view actions, const PacketSpec& packet) {
    const auto program = tables_->compile(BridgeId::main, actions_of(actions));
    changed_ = true; // its fields count in the depth
    return run(port.empty() ? PortId::none : port_id(port), BridgeId::main, program.get(), packet);
}

Outcome
Net::run(PortId ingress, BridgeId bridge, const Program* actions, const PacketSpec& packet) {
    commit();
    Outcome outcome;
    outcome.came_ = packet.bytes();
    OwnedPacket owned{outcome.came_};
    Burst& burst = *burst_;
    burst.count = 1;
    burst.bridge = bridge;
    burst.ingress = ingress;
    burst.packet[0] = owned.packet;
    if (actions == nullptr)
        process(burst, tables_->world(), *worker_);
    else
        process_with(burst, *actions, tables_->world(), *worker_);
    learned_.insert(
        learned_.end(), burst.learned.begin(), burst.learned.begin() + burst.learned_count
    );

    test::spell_out_plain(burst);
    if (burst.effects.first[0] == Effect::none)
        outcome.dropped_.push_back(burst.why[0]);
    for (std::uint16_t at = burst.effects.first[0]; at != Effect::none;
         at = burst.effects.effect[at].next) {
        const Effect& effect = burst.effects.effect[at];
        if (effect.kind == Effect::Kind::drop) {
            outcome.dropped_.push_back(effect.reason);
            continue;
        }
        OwnedPacket copy{outcome.came_};
        Packet& out = copy.packet;
        out.l2_bytes = burst.packet[0].l2_bytes;
        out.l3_offset = burst.packet[0].l3_offset;
        out.l4_offset = burst.packet[0].l4_offset;
        if (effect.edit != Effect::none)
            rewrite(out, burst.shape[0], burst.effects.edits[effect.edit]);
        Bytes bytes{out.data, out.data + out.bytes};
        if (effect.max_bytes != 0 && bytes.size() > effect.max_bytes)
            bytes.resize(effect.max_bytes);
        if (effect.kind == Effect::Kind::punt) {
            outcome.punted_.push_back(effect.punt->reason);
            continue;
        }
        outcome.sent_.push_back({std::string{tables_->port_name(effect.port)}, std::move(bytes)});
    }
    return outcome;
}

Net& Net::learns() {
    for (const Learned& l : std::exchange(learned_, {}))
        tables_->learn_mac(l.bridge, l.vlan, l.mac, l.port);
    changed_ = true;
    return *this;
}

} // namespace weft::test
