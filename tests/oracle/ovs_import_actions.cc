// The actions of ovs-actions(7), as dumps print them.
#include "tests/oracle/ovs_import.hh"
#include "tests/oracle/ovs_text.hh"

#include <algorithm>
#include <array>

namespace weft::oracle {

namespace {

/// The text between the brackets of "name(...)"; nothing where `text` is not that.
std::optional<std::string_view> inside(std::string_view text, std::string_view name) {
    if (!text.starts_with(name) || text.size() < name.size() + 2 || text[name.size()] != '(' ||
        text.back() != ')')
        return std::nullopt;
    return text.substr(name.size() + 1, text.size() - name.size() - 2);
}

std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
    return text.starts_with(prefix) ? std::optional{text.substr(prefix.size())} : std::nullopt;
}

std::optional<std::uint32_t> number(std::string_view text) {
    const auto value = ovs::number(text);
    return value && *value <= U128{0xffff'ffff}
               ? std::optional{static_cast<std::uint32_t>(value->low)}
               : std::nullopt;
}

/// Reads one list. What it cannot read becomes `problem`, and the rest does not matter.
class ActionReader {
public:
    std::string problem;

    Actions list(std::string_view text) {
        Actions actions;
        for (const std::string_view item : ovs::split(text, ','))
            if (!one(actions, item) && problem.empty())
                problem = "\"" + std::string{item} + "\": not an action that is known here";
        if (!actions.empty())
            if (const auto* call = std::get_if<action::Call>(&actions.back().of))
                actions.back() = {action::Goto{call->table}};
        return actions;
    }

private:
    template <class Of>
    static bool put(Actions& to, std::optional<Of> of) {
        if (of)
            to.push_back({*std::move(of)});
        return of.has_value();
    }

    bool one(Actions& to, std::string_view item) {
        if (item == "drop")
            return put(to, std::optional{action::Drop{}});
        if (item == "ct_clear")
            return put(to, std::optional{action::CtClear{}});
        if (item == "pop_vlan" || item == "strip_vlan")
            return put(to, std::optional{action::PopVlan{}});
        if (item == "dec_ttl" || item == "dec_ttl()")
            return put(to, std::optional{action::DecTtl{}});
        if (const auto text = after(item, "set_field:"))
            return set_field(to, *text);
        if (const auto text = after(item, "load:"))
            return load(to, *text);
        if (const auto text = after(item, "move:"))
            return move(to, *text);
        if (const auto text = after(item, "push:"))
            return sliced<action::Push>(to, *text);
        if (const auto text = after(item, "pop:"))
            return sliced<action::Pop>(to, *text);
        return flow_control(to, item) || special(to, item);
    }

    bool flow_control(Actions& to, std::string_view item) {
        if (const auto text = inside(item, "resubmit")) {
            const auto table = number(ovs::cut(*text, ",").right);
            return text->starts_with(",") && table && put(to, std::optional{action::Call{*table}});
        }
        if (const auto text = inside(item, "clone"))
            return put(to, std::optional{action::Clone{list(*text)}});
        if (const auto text = after(item, "group:")) {
            const auto group = number(*text);
            return group && put(to, std::optional{action::Group{*group}});
        }
        if (const auto text = after(item, "output:"))
            return output(to, *text);
        if (item == "IN_PORT")
            return put(to, std::optional{action::Output{action::Reserved::inport, 0}});
        if (item == "NORMAL")
            return put(to, std::optional{action::Output{action::Reserved::normal, 0}});
        if (item == "FLOOD")
            return put(to, std::optional{action::Output{action::Reserved::flood, 0}});
        if (item == "ALL")
            return put(to, std::optional{action::Output{action::Reserved::all, 0}});
        return false;
    }

    bool special(Actions& to, std::string_view item) {
        if (const auto text = after(item, "push_vlan:")) {
            const auto tpid = number(*text);
            return tpid &&
                   put(to, std::optional{action::PushVlan{static_cast<std::uint16_t>(*tpid)}});
        }
        if (const auto text = after(item, "meter:")) {
            const auto meter = number(*text);
            return meter && put(to, std::optional{action::Meter{*meter}});
        }
        if (const auto text = after(item, "set_queue:")) {
            const auto queue = number(*text);
            return queue && put(to, std::optional{action::SetQueue{*queue}});
        }
        if (const auto text = inside(item, "controller"))
            return put(to, controller(*text));
        if (const auto text = inside(item, "ct"))
            return put(to, ct(*text));
        if (const auto text = inside(item, "learn"))
            return put(to, learn(*text));
        if (const auto text = inside(item, "conjunction"))
            return put(to, conjunction(*text));
        if (const auto text = inside(item, "sample"))
            return put(to, sample(*text));
        const ovs::Sides sides = ovs::cut(item, "->");
        if (const auto text = inside(sides.left, "check_pkt_larger")) {
            const auto bytes = number(*text);
            const auto slice = ovs::slice(sides.right);
            return bytes && slice &&
                   put(to,
                       std::optional{
                           action::CheckPacketLarger{static_cast<std::uint16_t>(*bytes), *slice}});
        }
        return false;
    }

    bool output(Actions& to, std::string_view text) {
        if (const auto port = number(text))
            return put(to, std::optional{action::Output{"p" + std::to_string(*port), 0}});
        const auto slice = ovs::slice(text);
        return slice && put(to, std::optional{action::Output{*slice, 0}});
    }

    /// "0x20/0x20->reg10": one action for each run of bits of the mask, the highest first.
    bool set_field(Actions& to, std::string_view text) {
        const ovs::Sides arrow = ovs::cut(text, "->");
        const ovs::Sides slash = ovs::cut(arrow.left, "/");
        const auto id = ovs::field(arrow.right);
        auto value = slash.left == "ANY" ? std::optional{U128{}} : ovs::value(slash.left);
        const auto mask = slash.found ? ovs::value(slash.right) : U128{~U128{}};
        if (!id || !value || !mask)
            return false;
        const FieldInfo& field = info(*id);
        if (*id == FieldId::vlan_vid)
            *value = *value & low_bits(12); // the bit above says that there is a tag
        if (*value & ~low_bits(field.bits))
            return false;
        for (unsigned end = field.bits; end > 0;) {
            const auto bit = [&](unsigned at) { return static_cast<bool>(*mask >> at & U128{1}); };
            if (!bit(end - 1)) {
                --end;
                continue;
            }
            unsigned begin = end - 1;
            while (begin > 0 && bit(begin - 1))
                --begin;
            set(to,
                {*id, static_cast<std::uint8_t>(begin), static_cast<std::uint8_t>(end - begin)},
                *value >> begin);
            end = begin;
        }
        return true;
    }

    static void set(Actions& to, FieldSlice slice, U128 value) {
        to.push_back({action::Set{slice, value & low_bits(slice.bits), {}}});
    }

    bool load(Actions& to, std::string_view text) {
        const ovs::Sides arrow = ovs::cut(text, "->");
        const auto value = ovs::value(arrow.left);
        const auto slice = ovs::slice(arrow.right);
        if (!value || !slice)
            return false;
        set(to, *slice, *value);
        return true;
    }

    bool move(Actions& to, std::string_view text) {
        const ovs::Sides arrow = ovs::cut(text, "->");
        const auto from = ovs::slice(arrow.left);
        const auto into = ovs::slice(arrow.right);
        return from && into && from->bits == into->bits &&
               put(to, std::optional{action::Move{*from, *into}});
    }

    template <class Of>
    bool sliced(Actions& to, std::string_view text) {
        const auto slice = ovs::slice(text);
        return slice && put(to, std::optional{Of{*slice}});
    }

    std::optional<action::Controller> controller(std::string_view text) {
        action::Controller to;
        for (const std::string_view item : ovs::split(text, ',')) {
            if (item == "pause") {
                to.pause = true;
            } else if (const auto bytes = after(item, "userdata=")) {
                for (const std::string_view byte : ovs::split(*bytes, '.')) {
                    const auto value = ovs::number("0x" + std::string{byte});
                    if (!value || *value > U128{0xff})
                        return std::nullopt;
                    to.userdata.push_back(static_cast<char>(value->low));
                }
            } else if (const auto meter = after(item, "meter_id=")) {
                to.meter = number(*meter).value_or(0);
            } else if (const auto bytes_max = after(item, "max_len=")) {
                to.max_bytes = static_cast<std::uint16_t>(number(*bytes_max).value_or(0));
            } else {
                return std::nullopt;
            }
        }
        return to;
    }

    std::optional<action::Ct> ct(std::string_view text) {
        action::Ct to;
        for (const std::string_view item : ovs::split(text, ',')) {
            if (item == "commit") {
                to.commit = true;
            } else if (item == "force") {
                to.force = true;
            } else if (const auto table = after(item, "table=")) {
                to.next = number(*table);
            } else if (const auto zone = after(item, "zone=")) {
                if (const auto fixed = number(*zone))
                    to.zone = static_cast<std::uint16_t>(*fixed);
                else if (const auto slice = ovs::slice(*zone))
                    to.zone = *slice;
                else
                    return std::nullopt;
            } else if (item == "nat") {
                to.nat = action::Nat{};
            } else if (const auto nat_text = inside(item, "nat")) {
                to.nat = nat(*nat_text);
                if (!to.nat)
                    return std::nullopt;
            } else if (const auto exec = inside(item, "exec")) {
                to.exec = list(*exec);
            } else {
                return std::nullopt;
            }
        }
        return to;
    }

    /// "src", "dst=10.0.1.12:8080", "src=10.99.0.13:5000-6000", "dst=[fd00::1]:80", with ",random"
    /// and the like.
    std::optional<action::Nat> nat(std::string_view text) {
        action::Nat to;
        for (const std::string_view item : ovs::split(text, ',')) {
            const ovs::Sides sides = ovs::cut(item, "=");
            if (sides.left == "hash")
                to.hash = true;
            else if (sides.left == "random")
                to.random = true;
            else if (sides.left == "persistent")
                to.persistent = true;
            else if (sides.left == "src" || sides.left == "dst")
                to.kind = sides.left == "src" ? action::Nat::Kind::src : action::Nat::Kind::dst;
            else
                return std::nullopt;
            if (sides.found && !nat_range(to, sides.right))
                return std::nullopt;
        }
        return to;
    }

    static bool nat_range(action::Nat& to, std::string_view text) {
        std::string_view ports;
        if (text.starts_with("[")) {
            const auto end = text.find(']');
            if (end == text.npos)
                return false;
            ports = text.substr(std::min(end + 2, text.size()));
            text = text.substr(1, end - 1);
        } else if (std::count(text.begin(), text.end(), ':') == 1) {
            const ovs::Sides sides = ovs::cut(text, ":");
            text = sides.left;
            ports = sides.right;
        }
        const ovs::Sides range = ovs::cut(text, "-");
        to.is_ip6 = range.left.find(':') != range.left.npos;
        const auto address = [&](std::string_view one) {
            return to.is_ip6 ? ovs::ip6(one) : ovs::ip4(one);
        };
        const auto first = address(range.left);
        const auto last = range.found ? address(range.right) : first;
        if (!first || !last)
            return false;
        to.has_address = true;
        to.address_first = *first;
        to.address_last = *last;
        if (ports.empty())
            return true;
        const ovs::Sides port_range = ovs::cut(ports, "-");
        const auto low = number(port_range.left);
        const auto high = port_range.found ? number(port_range.right) : low;
        if (!low || !high)
            return false;
        to.port_first = static_cast<std::uint16_t>(*low);
        to.port_last = static_cast<std::uint16_t>(*high);
        return true;
    }

    std::optional<action::Learn> learn(std::string_view text) {
        action::Learn to;
        for (const std::string_view item : ovs::split(text, ',')) {
            const ovs::Sides sides = ovs::cut(item, "=");
            const auto value = ovs::number(sides.right);
            const auto plain = static_cast<std::uint32_t>(value ? value->low : 0);
            if (item == "delete_learned")
                to.delete_learned = true;
            else if (sides.left == "table")
                to.table = plain;
            else if (sides.left == "priority")
                to.priority = plain;
            else if (sides.left == "idle_timeout")
                to.idle_timeout_s = plain;
            else if (sides.left == "hard_timeout")
                to.hard_timeout_s = plain;
            else if (sides.left == "cookie")
                to.cookie = value ? value->low : 0;
            else if (!learn_spec(to, item))
                return std::nullopt;
        }
        return to;
    }

    static bool learn_spec(action::Learn& to, std::string_view item) {
        if (const auto text = after(item, "output:")) {
            to.output = ovs::slice(*text);
            return to.output.has_value();
        }
        if (const auto text = after(item, "load:")) {
            const ovs::Sides arrow = ovs::cut(*text, "->");
            return put_spec(to.load, arrow.right, arrow.left);
        }
        const ovs::Sides sides = ovs::cut(item, "=");
        return put_spec(to.match, sides.left, sides.found ? sides.right : sides.left);
    }

    static bool
    put_spec(std::vector<action::Learn::Spec>& to, std::string_view into, std::string_view from) {
        const auto slice = ovs::slice(into);
        if (!slice)
            return false;
        action::Learn::Spec spec{*slice, std::nullopt, {}};
        if (const auto value = ovs::value(from))
            spec.value = *value;
        else
            spec.from = ovs::slice(from);
        to.push_back(spec);
        return spec.from || ovs::value(from);
    }

    static std::optional<action::Conjunction> conjunction(std::string_view text) {
        const ovs::Sides sides = ovs::cut(text, ",");
        const ovs::Sides clause = ovs::cut(sides.right, "/");
        const auto id = number(sides.left), at = number(clause.left), count = number(clause.right);
        if (!id || !at || !count)
            return std::nullopt;
        return action::Conjunction{
            *id, static_cast<std::uint8_t>(*at), static_cast<std::uint8_t>(*count)};
    }

    static std::optional<action::Sample> sample(std::string_view text) {
        action::Sample to;
        for (const std::string_view item : ovs::split(text, ',')) {
            const ovs::Sides sides = ovs::cut(item, "=");
            const auto value = number(sides.right);
            if (sides.left == "probability" && value)
                to.probability = static_cast<std::uint16_t>(*value);
            else if (sides.left == "collector_set_id" && value)
                to.collector = *value;
            else if (sides.left == "obs_domain_id" && value)
                to.domain = *value;
            else if (sides.left == "obs_point_id" && value)
                to.point = *value;
            else if (const auto slice = ovs::slice(sides.right);
                     slice && sides.left == "obs_point_id")
                to.point = *slice;
            else
                return std::nullopt;
        }
        return to;
    }
};

} // namespace

Result<Actions> import_actions(std::string_view text) {
    ActionReader reader;
    Actions actions = reader.list(text);
    if (!reader.problem.empty())
        return fail("bad_actions", reader.problem);
    return actions;
}

} // namespace weft::oracle
