#include "control/lowering.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "pipeline/rule.hh"

#include <algorithm>

namespace weft {

namespace {

/// For ids that this row has got already: the table engine keeps them.
template <class T>
T known(Result<T> result) {
    check(result.has_value());
    return *result;
}

control::Port port_message(std::string_view bytes) {
    control::Port row;
    row.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return row;
}

VlanMode vlan_mode_of(std::string_view mode) {
    if (mode == "access")
        return VlanMode::access;
    if (mode == "trunk")
        return VlanMode::trunk;
    if (mode == "native_tagged")
        return VlanMode::native_tagged;
    return mode == "native_untagged" ? VlanMode::native_untagged : VlanMode::none;
}

GroupType group_type_of(std::string_view type) {
    if (type == "select")
        return GroupType::select;
    if (type == "indirect")
        return GroupType::indirect;
    return type == "fast_failover" ? GroupType::fast_failover : GroupType::all;
}

} // namespace

Row* Lowering::port_row(PortId port) const {
    const auto found = port_rows_.find(port);
    return found == port_rows_.end() ? nullptr : found->second;
}

PortId Lowering::port_of(const Row& row) const {
    const KeyView key = key_view(row.relation, row.key());
    return known(tables_.port_id(known(tables_.bridge_id(bridge_shown(key.bridge))), key.name));
}

control::Bridge Lowering::bridge_row(std::string_view bridge) const {
    control::Bridge row;
    row.set_name(std::string{bridge_shown(bridge)});
    const std::string key = row.SerializeAsString();
    const Row* found = rows_.find(Relation::bridge, key, key_hash(key));
    return found == nullptr ? row : to_message(Relation::bridge, found->bytes()).bridge();
}

// -- one generation

std::optional<Fault>
Lowering::apply(NetChange& net, Generation generation, std::vector<Applied>& applied) {
    // What can fail for want of room comes first and is invisible until the commit.
    std::vector<Made> made(net.changes.size());
    const auto refuse = [&](Fault fault) {
        std::vector<Rule*> rules;
        for (const Made& other : made)
            if (other.row && other.row->rule != nullptr) {
                other.row->rule->row = nullptr;
                rules.push_back(other.row->rule);
            }
        tables_.withdraw_rules(std::move(rules));
        return fault;
    };
    for (std::size_t i = 0; i < made.size(); ++i) {
        if (net.changes[i].op == nullptr || net.changes[i].kind == RowChange::Kind::hold)
            continue;
        auto result = make(net.changes[i], generation);
        if (result) {
            made[i] = std::move(*result);
            continue;
        }
        const PreparedOp& op = *net.changes[i].op;
        return refuse({
            .code = std::move(result.error().code),
            .message = describe(op.row.relation, op.row.bytes) + ": " + result.error().what,
            .path = {},
            .op = op.index,
        });
    }
    if (auto fault = judge_cycles(net))
        return refuse(std::move(*fault));
    applied.reserve(applied.size() + net.changes.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        RowChange& change = net.changes[i];
        prefetch(net, made, i);
        if (change.kind == RowChange::Kind::hold) {
            const std::string_view scope = change.op != nullptr
                                               ? std::string_view{change.op->scope}
                                               : rows_.holdings().at(change.before->holding).scope;
            const bool versioned = change.op != nullptr && change.op->version != 0;
            rows_.hold(
                *change.before,
                scope,
                change.owners,
                versioned ? change.op->version : change.before->version
            );
            continue;
        }
        Applied& done = applied.emplace_back();
        done.before = change.before;
        done.after = made[i].row;
        if (change.before != nullptr)
            leave(*change.before, change.version, made[i].row != nullptr);
        if (made[i].row == nullptr)
            continue;
        if (const Meaning* meaning = made[i].meaning.get()) {
            done.idle_timeout_s = meaning->idle_timeout_s;
            done.hard_timeout_s = meaning->hard_timeout_s;
        }
        come(change, net.owner, made[i]);
    }
    for (std::size_t i = 0; i < made.size(); ++i)
        if (made[i].row != nullptr)
            lower(*made[i].row, made[i].meaning.get());
    lower_ports();
    return std::nullopt;
}

/// Of the changes after the i-th what they will read: what stands lies in no cache.
void Lowering::prefetch(const NetChange& net, const std::vector<Made>& made, std::size_t i) const {
    for (const bool soon : {true, false}) {
        const std::size_t at = i + (soon ? 4 : 8);
        if (at >= made.size())
            return;
        if (const Row* comes = made[at].row.get(); comes != nullptr && !soon)
            rows_.prefetch(comes->relation, comes->hash);
        if (const Row* leaves = net.changes[at].before) {
            rows_.prefetch_neighbours(*leaves, soon);
            if (leaves->rule != nullptr)
                weft::prefetch(leaves->rule, soon);
        }
    }
}

/// The row, its names known to the table engine, a flow's rule in it.
Result<Lowering::Made> Lowering::make(RowChange& change, Generation generation) {
    PreparedOp& op = *change.op;
    Made made;
    made.row = Row::make(op.row.relation, op.row.bytes, op.row.key_size, op.row.hash);
    made.row->generation = generation;
    made.row->version = op.version;
    made.meaning = op.row.meaning != nullptr ? std::move(op.row.meaning)
                                             : meaning_of(op.row.relation, op.row.bytes);
    const KeyView key = key_view(op.row.relation, made.row->key());
    const auto bridge = tables_.bridge_id(bridge_shown(key.bridge));
    if (!bridge)
        return tl::unexpected{bridge.error()};
    if (op.row.relation == Relation::port) {
        if (const auto port = tables_.port_id(*bridge, key.name); !port)
            return tl::unexpected{port.error()};
    } else if (op.row.relation == Relation::table) {
        if (const auto table = tables_.table_id(*bridge, key.number); !table)
            return tl::unexpected{table.error()};
    } else if (op.row.relation == Relation::group) {
        if (const auto group = tables_.group_id(*bridge, key.number); !group)
            return tl::unexpected{group.error()};
    } else if (op.row.relation == Relation::meter) {
        if (const auto meter = tables_.meter_id(*bridge, key.number); !meter)
            return tl::unexpected{meter.error()};
    } else if (op.row.relation == Relation::flow) {
        const auto rule = insert_rule(*bridge, key, *made.meaning);
        if (!rule)
            return tl::unexpected{rule.error()};
        made.row->rule = *rule;
        (*rule)->row = made.row.get();
        made.row->timed = made.meaning->idle_timeout_s != 0 || made.meaning->hard_timeout_s != 0;
    }
    return made;
}

Result<Rule*> Lowering::insert_rule(BridgeId bridge, const KeyView& key, const Meaning& meaning) {
    const auto table = tables_.table_id(bridge, key.number);
    if (!table)
        return tl::unexpected{table.error()};
    return tables_.insert_rule({
        .table = *table,
        .priority = key.priority,
        .match = meaning.match,
        .actions = *meaning.actions,
        .cookie = meaning.cookie,
    });
}

void Lowering::erase_rule(Rule* rule) {
    if (!tracing_)
        rule->row = nullptr; // the rule outlives its row by some grace periods
    tables_.erase_rule(rule);
}

void Lowering::leave(Row& row, std::uint64_t version, bool comes_again) {
    const RowPtr alive{&row};
    if (row.relation == Relation::port)
        note_port(row, false);
    references_.remove(row);
    uses_of(row.relation, row.bytes(), nullptr, uses_);
    for (const Named& named : uses_.provides)
        references_.withdraw(named);
    if (!comes_again && std::max(version, row.version) != 0)
        rows_.set_tombstone(row.relation, row.key(), std::max(version, row.version));
    rows_.erase(row);
    if (row.relation == Relation::table) {
        const KeyView key = key_view(row.relation, row.key());
        rules_max_.erase({std::string{key.bridge}, key.number});
        cycles_max_.erase({std::string{key.bridge}, key.number});
    }
    if (row.rule != nullptr) {
        erase_rule(row.rule);
        row.rule = nullptr;
    } else if (!comes_again) {
        unlower(row);
    }
}

void Lowering::come(const RowChange& change, OwnerId owner, Made& made) {
    Row& row = *made.row;
    rows_.insert(made.row, change.op->scope, {&owner, 1});
    uses_of(row.relation, row.bytes(), made.meaning.get(), uses_);
    references_.add(row, uses_.mentions);
    for (const Named& named : uses_.provides)
        references_.provide(named);
    if (row.relation == Relation::port)
        note_port(row, true);
}

/// Of the rows that are few; flows have their rules already.
void Lowering::lower(const Row& row, const Meaning* meaning) {
    switch (row.relation) {
    case Relation::bridge:
        lower_bridge(key_view(row.relation, row.key()).name);
        break;
    case Relation::table:
        lower_table(row, *meaning);
        break;
    case Relation::group:
        lower_group(row, *meaning);
        break;
    case Relation::meter: {
        const KeyView key = key_view(row.relation, row.key());
        const BridgeId bridge = known(tables_.bridge_id(bridge_shown(key.bridge)));
        tables_.set_meter(known(tables_.meter_id(bridge, key.number)));
        break;
    }
    case Relation::port: // lower_ports(), when all of them are known
    case Relation::flow:
    case Relation::count_:
        break;
    }
}

void Lowering::unlower(const Row& row) {
    const KeyView key = key_view(row.relation, row.key());
    const BridgeId bridge = known(tables_.bridge_id(bridge_shown(key.bridge)));
    switch (row.relation) {
    case Relation::bridge:
        lower_bridge(key.name);
        break;
    case Relation::port:
        tables_.erase_port(known(tables_.port_id(bridge, key.name)));
        break;
    case Relation::table:
        tables_.erase_table(known(tables_.table_id(bridge, key.number)));
        break;
    case Relation::group:
        tables_.erase_group(known(tables_.group_id(bridge, key.number)));
        break;
    case Relation::meter:
        tables_.erase_meter(known(tables_.meter_id(bridge, key.number)));
        break;
    case Relation::flow:
    case Relation::count_:
        break;
    }
}

void Lowering::lower_bridge(std::string_view bridge) {
    const control::Bridge row = bridge_row(bridge);
    BridgeSettings settings;
    settings.learning = !row.learning_off();
    settings.standalone = row.standalone();
    if (row.reserved_multicast() == "pass")
        settings.reserved_multicast = ReservedMulticast::pass;
    else if (row.reserved_multicast() == "punt")
        settings.reserved_multicast = ReservedMulticast::punt;
    tables_.set_bridge(known(tables_.bridge_id(bridge_shown(bridge))), settings);
}

void Lowering::lower_table(const Row& row, const Meaning& meaning) {
    const control::Table table = to_message(row.relation, row.bytes()).table();
    const KeyView key = key_view(row.relation, row.key());
    if (table.rules_max() != 0)
        rules_max_[{std::string{key.bridge}, key.number}] = table.rules_max();
    if (table.cycles_max() != 0)
        cycles_max_[{std::string{key.bridge}, key.number}] = table.cycles_max();
    TableSettings settings;
    settings.counters = !table.counters_off();
    if (!table.miss().empty())
        settings.miss = *meaning.actions;
    const BridgeId bridge = known(tables_.bridge_id(bridge_shown(table.bridge())));
    tables_.set_table(known(tables_.table_id(bridge, table.table())), settings);
}

void Lowering::lower_group(const Row& row, const Meaning& meaning) {
    const control::Group group = to_message(row.relation, row.bytes()).group();
    const BridgeId bridge = known(tables_.bridge_id(bridge_shown(group.bridge())));
    GroupSettings settings;
    settings.type = group_type_of(group.type());
    for (int i = 0; i < group.buckets_size(); ++i) {
        const control::Bucket& bucket = group.buckets(i);
        BucketSettings& made = settings.buckets.emplace_back();
        made.weight = bucket.weight();
        made.identity = stable_hash(bucket.watch_port(), stable_hash(bucket.actions()));
        made.actions = meaning.buckets[static_cast<std::size_t>(i)];
        if (bucket.watch_port().empty())
            continue;
        if (const auto port = tables_.port_id(bridge, bucket.watch_port()))
            made.watch_port = *port; // where no more names fit the bucket is never live
    }
    for (const std::string& field : group.hash_fields())
        settings.hash_fields.push_back(*field_from(field));
    tables_.set_group(bridge, known(tables_.group_id(bridge, group.group())), settings);
}

// -- ports

void Lowering::note_port(const Row& row, bool comes) {
    const control::Port port = port_message(row.bytes());
    const NumberInBridge number{port.bridge(), port.number()};
    const PortId id = port_of(row);
    Row& writable = const_cast<Row&>(row); // the store's rows are ours to change; this one stands
    if (comes) {
        port_rows_[id] = &writable;
        dirty_ports_.insert(&writable);
        if (port.number() != 0)
            port_numbers_[number] = &writable;
    } else {
        port_rows_.erase(id);
        dirty_ports_.erase(&writable);
        if (const auto held = port_numbers_.find(number);
            held != port_numbers_.end() && held->second == &row)
            port_numbers_.erase(held);
    }
    if (!port.peer().empty())
        dirty_patches_.insert(patch_name(port.name(), port.peer()));
}

/// Sets the ports that came or whose surroundings changed, and makes anew whatever holds a number
/// that is no longer right.
void Lowering::lower_ports() {
    for (const std::string& ours : std::exchange(dirty_patches_, {}))
        if (const Entity* end = references_.find({Named::Kind::patch, {}, ours, 0}))
            for (const Reference* r = end->first; r != nullptr; r = r->next)
                dirty_ports_.insert(r->row);
    std::set<PortId> renumbered;
    // Numbers that rows ask for are given first: who did not ask takes what is left, in whatever
    // order they came.
    for (const bool explicit_ones : {true, false}) {
        const std::set<Row*> ports = dirty_ports_;
        for (Row* row : ports) {
            if ((port_message(row->bytes()).number() != 0) != explicit_ones)
                continue;
            dirty_ports_.erase(row);
            for (const PortId changed : lower_port(*row)) {
                renumbered.insert(changed);
                Row* displaced = port_row(changed);
                if (displaced != nullptr && displaced != row)
                    dirty_ports_.insert(displaced
                    ); // did not ask for its number: comes in the second round
            }
        }
    }
    check(dirty_ports_.empty());
    std::set<Row*> again;
    for (const PortId port : renumbered) {
        const std::string_view bridge = tables_.bridge_name(tables_.bridge_of(port));
        const Entity* entity = references_.find(
            {Named::Kind::port, bridge == "main" ? "" : bridge, tables_.port_name(port), 0}
        );
        for (const Reference* r = entity ? entity->first : nullptr; r != nullptr; r = r->next)
            if (r->by_number)
                again.insert(r->row);
    }
    for (Row* row : again)
        lower_again(*row);
}

std::vector<PortId> Lowering::lower_port(const Row& row) {
    const control::Port port = port_message(row.bytes());
    PortSettings settings;
    settings.number = PortNumber{port.number()};
    settings.down = port.down();
    settings.vlan_mode = vlan_mode_of(port.vlan_mode());
    settings.vlan_tag = static_cast<std::uint16_t>(port.vlan_tag());
    for (const std::uint32_t vlan : port.vlan_trunks())
        settings.vlan_trunks.push_back(static_cast<std::uint16_t>(vlan));
    settings.is_patch = !port.peer().empty();
    if (settings.is_patch)
        settings.peer = patch_peer(row, port);
    return tables_.set_port(port_of(row), settings);
}

/// The other end: a patch port of that name whose peer is this one, in another bridge where there
/// is a choice, else in the one whose name comes first.
PortId Lowering::patch_peer(const Row& row, const control::Port& port) const {
    const std::string ours = patch_name(port.name(), port.peer());
    const Entity* end = references_.find({Named::Kind::patch, {}, ours, 0});
    const Row* best = nullptr;
    const auto rank = [&](const Row& other) {
        const std::string_view bridge = key_view(other.relation, other.key()).bridge;
        return std::pair{bridge == port.bridge(), bridge};
    };
    for (const Reference* r = end ? end->first : nullptr; r != nullptr; r = r->next)
        if (r->row != &row && (best == nullptr || rank(*r->row) < rank(*best)))
            best = r->row;
    return best == nullptr ? PortId::none : port_of(*best);
}

void Lowering::lower_again(Row& row) {
    const auto meaning = meaning_of(row.relation, row.bytes());
    if (row.relation != Relation::flow)
        return lower(row, meaning.get());
    const KeyView key = key_view(row.relation, row.key());
    const BridgeId bridge = known(tables_.bridge_id(bridge_shown(key.bridge)));
    const RuleSettings settings{
        .table = known(tables_.table_id(bridge, key.number)),
        .priority = key.priority,
        .match = meaning->match,
        .actions = *meaning->actions,
        .cookie = meaning->cookie,
    };
    if (!tracing_)
        row.rule->row = nullptr;
    auto rule = tables_.replace_rule(row.rule, settings);
    if (!rule) { // no room for both at once: the counters start again, the rule is right
        tables_.erase_rule(row.rule);
        rule = tables_.insert_rule(settings);
    }
    row.rule = known(std::move(rule));
    row.rule->row = &row;
}

} // namespace weft
