#include "control/rows/canonical.hh"

#include "base/check.hh"
#include "control/framing.hh"
#include "control/language/language.hh"
#include "control/rows/language_message.hh"
#include "control/rows/store.hh"

#include <algorithm>
#include <array>
#include <span>

namespace weft {

namespace {

constexpr std::size_t buckets_max = 1'024;
constexpr std::size_t bands_max = 16;
constexpr std::uint32_t vlan_tags = 4'096;

const auto match_parser = [](std::string_view text) { return parse_match(text); };
const auto actions_parser = [](std::string_view text) { return parse_actions(text); };

/// The first thing that is wrong with a row; the checks after it do nothing.
class Checker {
public:
    Checker(std::string_view relation, ActionsMemo& memo) : relation_{relation}, memo_{memo} {}

    bool failed() const noexcept { return fault_.has_value(); }
    Fault fault() { return std::move(*fault_); }

    void fail(std::string_view field, std::string code, std::string message) {
        if (!fault_)
            fault_ = Fault{
                .code = std::move(code),
                .message = std::move(message),
                .path = std::string{relation_} + "." + std::string{field},
                .op = {},
            };
    }
    void bad(std::string_view field, std::string message) {
        fail(field, "bad_value", std::move(message));
    }
    /// Names end up in texts between quotes, in logs and on screens.
    void word(std::string_view field, std::string_view value, bool may_be_empty) {
        const bool printable = std::all_of(value.begin(), value.end(), [](char c) {
            return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"' && c != '\\';
        });
        if (value.empty() && !may_be_empty)
            bad(field, std::string{field} + " is empty: a " + std::string{relation_} + " needs it");
        else if (value.size() > name_bytes_max)
            bad(field,
                std::string{field} + " has " + std::to_string(value.size()) + " bytes: at most " +
                    std::to_string(name_bytes_max) + " may be");
        else if (!printable || !is_utf8(value))
            bad(field,
                std::string{field} + " " + quoted(value) +
                    " has a quote, a backslash or an unprintable character");
    }
    void at_most(std::string_view field, std::uint64_t value, std::uint64_t max) {
        if (value > max)
            bad(field,
                std::string{field} + " " + std::to_string(value) + " is above " +
                    std::to_string(max));
    }
    void one_of(
        std::string_view field, std::string_view value, std::span<const std::string_view> words
    ) {
        if (std::find(words.begin(), words.end(), value) != words.end())
            return;
        std::string all;
        for (const std::string_view word : words)
            if (!word.empty())
                all += (all.empty() ? "\"" : ", \"") + std::string{word} + "\"";
        bad(field,
            std::string{field} + " " + quoted(value) + " does not exist: it must be one of " + all);
    }
    /// Brings a text of the language into canonical form.
    template <class Parse>
    auto text(std::string_view field, std::string& value, Parse&& parse) {
        using Parsed = std::remove_cvref_t<decltype(*parse(value))>;
        if (failed())
            return Parsed{};
        if (value.size() > text_bytes_max) {
            bad(field,
                std::string{field} + " has " + std::to_string(value.size()) + " bytes: at most " +
                    std::to_string(text_bytes_max) + " may be");
            return Parsed{};
        }
        auto parsed = parse(value);
        if (!parsed) {
            fail(field, std::move(parsed.error().code), std::move(parsed.error().what));
            return Parsed{};
        }
        if constexpr (std::is_same_v<Parsed, Match>)
            print(*parsed, value); // what it is made of keeps no part of the text
        else
            value = print(*parsed);
        return std::move(*parsed);
    }

    /// What came as a message instead: its text takes its place.
    template <class Structure, class Message, class Read>
    Structure message(
        std::string_view field,
        const Message& message,
        std::string_view text_field,
        std::string& text,
        Read&& read
    ) {
        if (failed())
            return {};
        if (!text.empty()) {
            fail(
                field,
                "duplicate_field",
                std::string{field} + " stands beside " + std::string{text_field} + ": give one"
            );
            return {};
        }
        auto made = read(message, std::string{relation_} + "." + std::string{field});
        if (!made) {
            fault_ = std::move(made.error());
            return {};
        }
        text = print(*made);
        if (text.size() > text_bytes_max)
            bad(field,
                std::string{field} + " has " + std::to_string(text.size()) +
                    " bytes as text: at most " + std::to_string(text_bytes_max) + " may be");
        return std::move(*made);
    }
    Actions action_list(
        std::string_view field,
        const control::ActionList& list,
        std::string_view text_field,
        std::string& text
    ) {
        return message<Actions>(field, list, text_field, text, actions_from);
    }

