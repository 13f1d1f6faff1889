// The relations that clients write, and what is alike in all of them: a row is the bytes of its
// message in canonical form.
#pragma once

#include "control/weft.pb.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

enum class Relation : std::uint8_t { bridge, port, table, flow, group, meter, count_ };
inline constexpr std::size_t relation_count = static_cast<std::size_t>(Relation::count_);
inline constexpr std::array<Relation, relation_count> relations = {
    Relation::bridge,
    Relation::port,
    Relation::table,
    Relation::flow,
    Relation::group,
    Relation::meter,
};

std::string_view name(Relation relation) noexcept;
std::optional<Relation> relation_from(std::string_view name) noexcept;
/// Of the row that an op holds; nothing where it holds none.
std::optional<Relation> relation_of(const control::Op& op) noexcept;

/// A row's bytes are its message, serialised by Protocol Buffers with every field in canonical
/// form, in the order of the field numbers, zeros left out; the bridge `main` is left out too. In
/// every relation the key's fields have the lowest numbers, so the key is a prefix. Any client can
/// make these bytes, and from them the digests.
std::size_t key_bytes(Relation relation, std::string_view row) noexcept;

/// What a key says, read from its bytes without a parser; views into them.
struct KeyView {
    std::string_view bridge;  // empty: main. Of a bridge row: its name
    std::string_view name;    // bridge and port
    std::uint32_t number = 0; // table (of flows too), group, meter
    std::uint32_t priority = 0;
    std::string_view match;
};
KeyView key_view(Relation relation, std::string_view bytes) noexcept;
/// `main` where a row left the bridge out.
inline std::string_view bridge_shown(std::string_view bridge) noexcept {
    return bridge.empty() ? std::string_view{"main"} : bridge;
}

/// "flow table 0 priority 100", "port "p3"", "bridge "br2" group 5": how messages name a row.
/// `with_match`: "... match ip4", too.
std::string describe(Relation relation, std::string_view bytes, bool with_match = false);

/// The row as clients see it; the bridge `main` stays left out.
control::Row to_message(Relation relation, std::string_view bytes);

/// The same in every process and version, and easy to make in any language
/// (docs/control-protocol.md, "Digests by hand"): digests travel, and partitions are chosen by it.
std::uint64_t row_hash(std::string_view bytes, std::uint64_t seed = 0) noexcept;

/// What a row adds to the digest of its (scope, relation): digests are sums of it, modulo 2^64.
inline std::uint64_t row_digest(std::string_view bytes, std::uint64_t version) noexcept {
    return row_hash(bytes, version);
}

/// A part of the rows of a relation: those whose key's hash has this number in its upper bits.
struct Partition {
    std::uint32_t part = 0;
    std::uint32_t parts = 1; // a power of two

    bool holds(std::uint64_t key_hash) const noexcept {
        return parts == 1 || key_hash >> (64 - std::countr_zero(parts)) == part;
    }
    bool whole() const noexcept { return parts == 1; }
};

} // namespace weft
