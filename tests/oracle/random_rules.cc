#include "tests/oracle/random_rules.hh"

#include <array>

namespace weft::oracle {

namespace {

using F = FieldId;

/// A field that random rules ask for, and the values and masks they use; a mask of 0 stands for all
/// bits.
struct AskedField {
    F field;
    std::vector<U128> values;
    std::vector<U128> masks;
};

const std::vector<AskedField>& fields() {
    static const std::vector<AskedField> all = {
        {F::inport, {1, 2, 3, 0}, {0}},
        {F::metadata, {0, 1, 2, U128{1ull << 40}}, {0, 3, U128{0xff'0000'0003}}},
        {F::reg0, {0, 1, 2, 5}, {0, 1, 7, 0xffff}},
        {F::reg1, {0, 1, 0x8000'0001}, {0, 0x8000'0000}},
        {F::reg3, {0, 1, 2}, {0, 1, 2, 3}},
        {F::reg15, {0, 1, 2, 3}, {0}},
        {F::xxreg1, {0, 1, U128{1, 0}}, {1, U128{1, 0}, 0}},
        {F::pkt_mark, {0, 1, 7}, {0, 1}},
        {F::eth_src, {0x0200'0000'0001, 0x0200'0000'0002}, {0, 0xff}},
        {F::eth_dst, {0x0200'0000'0001, 0x0200'0000'0002, 0xffff'ffff'ffff}, {0, 0x0100'0000'0000}},
        {F::eth_type, {0x0800, 0x86dd, 0x88b5}, {0}},
        {F::vlan_vid, {0, 1, 5, 100}, {0, 1}},
        {F::vlan_pcp, {0, 3}, {0}},
        {F::vlan1_tci, {0, 5}, {0}},
        {F::ip_proto, {6, 17, 47}, {0}},
        {F::ip_ttl, {0, 1, 2, 64}, {0}},
        {F::ip_dscp, {0, 46}, {0}},
        {F::ip_frag, {0, 1, 3}, {1, 2, 3}},
        {F::ip4_src, {0x0a00'0001, 0x0a00'0002, 0x0a00'0100}, {0, 0xffff'ff00, 0xff00'0000}},
        {F::ip4_dst, {0x0a00'0001, 0x0a00'0002, 0xe000'0001}, {0, 0xffff'fffe, 0xf000'0000}},
        {F::ip6_src, {U128{0xfd00ull << 48, 1}, U128{0xfe80ull << 48, 2}}, {0, U128{~0ull, 0}}},
        {F::ip6_dst,
         {U128{0xfd00ull << 48, 1}, U128{0xff02ull << 48, 1}},
         {0, U128{0xff00ull << 48, 0}}},
        {F::ip6_label, {0, 1}, {0}},
        {F::arp_op, {1, 2}, {0}},
        {F::arp_spa, {0x0a00'0001, 0x0a00'0002}, {0}},
        {F::arp_sha, {0x0200'0000'0001}, {0}},
        {F::tcp_src, {1, 80}, {0}},
        {F::tcp_dst, {80, 81, 443}, {0, 0xfffe}},
        {F::tcp_flags, {2, 0x12}, {0, 2, 0x10}},
        {F::udp_dst, {53, 80}, {0}},
        {F::sctp_dst, {80}, {0}},
        {F::icmp4_type, {0, 8}, {0}},
        {F::icmp6_type, {128, 135, 136}, {0}},
        {F::nd_target, {U128{0xfd00ull << 48, 1}}, {0}},
        {F::nd_sll, {0x0200'0000'0001}, {0}},
        {F::nd_reserved, {0, 0x8000'0000}, {0x8000'0000}},
        {F::nd_options_type, {0, 1, 2}, {0}},
        {F::ct_state, {0, 0x21, 0x22}, {0x20, 0x3f}},
        {F::ct_mark, {0, 1}, {1}},
        {F::tun_id, {0, 1}, {0}},
        {F::queue, {0, 1}, {0}},
    };
    return all;
}

U128 pick(Random& random, const std::vector<U128>& of) {
    return of[below(random, of.size())];
}

template <class T>
const T& pick(Random& random, const std::vector<T>& of) {
    return of[below(random, of.size())];
}

Term random_term(Random& random, std::size_t fields_max) {
    Term term;
    const std::size_t count = below(random, fields_max + 1);
    for (std::size_t i = 0; i < count; ++i) {
        const AskedField& asked = pick(random, fields());
        const U128 all = low_bits(info(asked.field).bits);
        const U128 mask = pick(random, asked.masks);
        const U128 used = mask ? mask & all : all;
        term.fields.push_back({asked.field, pick(random, asked.values) & used, used, {}});
    }
    if (chance(random, fields_max > 1 ? 30 : 10)) {
        static constexpr std::array shapes = {
            Shape::vlan,
            Shape::vlan1,
            Shape::ip,
            Shape::ip4,
            Shape::ip6,
            Shape::arp,
            Shape::tcp,
            Shape::udp,
            Shape::icmp4,
            Shape::icmp6,
            Shape::nd,
            Shape::nd_sll,
        };
        const U128 bit{static_cast<std::uint16_t>(shapes[below(random, shapes.size())])};
        term.fields.push_back({F::shape, chance(random, 70) ? bit : U128{}, bit, {}});
    }
    return term;
}

/// Registers and what most packets have more often than others, but any field that there is.
F random_field(Random& random, bool to_write) {
    static const std::vector<F> registers = {
        F::reg0, F::reg1, F::reg3, F::reg15, F::xxreg1, F::metadata, F::inport};
    static const std::vector<F> headers = {
        F::eth_src,
        F::eth_dst,
        F::vlan_vid,
        F::vlan_pcp,
        F::vlan1_vid,
        F::vlan1_tci,
        F::ip_ttl,
        F::ip4_src,
        F::ip4_dst,
        F::ip6_src,
        F::ip6_dst,
        F::tcp_dst,
    };
    if (chance(random, 40))
        return pick(random, registers);
    if (chance(random, 40))
        return pick(random, headers);
    for (;;) {
        const auto field = static_cast<F>(below(random, field_count));
        if (field != F::shape && field != F::conj_id && (!to_write || info(field).writable))
            return field;
    }
}

/// Where actions read and write.
FieldSlice random_slice(Random& random, bool to_write) {
    const F field = random_field(random, to_write);
    const std::uint8_t all = info(field).bits;
    if (chance(random, 50))
        return whole(info(field));
    const auto bits = static_cast<std::uint8_t>(1 + below(random, all));
    return {field, static_cast<std::uint8_t>(below(random, all - bits + 1u)), bits};
}

FieldSlice random_slice(Random& random, bool to_write, std::uint8_t bits) {
    for (int tries = 0; tries < 20; ++tries) {
        FieldSlice slice = random_slice(random, to_write);
        const std::uint8_t all = info(slice.field).bits;
        if (all < bits)
            continue;
        return {slice.field, static_cast<std::uint8_t>(below(random, all - bits + 1u)), bits};
    }
    return {F::xxreg1, 0, bits};
}

action::Set random_set(Random& random, const Names& names) {
    if (chance(random, 10))
        return {
            whole(info(chance(random, 50) ? F::inport : F::outport)),
            {},
            pick(random, names.ports)};
    const FieldSlice to = random_slice(random, true);
    const U128 value = chance(random, 70) ? U128{random() % 4} : U128{random(), random()};
    return {to, value & low_bits(to.bits), {}};
}

action::Move random_move(Random& random) {
    const FieldSlice from = random_slice(random, false);
    return {from, random_slice(random, true, from.bits)};
}

action::Output random_output(Random& random, const Names& names) {
    action::Output output{pick(random, names.ports), chance(random, 20) ? 100u : 0u};
    const std::size_t kind = below(random, 20);
    if (kind == 0)
        output.to = action::Reserved::inport;
    else if (kind == 1)
        output.to = action::Reserved::flood;
    else if (kind == 2)
        output.to = action::Reserved::all;
    else if (kind < 6)
        output.to = whole(info(F::reg15));
    return output;
}

/// Mostly a later table; 0 to `table` sometimes, and now and then one that nobody filled.
std::uint32_t random_table(Random& random, const Names& names, std::uint32_t table) {
    if (chance(random, 3))
        return 200;
    if (chance(random, 12))
        return pick(random, names.tables);
    std::vector<std::uint32_t> later;
    for (const std::uint32_t other : names.tables)
        if (other > table)
            later.push_back(other);
    return later.empty() ? pick(random, names.tables) : pick(random, later);
}

Action random_rare(Random& random) {
    switch (below(random, 8)) {
    case 0:
        return {action::CtClear{}};
    case 1:
        return {action::Meter{1}};
    case 2:
        return {action::Ct{}};
    case 3: {
        action::Controller punt;
        punt.pause = true;
        return {punt};
    }
    case 4:
        return {action::Learn{}};
    case 5:
        return {action::SetQueue{1}};
    case 6:
        return {action::Sample{}};
    default:
        return {action::CheckPacketLarger{60, random_slice(random, true, 1)}};
    }
}

Action random_action(Random& random, const Names& names, std::uint32_t table, unsigned nested) {
    const std::size_t kind = below(random, 100);
    if (kind < 24)
        return {random_output(random, names)};
    if (kind < 44)
        return {random_set(random, names)};
    if (kind < 52)
        return {random_move(random)};
    if (kind < 57)
        return {action::Push{random_slice(random, false)}};
    if (kind < 61)
        return {action::Pop{random_slice(random, true)}};
    if (kind < 65)
        return {action::PushVlan{static_cast<std::uint16_t>(chance(random, 50) ? 0x8100 : 0x88a8)}};
    if (kind < 69)
        return {action::PopVlan{}};
    if (kind < 71)
        return {action::DecTtl{}};
    if (kind < 80)
        return {action::Call{random_table(random, names, table)}};
    if (kind < 84)
        return {action::Goto{random_table(random, names, table)}};
    if (kind < 89 && nested < 3)
        return {action::Clone{random_actions(random, names, table, 4, nested + 1)}};
    if (kind < 93)
        return {action::Group{pick(random, names.groups)}};
    if (kind < 96)
        return {action::Controller{
            static_cast<std::uint8_t>(1 + below(random, 2)), 128, "\x01\x02", 0, false}};
    if (kind < 97)
        return {action::Drop{}};
    return random_rare(random);
}

} // namespace

Match random_match(Random& random, std::size_t fields_max) {
    std::vector<Term> terms;
    terms.push_back(random_term(random, fields_max));
    while (chance(random, 15))
        terms.push_back(random_term(random, fields_max));
    return canonical(std::move(terms));
}

Match random_conj_match(Random& random, const Names& names) {
    Term term = random_term(random, 1);
    term.fields.push_back({F::conj_id, U128{pick(random, names.conjunctions)}, low_bits(32), {}});
    return canonical({term});
}

Actions random_actions(
    Random& random, const Names& names, std::uint32_t table, std::size_t count_max, unsigned nested
) {
    Actions actions;
    const std::size_t count = below(random, count_max + 1);
    for (std::size_t i = 0; i < count; ++i)
        actions.push_back(random_action(random, names, table, nested));
    return actions;
}

Actions random_clauses(Random& random, const Names& names) {
    Actions actions;
    do {
        const std::uint32_t id = pick(random, names.conjunctions);
        const auto count =
            static_cast<std::uint8_t>(2 + id % 2); // the same for every rule of the conjunction
        const auto clause = static_cast<std::uint8_t>(1 + below(random, count));
        actions.push_back({action::Conjunction{id, clause, count}});
    } while (chance(random, 20));
    return actions;
}

const Values& random_values() {
    static const Values values = [] {
        Values all;
        for (const AskedField& asked : fields())
            for (const U128 value : asked.values)
                if (!info(asked.field).is_view())
                    all.add(asked.field, value);
        all.add(F::vlan_tci, U128{5});
        all.add(F::vlan_tci, U128{0x6064});
        all.add(F::vlan1_tci, U128{1});
        return all;
    }();
    return values;
}

} // namespace weft::oracle
