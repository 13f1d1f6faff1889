#include "pipeline/tables.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "pipeline/paged_array.hh"
#include "pipeline/patterns.hh"
#include "pipeline/program.hh"
#include "pipeline/rule.hh"
#include "pipeline/rule_counters.hh"
#include "pipeline/table.hh"
#include "pipeline/world.hh"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace weft {

PortId BridgeView::find(PortNumber number) const noexcept {
    const auto at = std::lower_bound(
        by_number.begin(),
        by_number.end(),
        number,
        [](const auto& a, PortNumber n) { return a.first < n; }
    );
    return at != by_number.end() && at->first == number ? at->second : PortId::none;
}

namespace {

/// Equal priority and equally many bits: the greater mask, then the match, whatever came first.
bool goes_before(const Entry& a, const Entry& b) {
    const auto rule_of = [](const Entry& entry) -> const Rule& {
        return *static_cast<const Program*>(entry.payload)->rule;
    };
    const Rule &first = rule_of(a), &second = rule_of(b);
    const Mask mask = first.least ? *first.least : a.form->mask();
    const Mask other = second.least ? *second.least : b.form->mask();
    return mask == other ? first.match_hash > second.match_hash : greater(mask, other);
}

/// Of a table's rules, for a plan: enough to see how they collide.
constexpr std::size_t plan_items = 4'096;

/// What one lookup takes at most, in cycles: as measured for a probed bucket, a verified entry, and
/// a line that has to come from memory (classifier_bench).
std::uint64_t cycles_of(const TupleSpace::Bound& bound) {
    constexpr std::uint64_t probe = 20, entry = 20, line = 30;
    return probe * bound.probes + entry * bound.entries + line * bound.lines;
}

bool any_order(const Entry&, const Entry&) {
    return false;
}

struct TableState {
    BridgeId bridge{};
    std::uint32_t number = 0;
    std::unique_ptr<TupleSpace> rules;
    std::uint64_t rows = 0;
    std::map<std::uint32_t, std::uint64_t> conjunctions; // id: clauses that name it
    std::optional<TableSettings> settings;
    bool dirty = true;
    bool touched = false; // in State::touched
    bool untidy = false;  // in State::untidy
};

struct PortState {
    BridgeId bridge{};
    std::string name;
    PortNumber number{};
    bool present = false;
};

struct BridgeState {
    std::string name;
    BridgeSettings settings;
    std::unique_ptr<TupleSpace> macs;
    struct Mac {
        Entry* entry;
        LearnedAddress* address;
    };
    std::unordered_map<std::uint64_t, Mac> mac_of;
    std::unordered_map<std::string, PortId> port_of;
    std::map<PortNumber, PortId> numbers; // present or mentioned
    std::map<PortNumber, PortId> present;
    std::unordered_map<std::uint32_t, TableId> table_of;
    std::unordered_map<std::uint32_t, GroupId> group_of;
    std::unordered_map<std::uint32_t, MeterId> meter_of;
    bool dirty = true;
};

} // namespace

struct Tables::State final : Names {
    State(TableLimits of, std::size_t workers, Reclaimer& to, std::uint64_t key)
        : limits{of},
          reclaimer{to},
          hash_key{key},
          table_views{to},
          group_views{to},
          meter_views{to},
          port_views{to},
          bridge_views{to},
          link_up{std::make_unique<std::atomic<std::uint8_t>[]>(of.ports + 1)} {
        for (std::size_t i = 0; i < workers; ++i)
            counters.push_back(std::make_unique<WorkerCounters>(limits.rules + 1));
        ports.emplace_back(); // PortId::none
    }

    // Names: what actions refer to is known from its first mention. At a limit the mention means
    // nothing: packets drop by name.
    PortId output_port(BridgeId bridge, const std::string& name) override {
        return mention_port(bridge, name).value_or(PortId::none);
    }
    PortNumber number_of(BridgeId bridge, const std::string& name) override {
        const auto port = mention_port(bridge, name);
        return port ? ports[index(*port)].number : PortNumber::none;
    }
    TableId table(BridgeId bridge, std::uint32_t number) override {
        return mention_table(bridge, number).value_or(TableId::none);
    }
    GroupId group(BridgeId bridge, std::uint32_t number) override {
        return mention_group(bridge, number).value_or(GroupId::none);
    }

