#include "tests/oracle/ovs_import.hh"

#include "tests/oracle/ovs_text.hh"

#include <array>
#include <fstream>
#include <functional>
#include <iterator>

namespace weft::oracle {

namespace {

using F = FieldId;

constexpr std::uint16_t ether_arp = 0x0806, ether_rarp = 0x8035;

/// The words of a match that name a protocol, and what they say.
struct Protocol {
    std::string_view word;
    Shape shape;
    std::uint16_t eth_type; // 0: the shape says it all
};
constexpr auto ip4 = Shape::ip4 | Shape::ip;
constexpr auto ip6 = Shape::ip6 | Shape::ip;
constexpr std::array protocols = {
    Protocol{"ip", ip4, 0},
    Protocol{"ipv6", ip6, 0},
    Protocol{"tcp", ip4 | Shape::tcp, 0},
    Protocol{"tcp6", ip6 | Shape::tcp, 0},
    Protocol{"udp", ip4 | Shape::udp, 0},
    Protocol{"udp6", ip6 | Shape::udp, 0},
    Protocol{"sctp", ip4 | Shape::sctp, 0},
    Protocol{"sctp6", ip6 | Shape::sctp, 0},
    Protocol{"icmp", ip4 | Shape::icmp4, 0},
    Protocol{"icmp6", ip6 | Shape::icmp6, 0},
    Protocol{"arp", Shape::arp, ether_arp},
    Protocol{"rarp", Shape::arp, ether_rarp},
};

struct Flag {
    std::string_view name;
    std::uint64_t bit;
};
constexpr std::array ct_flags = {
    Flag{"new", 1},
    Flag{"est", 2},
    Flag{"rel", 4},
    Flag{"rpl", 8},
    Flag{"inv", 0x10},
    Flag{"trk", 0x20},
    Flag{"snat", 0x40},
    Flag{"dnat", 0x80},
};

class MatchReader {
public:
    explicit MatchReader(std::string_view text) : items_{ovs::split(text, ',')} {}

    Result<Match> read() {
        for (const std::string_view item : items_)
            for (const Protocol& protocol : protocols)
                if (item == protocol.word)
                    shape_ = shape_ | protocol.shape;
        for (const std::string_view item : items_)
            if (!one(item))
                return fail(
                    "bad_match", "\"" + std::string{item} + "\": not a match that is known here"
                );
        add_shape(Shape::none, Shape::none);
        return canonical({Term{std::move(fields_)}});
    }

private:
    bool one(std::string_view item) {
        for (const Protocol& protocol : protocols)
            if (item == protocol.word) {
                if (protocol.eth_type != 0)
                    add(F::eth_type, U128{protocol.eth_type}, low_bits(16));
                return add_shape(protocol.shape, Shape::none);
            }
        const ovs::Sides sides = ovs::cut(item, "=");
        if (!sides.found)
            return false;
        const std::string_view key = sides.left;
        if (key == "ct_state")
            return ct_state(sides.right);
        if (key == "nw_frag")
            return nw_frag(sides.right);
        if (key == "vlan_tci")
            return vlan_tci(sides.right);
        if (key == "dl_vlan") {
            add_shape(Shape::vlan, Shape::none);
            return masked(F::vlan_vid, sides.right);
        }
        const auto field = in_context(key);
        return field && masked(*field, sides.right);
    }

    /// tp_src, icmp_type and nw_src are said of whatever protocol the match names.
    std::optional<F> in_context(std::string_view key) const {
        const bool is_tcp = has(Shape::tcp), is_udp = has(Shape::udp), is_sctp = has(Shape::sctp);
        if (key == "tp_src")
            return is_tcp    ? F::tcp_src
                   : is_udp  ? F::udp_src
                   : is_sctp ? std::optional{F::sctp_src}
                             : std::nullopt;
        if (key == "tp_dst")
            return is_tcp    ? F::tcp_dst
                   : is_udp  ? F::udp_dst
                   : is_sctp ? std::optional{F::sctp_dst}
                             : std::nullopt;
        if (key == "icmp_type")
            return has(Shape::icmp6) ? F::icmp6_type : F::icmp4_type;
        if (key == "icmp_code")
            return has(Shape::icmp6) ? F::icmp6_code : F::icmp4_code;
        return ovs::field(key);
    }
    bool has(Shape bits) const { return weft::has(static_cast<std::uint16_t>(shape_), bits); }

    bool masked(F field, std::string_view text) {
        const ovs::Sides sides = ovs::cut(text, "/");
        const auto value = ovs::value(sides.left);
        U128 mask = low_bits(info(field).bits);
        if (sides.found) {
            const auto given = ovs::value(sides.right);
            if (!given)
                return false;
            const bool prefix =
                info(field).format == FieldFormat::ip4 || info(field).format == FieldFormat::ip6;
            if (prefix && ovs::number(sides.right)) {
                if (*given > U128{info(field).bits})
                    return false;
                mask = mask & ~low_bits(info(field).bits - static_cast<unsigned>(given->low));
            } else {
                mask = *given;
            }
        }
        if (!value || (*value & ~low_bits(info(field).bits)))
            return false;
        add(field, *value & mask, mask);
        return true;
    }

