// Answers that show rows: hello, get, digest, pending.
#include "control/client_state.hh"
#include "control/framing.hh"
#include "control/language/language.hh"
#include "control/rows/language_message.hh"
#include "pipeline/name_wildcards.hh"

#include <algorithm>
#include <charconv>
#include <map>

namespace weft {

namespace {

constexpr std::size_t page_rows_default = 1'000;
constexpr std::size_t page_rows_max = 10'000;
constexpr std::size_t page_bytes_max = std::size_t{4} << 20; // of rows
constexpr std::size_t structured_factor = 16; // as a message a text may be so much longer
constexpr std::size_t pending_rows_max = 10'000;
constexpr std::size_t pending_bytes_max = std::size_t{8} << 20;

constexpr std::array<std::string_view, 24> features = {
    "clone",     "clock",     "compare_and_swap", "digest", "digest_parts",
    "ephemeral", "explain",   "groups",           "lease",  "multi_part",
    "normal",    "packet_in", "packet_out",       "patch",  "replace",
    "scopes",    "strict",    "structured",       "sweep",  "timeouts",
    "trace",     "ttl",       "versions",         "watch",
};

/// The number behind `prefix` in a cursor of runtime rows.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view prefix) {
    std::uint64_t number = 0;
    if (!text.starts_with(prefix))
        return std::nullopt;
    text.remove_prefix(prefix.size());
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{number}
                                                                    : std::nullopt;
}

/// `parts` 0: all rows.
Result<Partition> partition_of(std::uint32_t part, std::uint32_t parts) {
    if (parts == 0 && part == 0)
        return Partition{};
    if (!std::has_single_bit(parts))
        return fail("bad_value", "parts " + std::to_string(parts) + " is no power of two");
    if (part >= parts)
        return fail(
            "out_of_range",
            "part " + std::to_string(part) + " is not one of 0 to " + std::to_string(parts - 1)
        );
    return Partition{part, parts};
}

Error bad_cursor(std::string_view cursor) {
    return {"cursor_expired", "cursor " + quoted(cursor) + " is none of this relation"};
}

} // namespace

void Switch::answer(const To& to, const control::Hello& request) {
    Client& client = to.client;
    const std::string& name = request.client();
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"';
    });
    if (name.size() > name_bytes_max || !printable || name.starts_with('#') || name == "switch")
        return refuse(
            to,
            request.id(),
            Error{
                "bad_value",
                "client " + quoted(name) +
                    " is no name for a client: up to 255 printable bytes without quotes, not "
                    "\"switch\", not beginning with #",
            }
        );
    if (!request.versions().empty() &&
        std::find(request.versions().begin(), request.versions().end(), 1u) ==
            request.versions().end())
        return refuse(to, request.id(), Error{"unsupported", "this switch speaks version 1 only"});
    if (name != client.session->client() || request.owner_epoch() != client.owner_epoch)
        forget_owner(client);
    if (name != client.session->client()) {
        client.session->set_client(name);
        client.ids.reset();
    }
    client.owner_epoch = request.owner_epoch();
    client.grace_ms = request.grace_ms();
    control::Reply out;
    control::Welcome& hello = *out.mutable_hello();
    hello.set_id(request.id());
    hello.set_node(config_.node);
    hello.set_version(config_.version);
    hello.set_protocol(1);
    hello.set_epoch(epoch_);
    hello.set_generation(tables_.generation());
    hello.set_seq(events_.last());
    for (const std::string_view feature : features)
        hello.add_features(std::string{feature});
    auto& limits = *hello.mutable_limits();
    limits["frame_bytes"] = frame_bytes_max;
    limits["ops"] = config_.ops_max;
    limits["rows"] = config_.rows.rows;
    limits["rules"] = config_.tables.rules;
    limits["ports"] = config_.tables.ports;
    limits["groups"] = config_.tables.groups;
    limits["meters"] = config_.tables.meters;
    limits["tables"] = config_.tables.tables;
    limits["bridges"] = config_.tables.bridges;
    limits["macs_per_bridge"] = config_.tables.macs_per_bridge;
    limits["events"] = config_.events.events;
    limits["page_rows"] = page_rows_max;
    limits["terms"] = match_terms_max;
    limits["text_bytes"] = text_bytes_max;
    limits["transaction_terms"] = config_.transaction_terms_max;
    limits["name_bytes"] = name_bytes_max;
    limits["name_wildcards"] = name_wildcards_max; // of one table
    limits["ids"] = AcceptedIds::ids_max;
    ports_.for_each([&](PortId port) { *hello.add_ports() = ports_.status(port); });
    for (control::DigestEntry& entry : digests({}, std::nullopt, {}))
        *hello.add_digests() = std::move(entry);
    reply(to, out);
}

