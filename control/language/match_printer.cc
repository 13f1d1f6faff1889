// A match is printed in two steps. Terms that differ in one field only become one group with a set
// of values for that field, as often as that works; then each group prints its predicates and
// comparisons, leaving out what parsing adds by itself.
//
// Invariant: what a group prints parses into exactly the group's terms. So a range is printed only
// where its prefixes are those that the terms have, != only where its expansion is.

#include "control/language/groups.hh"
#include "control/language/language.hh"
#include "control/language/prefixes.hh"
#include "control/language/symbols.hh"
#include "control/language/values.hh"

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <span>

namespace weft {

namespace language {

namespace {

using Bits = std::uint16_t;

/// One field of a group and the values that it may have, which are never none.
struct Cell {
    FieldId field{};
    std::span<const FieldMatch> values;

    bool is(U128 value, U128 mask) const noexcept {
        return values.size() == 1 && values[0].port.empty() && values[0].value == value &&
               values[0].mask == mask;
    }
};

/// The part of a field that a comparison names, and how its values are written there.
struct Frame {
    FieldSlice slice;
    FieldFormat format{};
    unsigned bits() const noexcept { return slice.bits; }
    U128 mask() const noexcept { return low_bits(slice.bits) << slice.lsb; }
};

constexpr bool is_address(FieldFormat format) noexcept {
    return format == FieldFormat::mac || format == FieldFormat::ip4 || format == FieldFormat::ip6;
}

/// A mask's place: its lowest bit and its extent up to its highest.
FieldSlice span_of(FieldId field, U128 mask) noexcept {
    unsigned low = 0, high = 127;
    while (!(mask >> low & U128{1}))
        ++low;
    while (!(mask >> high & U128{1}))
        --high;
    return {field, static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high - low + 1)};
}

std::span<const FieldId> views_of(FieldId field) noexcept {
    static constexpr std::array tci = {FieldId::vlan_vid, FieldId::vlan_pcp};
    static constexpr std::array tci1 = {FieldId::vlan1_vid, FieldId::vlan1_pcp};
    static constexpr std::array tos = {FieldId::ip_dscp, FieldId::ip_ecn};
    switch (field) {
    case FieldId::vlan_tci:
        return tci;
    case FieldId::vlan1_tci:
        return tci1;
    case FieldId::ip_tos:
        return tos;
    default:
        return {};
    }
}

Frame frame_of_view(const FieldInfo& view) noexcept {
    return {narrowest(whole(view)), view.format};
}

/// The smallest part with a name of its own that holds all of `mask`.
Frame frame_for(const FieldInfo& field, U128 mask, std::span<const FieldMatch> values) {
    Frame frame{whole(field), field.format};
    for (const FieldId id : views_of(field.id)) {
        const Frame view = frame_of_view(info(id));
        if (!(mask & ~view.mask()))
            frame = view;
    }
    if (is_address(frame.format) || mask == frame.mask())
        return frame;
    const bool prefixes = std::all_of(values.begin(), values.end(), [&](const FieldMatch& v) {
        return is_prefix(v.mask >> frame.slice.lsb, low_bits(frame.slice.bits));
    });
    const bool one_mask = std::all_of(values.begin(), values.end(), [&](const FieldMatch& v) {
        return v.mask == values.front().mask;
    });
    // ports read better as a range, 80..87, registers as a slice
    if (prefixes && (frame.format == FieldFormat::decimal || !one_mask))
        return frame;
    const Frame part{span_of(field.id, mask), frame.format};
    return part.mask() == mask ? part : frame;
}

class GroupPrinter {
public:
    GroupPrinter(std::string& out, std::span<const Cell> cells) : out_{out}, cells_{cells} {}

    /// Returns how many comparisons and predicates there are.
    unsigned print();

private:
    void separate() {
        if (items_++ != 0)
            out_ += " && ";
    }
    void word(std::string_view text, bool holds = true) {
        separate();
        if (!holds)
            out_ += '!';
        out_ += text;
    }
    const Cell* find(FieldId field) const noexcept {
        const auto at =
            std::lower_bound(cells_.begin(), cells_.end(), field, [](const Cell& c, FieldId f) {
                return c.field < f;
            });
        return at != cells_.end() && at->field == field ? &*at : nullptr;
    }
    bool has(FieldId field, U128 value, U128 mask) const noexcept {
        const Cell* cell = find(field);
        return cell != nullptr && cell->is(value, mask);
    }
    void find_names();
    void shape();
    void cell(const Cell& cell);
    bool by_name(const Cell& cell);
    bool ct_bits(const Cell& cell);
    bool registers(const Cell*& at);
    void comparison(const Cell& cell);
    void ports(const Cell& cell);
    bool whole_views(const FieldInfo& field, U128 value, U128 mask);
    void values(const Frame& frame, std::span<const FieldMatch> values);
    void value(const Frame& frame, Prefix value);
    bool inequality(const Frame& frame, const Prefixes& values);

