// Random matches and actions: what is printed parses back, and a match means what its text says.
#include "control/language/encode.hh"
#include "control/language/language.hh"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>

namespace weft {

namespace {

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t end) {
    return random() % end;
}
bool one_in(Random& random, std::uint64_t n) {
    return below(random, n) == 0;
}

// ---- canonical structures

/// Whole, a prefix, a slice or scattered bits.
U128 random_mask(Random& random, unsigned bits) {
    const auto from = static_cast<unsigned>(below(random, bits));
    const auto count = static_cast<unsigned>(1 + below(random, bits - from));
    switch (below(random, 5)) {
    case 0:
    case 1:
        return low_bits(bits);
    case 2:
        return low_bits(bits) & ~low_bits(from);
    case 3:
        return low_bits(count) << from;
    default:
        return U128{random(), random()} & low_bits(bits);
    }
}

U128 random_value(Random& random) {
    return one_in(random, 2) ? U128{below(random, 4)} : U128{random(), random()};
}

Term random_term(Random& random) {
    Term term;
    for (auto count = below(random, 6); count > 0; --count) {
        const FieldInfo& field = all_fields()[below(random, field_count)];
        const auto known = [&](const FieldMatch& match) { return match.field == field.id; };
        if (std::any_of(term.fields.begin(), term.fields.end(), known))
            continue;
        if (field.format == FieldFormat::port && one_in(random, 2)) {
            const char name[] = {'p', static_cast<char>('a' + below(random, 3)), '\0'};
            term.fields.push_back({field.id, {}, low_bits(32), name});
            continue;
        }
        const U128 mask = field.id == FieldId::shape
                              ? U128{1} << static_cast<unsigned>(below(random, 16))
                              : random_mask(random, field.bits);
        term.fields.push_back({field.id, random_value(random) & mask, mask});
    }
    return term;
}

/// Terms of which some differ in one field only, as sets make them.
std::vector<Term> random_terms(Random& random) {
    std::vector<Term> terms;
    for (auto count = below(random, 5) + 1; count > 0; --count) {
        terms.push_back(random_term(random));
        if (terms.back().fields.empty() && one_in(random, 2))
            terms.pop_back();
    }
    for (auto count = below(random, 12); count > 0 && !terms.empty(); --count) {
        Term other = terms[below(random, terms.size())];
        if (!other.fields.empty()) {
            FieldMatch& match = other.fields[below(random, other.fields.size())];
            const U128 bit = U128{1} << static_cast<unsigned>(below(random, 128));
            match.value = (match.value ^ (one_in(random, 2) ? bit : U128{1})) & match.mask;
        }
        terms.push_back(std::move(other));
    }
    return terms;
}

TEST(RandomMatches, what_is_printed_parses_back) {
    std::map<std::string, std::string> text_of; // by encoding
    std::size_t printed_terms = 0;
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
        Random random{seed};
        const Match match = canonical(random_terms(random));
        ASSERT_EQ(canonical(match.terms), match) << "seed " << seed;
        const std::string text = print(match);
        const auto again = parse_match(text);
        ASSERT_TRUE(again) << "seed " << seed << ": " << text << ": " << again.error().what;
        ASSERT_EQ(*again, match) << "seed " << seed << ": " << text << "\n" << print(*again);
        std::string bytes;
        encode(match, bytes);
        ASSERT_EQ(text_of.emplace(bytes, text).first->second, text) << "seed " << seed;
        printed_terms += match.terms.size();
    }
    EXPECT_GT(printed_terms, 50'000u);
}

TEST(RandomMatches, many_terms_print_and_parse_back) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        Random random{seed};
        std::vector<Term> terms;
        for (unsigned i = 0; i < match_terms_max; ++i) {
            const U128 src_mask =
                low_bits(32) & ~low_bits(static_cast<unsigned>(below(random, 1 + seed)));
            terms.push_back(
                {{{FieldId::ip4_src, random_value(random) & src_mask, src_mask},
                  {FieldId::tcp_dst, below(random, 64), 0xffff}}}
            );
        }
        const Match match = canonical(terms);
        const auto again = parse_match(print(match));
        ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().what;
        EXPECT_EQ(*again, match) << "seed " << seed;
    }
}

// ---- meaning

