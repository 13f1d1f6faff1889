// Comparisons of a field with constants, and the values for which they hold.
#pragma once

#include "control/language/prefixes.hh"
#include "control/language/reader.hh"

#include <boost/container/small_vector.hpp>
#include <cstddef>

namespace weft::language {

using Constants = boost::container::small_vector<Constant, 1>; // sets are rare

constexpr bool is_comparison(Kind kind) noexcept {
    return kind >= Kind::equal && kind <= Kind::greater_equal;
}

constexpr Kind inverse(Kind comparison) noexcept {
    switch (comparison) {
    case Kind::equal:
        return Kind::not_equal;
    case Kind::not_equal:
        return Kind::equal;
    case Kind::less:
        return Kind::greater_equal;
    case Kind::less_equal:
        return Kind::greater;
    case Kind::greater:
        return Kind::less_equal;
    default:
        return Kind::less;
    }
}

/// `5 < reg0` is `reg0 > 5`.
constexpr Kind mirrored(Kind comparison) noexcept {
    switch (comparison) {
    case Kind::less:
        return Kind::greater;
    case Kind::less_equal:
        return Kind::greater_equal;
    case Kind::greater:
        return Kind::less;
    case Kind::greater_equal:
        return Kind::less_equal;
    default:
        return comparison;
    }
}

constexpr bool is_less(Kind comparison) noexcept {
    return comparison == Kind::less || comparison == Kind::less_equal;
}

/// The values for which the comparison holds, in the bits of the slice. < and the like take one
/// plain value, == and != a set. False where they are too many; `work` grows with what was done.
bool values_of(
    FieldSlice slice, Kind comparison, const Constants& constants, std::size_t& work, Prefixes& out
);

} // namespace weft::language
