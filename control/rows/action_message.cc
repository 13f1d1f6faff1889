#include "control/language/check.hh"
#include "control/language/language.hh"
#include "control/rows/language_message.hh"
#include "control/rows/message_place.hh"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

namespace {

constexpr std::array<std::string_view, 4> reserved_words = {"inport", "normal", "flood", "all"};
constexpr std::array<std::string_view, 3> nat_words = {"restore", "src", "dst"};

Error bad_value(std::string what) {
    return {"bad_value", std::move(what)};
}

/// Reads one list and those inside it. After the first fault nothing is read any more; what the
/// numbers mean is judged by the language's own checks once the statement is put together.
class Reader {
public:
    std::optional<Fault> fault;

    Actions list(const control::ActionList& message, const MessagePlace& place, unsigned depth) {
        Actions made;
        if (depth > LanguageLimits::clones_max + 1) {
            fail(
                place,
                {"bad_actions",
                 "clones are nested deeper than " + std::to_string(LanguageLimits::clones_max)}
            );
            return made;
        }
        made.reserve(static_cast<std::size_t>(message.actions_size()));
        for (int i = 0; i < message.actions_size() && !fault; ++i) {
            const MessagePlace at{&place, "actions", i};
            if (++statements_ > LanguageLimits::statements_max)
                fail(
                    at,
                    {"too_many_actions",
                     "there are more than " + std::to_string(LanguageLimits::statements_max) +
                         " actions"}
                );
            else
                made.push_back(action(message.actions(i), at, depth));
            if (fault)
                break;
            if (auto error = language::statement_error(made.back(), in_exec_))
                fail(at, std::move(*error));
        }
        return made;
    }

private:
    void fail(const MessagePlace& place, Error error) {
        if (!fault)
            fault = place.fault(std::move(error));
    }
    /// Numbers that the structure holds in fewer bits than the message.
    template <class Narrow>
    Narrow number(std::uint32_t value, const MessagePlace& at, std::string_view field) {
        constexpr std::uint32_t max = std::numeric_limits<Narrow>::max();
        if (value > max)
            fail(
                {&at, field},
                {"out_of_range",
                 std::string{field} + " is " + std::to_string(value) + ": it must be at most " +
                     std::to_string(max)}
            );
        return static_cast<Narrow>(value);
    }
    template <std::size_t count>
    std::size_t word(
        const std::string& value,
        const MessagePlace& at,
        const std::array<std::string_view, count>& words
    ) {
        for (std::size_t i = 0; i < count; ++i)
            if (words[i] == value)
                return i;
        std::string all;
        for (const std::string_view each : words)
            all += (all.empty() ? "\"" : ", \"") + std::string{each} + "\"";
        fail(at, bad_value(quoted(value) + " does not exist: it must be one of " + all));
        return 0;
    }
    FieldSlice slice(bool given, const control::Slice& message, const MessagePlace& at) {
        if (!given || message.field() == 0) {
            fail(at, bad_value("a field is missing"));
            return {};
        }
        if (message.field() >= field_count) {
            fail(
                at, {"unknown_field", "there is no field number " + std::to_string(message.field())}
            );
            return {};
        }
        const FieldInfo& field = info(static_cast<FieldId>(message.field()));
        const std::uint32_t left = field.bits - std::min<std::uint32_t>(message.lsb(), field.bits);
        const std::uint32_t bits = message.bits() == 0 ? left : message.bits();
        if (left == 0 || bits > left) {
            fail(
                at,
                bad_value(
                    std::to_string(message.bits()) + " bits from bit " +
                    std::to_string(message.lsb()) + " are no part of " + std::string{field.name} +
                    ", which has " + std::to_string(field.bits) + " bits"
                )
            );
            return {};
        }
        return {
            field.id, static_cast<std::uint8_t>(message.lsb()), static_cast<std::uint8_t>(bits)};
    }

    Action action(const control::Action& message, const MessagePlace& at, unsigned depth);
    action::Output output(const control::OutputAction& message, const MessagePlace& at);
    action::Ct ct(const control::CtAction& message, const MessagePlace& at, unsigned depth);
    action::Nat nat(const control::NatAction& message, const MessagePlace& at);
    action::Learn learn(const control::LearnAction& message, const MessagePlace& at);
    std::vector<action::Learn::Spec> specs(
        const google::protobuf::RepeatedPtrField<control::LearnSpec>& messages,
        const MessagePlace& at,
        std::string_view field
    );
    action::Controller controller(const control::ControllerAction& message, const MessagePlace& at);
    action::Sample sample(const control::SampleAction& message, const MessagePlace& at);

