#include "tests/support/naive_parse.hh"

#include "base/check.hh"
#include "base/field.hh"

#include <algorithm>

namespace weft::test {

namespace {

class Naive {
public:
    explicit Naive(const Packet& packet) : packet_{packet} {}

    NaiveParse run(PortNumber inport) {
        set_field(FieldId::inport, static_cast<std::uint32_t>(inport));
        if (packet_.head_bytes < 14)
            return drop(Drop::truncated);
        set_field(FieldId::eth_dst, number(0, 6));
        set_field(FieldId::eth_src, number(6, 6));
        std::size_t at = 12;
        for (const bool second : {false, true}) {
            const auto type = number(at, 2);
            if ((type != 0x8100 && type != 0x88a8 && type != 0x9100) || !has(at + 2, 4))
                break;
            set_field(second ? FieldId::vlan1_tci : FieldId::vlan_tci, number(at + 2, 2));
            add(second ? Shape::vlan1 : Shape::vlan);
            at += 4;
        }
        auto type = number(at, 2);
        at += 2;
        if (type < 0x600) {
            type = 0x05ff;
            if (has(at, 8) && number(at, 6) == 0xaaaa'0300'0000 && number(at + 6, 2) >= 0x600) {
                type = number(at + 6, 2);
                at += 8;
            }
        }
        set_field(FieldId::eth_type, type);
        out_.l2_bytes = static_cast<std::uint8_t>(at);
        if (type == 0x0800)
            return ip4(at);
        if (type == 0x86dd)
            return ip6(at);
        if (type == 0x0806 || type == 0x8035)
            arp(at);
        return out_;
    }

private:
    bool has(std::size_t at, std::size_t count) const { return at + count <= packet_.head_bytes; }
    std::uint64_t number(std::size_t at, std::size_t count) const {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            check(at + i < packet_.head_bytes);
            value = value << 8 | std::to_integer<std::uint64_t>(packet_.data[at + i]);
        }
        return value;
    }
    U128 number128(std::size_t at) const { return {number(at, 8), number(at + 8, 8)}; }
    void set_field(FieldId id, U128 value) { set(out_.key, whole(info(id)), value); }
    void add(Shape bits) {
        set_field(FieldId::shape, out_.key.shape() | static_cast<std::uint16_t>(bits));
    }
    NaiveParse drop(Drop reason) {
        out_.drop = reason;
        return out_;
    }

    NaiveParse ip4(std::size_t at) {
        if (!has(at, 20))
            return drop(Drop::truncated);
        const std::size_t header = number(at, 1) % 16 * 4, total = number(at + 2, 2);
        if (number(at, 1) / 16 != 4 || header < 20 || total < header)
            return drop(Drop::malformed);
        if (at + total > packet_.bytes)
            return drop(Drop::truncated);
        out_.l3_offset = static_cast<std::uint16_t>(at);
        add(Shape::ip4 | Shape::ip);
        set_field(FieldId::ip_tos, number(at + 1, 1));
        set_field(FieldId::ip_ttl, number(at + 8, 1));
        set_field(FieldId::ip_proto, number(at + 9, 1));
        set_field(FieldId::ip4_src, number(at + 12, 4));
        set_field(FieldId::ip4_dst, number(at + 16, 4));
        const auto place = number(at + 6, 2);
        if (place % 0x2000 != 0) {
            set_field(FieldId::ip_frag, 3u);
            return out_;
        }
        if ((place & 0x2000) != 0)
            set_field(FieldId::ip_frag, 1u);
        end_ = std::min<std::size_t>(at + total, packet_.head_bytes);
        return l4(number(at + 9, 1), at + header);
    }

