// Trace: a packet's story in words.
#include "control/client_state.hh"
#include "control/described_packet.hh"
#include "control/field_text.hh"
#include "control/language/language.hh"
#include "control/language/values.hh"
#include "pipeline/program.hh"
#include "pipeline/rule.hh"
#include "pipeline/story.hh"

#include <bit>
#include <map>

namespace weft {

namespace {

/// The field that bits [shift, shift + bits) of a word of the key belong to, as a slice of it.
std::optional<FieldSlice> slice_at(unsigned word, unsigned shift, unsigned bits) {
    for (const FieldInfo& field : all_fields()) {
        if (field.is_view() || field.id == FieldId::shape)
            continue;
        unsigned lsb = shift - field.shift; // wraps where the field begins above
        if (field.is_wide()) {
            if (word != field.word && word != field.word + 1u)
                continue;
            lsb = shift + (word == field.word ? 64 : 0);
        } else if (word != field.word || shift < field.shift) {
            continue;
        }
        if (lsb + bits <= field.bits)
            return FieldSlice{
                field.id, static_cast<std::uint8_t>(lsb), static_cast<std::uint8_t>(bits)};
    }
    return std::nullopt;
}

std::string slice_text(std::optional<FieldSlice> slice) {
    return slice ? print(*slice) : std::string{"(bits)"};
}

std::string quoted_name(std::string_view name) {
    std::string out;
    language::append_quoted(out, name);
    return out;
}

class Teller {
public:
    Teller(const Tables& tables, const RowStore& rows, control::TraceStory& out)
        : tables_{tables},
          rows_{rows},
          out_{out} {}

    void tell(const StoryStep& step) {
        using What = StoryStep::What;
        switch (step.what) {
        case What::parsed:
            if (step.reason != Drop::none)
                drop(step);
            break;
        case What::lookup:
            lookup(step);
            break;
        case What::miss:
            miss(step);
            break;
        case What::action:
            action(step);
            break;
        case What::group:
            group(step);
            break;
        case What::bucket:
            bucket(step);
            break;
        case What::patch:
            add(step, "output", "through a patch to port " + port_text(step.port));
            break;
        case What::output:
            add(step, "output", "output(" + port_text(step.port) + ");");
            result("output " + std::string{tables_.port_name(step.port)});
            break;
        case What::drop:
            drop(step);
            break;
        case What::punt:
            add(step, "punt", "to the controller, reason " + std::to_string(step.number));
            result("punt");
            break;
        case What::end:
            ended_ = step.reason;
            break;
        }
    }
    /// A walk without any effect is a drop for the last reason there was.
    void end() {
        if (result_.empty())
            result("drop " + std::string{name(ended_)});
        out_.set_result(result_);
    }

private:
    control::TraceStep& add(const StoryStep& step, std::string what, std::string text) {
        control::TraceStep& made = *out_.add_steps();
        made.set_depth(step.depth);
        made.set_what(std::move(what));
        made.set_text(std::move(text));
        return made;
    }
    void result(const std::string& what) { result_ += (result_.empty() ? "" : ", ") + what; }
    std::string port_text(PortId port) const {
        if (port == PortId::none)
            return "(none)";
        const std::string_view bridge = tables_.bridge_name(tables_.bridge_of(port));
        return quoted_name(tables_.port_name(port)) +
               (bridge == "main" ? std::string{} : " of bridge " + quoted_name(bridge));
    }
    void drop(const StoryStep& step) {
        add(step,
            "drop",
            "drop: " + std::string{name(step.reason)} +
                (step.port == PortId::none ? std::string{} : " at port " + port_text(step.port)));
        result("drop " + std::string{name(step.reason)});
    }
    void place(control::TraceStep& made, TableId table) {
        if (table == TableId::none)
            return;
        made.set_bridge(std::string{tables_.bridge_name(tables_.bridge_of(table))});
        made.set_table(tables_.table_number(table));
    }
    static std::string table_text(const Tables& tables, TableId table) {
        return table == TableId::none ? "a table"
                                      : "table " + std::to_string(tables.table_number(table));
    }
    void miss(const StoryStep& step) {
        ended_ = step.reason;
        const bool exists = step.reason != Drop::no_such_table;
        place(
            add(step,
                "table",
                table_text(tables_, step.table) +
                    (exists ? ": no rule matches" : ": does not exist")),
            step.table
        );
    }
    void lookup(const StoryStep& step) {
        ended_ = Drop::no_output;
        const Row* row = static_cast<const Row*>(step.rule->row);
        std::string rule = "priority " + std::to_string(step.rule->priority);
        if (row != nullptr)
            rule += ", " + std::string{key_view(row->relation, row->key()).match};
        control::TraceStep& made = add(step, "table", table_text(tables_, step.table));
        place(made, step.table);
        made.set_rule(rule);
        if (row == nullptr)
            return;
        source(made, *row);
    }
    /// Who said so, and in which transaction.
    void source(control::TraceStep& made, const Row& row) const {
        made.set_generation(row.generation);
        if (!row.stands())
            return;
        std::string owners;
        for (const OwnerId owner : rows_.holdings().at(row.holding).owners)
            owners += (owners.empty() ? "" : ",") + std::string{rows_.holdings().name(owner)};
        made.set_owner(std::move(owners));
    }

