// Lookups: level by level, all lanes at a time.
#include "base/select.hh"
#include "classifier/lpm.hh"
#include "classifier/lpm_node.hh"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace weft {

using namespace lpm;

namespace {

using Handle = SlotArena::Handle;

/// Lanes by the kind of what they stand at.
struct LaneKinds {
    LaneMask dense = 0, branch = 0, values = 0, leaf = 0;

    LaneKinds(const std::array<Handle, burst_max>& at, LaneMask live) noexcept {
        LaneMask upper = 0, lower = 0;
#ifdef __AVX2__
        for (std::size_t lane = 0; lane < burst_max; lane += 8) {
            const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&at[lane]));
            const auto signs = [](__m256i all) {
                return static_cast<LaneMask>(_mm256_movemask_ps(_mm256_castsi256_ps(all)));
            };
            upper |= signs(eight) << lane;
            lower |= signs(_mm256_slli_epi32(eight, 1)) << lane;
        }
#else
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            upper |= LaneMask{at[lane] >> (slot_bits + 1)} << lane;
            lower |= LaneMask{at[lane] >> slot_bits & 1} << lane;
        }
#endif
        static_assert(static_cast<unsigned>(Kind::dense) == 3);
        static_assert(static_cast<unsigned>(Kind::branch) == 2);
        static_assert(static_cast<unsigned>(Kind::values) == 1);
        dense = live & upper & lower;
        branch = live & upper & ~lower;
        values = live & ~upper & lower;
        leaf = live & ~upper & ~lower;
    }
};

/// Of the prefixes in a node that end above a chunk, one at least, the longest one's value.
template <class Node>
std::uint64_t longest_of(const Node& node, std::uint64_t prefixes) noexcept {
    const auto longest = static_cast<unsigned>(std::countl_zero(prefixes | 1)) ^ 63;
    return node.results()[rank_of(node.internal, longest)];
}

struct OneRoot {
    static constexpr bool is_one = true;
    const LpmRoot& root;
    const LpmRoot& operator()(std::size_t) const noexcept { return root; }
};
struct RootOfLane {
    static constexpr bool is_one = false;
    const LpmRoot* root;
    const LpmRoot& operator()(std::size_t lane) const noexcept { return root[lane]; }
};

} // namespace

// No branch depends on an address: what a node says is computed whether it holds or not and chosen
// afterwards, so the processor works on many lanes at a time, and the next nodes' lines come while
// other lanes are looked at. Lanes at nodes of one kind go together. On the way down the last node
// with a prefix of the address is remembered; its value is fetched only where the end has none.
template <class Address>
template <class RootOf>
LaneMask Lpm<Address>::look_up(
    RootOf root_of, const Address* address, LaneMask live, std::uint64_t* value
) const noexcept {
    using Key = typename Family<Address>::Key;
    using Node = Node<typename Key::Window>;
    const std::byte* base = arena_->base();
    const auto slot_at = [base](Handle at) {
        return base + std::size_t{slot_of(at)} * SlotArena::unit;
    };
    const auto node_at = [&](Handle at) -> const Node& {
        return *reinterpret_cast<const Node*>(slot_at(at));
    };
    std::array<Key, burst_max> key;
    std::array<Handle, burst_max> at;
    std::array<Handle, burst_max> best;
    for_lanes(live, [&](std::size_t lane) {
        key[lane] = Key{address[lane]};
        at[lane] = root_of(lane).node[key[lane].first_bit()];
        best[lane] = 0;                // empty
        if constexpr (!RootOf::is_one) // the nodes of one root are at hand
            __builtin_prefetch(slot_at(at[lane]));
    });
    // What a node of either kind that has children says: `child_of` finds the chunk's.
    const auto go_down = [&](std::size_t lane, auto child_of) {
        const Node& node = node_at(at[lane]);
        const std::uint64_t cut = key[lane].cut(node);
        const auto chunk = static_cast<unsigned>(cut & 63);
        const std::uint64_t differs = (cut >> 6) ^ node.window;
        const std::uint64_t prefixes = select_any(differs, 0, node.internal & ancestors[chunk]);
        best[lane] = static_cast<Handle>(select_any(prefixes, at[lane], best[lane]));
        at[lane] = static_cast<Handle>(select_any(differs, 0, child_of(node, chunk)));
        __builtin_prefetch(slot_at(at[lane]));
    };
    LaneKinds lanes{at, live};
    while ((lanes.dense | lanes.branch) != 0) {
        for_lanes(lanes.dense, [&](std::size_t lane) {
            go_down(lane, [](const Node& node, unsigned chunk) -> std::uint64_t {
                return node.children(Kind::dense)[chunk];
            });
        });
        for_lanes(lanes.branch, [&](std::size_t lane) {
            go_down(lane, [](const Node& node, unsigned chunk) -> std::uint64_t {
                const std::uint64_t external = node.external();
                const std::uint64_t is_there = 0 - (external >> chunk & 1);
                return node.children(Kind::branch)[rank_of(external, chunk) & is_there] & is_there;
            });
        });
        lanes = {at, live};
    }
    LaneMask without = 0; // whose end has no value for them
    for_lanes(lanes.values, [&](std::size_t lane) {
        const Node& node = node_at(at[lane]);
        const std::uint64_t cut = key[lane].cut(node);
        const std::uint64_t prefixes =
            select_any((cut >> 6) ^ node.window, 0, node.internal & ancestors[cut & 63]);
        value[lane] = longest_of(node, prefixes);
        without |= LaneMask{prefixes == 0} << lane;
    });
    for_lanes(lanes.leaf, [&](std::size_t lane) {
        const auto& leaf = *reinterpret_cast<const Leaf<Address>*>(slot_at(at[lane]));
        value[lane] = select_any(leaf.differs(address[lane]), 0, leaf.value);
        without |= LaneMask{value[lane] == 0} << lane;
    });
    LaneMask found = live;
    for_lanes(without, [&](std::size_t lane) {
        const Node& node = node_at(best[lane]);
        const std::uint64_t prefixes = node.internal & ancestors[key[lane].cut(node) & 63];
        value[lane] = select_any(prefixes, longest_of(node, prefixes), root_of(lane).default_value);
        found ^= LaneMask{value[lane] == 0} << lane;
    });
    return found;
}

template <class Address>
LaneMask Lpm<Address>::lookup(
    const LpmRoot& root, const Address* address, LaneMask live, std::uint64_t* value
) const noexcept {
    return look_up(OneRoot{root}, address, live, value);
}

template <class Address>
LaneMask Lpm<Address>::lookup(
    const LpmRoot* root, const Address* address, LaneMask live, std::uint64_t* value
) const noexcept {
    return look_up(RootOfLane{root}, address, live, value);
}

template LaneMask
Lpm<std::uint32_t>::lookup(const LpmRoot&, const std::uint32_t*, LaneMask, std::uint64_t*)
    const noexcept;
template LaneMask
Lpm<std::uint32_t>::lookup(const LpmRoot*, const std::uint32_t*, LaneMask, std::uint64_t*)
    const noexcept;
template LaneMask
Lpm<U128>::lookup(const LpmRoot&, const U128*, LaneMask, std::uint64_t*) const noexcept;
template LaneMask
Lpm<U128>::lookup(const LpmRoot*, const U128*, LaneMask, std::uint64_t*) const noexcept;

} // namespace weft
