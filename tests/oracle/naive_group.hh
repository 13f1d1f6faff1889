// The specification of a select group's choice: what docs/language.md says, one slot at a time.
#pragma once

#include "base/key.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <optional>
#include <vector>

namespace weft::oracle {

/// The bucket that has the slot, one of 8,192; nothing where no bucket has a weight.
std::optional<std::size_t> owner_of_slot(const GroupSettings& group, std::uint64_t slot);
/// What the packet is hashed to.
std::uint64_t hash_of_packet(const GroupSettings& group, const FlowKey& key);
/// The bucket that this packet takes; `live` tells of each bucket whether its port is up.
std::optional<std::size_t>
select_bucket(const GroupSettings& group, const FlowKey& key, const std::vector<bool>& live);

} // namespace weft::oracle
