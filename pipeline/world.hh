// One consistent world: everything that a packet's way depends on, as of one generation. Workers
// read it, one writer replaces it.
#pragma once

#include "base/ids.hh"
#include "pipeline/parse.hh"
#include "pipeline/port_list.hh"
#include "pipeline/tables.hh"

#include <array>
#include <atomic>
#include <cstdint>

namespace weft {

class Table;
class TupleSpace;
struct Group;
struct Hop;
struct Meter;

/// A dense array of pointers that changes by path: pages of 256 hang on a root, and a change copies
/// its page and the root. Whoever holds an old root sees the old array, whole. Reading: two loads.
/// PagedArrayWriter (pipeline/paged_array.hh) makes them.
template <class T>
struct PagedArray {
    static constexpr std::size_t page_size = 256;
    using Page = std::array<const T*, page_size>;

    const Page* const* pages = nullptr;
    std::size_t page_count = 0;

    /// nullptr where nothing is.
    const T* find(std::size_t at) const noexcept {
        return at / page_size < page_count ? (*pages[at / page_size])[at % page_size] : nullptr;
    }
};

/// A port row as walks see it.
struct PortView {
    PortId id{};
    PortNumber number{};
    BridgeId bridge{};
    bool is_patch = false;
    bool down = false;          // administratively
    PortId peer = PortId::none; // of a patch port
    VlanMode vlan_mode = VlanMode::none;
    std::uint16_t vlan_tag = 0;
    std::array<std::uint64_t, 64> vlan_allowed; // trunk modes: bit per VLAN id
};

struct BridgeView {
    BridgeId id{};
    ReservedMulticast reserved_multicast = ReservedMulticast::drop;
    bool learning = true;
    TableId first_table = TableId::none; // table 0
    const TupleSpace* macs = nullptr;    // learned addresses by mac_key() in word 1: LearnedAddress
    PortList ports;
};

struct World {
    Generation generation = 0;
    Depth depth;                    // what any rule reads or writes
    PagedArray<Table> tables;       // by TableId
    PagedArray<Group> groups;       // by GroupId
    PagedArray<Meter> meters;       // by MeterId
    PagedArray<PortView> ports;     // by PortId
    PagedArray<BridgeView> bridges; // by BridgeId
    const Hop* hops = nullptr;      // by Verdict::target()
    const std::atomic<std::uint8_t>* link_up =
        nullptr; // by PortId: runtime state, outside the generation
};

} // namespace weft
