// From a client's message to a row: checked, in canonical form, with what it means to the table
// engine beside it.
#pragma once

#include "control/rows/references.hh"
#include "control/rows/relation.hh"
#include "control/schema.hh"
#include "control/weft.pb.h"
#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class RowStore;

/// Lists of actions that came lately: thousands of flows share a few. Direct-mapped and small; one
/// thread.
class ActionsMemo {
public:
    struct Entry {
        std::string text; // as it came
        std::string canonical;
        std::shared_ptr<const Actions> actions; // nullptr: nothing here
    };
    /// Where `text` is or would be.
    Entry& at(std::string_view text) {
        return entries_[std::hash<std::string_view>{}(text) % size];
    }

    static constexpr std::size_t text_bytes_max = 512;

private:
    static constexpr std::size_t size = 1'024;
    std::vector<Entry> entries_{size};
};

/// The parsed texts of a row; which of them it has depends on its relation.
struct Meaning {
    Match match;                            // flow
    std::shared_ptr<const Actions> actions; // flow; table: of a miss, where it has one
    std::uint64_t cookie = 0;               // flow
    std::uint32_t idle_timeout_s = 0;
    std::uint32_t hard_timeout_s = 0;
    std::vector<Actions> buckets; // group, in the order of its buckets
};

struct CanonicalRow {
    Relation relation{};
    std::string bytes; // of the message in canonical form: control/rows/relation.hh
    std::size_t key_size = 0;
    std::uint64_t hash = 0;           // of the key
    std::unique_ptr<Meaning> meaning; // of relations that have texts; nullptr where only the key
                                      // was asked for, or the row stands (written_row())

    std::string_view key() const noexcept { return std::string_view{bytes}.substr(0, key_size); }
};

/// The row that `op` holds. May change the op's message: it is brought into canonical form where it
/// stands. `key_only`: the other fields are not looked at (delete by key), and the row has none.
/// Bounds: names 255 bytes of printable UTF-8, texts `text_bytes_max`. Faults carry path and
/// message, not the op's index.
Judged<CanonicalRow> canonical_row(control::Op& op, bool key_only, ActionsMemo& memo);

/// The row of an op that may take away what stands, or (delete by key) its key, just as it is
/// written and without its meaning: if it stands() so it is canonical, and there is nothing to
/// parse. Nothing for other ops, for what is no flow, and where messages stand in place of texts.
std::optional<CanonicalRow> written_row(const control::Op& op);
/// `key_only`: or another one under its key.
bool stands(const CanonicalRow& written, bool key_only, const RowStore& rows) noexcept;

/// Parses the texts of a row that stands; they were parsed when it came, so this cannot fail.
std::unique_ptr<Meaning> meaning_of(Relation relation, std::string_view bytes);

/// What a row makes and what it names.
struct Uses {
    std::vector<Named> provides;
    std::vector<Mention> mentions;
    std::vector<std::unique_ptr<const std::string>> names; // that had to be put together
};
/// Replaces what is in `uses`; its views live as long as `bytes`, `meaning` and `uses` itself.
/// `meaning` is not needed where only `provides` is asked for: nullptr then.
void uses_of(Relation relation, std::string_view bytes, const Meaning* meaning, Uses& uses);

inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::size_t text_bytes_max = std::size_t{1} << 20;

} // namespace weft
