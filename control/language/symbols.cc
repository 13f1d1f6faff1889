#include "control/language/symbols.hh"

#include "base/hash.hh"

#include <algorithm>
#include <vector>

namespace weft::language {

namespace {

constexpr std::uint64_t mac_group = std::uint64_t{1} << 40;
constexpr std::uint64_t mac_all = 0xffff'ffff'ffff;

constexpr Condition ttl_255 = {FieldId::ip_ttl, 255, 0xff};
constexpr Condition eth_mcast = {FieldId::eth_dst, mac_group, mac_group};
constexpr Condition eth_mcast6 = {FieldId::eth_dst, 0x3333'0000'0000, 0xffff'0000'0000};
constexpr Condition is_arp = {FieldId::eth_type, 0x0806, 0xffff};
constexpr Condition is_rarp = {FieldId::eth_type, 0x8035, 0xffff};
constexpr Condition tracked = {FieldId::ct_state, 1 << ct_trk_bit, 1 << ct_trk_bit};

constexpr Condition icmp6_type(std::uint8_t type) {
    return {FieldId::icmp6_type, type, 0xff};
}
constexpr Condition icmp6_code_0 = {FieldId::icmp6_code, 0, 0xff};

constexpr std::array shape_name_list = {
    ShapeName{Shape::tunnel, "tun.present"},
    ShapeName{Shape::vlan, "vlan.present"},
    ShapeName{Shape::vlan1, "vlan1.present"},
    ShapeName{Shape::arp, "arp.present"},
    ShapeName{Shape::ip, "ip"},
    ShapeName{Shape::ip4, "ip4"},
    ShapeName{Shape::ip6, "ip6"},
    ShapeName{Shape::tcp, "tcp"},
    ShapeName{Shape::udp, "udp"},
    ShapeName{Shape::sctp, "sctp"},
    ShapeName{Shape::icmp4, "icmp4"},
    ShapeName{Shape::icmp6, "icmp6"},
    ShapeName{Shape::igmp, "igmp"},
    ShapeName{Shape::nd, "nd.present"},
    ShapeName{Shape::nd_sll, "nd.sll.present"},
    ShapeName{Shape::nd_tll, "nd.tll.present"},
};

struct NamedPredicate {
    std::string_view name;
    Predicate predicate;
};

// clang-format off
/// ovn-sb(5), "Symbols", and the symbol table of OVN itself where the two differ. nd is weft's: the header with its target, and what
/// proves that it was not routed here.
constexpr std::array predicates = {
    NamedPredicate{"arp", {Shape::arp, Shape::none, {is_arp}, is_rarp}},
    NamedPredicate{"rarp", {Shape::arp, Shape::none, {is_rarp}, is_arp}},
    NamedPredicate{"icmp", {Shape::icmp4, Shape::icmp6}},
    NamedPredicate{"nd", {Shape::nd, Shape::none, {ttl_255}}},
    NamedPredicate{"nd_ns", {Shape::icmp6, Shape::none, {icmp6_type(135), icmp6_code_0, ttl_255}}},
    NamedPredicate{"nd_na", {Shape::icmp6, Shape::none, {icmp6_type(136), icmp6_code_0, ttl_255}}},
    NamedPredicate{"nd_rs", {Shape::icmp6, Shape::none, {icmp6_type(133), icmp6_code_0, ttl_255}}},
    NamedPredicate{"nd_ra", {Shape::icmp6, Shape::none, {icmp6_type(134), icmp6_code_0, ttl_255}}},
    NamedPredicate{"eth.bcast", {Shape::none, Shape::none, {Condition{FieldId::eth_dst, mac_all, mac_all}}}},
    NamedPredicate{"eth.mcastv6", {Shape::none, Shape::none, {eth_mcast6}}},
    NamedPredicate{"ip4.mcast", {Shape::ip4, Shape::none, {eth_mcast, Condition{FieldId::ip4_dst, 0xe000'0000, 0xf000'0000}}}},
    NamedPredicate{"ip4.src_mcast", {Shape::ip4, Shape::none, {Condition{FieldId::ip4_src, 0xe000'0000, 0xf000'0000}}}},
    NamedPredicate{"ip6.mcast", {Shape::ip6, Shape::none, {eth_mcast6, Condition{FieldId::ip6_dst, U128{0xff} << 120, U128{0xff} << 120}}}},
    NamedPredicate{"ip.is_frag", {Shape::ip, Shape::none, {Condition{FieldId::ip_frag, frag_any, frag_any}}}},
    NamedPredicate{"ip.later_frag", {Shape::ip, Shape::none, {Condition{FieldId::ip_frag, frag_later, frag_later}}}},
    NamedPredicate{"ip.first_frag", {Shape::ip, Shape::none, {Condition{FieldId::ip_frag, frag_any, frag_any | frag_later}}}},
};

/// Names of bits and of fields under a further condition.
constexpr std::array aliases = {
    Symbol{"eth.mcast", {FieldId::eth_dst, 40, 1}},
    Symbol{"rarp.op", {FieldId::arp_op, 0, 16}, is_rarp},
    Symbol{"rarp.spa", {FieldId::arp_spa, 0, 32}, is_rarp},
    Symbol{"rarp.tpa", {FieldId::arp_tpa, 0, 32}, is_rarp},
    Symbol{"rarp.sha", {FieldId::arp_sha, 0, 48}, is_rarp},
    Symbol{"rarp.tha", {FieldId::arp_tha, 0, 48}, is_rarp},
};
// clang-format on

/// Open addressing, at most half full.
class Table {
public:
    Table() {
        for (const FieldInfo& field : all_fields())
            if (field.id != FieldId::shape)
                add({field.name, whole(field)});
        for (const Symbol& alias : aliases)
            add(alias);
        for (std::uint8_t bit = 0; bit < ct_bit_names.size(); ++bit)
            add(
                {ct_bit_names[bit],
                 {FieldId::ct_state, bit, 1},
                 bit == ct_trk_bit ? Condition{} : tracked}
            );
        for (const NamedPredicate& named : predicates)
            add({named.name, {}, {}, named.predicate});
        for (const ShapeName& named : shape_name_list)
            add({named.name, {}, {}, {.shape = named.bit}});
    }

