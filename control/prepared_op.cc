#include "control/prepared_op.hh"

#include <utility>

namespace weft {

Judged<PreparedOp> prepare(
    control::Op& op,
    std::uint32_t index,
    const std::string& scope,
    ActionsMemo& memo,
    std::optional<CanonicalRow> written,
    const RowStore& rows
) {
    PreparedOp prepared;
    prepared.index = index;
    prepared.verb = op.verb() == "upsert"   ? Verb::upsert
                    : op.verb() == "delete" ? Verb::erase
                                            : Verb::weight;
    prepared.weight = op.weight();
    prepared.version = op.version();
    if (op.has_if_version())
        prepared.if_version = op.if_version();
    prepared.if_absent = op.if_absent();
    prepared.ttl_ms = op.ttl_ms();
    if (prepared.if_absent && prepared.if_version)
        return tl::unexpected{Fault{
            .code = "bad_value",
            .message = "if_absent and if_version contradict each other: give one",
            .path = "if_absent",
            .op = index,
        }};
    prepared.scope = op.scope().empty() ? scope : op.scope();
    if (prepared.scope.size() > name_bytes_max)
        return tl::unexpected{Fault{
            .code = "bad_value",
            .message = "scope " + quoted(prepared.scope) + " has " +
                       std::to_string(prepared.scope.size()) + " bytes: at most " +
                       std::to_string(name_bytes_max) + " may be",
            .path = "scope",
            .op = index,
        }};
    const bool key_only = prepared.verb == Verb::erase;
    if (written && stands(*written, key_only, rows)) {
        prepared.row = std::move(*written);
        return prepared;
    }
    auto row = canonical_row(op, key_only, memo);
    if (!row) {
        row.error().op = index;
        return tl::unexpected{std::move(row.error())};
    }
    prepared.row = std::move(*row);
    return prepared;
}

} // namespace weft
