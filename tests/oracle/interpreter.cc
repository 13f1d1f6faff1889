#include "tests/oracle/interpreter.hh"

#include "pipeline/process.hh"
#include "tests/oracle/naive_group.hh"
#include "tests/oracle/naive_lookup.hh"

#include <optional>
#include <utility>

// Where the design leaves a choice, this is what was chosen; OVS's behaviour decides unless a line
// says otherwise.
//
// - A field that the packet does not have reads as 0 (push, output to a field) and cannot be
//   written; a move needs both of its fields.
// - The shape is what parse found; only VLAN tags change it. A new icmp6.type does not make a
//   packet neighbour discovery.
// - push_vlan makes a tag of 0 (OVS copies the outer tag's bits).
// - A call in last place is a goto: it needs no depth. Limits are what fits: 64 open frames, 4,096
//   steps, 1,024 clones, where buckets and patch ports count as clones; the clone limit is looked
//   at before the depth.
// - A bucket without a watch port is live. `all` runs every bucket, live or not; `indirect` its
//   first.
// - flood leaves out ports that are down, without a drop; patch ports keep their place in the order
//   of numbers.
// - A step is a lookup (conjunctions are part of it) or an action; ports of a flood and buckets are
//   no steps.
// - Tables that nobody filled miss. Output to a patch port whose peer is not there, or no patch
//   port, is output to no port.
// - A clone whose body has an action that is not done begins all the same, and ends the walk there.
// - What a packet reads of its own headers is kept over a patch port, nd_reserved and
//   nd_options_type included; pkt.mark is not (OVS keeps it).

namespace weft::oracle {

bool operator==(const Tags::Tag& a, const Tags::Tag& b) {
    return a.received == b.received && (a.received || a.tpid == b.tpid);
}

namespace {

constexpr std::uint64_t tci_bits = 0xffff;

struct State {
    std::size_t bridge = 0;
    FlowKey key;
    std::vector<U128> stack;
    Tags tags;
};

/// How a list of actions ended.
struct Ended {
    bool walk_over = false;
    std::optional<std::uint32_t> jump; // to a table, in place of what called the list
};
constexpr Ended go_on{};

class Interpreter {
public:
    Interpreter(const SpecWorld& world, const Links& links, const Asked& asked)
        : world_{world},
          links_{links},
          asked_{asked} {
        state_.bridge = asked.bridge;
        state_.key = asked.key;
        for (const Shape tag : {Shape::vlan, Shape::vlan1})
            if (asked.key.is(tag))
                state_.tags.tag.push_back({.received = true});
    }

    Walk run() {
        if (asked_.first != nullptr)
            run_body(*asked_.first);
        else
            run_table(0);
        if (walk_.effects.empty())
            add_drop(reason_);
        walk_.key = state_.key;
        return std::move(walk_);
    }

private:
    // Each of these returns false when the whole walk is over.
    bool run_table(std::uint32_t table);
    bool run_body(const Actions& actions);
    bool run_clone(const Actions& actions, const Step* opened = nullptr);
    Ended run_list(const Actions& actions);
    bool step();
    bool end_walk(Drop reason);

    // One action each.
    bool act(const action::Output&);
    bool act(const action::Set&);
    bool act(const action::Move&);
    bool act(const action::Push&);
    bool act(const action::Pop&);
    bool act(const action::PushVlan&);
    bool act(const action::PopVlan&);
    bool act(const action::DecTtl&);
    bool act(const action::Clone&);
    bool act(const action::Group&);
    bool act(const action::Controller&);
    bool act(const action::CheckPacketLarger&);
    bool act(const action::SetQueue&);
    bool act(const action::Conjunction&) { return true; }
    bool act(const action::Meter& action) { return metered(action.meter); }
    bool metered(std::uint32_t meter) {
        return end_walk(
            bridge().meters.contains(meter) ? Drop::unsupported_action : Drop::no_such_meter
        );
    }
    template <class Other>
    bool act(const Other&) {
        return end_walk(Drop::unsupported_action);
    }

    bool call(std::uint32_t table);
    bool output(const SpecPort* port, PortId wanted, std::uint32_t max_bytes, bool to_ingress);
    bool flood(std::uint32_t max_bytes);
    bool enter_patch(const SpecPort& port);
    bool is_down(const SpecPort& port) const;
    bool is_live(const BucketSettings& bucket) const;
    std::optional<std::size_t> first_live(const GroupSettings& group) const;

