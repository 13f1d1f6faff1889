// The engine's beginning and end, and the settings of bridges, ports, tables, groups and meters.
#include "pipeline/tables.hh"

#include "pipeline/tables_state.hh"

namespace weft {

Tables::Tables(
    TableLimits limits, std::size_t workers, Reclaimer& reclaimer, std::uint64_t hash_key
)
    : state_{std::make_unique<State>(limits, workers, reclaimer, hash_key)} {
    (void)bridge_id("main");
    commit();
}

/// The workers are gone and the reclaimer has run everything: what is left is what the last
/// generation sees.
Tables::~Tables() {
    State& s = *state_;
    std::unordered_set<const Rule*> left(s.dead.begin(), s.dead.end());
    for (TableState& table : s.tables)
        table.parts->for_each_rule([&](const Rule& rule) { left.insert(&rule); });
    left.insert(s.termless.begin(), s.termless.end());
    for (const Rule* rule : left)
        delete rule;
    for (BridgeState& bridge : s.bridges)
        for (auto& [key, mac] : bridge.mac_of)
            delete mac.address;
    for (const auto& [bridge, mac] : s.dead_macs)
        delete mac.address;
    delete s.world;
}

// -- ports, bridges, tables, groups

void Tables::set_bridge(BridgeId bridge, const BridgeSettings& settings) {
    BridgeState& state = state_->bridges[index(bridge)];
    if (state.settings.standalone != settings.standalone)
        state_->dirty_tables.push_back(state.table_of.at(0));
    state.settings = settings;
    state_->dirty_bridges.push_back(bridge);
}

std::vector<PortId> Tables::set_port(PortId port, const PortSettings& settings) {
    State& s = *state_;
    PortState& state = s.ports[index(port)];
    BridgeState& bridge = s.bridges[index(state.bridge)];
    std::vector<PortId> renumbered;
    if (settings.number != PortNumber::none && settings.number != state.number) {
        const auto renumber = [&](PortId which, PortNumber number) {
            PortState& it = s.ports[index(which)];
            bridge.release_number(it.number);
            bridge.present.erase(it.number);
            it.number = number;
            renumbered.push_back(which);
        };
        if (const auto holder = bridge.numbers.find(settings.number);
            holder != bridge.numbers.end()) {
            const PortId displaced = holder->second;
            renumber(displaced, PortNumber{bridge.taken.lowest_free()});
            // it was asked for while the number was taken, so it is another one
            const PortState& moved = s.ports[index(displaced)];
            bridge.hold_number(moved.number, displaced);
            if (moved.present)
                bridge.present.set(moved.number, displaced);
        }
        renumber(port, settings.number);
        bridge.hold_number(settings.number, port);
    }
    if (!std::exchange(state.present, true) || !renumbered.empty()) {
        bridge.present.set(state.number, port);
        s.dirty_bridges.push_back(state.bridge); // its view lists all of its ports
    }

    auto view = std::make_unique<PortView>();
    view->id = port;
    view->number = state.number;
    view->bridge = state.bridge;
    view->is_patch = settings.is_patch;
    view->down = settings.down;
    view->peer = settings.peer;
    view->vlan_mode = settings.vlan_mode;
    view->vlan_tag = settings.vlan_tag;
    view->vlan_allowed.fill(settings.vlan_trunks.empty() ? ~std::uint64_t{0} : 0);
    for (const std::uint16_t vlan : settings.vlan_trunks)
        view->vlan_allowed[vlan / 64 % 64] |= std::uint64_t{1} << vlan % 64;
    s.port_views.set(index(port), std::move(view));
    if (settings.is_patch)
        s.link_up[index(port)].store(1, std::memory_order_relaxed);
    return renumbered;
}

void Tables::erase_port(PortId port) {
    State& s = *state_;
    PortState& state = s.ports[index(port)];
    state.present = false;
    s.bridges[index(state.bridge)].present.erase(state.number);
    s.dirty_bridges.push_back(state.bridge);
    s.port_views.set(index(port), nullptr);
}

void Tables::set_link(PortId port, bool up) noexcept {
    state_->link_up[index(port)].store(up ? 1 : 0, std::memory_order_relaxed);
}

void Tables::set_table(TableId table, const TableSettings& settings) {
    state_->tables[index(table)].settings = settings;
    state_->dirty_tables.push_back(table);
}

void Tables::erase_table(TableId table) {
    state_->tables[index(table)].settings.reset();
    state_->dirty_tables.push_back(table);
}

void Tables::set_group(BridgeId bridge, GroupId group, const GroupSettings& settings) {
    State& s = *state_;
    auto view = std::make_unique<Group>();
    view->type = settings.type;
    view->hash_fields = settings.hash_fields;
    for (const BucketSettings& bucket : settings.buckets) {
        ProgramPtr program = compile_actions(bridge, bucket.actions, 0, s, s.op_lists);
        s.count_words(*program, 0, 0, +1); // for good: groups are few and their fields with them
        view->buckets.push_back({bucket.weight, bucket.watch_port, program.release()});
    }
    if (settings.type == GroupType::select)
        view->slots = deal_slots(settings.buckets);
    WordMask hashed = 0;
    for (const FieldId field : settings.hash_fields)
        hashed |= info(field).words();
    if (settings.type == GroupType::select && hashed == 0)
        hashed = WordMask{0x18} | WordMask{0xf}
                                      << 16; // IPv4 addresses, protocol and ports, IPv6 addresses
    for (std::size_t word = 0; word < key_words; ++word)
        s.word_users[word] += hashed >> word & 1;
    s.group_views.set(index(group), std::move(view));
}

void Tables::erase_group(GroupId group) {
    state_->group_views.set(index(group), nullptr);
}

void Tables::set_meter(MeterId meter) {
    state_->meter_views.set(index(meter), std::make_unique<Meter>());
}

void Tables::erase_meter(MeterId meter) {
    state_->meter_views.set(index(meter), nullptr);
}

} // namespace weft
