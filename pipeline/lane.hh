// The small machine that each lane of a burst is: place in an action program, call stack, saved
// states. Memory of the worker, of stated size: a line per lane for a simple switch, the rest
// (about 110 kB a lane) untouched until calls, clones and stacks are used.
#pragma once

#include "base/drop.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "base/lanes.hh"
#include "base/u128.hh"
#include "pipeline/burst.hh"
#include "pipeline/name_part.hh"
#include "pipeline/process.hh"
#include "pipeline/program.hh"

#include <array>
#include <cstdint>

namespace weft {

struct Group;
struct BridgeView;

/// Tags that the walk took off and put on, relative to the packet as received (pipeline/rewrite.hh,
/// Edit).
struct VlanEdit {
    std::uint8_t popped = 0;
    std::uint8_t pushed = 0;
    std::uint16_t tpid[2] = {};
};

/// What goes on when the actions at hand end.
struct Frame {
    enum class Kind : std::uint8_t {
        call,  // a table was called: go on behind the call
        clone, // restore the state, go on behind the body
        group, // restore the state, then the group's next bucket
        flood, // restore the state, then the bridge's next port
    };
    Kind kind{};
    bool vlan_aware = false;        // flood: of output(normal)
    std::uint16_t vlan = 0;         // flood: the packet's VLAN, where vlan_aware
    std::uint32_t next = 0;         // group: bucket; flood: place among the bridge's ports
    std::uint32_t max_bytes = 0;    // flood
    std::uint16_t table_number = 0; // whose actions go on
    const Op* resume = nullptr;     // of `program`
    const Program* program = nullptr;
    const void* over = nullptr; // group: Group; flood: BridgeView
};

/// One line: what every walk touches.
struct alignas(cache_line) Lane {
    const Op* pc = nullptr;
    const Program* program = nullptr;
    WordMask dirty = 0;             // header words that the walk wrote
    std::uint16_t table_number = 0; // whose actions run
    std::uint16_t depth = 0;        // frames in use
    std::uint16_t saved = 0;        // saved states in use
    std::uint16_t steps = 0;
    std::uint16_t clones = 0;
    std::uint16_t stack = 0;           // values on the packet's stack
    std::uint16_t edit = Effect::none; // the snapshot of the current edits, if there is one
    BridgeId bridge{};
    VlanEdit vlan;
    Drop reason =
        Drop::no_output; // of a walk that ends without effects: the last thing that came in its way
};
static_assert(sizeof(Lane) == cache_line);

struct SavedState {
    FlowKey key;
    WordMask dirty;
    std::uint16_t stack;
    std::uint16_t edit;
    BridgeId bridge;
    VlanEdit vlan;
    std::array<U128, walk_stack_max> values;
};

struct LaneStacks {
    std::array<Frame, walk_depth_max> frame;
    std::array<U128, walk_stack_max> value;
    std::array<SavedState, walk_depth_max> saved;
};

struct LaneMachines {
    std::array<std::uint32_t, burst_max> at; // the table that each lane stands at: TableId
    std::array<Lane, burst_max> lane;
    std::array<LaneStacks, burst_max> stacks;
    NameLanes names;
};

} // namespace weft
