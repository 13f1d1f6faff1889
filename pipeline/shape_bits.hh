// What a term asks of a packet's shape, as bits, and what some of them say of the others: a packet
// has one L3 and one L4.
#pragma once

#include "base/field.hh"
#include "pipeline/match.hh"

#include <cstdint>

namespace weft {

/// Bits that must be set and bits that must not. Pure values; any thread; nothing here allocates.
struct ShapeBits {
    using Bits = std::uint16_t;
    Bits set = 0;
    Bits clear = 0;

    /// Of a condition on FieldId::shape.
    static ShapeBits of(const FieldMatch& match) noexcept {
        return {
            static_cast<Bits>(match.value.low),
            static_cast<Bits>(match.mask.low & ~match.value.low)};
    }
    /// Of a term: nothing where it has no such condition.
    static ShapeBits of(const Term& term) noexcept {
        const bool any = !term.fields.empty() && term.fields.front().field == FieldId::shape;
        return any ? of(term.fields.front()) : ShapeBits{};
    }
    /// As a condition.
    FieldMatch match() const {
        return {FieldId::shape, U128{set}, U128{std::uint64_t{set} | clear}};
    }
    bool possible() const noexcept { return (set & clear) == 0; }
    friend bool operator==(ShapeBits, ShapeBits) = default;
};

/// Everything that `bits` says, directly or not. Not possible() where no packet has such a shape.
ShapeBits saturated(ShapeBits bits) noexcept;

/// The one normal form of all that say the same: every set bit, and of the clear ones those that
/// the others do not say already.
ShapeBits normal(ShapeBits bits) noexcept;

} // namespace weft
