#include "tests/support/random_edit.hh"

#include "base/field.hh"

#include <algorithm>
#include <iterator>

namespace weft::test {

namespace {

constexpr FieldId fields[] = {
    FieldId::eth_src,    FieldId::eth_dst,    FieldId::vlan_tci,   FieldId::vlan1_tci,
    FieldId::ip_ttl,     FieldId::ip_dscp,    FieldId::ip_ecn,     FieldId::ip4_src,
    FieldId::ip4_dst,    FieldId::ip6_src,    FieldId::ip6_dst,    FieldId::ip6_label,
    FieldId::arp_op,     FieldId::arp_spa,    FieldId::arp_tpa,    FieldId::arp_sha,
    FieldId::arp_tha,    FieldId::tcp_src,    FieldId::tcp_dst,    FieldId::udp_src,
    FieldId::udp_dst,    FieldId::sctp_src,   FieldId::sctp_dst,   FieldId::icmp4_type,
    FieldId::icmp4_code, FieldId::icmp6_type, FieldId::icmp6_code, FieldId::nd_target,
    FieldId::nd_sll,     FieldId::nd_tll,
};

class Walk {
public:
    Walk(const FlowKey& key, std::mt19937_64& random) : key_{key}, random_{random} {}

    RandomEdit run() {
        for (std::uint64_t pops = random_() % 8; pops >= 6; --pops)
            pop();
        for (std::uint64_t pushes = random_() % 8; pushes >= 6; --pushes)
            push();
        for (const FieldId id : fields)
            if (random_() % 4 == 0)
                set_at_random(info(id));
        std::copy_n(key_.word.begin(), std::size(edit_.word), std::begin(edit_.word));
        return {edit_, key_};
    }

private:
    unsigned tags() const { return key_.is(Shape::vlan1) ? 2 : key_.is(Shape::vlan) ? 1 : 0; }
    void set_tags(unsigned outer, unsigned inner, unsigned count) {
        const FieldInfo& shape = info(FieldId::shape);
        const auto both = static_cast<std::uint16_t>(Shape::vlan | Shape::vlan1);
        set(key_, shape, std::uint64_t{(1u << count) - 1}, std::uint64_t{both});
        set(key_, whole(info(FieldId::vlan_tci)), std::uint64_t{outer});
        set(key_, whole(info(FieldId::vlan1_tci)), std::uint64_t{inner});
        edit_.dirty |= 0b110;
    }
    unsigned tci(unsigned place) const {
        return static_cast<unsigned>(key_.word[1 + place] & 0xffff);
    }

    void pop() {
        if (tags() == 0)
            return;
        if (edit_.vlan_pushed != 0) {
            edit_.vlan_tpid[0] = edit_.vlan_tpid[1];
            --edit_.vlan_pushed;
        } else {
            ++edit_.vlan_popped;
        }
        set_tags(tci(1), 0, tags() - 1);
    }
    void push() {
        if (tags() == 2)
            return;
        edit_.vlan_tpid[1] = edit_.vlan_tpid[0];
        edit_.vlan_tpid[0] = random_() % 2 == 0 ? 0x8100 : 0x88a8;
        ++edit_.vlan_pushed;
        set_tags(0, tci(0), tags() + 1);
    }

    void set_at_random(const FieldInfo& field) {
        const auto icmp6_type = get(key_, info(FieldId::icmp6_type)).low;
        const bool decides = (field.id == FieldId::icmp6_type || field.id == FieldId::icmp6_code) &&
                             (icmp6_type == 135 || icmp6_type == 136);
        if (!key_.is(field.requires_shape) || decides)
            return;
        U128 value{random_(), random_()};
        if (random_() % 8 == 0)
            value = get(key_, field);
        if (random_() % 16 == 0)
            value = {}; // corners of ones' complement sums
        if (random_() % 16 == 0)
            value = ~U128{};
        if (field.id == FieldId::icmp6_type)
            value = value & U128{0x7f}; // below neighbour discovery's
        set(key_, whole(field), value & low_bits(field.bits));
        edit_.dirty |= field.words();
    }

    FlowKey key_;
    std::mt19937_64& random_;
    Edit edit_{};
};

} // namespace

RandomEdit random_edit(const FlowKey& key, std::mt19937_64& random) {
    return Walk{key, random}.run();
}

} // namespace weft::test