    /// Its row's buckets are those that the packet met, unless it has changed since.
    void group(const StoryStep& step) {
        control::TraceStep& made = add(step, "group", "group " + std::to_string(step.number));
        control::Group key;
        if (const auto bridge = tables_.bridge_name(step.bridge); bridge != "main")
            key.set_bridge(std::string{bridge});
        key.set_group(step.number);
        const std::string bytes = key.SerializeAsString();
        const Row* const row = rows_.find(Relation::group, bytes, key_hash(bytes));
        control::Group& known = groups_[step.depth + 1u]; // where its buckets run
        known.Clear();
        if (row == nullptr || row->generation > out_.generation())
            return;
        known.ParseFromString(std::string{row->bytes()});
        source(made, *row);
    }
    void bucket(const StoryStep& step) {
        const control::Group& of = groups_[step.depth];
        std::string text = "bucket " + std::to_string(step.number);
        if (const int at = static_cast<int>(step.number); at < of.buckets_size())
            text += ": " + of.buckets(at).actions();
        add(step, "group", std::move(text));
    }

    void action(const StoryStep& step) {
        const Op& op = *step.op;
        switch (op.kind) {
        case Op::Kind::output_port: // the steps that they lead to tell them
        case Op::Kind::output_inport:
        case Op::Kind::group:
        case Op::Kind::controller:
            return;
        case Op::Kind::drop:
            ended_ = Drop::policy;
            break;
        default:
            break;
        }
        add(step,
            op.kind == Op::Kind::clone  ? "clone"
            : op.kind == Op::Kind::drop ? "drop"
                                        : "action",
            op_text(op));
    }
    std::string op_text(const Op& op) const {
        using Kind = Op::Kind;
        const auto slice = [](std::uint64_t packed) { return print(unpack_slice(packed)); };
        const auto cut = [](std::uint64_t bytes) {
            return bytes == 0 ? std::string{");"} : ", max_bytes=" + std::to_string(bytes) + ");";
        };
        switch (op.kind) {
        case Kind::output_port:
            return "output(" +
                   (op.arg == 0 ? "?" : quoted_name(tables_.port_name(PortId{op.arg}))) + cut(op.a);
        case Kind::output_field:
            return "output(" + slice(op.a) + cut(op.b);
        case Kind::output_inport:
            return "output(inport" + cut(op.b);
        case Kind::normal:
            return "output(normal" + cut(op.b);
        case Kind::flood:
            return "output(flood" + cut(op.b);
        case Kind::all:
            return "output(all" + cut(op.b);
        case Kind::drop:
            return "drop;";
        case Kind::set:
            return set_text(op.arg, op.a, op.b);
        case Kind::move: {
            const MoveWords move = unpack_move(op.a);
            return slice_text(slice_at(move.to_word, move.to_shift, move.bits)) + " = " +
                   slice_text(slice_at(move.from_word, move.from_shift, move.bits)) + ";";
        }
        case Kind::move_wide:
            return slice(op.b) + " = " + slice(op.a) + ";";
        case Kind::push:
            return "push(" + slice(op.a) + ");";
        case Kind::pop:
            return "pop(" + slice(op.a) + ");";
        case Kind::push_vlan:
            return op.arg == 0x88a8 ? "vlan.push(0x88a8);" : "vlan.push(0x8100);";
        case Kind::pop_vlan:
            return "vlan.pop;";
        case Kind::dec_ttl:
            return "ip.ttl--;";
        case Kind::call:
            return "call(" + table_number(op.arg) + ");";
        case Kind::jump:
            return "goto(" + table_number(op.arg) + ");";
        case Kind::clone:
            return "clone {";
        case Kind::group:
            return "group(" + std::to_string(op.a) + ");";
        case Kind::controller:
            return "controller();";
        case Kind::check_larger:
            return slice(op.a) + " = check_pkt_larger(" + std::to_string(op.arg) + ");";
        case Kind::meter:
        case Kind::unsupported:
            return "an action that this build does not carry out";
        case Kind::hop:
        case Kind::set_low:
        case Kind::end:
            break;
        }
        return {};
    }
    std::string table_number(std::uint32_t table) const {
        return TableId{table} == TableId::none
                   ? "?"
                   : std::to_string(tables_.table_number(TableId{table}));
    }
    static std::string set_text(std::uint32_t word, std::uint64_t value, std::uint64_t mask) {
        const auto low = static_cast<unsigned>(std::countr_zero(mask));
        const auto bits = static_cast<unsigned>(std::popcount(mask));
        const auto to = slice_at(word, low, bits);
        std::string out = slice_text(to) + " = ";
        const FieldFormat format =
            to && whole(info(to->field)) == *to ? info(to->field).format : FieldFormat::hex;
        language::append_value(out, format, U128{value >> low});
        return out + ";";
    }

