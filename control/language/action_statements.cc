// The statements that take at most a list of plain arguments.
#include "control/language/action_parser.hh"

namespace weft::language {

bool ActionParser::output(Actions& out) {
    action::Output output;
    if (!in_.is(Kind::open)) {
        output.to = whole(info(FieldId::outport));
        return add(out, std::move(output));
    }
    in_.advance();
    if (in_.is(Kind::string)) {
        if (!in_.port(output.to.emplace<std::string>()))
            return false;
    } else if (in_.accept_word("normal")) {
        output.to = action::Reserved::normal;
    } else if (in_.accept_word("flood")) {
        output.to = action::Reserved::flood;
    } else if (in_.accept_word("all")) {
        output.to = action::Reserved::all;
    } else {
        const bool is_inport = in_.is_word("inport");
        FieldRef field{in_.token().at, nullptr, {}};
        if (!in_.is(Kind::name))
            return in_.fail_expected("a port, a field, inport, normal, flood or all");
        field.symbol = find_symbol(in_.token().text);
        if (field.symbol == nullptr || field.symbol->is_predicate())
            return in_.fail_unknown_field();
        field.slice = field.symbol->slice;
        in_.advance();
        // the port of ingress; with [0..31] what stands in the field
        if (is_inport && !in_.is(Kind::open_bracket))
            output.to = action::Reserved::inport;
        else if (in_.slice_of(field))
            output.to = narrowest(field.slice);
        else
            return false;
    }
    if (in_.accept(Kind::comma) &&
        !(in_.accept_word("max_bytes") ? assigned("max_bytes", max32, output.max_bytes)
                                       : in_.fail_expected("max_bytes")))
        return false;
    return in_.expect(Kind::close) && add(out, std::move(output));
}

bool ActionParser::push(Actions& out) {
    action::Push push;
    return in_.expect(Kind::open) && slice(push.from) && in_.expect(Kind::close) && add(out, push);
}

bool ActionParser::pop(Actions& out) {
    action::Pop pop;
    return in_.expect(Kind::open) && slice(pop.to) && in_.expect(Kind::close) && add(out, pop);
}

bool ActionParser::push_vlan(Actions& out) {
    action::PushVlan push;
    return in_parentheses("a VLAN type", max16, push.tpid) && add(out, push);
}

bool ActionParser::call(Actions& out) {
    action::Call call;
    return in_parentheses("a table", max32, call.table) && add(out, call);
}

bool ActionParser::jump(Actions& out) {
    action::Goto jump;
    return in_parentheses("a table", max32, jump.table) && add(out, jump);
}

bool ActionParser::clone(Actions& out) {
    if (clones_ == LanguageLimits::clones_max)
        return in_.fail(
            in_.token().at,
            "bad_actions",
            "clones are nested deeper than " + std::to_string(LanguageLimits::clones_max)
        );
    ++clones_;
    action::Clone clone;
    if (!in_.expect(Kind::open_brace) || !list(Kind::close_brace, false, clone.body))
        return false;
    --clones_;
    return add(out, std::move(clone));
}

bool ActionParser::group(Actions& out) {
    action::Group group;
    return in_parentheses("a group", max32, group.group) && add(out, group);
}

bool ActionParser::meter(Actions& out) {
    action::Meter meter;
    return in_parentheses("a meter", max32, meter.meter) && add(out, meter);
}

bool ActionParser::conjunction(Actions& out) {
    action::Conjunction of;
    return in_.expect(Kind::open) && number("a conjunction", max32, of.id) &&
           in_.expect(Kind::comma) && number("a clause", max8, of.clause) &&
           in_.expect(Kind::slash) && number("a count of clauses", max8, of.count) &&
           in_.expect(Kind::close) && add(out, of);
}

bool ActionParser::controller(Actions& out) {
    action::Controller punt;
    return arguments([&] {
               if (in_.accept_word("reason"))
                   return assigned("a reason", max8, punt.reason);
               if (in_.accept_word("max_bytes"))
                   return assigned("max_bytes", max16, punt.max_bytes);
               if (in_.accept_word("userdata"))
                   return in_.dotted_bytes(Kind::assign, max16, punt.userdata);
               if (in_.accept_word("meter"))
                   return assigned("a meter", max32, punt.meter);
               if (in_.accept_word("pause"))
                   return punt.pause = true;
               return in_.fail_expected("reason, max_bytes, userdata, meter or pause");
           }) &&
           add(out, std::move(punt));
}

bool ActionParser::sample(Actions& out) {
    action::Sample sample;
    return arguments([&] {
               if (in_.accept_word("probability"))
                   return assigned("a probability", max16, sample.probability);
               if (in_.accept_word("collector"))
                   return assigned("a collector", max32, sample.collector);
               if (in_.accept_word("domain"))
                   return assigned("a domain", max32, sample.domain);
               if (!in_.accept_word("point"))
                   return in_.fail_expected("probability, collector, domain or point");
               if (!in_.expect(Kind::assign))
                   return false;
               if (in_.is(Kind::name))
                   return slice(sample.point.emplace<FieldSlice>());
               return number("a point", max32, sample.point.emplace<std::uint32_t>());
           }) &&
           add(out, sample);
}

bool ActionParser::set_queue(Actions& out) {
    action::SetQueue queue;
    return in_parentheses("a queue", max32, queue.queue) && add(out, queue);
}

bool ActionParser::bundle(Actions& out) {
    action::Bundle bundle;
    const auto word = [&](std::string_view known) {
        return in_.accept_word(known) || in_.fail_expected(known);
    };
    const auto port = [&] { return in_.port(bundle.ports.emplace_back()); };
    return in_.expect(Kind::open) && word("eth_src") && in_.expect(Kind::comma) &&
           word("active_backup") && in_.expect(Kind::comma) && word("ports") && arguments(port) &&
           in_.expect(Kind::close) && add(out, std::move(bundle));
}

} // namespace weft::language