    /// "+new-est+trk", or a number.
    bool ct_state(std::string_view text) {
        if (text.empty() || (text[0] != '+' && text[0] != '-'))
            return masked(F::ct_state, text);
        std::uint64_t value = 0, mask = 0;
        while (!text.empty()) {
            const bool is_set = text[0] == '+';
            const auto end = text.find_first_of("+-", 1);
            const std::string_view name = text.substr(1, end == text.npos ? end : end - 1);
            text = end == text.npos ? std::string_view{} : text.substr(end);
            std::uint64_t bit = 0;
            for (const Flag& flag : ct_flags)
                bit |= flag.name == name ? flag.bit : 0;
            if (bit == 0)
                return false;
            mask |= bit;
            value |= is_set ? bit : 0;
        }
        add(F::ct_state, U128{value}, U128{mask});
        return true;
    }

    bool nw_frag(std::string_view text) {
        struct Kind {
            std::string_view name;
            std::uint64_t value, mask;
        };
        static constexpr std::uint64_t both = frag_any | frag_later;
        static constexpr std::array kinds = {
            Kind{"no", 0, both},
            Kind{"yes", frag_any, frag_any},
            Kind{"first", frag_any, both},
            Kind{"later", both, both},
            Kind{"not_later", 0, frag_later},
        };
        for (const Kind& kind : kinds)
            if (kind.name == text) {
                add(F::ip_frag, U128{kind.value}, U128{kind.mask});
                return true;
            }
        return false;
    }

    /// Bit 0x1000 is there where a tag is (OVS keeps CFI set in every tag).
    bool vlan_tci(std::string_view text) {
        const ovs::Sides sides = ovs::cut(text, "/");
        const auto value = ovs::number(sides.left);
        const auto mask = sides.found ? ovs::number(sides.right) : U128{0xffff};
        constexpr U128 present{0x1000};
        if (!value || !mask || !(*mask & present))
            return false;
        if (!(*value & present))
            return !(*value & *mask) && add_shape(Shape::none, Shape::vlan);
        add_shape(Shape::vlan, Shape::none);
        const U128 rest = *mask & ~present & low_bits(16);
        if (rest)
            add(F::vlan_tci, *value & rest, rest);
        return true;
    }

    void add(F field, U128 value, U128 mask) {
        if (mask)
            fields_.push_back({field, value, mask, {}});
    }
    bool add_shape(Shape set, Shape clear) {
        const auto bits = U128{static_cast<std::uint16_t>(set)};
        add(F::shape, bits, bits | U128{static_cast<std::uint16_t>(clear)});
        return true;
    }

