#include "control/language/language.hh"
#include "control/language/values.hh"

#include <array>
#include <string_view>

namespace weft {

namespace language {

namespace {

class ActionPrinter {
public:
    explicit ActionPrinter(std::string& out) : out_{out} {}

    /// With a blank between statements.
    void list(const Actions& actions) {
        bool first = true;
        for (const Action& action : actions) {
            if (!first)
                out_ += ' ';
            first = false;
            statement(action);
        }
    }
    void statement(const Action& action) {
        std::visit([this](const auto& of) { print(of); }, action.of);
        out_ += ';';
    }

private:
    void slice(FieldSlice slice) { append_slice(out_, slice); }
    void word_and_number(std::string_view word, std::uint64_t value) {
        out_.append(word).append("(");
        append_decimal(out_, value);
        out_ += ')';
    }
    void begin(std::string_view word) {
        out_.append(word).append("(");
        between_ = false;
    }
    void separate() {
        if (between_)
            out_ += ", ";
        between_ = true;
    }
    void word(std::string_view word) {
        separate();
        out_ += word;
    }
    void named(std::string_view name, std::uint64_t value) {
        word(name);
        out_ += '=';
        append_decimal(out_, value);
    }
    void named_unless(std::uint64_t usual, std::string_view name, std::uint64_t value) {
        if (value != usual)
            named(name, value);
    }
    void end() {
        out_ += ')';
        between_ = true;
    }
    /// ` { a; b; }`
    void braces(const Actions& body) {
        out_ += " { ";
        list(body);
        out_ += body.empty() ? "}" : " }";
    }

    /// A slice's value: addresses only where the whole field is one.
    void value(FieldSlice to, U128 value) {
        const FieldInfo& field = info(to.field);
        FieldFormat format = field.format;
        if (to != whole(field) && format != FieldFormat::decimal)
            format = FieldFormat::hex;
        // vlan.vid, ip.dscp: slices of hexadecimal fields with decimal names
        if (to.field == FieldId::vlan_tci || to.field == FieldId::vlan1_tci ||
            to.field == FieldId::ip_tos)
            format = to == whole(field) ? FieldFormat::hex : FieldFormat::decimal;
        append_value(out_, format, value);
    }

