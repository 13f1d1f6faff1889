// Transactions: put together from parts and slices, judged, made one generation.
#include "base/check.hh"
#include "control/client_state.hh"

#include <bit>

namespace weft {

namespace {

constexpr std::size_t meanings_max =
    131'072; // of larger transactions texts are parsed again when they are applied

std::uint64_t fold(std::uint64_t content, std::string_view more) {
    return (std::rotl(content, 17) ^ key_hash(Relation::flow, more)) * 0x9e37'79b9'7f4a'7c15u;
}

Fault fault_of(std::string code, std::string message) {
    return {.code = std::move(code), .message = std::move(message), .path = {}, .op = {}};
}

} // namespace

void Switch::start(const To& to, control::Transaction& transaction) {
    Client& client = to.client;
    const std::string id = transaction.id();
    if (id.size() > name_bytes_max)
        return refuse(
            to,
            id.substr(0, name_bytes_max),
            Error{
                "out_of_range",
                "the id has " + std::to_string(id.size()) + " bytes: at most " +
                    std::to_string(name_bytes_max) + " may be",
            }
        );
    if (client.parts && client.parts->id != id)
        return refuse(
            to,
            id,
            Error{
                "busy",
                "transaction " + quoted(client.parts->id) +
                    " is not finished: its last part has not come",
            }
        );
    if (!client.parts) {
        client.parts = std::make_unique<Parts>();
        Parts& fresh = *client.parts;
        fresh.id = id;
        fresh.strict = transaction.strict();
        fresh.scope = transaction.scope();
        if (transaction.has_replace())
            fresh.replace = transaction.replace();
        fresh.content = fold(fresh.strict ? 1 : 0, fresh.scope);
        if (fresh.replace)
            fresh.content = fold(fresh.content, "r" + fresh.replace->SerializeAsString());
    }
    Parts& parts = *client.parts;
    if (parts.ops.empty())
        parts.ops.reserve(
            std::min(config_.ops_max, static_cast<std::size_t>(transaction.ops_size()))
        );
    if (!transaction.scope().empty())
        parts.scope = transaction.scope();
    parts.part = std::move(transaction);
    parts.at = 0;
    parts.ticket = to.ticket;
    if (static_cast<std::size_t>(parts.part.ops_size()) <= config_.ops_slice) {
        prepare_slice(client);
        return finish(client);
    }
    parts.ticket = ticket_of(to);
    client.preparing = true;
    preparing_.push_back(client.session->peer().number);
}

/// Prepares up to a slice of the part; true when all of it is done.
bool Switch::prepare_slice(Client& client) {
    Parts& parts = *client.parts;
    const int end = static_cast<int>(std::min<std::size_t>(
        static_cast<std::size_t>(parts.part.ops_size()),
        static_cast<std::size_t>(parts.at) + config_.ops_slice
    ));
    for (; parts.at < end; ++parts.at) {
        control::Op& op = *parts.part.mutable_ops(parts.at);
        op.SerializeToString(&scratch_);
        parts.content = fold(parts.content, scratch_);
        const std::uint32_t number = parts.op_count++;
        if (parts.fault)
            continue;
        if (number >= config_.ops_max || parts.bytes > config_.transaction_bytes_max) {
            parts.fault = fault_of(
                "too_large",
                "transaction " + quoted(parts.id) + " has more than " +
                    std::to_string(config_.ops_max) + " ops or " +
                    std::to_string(config_.transaction_bytes_max) + " bytes of rows"
            );
        } else if (auto prepared = prepare(op, number, parts.scope, memo_)) {
            if (const auto& meaning = prepared->row.meaning)
                parts.terms += meaning->match.terms.size();
            if (parts.terms > config_.transaction_terms_max) {
                parts.fault = fault_of(
                    "too_many_terms",
                    "the matches of transaction " + quoted(parts.id) + " have more than " +
                        std::to_string(config_.transaction_terms_max) + " terms together"
                );
                parts.fault->op = number;
            }
            if (number >= meanings_max)
                prepared->row.meaning.reset();
            parts.bytes += sizeof(PreparedOp) + prepared->row.bytes.size();
            parts.ops.push_back(std::move(*prepared));
        } else {
            parts.fault = std::move(prepared.error());
        }
        if (parts.fault)
            std::vector<PreparedOp>{}.swap(parts.ops);
    }
    return parts.at == parts.part.ops_size();
}

/// The part is prepared: the last one is judged, another is acknowledged.
void Switch::finish(Client& client) {
    const To to{client, client.parts->ticket};
    if (client.parts->part.more()) {
        const std::string id = client.parts->id;
        client.parts->part.Clear();
        return done(to, id);
    }
    const std::unique_ptr<Parts> parts = std::move(client.parts);
    judge_and_commit(to, *parts);
}

/// A part that did not decode: the rest of the transaction must not become one of its own.
void Switch::refuse(Session& session, const control::Nak& nak) {
    Client& from = client(session);
    if (from.parts && !from.preparing && from.parts->id == nak.id() && !from.parts->fault) {
        from.parts->fault = fault_of(nak.code(), "a part was refused: " + nak.message());
        std::vector<PreparedOp>{}.swap(from.parts->ops);
    }
    ++refused_;
    control::Reply out;
    *out.mutable_nak() = nak;
    session.send(out);
}

bool Switch::answer_repeat(const To& to, const std::string& id, std::uint64_t content) {
    const AcceptedIds::Accepted* known = id.empty() ? nullptr : ids_of(to.client)->find(id);
    if (known == nullptr)
        return false;
    if (known->content != content) {
        ++refused_;
        refuse(to, id, Error{"id_reused", "id " + quoted(id) + " was accepted with other content"});
        return true;
    }
    control::Reply again = known->reply;
    if (again.has_ack())
        again.mutable_ack()->set_dup(true);
    reply(to, again);
    return true;
}

Judged<TransactionInput> Switch::input_of(Client& client, Parts& parts) {
    TransactionInput input;
    input.owner = owner_of(client);
    input.ops = std::move(parts.ops);
    if (!parts.replace)
        return Judged<TransactionInput>{std::move(input)};
    const control::Replace& asked = *parts.replace;
    ReplaceOf& of = input.replace.emplace();
    of.scope = asked.scope();
    of.relations.fill(asked.relations().empty());
    for (const std::string& relation : asked.relations()) {
        const auto known = relation_from(relation);
        if (!known)
            return tl::unexpected{unknown_relation("replace.relations", relation)};
        of.relations[static_cast<std::size_t>(*known)] = true;
    }
    if (!asked.owner().empty()) {
        // Rows may be given to, and taken from, a client that is not here.
        input.owner = rows_.holdings().owner(asked.owner(), false);
        of.owner = input.owner;
    } else if (asked.scope().empty()) {
        of.owner = input.owner;
    }
    for (PreparedOp& op : input.ops) {
        if (op.scope.empty())
            op.scope = of.scope;
        Fault fault{.code = "bad_value", .message = {}, .path = {}, .op = op.index};
        if (!of.scope.empty() && op.scope != of.scope) {
            fault.path = "scope";
            fault.message =
                "scope " + quoted(op.scope) + " is not the one to replace, " + quoted(of.scope);
            return tl::unexpected{std::move(fault)};
        }
        if (!of.relations[static_cast<std::size_t>(op.row.relation)]) {
            fault.message = "relation " + std::string{name(op.row.relation)} +
                            " is not among the relations to replace";
            return tl::unexpected{std::move(fault)};
        }
    }
    return Judged<TransactionInput>{std::move(input)};
}

void Switch::judge_and_commit(const To& to, Parts& parts) {
    Client& client = to.client;
    if (answer_repeat(to, parts.id, parts.content))
        return;
    const auto refused = [&](Fault fault) {
        ++refused_;
        if (fault.code.starts_with("too_many_"))
            tell_full(fault);
        refuse(to, parts.id, std::move(fault));
    };
    if (parts.fault)
        return refused(std::move(*parts.fault));
    if (parts.replace && !parts.replace->owner().empty() &&
        (parts.replace->owner().size() > name_bytes_max || parts.replace->owner().front() == '#') &&
        !rows_.holdings().find_owner(parts.replace->owner()))
        return refused(fault_of(
            "bad_value", "owner " + quoted(parts.replace->owner()) + " is no name of a client"
        ));
    Judged<TransactionInput> input = input_of(client, parts);
    if (!input)
        return refused(std::move(input.error()));
    Holdings& holdings = rows_.holdings();
    const OwnerId acting = input->owner;
    holdings.pin(acting); // an owner that is named here for the first time holds nothing yet
    Judged<NetChange> net = consolidate(rows_, *input);
    std::optional<Fault> fault;
    RowCount counts;
    if (!net)
        fault = std::move(net.error());
    else
        fault = lowering_.judge(*net, parts.strict);
    if (!fault)
        fault = apply(*net, counts);
    holdings.unpin(acting);
    if (fault)
        return refused(std::move(*fault));

    ++accepted_;
    control::Reply out;
    control::Ack& ack = *out.mutable_ack();
    ack.set_id(parts.id);
    ack.set_generation(tables_.generation());
    ack.set_added(counts.added);
    ack.set_removed(counts.removed);
    ack.set_unchanged(counts.unchanged);
    if (!parts.id.empty())
        ids_of(client)->accept(parts.id, parts.content, out);
    audit(
        client.session->label(), parts.id, counts
    ); // first: whoever has the answer finds the line
    reply(to, out);
}

std::optional<Fault> Switch::apply(NetChange& net, RowCount& counts) {
    counts = {net.added, net.removed, net.unchanged};
    if (net.changes.empty())
        return std::nullopt;
    const Generation generation = tables_.generation() + 1;
    std::vector<Applied> applied;
    if (auto fault = lowering_.apply(net, generation, applied))
        return fault;
    if (!applied.empty())
        publish(applied, generation);
    return std::nullopt;
}

/// Makes what was applied a generation, shows it to the workers, and lets everybody know whom it
/// concerns.
void Switch::publish(const std::vector<Applied>& applied, Generation generation) {
    for (const Applied& change : applied) {
        const Row& row = change.after ? *change.after : *change.before;
        if (change.before && change.before->timed)
            expiry_.forget(*change.before);
        if (row.relation == Relation::port && !change.after)
            macs_.forget_port(lowering_.port_of(row));
        if (row.relation == Relation::bridge) {
            const KeyView key = key_view(row.relation, row.key());
            const control::Bridge settings = lowering_.bridge_row(key.name);
            macs_.set_bridge(
                *tables_.bridge_id(key.name),
                {
                    .learning = !settings.learning_off(),
                    .limit = settings.mac_limit() == 0 ? config_.tables.macs_per_bridge
                                                       : settings.mac_limit(),
                    .age_s = settings.mac_age_s() == 0 ? 300 : settings.mac_age_s(),
                }
            );
        }
        if (change.before && !traces_.empty())
            kept_for_traces_.push_back(change.before);
    }
    const World& world = tables_.commit();
    check(world.generation == generation);
    backend_.publish(world);
    const std::uint64_t now_ms = backend_.now_ms();
    bool ports = false;
    for (const Applied& change : applied) {
        const Row& row = change.after ? *change.after : *change.before;
        if (row.relation == Relation::port) {
            ports_.applied(change, generation);
            ports = true;
        }
        if (change.after && change.after->timed)
            expiry_.watch(change.after, change.idle_timeout_s, change.hard_timeout_s, now_ms);
    }
    if (ports)
        ports_.applied_all();
}

void Switch::audit(std::string_view client, std::string_view id, const RowCount& counts) {
    const Generation generation = tables_.generation();
    log(Severity::info,
        "transaction client=" + quoted(client) + " id=" + quoted(id) +
            " generation=" + std::to_string(generation) + " added=" + std::to_string(counts.added) +
            " removed=" + std::to_string(counts.removed) +
            " unchanged=" + std::to_string(counts.unchanged));
    if (counts.added == 0 && counts.removed == 0)
        return;
    control::Event event;
    control::Committed& commit = *event.mutable_commit();
    commit.set_generation(generation);
    commit.set_client(std::string{client});
    commit.set_id(std::string{id});
    commit.set_added(counts.added);
    commit.set_removed(counts.removed);
    events_.add(Topic::commit, {}, backend_.now_ms(), std::move(event));
}

} // namespace weft
