#include "tests/oracle/packets.hh"

#include "base/be.hh"
#include "base/field.hh"
#include "pipeline/headers.hh"

#include <algorithm>
#include <array>
#include <optional>

namespace weft::oracle {

namespace {

using F = FieldId;
using test::Bytes;

/// A shape that parse can find, and the numbers that go with it.
struct Kind {
    Shape shape;
    std::uint16_t eth_type;
    std::optional<std::uint8_t> proto; // none: any that has no shape
};
constexpr auto v4 = Shape::ip4 | Shape::ip;
constexpr auto v6 = Shape::ip6 | Shape::ip;
constexpr auto nd = v6 | Shape::icmp6 | Shape::nd;
constexpr std::array kinds = {
    Kind{Shape::none, 0x88b5, {}},
    Kind{Shape::arp, ether::arp, {}},
    Kind{Shape::arp, ether::rarp, {}},
    Kind{v4, ether::ip4, {}},
    Kind{v4 | Shape::tcp, ether::ip4, ipproto::tcp},
    Kind{v4 | Shape::udp, ether::ip4, ipproto::udp},
    Kind{v4 | Shape::sctp, ether::ip4, ipproto::sctp},
    Kind{v4 | Shape::icmp4, ether::ip4, ipproto::icmp4},
    Kind{v4 | Shape::igmp, ether::ip4, ipproto::igmp},
    Kind{v6, ether::ip6, {}},
    Kind{v6 | Shape::tcp, ether::ip6, ipproto::tcp},
    Kind{v6 | Shape::udp, ether::ip6, ipproto::udp},
    Kind{v6 | Shape::sctp, ether::ip6, ipproto::sctp},
    Kind{v6 | Shape::icmp6, ether::ip6, ipproto::icmp6},
    Kind{nd, ether::ip6, ipproto::icmp6},
    Kind{nd | Shape::nd_sll, ether::ip6, ipproto::icmp6},
    Kind{nd | Shape::nd_tll, ether::ip6, ipproto::icmp6},
    Kind{nd | Shape::nd_sll | Shape::nd_tll, ether::ip6, ipproto::icmp6},
};
constexpr std::array tag_shapes = {Shape::none, Shape::vlan, Shape::vlan | Shape::vlan1};

std::uint64_t low(const FlowKey& key, F field) {
    return get(key, info(field)).low;
}
void put(FlowKey& key, F field, U128 value) {
    set(key, info(field), value, low_bits(info(field).bits));
}

/// Bytes in network order, one number after the other.
class Writer {
public:
    Bytes bytes;