    std::vector<std::string_view> items_;
    Shape shape_ = Shape::none;
    std::vector<FieldMatch> fields_;
};

std::uint64_t number_or(std::string_view text, std::uint64_t otherwise) {
    const auto number = ovs::number(text);
    return number ? number->low : otherwise;
}

/// What stands in a flow before its match, and must not be taken for it. True if `item` was one of
/// them.
bool is_setting(ImportedFlow& flow, std::string_view item) {
    const ovs::Sides sides = ovs::cut(item, "=");
    const std::uint64_t number = number_or(sides.right, 0);
    if (sides.left == "table")
        flow.table = static_cast<std::uint32_t>(number);
    else if (sides.left == "priority")
        flow.priority = static_cast<std::uint32_t>(number);
    else if (sides.left == "cookie")
        flow.cookie = number;
    else if (sides.left == "idle_timeout")
        flow.idle_timeout_s = static_cast<std::uint32_t>(number);
    else if (sides.left == "hard_timeout")
        flow.hard_timeout_s = static_cast<std::uint32_t>(number);
    else
        return sides.left == "duration" || sides.left == "n_packets" || sides.left == "n_bytes" ||
               sides.left == "idle_age" || sides.left == "importance";
    return true;
}

Result<ImportedFlow> import_flow(std::string_view line) {
    ImportedFlow flow;
    flow.line = line;
    const auto at = line.find("actions=");
    if (at == line.npos)
        return fail("bad_flow", "no actions");
    std::string match;
    for (const std::string_view item : ovs::split(line.substr(0, at), ',')) {
        if (item.empty() || is_setting(flow, item))
            continue;
        match += match.empty() ? "" : ",";
        match += item;
    }
    auto terms = import_match(match);
    if (!terms)
        return tl::unexpected{terms.error()};
    auto actions = import_actions(ovs::trimmed(line.substr(at + 8)));
    if (!actions)
        return tl::unexpected{actions.error()};
    flow.match = std::move(*terms);
    flow.actions = std::move(*actions);
    return flow;
}

Result<ImportedGroup> import_group(std::string_view line) {
    ImportedGroup group;
    std::vector<std::string_view> buckets;
    for (auto at = line.find("bucket="); at != line.npos;) {
        const auto next = line.find("bucket=", at + 7);
        buckets.push_back(line.substr(at + 7, next == line.npos ? next : next - at - 7));
        at = next;
    }
    for (const std::string_view item : ovs::split(line.substr(0, line.find("bucket=")), ',')) {
        const ovs::Sides sides = ovs::cut(item, "=");
        if (sides.left == "group_id") {
            group.number = static_cast<std::uint32_t>(number_or(sides.right, 0));
        } else if (sides.left == "type") {
            group.settings.type = sides.right == "select"     ? GroupType::select
                                  : sides.right == "indirect" ? GroupType::indirect
                                  : sides.right == "all"      ? GroupType::all
                                                              : GroupType::fast_failover;
        } else if (item.starts_with("fields(")) {
            for (const std::string_view name : ovs::split(item.substr(7, item.size() - 8), ',')) {
                const auto field = ovs::field(name);
                if (!field)
                    return fail(
                        "bad_group", "field \"" + std::string{name} + "\" is not known here"
                    );
                group.settings.hash_fields.push_back(*field);
            }
        } else if (sides.left != "selection_method" && sides.left != "selection_method_param" && !item.empty()) {
            return fail("bad_group", "\"" + std::string{item} + "\" is not known here");
        }
    }
    for (std::string_view text : buckets) {
        BucketSettings bucket;
        const auto at = text.find("actions=");
        if (at == text.npos)
            return fail("bad_group", "a bucket without actions");
        for (const std::string_view item : ovs::split(text.substr(0, at), ',')) {
            if (item.starts_with("weight:"))
                bucket.weight = static_cast<std::uint32_t>(number_or(item.substr(7), 1));
            else if (!item.empty() && !item.starts_with("bucket_id:"))
                return fail("bad_group", "\"" + std::string{item} + "\" is not known here");
        }
        auto actions = import_actions(ovs::trimmed(text.substr(at + 8)));
        if (!actions)
            return tl::unexpected{actions.error()};
        bucket.actions = std::move(*actions);
        group.settings.buckets.push_back(std::move(bucket));
    }
    return group;
}

/// Gives each line that is no heading to `read`; an error says which line.
Result<std::size_t> each_line(
    std::string_view text, const std::function<std::optional<Error>(std::string_view)>& read
) {
    std::size_t number = 0;
    for (const std::string_view raw : ovs::split(text, '\n')) {
        ++number;
        if (raw.empty() || (raw[0] >= 'A' && raw[0] <= 'Z'))
            continue;
        if (auto error = read(raw))
            return fail(
                error->code,
                "line " + std::to_string(number) + ": " + error->what + ", in: " + std::string{raw}
            );
    }
    return number;
}

template <class T>
Result<std::vector<T>> import_lines(std::string_view text, Result<T> (*import)(std::string_view)) {
    std::vector<T> all;
    const auto lines = each_line(text, [&](std::string_view line) -> std::optional<Error> {
        auto one = import(line);
        if (!one)
            return one.error();
        all.push_back(std::move(*one));
        return std::nullopt;
    });
    if (!lines)
        return tl::unexpected{lines.error()};
    return all;
}

} // namespace

Result<Match> import_match(std::string_view text) {
    return MatchReader{text}.read();
}

Result<std::vector<ImportedFlow>> import_flows(std::string_view text) {
    return import_lines(text, import_flow);
}

Result<std::vector<ImportedGroup>> import_groups(std::string_view text) {
    return import_lines(text, import_group);
}

Result<std::vector<ImportedMeter>> import_meters(std::string_view text) {
    std::vector<ImportedMeter> meters;
    const auto read = [&](std::string_view line) -> std::optional<Error> {
        if (line.starts_with("meter="))
            meters.emplace_back();
        if (meters.empty())
            return Error{"bad_meter", "a band before its meter"};
        for (const std::string_view item : ovs::split(line, ' ')) {
            const ovs::Sides sides = ovs::cut(item, "=");
            const std::uint64_t number = number_or(sides.right, 0);
            if (sides.left == "meter")
                meters.back().number = static_cast<std::uint32_t>(number);
            else if (sides.left == "pktps")
                meters.back().per_packet = true;
            else if (sides.left == "type")
                meters.back().bands.emplace_back();
            else if (sides.left == "rate")
                meters.back().bands.back().rate = number;
            else if (sides.left == "burst_size")
                meters.back().bands.back().burst = number;
            else if (sides.left != "kbps" && sides.left != "burst" && sides.left != "stats" && sides.left != "bands")
                return Error{"bad_meter", "\"" + std::string{item} + "\" is not known here"};
        }
        return std::nullopt;
    };
    if (const auto lines = each_line(text, read); !lines)
        return tl::unexpected{lines.error()};
    return meters;
}

std::string recorded_ovn(std::string_view name) {
    std::ifstream file{std::string{WEFT_SHARED_DIR "/ovn/"}.append(name)};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

} // namespace weft::oracle