    std::shared_ptr<const Actions> actions(std::string_view field, std::string& value) {
        if (value.size() > ActionsMemo::text_bytes_max)
            return std::make_shared<const Actions>(text(field, value, actions_parser));
        ActionsMemo::Entry& known = memo_.at(value);
        if (known.actions == nullptr || known.text != value) {
            std::string came = value;
            Actions parsed = text(field, value, actions_parser);
            if (failed())
                return nullptr;
            known = {std::move(came), value, std::make_shared<const Actions>(std::move(parsed))};
        }
        value = known.canonical;
        return known.actions;
    }

private:
    std::string_view relation_;
    ActionsMemo& memo_;
    std::optional<Fault> fault_;
};

template <class Message>
void strip_main(Message& row, Checker& check) {
    check.word("bridge", row.bridge(), true);
    if (row.bridge() == "main")
        row.clear_bridge();
}

void canonical_key(control::Bridge& row, Checker& check, Meaning&) {
    check.word("name", row.name(), false);
}
void canonical_key(control::Port& row, Checker& check, Meaning&) {
    strip_main(row, check);
    check.word("name", row.name(), false);
}
void canonical_key(control::Table& row, Checker& check, Meaning&) {
    strip_main(row, check);
}
void canonical_key(control::Flow& row, Checker& check, Meaning& meaning) {
    strip_main(row, check);
    if (row.has_match_terms()) {
        meaning.match = check.message<Match>(
            "match_terms", row.match_terms(), "match", *row.mutable_match(), match_from
        );
        row.clear_match_terms();
    } else {
        meaning.match = check.text("match", *row.mutable_match(), match_parser);
    }
}
void canonical_key(control::Group& row, Checker& check, Meaning&) {
    strip_main(row, check);
}
void canonical_key(control::Meter& row, Checker& check, Meaning&) {
    strip_main(row, check);
}

void canonical_value(control::Bridge& row, Checker& check, Meaning&) {
    constexpr std::array<std::string_view, 4> modes = {"", "drop", "pass", "punt"};
    check.one_of("reserved_multicast", row.reserved_multicast(), modes);
    if (row.reserved_multicast() == "drop")
        row.clear_reserved_multicast();
    if (row.mac_limit() == 8'192)
        row.clear_mac_limit();
    if (row.mac_age_s() == 300)
        row.clear_mac_age_s();
}

void check_vlans(control::Port& row, Checker& check) {
    constexpr std::array<std::string_view, 5> modes = {
        "", "access", "trunk", "native_tagged", "native_untagged"};
    check.one_of("vlan_mode", row.vlan_mode(), modes);
    const bool tagged = !row.vlan_mode().empty() && row.vlan_mode() != "trunk";
    check.at_most("vlan_tag", row.vlan_tag(), vlan_tags - 1);
    if (row.vlan_tag() != 0 && !tagged)
        check.bad(
            "vlan_tag",
            "vlan_tag " + std::to_string(row.vlan_tag()) + " means nothing with vlan_mode " +
                quoted(row.vlan_mode())
        );
    if (row.vlan_trunks_size() != 0 && (row.vlan_mode().empty() || row.vlan_mode() == "access"))
        check.bad(
            "vlan_trunks", "vlan_trunks mean nothing with vlan_mode " + quoted(row.vlan_mode())
        );
    auto& trunks = *row.mutable_vlan_trunks();
    for (const std::uint32_t trunk : trunks)
        check.at_most("vlan_trunks", trunk, vlan_tags - 1);
    std::sort(trunks.begin(), trunks.end());
    trunks.erase(std::unique(trunks.begin(), trunks.end()), trunks.end());
}

void canonical_value(control::Port& row, Checker& check, Meaning&) {
    if (row.devargs().empty() == row.peer().empty())
        check.bad(
            "devargs",
            "port " + quoted(row.name()) +
                (row.peer().empty() ? " has neither devargs nor peer: it needs one of them"
                                    : " has both devargs and peer: it may have one of them")
        );
    check.word("peer", row.peer(), true);
    if (!is_utf8(row.devargs()) || row.devargs().size() > 4'096 ||
        row.devargs().find_first_of(std::string_view{"\n\r\0", 3}) != std::string::npos)
        check.bad(
            "devargs", "devargs " + quoted(row.devargs()) + " are no line of at most 4096 bytes"
        );
    check.at_most("queues", row.queues(), 1'024);
    if (row.queues() == 1)
        row.clear_queues();
    if (row.mtu() == 1'500)
        row.clear_mtu();
    if (row.mtu() != 0 && (row.mtu() < 68 || row.mtu() > 65'535))
        check.bad("mtu", "mtu " + std::to_string(row.mtu()) + " is not between 68 and 65535");
    check.at_most("buffers", row.buffers(), 16'777'216);
    check_vlans(row, check);
    check.word("iface_id", row.iface_id(), true);
    check.word("tag", row.tag(), true);
}

void canonical_value(control::Table& row, Checker& check, Meaning& meaning) {
    check.word("name", row.name(), true);
    if (row.has_miss_list()) {
        Actions miss = check.action_list("miss_list", row.miss_list(), "miss", *row.mutable_miss());
        if (!miss.empty())
            meaning.actions = std::make_shared<const Actions>(std::move(miss));
        row.clear_miss_list();
    } else if (!row.miss().empty()) {
        meaning.actions = check.actions("miss", *row.mutable_miss());
    }
}

void canonical_value(control::Flow& row, Checker& check, Meaning& meaning) {
    if (row.has_action_list()) {
        meaning.actions = std::make_shared<const Actions>(
            check.action_list("action_list", row.action_list(), "actions", *row.mutable_actions())
        );
        row.clear_action_list();
    } else {
        meaning.actions = check.actions("actions", *row.mutable_actions());
    }
    meaning.cookie = row.cookie();
    meaning.idle_timeout_s = row.idle_timeout_s();
    meaning.hard_timeout_s = row.hard_timeout_s();
}

void canonical_value(control::Group& row, Checker& check, Meaning& meaning) {
    constexpr std::array<std::string_view, 4> types = {
        "all", "select", "indirect", "fast_failover"};
    check.one_of("type", row.type(), types);
    check.at_most("buckets", static_cast<std::uint64_t>(row.buckets_size()), buckets_max);
    if (row.type() == "indirect" && row.buckets_size() != 1)
        check.bad(
            "buckets",
            "an indirect group has exactly one bucket, this one " +
                std::to_string(row.buckets_size())
        );
    for (int i = 0; i < row.buckets_size() && !check.failed(); ++i) {
        control::Bucket& bucket = *row.mutable_buckets(i);
        const std::string path = "buckets[" + std::to_string(i) + "].";
        if (row.type() != "select" && bucket.weight() == 0)
            bucket.set_weight(1);
        std::string& actions = *bucket.mutable_actions();
        meaning.buckets.push_back(
            bucket.has_action_list()
                ? check.action_list(path + "action_list", bucket.action_list(), "actions", actions)
                : check.text(path + "actions", actions, actions_parser)
        );
        bucket.clear_action_list();
        check.word(path + "watch_port", bucket.watch_port(), true);
    }
    auto& fields = *row.mutable_hash_fields();
    if (fields.size() != 0 && row.type() != "select")
        check.bad(
            "hash_fields", "hash_fields mean nothing in a group of type " + quoted(row.type())
        );
    for (const std::string& field : fields)
        if (!field_from(field))
            check.bad("hash_fields", "field " + quoted(field) + " does not exist");
        else if (is_name(*field_from(field)))
            check.bad("hash_fields", field + " is a name: only matches can use it");
    std::sort(fields.begin(), fields.end());
    fields.erase(std::unique(fields.begin(), fields.end()), fields.end());
}

void canonical_value(control::Meter& row, Checker& check, Meaning&) {
    constexpr std::array<std::string_view, 2> units = {"pktps", "kbps"};
    check.one_of("unit", row.unit(), units);
    if (row.bands_size() == 0 || static_cast<std::size_t>(row.bands_size()) > bands_max)
        check.bad(
            "bands",
            "a meter has 1 to " + std::to_string(bands_max) + " bands, this one " +
                std::to_string(row.bands_size())
        );
    for (const control::Band& band : row.bands())
        if (band.rate() == 0)
            check.bad("bands", "rate 0: a band needs a rate above 0");
}

bool has_texts(Relation relation) noexcept {
    return relation == Relation::flow || relation == Relation::table || relation == Relation::group;
}

/// The message as Protocol Buffers write it, whole or up to its key. Returns where the key ends.
template <class Message>
std::size_t write(const Message& row, Relation relation, bool key_only, std::string& bytes) {
    bytes = row.SerializeAsString();
    const std::size_t key_size = key_bytes(relation, bytes);
    if (key_only)
        bytes.resize(key_size);
    return key_size;
}

/// Of flows there are millions, so theirs are written by hand.
class FlowWriter {
public:
    explicit FlowWriter(std::string& bytes) : bytes_{bytes} { bytes_.clear(); }

    void text(std::uint32_t field, std::string_view text) {
        if (text.empty())
            return;
        put_varint(bytes_, field << 3 | 2);
        put_varint(bytes_, text.size());
        bytes_ += text;
    }
    void number(std::uint32_t field, std::uint64_t number) {
        if (number == 0)
            return;
        put_varint(bytes_, field << 3);
        put_varint(bytes_, number);
    }

private:
    std::string& bytes_;
};

std::size_t write(const control::Flow& row, Relation, bool key_only, std::string& bytes) {
    constexpr std::size_t rest = 48; // tags, sizes and numbers, mostly less
    FlowWriter to{bytes};
    bytes.reserve(row.bridge().size() + row.match().size() + row.actions().size() + rest);
    to.text(control::Flow::kBridgeFieldNumber, row.bridge());
    to.number(control::Flow::kTableFieldNumber, row.table());
    to.number(control::Flow::kPriorityFieldNumber, row.priority());
    to.text(control::Flow::kMatchFieldNumber, row.match());
    const std::size_t key_size = bytes.size();
    if (key_only)
        return key_size;
    to.text(control::Flow::kActionsFieldNumber, row.actions());
    to.number(control::Flow::kCookieFieldNumber, row.cookie());
    to.number(control::Flow::kIdleTimeoutSFieldNumber, row.idle_timeout_s());
    to.number(control::Flow::kHardTimeoutSFieldNumber, row.hard_timeout_s());
    return key_size;
}

template <class Message>
Judged<CanonicalRow>
canonical_message(Message& row, Relation relation, bool key_only, ActionsMemo& memo) {
    Checker check{name(relation), memo};
    auto meaning = std::make_unique<Meaning>();
    canonical_key(row, check, *meaning);
    if (!key_only && !check.failed())
        canonical_value(row, check, *meaning);
    if (check.failed())
        return tl::unexpected{check.fault()};
    CanonicalRow made;
    made.relation = relation;
    made.key_size = write(row, relation, key_only, made.bytes);
    made.hash = key_hash(made.key());
    if (!key_only && has_texts(relation))
        made.meaning = std::move(meaning);
    return made;
}

} // namespace

std::optional<CanonicalRow> written_row(const control::Op& op) {
    if (op.verb().empty() && op.weight() >= 0)
        return std::nullopt;
    if (!op.has_flow() || op.flow().has_match_terms() || op.flow().has_action_list())
        return std::nullopt;
    CanonicalRow made;
    made.relation = Relation::flow;
    made.key_size = write(op.flow(), Relation::flow, op.verb() == "delete", made.bytes);
    made.hash = key_hash(made.key());
    return made;
}

bool stands(const CanonicalRow& written, bool key_only, const RowStore& rows) noexcept {
    const Row* row = rows.find(written.relation, written.key(), written.hash);
    return row != nullptr && (key_only || row->bytes() == written.bytes);
}

Judged<CanonicalRow> canonical_row(control::Op& op, bool key_only, ActionsMemo& memo) {
    switch (op.row_case()) {
    case control::Op::kBridge:
        return canonical_message(*op.mutable_bridge(), Relation::bridge, key_only, memo);
    case control::Op::kPort:
        return canonical_message(*op.mutable_port(), Relation::port, key_only, memo);
    case control::Op::kTable:
        return canonical_message(*op.mutable_table(), Relation::table, key_only, memo);
    case control::Op::kFlow:
        return canonical_message(*op.mutable_flow(), Relation::flow, key_only, memo);
    case control::Op::kGroup:
        return canonical_message(*op.mutable_group(), Relation::group, key_only, memo);
    case control::Op::kMeter:
        return canonical_message(*op.mutable_meter(), Relation::meter, key_only, memo);
    case control::Op::ROW_NOT_SET:
        break;
    }
    return tl::unexpected{
        Fault{.code = "unknown_relation", .message = "the op has no row", .path = {}, .op = {}}};
}

std::unique_ptr<Meaning> meaning_of(Relation relation, std::string_view bytes) {
    if (!has_texts(relation))
        return nullptr;
    auto meaning = std::make_unique<Meaning>();
    const auto actions_of = [](std::string_view text) {
        auto parsed = parse_actions(text);
        check(parsed.has_value());
        return std::move(*parsed);
    };
    const control::Row row = to_message(relation, bytes);
    if (relation == Relation::flow) {
        auto parsed = parse_match(row.flow().match());
        check(parsed.has_value());
        meaning->match = std::move(*parsed);
        meaning->actions = std::make_shared<const Actions>(actions_of(row.flow().actions()));
        meaning->cookie = row.flow().cookie();
        meaning->idle_timeout_s = row.flow().idle_timeout_s();
        meaning->hard_timeout_s = row.flow().hard_timeout_s();
    } else if (relation == Relation::table) {
        if (!row.table().miss().empty())
            meaning->actions = std::make_shared<const Actions>(actions_of(row.table().miss()));
    } else {
        for (const control::Bucket& bucket : row.group().buckets())
            meaning->buckets.push_back(actions_of(bucket.actions()));
    }
    return meaning;
}

} // namespace weft
