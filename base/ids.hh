// Numbers that do not mix: an enum class per kind.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

inline constexpr std::size_t cache_line = 64;

/// A port's place in the switch: dense, given to a (bridge, name) pair when it is first mentioned,
/// never reused for another. Not an ethdev id (those move) and not the port's number in its bridge
/// (that is what fields hold).
enum class PortId : std::uint32_t { none = 0 };
/// A port's number in its bridge, as the fields inport and outport hold it. 0 is no port.
enum class PortNumber : std::uint32_t { none = 0 };
enum class BridgeId : std::uint16_t { main = 0 };
/// A group's place in the switch, dense, given to a (bridge, number) pair when it is first
/// mentioned.
enum class GroupId : std::uint32_t { none = 0xffff'ffff };
/// A meter's place in the switch, likewise.
enum class MeterId : std::uint32_t { none = 0xffff'ffff };
/// A table's place in the switch, dense, given to a (bridge, number) pair when it is first
/// mentioned.
enum class TableId : std::uint32_t { none = 0xffff'ffff };
/// A row's counters: an index into every worker's counter memory.
enum class CounterId : std::uint32_t { none = 0 };
enum class WorkerId : std::uint16_t {};
/// The number of a commit. A rule is seen by generation g where born <= g < died.
using Generation = std::uint64_t;
inline constexpr Generation never = ~Generation{0};

template <class Id>
constexpr auto index(Id id) noexcept {
    return static_cast<std::size_t>(id);
}

} // namespace weft