/// A packet's fields with few different values, of a shape that packets have.
FlowKey random_key(Random& random) {
    FlowKey key{};
    Shape shape = Shape::none;
    if (one_in(random, 3))
        shape = shape | (one_in(random, 2) ? Shape::vlan : Shape::vlan | Shape::vlan1);
    const bool is_ip6 = one_in(random, 2);
    const Shape ip = (is_ip6 ? Shape::ip6 : Shape::ip4) | Shape::ip;
    switch (below(random, 8)) {
    case 0:
        shape = shape | Shape::arp;
        break;
    case 1:
        break;
    case 2:
        shape = shape | ip;
        break;
    case 3:
        shape = shape | ip | Shape::udp;
        break;
    case 4:
        shape = shape | ip | (is_ip6 ? Shape::icmp6 | Shape::nd : Shape::icmp4);
        break;
    default:
        shape = shape | ip | Shape::tcp;
        break;
    }
    for (const FieldInfo& field : all_fields())
        if (!field.is_view() && has(static_cast<std::uint16_t>(shape), field.requires_shape))
            set(key, field, U128{below(random, 2), below(random, 8)}, low_bits(field.bits));
    const std::uint64_t type = one_in(random, 2) ? 0x0806 : 0x8035;
    set(key,
        info(FieldId::eth_type),
        has(static_cast<std::uint16_t>(shape), Shape::arp) ? type : 0x0800,
        0xffff);
    set(key, info(FieldId::ct_state), random(), 0xff);
    if (one_in(random, 2) && has(static_cast<std::uint16_t>(shape), Shape::ip))
        set(key, info(FieldId::ip_ttl), 255, 0xff);
    set(key, info(FieldId::shape), static_cast<std::uint16_t>(shape), 0xffff);
    return key;
}

/// An expression as text, and what it means, told naively: a negation goes down to the leaves,
/// where predicates are negated as a whole and comparisons without their prerequisites.
struct Expression {
    std::string text;
    std::function<bool(const FlowKey&, bool negated)> holds;
};

struct Predicate {
    const char* name;
    std::function<bool(const FlowKey&)> holds;
};

std::uint64_t low(const FlowKey& key, FieldId field) {
    return get(key, info(field)).low;
}

const std::vector<Predicate>& predicates() {
    static const std::vector<Predicate> list = {
        {"ip4", [](const FlowKey& key) { return key.is(Shape::ip4); }},
        {"ip", [](const FlowKey& key) { return key.is(Shape::ip); }},
        {"tcp", [](const FlowKey& key) { return key.is(Shape::tcp); }},
        {"udp", [](const FlowKey& key) { return key.is(Shape::udp); }},
        {"icmp", [](const FlowKey& key) { return key.is(Shape::icmp4) || key.is(Shape::icmp6); }},
        {"vlan.present", [](const FlowKey& key) { return key.is(Shape::vlan); }},
        {"vlan1.present", [](const FlowKey& key) { return key.is(Shape::vlan1); }},
        {"arp",
         [](const FlowKey& key) {
             return key.is(Shape::arp) && low(key, FieldId::eth_type) == 0x806;
         }},
        {"rarp",
         [](const FlowKey& key) {
             return key.is(Shape::arp) && low(key, FieldId::eth_type) == 0x8035;
         }},
        {"nd",
         [](const FlowKey& key) { return key.is(Shape::nd) && low(key, FieldId::ip_ttl) == 255; }},
        {"ip.is_frag",
         [](const FlowKey& key) {
             return key.is(Shape::ip) && (low(key, FieldId::ip_frag) & 1) != 0;
         }},
        {"ip.first_frag",
         [](const FlowKey& key) {
             return key.is(Shape::ip) && (low(key, FieldId::ip_frag) & 3) == 1;
         }},
        {"ip4.src_mcast",
         [](const FlowKey& key) {
             return key.is(Shape::ip4) && low(key, FieldId::ip4_src) >> 28 == 0xe;
         }},
    };
    return list;
}

/// A name with a slice, and whether it needs ct.trk.
struct Operand {
    const char* name;
    FieldSlice slice;
    bool needs_trk = false;
};

