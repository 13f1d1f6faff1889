#include "base/field.hh"

#include "base/check.hh"

#include <algorithm>
#include <array>

namespace weft {

namespace {

using F = FieldId;
using Fmt = FieldFormat;

constexpr FieldInfo reg(unsigned n, std::string_view name) {
    return {
        static_cast<F>(static_cast<unsigned>(F::reg0) + n),
        name,
        static_cast<std::uint8_t>(8 + n / 2),
        static_cast<std::uint8_t>(n % 2 == 0 ? 32 : 0),
        32,
        Fmt::hex,
        Shape::none,
        true,
    };
}

constexpr FieldInfo wide_reg(F id, std::string_view name, unsigned first, unsigned count) {
    return {
        id,
        name,
        static_cast<std::uint8_t>(8 + first / 2),
        0,
        static_cast<std::uint8_t>(32 * count),
        Fmt::hex,
        Shape::none,
        true,
        static_cast<F>(static_cast<unsigned>(F::reg0) + first),
        static_cast<std::uint8_t>(count),
    };
}

constexpr auto ip4 = Shape::ip4 | Shape::ip;
constexpr auto ip6 = Shape::ip6 | Shape::ip;
constexpr auto tcp = Shape::tcp | Shape::ip;
constexpr auto udp = Shape::udp | Shape::ip;
constexpr auto sctp = Shape::sctp | Shape::ip;
constexpr auto icmp4 = Shape::icmp4 | ip4;
constexpr auto icmp6 = Shape::icmp6 | ip6;
constexpr auto nd = Shape::nd | icmp6;
constexpr auto vlan1 = Shape::vlan1 | Shape::vlan;

// clang-format off
constexpr std::array<FieldInfo, field_count> fields = {{
    {F::shape, "shape", 0, 48, 16, Fmt::shape, Shape::none, false},
    {F::inport, "inport", 0, 0, 32, Fmt::port, Shape::none, true},
    {F::outport, "outport", 25, 0, 32, Fmt::port, Shape::none, true},
    {F::metadata, "metadata", 6, 0, 64, Fmt::hex, Shape::none, true},
    reg(0, "reg0"), reg(1, "reg1"), reg(2, "reg2"), reg(3, "reg3"), reg(4, "reg4"), reg(5, "reg5"), reg(6, "reg6"), reg(7, "reg7"),
    reg(8, "reg8"), reg(9, "reg9"), reg(10, "reg10"), reg(11, "reg11"), reg(12, "reg12"), reg(13, "reg13"), reg(14, "reg14"), reg(15, "reg15"),
    wide_reg(F::xreg0, "xreg0", 0, 2), wide_reg(F::xreg1, "xreg1", 2, 2), wide_reg(F::xreg2, "xreg2", 4, 2), wide_reg(F::xreg3, "xreg3", 6, 2),
    wide_reg(F::xreg4, "xreg4", 8, 2), wide_reg(F::xreg5, "xreg5", 10, 2), wide_reg(F::xreg6, "xreg6", 12, 2), wide_reg(F::xreg7, "xreg7", 14, 2),
    wide_reg(F::xxreg0, "xxreg0", 0, 4), wide_reg(F::xxreg1, "xxreg1", 4, 4), wide_reg(F::xxreg2, "xxreg2", 8, 4), wide_reg(F::xxreg3, "xxreg3", 12, 4),
    {F::pkt_mark, "pkt.mark", 7, 32, 32, Fmt::hex, Shape::none, true},
    {F::eth_src, "eth.src", 2, 16, 48, Fmt::mac, Shape::none, true},
    {F::eth_dst, "eth.dst", 1, 16, 48, Fmt::mac, Shape::none, true},
    {F::eth_type, "eth.type", 0, 32, 16, Fmt::hex, Shape::none, false},
    {F::vlan_tci, "vlan.tci", 1, 0, 16, Fmt::hex, Shape::vlan, true},
    {F::vlan_vid, "vlan.vid", 1, 0, 12, Fmt::decimal, Shape::vlan, true, F::vlan_tci, 1},
    {F::vlan_pcp, "vlan.pcp", 1, 13, 3, Fmt::decimal, Shape::vlan, true, F::vlan_tci, 1},
    {F::vlan1_tci, "vlan1.tci", 2, 0, 16, Fmt::hex, vlan1, true},
    {F::vlan1_vid, "vlan1.vid", 2, 0, 12, Fmt::decimal, vlan1, true, F::vlan1_tci, 1},
    {F::vlan1_pcp, "vlan1.pcp", 2, 13, 3, Fmt::decimal, vlan1, true, F::vlan1_tci, 1},
    {F::ip_proto, "ip.proto", 4, 56, 8, Fmt::decimal, Shape::ip, false},
    {F::ip_ttl, "ip.ttl", 4, 48, 8, Fmt::decimal, Shape::ip, true},
    {F::ip_tos, "ip.tos", 4, 40, 8, Fmt::hex, Shape::ip, true},
    {F::ip_dscp, "ip.dscp", 4, 42, 6, Fmt::decimal, Shape::ip, true, F::ip_tos, 1},
    {F::ip_ecn, "ip.ecn", 4, 40, 2, Fmt::decimal, Shape::ip, true, F::ip_tos, 1},
    {F::ip_frag, "ip.frag", 4, 32, 8, Fmt::decimal, Shape::ip, false},
    {F::ip4_src, "ip4.src", 3, 32, 32, Fmt::ip4, ip4, true},
    {F::ip4_dst, "ip4.dst", 3, 0, 32, Fmt::ip4, ip4, true},
    {F::ip6_src, "ip6.src", 16, 0, 128, Fmt::ip6, ip6, true},
    {F::ip6_dst, "ip6.dst", 18, 0, 128, Fmt::ip6, ip6, true},
    {F::ip6_label, "ip6.label", 5, 0, 20, Fmt::hex, ip6, true},
    {F::arp_op, "arp.op", 4, 16, 16, Fmt::decimal, Shape::arp, true},
    {F::arp_spa, "arp.spa", 3, 32, 32, Fmt::ip4, Shape::arp, true},
    {F::arp_tpa, "arp.tpa", 3, 0, 32, Fmt::ip4, Shape::arp, true},
    {F::arp_sha, "arp.sha", 22, 16, 48, Fmt::mac, Shape::arp, true},
    {F::arp_tha, "arp.tha", 23, 16, 48, Fmt::mac, Shape::arp, true},
    {F::tcp_src, "tcp.src", 4, 16, 16, Fmt::decimal, tcp, true},
    {F::tcp_dst, "tcp.dst", 4, 0, 16, Fmt::decimal, tcp, true},
    {F::tcp_flags, "tcp.flags", 5, 48, 12, Fmt::hex, tcp, false},
    {F::udp_src, "udp.src", 4, 16, 16, Fmt::decimal, udp, true},
    {F::udp_dst, "udp.dst", 4, 0, 16, Fmt::decimal, udp, true},
    {F::sctp_src, "sctp.src", 4, 16, 16, Fmt::decimal, sctp, true},
    {F::sctp_dst, "sctp.dst", 4, 0, 16, Fmt::decimal, sctp, true},
    {F::icmp4_type, "icmp4.type", 4, 16, 8, Fmt::decimal, icmp4, true},
    {F::icmp4_code, "icmp4.code", 4, 0, 8, Fmt::decimal, icmp4, true},
    {F::icmp6_type, "icmp6.type", 4, 16, 8, Fmt::decimal, icmp6, true},
    {F::icmp6_code, "icmp6.code", 4, 0, 8, Fmt::decimal, icmp6, true},
    {F::nd_target, "nd.target", 20, 0, 128, Fmt::ip6, nd, true},
    {F::nd_sll, "nd.sll", 22, 16, 48, Fmt::mac, Shape::nd_sll | nd, true},
    {F::nd_tll, "nd.tll", 23, 16, 48, Fmt::mac, Shape::nd_tll | nd, true},
    {F::nd_reserved, "nd_reserved", 34, 32, 32, Fmt::hex, nd, false},
    {F::nd_options_type, "nd_options_type", 34, 16, 8, Fmt::decimal, nd, false},
    {F::ct_state, "ct_state", 5, 32, 16, Fmt::hex, Shape::none, false},
    {F::ct_zone, "ct_zone", 22, 0, 16, Fmt::decimal, Shape::none, false},
    {F::ct_mark, "ct_mark", 7, 0, 32, Fmt::hex, Shape::none, true},
    {F::ct_label, "ct_label", 26, 0, 128, Fmt::hex, Shape::none, true},
    {F::ct_nw_src, "ct_nw_src", 35, 32, 32, Fmt::ip4, Shape::none, false},
    {F::ct_nw_dst, "ct_nw_dst", 35, 0, 32, Fmt::ip4, Shape::none, false},
    {F::ct_ipv6_src, "ct_ipv6_src", 38, 0, 128, Fmt::ip6, Shape::none, false},
    {F::ct_ipv6_dst, "ct_ipv6_dst", 40, 0, 128, Fmt::ip6, Shape::none, false},
    {F::ct_nw_proto, "ct_nw_proto", 36, 24, 8, Fmt::decimal, Shape::none, false},
    {F::ct_tp_src, "ct_tp_src", 36, 48, 16, Fmt::decimal, Shape::none, false},
    {F::ct_tp_dst, "ct_tp_dst", 36, 32, 16, Fmt::decimal, Shape::none, false},
    {F::tun_id, "tun_id", 24, 0, 64, Fmt::hex, Shape::none, true},
    {F::tun_src, "tun_src", 32, 32, 32, Fmt::ip4, Shape::none, true},
    {F::tun_dst, "tun_dst", 32, 0, 32, Fmt::ip4, Shape::none, true},
    {F::tun_ipv6_src, "tun_ipv6_src", 28, 0, 128, Fmt::ip6, Shape::none, true},
    {F::tun_ipv6_dst, "tun_ipv6_dst", 30, 0, 128, Fmt::ip6, Shape::none, true},
    {F::tun_flags, "tun_flags", 33, 48, 16, Fmt::hex, Shape::none, true},
    {F::tun_gbp_id, "tun_gbp_id", 33, 32, 16, Fmt::decimal, Shape::none, true},
    {F::tun_gbp_flags, "tun_gbp_flags", 33, 24, 8, Fmt::hex, Shape::none, true},
    {F::tun_ttl, "tun_ttl", 33, 16, 8, Fmt::decimal, Shape::none, true},
    {F::tun_tos, "tun_tos", 33, 8, 8, Fmt::hex, Shape::none, true},
    {F::tun_metadata0, "tun_metadata0", 44, 0, 128, Fmt::hex, Shape::none, true},
    {F::tun_metadata1, "tun_metadata1", 46, 0, 128, Fmt::hex, Shape::none, true},
    {F::tun_metadata2, "tun_metadata2", 48, 0, 128, Fmt::hex, Shape::none, true},
    {F::tun_metadata3, "tun_metadata3", 50, 0, 128, Fmt::hex, Shape::none, true},
    {F::tun_metadata4, "tun_metadata4", 52, 0, 128, Fmt::hex, Shape::none, true},
    {F::tun_metadata5, "tun_metadata5", 54, 0, 128, Fmt::hex, Shape::none, true},
    {F::conj_id, "conj_id", 25, 32, 32, Fmt::decimal, Shape::none, false},
    {F::skb_priority, "skb_priority", 37, 32, 32, Fmt::hex, Shape::none, true},
    {F::queue, "queue", 37, 0, 32, Fmt::decimal, Shape::none, true},
    {F::tls_sni, "tls.sni", name_word, 0, 64, Fmt::name, tcp, false},
    {F::http_host, "http.host", name_word, 0, 64, Fmt::name, tcp, false},
    {F::dns_qname, "dns.qname", name_word, 0, 64, Fmt::name, udp, false},
}};
// clang-format on

constexpr bool in_order() {
    for (std::size_t i = 0; i < field_count; ++i)
        if (fields[i].id != static_cast<F>(i))
            return false;
    return true;
}
static_assert(in_order(), "fields stand in the order of FieldId");

} // namespace

const FieldInfo& info(FieldId id) noexcept {
    return fields[static_cast<std::size_t>(id)];
}

std::span<const FieldInfo> all_fields() noexcept {
    return fields;
}

std::optional<FieldId> field_from(std::string_view name) noexcept {
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& f) {
        return f.name == name;
    });
    return found == fields.end() ? std::nullopt : std::optional{found->id};
}

U128 get(const FlowKey& key, const FieldInfo& field) noexcept {
    if (!key.is(field.requires_shape)) // its place may hold another header's field
        return {};
    if (field.is_wide())
        return {key.word[field.word], key.word[field.word + 1u]};
    return U128{key.word[field.word] >> field.shift} & low_bits(field.bits);
}

void set(FlowKey& key, const FieldInfo& field, U128 value, U128 mask) noexcept {
    if (field.is_wide()) {
        auto& high = key.word[field.word];
        auto& low = key.word[field.word + 1u];
        high = (high & ~mask.high) | (value.high & mask.high);
        low = (low & ~mask.low) | (value.low & mask.low);
        return;
    }
    const std::uint64_t bits = (mask & low_bits(field.bits)).low << field.shift;
    auto& word = key.word[field.word];
    word = (word & ~bits) | (value.low << field.shift & bits);
}

} // namespace weft
