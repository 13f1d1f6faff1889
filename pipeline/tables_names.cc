// Names: dense ids, given at the first mention.
#include "pipeline/tables_state.hh"

namespace weft {

namespace {

bool any_order(const Entry&, const Entry&) {
    return false;
}

} // namespace

std::optional<PortId> Tables::State::mention_port(BridgeId bridge, std::string_view name) {
    BridgeState& of = bridges[index(bridge)];
    const auto found = of.port_of.find(std::string{name});
    if (found != of.port_of.end())
        return found->second;
    if (ports.size() > limits.ports)
        return std::nullopt;
    const auto id = static_cast<PortId>(ports.size());
    const PortNumber number{of.taken.lowest_free()};
    ports.push_back({bridge, std::string{name}, number, false});
    of.port_of.emplace(name, id);
    of.hold_number(number, id);
    return id;
}

std::optional<TableId> Tables::State::mention_table(BridgeId bridge, std::uint32_t number) {
    BridgeState& of = bridges[index(bridge)];
    if (const auto found = of.table_of.find(number); found != of.table_of.end())
        return found->second;
    if (tables.size() >= limits.tables)
        return std::nullopt;
    const auto id = static_cast<TableId>(tables.size());
    TableState& state = tables.emplace_back();
    state.bridge = bridge;
    state.number = number;
    state.parts = std::make_unique<TableParts>(tries, reclaimer, hash_key);
    dirty_tables.push_back(id);
    of.table_of.emplace(number, id);
    return id;
}

std::optional<GroupId> Tables::State::mention_group(BridgeId bridge, std::uint32_t number) {
    BridgeState& of = bridges[index(bridge)];
    if (const auto found = of.group_of.find(number); found != of.group_of.end())
        return found->second;
    if (groups >= limits.groups)
        return std::nullopt;
    const auto id = static_cast<GroupId>(groups++);
    of.group_of.emplace(number, id);
    return id;
}

std::optional<MeterId> Tables::State::mention_meter(BridgeId bridge, std::uint32_t number) {
    BridgeState& of = bridges[index(bridge)];
    if (const auto found = of.meter_of.find(number); found != of.meter_of.end())
        return found->second;
    if (meters >= limits.meters)
        return std::nullopt;
    const auto id = static_cast<MeterId>(meters++);
    of.meter_of.emplace(number, id);
    return id;
}

Result<BridgeId> Tables::bridge_id(std::string_view name) {
    State& s = *state_;
    if (!s.bridges.empty() && name == s.bridges.front().name)
        return BridgeId{0}; // main, which nearly every row is of
    if (const auto found = s.bridge_of.find(std::string{name}); found != s.bridge_of.end())
        return found->second;
    if (s.bridges.size() >= s.limits.bridges)
        return fail(
            "too_many_bridges",
            "bridge \"" + std::string{name} + "\": this switch holds at most " +
                std::to_string(s.limits.bridges)
        );
    const auto id = static_cast<BridgeId>(s.bridges.size());
    BridgeState& bridge = s.bridges.emplace_back();
    bridge.name = name;
    bridge.macs = std::make_unique<TupleSpace>(s.reclaimer, s.hash_key, any_order);
    s.bridge_of.emplace(name, id);
    s.dirty_bridges.push_back(id);
    s.mention_table(id, 0);
    return id;
}

Result<PortId> Tables::port_id(BridgeId bridge, std::string_view name) {
    if (const auto id = state_->mention_port(bridge, name))
        return *id;
    return fail(
        "too_many_ports",
        "port \"" + std::string{name} + "\": this switch knows at most " +
            std::to_string(state_->limits.ports) + " port names"
    );
}

Result<TableId> Tables::table_id(BridgeId bridge, std::uint32_t number) {
    if (const auto id = state_->mention_table(bridge, number))
        return *id;
    return fail(
        "too_many_tables",
        "table " + std::to_string(number) + ": this switch holds at most " +
            std::to_string(state_->limits.tables)
    );
}

Result<GroupId> Tables::group_id(BridgeId bridge, std::uint32_t number) {
    if (const auto id = state_->mention_group(bridge, number))
        return *id;
    return fail(
        "too_many_groups",
        "group " + std::to_string(number) + ": this switch holds at most " +
            std::to_string(state_->limits.groups)
    );
}

Result<MeterId> Tables::meter_id(BridgeId bridge, std::uint32_t number) {
    if (const auto id = state_->mention_meter(bridge, number))
        return *id;
    return fail(
        "too_many_meters",
        "meter " + std::to_string(number) + ": this switch holds at most " +
            std::to_string(state_->limits.meters)
    );
}

PortNumber Tables::port_number(PortId port) const noexcept {
    return state_->ports[index(port)].number;
}
std::string_view Tables::port_name(PortId port) const noexcept {
    return state_->ports[index(port)].name;
}
BridgeId Tables::bridge_of(PortId port) const noexcept {
    return state_->ports[index(port)].bridge;
}
std::string_view Tables::bridge_name(BridgeId bridge) const noexcept {
    return state_->bridges[index(bridge)].name;
}
std::uint32_t Tables::table_number(TableId table) const noexcept {
    return state_->tables[index(table)].number;
}
BridgeId Tables::bridge_of(TableId table) const noexcept {
    return state_->tables[index(table)].bridge;
}
std::optional<PortId> Tables::port_by_number(BridgeId bridge, PortNumber number) const noexcept {
    const PortId found = state_->bridges[index(bridge)].present.find(number);
    return found == PortId::none ? std::nullopt : std::optional{found};
}

} // namespace weft