    void number(std::uint64_t value, unsigned count) {
        for (unsigned i = count; i-- > 0;)
            bytes.push_back(static_cast<std::byte>(value >> 8 * i & 0xff));
    }
    void field(const FlowKey& key, F field) {
        const U128 value = get(key, info(field));
        const unsigned count = (info(field).bits + 7u) / 8;
        if (count > 8)
            number(value.high, count - 8);
        number(value.low, std::min(count, 8u));
    }
    void append(const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
};

Bytes l4_bytes(const FlowKey& key) {
    Writer at;
    if (key.is(Shape::tcp)) {
        at.field(key, F::tcp_src);
        at.field(key, F::tcp_dst);
        at.number(1, 4);
        at.number(2, 4);
        at.number(0x5000 | low(key, F::tcp_flags), 2);
        at.number(0x2000, 2);
        at.number(0x1234, 2);
        at.number(0, 2);
    } else if (key.is(Shape::udp)) {
        at.field(key, F::udp_src);
        at.field(key, F::udp_dst);
        at.number(8, 2);
        at.number(0x4321, 2);
    } else if (key.is(Shape::sctp)) {
        at.field(key, F::sctp_src);
        at.field(key, F::sctp_dst);
        at.number(0, 8);
    } else if (key.is(Shape::icmp4)) {
        at.field(key, F::icmp4_type);
        at.field(key, F::icmp4_code);
        at.number(0x1111, 2);
        at.number(0, 4);
    } else if (key.is(Shape::igmp)) {
        at.number(0x1600'0000'e000'0001, 8);
    } else if (key.is(Shape::icmp6)) {
        at.field(key, F::icmp6_type);
        at.field(key, F::icmp6_code);
        at.number(0x2222, 2);
    }
    if (key.is(Shape::nd)) {
        at.field(key, F::nd_reserved);
        at.field(key, F::nd_target);
        const bool tll_first = low(key, F::nd_options_type) == 2;
        for (const bool tll : {tll_first, !tll_first}) {
            if (!key.is(tll ? Shape::nd_tll : Shape::nd_sll))
                continue;
            at.number(tll ? 0x0201 : 0x0101, 2);
            at.field(key, tll ? F::nd_tll : F::nd_sll);
        }
    }
    return at.bytes;
}

Bytes ip4_bytes(const FlowKey& key, const Bytes& rest) {
    Writer at;
    const std::uint64_t frag = low(key, F::ip_frag);
    at.number(0x45, 1);
    at.field(key, F::ip_tos);
    at.number(20 + rest.size(), 2);
    at.number(7, 2);
    at.number((frag & frag_later) != 0 ? 0x0010 : (frag & frag_any) != 0 ? 0x2000 : 0, 2);
    at.field(key, F::ip_ttl);
    at.field(key, F::ip_proto);
    at.number(0x9999, 2);
    at.field(key, F::ip4_src);
    at.field(key, F::ip4_dst);
    at.append(rest);
    return at.bytes;
}

Bytes ip6_bytes(const FlowKey& key, const Bytes& rest) {
    Writer at;
    const std::uint64_t frag = low(key, F::ip_frag);
    const bool later = (frag & frag_later) != 0;
    at.number(std::uint64_t{6} << 28 | low(key, F::ip_tos) << 20 | low(key, F::ip6_label), 4);
    at.number(rest.size() + (frag != 0 ? 8 : 0), 2);
    at.number(frag != 0 ? ipproto::fragment : low(key, F::ip_proto), 1);
    at.field(key, F::ip_ttl);
    at.field(key, F::ip6_src);
    at.field(key, F::ip6_dst);
    if (frag != 0) {
        at.number(later ? ipproto::udp : low(key, F::ip_proto), 1);
        at.number(0, 1);
        at.number(later ? 0x0080 : 0x0001, 2);
        at.number(77, 4);
    }
    at.append(rest);
    return at.bytes;
}

Bytes arp_bytes(const FlowKey& key) {
    Writer at;
    at.number(0x0001'0800'0604, 6);
    at.field(key, F::arp_op);
    at.field(key, F::arp_sha);
    at.field(key, F::arp_spa);
    at.field(key, F::arp_tha);
    at.field(key, F::arp_tpa);
    return at.bytes;
}

/// Protocols that a packet may name without having an L4 that parse knows: none of IPv6's extension
/// headers.
bool is_lone_protocol(std::uint64_t proto, bool is_ip6) {
    constexpr std::array known = {ipproto::tcp, ipproto::udp, ipproto::sctp};
    constexpr std::array extensions = {
        ipproto::hop_by_hop,
        ipproto::routing,
        ipproto::fragment,
        ipproto::authentication,
        ipproto::destination};
    if (std::find(known.begin(), known.end(), proto) != known.end())
        return false;
    if (!is_ip6)
        return proto != ipproto::icmp4 && proto != ipproto::igmp;
    return proto != ipproto::icmp6 &&
           std::find(extensions.begin(), extensions.end(), proto) == extensions.end();
}

/// Makes the numbers agree with the shape.
void agree(FlowKey& key, const Kind& kind) {
    if (kind.shape != Shape::none)
        put(key, F::eth_type, U128{kind.eth_type});
    const std::uint64_t type = low(key, F::eth_type);
    if (kind.shape == Shape::none &&
        (type < ether::first_type || ether::is_tag(static_cast<std::uint32_t>(type)) ||
         type == ether::ip4 || type == ether::ip6 || type == ether::arp || type == ether::rarp))
        put(key, F::eth_type, U128{kind.eth_type});
    if (!key.is(Shape::ip))
        return;
    const bool is_ip6 = key.is(Shape::ip6);
    const bool has_l4 = kind.proto.has_value();
    std::uint64_t frag = low(key, F::ip_frag) & 3;
    if (frag == frag_later || (has_l4 && frag == (frag_any | frag_later)))
        frag = has_l4 ? frag_any : frag_any | frag_later;
    put(key, F::ip_frag, U128{frag});
    if (has_l4)
        put(key, F::ip_proto, U128{*kind.proto});
    else if ((frag & frag_later) != 0 && is_ip6)
        put(key, F::ip_proto, U128{ipproto::fragment});
    else if ((frag & frag_later) == 0 && !is_lone_protocol(low(key, F::ip_proto), is_ip6))
        put(key, F::ip_proto, U128{ipproto::none});
    const std::uint64_t type_code = low(key, F::icmp6_type) << 8 | low(key, F::icmp6_code);
    if (key.is(Shape::icmp6) &&
        (type_code == 135 << 8 || type_code == 136 << 8)) // what follows is its target
        key.word[0] |= std::uint64_t{static_cast<std::uint16_t>(Shape::nd)} << 48;
    if (key.is(Shape::nd)) {
        put(key, F::icmp6_type, U128{low(key, F::icmp6_type) % 2 != 0 ? 135u : 136u});
        put(key, F::icmp6_code, U128{});
        const bool sll = key.is(Shape::nd_sll), tll = key.is(Shape::nd_tll);
        const std::uint64_t first = sll && tll ? low(key, F::nd_options_type) % 2 + 1
                                    : sll      ? 1
                                    : tll      ? 2
                                               : 0;
        put(key, F::nd_options_type, U128{first});
    }
}

bool allows(const Term& term, Shape shape) {
    const U128 bits{static_cast<std::uint16_t>(shape)};
    return std::all_of(term.fields.begin(), term.fields.end(), [&](const FieldMatch& match) {
        return match.field != F::shape || (bits & match.mask) == match.value;
    });
}

/// A whole shape that the term allows, and its kind. Without any: no headers at all.
std::pair<Kind, Shape> random_shape(Random& random, const Term& term) {
    std::vector<std::pair<Kind, Shape>> allowed;
    for (const Kind& kind : kinds)
        for (const Shape tags : tag_shapes)
            if (allows(term, kind.shape | tags))
                allowed.emplace_back(kind, kind.shape | tags);
    if (allowed.empty())
        return {kinds[0], Shape::none};
    return allowed[below(random, allowed.size())];
}

} // namespace

std::size_t below(Random& random, std::size_t count) {
    return static_cast<std::size_t>(random() % count);
}
bool chance(Random& random, unsigned percent) {
    return random() % 100 < percent;
}

Bytes packet_bytes(const FlowKey& key, std::size_t payload_bytes) {
    const Bytes payload(payload_bytes, std::byte{0x5a});
    Bytes l3;
    if (key.is(Shape::arp)) {
        l3 = arp_bytes(key);
        l3.insert(l3.end(), payload.begin(), payload.end());
    } else {
        Bytes rest = l4_bytes(key);
        // What stands behind neighbour discovery must not look like an option.
        const Bytes& tail = key.is(Shape::nd) ? Bytes(payload_bytes, std::byte{0}) : payload;
        rest.insert(rest.end(), tail.begin(), tail.end());
        l3 = key.is(Shape::ip4)   ? ip4_bytes(key, rest)
             : key.is(Shape::ip6) ? ip6_bytes(key, rest)
                                  : rest;
    }
    Writer at;
    at.field(key, F::eth_dst);
    at.field(key, F::eth_src);
    if (key.is(Shape::vlan)) {
        at.number(key.is(Shape::vlan1) ? ether::qinq : ether::vlan, 2);
        at.field(key, F::vlan_tci);
    }
    if (key.is(Shape::vlan1)) {
        at.number(ether::vlan, 2);
        at.field(key, F::vlan1_tci);
    }
    at.field(key, F::eth_type);
    at.append(l3);
    return at.bytes;
}

void Values::add(const Match& match) {
    for (const Term& term : match.terms)
        for (const FieldMatch& field : term.fields)
            add(field.field, field.value);
}

void Values::add(FieldId field, U128 value) {
    auto& known = of_[static_cast<std::size_t>(field)];
    if (std::find(known.begin(), known.end(), value) == known.end())
        known.push_back(value);
}

U128 Values::some(Random& random, const FieldInfo& field) const {
    const auto& known = of_[static_cast<std::size_t>(field.id)];
    if (!known.empty() && chance(random, 60))
        return known[below(random, known.size())];
    if (chance(random, 60))
        return U128{random() % 4} & low_bits(field.bits);
    return U128{random(), random()} & low_bits(field.bits);
}

FlowKey random_key(Random& random, const Values& values, const Term& term) {
    const auto [kind, shape] = random_shape(random, term);
    FlowKey key{};
    set(key, info(F::shape), U128{static_cast<std::uint16_t>(shape)}, low_bits(16));
    for (const FieldInfo& field : all_fields())
        if (field.id != F::shape && !field.is_view() && !is_name(field.id) &&
            key.is(field.requires_shape))
            put(key, field.id, values.some(random, field));
    if (chance(random, 75)) // most packets are whole
        put(key, F::ip_frag, U128{});
    put(key, F::conj_id, U128{});
    for (const FieldMatch& match : term.fields)
        if (match.field != F::shape && !is_name(match.field) &&
            key.is(info(match.field).requires_shape))
            set(key, info(match.field), match.value, match.mask);
    agree(key, kind);
    return key;
}

bool is_header_field(FieldId field) {
    return field == F::shape || field == F::nd_reserved || field == F::nd_options_type ||
           (field >= F::eth_src && field <= F::nd_tll);
}

} // namespace weft::oracle