    const Tables& tables_;
    const RowStore& rows_;
    control::TraceStory& out_;
    Drop ended_ = Drop::no_output;
    std::string result_;
    std::map<unsigned, control::Group> groups_; // by the depth of their buckets
};

} // namespace

void Switch::answer(const To& to, const control::Trace& request) {
    const auto refused = [&](Error error) { refuse(to, request.id(), std::move(error)); };
    const auto bridge = known_bridge(request.bridge());
    if (!bridge)
        return refused(bridge.error());
    if (request.packet().empty() == request.match().empty())
        return refused(
            {"bad_value", "give the packet's bytes or a match that describes it, one of both"}
        );
    DescribedPacket described;
    if (!request.match().empty()) {
        const auto match = parse_match(request.match());
        if (!match)
            return refused(match.error());
        auto made = described_packet(*match);
        if (!made)
            return refused(made.error());
        described = std::move(*made);
    } else {
        const auto bytes =
            std::as_bytes(std::span{request.packet().data(), request.packet().size()});
        if (bytes.size() > 65'535)
            return refused(
                {"bad_value",
                 "the packet has " + std::to_string(bytes.size()) +
                     " bytes: it must have at most 65535"}
            );
        described.bytes.assign(bytes.begin(), bytes.end());
    }
    const std::string name = request.port().empty() ? described.port : request.port();
    if (name.empty())
        return refused({"bad_value", "no port: a trace needs the port where the packet comes in"});
    const auto port = standing_port(request.bridge(), name);
    if (!port)
        return refused(port.error());
    Out out{
        .session = to.client.session->peer().number,
        .ticket = ticket_of(to),
        .id = request.id(),
        .content = 0,
        .ids = nullptr,
        .program = nullptr,
        .bridge = *bridge,
    };
    const std::uint64_t ticket = backend_.trace(*port, *bridge, described.bytes);
    lowering_.set_tracing(true);
    traces_.emplace(ticket, std::move(out));
}

void Switch::trace_done(std::uint64_t ticket, std::unique_ptr<Story> story) {
    const auto found = traces_.find(ticket);
    if (found == traces_.end())
        return;
    const Out out = std::move(found->second);
    traces_.erase(found);
    lowering_.set_tracing(!traces_.empty());
    Client* waits = client(out.session);
    if (waits == nullptr)
        return;
    control::Reply reply;
    if (!story) {
        control::Nak& nak = *reply.mutable_nak();
        nak.set_id(out.id);
        nak.set_code("busy");
        nak.set_message("no worker had room for the packet: try again");
        return waits->session->send(out.ticket, reply);
    }
    control::TraceStory& told = *reply.mutable_trace();
    told.set_id(out.id);
    told.set_generation(story->generation);
    const BridgeId bridge = out.bridge;
    std::string packet =
        packet_text(story->parsed, tables_.world().depth.words, [&](PortNumber number) {
            const auto port = tables_.port_by_number(bridge, number);
            return port ? tables_.port_name(*port) : std::string_view{};
        });
    if (story->name.present()) {
        packet += " && " + std::string{info(story->name.field).name} + " == ";
        language::append_quoted(packet, story->name.view());
    }
    told.set_packet(std::move(packet));
    Teller teller{tables_, rows_, told};
    for (std::uint32_t i = 0; i < story->count; ++i)
        teller.tell(story->step[i]);
    if (story->cut)
        told.add_steps()->set_text("... and more steps than are kept");
    teller.end();
    waits->session->send(out.ticket, reply);
}

} // namespace weft
