#include "tests/control/random_language.hh"

#include <algorithm>
#include <array>
#include <optional>

namespace weft::test {

U128 random_value(Random& random) {
    return one_in(random, 2) ? U128{below(random, 4)} : U128{random(), random()};
}

namespace {

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

Term random_term(Random& random) {
    Term term;
    for (auto count = below(random, 6); count > 0; --count) {
        const FieldInfo& field = all_fields()[below(random, field_count)];
        const auto known = [&](const FieldMatch& match) { return match.field == field.id; };
        if (std::any_of(term.fields.begin(), term.fields.end(), known))
            continue;
        if (is_name(field.id)) { // a term has one of them at most
            static constexpr std::array names = {"a.b", "*.b", "*", "a*.b", "*.a-*.b", "a_.b"};
            if (std::none_of(term.fields.begin(), term.fields.end(), [](const FieldMatch& match) {
                    return is_name(match.field);
                }))
                term.fields.push_back(
                    {field.id, {}, low_bits(64), names[below(random, names.size())]}
                );
            continue;
        }
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

} // namespace

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

namespace {

FieldSlice random_slice(Random& random, bool writable) {
    for (;;) {
        const FieldInfo& field = all_fields()[below(random, field_count)];
        if (field.id == FieldId::shape || is_name(field.id) || field.id == FieldId::ct_mark ||
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

} // namespace

Actions random_actions(Random& random, unsigned depth) {
    Actions actions;
    for (auto count = below(random, 5); count > 0; --count)
        actions.push_back(random_action(random, depth));
    return actions;
}

} // namespace weft::test
