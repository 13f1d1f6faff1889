// One op of a transaction, checked by itself: what it asks for, in canonical form.
#pragma once

#include "control/rows/canonical.hh"
#include "control/rows/store.hh"

#include <cstdint>
#include <optional>
#include <string>

namespace weft {

enum class Verb : std::uint8_t { weight, upsert, erase };

/// One op, checked by itself.
struct PreparedOp {
    std::uint32_t index = 0; // in the client's transaction
    Verb verb{};
    std::int64_t weight = 0;
    std::string scope;
    std::uint64_t version = 0;
    std::optional<std::uint64_t> if_version;
    bool if_absent = false;
    std::uint32_t ttl_ms = 0;
    CanonicalRow row;
};

/// Checks one op and brings it into canonical form. Faults carry the index. `scope`: where the op
/// gives none. `written`: the op's written_row(), which is looked up in `rows` to save parsing;
/// what comes out says the same whatever stands, so parts of a transaction can be prepared while
/// others commit. The message of the op is changed.
Judged<PreparedOp> prepare(
    control::Op& op,
    std::uint32_t index,
    const std::string& scope,
    ActionsMemo& memo,
    std::optional<CanonicalRow> written,
    const RowStore& rows
);

} // namespace weft
