// Transactions: put together from parts and slices, judged, made one generation.
#include "base/check.hh"
#include "control/client_state.hh"

#include <bit>

namespace weft {

namespace {

constexpr std::size_t meanings_max =
    131'072; // of larger transactions texts are parsed again when they are applied

std::uint64_t fold(std::uint64_t content, std::uint64_t more) {
    return (std::rotl(content, 17) ^ more) * 0x9e37'79b9'7f4a'7c15u;
}
std::uint64_t fold(std::uint64_t content, std::string_view more) {
    return fold(content, row_hash(more));
}
/// What the op asks for, in whatever words.
std::uint64_t content_of(const PreparedOp& op) {
    const std::array<std::uint64_t, 6> rest = {
        static_cast<std::uint64_t>(op.verb) << 8 | static_cast<std::uint64_t>(op.row.relation),
        static_cast<std::uint64_t>(op.weight),
        op.version,
        op.if_version.value_or(0),
        std::uint64_t{op.ttl_ms} << 2 | std::uint64_t{op.if_version.has_value()} << 1 |
            std::uint64_t{op.if_absent},
        op.scope.empty() ? 0 : row_hash(op.scope),
    };
    return row_hash(
        {reinterpret_cast<const char*>(rest.data()), sizeof rest}, row_hash(op.row.bytes)
    );
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
        if (transaction.has_sweep())
            fresh.sweep = transaction.sweep();
        fresh.fence = transaction.fence();
        fresh.ephemeral = transaction.ephemeral();
        fresh.content = fold((fresh.strict ? 1u : 0u) + (fresh.ephemeral ? 2u : 0u), fresh.scope);
        if (fresh.sweep)
            fresh.content = fold(fresh.content, "s" + fresh.sweep->SerializeAsString());
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
    parts.part = &transaction;
    parts.at = 0;
    parts.ticket = to.ticket;
    if (static_cast<std::size_t>(transaction.ops_size()) <= config_.ops_slice) {
        prepare_slice(client);
        return finish(client);
    }
    parts.kept_part = std::move(transaction);
    parts.part = &parts.kept_part;
    parts.ticket = ticket_of(to);
    client.preparing = true;
    preparing_.push_back(client.session->peer().number);
}

/// Prepares up to a slice of the part; true when all of it is done.
bool Switch::prepare_slice(Client& client) {
    Parts& parts = *client.parts;
    const int end = static_cast<int>(std::min<std::size_t>(
        static_cast<std::size_t>(parts.part->ops_size()),
        static_cast<std::size_t>(parts.at) + config_.ops_slice
    ));
    constexpr int ahead = 8; // the index of a million rows is in no cache
    std::array<std::optional<CanonicalRow>, ahead> written;
    const auto read_ahead = [&](int at) {
        if (at >= end)
            return;
        std::optional<CanonicalRow>& row = written[static_cast<std::size_t>(at % ahead)];
        row = written_row(parts.part->ops(at));
        if (row)
            rows_.prefetch(row->relation, row->hash);
    };
    for (int at = parts.at; at < parts.at + ahead; ++at)
        read_ahead(at);
    for (; parts.at < end; ++parts.at) {
        auto now = std::exchange(written[static_cast<std::size_t>(parts.at % ahead)], {});
        read_ahead(parts.at + ahead);
        control::Op& op = *parts.part->mutable_ops(parts.at);
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
        } else if (auto prepared = prepare(op, number, parts.scope, memo_, std::move(now), rows_)) {
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
            parts.content = fold(parts.content, content_of(*prepared));
            parts.bytes += sizeof(PreparedOp) + prepared->row.bytes.size();
            parts.ops.push_back(std::move(*prepared));
        } else {
            parts.fault = std::move(prepared.error());
        }
        if (parts.fault) {
            parts.content = fold(parts.content, 1); // none that was accepted has a fault
            std::vector<PreparedOp>{}.swap(parts.ops);
        }
    }
    return parts.at == parts.part->ops_size();
}

/// The part is prepared: the last one is judged, another is acknowledged.
void Switch::finish(Client& client) {
    const To to{client, client.parts->ticket};
    if (client.parts->part->more()) {
        const std::string id = client.parts->id;
        client.parts->part = nullptr;
        client.parts->kept_part.Clear();
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

namespace {

/// Which relations a replace or a sweep is for: those named, or all.
std::optional<Fault> take_relations(
    const google::protobuf::RepeatedPtrField<std::string>& names,
    const std::string& path,
    std::array<bool, relation_count>& out
) {
    out.fill(names.empty());
    for (const std::string& relation : names) {
        const auto known = relation_from(relation);
        if (!known)
            return unknown_relation(path + ".relations", relation);
        out[static_cast<std::size_t>(*known)] = true;
    }
    return std::nullopt;
}

} // namespace

Judged<TransactionInput> Switch::input_of(Client& client, Parts& parts) {
    TransactionInput input;
    input.owner = owner_of(client, parts.ephemeral);
    input.ops = std::move(parts.ops);
    if (parts.sweep) {
        SweepOf& sweep = input.sweep.emplace();
        sweep.owner = parts.sweep->owner().empty() ? client.session->label() : parts.sweep->owner();
        sweep.epoch = parts.sweep->epoch() == 0 ? client.owner_epoch : parts.sweep->epoch();
        sweep.scope = parts.sweep->scope();
        if (auto fault = take_relations(parts.sweep->relations(), "sweep", sweep.relations))
            return tl::unexpected{std::move(*fault)};
    }
    if (!parts.replace)
        return Judged<TransactionInput>{std::move(input)};
    const control::Replace& asked = *parts.replace;
    ReplaceOf& of = input.replace.emplace();
    of.scope = asked.scope();
    if (auto fault = take_relations(asked.relations(), "replace", of.relations))
        return tl::unexpected{std::move(*fault)};
    if (!asked.owner().empty() && asked.owner() != client.session->label()) {
        // Rows may be given to, and taken from, a client that is not here.
        input.owner = rows_.holdings().owner(asked.owner(), false);
        of.owner = input.owner;
    } else if (asked.scope().empty() || !asked.owner().empty()) {
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
        !rows_.holdings().knows(parts.replace->owner()))
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
    else if (!(fault = judge_leases(parts, *net, client)))
        fault = lowering_.judge(*net, parts.strict);
    if (!fault)
        fault = apply(*net, counts);
    holdings.unpin(acting);
    if (fault)
        return refused(std::move(*fault));

    ++accepted_;
    if (parts.ephemeral)
        ephemeral_owners_.insert(std::string{holdings.name(acting)});
    control::Reply out;
    control::Ack& ack = *out.mutable_ack();
    ack.set_id(parts.id);
    ack.set_generation(tables_.generation());
    ack.set_added(counts.added);
    ack.set_removed(counts.removed);
    ack.set_unchanged(counts.unchanged);
    if (!parts.id.empty())
        ids_of(client)->accept(parts.id, parts.content, out);
    reply(to, out);
    audit(client.session->label(), parts.id, counts);
}

std::optional<Fault> Switch::apply(NetChange& net, RowCount& counts) {
    counts = {net.added, net.removed, net.unchanged};
    const Generation generation = tables_.generation() + 1;
    std::vector<Applied> applied;
    if (!net.changes.empty())
        if (auto fault = lowering_.apply(net, generation, applied))
            return fault;
    if (!applied.empty())
        publish(applied, generation);
    for (const PreparedOp* op : net.graves)
        rows_.set_tombstone(op->row.relation, op->row.key(), op->version);
    for (const PreparedOp* op : net.asserted)
        if (op->ttl_ms != 0)
            live_until(op->row, backend_.now_ms() + op->ttl_ms);
    return std::nullopt;
}

/// The row that stands under that key has so long to live.
void Switch::live_until(const CanonicalRow& of, std::uint64_t end_ms) {
    Row& row = *rows_.find(of.relation, of.key(), of.hash);
    row.mortal = true;
    mortal_.insert_or_assign(&row, RowPtr{&row});
    row_ends_.set(&row, end_ms);
}

/// While a scope is leased only its holder changes it. Clients inside the process, the
/// configuration among them, are the operator himself.
std::optional<Fault>
Switch::judge_leases(const Parts& parts, const NetChange& net, const Client& client) const {
    constexpr std::uint64_t sessions_inside = 16;
    if (leases_.none() && parts.fence == 0)
        return std::nullopt;
    if (client.session->peer().number < sessions_inside)
        return std::nullopt;
    std::set<std::string_view> scopes;
    for (const PreparedOp* op : net.asserted)
        scopes.insert(op->scope);
    for (const RowChange& change : net.changes)
        if (change.before != nullptr)
            scopes.insert(rows_.holdings().at(change.before->holding).scope);
    if (scopes.empty())
        scopes.insert(parts.scope);
    for (const std::string_view scope : scopes)
        if (auto error = leases_.refusal(scope, parts.fence, backend_.now_ms()))
            return fault_of(std::move(error->code), std::move(error->what));
    return std::nullopt;
}

/// Makes what was applied a generation, shows it to the workers, and lets everybody know whom it
/// concerns.
void Switch::publish(const std::vector<Applied>& applied, Generation generation) {
    for (const Applied& change : applied) {
        const Row& row = change.after ? *change.after : *change.before;
        if (change.before && change.before->timed)
            expiry_.forget(*change.before);
        if (change.before && change.before->mortal) {
            row_ends_.erase(change.before.get());
            mortal_.erase(change.before.get());
        }
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

/// A line costs as much as the rest of a small commit: it is written when that is answered.
void Switch::write_audit_lines() {
    for (const AuditLine& line : audit_lines_)
        log(Severity::info,
            "transaction client=" + quoted(line.client) + " id=" + quoted(line.id) +
                " generation=" + std::to_string(line.generation) +
                " added=" + std::to_string(line.counts.added) +
                " removed=" + std::to_string(line.counts.removed) +
                " unchanged=" + std::to_string(line.counts.unchanged));
    audit_lines_.clear();
}

void Switch::audit(std::string_view client, std::string_view id, const RowCount& counts) {
    const Generation generation = tables_.generation();
    audit_lines_.push_back({std::string{client}, std::string{id}, generation, counts});
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
