#include "control/described_packet.hh"

#include "base/be.hh"
#include "base/key.hh"
#include "control/described_payload.hh"
#include "pipeline/checksum.hh"
#include "pipeline/parse.hh"

#include <array>
#include <cstring>
#include <span>

namespace weft {

namespace {

constexpr std::size_t frame_bytes_min = 60;

class Bytes {
public:
    void u8(std::uint64_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
    void u16(std::uint64_t value) {
        u8(value >> 8 & 0xff);
        u8(value & 0xff);
    }
    void u32(std::uint64_t value) {
        u16(value >> 16 & 0xffff);
        u16(value & 0xffff);
    }
    void u48(std::uint64_t value) {
        u16(value >> 32 & 0xffff);
        u32(value & 0xffff'ffff);
    }
    void u128(U128 value) {
        u32(value.high >> 32);
        u32(value.high & 0xffff'ffff);
        u32(value.low >> 32);
        u32(value.low & 0xffff'ffff);
    }
    void append(std::span<const std::byte> more) {
        bytes_.insert(bytes_.end(), more.begin(), more.end());
    }
    std::vector<std::byte>& all() noexcept { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

class Builder {
public:
    Builder(const FlowKey& key, const std::vector<std::byte>& payload)
        : key_{key},
          payload_{payload} {}

    std::vector<std::byte> build() {
        ethernet();
        if (key_.is(Shape::ip4))
            ip4();
        else if (key_.is(Shape::ip6))
            ip6();
        else if (key_.is(Shape::arp))
            arp();
        std::vector<std::byte> bytes = std::move(out_.all());
        if (bytes.size() < frame_bytes_min)
            bytes.resize(frame_bytes_min);
        return bytes;
    }

private:
    std::uint64_t get(FieldId field) const { return weft::get(key_, info(field)).low; }
    std::uint64_t get(FieldId field, std::uint64_t otherwise) const {
        const std::uint64_t value = get(field);
        return value == 0 ? otherwise : value;
    }

    void ethernet() {
        out_.u48(get(FieldId::eth_dst, 0x0200'0000'0002));
        out_.u48(get(FieldId::eth_src, 0x0200'0000'0001));
        if (key_.is(Shape::vlan)) {
            out_.u16(key_.is(Shape::vlan1) ? 0x88a8 : 0x8100);
            out_.u16(get(FieldId::vlan_tci));
        }
        if (key_.is(Shape::vlan1)) {
            out_.u16(0x8100);
            out_.u16(get(FieldId::vlan1_tci));
        }
        constexpr std::uint64_t local_experimental = 0x88b5;
        out_.u16(
            key_.is(Shape::ip4)   ? 0x0800
            : key_.is(Shape::ip6) ? 0x86dd
            : key_.is(Shape::arp) ? get(FieldId::eth_type, 0x0806)
                                  : get(FieldId::eth_type, local_experimental)
        );
    }
    void arp() {
        out_.u16(1);
        out_.u16(0x0800);
        out_.u8(6);
        out_.u8(4);
        out_.u16(get(FieldId::arp_op, 1));
        out_.u48(get(FieldId::arp_sha, get(FieldId::eth_src, 0x0200'0000'0001)));
        out_.u32(get(FieldId::arp_spa));
        out_.u48(get(FieldId::arp_tha));
        out_.u32(get(FieldId::arp_tpa));
    }
    std::uint64_t proto() const {
        if (key_.is(Shape::tcp))
            return 6;
        if (key_.is(Shape::udp))
            return 17;
        if (key_.is(Shape::sctp))
            return 132;
        if (key_.is(Shape::icmp4))
            return 1;
        if (key_.is(Shape::icmp6))
            return 58;
        constexpr std::uint64_t local_experimental = 253; // RFC 3692
        return key_.is(Shape::igmp) ? 2 : get(FieldId::ip_proto, local_experimental);
    }
    std::vector<std::byte> upper() const {
        Bytes up;
        if ((get(FieldId::ip_frag) & frag_later) != 0) {
            up.u32(0);
            up.u32(0);
        } else if (key_.is(Shape::tcp)) {
            up.u16(get(FieldId::tcp_src));
            up.u16(get(FieldId::tcp_dst));
            up.u32(1);
            up.u32(0);
            constexpr std::uint64_t syn = 2, psh_ack = 0x18;
            up.u16(0x5000 | get(FieldId::tcp_flags, payload_.empty() ? syn : psh_ack));
            up.u16(0xffff);
            up.u32(0);
            up.append(payload_);
        } else if (key_.is(Shape::udp)) {
            up.u16(get(FieldId::udp_src));
            constexpr std::uint64_t dns_port = 53;
            up.u16(get(FieldId::udp_dst, payload_.empty() ? 0 : dns_port));
            up.u16(8 + payload_.size());
            up.u16(0);
            up.append(payload_);
        } else if (key_.is(Shape::sctp)) {
            up.u16(get(FieldId::sctp_src));
            up.u16(get(FieldId::sctp_dst));
            up.u32(0);
            up.u32(0);
        } else if (key_.is(Shape::icmp4)) {
            up.u8(get(FieldId::icmp4_type));
            up.u8(get(FieldId::icmp4_code));
            up.u16(0);
            up.u32(0);
        } else if (key_.is(Shape::icmp6)) {
            icmp6(up);
        } else if (key_.is(Shape::igmp)) {
            up.u32(0x1600'0000);
            up.u32(0);
        }
        return std::move(up.all());
    }
    void icmp6(Bytes& up) const {
        constexpr std::uint64_t solicitation = 135;
        const bool nd = key_.is(Shape::nd);
        up.u8(nd ? get(FieldId::icmp6_type, solicitation) : get(FieldId::icmp6_type));
        up.u8(get(FieldId::icmp6_code));
        up.u16(0);
        up.u32(get(FieldId::nd_reserved));
        if (!nd)
            return;
        up.u128(weft::get(key_, info(FieldId::nd_target)));
        if (key_.is(Shape::nd_sll)) {
            up.u16(0x0101);
            up.u48(get(FieldId::nd_sll));
        }
        if (key_.is(Shape::nd_tll)) {
            up.u16(0x0201);
            up.u48(get(FieldId::nd_tll));
        }
    }
    void ip4() {
        const std::vector<std::byte> payload = upper();
        Bytes header;
        header.u8(0x45);
        header.u8(get(FieldId::ip_tos));
        header.u16(20 + payload.size());
        header.u16(0);
        const std::uint64_t frag = get(FieldId::ip_frag);
        header.u16((frag & frag_later) != 0 ? 0x0010 : (frag & frag_any) != 0 ? 0x2000 : 0x4000);
        header.u8(get(FieldId::ip_ttl, 64));
        header.u8(proto());
        header.u16(0);
        header.u32(get(FieldId::ip4_src));
        header.u32(get(FieldId::ip4_dst));
        store_be(header.all().data() + 10, ip4_header_checksum(header.all()));
        out_.append(header.all());
        out_.append(payload);
    }
    void ip6() {
        const std::vector<std::byte> payload = upper();
        const std::uint64_t frag = get(FieldId::ip_frag);
        const bool fragment = (frag & (frag_any | frag_later)) != 0;
        out_.u32(std::uint64_t{6} << 28 | get(FieldId::ip_tos) << 20 | get(FieldId::ip6_label));
        out_.u16(payload.size() + (fragment ? 8 : 0));
        out_.u8(fragment ? 44 : proto());
        out_.u8(get(FieldId::ip_ttl, 64));
        out_.u128(weft::get(key_, info(FieldId::ip6_src)));
        out_.u128(weft::get(key_, info(FieldId::ip6_dst)));
        if (fragment) {
            out_.u8(proto());
            out_.u8(0);
            out_.u16((frag & frag_later) != 0 ? 0x0080 : 1);
            out_.u32(1);
        }
        out_.append(payload);
    }

    const FlowKey& key_;
    const std::vector<std::byte>& payload_; // of TCP or UDP
    Bytes out_;
};

/// True for fields that lie in a packet's bytes.
bool in_packet(const FieldInfo& field) noexcept {
    return field.id == FieldId::shape || field.id == FieldId::eth_type ||
           field.requires_shape != Shape::none || field.id == FieldId::eth_src ||
           field.id == FieldId::eth_dst;
}

} // namespace

Result<DescribedPacket> described_packet(const Match& match) {
    if (match.terms.empty())
        return fail("bad_value", "the match describes no packet: it matches nothing");
    DescribedPacket described;
    FlowKey key{};
    std::vector<std::byte> payload;
    for (const FieldMatch& field : match.terms.front().fields) {
        const FieldInfo& of = info(field.field);
        if (field.field == FieldId::inport && !field.port.empty()) {
            described.port = field.port;
            continue;
        }
        if (is_name(field.field)) {
            payload = payload_asking_for(field.field, field.port);
            continue;
        }
        if (!in_packet(of))
            return fail(
                "bad_value",
                "no packet comes in with " + std::string{of.name} +
                    ": describe what its bytes and its port are"
            );
        set(key, of, field.value, field.mask);
    }
    if (key.is(Shape::ip) && !key.is(Shape::ip4) && !key.is(Shape::ip6)) // either will do
        set(key,
            info(FieldId::shape),
            U128{static_cast<std::uint64_t>(Shape::ip4)},
            U128{static_cast<std::uint64_t>(Shape::ip4)});
    described.bytes = Builder{key, payload}.build();
    Packet packet{
        .data = described.bytes.data(),
        .bytes = static_cast<std::uint32_t>(described.bytes.size()),
        .head_bytes = static_cast<std::uint16_t>(described.bytes.size()),
    };
    FlowKey parsed;
    if (const Drop drop = parse(packet, PortNumber::none, Depth{}, parsed); drop != Drop::none)
        return fail(
            "bad_value", "the match describes no whole packet: it is " + std::string{name(drop)}
        );
    (void)write_l4_checksum(packet);
    return described;
}

} // namespace weft