    std::size_t statements_ = 0;
    bool in_exec_ = false;
};

Action Reader::action(const control::Action& message, const MessagePlace& at, unsigned depth) {
    using Of = control::Action;
    switch (message.action_case()) {
    case Of::kOutput:
        return {output(message.output(), {&at, "output"})};
    case Of::kDrop:
        return {action::Drop{}};
    case Of::kSet: {
        const control::SetAction& set = message.set();
        const MessagePlace to{&at, "set.to"};
        return {action::Set{
            slice(set.has_to(), set.to(), to), U128{set.value_upper(), set.value()}, set.port()}};
    }
    case Of::kMove: {
        const control::MoveAction& move = message.move();
        const FieldSlice from = slice(move.has_from(), move.from(), {&at, "move.from"});
        return {action::Move{from, slice(move.has_to(), move.to(), {&at, "move.to"})}};
    }
    case Of::kPush:
        return {action::Push{slice(true, message.push(), {&at, "push"})}};
    case Of::kPop:
        return {action::Pop{slice(true, message.pop(), {&at, "pop"})}};
    case Of::kPushVlan:
        return {action::PushVlan{number<std::uint16_t>(message.push_vlan(), at, "push_vlan")}};
    case Of::kPopVlan:
        return {action::PopVlan{}};
    case Of::kDecTtl:
        return {action::DecTtl{}};
    case Of::kCall:
        return {action::Call{message.call()}};
    case Of::kGoto:
        return {action::Goto{message.goto_()}};
    case Of::kClone:
        return {action::Clone{list(message.clone(), {&at, "clone"}, depth + 1)}};
    case Of::kGroup:
        return {action::Group{message.group()}};
    case Of::kMeter:
        return {action::Meter{message.meter()}};
    case Of::kCt:
        return {ct(message.ct(), {&at, "ct"}, depth)};
    case Of::kCtClear:
        return {action::CtClear{}};
    case Of::kLearn:
        return {learn(message.learn(), {&at, "learn"})};
    case Of::kConjunction: {
        const control::ConjunctionAction& of = message.conjunction();
        const MessagePlace here{&at, "conjunction"};
        return {action::Conjunction{
            of.id(),
            number<std::uint8_t>(of.clause(), here, "clause"),
            number<std::uint8_t>(of.count(), here, "count")}};
    }
    case Of::kController:
        return {controller(message.controller(), {&at, "controller"})};
    case Of::kSample:
        return {sample(message.sample(), {&at, "sample"})};
    case Of::kCheckPacketLarger: {
        const control::CheckPacketLargerAction& of = message.check_packet_larger();
        const MessagePlace here{&at, "check_packet_larger"};
        return {action::CheckPacketLarger{
            number<std::uint16_t>(of.bytes(), here, "bytes"),
            slice(of.has_to(), of.to(), {&here, "to"})}};
    }
    case Of::kSetQueue:
        return {action::SetQueue{message.set_queue()}};
    case Of::kBundle:
        return {action::Bundle{{message.bundle().ports().begin(), message.bundle().ports().end()}}};
    case Of::ACTION_NOT_SET:
        break;
    }
    fail(at, {"bad_actions", "the action says nothing: it must hold one statement"});
    return {action::Drop{}};
}

action::Output Reader::output(const control::OutputAction& message, const MessagePlace& at) {
    action::Output made{.to = std::string{}, .max_bytes = message.max_bytes()};
    switch (message.to_case()) {
    case control::OutputAction::kPort:
        made.to = message.port();
        break;
    case control::OutputAction::kField:
        made.to = slice(true, message.field(), {&at, "field"});
        break;
    case control::OutputAction::kReserved:
        made.to = static_cast<action::Reserved>(
            word(message.reserved(), {&at, "reserved"}, reserved_words)
        );
        break;
    case control::OutputAction::TO_NOT_SET:
        fail(at, bad_value("an output has one of port, field and reserved"));
    }
    return made;
}

action::Nat Reader::nat(const control::NatAction& message, const MessagePlace& at) {
    action::Nat made;
    made.kind = static_cast<action::Nat::Kind>(word(message.kind(), {&at, "kind"}, nat_words));
    made.has_address = message.has_addresses();
    made.is_ip6 = message.ip6();
    const control::Range& range = message.addresses();
    made.address_first = U128{range.low_upper(), range.low()};
    made.address_last = U128{range.high_upper(), range.high()};
    made.port_first = number<std::uint16_t>(message.port_first(), at, "port_first");
    made.port_last = number<std::uint16_t>(message.port_last(), at, "port_last");
    made.hash = message.hash();
    made.random = message.random();
    made.persistent = message.persistent();
    return made;
}

action::Ct Reader::ct(const control::CtAction& message, const MessagePlace& at, unsigned depth) {
    action::Ct made;
    if (message.has_zone_field() && message.zone() != 0)
        fail(at, bad_value("ct has one of zone and zone_field"));
    if (message.has_zone_field())
        made.zone = slice(true, message.zone_field(), {&at, "zone_field"});
    else
        made.zone = number<std::uint16_t>(message.zone(), at, "zone");
    made.commit = message.commit();
    made.force = message.force();
    if (message.has_nat())
        made.nat = nat(message.nat(), {&at, "nat"});
    if (message.has_next())
        made.next = message.next();
    const bool outer = std::exchange(in_exec_, true);
    made.exec = list(message.exec(), {&at, "exec"}, depth + 1);
    in_exec_ = outer;
    return made;
}

std::vector<action::Learn::Spec> Reader::specs(
    const google::protobuf::RepeatedPtrField<control::LearnSpec>& messages,
    const MessagePlace& at,
    std::string_view field
) {
    std::vector<action::Learn::Spec> made;
    for (int i = 0; i < messages.size() && !fault; ++i) {
        const control::LearnSpec& message = messages[i];
        const MessagePlace here{&at, field, i};
        action::Learn::Spec& spec = made.emplace_back();
        spec.to = slice(message.has_to(), message.to(), {&here, "to"});
        if (message.has_from())
            spec.from = slice(true, message.from(), {&here, "from"});
        spec.value = U128{message.value_upper(), message.value()};
    }
    statements_ += made.size();
    return made;
}

action::Learn Reader::learn(const control::LearnAction& message, const MessagePlace& at) {
    action::Learn made;
    made.table = message.table();
    if (message.has_priority())
        made.priority = message.priority();
    made.idle_timeout_s = message.idle_timeout_s();
    made.hard_timeout_s = message.hard_timeout_s();
    made.cookie = message.cookie();
    made.delete_learned = message.delete_learned();
    made.match = specs(message.match(), at, "match");
    made.load = specs(message.load(), at, "load");
    if (message.has_output())
        made.output = slice(true, message.output(), {&at, "output"});
    return made;
}

action::Controller
Reader::controller(const control::ControllerAction& message, const MessagePlace& at) {
    action::Controller made;
    if (message.has_reason())
        made.reason = number<std::uint8_t>(message.reason(), at, "reason");
    if (message.has_max_bytes())
        made.max_bytes = number<std::uint16_t>(message.max_bytes(), at, "max_bytes");
    made.userdata = message.userdata();
    made.meter = message.meter();
    made.pause = message.pause();
    return made;
}

action::Sample Reader::sample(const control::SampleAction& message, const MessagePlace& at) {
    action::Sample made;
    made.probability = number<std::uint16_t>(message.probability(), at, "probability");
    made.collector = message.collector();
    made.domain = message.domain();
    if (message.has_point_field() && message.point() != 0)
        fail(at, bad_value("sample has one of point and point_field"));
    if (message.has_point_field())
        made.point = slice(true, message.point_field(), {&at, "point_field"});
    else
        made.point = message.point();
    return made;
}

// -- the other way

void put(FieldSlice slice, control::Slice& out) {
    out.set_field(static_cast<std::uint32_t>(slice.field));
    out.set_lsb(slice.lsb);
    out.set_bits(slice.bits);
}

void put(U128 low, U128 high, control::Range& out) {
    out.set_low(low.low);
    out.set_low_upper(low.high);
    out.set_high(high.low);
    out.set_high_upper(high.high);
}

void put(const std::vector<action::Learn::Spec>& specs, auto& out) {
    for (const action::Learn::Spec& spec : specs) {
        control::LearnSpec& made = *out.Add();
        put(spec.to, *made.mutable_to());
        if (spec.from)
            put(*spec.from, *made.mutable_from());
        made.set_value(spec.value.low);
        made.set_value_upper(spec.value.high);
    }
}

struct Writer {
    control::Action& out;