    bool has(FieldSlice slice) const { return state_.key.is(info(slice.field).requires_shape); }
    U128 read(FieldSlice slice) const { return has(slice) ? get(state_.key, slice) : U128{}; }
    void write(FieldSlice slice, U128 value) {
        if (has(slice))
            set(state_.key, slice, value);
    }
    void set_tag_shapes();
    const SpecBridge& bridge() const { return world_.bridges[state_.bridge]; }
    void tell(Step step) {
        step.depth = depth_;
        walk_.steps.push_back(step);
    }
    bool refuse(PortId port, Drop reason) {
        tell({.what = StoryStep::What::drop, .reason = reason, .port = port});
        add_drop(reason);
        return true;
    }
    void add_drop(Drop reason) {
        Outcome& outcome = walk_.effects.emplace_back();
        outcome.kind = Outcome::Kind::drop;
        outcome.reason = reason;
        outcome.table = table_;
    }
    Outcome& add_copy(Outcome::Kind kind) {
        Outcome& outcome = walk_.effects.emplace_back();
        outcome.kind = kind;
        outcome.table = table_;
        outcome.key = state_.key;
        outcome.tags = state_.tags;
        return outcome;
    }

    const SpecWorld& world_;
    const Links& links_;
    const Asked& asked_;
    State state_;
    Walk walk_;
    Drop reason_ = Drop::no_output;
    std::size_t depth_ = 0;
    std::size_t steps_ = 0;
    std::size_t clones_ = 0;
    std::uint32_t table_ = 0;        // whose actions run
    const SpecRule* rule_ = nullptr; // whose actions run
};

bool Interpreter::step() {
    if (steps_ == walk_steps_max)
        return end_walk(Drop::steps_exceeded);
    ++steps_;
    return true;
}

bool Interpreter::end_walk(Drop reason) {
    tell({.what = StoryStep::What::drop, .reason = reason});
    reason_ = reason;
    if (!walk_.effects.empty())
        add_drop(reason);
    return false;
}

bool Interpreter::run_table(std::uint32_t table) {
    static const SpecTable nothing;
    const std::uint32_t table_before = table_;
    const SpecRule* const rule_before = rule_;
    for (;;) {
        if (!step())
            return false;
        const auto found = bridge().tables.find(table);
        const SpecTable& here = found == bridge().tables.end() ? nothing : found->second;
        table_ = table;
        rule_ = lookup(here, state_.key, asked_.name);
        if (rule_ != nullptr) {
            tell({
                .what = StoryStep::What::lookup,
                .bridge = state_.bridge,
                .table = table,
                .rule = rule_,
            });
            walk_.hits.push_back(rule_);
        } else {
            tell({.what = StoryStep::What::miss, .bridge = state_.bridge, .table = table});
        }
        Ended ended = go_on;
        if (rule_ != nullptr)
            ended = run_list(rule_->actions);
        else if (here.miss)
            ended = run_list(*here.miss);
        else
            reason_ = table == 0 || here.has_row || !here.rules.empty() ? Drop::no_match
                                                                        : Drop::no_such_table;
        if (ended.walk_over)
            return false;
        if (!ended.jump)
            break;
        table = *ended.jump;
    }
    table_ = table_before;
    rule_ = rule_before;
    return true;
}

bool Interpreter::run_body(const Actions& actions) {
    const Ended ended = run_list(actions);
    return !ended.walk_over && (!ended.jump || run_table(*ended.jump));
}

Ended Interpreter::run_list(const Actions& actions) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const Action& action = actions[i];
        if (std::holds_alternative<action::Conjunction>(action.of))
            continue;
        if (!step())
            return {.walk_over = true, .jump = {}};
        tell({.what = StoryStep::What::action, .rule = rule_, .action = &action});
        if (std::holds_alternative<action::Drop>(action.of)) {
            reason_ = Drop::policy;
            return go_on;
        }
        if (const auto* to = std::get_if<action::Goto>(&action.of))
            return {.walk_over = false, .jump = to->table};
        bool alive;
        if (const auto* to = std::get_if<action::Call>(&action.of)) {
            if (i + 1 == actions.size())
                return {.walk_over = false, .jump = to->table};
            alive = call(to->table);
        } else {
            alive = std::visit([&](const auto& of) { return act(of); }, action.of);
        }
        if (!alive)
            return {.walk_over = true, .jump = {}};
    }
    return go_on;
}

bool Interpreter::call(std::uint32_t table) {
    if (depth_ == walk_depth_max)
        return end_walk(Drop::depth_exceeded);
    ++depth_;
    if (!run_table(table))
        return false;
    --depth_;
    return true;
}

/// Runs on a copy of the state, which is as before afterwards. `opened` is told when there is room
/// for it.
bool Interpreter::run_clone(const Actions& actions, const Step* opened) {
    if (clones_ == walk_clones_max)
        return end_walk(Drop::clones_exceeded);
    ++clones_;
    if (depth_ == walk_depth_max)
        return end_walk(Drop::depth_exceeded);
    ++depth_;
    if (opened != nullptr)
        tell(*opened);
    const State before = state_;
    if (!run_body(actions))
        return false;
    state_ = before;
    --depth_;
    return true;
}

