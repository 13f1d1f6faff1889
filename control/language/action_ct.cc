// ct() and what stands in it.
#include "control/language/action_parser.hh"

namespace weft::language {

bool ActionParser::ct(Actions& out) {
    action::Ct ct;
    return arguments([&] { return ct_argument(ct); }) && add(out, std::move(ct));
}

bool ActionParser::ct_argument(action::Ct& ct) {
    if (in_.accept_word("zone")) {
        if (!in_.expect(Kind::assign))
            return false;
        if (in_.is(Kind::name))
            return slice(ct.zone.emplace<FieldSlice>());
        return number("a zone", max16, ct.zone.emplace<std::uint16_t>());
    }
    if (in_.accept_word("commit"))
        return ct.commit = true;
    if (in_.accept_word("force"))
        return ct.force = true;
    if (in_.accept_word("nat"))
        return nat(ct.nat.emplace());
    if (in_.accept_word("next"))
        return assigned("a table", max32, ct.next.emplace());
    if (in_.accept_word("exec")) {
        ct.exec.clear();
        return in_.expect(Kind::open_brace) && list(Kind::close_brace, true, ct.exec);
    }
    return in_.fail_expected("zone, commit, force, nat, next or exec");
}

bool ActionParser::nat(action::Nat& nat) {
    nat.kind = action::Nat::Kind::restore;
    if (!in_.is(Kind::open))
        return true;
    return arguments([&] { return nat_argument(nat); });
}

bool ActionParser::nat_argument(action::Nat& nat) {
    const bool is_src = in_.is_word("src"), is_dst = in_.is_word("dst");
    if (is_src || is_dst) {
        nat.kind = is_src ? action::Nat::Kind::src : action::Nat::Kind::dst;
        in_.advance();
        if (!in_.accept(Kind::assign))
            return true;
        Constant address;
        if (!in_.token().is_constant() || !in_.constant(address))
            return in_.fail_expected("an address");
        if ((address.kind != Kind::ip4 && address.kind != Kind::ip6) || address.mask ||
            address.last_kind != address.kind)
            return in_.fail(
                address.at, "bad_value", "nat takes an address or a range: 10.0.0.1..10.0.0.9"
            );
        nat.has_address = true;
        nat.is_ip6 = address.kind == Kind::ip6;
        nat.address_first = address.first;
        nat.address_last = address.last;
        return true;
    }
    if (in_.accept_word("ports")) {
        if (!assigned("a port", max16, nat.port_first))
            return false;
        nat.port_last = nat.port_first;
        return !in_.accept(Kind::range) || number("a port", max16, nat.port_last);
    }
    if (in_.accept_word("hash"))
        return nat.hash = true;
    if (in_.accept_word("random"))
        return nat.random = true;
    if (in_.accept_word("persistent"))
        return nat.persistent = true;
    return in_.fail_expected("src, dst, ports, hash, random or persistent");
}

} // namespace weft::language
