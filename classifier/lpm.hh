// Longest prefix match: persistent tries for any number of routing tables, IPv4 and IPv6. (Tree
// bitmaps: Eatherton, Varghese, Dittia: Tree Bitmap, CCR 34(2), 2004; with levels skipped where
// nothing branches, arrays in the place of bitmaps where children are many, and single prefixes
// without a node.)
#pragma once

#include "base/ids.hh"
#include "base/lanes.hh"
#include "base/reclaim.hh"
#include "base/u128.hh"
#include "classifier/slot_arena.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// One routing table as of one moment: a plain value, copied freely. What it names stays whole
/// until the grace period after the commit() in which the table went on to another root.
struct LpmRoot {
    std::uint64_t default_value = 0;     // of the prefix of no bits; 0: no such route
    std::array<std::uint32_t, 2> node{}; // by the first bit of the address; 0: no routes
    friend bool operator==(const LpmRoot&, const LpmRoot&) = default;
};

/// What became of a change; but for `done` all is as before.
enum class LpmChange {
    done,
    absent,    // no such route
    no_memory, // the limit is reached, by what waits for its grace period, too
};

/// The nodes of all routing tables (VRFs) of one address family, which share its memory: an empty
/// table or a default route costs nothing here, a few routes 32 bytes each. Address: std::uint32_t
/// for IPv4, U128 for IPv6, host order, the first bit on top. A prefix of n bits is an address
/// whose upper n bits count; the others are ignored.
///
/// One thread, the writer, changes tables by giving a root in and getting the next one out; any
/// number of workers look up roots that were committed. Nodes made since the last commit() are
/// changed in place, older ones are copied (the path from the root, three or four nodes of a
/// full IPv4 table), so a root that is held sees its routes and no others, and needs no stamps.
///
/// Publication is the caller's: commit(), then show the roots to workers with release order.
template <class Address>
class Lpm {
public:
    static constexpr unsigned bits = sizeof(Address) * 8;
    static constexpr std::size_t bytes_max_default = std::size_t{4} << 30;

    /// `bytes_max` limits the nodes' memory; until used it is only addresses. At least 1 MiB, below
    /// 16 GiB.
    explicit Lpm(Reclaimer& reclaimer, std::size_t bytes_max = bytes_max_default);
    ~Lpm();
    Lpm(const Lpm&) = delete;
    Lpm& operator=(const Lpm&) = delete;

    // -- the writer

    /// Adds a route or gives it another value, which is not 0. Costs the path to the prefix,
    /// whatever stands below it. Never `absent`.
    [[nodiscard]] LpmChange
    set(LpmRoot& root, Address prefix, unsigned length, std::uint64_t value);
    /// Costs the path, too. As many bytes as set() may use are kept back for the copies that it
    /// makes: it has no memory only where grace periods fail to come.
    [[nodiscard]] LpmChange erase(LpmRoot& root, Address prefix, unsigned length);
    /// Erases all; costs the routes.
    void clear(LpmRoot& root);
    /// The value of exactly this prefix, or 0.
    std::uint64_t find(const LpmRoot& root, Address prefix, unsigned length) const noexcept;
    /// All roots as they are now may be shown to workers, and are no more changed in place. What
    /// they no longer need is retired.
    void commit();

    // -- workers, and the writer

    /// Writes value[lane] = the value of the longest prefix of address[lane] in the table
    /// root[lane], 0 where none is, for each lane in `live`; other lanes keep theirs. Returns the
    /// lanes that have one. Pure; never allocates, waits or fails. Cost: nodes_max() nodes at
    /// worst, each two cache lines.
    LaneMask lookup(
        const LpmRoot* root, const Address* address, LaneMask live, std::uint64_t* value
    ) const noexcept;
    /// The same where all lanes have one table.
    LaneMask lookup(
        const LpmRoot& root, const Address* address, LaneMask live, std::uint64_t* value
    ) const noexcept;
    std::uint64_t lookup(const LpmRoot& root, Address address) const noexcept {
        std::uint64_t value = 0;
        lookup(root, &address, 1, &value);
        return value;
    }
    /// The most nodes that a lookup in this table can touch, from its routes alone.
    unsigned nodes_max(const LpmRoot& root) const noexcept;
    /// The most cache lines: of each node its head and the place of a child, or of a value that is
    /// none; and the value's, in a node further up.
    unsigned lines_max(const LpmRoot& root) const noexcept {
        const unsigned nodes = nodes_max(root);
        return nodes == 0 ? 0 : 2 * nodes + 1;
    }

    /// In nodes, those that wait for their grace period among them.
    std::uint64_t used_bytes() const noexcept { return arena_->used_bytes(); }
    /// Taken from the system.
    std::uint64_t memory_bytes() const noexcept;

private:
    using Handle = SlotArena::Handle;
    struct Target;
    struct Parts;

    Handle set_below(Handle at, unsigned verified, const Target& target);
    Handle set_beside_leaf(Handle at, unsigned verified, const Target& target);
    Handle erase_below(Handle at, unsigned verified, const Target& target);
    Handle put_value(Handle at, const Target& target);
    Handle put_child(Handle at, unsigned chunk, Handle child, unsigned old_height, const Target&);
    Handle make_leaf(Address prefix, unsigned length, std::uint64_t value);
    Handle attach(unsigned verified, Handle below, const Target& target);
    Handle make(const Parts& parts, const Target& target);
    Handle replace(Handle at, unsigned verified, const Parts& parts, const Target& target);
    Parts take_apart(Handle at) const;
    Handle child_of(Handle at, unsigned chunk) const noexcept;
    bool reaches(Handle at, unsigned verified) const noexcept;
    unsigned height_of(Handle at) const noexcept;
    unsigned height_without(const Parts& parts, unsigned height_of_gone) const noexcept;
    std::size_t units_of(Handle at) const noexcept;
    Handle writable(Handle at);
    Handle allocate(std::size_t units);
    void release(Handle at);
    bool is_fresh(Handle at) const noexcept;

    template <class RootOf>
    LaneMask look_up(RootOf root_of, const Address* address, LaneMask live, std::uint64_t* value)
        const noexcept;

    std::size_t bytes_max_;
    std::shared_ptr<SlotArena> arena_; // what is retired keeps it alive
    Reclaimer& reclaimer_;
    std::vector<std::uint64_t> fresh_bits_; // by slot: made since the last commit
    std::vector<Handle> fresh_;             // the same as a list; may name some that went again
    std::vector<Handle> dead_;              // to be retired by the next commit
};

extern template class Lpm<std::uint32_t>;
extern template class Lpm<U128>;

} // namespace weft
