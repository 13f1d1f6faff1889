#include "control/language/comparison.hh"

namespace weft::language {

bool values_of(
    FieldSlice slice, Kind comparison, const Constants& constants, std::size_t& work, Prefixes& out
) {
    const U128 max = low_bits(slice.bits);
    const U128 value = constants.front().first;
    const U128 one{1};
    switch (comparison) {
    case Kind::less:
        return value == U128{} || cover({}, value - one, max, out);
    case Kind::less_equal:
        return cover({}, value, max, out);
    case Kind::greater:
        return value == max || cover(value + one, max, max, out);
    case Kind::greater_equal:
        return cover(value, max, max, out);
    default:
        break;
    }
    for (const Constant& constant : constants) {
        const bool fine = constant.is_range
                              ? cover(constant.first, constant.last, max, out)
                              : append({constant.first, constant.mask.value_or(max)}, out);
        if (!fine)
            return false;
    }
    return comparison == Kind::equal || complement(out, max, work);
}

} // namespace weft::language
