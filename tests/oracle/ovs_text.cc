#include "tests/oracle/ovs_text.hh"

#include "base/be.hh"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <string>

namespace weft::oracle::ovs {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
        const Sides sides = cut(text, {&separator, 1});
        pieces.push_back(trimmed(sides.left));
        text = sides.right;
    }
    return pieces;
}

Sides cut(std::string_view text, std::string_view separator) {
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '(' || text[i] == '[')
            ++depth;
        else if (text[i] == ')' || text[i] == ']')
            --depth;
        else if (depth == 0 && text.substr(i, separator.size()) == separator)
            return {text.substr(0, i), text.substr(i + separator.size()), true};
    }
    return {text, {}, false};
}

std::optional<U128> number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    if (hex)
        text.remove_prefix(2);
    if (text.empty())
        return std::nullopt;
    U128 sum;
    for (const char c : text) {
        unsigned digit = 16;
        if (c >= '0' && c <= '9')
            digit = static_cast<unsigned>(c - '0');
        else if (hex && c >= 'a' && c <= 'f')
            digit = static_cast<unsigned>(c - 'a') + 10;
        if (digit == 16)
            return std::nullopt;
        if (hex)
            sum = sum << 4 | U128{digit};
        else
            sum = (sum << 3) + (sum << 1) + U128{digit};
    }
    return sum;
}

std::optional<U128> mac(std::string_view text) {
    if (text.size() != 17)
        return std::nullopt;
    U128 sum;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        unsigned byte = 0;
        const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
        if (error != std::errc{} || end != text.data() + i + 2 || (i < 15 && text[i + 2] != ':'))
            return std::nullopt;
        sum = sum << 8 | U128{byte};
    }
    return sum;
}

std::optional<U128> ip4(std::string_view text) {
    std::array<std::byte, 4> bytes;
    if (inet_pton(AF_INET, std::string{text}.c_str(), bytes.data()) != 1)
        return std::nullopt;
    return U128{load_be<std::uint32_t>(bytes.data())};
}

std::optional<U128> ip6(std::string_view text) {
    std::array<std::byte, 16> bytes;
    if (inet_pton(AF_INET6, std::string{text}.c_str(), bytes.data()) != 1)
        return std::nullopt;
    return U128{load_be<std::uint64_t>(bytes.data()), load_be<std::uint64_t>(bytes.data() + 8)};
}

std::optional<U128> value(std::string_view text) {
    if (const auto plain = number(text))
        return plain;
    if (const auto address = mac(text))
        return address;
    if (const auto address = ip4(text))
        return address;
    return ip6(text);
}