constexpr std::array operands = {
    Operand{"reg0[0..2]", {FieldId::reg0, 0, 3}},
    Operand{"reg1[1..2]", {FieldId::reg1, 1, 2}},
    Operand{"xxreg0[62..66]", {FieldId::xxreg0, 62, 5}},
    Operand{"xreg1[30..33]", {FieldId::xreg1, 30, 4}},
    Operand{"tcp.dst[0..3]", {FieldId::tcp_dst, 0, 4}},
    Operand{"udp.src[0..1]", {FieldId::udp_src, 0, 2}},
    Operand{"ip4.src[0..3]", {FieldId::ip4_src, 0, 4}},
    Operand{"ip.dscp", {FieldId::ip_dscp, 0, 6}},
    Operand{"vlan.vid[0..3]", {FieldId::vlan_vid, 0, 4}},
    Operand{"vlan1.pcp", {FieldId::vlan1_pcp, 0, 3}},
    Operand{"ip6.dst[63..65]", {FieldId::ip6_dst, 63, 3}},
    Operand{"ct.new", {FieldId::ct_state, 0, 1}, true},
    Operand{"ct_state[0..3]", {FieldId::ct_state, 0, 4}},
};

struct Element {
    std::string text;
    std::function<bool(std::uint64_t)> has;
};

Element random_element(Random& random, unsigned bits) {
    const std::uint64_t max = (1u << bits) - 1;
    const std::uint64_t a = below(random, max + 1), b = below(random, max + 1);
    switch (below(random, 4)) {
    case 0: {
        const std::uint64_t first = std::min(a, b), last = std::max(a, b);
        return {std::to_string(first) + ".." + std::to_string(last), [=](std::uint64_t v) {
                    return v >= first && v <= last;
                }};
    }
    case 1:
        return {std::to_string(a & b) + "/" + std::to_string(b), [=](std::uint64_t v) {
                    return (v & b) == (a & b);
                }};
    default:
        return {std::to_string(a), [=](std::uint64_t v) { return v == a; }};
    }
}

Expression random_comparison(Random& random) {
    const Operand& operand = operands[below(random, operands.size())];
    const FieldInfo& field = info(operand.slice.field);
    std::string text = operand.name;
    std::function<bool(std::uint64_t)> test;
    if (one_in(random, 3)) {
        const std::uint64_t limit = below(random, 1u << operand.slice.bits);
        switch (below(random, 4)) {
        case 0:
            text += " < ", test = [=](std::uint64_t v) { return v < limit; };
            break;
        case 1:
            text += " <= ", test = [=](std::uint64_t v) { return v <= limit; };
            break;
        case 2:
            text += " > ", test = [=](std::uint64_t v) { return v > limit; };
            break;
        default:
            text += " >= ", test = [=](std::uint64_t v) { return v >= limit; };
            break;
        }
        text += std::to_string(limit);
    } else {
        const bool equal = one_in(random, 2);
        std::vector<Element> elements;
        text += equal ? " == {" : " != {";
        for (auto count = below(random, 3) + 1; count > 0; --count) {
            elements.push_back(random_element(random, operand.slice.bits));
            text += elements.back().text + (count > 1 ? ", " : "}");
        }
        test = [=](std::uint64_t v) {
            const auto has = [&](const Element& element) { return element.has(v); };
            return std::any_of(elements.begin(), elements.end(), has) == equal;
        };
    }
    return {
        text,
        [=,
         slice = operand.slice,
         needs_trk = operand.needs_trk](const FlowKey& key, bool negated) {
            return key.is(info(slice.field).requires_shape) &&
                   (!needs_trk || (low(key, FieldId::ct_state) & 32) != 0) &&
                   test(get(key, FieldSlice{field.id, slice.lsb, slice.bits}).low) != negated;
        }};
}

Expression random_expression(Random& random, unsigned depth) {
    if (depth == 0 || one_in(random, 4)) {
        if (one_in(random, 2))
            return random_comparison(random);
        const Predicate& predicate = predicates()[below(random, predicates().size())];
        return {predicate.name, [&predicate](const FlowKey& key, bool negated) {
                    return predicate.holds(key) != negated;
                }};
    }
    const Expression a = random_expression(random, depth - 1);
    if (one_in(random, 4))
        return {"!(" + a.text + ")", [=](const FlowKey& key, bool negated) {
                    return a.holds(key, !negated);
                }};
    const Expression b = random_expression(random, depth - 1);
    const bool both = one_in(random, 2);
    return {
        "(" + a.text + ")" + (both ? " && " : " || ") + "(" + b.text + ")",
        [=](const FlowKey& key, bool negated) {
            const bool left = a.holds(key, negated), right = b.holds(key, negated);
            return both != negated ? left && right : left || right;
        }};
}

