// The names that matches and actions know: fields, bits of fields, predicates.
#pragma once

#include "base/field.hh"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weft::language {

/// Bits of one field with given values. `mask` 0: no condition.
struct Condition {
    FieldId field{};
    U128 value;
    U128 mask;
};

/// A name that is true or false of a packet: all of `shape` and of `conditions` hold, or, where
/// `or_shape` is not none, all of that.
struct Predicate {
    Shape shape = Shape::none;
    Shape or_shape = Shape::none;
    std::array<Condition, 3> conditions{};
    /// Where the shape alone leaves only one alternative to the conditions (ARP and RARP), it
    /// stands here, and the negation needs no term per bit.
    Condition alternative{};
};

struct Symbol {
    std::string_view name;
    /// Of names of fields and of bits of fields; bits is 0 for predicates.
    FieldSlice slice{};
    /// Asked for together with every comparison, also with a negated one.
    Condition prerequisite{};
    Predicate predicate{};

    bool is_predicate() const noexcept { return slice.bits == 0; }
};

/// nullptr where nothing has that name. Costs one hash.
const Symbol* find_symbol(std::string_view name) noexcept;

/// The known name that differs least from `name`, or "" where none is near.
std::string_view nearest_symbol(std::string_view name);
/// The same among `words`.
std::string_view nearest(std::string_view name, std::span<const std::string_view> words);

/// Names of single shape bits, in the order in which matches print them.
struct ShapeName {
    Shape bit;
    std::string_view name;
};
std::span<const ShapeName> shape_names() noexcept;

/// Bits of ct_state as OVS numbers them (ovs-fields(7)), by bit.
inline constexpr std::array<std::string_view, 8> ct_bit_names = {
    "ct.new",
    "ct.est",
    "ct.rel",
    "ct.rpl",
    "ct.inv",
    "ct.trk",
    "ct.snat",
    "ct.dnat",
};
inline constexpr unsigned ct_trk_bit = 5;

/// The slice as one of the narrowest field that holds it: vlan.vid is vlan.tci[0..11],
/// xxreg0[0..31] is reg3.
FieldSlice narrowest(FieldSlice slice) noexcept;

} // namespace weft::language
