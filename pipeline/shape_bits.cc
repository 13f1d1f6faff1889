#include "pipeline/shape_bits.hh"

#include <array>

namespace weft {

namespace {

using Bits = ShapeBits::Bits;

constexpr Bits raw(Shape shape) noexcept {
    return static_cast<Bits>(shape);
}

/// What a set bit says besides itself, and which bits it rules out. (A packet has one L3 and one
/// L4.)
struct ShapeRule {
    Shape bit;
    Shape implies;
    Shape excludes;
};

constexpr Shape l4_kinds =
    Shape::tcp | Shape::udp | Shape::sctp | Shape::icmp4 | Shape::icmp6 | Shape::igmp;

constexpr Shape other_than(Shape all, Shape one) noexcept {
    return static_cast<Shape>(raw(all) & ~raw(one));
}

constexpr std::array<ShapeRule, 13> shape_rules = {{
    {Shape::vlan1, Shape::vlan, Shape::none},
    {Shape::ip, Shape::none, Shape::arp},
    {Shape::ip4, Shape::ip, Shape::ip6},
    {Shape::ip6, Shape::ip, Shape::ip4},
    {Shape::tcp, Shape::ip, other_than(l4_kinds, Shape::tcp)},
    {Shape::udp, Shape::ip, other_than(l4_kinds, Shape::udp)},
    {Shape::sctp, Shape::ip, other_than(l4_kinds, Shape::sctp)},
    {Shape::icmp4, Shape::ip4, other_than(l4_kinds, Shape::icmp4)},
    {Shape::icmp6, Shape::ip6, other_than(l4_kinds, Shape::icmp6)},
    {Shape::igmp, Shape::ip4, other_than(l4_kinds, Shape::igmp)},
    {Shape::nd, Shape::icmp6, Shape::none},
    {Shape::nd_sll, Shape::nd, Shape::none},
    {Shape::nd_tll, Shape::nd, Shape::none},
}};

} // namespace

ShapeBits saturated(ShapeBits bits) noexcept {
    for (ShapeBits before{}; bits != before;) {
        before = bits;
        for (const ShapeRule& rule : shape_rules) {
            const Bits bit = raw(rule.bit);
            if ((bits.set & bit) != 0) {
                bits.set |= raw(rule.implies);
                bits.clear |= raw(rule.excludes);
            }
            if ((bits.clear & raw(rule.implies)) != 0 || (bits.set & raw(rule.excludes)) != 0)
                bits.clear |= bit;
        }
        // ip is ip4 or ip6
        constexpr Bits ip4 = raw(Shape::ip4), ip6 = raw(Shape::ip6), ip = raw(Shape::ip);
        if ((bits.set & ip) != 0 && (bits.clear & ip4) != 0)
            bits.set |= ip6;
        if ((bits.set & ip) != 0 && (bits.clear & ip6) != 0)
            bits.set |= ip4;
        if ((bits.clear & ip4) != 0 && (bits.clear & ip6) != 0)
            bits.clear |= ip;
    }
    return bits;
}

ShapeBits normal(ShapeBits bits) noexcept {
    bits = saturated(bits);
    if (!bits.possible())
        return bits;
    // the special before the general: !ip stays, !tcp goes
    constexpr std::array order = {
        Shape::nd_sll,
        Shape::nd_tll,
        Shape::nd,
        Shape::tcp,
        Shape::udp,
        Shape::sctp,
        Shape::icmp4,
        Shape::icmp6,
        Shape::igmp,
        Shape::ip4,
        Shape::ip6,
        Shape::vlan1,
        Shape::arp,
        Shape::ip,
        Shape::vlan,
        Shape::tunnel,
    };
    static_assert(order.size() == 16);
    for (const Shape shape : order) {
        const ShapeBits without{bits.set, static_cast<Bits>(bits.clear & ~raw(shape))};
        if (saturated(without) == saturated(bits))
            bits = without;
    }
    return bits;
}

Shape implied(Shape bits) noexcept {
    Bits all = raw(bits);
    for (Bits before = 0; before != all;) {
        before = all;
        for (const ShapeRule& rule : shape_rules)
            if ((all & raw(rule.bit)) != 0)
                all |= raw(rule.implies);
    }
    return static_cast<Shape>(all);
}

} // namespace weft
