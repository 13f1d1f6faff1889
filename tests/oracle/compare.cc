// Where the engine's answer is not the specification's.
#include "base/be.hh"
#include "control/language/language.hh"
#include "pipeline/headers.hh"
#include "pipeline/parse.hh"
#include "pipeline/program.hh"
#include "pipeline/rewrite.hh"
#include "tests/oracle/pair.hh"

#include <algorithm>
#include <array>
#include <cstring>

namespace weft::oracle {

namespace {

using What = StoryStep::What;

constexpr std::array what_names = {
    "parsed",
    "lookup",
    "miss",
    "action",
    "group",
    "bucket",
    "patch",
    "output",
    "drop",
    "punt",
    "end",
};
std::string name_of(What what) {
    return what_names[static_cast<std::size_t>(what)];
}

/// Whether the operation is one that this statement may become.
bool does(const Op& op, const Action& action) {
    using K = Op::Kind;
    const auto one_of = [&](std::initializer_list<K> kinds) {
        return std::find(kinds.begin(), kinds.end(), op.kind) != kinds.end();
    };
    struct Visitor {
        const decltype(one_of)& is;
        bool operator()(const action::Output&) const {
            return is(
                {K::output_port, K::output_field, K::output_inport, K::normal, K::flood, K::all}
            );
        }
        bool operator()(const action::Drop&) const { return is({K::drop}); }
        bool operator()(const action::Set&) const { return is({K::set}); }
        bool operator()(const action::Move&) const { return is({K::move, K::move_wide}); }
        bool operator()(const action::Push&) const { return is({K::push}); }
        bool operator()(const action::Pop&) const { return is({K::pop}); }
        bool operator()(const action::PushVlan&) const { return is({K::push_vlan}); }
        bool operator()(const action::PopVlan&) const { return is({K::pop_vlan}); }
        bool operator()(const action::DecTtl&) const { return is({K::dec_ttl}); }
        bool operator()(const action::Call&) const { return is({K::call, K::jump}); }
        bool operator()(const action::Goto&) const { return is({K::jump}); }
        bool operator()(const action::Clone&) const { return is({K::clone}); }
        bool operator()(const action::Group&) const { return is({K::group}); }
        bool operator()(const action::Controller&) const {
            return is({K::controller, K::meter, K::unsupported});
        }
        bool operator()(const action::CheckPacketLarger&) const { return is({K::check_larger}); }
        bool operator()(const action::SetQueue&) const { return is({K::set}); }
        bool operator()(const action::Conjunction&) const { return false; }
        bool operator()(const action::Meter&) const { return is({K::meter}); }
        bool operator()(const action::Ct&) const { return is({K::unsupported}); }
        bool operator()(const action::CtClear&) const { return is({K::unsupported}); }
        bool operator()(const action::Learn&) const { return is({K::unsupported}); }
        bool operator()(const action::Sample&) const { return is({K::unsupported}); }
        bool operator()(const action::Bundle&) const { return is({K::unsupported}); }
    };
    return std::visit(Visitor{one_of}, action.of);
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

std::uint64_t tci(const FlowKey& key, std::size_t tag) {
    return key.word[1 + tag] & 0xffff;
}

/// The packet's header words under the edit, as an output would write them.
std::uint64_t edited(const FlowKey& received, const Edit* edit, std::size_t word) {
    return edit != nullptr && (edit->dirty >> word & 1) != 0 ? edit->word[word]
                                                             : received.word[word];
}

/// Reads the bytes that would leave: addresses, then the wanted tags, then what stood behind the
/// received tags.
std::optional<std::string> compare_l2(
    const Outcome& wanted,
    const test::OwnedPacket& sent,
    const FlowKey& received,
    const test::Bytes& bytes
) {
    const std::byte* at = sent.packet.data;
    if (load_be48(at) != wanted.key.word[1] >> 16 || load_be48(at + 6) != wanted.key.word[2] >> 16)
        return "its Ethernet addresses are others";
    at += ether::addresses_bytes;
    const std::size_t received_tags = received.is(Shape::vlan1)  ? 2
                                      : received.is(Shape::vlan) ? 1
                                                                 : 0;
    const std::byte* from =
        bytes.data() + ether::addresses_bytes + wanted.tags.popped * ether::tag_bytes;
    for (std::size_t tag = 0; tag < wanted.tags.tag.size(); ++tag, at += ether::tag_bytes) {
        const Tags::Tag& wants = wanted.tags.tag[tag];
        const std::uint16_t tpid = wants.received ? load_be<std::uint16_t>(from) : wants.tpid;
        from += wants.received ? ether::tag_bytes : 0;
        if (load_be<std::uint16_t>(at) != tpid)
            return "tag " + number(tag) + " has another TPID";
        if (load_be<std::uint16_t>(at + 2) != tci(wanted.key, tag))
            return "tag " + number(tag) + " has TCI " + number(load_be<std::uint16_t>(at + 2)) +
                   ", not " + number(tci(wanted.key, tag));
    }
    const std::byte* const type =
        bytes.data() + ether::addresses_bytes + received_tags * ether::tag_bytes;
    if (from != type || std::memcmp(at, type, 2) != 0)
        return "what follows its tags is something else";
    return std::nullopt;
}

/// Parses what would leave: its header fields are those of the walk's key.
std::optional<std::string>
compare_parsed(const Outcome& wanted, test::OwnedPacket& sent, const FlowKey& received) {
    FlowKey seen;
    if (parse(sent.packet, wanted.key.inport(), Depth{}, seen) != Drop::none)
        return "it cannot be parsed any more";
    // A new ICMP type may make more or less of the same bytes.
    const bool other_type =
        received.is(Shape::icmp6) && (received.word[4] ^ wanted.key.word[4]) << 32 != 0;
    if (other_type)
        return std::nullopt;
    if (seen.shape() != wanted.key.shape())
        return "it parses to another shape";
    for (const FieldInfo& field : all_fields())
        if (is_header_field(field.id) && !field.is_view() && wanted.key.is(field.requires_shape) &&
            get(seen, field) != get(wanted.key, field))
            return "it parses to another " + std::string{field.name};
    return std::nullopt;
}

} // namespace

std::string describe(const Walk& walk) {
    std::string text;
    std::size_t at = 1;
    for (const Step& step : walk.steps) {
        if (at > 60)
            return text + "\n  ...";
        text += "\n  " + number(at++) + std::string(step.depth + 1, ' ') + name_of(step.what);
        if (step.what == What::lookup || step.what == What::miss)
            text += " bridge " + number(step.bridge) + " table " + number(step.table);
        if (step.what == What::lookup)
            text += " priority " + number(step.rule->priority) + " " + print(step.rule->match);
        if (step.what == What::action)
            text += " " + print(*step.action);
        if (step.what == What::drop)
            text += " " + std::string{name(step.reason)};
        if (step.what == What::group || step.what == What::bucket)
            text += " " + number(step.number);
        if (step.port != PortId::none)
            text += " port " + number(index(step.port));
    }
    return text;
}

std::optional<std::string> Pair::compare_steps(const Walk& walk) const {
    std::size_t at = 1; // the story begins with the packet as parsed
    for (const Step& wanted : walk.steps) {
        if (at == Story::steps_max)
            return story_->cut
                       ? std::nullopt
                       : std::optional<std::string>{"a full story says that it was not cut"};
        if (at == story_->count)
            return "step " + number(at) + " is missing: " + name_of(wanted.what);
        if (auto difference = compare_step(wanted, story_->step[at]))
            return "step " + number(at) + ": " + *difference;
        ++at;
    }
    if (at != story_->count)
        return "a step too many: " + name_of(story_->step[at].what);
    return std::nullopt;
}

std::optional<std::string> Pair::compare_step(const Step& wanted, const StoryStep& got) const {
    if (got.what != wanted.what)
        return name_of(got.what) + " instead of " + name_of(wanted.what);
    const std::string what = name_of(wanted.what);
    if (got.depth != wanted.depth)
        return what + " at depth " + number(got.depth) + " instead of " + number(wanted.depth);
    switch (wanted.what) {
    case What::lookup:
    case What::miss:
        if (got.table != TableId::none && (tables_->table_number(got.table) != wanted.table ||
                                           index(tables_->bridge_of(got.table)) != wanted.bridge))
            return what + " in table " + number(tables_->table_number(got.table)) + " instead of " +
                   number(wanted.table);
        if (wanted.what == What::lookup && got.rule != wanted.rule->handle)
            return "another rule of table " + number(wanted.table) + " was hit";
        break;
    case What::action:
        if (got.op == nullptr || !does(*got.op, *wanted.action))
            return "another action than " + std::string{name(*wanted.action)};
        if (got.rule != (wanted.rule == nullptr ? nullptr : wanted.rule->handle))
            return "an action of another rule";
        break;
    case What::group:
    case What::bucket:
        if (got.number != wanted.number)
            return what + " " + number(got.number) + " instead of " + number(wanted.number);
        break;
    case What::patch:
    case What::output:
    case What::punt:
        if (got.port != wanted.port)
            return what + " at port " + number(index(got.port)) + " instead of " +
                   number(index(wanted.port));
        break;
    case What::drop:
        if (got.reason != wanted.reason)
            return "drop " + std::string{name(got.reason)} + " instead of " +
                   std::string{name(wanted.reason)};
        break;
    case What::parsed:
    case What::end:
        break;
    }
    return std::nullopt;
}

std::optional<std::string> Pair::compare_effects(
    const Walk& walk, const Asked& asked, const test::Bytes& bytes, std::size_t lane
) const {
    const Effects& effects = burst_->effects;
    if (effects.first[lane] == Effect::none) {
        if (burst_->why[lane] == Drop::effects_exceeded)
            return std::nullopt;
        const Outcome& only = walk.effects.front();
        if (walk.effects.size() != 1 || only.kind != Outcome::Kind::drop)
            return "no effects, " + number(walk.effects.size()) + " wanted";
        if (burst_->why[lane] != only.reason)
            return "dropped for " + std::string{name(burst_->why[lane])} + " instead of " +
                   std::string{name(only.reason)};
        return std::nullopt;
    }
    std::uint16_t at = effects.first[lane];
    for (std::size_t i = 0; i < walk.effects.size(); ++i) {
        const bool full = effects_full();
        if (at == Effect::none)
            return full ? std::nullopt
                        : std::optional{
                              number(i) + " effects, " + number(walk.effects.size()) + " wanted"};
        const Effect& got = effects.effect[at];
        if (got.reason == Drop::effects_exceeded && full)
            return std::nullopt;
        if (auto difference = compare_copy(walk.effects[i], got, asked, bytes))
            return "effect " + number(i) + ": " + *difference;
        at = got.next;
    }
    return at == Effect::none ? std::nullopt : std::optional<std::string>{"an effect too many"};
}

std::optional<std::string> Pair::compare_copy(
    const Outcome& wanted, const Effect& got, const Asked& asked, const test::Bytes& bytes
) const {
    constexpr std::array kinds = {Effect::Kind::output, Effect::Kind::punt, Effect::Kind::drop};
    if (got.kind != kinds[static_cast<std::size_t>(wanted.kind)])
        return "of another kind (" + std::string{name(got.reason)} + " instead of " +
               std::string{name(wanted.reason)} + ")";
    if (got.table != wanted.table)
        return "decided in table " + number(got.table) + " instead of " + number(wanted.table);
    if (wanted.kind == Outcome::Kind::drop)
        return got.reason == wanted.reason ? std::nullopt
                                           : std::optional{
                                                 "dropped for " + std::string{name(got.reason)} +
                                                 " instead of " + std::string{name(wanted.reason)}};
    if (got.port != wanted.port || got.max_bytes != wanted.max_bytes)
        return "at port " + number(index(got.port)) + " instead of " + number(index(wanted.port)) +
               ", or cut elsewhere";
    if (wanted.kind == Outcome::Kind::punt &&
        (got.punt == nullptr || got.punt->reason != wanted.punt->reason ||
         got.punt->userdata != wanted.punt->userdata ||
         got.punt->max_bytes != wanted.punt->max_bytes || got.punt->cookie != wanted.cookie))
        return "punted with other data";

    const Edit* const edit = got.edit == Effect::none ? nullptr : &burst_->effects.edits[got.edit];
    const std::size_t popped = edit == nullptr ? 0 : edit->vlan_popped,
                      pushed = edit == nullptr ? 0 : edit->vlan_pushed;
    if (popped != wanted.tags.popped || pushed != wanted.tags.pushed())
        return number(popped) + " tags taken off and " + number(pushed) + " put on instead of " +
               number(wanted.tags.popped) + " and " + number(wanted.tags.pushed());
    for (std::size_t word = 1; word < 24; ++word) {
        const std::uint64_t mask = word <= 2 ? ~std::uint64_t{0xffff} : ~std::uint64_t{0};
        if ((header_words >> word & 1) != 0 &&
            ((edited(asked.key, edit, word) ^ wanted.key.word[word]) & mask) != 0 &&
            !(word == 5 && ((edited(asked.key, edit, word) ^ wanted.key.word[word]) &
                            0xffff'0000'ffff'ffff) == 0))
            return "word " + number(word) + " of its headers is another";
    }
    test::OwnedPacket sent{bytes};
    FlowKey received;
    const bool parses = parse(sent.packet, PortNumber::none, Depth{}, received) == Drop::none;
    if (edit != nullptr)
        rewrite(sent.packet, received.shape(), *edit);
    if (auto difference = compare_l2(wanted, sent, received, bytes))
        return difference;
    return parses ? compare_parsed(wanted, sent, received) : std::nullopt; // nobody looked above L2
}

} // namespace weft::oracle