// -- outputs

bool Interpreter::act(const action::Output& action) {
    if (const auto* name = std::get_if<std::string>(&action.to)) {
        const SpecPort* const port = bridge().find(*name);
        return output(port, port == nullptr ? PortId::none : port->id, action.max_bytes, false);
    }
    if (const auto* field = std::get_if<FieldSlice>(&action.to)) {
        const auto number = static_cast<PortNumber>(static_cast<std::uint32_t>(read(*field).low));
        const SpecPort* const port = bridge().find(number);
        return output(port, PortId::none, action.max_bytes, false);
    }
    switch (std::get<action::Reserved>(action.to)) {
    case action::Reserved::inport: {
        const SpecPort* const port = bridge().find(state_.key.inport());
        return output(port, PortId::none, action.max_bytes, true);
    }
    case action::Reserved::flood:
    case action::Reserved::all:
        return flood(action.max_bytes);
    case action::Reserved::normal:
        break;
    }
    return end_walk(Drop::unsupported_action); // normal has stories of its own
}

bool Interpreter::output(
    const SpecPort* port, PortId wanted, std::uint32_t max_bytes, bool to_ingress
) {
    if (port == nullptr)
        return refuse(wanted, Drop::no_such_port);
    if (!to_ingress && port->number == state_.key.inport())
        return refuse(port->id, Drop::output_to_ingress_port);
    if (is_down(*port))
        return refuse(port->id, Drop::port_down);
    if (port->is_patch)
        return enter_patch(*port);
    Outcome& outcome = add_copy(Outcome::Kind::output);
    outcome.port = port->id;
    outcome.max_bytes = max_bytes;
    tell({.what = StoryStep::What::output, .port = port->id});
    return true;
}

bool Interpreter::flood(std::uint32_t max_bytes) {
    for (const SpecPort& port : bridge().ports) {
        if (port.number == state_.key.inport() || is_down(port))
            continue;
        if (!output(&port, port.id, max_bytes, false))
            return false;
    }
    return true;
}

bool Interpreter::is_down(const SpecPort& port) const {
    const auto link = links_.find(port.id);
    return port.down || (!port.is_patch && link != links_.end() && !link->second);
}

bool Interpreter::enter_patch(const SpecPort& port) {
    std::size_t peer_bridge = 0;
    const SpecPort* const peer = world_.find(port.peer, &peer_bridge);
    if (peer == nullptr || !peer->is_patch)
        return refuse(port.id, Drop::no_such_port);
    if (peer->down)
        return refuse(port.id, Drop::port_down);
    if (clones_ == walk_clones_max)
        return end_walk(Drop::clones_exceeded);
    ++clones_;
    if (depth_ == walk_depth_max)
        return end_walk(Drop::depth_exceeded);
    ++depth_;
    tell({.what = StoryStep::What::patch, .port = peer->id});

    const State before = state_;
    FlowKey fresh{};
    for (const FieldInfo& field : all_fields()) {
        const bool of_packet = field.id == FieldId::shape || field.id == FieldId::nd_reserved ||
                               field.id == FieldId::nd_options_type ||
                               field.id == FieldId::eth_type ||
                               (field.id >= FieldId::eth_src && field.id <= FieldId::nd_tll);
        if (of_packet && before.key.is(field.requires_shape))
            set(fresh, field, get(before.key, field), low_bits(field.bits));
    }
    fresh.set_inport(peer->number);
    state_ = {.bridge = peer_bridge, .key = fresh, .stack = {}, .tags = before.tags};
    if (!run_table(0))
        return false;
    state_ = before;
    --depth_;
    return true;
}

bool Interpreter::act(const action::Controller& action) {
    if (action.meter != 0)
        return metered(action.meter);
    if (action.pause)
        return end_walk(Drop::unsupported_action);
    Outcome& outcome = add_copy(Outcome::Kind::punt);
    outcome.port = asked_.ingress;
    outcome.max_bytes = action.max_bytes;
    outcome.cookie = rule_ == nullptr ? 0 : rule_->cookie;
    outcome.punt = &action;
    tell({.what = StoryStep::What::punt, .port = outcome.port, .number = action.reason});
    return true;
}

// -- state

bool Interpreter::act(const action::Set& action) {
    U128 value = action.value;
    if (!action.port.empty()) {
        const auto number = bridge().numbers.find(action.port);
        value = U128{
            number == bridge().numbers.end() ? 0u : static_cast<std::uint64_t>(number->second)};
    }
    write(action.to, value);
    return true;
}

bool Interpreter::act(const action::Move& action) {
    if (has(action.from) && has(action.to))
        write(action.to, read(action.from));
    return true;
}