bool matches(const FlowKey& key, const Match& match) {
    return std::any_of(match.terms.begin(), match.terms.end(), [&](const Term& term) {
        return std::all_of(term.fields.begin(), term.fields.end(), [&](const FieldMatch& field) {
            return (get(key, info(field.field)) & field.mask) == field.value;
        });
    });
}

TEST(RandomMatches, mean_what_their_text_says) {
    std::size_t refused = 0, hits = 0;
    for (std::uint64_t seed = 0; seed < 5'000; ++seed) {
        Random random{seed};
        const Expression expression = random_expression(random, 3);
        const auto match = parse_match(expression.text);
        if (!match) {
            ASSERT_EQ(match.error().code, "too_many_terms")
                << "seed " << seed << ": " << match.error().what;
            ++refused;
            continue;
        }
        for (int i = 0; i < 50; ++i) {
            const FlowKey key = random_key(random);
            ASSERT_EQ(matches(key, *match), expression.holds(key, false))
                << "seed " << seed << " packet " << i << ": " << expression.text << "\n"
                << print(*match);
            hits += matches(key, *match);
        }
        ASSERT_EQ(*parse_match(print(*match)), *match)
            << "seed " << seed << ": " << expression.text;
    }
    EXPECT_LT(refused, 50u);
    EXPECT_GT(hits, 50'000u);
}

// ---- actions

FieldSlice random_slice(Random& random, bool writable) {
    for (;;) {
        const FieldInfo& field = all_fields()[below(random, field_count)];
        if (field.id == FieldId::shape || field.id == FieldId::ct_mark ||
            field.id == FieldId::ct_label || (writable && !field.writable))
            continue;
        const auto lsb =
            static_cast<std::uint8_t>(one_in(random, 2) ? 0 : below(random, field.bits));
        const auto left = static_cast<std::uint64_t>(field.bits - lsb);
        const auto bits =
            static_cast<std::uint8_t>(one_in(random, 2) ? left : below(random, left) + 1);
        return {field.id, lsb, bits};
    }
}

FieldSlice random_slice_of(Random& random, unsigned bits) {
    const auto lsb = static_cast<std::uint8_t>(below(random, 129 - bits));
    return {FieldId::xxreg1, lsb, static_cast<std::uint8_t>(bits)};
}

FieldSlice narrow_slice(Random& random) {
    return random_slice_of(random, static_cast<unsigned>(1 + below(random, 16)));
}

std::uint32_t random32(Random& random) {
    return static_cast<std::uint32_t>(random_value(random).low);
}

action::Nat random_nat(Random& random) {
    action::Nat nat;
    nat.kind = static_cast<action::Nat::Kind>(below(random, 3));
    if (nat.kind == action::Nat::Kind::restore)
        return nat;
    nat.has_address = one_in(random, 2);
    if (nat.has_address) {
        nat.is_ip6 = one_in(random, 2);
        nat.address_first = random_value(random) & low_bits(nat.is_ip6 ? 127 : 31);
        nat.address_last = nat.address_first + U128{below(random, 3)};
        nat.port_first = static_cast<std::uint16_t>(below(random, 3));
        nat.port_last = nat.port_first;
        if (nat.port_first != 0)
            nat.port_last = static_cast<std::uint16_t>(nat.port_last + below(random, 3));
    }
    nat.hash = one_in(random, 3);
    nat.random = !nat.hash && one_in(random, 2);
    nat.persistent = one_in(random, 2);
    return nat;
}

Actions random_actions(Random& random, unsigned depth);

Action random_action(Random& random, unsigned depth) {
    const FieldSlice to = random_slice(random, true);
    switch (below(random, depth == 0 ? 18 : 20)) {
    case 0:
        return {action::Output{"p\"\x01\xc3\xa9", random32(random)}};
    case 1:
        return {action::Output{static_cast<action::Reserved>(below(random, 4)), 0}};
    case 2:
        return {action::Output{narrow_slice(random), 0}};
    case 3:
        return {
            action::Output{whole(info(one_in(random, 2) ? FieldId::inport : FieldId::reg5)), 7}};
    case 4:
        return {action::Set{to, random_value(random) & low_bits(to.bits), ""}};
    case 5:
        return {action::Set{whole(info(FieldId::outport)), 0, "p1"}};
    case 6:
        return {action::Move{random_slice_of(random, to.bits), to}};
    case 7:
        return {action::Push{random_slice(random, false)}};
    case 8:
        return {action::Pop{to}};
    case 9:
        return {action::PushVlan{static_cast<std::uint16_t>(one_in(random, 2) ? 0x8100 : 0x88a8)}};
    case 10:
        return {action::Call{random32(random)}};
    case 11:
        return {action::Controller{
            static_cast<std::uint8_t>(below(random, 3)),
            static_cast<std::uint16_t>(random()),
            std::string(below(random, 4), static_cast<char>(random())),
            random32(random),
            one_in(random, 2)}};
    case 12: {
        action::Sample sample{
            static_cast<std::uint16_t>(1 + below(random, 9)),
            random32(random),
            random32(random),
            {}};
        if (one_in(random, 2))
            sample.point = narrow_slice(random);
        else
            sample.point = random32(random);
        return {sample};
    }
    case 13:
        return {action::CheckPacketLarger{
            static_cast<std::uint16_t>(random()), random_slice_of(random, 1)}};
    case 14: {
        action::Learn learn{
            .table = random32(random),
            .priority = random32(random),
            .idle_timeout_s = random32(random),
            .hard_timeout_s = random32(random),
            .cookie = random(),
            .delete_learned = one_in(random, 2),
            .match = {},
            .load = {},
            .output = {}};
        const FieldSlice from = random_slice(random, false);
        learn.match.push_back({from, std::nullopt, random_value(random) & low_bits(from.bits)});
        learn.match.push_back({random_slice_of(random, from.bits), from, {}});
        if (one_in(random, 2))
            learn.load.push_back({to, random_slice_of(random, to.bits), {}});
        if (one_in(random, 2))
            learn.output = narrow_slice(random);
        return {learn};
    }
    case 15:
        return {action::Bundle{std::vector<std::string>(below(random, 3), "p2")}};
    case 16:
        return {action::DecTtl{}};
    case 17:
        return {action::Group{random32(random)}};
    case 18:
        return {action::Clone{random_actions(random, depth - 1)}};
    default: {
        action::Ct ct;
        if (one_in(random, 2))
            ct.zone = narrow_slice(random);
        else
            ct.zone = static_cast<std::uint16_t>(random_value(random).low);
        ct.commit = one_in(random, 2);
        ct.force = ct.commit && one_in(random, 2);
        if (one_in(random, 2))
            ct.nat = random_nat(random);
        if (one_in(random, 2))
            ct.next = random32(random);
        if (one_in(random, 2))
            ct.exec.push_back({action::Set{{FieldId::ct_label, 5, 7}, below(random, 128), ""}});
        return {ct};
    }
    }
}

Actions random_actions(Random& random, unsigned depth) {
    Actions actions;
    for (auto count = below(random, 5); count > 0; --count)
        actions.push_back(random_action(random, depth));
    return actions;
}

TEST(RandomActions, what_is_printed_parses_back) {
    std::map<std::string, std::string> text_of;
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
        Random random{seed};
        const auto actions = checked(random_actions(random, 3));
        ASSERT_TRUE(actions) << "seed " << seed << ": " << actions.error().what;
        const std::string text = print(*actions);
        const auto again = parse_actions(text);
        ASSERT_TRUE(again) << "seed " << seed << ": " << text << ": " << again.error().what;
        ASSERT_EQ(*again, *actions) << "seed " << seed << ": " << text;
        std::string bytes;
        encode(*actions, bytes);
        ASSERT_EQ(text_of.emplace(bytes, text).first->second, text) << "seed " << seed;
    }
    EXPECT_GT(text_of.size(), 10'000u);
}

} // namespace

} // namespace weft
