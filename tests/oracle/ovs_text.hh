// Pieces of OVS's text: numbers, addresses, names of fields.
#pragma once

#include "base/field.hh"
#include "base/u128.hh"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weft::oracle::ovs {

std::string_view trimmed(std::string_view text);
/// Splits at `separator` outside of brackets; an empty text has no pieces.
std::vector<std::string_view> split(std::string_view text, char separator);
/// The two sides of the first `separator` outside of brackets; the second is empty where there is
/// none.
struct Sides {
    std::string_view left, right;
    bool found = false;
};
Sides cut(std::string_view text, std::string_view separator);

/// Decimal or 0x, up to 128 bits.
std::optional<U128> number(std::string_view text);
std::optional<U128> mac(std::string_view text);
std::optional<U128> ip4(std::string_view text);
std::optional<U128> ip6(std::string_view text);
/// Any of them, in that order.
std::optional<U128> value(std::string_view text);

/// "reg0", "eth_src", "nw_src", ... or "NXM_NX_REG0", "OXM_OF_PKT_REG4", ...
std::optional<FieldId> field(std::string_view name);
/// "NXM_NX_REG13[0..15]", "reg0[3]", "NXM_OF_ETH_SRC[]".
std::optional<FieldSlice> slice(std::string_view text);

} // namespace weft::oracle::ovs
