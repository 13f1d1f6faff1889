// Which things a row makes and which it names.
#include "control/rows/canonical.hh"

namespace weft {

namespace {

class Collector {
public:
    Collector(std::string_view bridge, Uses& uses) : bridge_{bridge}, uses_{uses} {}

    void add(Named::Kind kind, std::string_view name) {
        uses_.mentions.push_back({{kind, bridge_, name, 0}, false, field_});
    }
    void add(Named::Kind kind, std::uint32_t number) {
        uses_.mentions.push_back({{kind, bridge_, {}, number}, false, field_});
    }
    void add_port_number(std::string_view name) {
        uses_.mentions.push_back({{Named::Kind::port, bridge_, name, 0}, true, field_});
    }
    void unsupported(std::string_view action) {
        uses_.mentions.push_back({{Named::Kind::action, {}, action, 0}, false, field_});
    }

    void match(const Match& match) {
        field_ = "match";
        for (const Term& term : match.terms)
            for (const FieldMatch& field : term.fields)
                if (!field.port.empty() && !is_name(field.field))
                    add_port_number(field.port);
    }
    void actions(const Actions& actions, std::string_view field) {
        field_ = field;
        for (const Action& action : actions) {
            std::visit([&](const auto& of) { statement(of); }, action.of);
            // of a clone's body, the statements in it that are not
            if (!supported(action) && !std::holds_alternative<action::Clone>(action.of))
                unsupported(name(action));
        }
    }

private:
    void statement(const action::Output& output) {
        if (const auto* port = std::get_if<std::string>(&output.to))
            add(Named::Kind::port, *port);
    }
    void statement(const action::Set& set) {
        if (!set.port.empty())
            add_port_number(set.port);
    }
    void table(std::uint32_t number) {
        if (number != 0) // packets start in it, so it is always there
            add(Named::Kind::table, number);
    }
    void statement(const action::Call& call) { table(call.table); }
    void statement(const action::Goto& to) { table(to.table); }
    void statement(const action::Clone& clone) { actions(clone.body, field_); }
    void statement(const action::Group& group) { add(Named::Kind::group, group.group); }
    void statement(const action::Meter& meter) { add(Named::Kind::meter, meter.meter); }
    void statement(const action::Ct& ct) {
        if (ct.next)
            table(*ct.next);
    }
    void statement(const action::Controller& to) {
        if (to.meter != 0)
            add(Named::Kind::meter, to.meter);
    }
    void statement(const action::Bundle& bundle) {
        for (const std::string& port : bundle.ports)
            add(Named::Kind::port, port);
    }
    // learn() makes its table's rules itself; the others name nothing
    template <class Other>
    void statement(const Other&) {}

    std::string_view bridge_;
    std::string_view field_;
    Uses& uses_;
};

std::string_view keep(Uses& uses, std::string text) {
    return *uses.names.emplace_back(std::make_unique<const std::string>(std::move(text)));
}

void port_uses(std::string_view bytes, std::string_view bridge, Uses& uses) {
    control::Port row;
    row.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    uses.provides.push_back({Named::Kind::port, bridge, keep(uses, row.name()), 0});
    if (row.peer().empty())
        return;
    const std::string_view ours = keep(uses, patch_name(row.name(), row.peer()));
    const std::string_view theirs = keep(uses, patch_name(row.peer(), row.name()));
    uses.provides.push_back({Named::Kind::patch, {}, ours, 0});
    uses.mentions.push_back({{Named::Kind::patch, {}, theirs, 0}, false, "peer"});
}

} // namespace

void uses_of(Relation relation, std::string_view bytes, const Meaning* meaning, Uses& uses) {
    uses.provides.clear();
    uses.mentions.clear();
    uses.names.clear();
    const KeyView key = key_view(relation, bytes);
    if (relation == Relation::bridge) {
        uses.provides.push_back({Named::Kind::bridge, {}, key.name == "main" ? "" : key.name, 0});
        return;
    }
    Collector collect{key.bridge, uses};
    if (!key.bridge.empty())
        uses.mentions.push_back({{Named::Kind::bridge, {}, key.bridge, 0}, false, "bridge"});
    switch (relation) {
    case Relation::port:
        port_uses(bytes, key.bridge, uses);
        break;
    case Relation::table:
    case Relation::flow:
        uses.provides.push_back({Named::Kind::table, key.bridge, {}, key.number});
        break;
    case Relation::group:
        uses.provides.push_back({Named::Kind::group, key.bridge, {}, key.number});
        break;
    case Relation::meter:
        uses.provides.push_back({Named::Kind::meter, key.bridge, {}, key.number});
        break;
    case Relation::bridge:
    case Relation::count_:
        break;
    }
    if (meaning == nullptr)
        return;
    collect.match(meaning->match);
    if (meaning->actions)
        collect.actions(*meaning->actions, relation == Relation::table ? "miss" : "actions");
    for (const Actions& actions : meaning->buckets)
        collect.actions(actions, "buckets");
    if (relation == Relation::group) {
        control::Group row;
        row.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        for (const control::Bucket& bucket : row.buckets())
            if (!bucket.watch_port().empty())
                collect.add(Named::Kind::port, keep(uses, bucket.watch_port()));
    }
}

} // namespace weft