namespace {

struct Name {
    std::string_view text;
    FieldId field;
};

using F = FieldId;

// ovs-fields(7): the name, and the NXM or OXM name that dumps use.
constexpr std::array names = {
    Name{"in_port", F::inport},
    Name{"NXM_OF_IN_PORT", F::inport},
    Name{"metadata", F::metadata},
    Name{"OXM_OF_METADATA", F::metadata},
    Name{"pkt_mark", F::pkt_mark},
    Name{"NXM_NX_PKT_MARK", F::pkt_mark},
    Name{"eth_src", F::eth_src},
    Name{"dl_src", F::eth_src},
    Name{"NXM_OF_ETH_SRC", F::eth_src},
    Name{"eth_dst", F::eth_dst},
    Name{"dl_dst", F::eth_dst},
    Name{"NXM_OF_ETH_DST", F::eth_dst},
    Name{"eth_type", F::eth_type},
    Name{"NXM_OF_ETH_TYPE", F::eth_type},
    Name{"vlan_vid", F::vlan_vid},
    Name{"OXM_OF_VLAN_VID", F::vlan_vid},
    Name{"vlan_pcp", F::vlan_pcp},
    Name{"OXM_OF_VLAN_PCP", F::vlan_pcp},
    Name{"nw_proto", F::ip_proto},
    Name{"NXM_OF_IP_PROTO", F::ip_proto},
    Name{"nw_ttl", F::ip_ttl},
    Name{"NXM_NX_IP_TTL", F::ip_ttl},
    Name{"ip_dscp", F::ip_dscp},
    Name{"OXM_OF_IP_DSCP", F::ip_dscp},
    Name{"nw_ecn", F::ip_ecn},
    Name{"ip_src", F::ip4_src},
    Name{"nw_src", F::ip4_src},
    Name{"NXM_OF_IP_SRC", F::ip4_src},
    Name{"ip_dst", F::ip4_dst},
    Name{"nw_dst", F::ip4_dst},
    Name{"NXM_OF_IP_DST", F::ip4_dst},
    Name{"ipv6_src", F::ip6_src},
    Name{"NXM_NX_IPV6_SRC", F::ip6_src},
    Name{"ipv6_dst", F::ip6_dst},
    Name{"NXM_NX_IPV6_DST", F::ip6_dst},
    Name{"ipv6_label", F::ip6_label},
    Name{"arp_op", F::arp_op},
    Name{"NXM_OF_ARP_OP", F::arp_op},
    Name{"arp_spa", F::arp_spa},
    Name{"NXM_OF_ARP_SPA", F::arp_spa},
    Name{"arp_tpa", F::arp_tpa},
    Name{"NXM_OF_ARP_TPA", F::arp_tpa},
    Name{"arp_sha", F::arp_sha},
    Name{"NXM_NX_ARP_SHA", F::arp_sha},
    Name{"arp_tha", F::arp_tha},
    Name{"NXM_NX_ARP_THA", F::arp_tha},
    Name{"tcp_src", F::tcp_src},
    Name{"NXM_OF_TCP_SRC", F::tcp_src},
    Name{"tcp_dst", F::tcp_dst},
    Name{"NXM_OF_TCP_DST", F::tcp_dst},
    Name{"udp_src", F::udp_src},
    Name{"NXM_OF_UDP_SRC", F::udp_src},
    Name{"udp_dst", F::udp_dst},
    Name{"NXM_OF_UDP_DST", F::udp_dst},
    Name{"sctp_src", F::sctp_src},
    Name{"OXM_OF_SCTP_SRC", F::sctp_src},
    Name{"sctp_dst", F::sctp_dst},
    Name{"OXM_OF_SCTP_DST", F::sctp_dst},
    Name{"icmp_type", F::icmp4_type},
    Name{"NXM_OF_ICMP_TYPE", F::icmp4_type},
    Name{"icmp_code", F::icmp4_code},
    Name{"NXM_OF_ICMP_CODE", F::icmp4_code},
    Name{"icmpv6_type", F::icmp6_type},
    Name{"NXM_NX_ICMPV6_TYPE", F::icmp6_type},
    Name{"icmpv6_code", F::icmp6_code},
    Name{"NXM_NX_ICMPV6_CODE", F::icmp6_code},
    Name{"nd_target", F::nd_target},
    Name{"NXM_NX_ND_TARGET", F::nd_target},
    Name{"nd_sll", F::nd_sll},
    Name{"NXM_NX_ND_SLL", F::nd_sll},
    Name{"nd_tll", F::nd_tll},
    Name{"NXM_NX_ND_TLL", F::nd_tll},
    Name{"ct_zone", F::ct_zone},
    Name{"NXM_NX_CT_ZONE", F::ct_zone},
    Name{"ct_mark", F::ct_mark},
    Name{"NXM_NX_CT_MARK", F::ct_mark},
    Name{"ct_label", F::ct_label},
    Name{"NXM_NX_CT_LABEL", F::ct_label},
    Name{"ct_nw_src", F::ct_nw_src},
    Name{"ct_nw_dst", F::ct_nw_dst},
    Name{"ct_ipv6_src", F::ct_ipv6_src},
    Name{"ct_ipv6_dst", F::ct_ipv6_dst},
    Name{"ct_nw_proto", F::ct_nw_proto},
    Name{"ct_tp_src", F::ct_tp_src},
    Name{"ct_tp_dst", F::ct_tp_dst},
    Name{"tun_id", F::tun_id},
    Name{"NXM_NX_TUN_ID", F::tun_id},
    Name{"tun_src", F::tun_src},
    Name{"tun_dst", F::tun_dst},
    Name{"tun_ipv6_src", F::tun_ipv6_src},
    Name{"tun_ipv6_dst", F::tun_ipv6_dst},
    Name{"conj_id", F::conj_id},
};

/// "reg12", "NXM_NX_XXREG1" and the like: `prefix` and a number below `count`.
std::optional<FieldId>
numbered(std::string_view name, std::string_view prefix, FieldId first, unsigned count) {
    if (!name.starts_with(prefix))
        return std::nullopt;
    name.remove_prefix(prefix.size());
    unsigned at = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), at);
    if (error != std::errc{} || end != name.data() + name.size() || at >= count)
        return std::nullopt;
    return static_cast<FieldId>(static_cast<unsigned>(first) + at);
}

} // namespace

std::optional<FieldId> field(std::string_view name) {
    struct Series {
        std::string_view prefix;
        FieldId first;
        unsigned count;
    };
    static constexpr std::array series = {
        Series{"xxreg", F::xxreg0, 4},
        Series{"NXM_NX_XXREG", F::xxreg0, 4},
        Series{"xreg", F::xreg0, 8},
        Series{"OXM_OF_PKT_REG", F::xreg0, 8},
        Series{"reg", F::reg0, 16},
        Series{"NXM_NX_REG", F::reg0, 16},
        Series{"tun_metadata", F::tun_metadata0, 6},
        Series{"NXM_NX_TUN_METADATA", F::tun_metadata0, 6},
    };
    for (const Series& one : series)
        if (const auto found = numbered(name, one.prefix, one.first, one.count))
            return found;
    const auto found = std::find_if(names.begin(), names.end(), [&](const Name& known) {
        return known.text == name;
    });
    return found == names.end() ? std::nullopt : std::optional{found->field};
}

std::optional<FieldSlice> slice(std::string_view text) {
    const auto bracket = text.find('[');
    const auto id = field(text.substr(0, bracket));
    if (!id)
        return std::nullopt;
    const FieldInfo& of = info(*id);
    if (bracket == std::string_view::npos)
        return whole(of);
    if (text.back() != ']')
        return std::nullopt;
    const std::string_view bits = text.substr(bracket + 1, text.size() - bracket - 2);
    if (bits.empty())
        return whole(of);
    const Sides ends = cut(bits, "..");
    const auto first = number(ends.left);
    const auto last = ends.found ? number(ends.right) : first;
    if (!first || !last || *last < *first || *last >= U128{of.bits})
        return std::nullopt;
    return FieldSlice{
        *id,
        static_cast<std::uint8_t>(first->low),
        static_cast<std::uint8_t>(last->low - first->low + 1),
    };
}

} // namespace weft::oracle::ovs
