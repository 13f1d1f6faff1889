// What only the other rows tell about a net change: limits, port numbers, references.
#include "control/lowering.hh"

#include <algorithm>

namespace weft {

namespace {

Fault fault_of(
    const PreparedOp& op, std::string_view code, std::string_view field, const std::string& why
) {
    return {
        .code = std::string{code},
        .message = describe(op.row.relation, op.row.bytes) + ": " + why,
        .path = std::string{name(op.row.relation)} + "." + std::string{field},
        .op = op.index,
    };
}

bool brings_row(const RowChange& change) noexcept {
    return change.kind == RowChange::Kind::add || change.kind == RowChange::Kind::replace;
}
bool takes_row(const RowChange& change) noexcept {
    return change.kind == RowChange::Kind::remove || change.kind == RowChange::Kind::replace;
}

template <class Message>
Message message_of(const PreparedOp& op) {
    Message row;
    row.ParseFromString(op.row.bytes);
    return row;
}

} // namespace

std::optional<Fault> Lowering::judge(const NetChange& net, bool strict) const {
    if (net.added > net.removed && rows_.count() + (net.added - net.removed) > rows_.limits().rows)
        return Fault{
            .code = "too_many_rules",
            .message = std::to_string(rows_.count()) + " rows stand and " +
                       std::to_string(net.added) + " would come: at most " +
                       std::to_string(rows_.limits().rows) + " may be",
            .path = {},
            .op = {},
        };
    if (auto fault = judge_bridges(net))
        return fault;
    if (auto fault = judge_port_numbers(net))
        return fault;
    if (auto fault = judge_table_limits(net))
        return fault;
    return strict ? judge_references(net) : std::nullopt;
}

std::optional<Fault> Lowering::judge_bridges(const NetChange& net) const {
    for (const RowChange& change : net.changes) {
        if (!brings_row(change) || change.op->row.relation != Relation::bridge)
            continue;
        const auto row = message_of<control::Bridge>(*change.op);
        if (row.mac_limit() > limits_.macs_per_bridge)
            return fault_of(
                *change.op,
                "out_of_range",
                "mac_limit",
                "mac_limit " + std::to_string(row.mac_limit()) + " is above the switch's " +
                    std::to_string(limits_.macs_per_bridge)
            );
    }
    return std::nullopt;
}

/// A number that a row asks for belongs to one row; numbers that the switch chose give way.
std::optional<Fault> Lowering::judge_port_numbers(const NetChange& net) const {
    std::set<const Row*> leaving;
    std::map<NumberInBridge, const PreparedOp*> asked;
    for (const RowChange& change : net.changes)
        if (takes_row(change) && change.before->relation == Relation::port)
            leaving.insert(change.before);
    for (const RowChange& change : net.changes) {
        if (!brings_row(change) || change.op->row.relation != Relation::port)
            continue;
        const auto row = message_of<control::Port>(*change.op);
        if (row.number() == 0)
            continue;
        const NumberInBridge number{row.bridge(), row.number()};
        const auto [other, fresh] = asked.emplace(number, change.op);
        const auto standing = port_numbers_.find(number);
        std::string holder;
        if (!fresh)
            holder = describe(Relation::port, other->second->row.bytes);
        else if (standing != port_numbers_.end() && !leaving.contains(standing->second))
            holder = describe(Relation::port, standing->second->bytes());
        if (!holder.empty())
            return fault_of(
                *change.op,
                "key_conflict",
                "number",
                "number " + std::to_string(row.number()) + " is that of " + holder +
                    ": numbers are unique in a bridge"
            );
    }
    return std::nullopt;
}

std::optional<Fault> Lowering::judge_table_limits(const NetChange& net) const {
    struct Change {
        std::int64_t flows = 0;
        std::optional<std::uint32_t> rules_max; // of the table's row, where that changes
        const PreparedOp* last = nullptr;
    };
    std::map<NumberInBridge, Change> tables;
    const auto place = [](std::string_view key_bytes) {
        const KeyView key = key_view(Relation::table, key_bytes);
        return NumberInBridge{std::string{key.bridge}, key.number};
    };
    for (const RowChange& change : net.changes) {
        if (takes_row(change) && change.before->relation == Relation::table)
            tables[place(change.before->key())].rules_max = 0;
        if (!brings_row(change) || change.op->row.relation != Relation::table)
            continue;
        Change& table = tables[place(change.op->row.key())];
        table.rules_max = message_of<control::Table>(*change.op).rules_max();
        table.last = change.op;
    }
    if (tables.empty() && rules_max_.empty())
        return std::nullopt;
    for (const RowChange& change : net.changes) {
        if (takes_row(change) && change.before->relation == Relation::flow)
            --tables[place(change.before->key())].flows;
        if (!brings_row(change) || change.op->row.relation != Relation::flow)
            continue;
        Change& table = tables[place(change.op->row.key())];
        ++table.flows;
        table.last = change.op;
    }
    for (const auto& [at, change] : tables) {
        const auto limit = rules_max_.find(at);
        const std::uint32_t max = change.rules_max            ? *change.rules_max
                                  : limit == rules_max_.end() ? 0
                                                              : limit->second;
        if (max == 0 || change.last == nullptr)
            continue;
        const std::int64_t flows = flows_of(at) + change.flows;
        if (flows > static_cast<std::int64_t>(max))
            return Fault{
                .code = "too_many_rules",
                .message = Named{Named::Kind::table, at.first, {}, at.second}.text() +
                           " would have " + std::to_string(flows) + " flows: its rules_max is " +
                           std::to_string(max),
                .path = {},
                .op = change.last->index,
            };
    }
    return std::nullopt;
}

/// Flows and a table's row both make the table.
std::int64_t Lowering::flows_of(const NumberInBridge& table) const {
    control::Table row;
    row.set_bridge(table.first);
    row.set_table(table.second);
    const std::string key = row.SerializeAsString();
    const bool has_row = rows_.find(Relation::table, key, key_hash(key)) != nullptr;
    return static_cast<std::int64_t>(
               references_.providers({Named::Kind::table, table.first, {}, table.second})
           ) -
           (has_row ? 1 : 0);
}

/// A change that takes away is never refused for what is left: the bound has to hold where flows
/// come, and where a table's row asks for it. Nor is a flow whose key stands already and gets other
/// actions: it costs what the old one did, beside which it lies until workers let go of that.
std::optional<Fault> Lowering::judge_cycles(const NetChange& net) const {
    struct Asked {
        std::uint64_t max = 0;
        const PreparedOp* last = nullptr;
    };
    const auto place = [](std::string_view key_bytes) {
        const KeyView key = key_view(Relation::table, key_bytes); // a flow's begins with the same
        return NumberInBridge{std::string{key.bridge}, key.number};
    };
    std::map<NumberInBridge, Asked> tables;
    for (const auto& [table, max] : cycles_max_)
        tables[table].max = max;
    for (const RowChange& change : net.changes)
        if (takes_row(change) && change.before->relation == Relation::table)
            tables.erase(place(change.before->key()));
    for (const RowChange& change : net.changes) {
        if (!brings_row(change) || change.op->row.relation != Relation::table)
            continue;
        if (const auto row = message_of<control::Table>(*change.op); row.cycles_max() != 0)
            tables[place(change.op->row.key())] = {row.cycles_max(), change.op};
    }
    if (tables.empty())
        return std::nullopt;
    for (const RowChange& change : net.changes) {
        if (change.kind != RowChange::Kind::add || change.op->row.relation != Relation::flow)
            continue;
        if (const auto at = tables.find(place(change.op->row.key())); at != tables.end())
            at->second.last = change.op;
    }
    for (const auto& [at, asked] : tables) {
        if (asked.last == nullptr)
            continue;
        const BridgeId bridge = *tables_.bridge_id(bridge_shown(at.first));
        const std::uint64_t cycles =
            tables_.cycles_max(*tables_.table_id(bridge, at.second), asked.max);
        if (cycles > asked.max)
            return Fault{
                .code = "bound_exceeded",
                .message = describe(asked.last->row.relation, asked.last->row.bytes) + ": " +
                           Named{Named::Kind::table, at.first, {}, at.second}.text() +
                           " would cost up to " + std::to_string(cycles) +
                           " cycles a lookup: its cycles_max is " + std::to_string(asked.max),
                .path = {},
                .op = asked.last->index,
            };
    }
    return std::nullopt;
}

std::optional<Fault> Lowering::judge_references(const NetChange& net) const {
    std::unordered_map<std::string, std::int64_t> provided; // by the change
    std::string key;
    Uses uses;
    const auto provide = [&](Relation relation, std::string_view bytes, std::int64_t by) {
        uses_of(relation, bytes, nullptr, uses);
        for (const Named& named : uses.provides) {
            References::key_of(named, key);
            provided[key] += by;
        }
    };
    for (const RowChange& change : net.changes) {
        if (takes_row(change))
            provide(change.before->relation, change.before->bytes(), -1);
        if (brings_row(change))
            provide(change.op->row.relation, change.op->row.bytes, +1);
    }
    std::optional<Fault> first;
    for (const PreparedOp* op : net.asserted) {
        if (first && *first->op < op->index)
            continue;
        std::unique_ptr<Meaning> parsed;
        const Meaning* meaning = op->row.meaning.get();
        if (meaning == nullptr) {
            parsed = meaning_of(op->row.relation, op->row.bytes);
            meaning = parsed.get();
        }
        uses_of(op->row.relation, op->row.bytes, meaning, uses);
        for (const Mention& mention : uses.mentions) {
            References::key_of(mention.named, key);
            const auto change = provided.find(key);
            const std::int64_t providers =
                static_cast<std::int64_t>(references_.providers(mention.named)) +
                (change == provided.end() ? 0 : change->second);
            if (providers > 0)
                continue;
            first = fault_of(
                *op,
                mention.named.missing_code(),
                mention.field,
                mention.named.text() + (mention.named.kind == Named::Kind::action
                                            ? " is not carried out by this build"
                                            : " does not exist")
            );
            break;
        }
    }
    return first;
}

} // namespace weft