    std::string& out_;
    std::span<const Cell> cells_;
    unsigned items_ = 0;
    std::array<std::string_view, 4> names_{}; // predicates that stand for several cells
    std::size_t names_used_ = 0;
    std::array<FieldId, 4> fields_said_{}; // by these predicates
    std::size_t fields_said_used_ = 0;
    Bits said_ = 0; // shape bits that something printed implies
};

/// Looks for predicates that say what a shape and some fields say together.
void GroupPrinter::find_names() {
    const Cell* shape = find(FieldId::shape);
    if (shape == nullptr)
        return;
    const auto bits = static_cast<Bits>(shape->values[0].value.low);
    const auto covers = [&](std::string_view name, Shape implies, std::initializer_list<FieldId> ids
                        ) {
        names_[names_used_++] = name;
        said_ |= static_cast<Bits>(implied(implies));
        for (const FieldId id : ids)
            fields_said_[fields_said_used_++] = id;
    };
    if (weft::has(bits, Shape::arp)) {
        if (has(FieldId::eth_type, 0x0806, 0xffff))
            covers("arp", Shape::arp, {FieldId::eth_type});
        else if (has(FieldId::eth_type, 0x8035, 0xffff))
            covers("rarp", Shape::arp, {FieldId::eth_type});
    }
    if (!weft::has(bits, Shape::icmp6) || !has(FieldId::ip_ttl, 255, 0xff))
        return;
    constexpr std::array<std::string_view, 4> by_type = {"nd_rs", "nd_ra", "nd_ns", "nd_na"};
    if (has(FieldId::icmp6_code, 0, 0xff))
        for (std::uint8_t i = 0; i < by_type.size(); ++i)
            if (has(FieldId::icmp6_type, 133u + i, 0xff))
                return covers(
                    by_type[i],
                    Shape::icmp6,
                    {FieldId::ip_ttl, FieldId::icmp6_type, FieldId::icmp6_code}
                );
    if (weft::has(bits, Shape::nd))
        covers("nd", Shape::nd, {FieldId::ip_ttl});
}

/// Predicates of the shape that no comparison implies, and those with `!`.
void GroupPrinter::shape() {
    for (std::size_t i = 0; i < names_used_; ++i)
        word(names_[i]);
    const Cell* cell = find(FieldId::shape);
    if (cell == nullptr)
        return;
    const FieldMatch& match = cell->values[0];
    const auto set = static_cast<Bits>(match.value.low), all = static_cast<Bits>(match.mask.low);
    Bits wanted = 0;
    // from the last, which are the special ones, to what they do not imply
    const auto names = shape_names();
    for (auto name = names.rbegin(); name != names.rend(); ++name)
        if (const auto bit = static_cast<Bits>(name->bit); (set & bit & ~said_) != 0) {
            wanted |= bit;
            said_ |= static_cast<Bits>(implied(name->bit));
        }
    for (const ShapeName& name : names)
        if (const auto bit = static_cast<Bits>(name.bit); (wanted & bit) != 0)
            word(name.name);
        else if ((all & ~set & bit) != 0)
            word(name.name, false);
}

bool GroupPrinter::ct_bits(const Cell& cell) {
    constexpr std::uint64_t trk = 1 << ct_trk_bit;
    const FieldMatch& match = cell.values[0];
    const std::uint64_t mask = match.mask.low, value = match.value.low;
    if (cell.values.size() != 1 || mask >> ct_bit_names.size() != 0 ||
        ((value & trk) == 0 && mask != trk))
        return false;
    for (std::size_t bit = 0; bit < ct_bit_names.size(); ++bit)
        // all but ct.trk itself imply ct.trk
        if ((mask >> bit & 1) != 0 && (bit != ct_trk_bit || mask == trk))
            word(ct_bit_names[bit], (value >> bit & 1) != 0);
    return true;
}

/// The few comparisons that have a name as a whole.
bool GroupPrinter::by_name(const Cell& cell) {
    switch (cell.field) {
    case FieldId::ct_state:
        return ct_bits(cell);
    case FieldId::ip_frag:
        if (cell.is(frag_any, frag_any))
            return word("ip.is_frag"), true;
        if (cell.is(frag_later, frag_later))
            return word("ip.later_frag"), true;
        if (cell.is(frag_any, frag_any | frag_later))
            return word("ip.first_frag"), true;
        return false;
    case FieldId::eth_dst: {
        constexpr std::uint64_t group = std::uint64_t{1} << 40;
        if (!cell.is(group, group) && !cell.is(0, group))
            return false;
        word("eth.mcast", cell.is(group, group));
        return true;
    }
    default:
        return false;
    }
}

/// Four whole registers in a row are one number: that is how addresses stand in them.
bool GroupPrinter::registers(const Cell*& at) {
    const auto first = static_cast<unsigned>(at->field) - static_cast<unsigned>(FieldId::reg0);
    if (at->field < FieldId::reg0 || at->field > FieldId::reg15 || first % 4 != 0 ||
        cells_.data() + cells_.size() - at < 4)
        return false;
    U128 value;
    for (unsigned i = 0; i < 4; ++i) {
        const Cell& cell = at[i];
        if (static_cast<unsigned>(cell.field) != static_cast<unsigned>(at->field) + i ||
            cell.values.size() != 1 || cell.values[0].mask != low_bits(32))
            return false;
        value = value << 32 | cell.values[0].value;
    }
    separate();
    out_ += info(static_cast<FieldId>(static_cast<unsigned>(FieldId::xxreg0) + first / 4)).name;
    out_ += " == ";
    append_hex(out_, value);
    at += 3;
    return true;
}

unsigned GroupPrinter::print() {
    find_names();
    for (const Cell& cell : cells_)
        if (cell.field != FieldId::shape)
            said_ |= static_cast<Bits>(info(cell.field).requires_shape);
    const auto fields = [&](bool before_shape) {
        for (const Cell* at = cells_.data(); at != cells_.data() + cells_.size(); ++at) {
            const auto said_end = fields_said_.begin() + fields_said_used_;
            if (at->field == FieldId::shape || before_shape != (at->field < FieldId::eth_type) ||
                std::find(fields_said_.begin(), said_end, at->field) != said_end)
                continue;
            if (!registers(at) && !by_name(*at))
                comparison(*at);
        }
    };
    fields(true);
    shape();
    fields(false);
    if (items_ == 0)
        out_ += '1';
    return items_;
}

void GroupPrinter::ports(const Cell& cell) {
    separate();
    out_ += info(cell.field).name;
    out_ += cell.values.size() == 1 ? " == " : " == {";
    bool first = true;
    for (const FieldMatch& match : cell.values) {
        if (!first)
            out_ += ", ";
        first = false;
        if (!match.port.empty())
            append_quoted(out_, match.port);
        else
            value({whole(info(cell.field)), FieldFormat::port}, {match.value, match.mask});
    }
    if (cell.values.size() != 1)
        out_ += '}';
}

/// `vlan.vid == 5 && vlan.pcp == 3` where the mask is exactly that of several views.
bool GroupPrinter::whole_views(const FieldInfo& field, U128 value, U128 mask) {
    U128 of_views;
    for (const FieldId id : views_of(field.id)) {
        const Frame view = frame_of_view(info(id));
        if ((mask & view.mask()) == view.mask())
            of_views = of_views | view.mask();
    }
    if (of_views != mask || mask == low_bits(field.bits))
        return false;
    for (const FieldId id : views_of(field.id)) {
        const Frame view = frame_of_view(info(id));
        if (!(mask & view.mask()))
            continue;
        separate();
        out_ += info(id).name;
        out_ += " == ";
        append_value(out_, view.format, (value & view.mask()) >> view.slice.lsb);
    }
    return true;
}

void GroupPrinter::comparison(const Cell& cell) {
    const FieldInfo& field = info(cell.field);
    U128 mask;
    bool port = false;
    for (const FieldMatch& match : cell.values) {
        mask = mask | match.mask;
        port = port || !match.port.empty();
    }
    if (port)
        return ports(cell);
    if (cell.values.size() == 1 && whole_views(field, cell.values[0].value, mask))
        return;
    const Frame frame = frame_for(field, mask, cell.values);
    if (frame.slice.bits == 1 && cell.values.size() == 1) {
        std::string bit;
        append_slice(bit, frame.slice);
        return word(bit, static_cast<bool>(cell.values[0].value));
    }
    separate();
    append_slice(out_, frame.slice);
    values(frame, cell.values);
}

void GroupPrinter::value(const Frame& frame, Prefix of) {
    const U128 max = low_bits(frame.bits());
    const bool plain = of.mask == max;
    const bool prefix = is_prefix(of.mask, max);
    FieldFormat format = frame.format;
    if (format == FieldFormat::decimal && !prefix)
        format = FieldFormat::hex; // bits are readable there
    append_value(out_, format, of.value);
    if (plain)
        return;
    if (prefix && (format == FieldFormat::ip4 || format == FieldFormat::ip6)) {
        out_ += '/';
        append_decimal(out_, static_cast<std::uint64_t>(of.mask.popcount()));
    } else if (prefix && !is_address(format)) {
        out_ += "..";
        append_value(out_, format, of.value | (max & ~of.mask));
    } else {
        out_ += '/';
        append_value(out_, format, of.mask);
    }
}

/// `!= v` where the values are just what that comes to.
bool GroupPrinter::inequality(const Frame& frame, const Prefixes& values) {
    if (values.size() != frame.bits() || values.size() < 2)
        return false;
    // the longest mask is the value's neighbour
    const U128 max = low_bits(frame.bits());
    const auto neighbour =
        std::find_if(values.begin(), values.end(), [&](const Prefix& v) { return v.mask == max; });
    if (neighbour == values.end())
        return false;
    const U128 value = neighbour->value ^ U128 { 1 };
    Prefixes others;
    if (!complement_of({value, max}, others))
        return false;
    std::sort(others.begin(), others.end());
    if (others != values)
        return false;
    out_ += " != ";
    append_value(out_, frame.format, value);
    return true;
}

void GroupPrinter::values(const Frame& frame, std::span<const FieldMatch> matches) {
    const U128 max = low_bits(frame.bits());
    Prefixes all;
    all.reserve(matches.size());
    for (const FieldMatch& match : matches)
        all.push_back({match.value >> frame.slice.lsb, match.mask >> frame.slice.lsb});
    std::sort(all.begin(), all.end());
    if (inequality(frame, all))
        return;
    out_ += " == ";
    const std::size_t begin = out_.size();
    std::size_t elements = 0;
    const auto last_of = [&](const Prefix& p) { return p.value | (max & ~p.mask); };
    for (std::size_t i = 0; i < all.size();) {
        if (elements++ != 0)
            out_ += ", ";
        // as many prefixes as touch each other, if they are what a range comes to
        std::size_t end = i + 1;
        if (!is_address(frame.format) && is_prefix(all[i].mask, max))
            while (end < all.size() && is_prefix(all[end].mask, max) &&
                   last_of(all[end - 1]) < all[end].value &&
                   all[end].value - last_of(all[end - 1]) == U128{1})
                ++end;
        Prefixes range;
        const bool one_range = end - i > 1 &&
                               cover(all[i].value, last_of(all[end - 1]), max, range) &&
                               range.size() == end - i;
        if (one_range) {
            append_value(out_, frame.format, all[i].value);
            out_ += "..";
            append_value(out_, frame.format, last_of(all[end - 1]));
            i = end;
            continue;
        }
        for (const std::size_t first = i; i < end; ++i) {
            if (i != first) {
                out_ += ", ";
                ++elements;
            }
            value(frame, all[i]);
        }
    }
    if (elements > 1) {
        out_.insert(begin, "{");
        out_ += '}';
    }
}

void print_term(const Term& term, std::string& out) {
    boost::container::small_vector<Cell, 8> cells;
    for (const FieldMatch& match : term.fields)
        cells.push_back({match.field, {&match, 1}});
    GroupPrinter{out, {cells.data(), cells.size()}}.print();
}

} // namespace

} // namespace language

std::string print(const Term& term) {
    std::string out;
    language::print_term(term, out);
    return out;
}

std::string print(const Match& match) {
    std::string out;
    print(match, out);
    return out;
}

void print(const Match& match, std::string& out) {
    using namespace language;
    out.clear();
    if (match.terms.empty()) {
        out = "0";
        return;
    }
    if (match.terms.size() == 1)
        return print_term(match.terms.front(), out);
    const std::vector<Group> groups = groups_of(match);
    for (const Group& group : groups) {
        std::vector<Cell> cells;
        for (const Group::Values& values : group.fields)
            cells.push_back({values.field, values.values});
        if (!out.empty())
            out += " || ";
        const std::size_t begin = out.size();
        if (GroupPrinter{out, cells}.print() > 1 && groups.size() > 1) {
            out.insert(begin, "(");
            out += ')';
        }
    }
}

} // namespace weft