    MeterId meter(BridgeId bridge, std::uint32_t number) override {
        return mention_meter(bridge, number).value_or(MeterId::none);
    }

    std::optional<PortId> mention_port(BridgeId bridge, std::string_view name);
    std::optional<TableId> mention_table(BridgeId bridge, std::uint32_t number);
    std::optional<GroupId> mention_group(BridgeId bridge, std::uint32_t number);
    std::optional<MeterId> mention_meter(BridgeId bridge, std::uint32_t number);
    PortNumber lowest_free(const BridgeState& bridge) const;

    void count_words(const Program& program, WordMask mask_words, std::uint16_t shapes, int by);
    CounterId take_counter();
    void bury(std::vector<Rule*> gone);
    const Actions* miss_of(const TableState& table) const;
    void refresh_views();
    void touch(TableId id);
    Depth depth() const;

    Generation next() const noexcept { return generation + 1; }

    TableLimits limits;
    Reclaimer& reclaimer;
    std::uint64_t hash_key;
    Generation generation = 0;
    std::uint64_t rules = 0;

    std::vector<PortState> ports;
    std::deque<TableState> tables; // compiling actions mentions more of them while one is at hand
    std::uint32_t groups = 0;
    std::uint32_t meters = 0;
    std::deque<BridgeState> bridges;
    std::unordered_map<std::string, BridgeId> bridge_of;
    std::vector<TableId> dirty_tables;
    std::vector<TableId> touched; // whose rules have changed since somebody looked for plans
    std::vector<TableId> untidy;  // whose hashes have work left
    std::vector<BridgeId> dirty_bridges;

    PagedArrayWriter<Table> table_views;
    PagedArrayWriter<Group> group_views;
    PagedArrayWriter<Meter> meter_views;
    PagedArrayWriter<PortView> port_views;
    PagedArrayWriter<BridgeView> bridge_views;
    std::unique_ptr<std::atomic<std::uint8_t>[]> link_up;

    std::vector<std::unique_ptr<WorkerCounters>> counters;
    std::vector<CounterId> free_counters;
    std::uint32_t counters_used = 0; // CounterId 0 is none
    std::array<std::uint64_t, key_words> word_users{};
    std::array<std::uint64_t, 16> shape_users{};
    std::vector<Rule*> dead;
    std::unordered_set<const Rule*> termless; // match nothing: no entry of a table names them
    std::vector<std::pair<BridgeId, BridgeState::Mac>> dead_macs;
    const World* world = nullptr;
};

// -- names

std::optional<PortId> Tables::State::mention_port(BridgeId bridge, std::string_view name) {
    BridgeState& of = bridges[index(bridge)];
    const auto found = of.port_of.find(std::string{name});
    if (found != of.port_of.end())
        return found->second;
    if (ports.size() > limits.ports)
        return std::nullopt;
    const auto id = static_cast<PortId>(ports.size());
    const PortNumber number = lowest_free(of);
    ports.push_back({bridge, std::string{name}, number, false});
    of.port_of.emplace(name, id);
    of.numbers.emplace(number, id);
    return id;
}

PortNumber Tables::State::lowest_free(const BridgeState& bridge) const {
    std::uint32_t candidate = 1;
    for (const auto& [number, port] : bridge.numbers) {
        if (static_cast<std::uint32_t>(number) != candidate)
            break;
        ++candidate;
    }
    return static_cast<PortNumber>(candidate);
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
    state.rules = std::make_unique<TupleSpace>(reclaimer, hash_key, goes_before);
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
        table.rules->for_each([&](const Entry& entry) {
            left.insert(static_cast<const Program*>(entry.payload)->rule);
        });
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
    const auto& present = state_->bridges[index(bridge)].present;
    const auto found = present.find(number);
    return found == present.end() ? std::nullopt : std::optional{found->second};
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
            bridge.numbers.erase(it.number);
            bridge.present.erase(it.number);
            it.number = number;
            renumbered.push_back(which);
        };
        if (const auto holder = bridge.numbers.find(settings.number);
            holder != bridge.numbers.end()) {
            const PortId displaced = holder->second;
            renumber(displaced, s.lowest_free(bridge));
            // lowest_free was asked while the number was taken, so it is another one
            bridge.numbers.emplace(s.ports[index(displaced)].number, displaced);
        }
        renumber(port, settings.number);
        bridge.numbers.emplace(settings.number, port);
    }
    state.present = true;
    bridge.present.insert_or_assign(state.number, port);
    s.dirty_bridges.push_back(state.bridge);

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
        ProgramPtr program = compile_actions(bridge, bucket.actions, 0, s);
        s.count_words(*program, 0, 0, +1); // for good: groups are few and their fields with them
        view->buckets.push_back({bucket.weight, bucket.watch_port, program.release()});
    }
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