// -- digests

std::vector<control::DigestEntry> Switch::digests(
    const std::string& scope, std::optional<Relation> relation, const Partition& partition
) const {
    std::map<std::pair<std::string_view, Relation>, Holdings::Sum> sums;
    rows_.holdings().for_each([&](HoldingId id, const Holdings::Holding& holding) {
        if (!scope.empty() && scope != holding.scope)
            return;
        for (const Relation of : relations) {
            const Holdings::Rows& rows = holding.rows[static_cast<std::size_t>(of)];
            if (rows.sum.count != 0 && (!relation || *relation == of))
                sums[{holding.scope, of}].add(rows_.sum(id, of, partition));
        }
    });
    // Who asks for one relation gets an entry, also where there is no row.
    if (relation)
        sums.try_emplace({scope, *relation});
    std::vector<control::DigestEntry> entries;
    for (const auto& [key, sum] : sums) {
        control::DigestEntry& entry = entries.emplace_back();
        entry.set_scope(std::string{key.first});
        entry.set_relation(std::string{name(key.second)});
        entry.set_rows(sum.count);
        entry.set_digest(sum.digest);
    }
    return entries;
}

void Switch::answer(const To& to, const control::Digest& request) {
    std::optional<Relation> relation;
    if (!request.relation().empty()) {
        relation = relation_from(request.relation());
        if (!relation)
            return refuse(to, request.id(), unknown_relation("relation", request.relation()));
    }
    const Result<Partition> partition = partition_of(request.part(), request.parts());
    if (!partition)
        return refuse(to, request.id(), partition.error());
    control::Reply out;
    control::Digests& digests_of = *out.mutable_digests();
    digests_of.set_id(request.id());
    digests_of.set_generation(tables_.generation());
    for (control::DigestEntry& entry : digests(request.scope(), relation, *partition))
        *digests_of.add_digests() = std::move(entry);
    reply(to, out);
}

// -- get

namespace {

/// Texts that the switch made itself, as messages.
void structure(std::string& text, control::ActionList& out) {
    to_message(parse_actions(text).value(), out);
    text.clear();
}

void structure(control::Row& row) {
    if (row.has_flow()) {
        control::Flow& flow = *row.mutable_flow();
        to_message(parse_match(flow.match()).value(), *flow.mutable_match_terms());
        flow.clear_match();
        structure(*flow.mutable_actions(), *flow.mutable_action_list());
    } else if (row.has_table() && !row.table().miss().empty()) {
        structure(*row.mutable_table()->mutable_miss(), *row.mutable_table()->mutable_miss_list());
    } else if (row.has_group()) {
        for (control::Bucket& bucket : *row.mutable_group()->mutable_buckets())
            structure(*bucket.mutable_actions(), *bucket.mutable_action_list());
    }
}

} // namespace

control::StoredRow Switch::stored(const Row& row) const {
    constexpr std::uint64_t never_used = ~std::uint64_t{0};
    control::StoredRow out;
    *out.mutable_row() = to_message(row.relation, row.bytes());
    out.set_version(row.version);
    out.set_generation(row.generation);
    if (row.stands()) {
        const Holdings::Holding& holding = rows_.holdings().at(row.holding);
        std::string owners;
        for (const OwnerId owner : holding.owners)
            owners += (owners.empty() ? "" : ",") + std::string{rows_.holdings().name(owner)};
        out.set_owner(std::move(owners));
        out.set_scope(holding.scope);
    }
    if (row.rule == nullptr)
        return out;
    const RowCounters counters = tables_.counters(*row.rule);
    out.set_packets(counters.packets);
    out.set_bytes(counters.bytes);
    const std::uint64_t now_ms = backend_.now_ms();
    out.set_used_ms(
        counters.packets == 0 ? never_used : now_ms - std::min(now_ms, counters.used_ms)
    );
    return out;
}