    void operator()(const action::Output& of) const {
        control::OutputAction& made = *out.mutable_output();
        made.set_max_bytes(of.max_bytes);
        if (const auto* port = std::get_if<std::string>(&of.to))
            made.set_port(*port);
        else if (const auto* field = std::get_if<FieldSlice>(&of.to))
            put(*field, *made.mutable_field());
        else
            made.set_reserved(std::string{
                reserved_words[static_cast<std::size_t>(std::get<action::Reserved>(of.to))]});
    }
    void operator()(const action::Drop&) const { out.mutable_drop(); }
    void operator()(const action::Set& of) const {
        control::SetAction& made = *out.mutable_set();
        put(of.to, *made.mutable_to());
        made.set_value(of.value.low);
        made.set_value_upper(of.value.high);
        made.set_port(of.port);
    }
    void operator()(const action::Move& of) const {
        put(of.from, *out.mutable_move()->mutable_from());
        put(of.to, *out.mutable_move()->mutable_to());
    }
    void operator()(const action::Push& of) const { put(of.from, *out.mutable_push()); }
    void operator()(const action::Pop& of) const { put(of.to, *out.mutable_pop()); }
    void operator()(const action::PushVlan& of) const { out.set_push_vlan(of.tpid); }
    void operator()(const action::PopVlan&) const { out.mutable_pop_vlan(); }
    void operator()(const action::DecTtl&) const { out.mutable_dec_ttl(); }
    void operator()(const action::Call& of) const { out.set_call(of.table); }
    void operator()(const action::Goto& of) const { out.set_goto_(of.table); }
    void operator()(const action::Clone& of) const { to_message(of.body, *out.mutable_clone()); }
    void operator()(const action::Group& of) const { out.set_group(of.group); }
    void operator()(const action::Meter& of) const { out.set_meter(of.meter); }
    void operator()(const action::Ct& of) const {
        control::CtAction& made = *out.mutable_ct();
        if (const auto* field = std::get_if<FieldSlice>(&of.zone))
            put(*field, *made.mutable_zone_field());
        else
            made.set_zone(std::get<std::uint16_t>(of.zone));
        made.set_commit(of.commit);
        made.set_force(of.force);
        if (of.nat)
            put_nat(*of.nat, *made.mutable_nat());
        if (of.next)
            made.set_next(*of.next);
        if (!of.exec.empty())
            to_message(of.exec, *made.mutable_exec());
    }
    void operator()(const action::CtClear&) const { out.mutable_ct_clear(); }
    void operator()(const action::Learn& of) const {
        control::LearnAction& made = *out.mutable_learn();
        made.set_table(of.table);
        made.set_priority(of.priority);
        made.set_idle_timeout_s(of.idle_timeout_s);
        made.set_hard_timeout_s(of.hard_timeout_s);
        made.set_cookie(of.cookie);
        made.set_delete_learned(of.delete_learned);
        put(of.match, *made.mutable_match());
        put(of.load, *made.mutable_load());
        if (of.output)
            put(*of.output, *made.mutable_output());
    }
    void operator()(const action::Conjunction& of) const {
        control::ConjunctionAction& made = *out.mutable_conjunction();
        made.set_id(of.id);
        made.set_clause(of.clause);
        made.set_count(of.count);
    }
    void operator()(const action::Controller& of) const {
        control::ControllerAction& made = *out.mutable_controller();
        made.set_reason(of.reason);
        made.set_max_bytes(of.max_bytes);
        made.set_userdata(of.userdata);
        made.set_meter(of.meter);
        made.set_pause(of.pause);
    }
    void operator()(const action::Sample& of) const {
        control::SampleAction& made = *out.mutable_sample();
        made.set_probability(of.probability);
        made.set_collector(of.collector);
        made.set_domain(of.domain);
        if (const auto* field = std::get_if<FieldSlice>(&of.point))
            put(*field, *made.mutable_point_field());
        else
            made.set_point(std::get<std::uint32_t>(of.point));
    }
    void operator()(const action::CheckPacketLarger& of) const {
        out.mutable_check_packet_larger()->set_bytes(of.bytes);
        put(of.to, *out.mutable_check_packet_larger()->mutable_to());
    }
    void operator()(const action::SetQueue& of) const { out.set_set_queue(of.queue); }
    void operator()(const action::Bundle& of) const {
        control::BundleAction& made = *out.mutable_bundle();
        for (const std::string& port : of.ports)
            made.add_ports(port);
    }

    static void put_nat(const action::Nat& of, control::NatAction& made) {
        made.set_kind(std::string{nat_words[static_cast<std::size_t>(of.kind)]});
        made.set_ip6(of.is_ip6);
        if (of.has_address)
            put(of.address_first, of.address_last, *made.mutable_addresses());
        made.set_port_first(of.port_first);
        made.set_port_last(of.port_last);
        made.set_hash(of.hash);
        made.set_random(of.random);
        made.set_persistent(of.persistent);
    }
};

} // namespace

Judged<Actions> actions_from(const control::ActionList& message, std::string_view path) {
    const MessagePlace top{nullptr, path};
    Reader reader;
    Actions made = reader.list(message, top, 0);
    if (reader.fault)
        return tl::unexpected{std::move(*reader.fault)};
    Result<Actions> known = checked(std::move(made)); // the lists as wholes; views become fields
    if (!known)
        return tl::unexpected{top.fault(std::move(known.error()))};
    return std::move(*known);
}

void to_message(const Actions& actions, control::ActionList& out) {
    for (const Action& action : actions)
        std::visit(Writer{*out.add_actions()}, action.of);
}

} // namespace weft