// -- rules

void Tables::State::count_words(
    const Program& program, WordMask mask_words, std::uint16_t shapes, int by
) {
    const WordMask words = program.words | mask_words;
    const auto all_shapes = static_cast<std::uint16_t>(program.shapes | shapes);
    const auto step = static_cast<std::uint64_t>(by); // -1 wraps to the right answer
    for (std::size_t word = 0; word < key_words; ++word)
        word_users[word] += words >> word & 1 ? step : 0;
    for (std::size_t bit = 0; bit < 16; ++bit)
        shape_users[bit] += all_shapes >> bit & 1 ? step : 0;
}

CounterId Tables::State::take_counter() {
    CounterId id{};
    if (!free_counters.empty()) {
        id = free_counters.back();
        free_counters.pop_back();
        for (const auto& worker :
             counters) { // nobody counts with it: its last rule's grace period is over
            RuleCounters& c = worker->of(id);
            c.packets.set(0);
            c.bytes.set(0);
            c.used_ms.set(0);
        }
        return id;
    }
    id = static_cast<CounterId>(++counters_used);
    for (const auto& worker : counters)
        worker->prepare(id);
    return id;
}

Result<Rule*> Tables::insert_rule(const RuleSettings& settings) {
    State& s = *state_;
    if (s.rules + settings.match.terms.size() > s.limits.rules)
        return fail(
            "too_many_rules",
            "this switch holds at most " + std::to_string(s.limits.rules) + " rules"
        );
    TableState& table = s.tables[index(settings.table)];
    ProgramPtr program = compile_actions(table.bridge, settings.actions, settings.cookie, s);
    for (const ConjunctionClause& clause : program->conjunctions())
        if (!table.conjunctions.contains(clause.id) &&
            table.conjunctions.size() >= conjunctions_per_table_max)
            return fail(
                "too_many_conjunctions",
                "table " + std::to_string(table.number) + ": conjunction " +
                    std::to_string(clause.id) + ": a table holds at most " +
                    std::to_string(conjunctions_per_table_max) + " conjunction ids"
            );
    auto rule = std::make_unique<Rule>();
    rule->table = settings.table;
    rule->priority = settings.priority;
    rule->born = s.next();
    rule->match_hash = stable_hash(settings.match);
    rule->counter = s.take_counter();
    program->rule = rule.get();
    program->counter = rule->counter;
    if (program->conjunctive) {
        if (table.conjunctions.empty())
            s.dirty_tables.push_back(settings.table);
        for (const ConjunctionClause& clause : program->conjunctions())
            ++table.conjunctions[clause.id];
    }

    const Lowered lowered = lower(settings.match, [&](std::string_view port) {
        return s.number_of(table.bridge, std::string{port});
    });
    rule->words = lowered.words;
    rule->shapes = lowered.shapes;
    if (settings.match.terms.size() > 1)
        rule->least = std::make_unique<const Mask>(lowered.least);
    rule->entries.reserve(lowered.patterns.size());
    for (const Pattern& pattern : lowered.patterns)
        rule->entries.push_back(table.rules->insert(
            pattern, make_rank(settings.priority, lowered.least_bits), s.next(), program.get()
        ));
    s.count_words(*program, rule->words, rule->shapes, +1);
    rule->program = std::move(program);
    s.rules += rule->entries.size();
    s.touch(settings.table);
    if (++table.rows == 1) // its view says whether it exists
        s.dirty_tables.push_back(settings.table);
    if (rule->entries.empty())
        s.termless.insert(rule.get());
    return rule.release();
}

