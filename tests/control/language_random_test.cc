// Random matches and actions: what is printed parses back, and a match means what its text says.
#include "control/language/encode.hh"
#include "control/language/language.hh"
#include "tests/control/random_language.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>

namespace weft {

namespace {

using namespace test;

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
// --------------------------------------------------------------------------------------

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
// --------------------------------------------------------------------------------------

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
