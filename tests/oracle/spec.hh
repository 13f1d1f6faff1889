// The switch's rules as plain values: what the naive interpreter runs, one copy for each generation
// that a test wants to ask.
#pragma once

#include "base/ids.hh"
#include "pipeline/action.hh"
#include "pipeline/match.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft::oracle {

struct SpecRule {
    std::uint32_t priority = 0;
    Match match;
    Actions actions;
    std::uint64_t cookie = 0;
    Rule* handle = nullptr; // the engine's, to tell which of equal ones was hit
    std::size_t row = 0;    // stays over changes of the actions
};

struct SpecTable {
    std::optional<Actions> miss; // none: drop as no_match
    bool has_row = false;        // of the relation table
    std::vector<SpecRule> rules; // in no order
};

struct SpecPort {
    std::string name;
    PortId id{};
    PortNumber number{};
    bool is_patch = false;
    PortId peer = PortId::none;
    bool down = false; // administratively
};

struct SpecBridge {
    std::map<std::uint32_t, SpecTable> tables;
    std::map<std::uint32_t, GroupSettings> groups;
    std::set<std::uint32_t> meters;
    std::vector<SpecPort> ports; // those that are there, in the order of their numbers
    std::map<std::string, PortNumber> numbers; // of every name that was mentioned

    const SpecPort* find(PortNumber number) const;
    const SpecPort* find(const std::string& name) const;
};

struct SpecWorld {
    std::vector<SpecBridge> bridges; // by BridgeId

    const SpecPort* find(PortId id, std::size_t* bridge = nullptr) const;
};

/// Runtime state, the same for every generation. A port that is not named is up.
using Links = std::unordered_map<PortId, bool>;

} // namespace weft::oracle