Result<Rule*> Tables::replace_rule(Rule* old, const RuleSettings& settings) {
    State& s = *state_;
    auto made = insert_rule(settings);
    if (!made)
        return made;
    Rule* rule = *made;
    s.free_counters.push_back(rule->counter); // fresh, and not seen by anybody yet
    rule->counter = old->counter;
    rule->program->counter = old->counter;
    old->owns_counter = false;
    erase_rule(old);
    return rule;
}

void Tables::erase_rule(Rule* rule) {
    State& s = *state_;
    TableState& table = s.tables[index(rule->table)];
    for (Entry* entry : rule->entries)
        table.rules->expire(*entry, s.next());
    s.count_words(*rule->program, rule->words, rule->shapes, -1);
    for (const ConjunctionClause& clause : rule->program->conjunctions())
        if (--table.conjunctions[clause.id] == 0)
            table.conjunctions.erase(clause.id);
    if (rule->program->conjunctive && table.conjunctions.empty())
        s.dirty_tables.push_back(rule->table);
    if (--table.rows == 0)
        s.dirty_tables.push_back(rule->table);
    s.rules -= rule->entries.size();
    s.dead.push_back(rule);
}

/// Nobody sees the rules any more: out of the tables now, their memory after another grace period.
void Tables::State::bury(std::vector<Rule*> gone) {
    for (Rule* rule : gone) {
        TableState& table = tables[index(rule->table)];
        for (Entry* entry : rule->entries)
            table.rules->remove(*entry);
        touch(rule->table);
        termless.erase(rule);
    }
    reclaimer.retire([this, gone = std::move(gone)] {
        for (Rule* rule : gone) {
            if (rule->owns_counter)
                free_counters.push_back(rule->counter);
            delete rule;
        }
    });
}

std::shared_ptr<const Program> Tables::compile(BridgeId bridge, const Actions& actions) {
    ProgramPtr program = compile_actions(bridge, actions, 0, *state_);
    return {program.release(), Program::Deleter{}};
}

// -- learned addresses

bool Tables::learn_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac, PortId port) {
    State& s = *state_;
    BridgeState& of = s.bridges[index(bridge)];
    const std::uint64_t key = mac_key(vlan, mac);
    if (const auto known = of.mac_of.find(key); known != of.mac_of.end()) {
        if (known->second.address->port == port)
            return true;
        forget_mac(bridge, vlan, mac);
    } else if (of.mac_of.size() >= s.limits.macs_per_bridge) {
        return false;
    }
    Pattern pattern;
    pattern.add(1, ~std::uint64_t{0}, key);
    auto* address = new LearnedAddress{.port = port};
    of.mac_of[key] = {of.macs->insert(pattern, make_rank(0, 64), s.next(), address), address};
    return true;
}

void Tables::forget_mac(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac) {
    State& s = *state_;
    BridgeState& of = s.bridges[index(bridge)];
    const auto known = of.mac_of.find(mac_key(vlan, mac));
    if (known == of.mac_of.end())
        return;
    of.macs->expire(*known->second.entry, s.next());
    s.dead_macs.emplace_back(bridge, known->second);
    of.mac_of.erase(known);
}

std::uint64_t Tables::mac_used_ms(BridgeId bridge, std::uint16_t vlan, std::uint64_t mac) const {
    const BridgeState& of = state_->bridges[index(bridge)];
    const auto known = of.mac_of.find(mac_key(vlan, mac));
    return known == of.mac_of.end()
               ? 0
               : known->second.address->used_ms.load(std::memory_order_relaxed);
}

// -- publication

/// What the table does with what it does not know; nullptr: it drops.
const Actions* Tables::State::miss_of(const TableState& table) const {
    static const Actions normal{{action::Output{action::Reserved::normal}}};
    if (table.settings && table.settings->miss)
        return &*table.settings->miss;
    const bool standalone = bridges[index(table.bridge)].settings.standalone;
    return standalone && table.number == 0 && table.rows == 0 ? &normal : nullptr;
}