    const Symbol* find(std::string_view name) const noexcept {
        for (std::size_t at = slot(name); slots_[at] != 0; at = (at + 1) % slots)
            if (const Symbol& symbol = symbols_[slots_[at] - 1u]; symbol.name == name)
                return &symbol;
        return nullptr;
    }
    const std::vector<Symbol>& symbols() const noexcept { return symbols_; }

private:
    static constexpr std::size_t slots = 512;
    static std::size_t slot(std::string_view name) noexcept { return stable_hash(name) % slots; }
    void add(Symbol symbol) {
        std::size_t at = slot(symbol.name);
        while (slots_[at] != 0)
            at = (at + 1) % slots;
        symbols_.push_back(symbol);
        slots_[at] = static_cast<std::uint16_t>(symbols_.size());
    }

    std::vector<Symbol> symbols_;
    std::array<std::uint16_t, slots> slots_{}; // 1 + index; 0: free
};

const Table& table() {
    static const Table the_table;
    return the_table;
}

/// Insertions, removals and replacements from one word to the other (Levenshtein).
std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

class Nearest {
public:
    explicit Nearest(std::string_view name) : name_{name.substr(0, 32)} {}
    void offer(std::string_view word) {
        const std::size_t distance = edits(name_, word);
        if (distance < best_) {
            best_ = distance;
            word_ = word;
        }
    }
    std::string_view word() const { return word_; }

private:
    std::string_view name_;
    std::string_view word_;
    std::size_t best_ = std::max<std::size_t>(2, name_.size() / 2) + 1;
};

} // namespace

const Symbol* find_symbol(std::string_view name) noexcept {
    return table().find(name);
}

std::string_view nearest_symbol(std::string_view name) {
    Nearest nearest{name};
    for (const Symbol& symbol : table().symbols())
        nearest.offer(symbol.name);
    return nearest.word();
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> words) {
    Nearest nearest{name};
    for (const std::string_view word : words)
        nearest.offer(word);
    return nearest.word();
}

std::span<const ShapeName> shape_names() noexcept {
    return shape_name_list;
}

FieldSlice narrowest(FieldSlice slice) noexcept {
    const FieldInfo& view = info(slice.field);
    if (!view.is_view())
        return slice;
    if (view.base_count == 1) {
        const FieldInfo& base = info(view.base_first);
        return {
            base.id, static_cast<std::uint8_t>(slice.lsb + view.shift - base.shift), slice.bits};
    }
    // views of registers: the first register has the highest bits
    const unsigned low = slice.lsb, high = slice.lsb + slice.bits - 1u;
    const auto first_reg = static_cast<unsigned>(view.base_first);
    if (low / 32 == high / 32) {
        const unsigned reg = first_reg + view.base_count - 1 - low / 32;
        return {static_cast<FieldId>(reg), static_cast<std::uint8_t>(low % 32), slice.bits};
    }
    if (view.base_count == 4 && low / 64 == high / 64) {
        const unsigned pair = (first_reg - static_cast<unsigned>(FieldId::reg0)) / 2 + 1 - low / 64;
        return {
            static_cast<FieldId>(static_cast<unsigned>(FieldId::xreg0) + pair),
            static_cast<std::uint8_t>(low % 64),
            slice.bits};
    }
    return slice;
}

} // namespace weft::language