void Switch::answer(const To& to, const control::Get& request) {
    const std::size_t max = request.limit() == 0
                                ? page_rows_default
                                : std::min<std::size_t>(request.limit(), page_rows_max);
    control::Reply out;
    control::Rows& rows = *out.mutable_rows();
    rows.set_id(request.id());
    rows.set_generation(tables_.generation());
    if (request.relation() == "port_status" || request.relation() == "learned_mac") {
        const auto got = request.relation() == "port_status" ? get_ports(request, max, rows)
                                                             : get_macs(request, max, rows);
        return got ? reply(to, out) : refuse(to, request.id(), got.error());
    }
    const auto relation = relation_from(request.relation());
    if (!relation)
        return refuse(
            to,
            request.id(),
            Error{
                "unknown_relation",
                "relation " + quoted(request.relation()) +
                    " does not exist: rows are in bridge, port, table, flow, group, meter, and "
                    "those of the switch itself in port_status and learned_mac",
            }
        );
    const std::uint64_t now_ms = backend_.now_ms();
    const PageLimits limits{
        .rows = max,
        .bytes = request.structured() ? page_bytes_max / structured_factor : page_bytes_max,
    };
    RowPage page;
    if (request.cursor().empty()) {
        RowFilter filter;
        filter.relation = *relation;
        filter.bridge = request.bridge();
        if (request.has_table())
            filter.number = request.table();
        filter.name = request.name();
        filter.owner = request.owner();
        filter.scope = request.scope();
        const Result<Partition> partition = partition_of(request.part(), request.parts());
        if (!partition)
            return refuse(to, request.id(), partition.error());
        filter.partition = *partition;
        page = rows_.first_page(filter, limits, tables_.generation(), now_ms);
    } else {
        auto next = rows_.next_page(request.cursor(), limits, now_ms);
        if (!next)
            return refuse(to, request.id(), next.error());
        page = std::move(*next);
    }
    rows.set_generation(page.generation);
    rows.set_cursor(page.cursor);
    for (const RowPtr& row : page.rows) {
        control::StoredRow& made = *rows.add_rows();
        made = stored(*row);
        if (request.structured())
            structure(*made.mutable_row());
    }
    reply(to, out);
}

/// Runtime rows are as they are when their page is asked for; a cursor says where the last page
/// ended.
Result<void>
Switch::get_ports(const control::Get& request, std::size_t max, control::Rows& rows) const {
    PortId after = PortId::none;
    if (!request.cursor().empty()) {
        const auto at = number_after(request.cursor(), "port_status:");
        if (!at)
            return tl::unexpected{bad_cursor(request.cursor())};
        after = PortId{static_cast<std::uint32_t>(*at)};
    }
    const std::vector<PortId> ids = ports_.after(after, max);
    for (const PortId id : ids) {
        control::PortStatus status = ports_.status(id);
        if ((request.bridge().empty() || request.bridge() == status.bridge()) &&
            (request.name().empty() || request.name() == status.name()))
            *rows.add_rows()->mutable_row()->mutable_port_status() = std::move(status);
    }
    if (ids.size() == max)
        rows.set_cursor("port_status:" + std::to_string(index(ids.back())));
    return Result<void>::Base{};
}

Result<void>
Switch::get_macs(const control::Get& request, std::size_t max, control::Rows& rows) const {
    std::optional<Macs::Key> after;
    if (!request.cursor().empty()) {
        // bridge and VLAN in one number, the address in another
        const std::size_t slash = request.cursor().find('/');
        const std::string_view text = request.cursor();
        const auto place = number_after(text.substr(0, slash), "learned_mac:");
        const auto mac =
            slash == std::string::npos ? std::nullopt : number_after(text.substr(slash + 1), "");
        if (!place || !mac)
            return tl::unexpected{bad_cursor(request.cursor())};
        after = Macs::Key{
            static_cast<BridgeId>(*place >> 16), static_cast<std::uint16_t>(*place), *mac};
    }
    const std::uint64_t now_ms = backend_.now_ms();
    const std::vector<Macs::Key> keys = macs_.after(after, max);
    for (const Macs::Key& key : keys) {
        control::LearnedMac row = macs_.row(key, now_ms);
        if ((request.bridge().empty() || request.bridge() == row.bridge()) &&
            (request.name().empty() || request.name() == row.port()))
            *rows.add_rows()->mutable_row()->mutable_learned_mac() = std::move(row);
    }
    if (keys.size() == max) {
        const Macs::Key& last = keys.back();
        rows.set_cursor(
            "learned_mac:" + std::to_string(index(last.bridge) << 16 | last.vlan) + "/" +
            std::to_string(last.mac)
        );
    }
    return Result<void>::Base{};
}

// -- pending

void Switch::answer(const To& to, const control::Pending& request) {
    control::Reply out;
    control::PendingRows& pending = *out.mutable_pending();
    pending.set_id(request.id());
    std::size_t bytes = 0;
    references_.for_each_missing([&](const Entity& entity) {
        for (const Reference* r = entity.first; r != nullptr; r = r->next) {
            bytes += r->row->size;
            if (static_cast<std::size_t>(pending.rows_size()) >= pending_rows_max ||
                bytes > pending_bytes_max)
                return;
            control::PendingRow& row = *pending.add_rows();
            *row.mutable_row() = to_message(r->row->relation, r->row->bytes());
            row.set_missing(entity.named().text());
        }
    });
    reply(to, out);
}

} // namespace weft