    NaiveParse ip6(std::size_t at) {
        if (!has(at, 40))
            return drop(Drop::truncated);
        if (number(at, 1) / 16 != 6)
            return drop(Drop::malformed);
        const std::size_t payload = number(at + 4, 2);
        if (at + 40 + payload > packet_.bytes)
            return drop(Drop::truncated);
        out_.l3_offset = static_cast<std::uint16_t>(at);
        add(Shape::ip6 | Shape::ip);
        set_field(FieldId::ip_tos, number(at, 4) >> 20 & 0xff);
        set_field(FieldId::ip6_label, number(at, 4) & 0xf'ffff);
        set_field(FieldId::ip_ttl, number(at + 7, 1));
        set_field(FieldId::ip6_src, number128(at + 8));
        set_field(FieldId::ip6_dst, number128(at + 24));
        end_ = std::min({at + 40 + payload, std::size_t{packet_.head_bytes}, std::size_t{256}});
        auto proto = number(at + 6, 1);
        std::size_t next = at + 40;
        for (;;) {
            set_field(FieldId::ip_proto, proto);
            const bool by_eights = proto == 0 || proto == 43 || proto == 60;
            if ((!by_eights && proto != 44 && proto != 51) || next + 8 > end_)
                break;
            std::size_t bytes = 8;
            if (proto == 51)
                bytes = number(next + 1, 1) * 4 + 8;
            else if (by_eights)
                bytes = number(next + 1, 1) * 8 + 8;
            if (proto == 44 && number(next + 2, 2) / 8 != 0) {
                set_field(FieldId::ip_frag, 3u);
                return out_;
            }
            if (proto == 44 && number(next + 3, 1) % 2 != 0)
                set_field(FieldId::ip_frag, 1u);
            if (next + bytes > end_)
                return out_;
            proto = number(next, 1);
            next += bytes;
        }
        return l4(proto, next);
    }

    void arp(std::size_t at) {
        if (!has(at, 28) || number(at, 6) != 0x0001'0800'0604)
            return;
        out_.l3_offset = static_cast<std::uint16_t>(at);
        add(Shape::arp);
        set_field(FieldId::arp_op, number(at + 6, 2));
        set_field(FieldId::arp_sha, number(at + 8, 6));
        set_field(FieldId::arp_spa, number(at + 14, 4));
        set_field(FieldId::arp_tha, number(at + 18, 6));
        set_field(FieldId::arp_tpa, number(at + 24, 4));
    }

    bool fits(std::size_t at, std::size_t count) const { return at + count <= end_; }
    void found(std::size_t at, Shape shape) {
        out_.l4_offset = static_cast<std::uint16_t>(at);
        add(shape);
    }

    NaiveParse l4(std::uint64_t proto, std::size_t at) {
        const bool is_ip6 = out_.key.is(Shape::ip6);
        if (proto == 6 && fits(at, 20)) {
            if (number(at + 12, 1) / 16 < 5)
                return drop(Drop::malformed);
            found(at, Shape::tcp);
            set_field(FieldId::tcp_src, number(at, 2));
            set_field(FieldId::tcp_dst, number(at + 2, 2));
            set_field(FieldId::tcp_flags, number(at + 12, 2) % 0x1000);
        } else if (proto == 17 && fits(at, 8)) {
            found(at, Shape::udp);
            set_field(FieldId::udp_src, number(at, 2));
            set_field(FieldId::udp_dst, number(at + 2, 2));
        } else if (proto == 132 && fits(at, 12)) {
            found(at, Shape::sctp);
            set_field(FieldId::sctp_src, number(at, 2));
            set_field(FieldId::sctp_dst, number(at + 2, 2));
        } else if (proto == 1 && !is_ip6 && fits(at, 8)) {
            found(at, Shape::icmp4);
            set_field(FieldId::icmp4_type, number(at, 1));
            set_field(FieldId::icmp4_code, number(at + 1, 1));
        } else if (proto == 58 && is_ip6 && fits(at, 4)) {
            found(at, Shape::icmp6);
            set_field(FieldId::icmp6_type, number(at, 1));
            set_field(FieldId::icmp6_code, number(at + 1, 1));
            if ((number(at, 2) == 0x8700 || number(at, 2) == 0x8800) && fits(at, 24))
                neighbour(at);
        } else if (proto == 2 && !is_ip6 && fits(at, 8)) {
            found(at, Shape::igmp);
        }
        return out_;
    }

    void neighbour(std::size_t at) {
        const FlowKey before = out_.key;
        add(Shape::nd);
        set_field(FieldId::nd_target, number128(at + 8));
        set_field(FieldId::nd_reserved, number(at + 4, 4));
        std::uint64_t first = 0;
        for (std::size_t next = at + 24; fits(next, 8);) {
            const auto type = number(next, 1);
            const std::size_t bytes = number(next + 1, 1) * 8;
            if (bytes == 0 || !fits(next, bytes))
                break;
            if (first == 0)
                first = type;
            if (bytes == 8 && (type == 1 || type == 2)) {
                const Shape shape = type == 1 ? Shape::nd_sll : Shape::nd_tll;
                if (out_.key.is(shape)) {
                    out_.key = before;
                    return;
                }
                add(shape);
                set_field(type == 1 ? FieldId::nd_sll : FieldId::nd_tll, number(next + 2, 6));
            }
            next += bytes;
        }
        set_field(FieldId::nd_options_type, first);
    }

    const Packet& packet_;
    NaiveParse out_;
    std::size_t end_ = 0;
};

} // namespace

NaiveParse naive_parse(const Packet& packet, PortNumber inport) {
    return Naive{packet}.run(inport);
}

} // namespace weft::test