bool Interpreter::act(const action::Push& action) {
    if (state_.stack.size() == walk_stack_max)
        return end_walk(Drop::stack_overflow);
    state_.stack.push_back(read(action.from));
    return true;
}

bool Interpreter::act(const action::Pop& action) {
    if (state_.stack.empty())
        return end_walk(Drop::stack_underflow);
    write(action.to, state_.stack.back() & low_bits(action.to.bits));
    state_.stack.pop_back();
    return true;
}

bool Interpreter::act(const action::CheckPacketLarger& action) {
    write(action.to, U128{asked_.bytes > action.bytes ? 1u : 0u});
    return true;
}

bool Interpreter::act(const action::SetQueue& action) {
    write(whole(info(FieldId::queue)), U128{action.queue});
    return true;
}

bool Interpreter::act(const action::DecTtl&) {
    const FieldSlice ttl = whole(info(FieldId::ip_ttl));
    if (!has(ttl))
        return true;
    if (read(ttl) <= U128{1})
        return end_walk(Drop::ttl_exceeded);
    write(ttl, read(ttl) - U128{1});
    return true;
}

void Interpreter::set_tag_shapes() {
    const std::size_t count = state_.tags.tag.size();
    const std::uint64_t bits =
        (count > 0 ? std::uint64_t{1} : 0) | (count > 1 ? std::uint64_t{2} : 0);
    set(state_.key, info(FieldId::shape), U128{bits}, U128{3});
}

bool Interpreter::act(const action::PushVlan& action) {
    if (state_.tags.tag.size() == 2)
        return end_walk(Drop::vlan_tags_exceeded);
    std::uint64_t& outer = state_.key.word[1];
    std::uint64_t& inner = state_.key.word[2];
    inner = (inner & ~tci_bits) | (outer & tci_bits);
    outer &= ~tci_bits;
    state_.tags.tag.insert(state_.tags.tag.begin(), {.received = false, .tpid = action.tpid});
    set_tag_shapes();
    return true;
}

bool Interpreter::act(const action::PopVlan&) {
    if (state_.tags.tag.empty())
        return true;
    std::uint64_t& outer = state_.key.word[1];
    std::uint64_t& inner = state_.key.word[2];
    outer = (outer & ~tci_bits) | (inner & tci_bits);
    inner &= ~tci_bits;
    if (state_.tags.tag.front().received)
        ++state_.tags.popped;
    state_.tags.tag.erase(state_.tags.tag.begin());
    set_tag_shapes();
    return true;
}

// -- clones and groups

bool Interpreter::act(const action::Clone& action) {
    return run_clone(action.body);
}

bool Interpreter::is_live(const BucketSettings& bucket) const {
    if (bucket.watch_port == PortId::none)
        return true;
    const SpecPort* const port = world_.find(bucket.watch_port);
    return port != nullptr && !is_down(*port);
}

std::optional<std::size_t> Interpreter::first_live(const GroupSettings& group) const {
    for (std::size_t i = 0; i < group.buckets.size(); ++i)
        if (group.type == GroupType::indirect || is_live(group.buckets[i]))
            return i;
    return std::nullopt;
}

bool Interpreter::act(const action::Group& action) {
    const auto found = bridge().groups.find(action.group);
    if (found == bridge().groups.end())
        return refuse(PortId::none, Drop::no_such_group);
    const GroupSettings& group = found->second;
    tell({.what = StoryStep::What::group, .number = action.group});
    std::vector<std::size_t> run;
    if (group.type == GroupType::all) {
        for (std::size_t i = 0; i < group.buckets.size(); ++i)
            run.push_back(i);
    } else if (group.type == GroupType::select) {
        std::vector<bool> live;
        for (const BucketSettings& bucket : group.buckets)
            live.push_back(is_live(bucket));
        const auto chosen = select_bucket(group, state_.key, live);
        if (!chosen)
            return refuse(PortId::none, Drop::group_no_bucket);
        run.push_back(*chosen);
    } else if (const auto first = first_live(group)) {
        run.push_back(*first);
    } else {
        return refuse(PortId::none, Drop::group_no_bucket);
    }
    for (const std::size_t i : run) {
        const SpecRule* const rule_before = std::exchange(rule_, nullptr); // a bucket is no rule's
        const Step opened{.what = StoryStep::What::bucket, .number = static_cast<std::uint32_t>(i)};
        if (!run_clone(group.buckets[i].actions, &opened))
            return false;
        rule_ = rule_before;
    }
    return true;
}

} // namespace

Walk interpret(const SpecWorld& world, const Links& links, const Asked& asked) {
    return Interpreter{world, links, asked}.run();
}

} // namespace weft::oracle