    void print(const action::Output& of) {
        begin("output");
        separate();
        if (const auto* port = std::get_if<std::string>(&of.to)) {
            append_quoted(out_, *port);
        } else if (const auto* field = std::get_if<FieldSlice>(&of.to)) {
            const bool is_inport = *field == whole(info(FieldId::inport));
            is_inport ? static_cast<void>(out_ += "inport[0..31]") : slice(*field);
        } else {
            constexpr std::array<std::string_view, 4> names = {"inport", "normal", "flood", "all"};
            out_ += names[static_cast<std::size_t>(std::get<action::Reserved>(of.to))];
        }
        named_unless(0, "max_bytes", of.max_bytes);
        end();
    }
    void print(const action::Drop&) { out_ += "drop"; }
    void print(const action::Set& of) {
        slice(of.to);
        out_ += " = ";
        if (of.port.empty())
            value(of.to, of.value);
        else
            append_quoted(out_, of.port);
    }
    void print(const action::Move& of) {
        slice(of.to);
        out_ += " = ";
        slice(of.from);
    }
    void print(const action::Push& of) {
        begin("push");
        slice(of.from);
        end();
    }
    void print(const action::Pop& of) {
        begin("pop");
        slice(of.to);
        end();
    }
    void print(const action::PushVlan& of) {
        begin("vlan.push");
        append_hex(out_, of.tpid);
        end();
    }
    void print(const action::PopVlan&) { out_ += "vlan.pop"; }
    void print(const action::DecTtl&) { out_ += "ip.ttl--"; }
    void print(const action::Call& of) { word_and_number("call", of.table); }
    void print(const action::Goto& of) { word_and_number("goto", of.table); }
    void print(const action::Clone& of) {
        out_ += "clone";
        braces(of.body);
    }
    void print(const action::Group& of) { word_and_number("group", of.group); }
    void print(const action::Meter& of) { word_and_number("meter", of.meter); }
    void print(const action::Ct& of) {
        begin("ct");
        if (const auto* zone = std::get_if<FieldSlice>(&of.zone)) {
            word("zone=");
            slice(*zone);
        } else {
            named_unless(0, "zone", std::get<std::uint16_t>(of.zone));
        }
        if (of.commit)
            word("commit");
        if (of.force)
            word("force");
        if (of.nat)
            nat(*of.nat);
        if (of.next)
            named("next", *of.next);
        if (!of.exec.empty()) {
            word("exec");
            braces(of.exec);
        }
        end();
    }
    void nat(const action::Nat& of) {
        if (of.kind == action::Nat::Kind::restore)
            return word("nat");
        separate();
        begin("nat");
        word(of.kind == action::Nat::Kind::src ? "src" : "dst");
        if (of.has_address) {
            const FieldFormat format = of.is_ip6 ? FieldFormat::ip6 : FieldFormat::ip4;
            out_ += '=';
            append_value(out_, format, of.address_first);
            if (of.address_first != of.address_last) {
                out_ += "..";
                append_value(out_, format, of.address_last);
            }
        }
        if (of.port_first != 0) {
            named("ports", of.port_first);
            if (of.port_first != of.port_last) {
                out_ += "..";
                append_decimal(out_, of.port_last);
            }
        }
        if (of.hash)
            word("hash");
        if (of.random)
            word("random");
        if (of.persistent)
            word("persistent");
        end();
    }
    void print(const action::CtClear&) { out_ += "ct_clear"; }
    void print(const action::Learn& of) {
        begin("learn");
        named("table", of.table);
        named("priority", of.priority);
        named_unless(0, "idle_timeout", of.idle_timeout_s);
        named_unless(0, "hard_timeout", of.hard_timeout_s);
        if (of.cookie != 0) {
            word("cookie=");
            append_hex(out_, U128{of.cookie});
        }
        if (of.delete_learned)
            word("delete_learned");
        if (!of.match.empty()) {
            separate();
            begin("match");
            specs(of.match);
            end();
        }
        if (!of.load.empty() || of.output) {
            separate();
            begin("actions");
            specs(of.load);
            if (of.output) {
                word("output(");
                slice(*of.output);
                out_ += ')';
            }
            end();
        }
        end();
    }
    void specs(const std::vector<action::Learn::Spec>& list) {
        for (const auto& spec : list) {
            separate();
            slice(spec.to);
            out_ += " = ";
            if (spec.from)
                slice(*spec.from);
            else
                value(spec.to, spec.value);
        }
    }
    void print(const action::Conjunction& of) {
        begin("conjunction");
        append_decimal(out_, of.id);
        out_ += ", ";
        append_decimal(out_, of.clause);
        out_ += '/';
        append_decimal(out_, of.count);
        end();
    }
    void print(const action::Controller& of) {
        begin("controller");
        named_unless(action::Controller{}.reason, "reason", of.reason);
        named_unless(action::Controller{}.max_bytes, "max_bytes", of.max_bytes);
        if (!of.userdata.empty()) {
            word("userdata=");
            constexpr std::string_view digits = "0123456789abcdef";
            for (const char& c : of.userdata) {
                if (&c != of.userdata.data())
                    out_ += '.';
                out_ += digits[static_cast<unsigned char>(c) >> 4];
                out_ += digits[static_cast<unsigned char>(c) & 0xf];
            }
        }
        named_unless(0, "meter", of.meter);
        if (of.pause)
            word("pause");
        end();
    }
    void print(const action::Sample& of) {
        begin("sample");
        named("probability", of.probability);
        named_unless(0, "collector", of.collector);
        named_unless(0, "domain", of.domain);
        if (const auto* field = std::get_if<FieldSlice>(&of.point)) {
            word("point=");
            slice(*field);
        } else {
            named_unless(0, "point", std::get<std::uint32_t>(of.point));
        }
        end();
    }
    void print(const action::CheckPacketLarger& of) {
        slice(of.to);
        out_ += " = ";
        word_and_number("check_pkt_larger", of.bytes);
    }
    void print(const action::SetQueue& of) { word_and_number("set_queue", of.queue); }
    void print(const action::Bundle& of) {
        begin("bundle");
        word("eth_src");
        word("active_backup");
        separate();
        begin("ports");
        for (const std::string& port : of.ports) {
            separate();
            append_quoted(out_, port);
        }
        end();
        end();
    }

    std::string& out_;
    bool between_ = false; // an argument stands before
};

} // namespace

} // namespace language

std::string print(const Actions& actions) {
    std::string out;
    language::ActionPrinter{out}.list(actions);
    return out;
}

std::string print(const Action& action) {
    std::string out;
    language::ActionPrinter{out}.statement(action);
    return out;
}

std::string print(FieldSlice slice) {
    std::string out;
    language::append_slice(out, slice);
    return out;
}

} // namespace weft
