// Fields of a packet as text: what packet-ins and traces show.
#pragma once

#include "base/field.hh"
#include "base/key.hh"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

/// A port's name by its number; empty where none has it.
using PortNames = std::function<std::string_view(PortNumber)>;

/// Registers, metadata, marks, tunnel and connection fields that are not 0, as (field, value).
/// `words`: those of the key that hold anything.
std::vector<std::pair<std::string, std::string>>
metadata_of(const FlowKey& key, WordMask words, const PortNames& names);

/// What the packet has, as a match: `inport == "p1" && eth.src == ... && tcp.dst == 80`.
std::string packet_text(const FlowKey& key, WordMask words, const PortNames& names);

} // namespace weft