void Tables::State::refresh_views() {
    for (std::size_t i = 0; i < dirty_tables.size(); ++i) { // a miss may mention more
        const TableId id = dirty_tables[i];
        const TableState& state = tables[index(id)];
        auto view = std::make_unique<Table>();
        view->id = id;
        view->bridge = state.bridge;
        view->number = state.number;
        view->rules = state.rules.get();
        view->has_conjunctions = !state.conjunctions.empty();
        view->exists = state.number == 0 || state.rows != 0 || state.settings;
        if (state.settings)
            view->counters = state.settings->counters;
        if (const Actions* actions = miss_of(state)) {
            ProgramPtr miss = compile_actions(state.bridge, *actions, 0, *this);
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
        for (const auto& [number, port] : state.present) {
            view->ports.push_back(port);
            view->by_number.emplace_back(number, port);
        }
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

// -- seeing inside

RowCounters Tables::counters(const Rule& rule) const noexcept {
    RowCounters sum;
    for (const auto& worker : state_->counters) {
        const RuleCounters& c = worker->of(rule.counter);
        sum.packets += c.packets.read();
        sum.bytes += c.bytes.read();
        sum.used_ms = std::max(sum.used_ms, c.used_ms.read());
    }
    return sum;
}

Generation Tables::born(const Rule& rule) const noexcept {
    return rule.born;
}

std::vector<TableReport> Tables::report() const {
    std::vector<TableReport> reports;
    for (const TableState& table : state_->tables) {
        const TupleSpace& rules = *table.rules;
        const TupleSpace::Bound bound = rules.bound();
        reports.push_back({
            .bridge = table.bridge,
            .number = table.number,
            .engine = rules.is_linear() ? "linear" : "tuple space",
            .rows = table.rows,
            .rules = rules.entries(),
            .tuples = rules.tuples(),
            .probes_max = bound.probes,
            .entries_max = bound.entries,
            .cache_lines_max = bound.lines,
            .cycles_max = cycles_of(bound),
            .memory_bytes = rules.memory_bytes(),
        });
    }
    return reports;
}

// -- the background

void Tables::State::touch(TableId id) {
    if (!std::exchange(tables[index(id)].touched, true))
        touched.push_back(id);
}

std::optional<PlanJob> Tables::next_plan() {
    State& s = *state_;
    while (!s.touched.empty()) {
        const TableId id = s.touched.back();
        TableState& table = s.tables[index(id)];
        s.touched.pop_back();
        table.touched = false;
        if (table.rules->is_linear())
            continue;
        if (!std::exchange(table.untidy, true))
            s.untidy.push_back(id);
        if (table.rules->wants_plan())
            return PlanJob{id, table.rules->sample(plan_items, s.generation)};
    }
    return std::nullopt;
}

void Tables::adopt(TableId id, const TuplePlan& plan) {
    TableState& table = state_->tables[index(id)];
    if (table.rules->is_linear() || table.rules->is_moving())
        return; // it has become another table meanwhile
    table.rules->adopt(plan);
    if (!std::exchange(table.untidy, true))
        state_->untidy.push_back(id);
}

Tables::Tidied Tables::tidy(std::size_t buckets) {
    State& s = *state_;
    Tidied all = Tidied::all;
    std::erase_if(s.untidy, [&](TableId id) {
        TableState& table = s.tables[index(id)];
        const bool more = table.rules->move_some(buckets);
        const bool waits = table.rules->is_moving();
        table.untidy = more || waits;
        if (more)
            all = Tidied::more;
        else if (waits && all == Tidied::all)
            all = Tidied::waits;
        if (!table.untidy && table.rules->wants_plan()) {
            s.touch(id); // it grew while its rules moved, or while its plan was made
            all = Tidied::more;
        }
        return !table.untidy;
    });
    return all;
}

WorkerCounters& Tables::worker_counters(std::size_t worker) noexcept {
    return *state_->counters[worker];
}
std::uint64_t Tables::rules() const noexcept {
    return state_->rules;
}

std::uint64_t Tables::memory_bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const TableState& table : state_->tables)
        bytes += table.rules->memory_bytes() + table.rows * (sizeof(Rule) + sizeof(Program));
    return bytes;
}

} // namespace weft
