// Publication: what workers see, one world a generation.
#include "pipeline/tables_state.hh"

#include <utility>

namespace weft {

/// What the table does with what it does not know; nullptr: it drops.
const Actions* Tables::State::miss_of(const TableState& table) const {
    static const Actions normal{{action::Output{action::Reserved::normal}}};
    if (table.settings && table.settings->miss)
        return &*table.settings->miss;
    const bool standalone = bridges[index(table.bridge)].settings.standalone;
    return standalone && table.number == 0 && table.rows == 0 ? &normal : nullptr;
}

/// A table whose rules are routes, or become some with this change, has work to do at the commit.
void Tables::State::note_parts(TableId id) {
    TableState& table = tables[index(id)];
    if (!table.parted && table.parts->has_changes()) {
        table.parted = true;
        parted.push_back(id);
    }
}

/// What came to and left the tries since the last commit, as new roots of the next generation.
void Tables::State::apply_parts() {
    std::vector<TableParts*> changed;
    std::erase_if(parted, [&](TableId id) {
        TableState& table = tables[index(id)];
        if (table.parts->has_changes()) {
            table.parts->apply(next());
            changed.push_back(table.parts.get());
        }
        if (table.parts->parts_changed())
            dirty_tables.push_back(id);
        table.parted = table.parts->has_parts();
        return !table.parted;
    });
    if (changed.empty())
        return;
    tries.narrow.commit();
    tries.wide.commit();
    for (TableParts* parts : changed)
        parts->publish(next());
}

void Tables::State::refresh_views() {
    for (std::size_t i = 0; i < dirty_tables.size(); ++i) { // a miss may mention more
        const TableId id = dirty_tables[i];
        const TableState& state = tables[index(id)];
        auto view = std::make_unique<Table>();
        view->id = id;
        view->bridge = state.bridge;
        view->number = state.number;
        state.parts->list_parts(*view);
        view->has_conjunctions = !state.conjunctions.empty();
        view->names = state.named_rows != 0 ? state.parts->names_if_any() : nullptr;
        view->exists = state.number == 0 || state.rows != 0 || state.settings;
        if (state.settings)
            view->counters = state.settings->counters;
        if (const Actions* actions = miss_of(state)) {
            ProgramPtr miss = compile_actions(state.bridge, *actions, 0, *this, op_lists);
            count_words(*miss, 0, 0, +1);
            view->miss = miss.release();
        }
        table_views.set(index(id), std::move(view));
    }
    dirty_tables.clear();
    for (const BridgeId id : dirty_bridges) {
        const BridgeState& state = bridges[index(id)];
        auto view = std::make_unique<BridgeView>();
        view->id = id;
        view->reserved_multicast = state.settings.reserved_multicast;
        view->learning = state.settings.learning;
        view->first_table = state.table_of.at(0);
        view->macs = state.macs.get();
        view->ports = state.present;
        bridge_views.set(index(id), std::move(view));
    }
    dirty_bridges.clear();
}

Depth Tables::State::depth() const {
    Depth depth;
    depth.words = 0;
    depth.l3 = false;
    for (std::size_t word = 0; word < key_words; ++word)
        if (word_users[word] != 0)
            depth.add(WordMask{1} << word, 0);
    for (std::size_t bit = 0; bit < 16; ++bit)
        if (shape_users[bit] != 0)
            depth.add(0, static_cast<std::uint16_t>(1 << bit));
    depth.words |= Depth::always;
    return depth;
}

const World& Tables::commit() {
    State& s = *state_;
    s.apply_parts();
    s.refresh_views();
    ++s.generation;
    auto world = std::make_unique<World>();
    world->generation = s.generation;
    world->depth = s.depth();
    world->tables = s.table_views.freeze();
    world->groups = s.group_views.freeze();
    world->meters = s.meter_views.freeze();
    world->ports = s.port_views.freeze();
    world->bridges = s.bridge_views.freeze();
    world->hops = s.op_lists.hops().first();
    world->link_up = s.link_up.get();
    if (s.world != nullptr)
        s.reclaimer.retire([old = s.world] { delete old; });
    s.world = world.release();

    if (!s.dead.empty() || !s.dead_macs.empty())
        s.reclaimer.retire([&s,
                            rules = std::exchange(s.dead, {}),
                            macs = std::exchange(s.dead_macs, {})]() mutable {
            s.bury(std::move(rules));
            for (const auto& [bridge, mac] : macs) {
                s.bridges[index(bridge)].macs->remove(*mac.entry);
                s.reclaimer.retire([address = mac.address] { delete address; });
            }
        });
    return *s.world;
}

const World& Tables::world() const noexcept {
    return *state_->world;
}
Generation Tables::generation() const noexcept {
    return state_->generation;
}

} // namespace weft
