// The fields that rules match and actions change: their names, places in the key, widths and
// prerequisites.
#pragma once

#include "base/key.hh"
#include "base/u128.hh"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weft {

// clang-format off
/// Names are those of OVN's logical flows (ovn-sb(5)); what OVN lacks has its ovs-fields(7) name. Numbers are stable: they travel on
/// the control socket; append, never renumber.
enum class FieldId : std::uint16_t {
    shape,                     // which headers there are; written as predicates (ip4, tcp, vlan.present ...)
    inport, outport, metadata,
    reg0, reg1, reg2, reg3, reg4, reg5, reg6, reg7, reg8, reg9, reg10, reg11, reg12, reg13, reg14, reg15,
    xreg0, xreg1, xreg2, xreg3, xreg4, xreg5, xreg6, xreg7,
    xxreg0, xxreg1, xxreg2, xxreg3,
    pkt_mark,
    eth_src, eth_dst, eth_type,
    vlan_tci, vlan_vid, vlan_pcp, vlan1_tci, vlan1_vid, vlan1_pcp,
    ip_proto, ip_ttl, ip_tos, ip_dscp, ip_ecn, ip_frag,
    ip4_src, ip4_dst, ip6_src, ip6_dst, ip6_label,
    arp_op, arp_spa, arp_tpa, arp_sha, arp_tha,
    tcp_src, tcp_dst, tcp_flags, udp_src, udp_dst, sctp_src, sctp_dst,
    icmp4_type, icmp4_code, icmp6_type, icmp6_code,
    nd_target, nd_sll, nd_tll, nd_reserved, nd_options_type,
    ct_state, ct_zone, ct_mark, ct_label,
    ct_nw_src, ct_nw_dst, ct_ipv6_src, ct_ipv6_dst, ct_nw_proto, ct_tp_src, ct_tp_dst,
    tun_id, tun_src, tun_dst, tun_ipv6_src, tun_ipv6_dst, tun_flags, tun_gbp_id, tun_gbp_flags, tun_ttl, tun_tos,
    tun_metadata0, tun_metadata1, tun_metadata2, tun_metadata3, tun_metadata4, tun_metadata5,
    conj_id, skb_priority, queue,
    tls_sni, http_host, dns_qname, // names in payloads: is_name()
    count_,
};
// clang-format on

inline constexpr std::size_t field_count = static_cast<std::size_t>(FieldId::count_);

/// How a field's values are written in text.
enum class FieldFormat : std::uint8_t { decimal, hex, mac, ip4, ip6, port, shape, name };

struct FieldInfo {
    FieldId id;
    std::string_view name;
    std::uint8_t word;  // the (high) word of the key
    std::uint8_t shift; // of the field's lowest bit in its (low) word
    std::uint8_t bits;  // 1 to 128
    FieldFormat format;
    Shape requires_shape; // the field is there only if all these bits are set
    bool writable;        // actions may set it
    /// Views lie over other fields (xxreg0 over reg0..3, vlan.vid in vlan.tci): matches name the
    /// fields below, in this range.
    FieldId base_first = FieldId::shape;
    std::uint8_t base_count = 0; // 0: not a view

    constexpr bool is_view() const noexcept { return base_count != 0; }
    constexpr bool is_wide() const noexcept { return bits > 64; }
    /// The words of the key that the field lies in.
    constexpr WordMask words() const noexcept {
        return (is_wide() ? WordMask{3} : WordMask{1}) << word;
    }
};

/// The fields whose values are names: a match asks for them by a text (pipeline/name_pattern.hh),
/// actions cannot use them. Their common place in the key holds what a lookup puts there and is no
/// part of the packet.
constexpr bool is_name(FieldId id) noexcept {
    return id >= FieldId::tls_sni && id <= FieldId::dns_qname;
}
inline constexpr std::uint8_t name_word = 42;

const FieldInfo& info(FieldId id) noexcept;
std::span<const FieldInfo> all_fields() noexcept;
std::optional<FieldId> field_from(std::string_view name) noexcept;

/// Bits of a field: [lsb, lsb + bits).
struct FieldSlice {
    FieldId field{};
    std::uint8_t lsb = 0;
    std::uint8_t bits = 0;
    friend bool operator==(const FieldSlice&, const FieldSlice&) = default;
};
constexpr FieldSlice whole(const FieldInfo& field) noexcept {
    return {field.id, 0, field.bits};
}

/// The field's value in `key`; of a field that the packet does not have, 0.
U128 get(const FlowKey& key, const FieldInfo& field) noexcept;
/// Writes the bits of `mask` of the field, whatever the shape.
void set(FlowKey& key, const FieldInfo& field, U128 value, U128 mask) noexcept;
inline U128 get(const FlowKey& key, FieldSlice slice) noexcept {
    return (get(key, info(slice.field)) >> slice.lsb) & low_bits(slice.bits);
}
inline void set(FlowKey& key, FieldSlice slice, U128 value) noexcept {
    const U128 mask = low_bits(slice.bits) << slice.lsb;
    set(key, info(slice.field), (value << slice.lsb) & mask, mask);
}

} // namespace weft
