// Lookups: level by level, all lanes at a time.
#include "base/select.hh"
#include "classifier/lpm.hh"
#include "classifier/lpm_node.hh"

namespace weft {

using namespace lpm;

// No branch depends on an address: what a node says is computed whether it holds or not and chosen
// afterwards by masks, so the processor works on many lanes at a time, and the next nodes' lines
// come while other lanes are looked at. On the way down only the node of the longest prefix so far
// is remembered; where in it the value stands is computed once, at the end.
template <class Address>
void Lpm<Address>::lookup(
    const LpmRoot* root, const Address* address, LaneMask live, std::uint64_t* value
) const noexcept {
    using Key = typename Family<Address>::Key;
    using Node = Node<typename Key::Window>;
    const std::byte* base = arena_->base();
    const auto node_of = [base](std::size_t handle) {
        return reinterpret_cast<const Node*>(base + handle * SlotArena::unit);
    };
    std::array<Key, burst_max> key;
    std::array<const Node*, burst_max> at;
    std::array<const Node*, burst_max> best;
    for_lanes(live, [&](std::size_t lane) {
        key[lane] = Key{address[lane]};
        at[lane] = node_of(root[lane].node[key[lane].first_bit()]);
        best[lane] = node_of(0); // empty
    });
    for (LaneMask open = live; open != 0;) {
        LaneMask next = 0;
        for_lanes(open, [&](std::size_t lane) {
            const Node& node = *at[lane];
            const std::uint64_t cut = key[lane].cut(node);
            const std::uint64_t chunk = cut & 63;
            const bool is_below = cut >> 6 == node.window;
            const bool has_prefix = is_below & ((node.internal & ancestors[chunk]) != 0);
            best[lane] = select(has_prefix, &node, best[lane]);

            // A leaf has a value in the place of `external`; what is read for it counts nothing,
            // but lies in its slot.
            const std::uint64_t external = node.words()[Node::head_words];
            const bool goes_on = is_below & node.is_branch() & ((external >> chunk & 1) != 0);
            const std::uint64_t if_so = mask_if(goes_on);
            const std::size_t child = rank_of(external, static_cast<unsigned>(chunk)) & if_so;
            at[lane] = node_of(node.children()[child] & if_so);
            __builtin_prefetch(at[lane]);
            next |= LaneMask{goes_on} << lane;
        });
        open = next;
    }
    for_lanes(live, [&](std::size_t lane) {
        const Node& node = *best[lane];
        const std::uint64_t prefixes = node.internal & ancestors[key[lane].cut(node) & 63];
        const auto longest = static_cast<unsigned>(std::countl_zero(prefixes | 1)) ^ 63;
        const std::uint64_t* result = node.results() + rank_of(node.internal, longest);
        value[lane] = *select(prefixes != 0, result, &root[lane].default_value);
    });
}

template void
Lpm<std::uint32_t>::lookup(const LpmRoot*, const std::uint32_t*, LaneMask, std::uint64_t*)
    const noexcept;
template void
Lpm<U128>::lookup(const LpmRoot*, const U128*, LaneMask, std::uint64_t*) const noexcept;

} // namespace weft
