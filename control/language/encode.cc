// Numbers are in base 128, the low digits first, with the top bit set on all bytes but the last, so
// they end by themselves; strings and lists begin with their length; statements begin with their
// number. So no encoding is the beginning of another.

#include "control/language/encode.hh"

#include <algorithm>

namespace weft {

namespace {

class Encoder {
public:
    explicit Encoder(std::string& out) : out_{out} {}

    void number(U128 value) {
        while (value > U128{0x7f}) {
            out_ += static_cast<char>(0x80 | (value.low & 0x7f));
            value = value >> 7;
        }
        out_ += static_cast<char>(value.low);
    }
    void number(std::uint64_t value) { number(U128{value}); }
    void flag(bool value) { number(std::uint64_t{value}); }
    void text(std::string_view bytes) {
        number(bytes.size());
        out_ += bytes;
    }
    void slice(FieldSlice of) {
        number(static_cast<std::uint64_t>(of.field));
        number(of.lsb);
        number(of.bits);
    }

    void term(const Term& term) {
        number(term.fields.size());
        for (const FieldMatch& match : term.fields) {
            // an odd number: a name follows
            number(static_cast<std::uint64_t>(match.field) << 1 | !match.port.empty());
            if (match.port.empty()) {
                number(match.value);
                number(match.mask);
            } else {
                text(match.port);
            }
        }
    }

    void list(const Actions& actions) {
        number(actions.size());
        for (const Action& action : actions)
            std::visit([this](const auto& of) { statement(of); }, action.of);
    }

private:
    // The first number of each is for ever: append, never renumber.
    void statement(const action::Output& of) {
        number(1);
        number(of.to.index());
        if (const auto* port = std::get_if<std::string>(&of.to))
            text(*port);
        else if (const auto* field = std::get_if<FieldSlice>(&of.to))
            slice(*field);
        else
            number(static_cast<std::uint64_t>(std::get<action::Reserved>(of.to)));
        number(of.max_bytes);
    }
    void statement(const action::Drop&) { number(2); }
    void statement(const action::Set& of) {
        number(3);
        slice(of.to);
        flag(!of.port.empty());
        if (of.port.empty())
            number(of.value);
        else
            text(of.port);
    }
    void statement(const action::Move& of) {
        number(4);
        slice(of.from);
        slice(of.to);
    }
    void statement(const action::Push& of) {
        number(5);
        slice(of.from);
    }
    void statement(const action::Pop& of) {
        number(6);
        slice(of.to);
    }
    void statement(const action::PushVlan& of) {
        number(7);
        number(of.tpid);
    }
    void statement(const action::PopVlan&) { number(8); }
    void statement(const action::DecTtl&) { number(9); }
    void statement(const action::Call& of) {
        number(10);
        number(of.table);
    }
    void statement(const action::Goto& of) {
        number(11);
        number(of.table);
    }
    void statement(const action::Clone& of) {
        number(12);
        list(of.body);
    }
    void statement(const action::Group& of) {
        number(13);
        number(of.group);
    }
    void statement(const action::Meter& of) {
        number(14);
        number(of.meter);
    }
    void statement(const action::Ct& of) {
        number(15);
        number(of.zone.index());
        if (const auto* zone = std::get_if<FieldSlice>(&of.zone))
            slice(*zone);
        else
            number(std::get<std::uint16_t>(of.zone));
        flag(of.commit);
        flag(of.force);
        flag(of.nat.has_value());
        if (of.nat)
            nat(*of.nat);
        flag(of.next.has_value());
        if (of.next)
            number(*of.next);
        list(of.exec);
    }
    void nat(const action::Nat& of) {
        number(static_cast<std::uint64_t>(of.kind));
        flag(of.has_address);
        flag(of.is_ip6);
        number(of.address_first);
        number(of.address_last);
        number(of.port_first);
        number(of.port_last);
        flag(of.hash);
        flag(of.random);
        flag(of.persistent);
    }
    void statement(const action::CtClear&) { number(16); }
    void statement(const action::Learn& of) {
        number(17);
        number(of.table);
        number(of.priority);
        number(of.idle_timeout_s);
        number(of.hard_timeout_s);
        number(of.cookie);
        flag(of.delete_learned);
        specs(of.match);
        specs(of.load);
        flag(of.output.has_value());
        if (of.output)
            slice(*of.output);
    }
    void specs(const std::vector<action::Learn::Spec>& list) {
        number(list.size());
        for (const auto& spec : list) {
            slice(spec.to);
            flag(spec.from.has_value());
            if (spec.from)
                slice(*spec.from);
            else
                number(spec.value);
        }
    }
    void statement(const action::Conjunction& of) {
        number(18);
        number(of.id);
        number(of.clause);
        number(of.count);
    }
    void statement(const action::Controller& of) {
        number(19);
        number(of.reason);
        number(of.max_bytes);
        text(of.userdata);
        number(of.meter);
        flag(of.pause);
    }
    void statement(const action::Sample& of) {
        number(20);
        number(of.probability);
        number(of.collector);
        number(of.domain);
        number(of.point.index());
        if (const auto* field = std::get_if<FieldSlice>(&of.point))
            slice(*field);
        else
            number(std::get<std::uint32_t>(of.point));
    }
    void statement(const action::CheckPacketLarger& of) {
        number(21);
        number(of.bytes);
        slice(of.to);
    }
    void statement(const action::SetQueue& of) {
        number(22);
        number(of.queue);
    }
    void statement(const action::Bundle& of) {
        number(23);
        number(of.ports.size());
        for (const std::string& port : of.ports)
            text(port);
    }

    std::string& out_;
};

} // namespace

void encode(const Match& match, std::string& out) {
    Encoder encoder{out};
    encoder.number(match.terms.size());
    for (const Term& term : match.terms)
        encoder.term(term);
}

void encode(const Actions& actions, std::string& out) {
    Encoder{out}.list(actions);
}

} // namespace weft
