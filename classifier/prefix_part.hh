// Rules that ask for a prefix of one address, beside exact values of a few other words, and rank as
// their prefixes are long: longest prefix match, a trie for each combination of the other values.
#pragma once

#include "base/reclaim.hh"
#include "classifier/entry.hh"
#include "classifier/lpm.hh"
#include "classifier/prefix_ranks.hh"
#include "classifier/tuple_space.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace weft {

/// The nodes of all parts' tries, by the width of the address.
struct Tries {
    explicit Tries(Reclaimer& reclaimer) : narrow{reclaimer}, wide{reclaimer} {}
    Lpm<std::uint32_t> narrow;
    Lpm<U128> wide;
};

/// What the rules of one part have in common: where the address lies and which bits they ask for
/// beside it.
struct PrefixKind {
    /// Of the other words: more are no routing.
    static constexpr std::size_t others_max = 3;

    Mask others;
    std::uint8_t word = 0; // of the address: its lower half (32 bits), or this word and the next
    bool wide = false;
    friend bool operator==(const PrefixKind&, const PrefixKind&) = default;

    unsigned bits() const noexcept { return wide ? 128 : 32; }
    /// What a rule with a prefix of so many bits asks for in all.
    Mask mask(unsigned length) const noexcept;
};

/// One rule of a kind.
struct PrefixRule {
    std::array<std::uint64_t, PrefixKind::others_max> others{}; // values under PrefixKind::others
    U128 prefix;                                                // 32 bits: in the lowest
    unsigned length = 0;
};
/// The rule as an entry of a tuple space asks for it.
Pattern pattern_of(const PrefixKind& kind, const PrefixRule& rule) noexcept;

/// Readers, for one part: a key's other words name a Vrf (directly while there is one, by a hash
/// for thousands), whose newest version that the reader's generation may see holds the root of a
/// trie.
///
///   key -> Vrf -> newest Version -> older -> ..
///                 | born | root |
///
/// Invariants: (1) a Vrf has a version for each commit that changed its routes, newest first, as
/// far back as a held generation can see; tries are path-copied, so each version has its own
/// routes, whole; (2) what readers find by a key may have no version for them: no routes. (3) An
/// entry's payload is its value in the trie.
///
/// One writer; changes are seen by generations from the next publish() on.
class PrefixPart {
public:
    struct Version {
        Generation born;
        LpmRoot root;
        const Version* older;
    };
    class Vrf {
    public:
        ~Vrf() { delete newest_.load(std::memory_order_relaxed); }
        Vrf() = default;
        Vrf(const Vrf&) = delete;
        Vrf& operator=(const Vrf&) = delete;

        const std::array<std::uint64_t, PrefixKind::others_max>& others() const noexcept {
            return others_;
        }
        LpmRoot root_at(Generation g) const noexcept {
            const Version* at = newest_.load(std::memory_order_acquire);
            while (at != nullptr && at->born > g)
                at = at->older;
            return at == nullptr ? LpmRoot{} : at->root;
        }

    private:
        friend PrefixPart;
        std::array<std::uint64_t, PrefixKind::others_max> others_{};
        std::atomic<const Version*> newest_{nullptr};
        // the writer's
        LpmRoot next_;
        bool touched_ = false;
        std::uint64_t users_ = 0;
        Entry* entry_ = nullptr;
    };

    PrefixPart(const PrefixKind& kind, Tries& tries, Reclaimer& reclaimer, std::uint64_t hash_key);
    ~PrefixPart();
    PrefixPart(const PrefixPart&) = delete;
    PrefixPart& operator=(const PrefixPart&) = delete;

    // -- the writer
    /// The trie that these values choose, made where it is missing; stays until as many leave().
    Vrf& enter(const std::array<std::uint64_t, PrefixKind::others_max>& others);
    /// Once no reader can see what the user had in it.
    void leave(Vrf& vrf);
    /// False where the prefix is there already, or memory is at its limit.
    [[nodiscard]] bool set(Vrf& vrf, U128 prefix, unsigned length, Payload payload);
    void erase(Vrf& vrf, U128 prefix, unsigned length);
    /// What was changed is seen from generation `born` on.
    void publish(Generation born);

    /// What its rules may rank; the writer's, but for its bounds.
    PrefixRanks ranks;

    // -- readers
    /// Writes found[lane] = the payload of the longest prefix that key[lane] has at generation g,
    /// and returns the lanes that have one; found of others in `live` may become 0. Pure; never
    /// allocates, waits or fails. Cost: for each lane the choice of the trie (a compare, or a hash
    /// and two lines) and Lpm::lookup().
    LaneMask
    lookup(const FlowKey* keys, LaneMask live, Generation g, Payload* found) const noexcept;

    const PrefixKind& kind() const noexcept { return kind_; }
    /// What one lookup can come to at most, from the rules alone.
    struct Bound {
        std::uint64_t probes = 0; // hashes
        std::uint64_t nodes = 0;
        std::uint64_t lines = 0;
        std::uint64_t entries = 0; // to be compared
    };
    Bound bound() const;
    std::size_t vrfs() const noexcept { return vrfs_.size(); }
    /// Without the nodes of its tries.
    std::uint64_t memory_bytes() const noexcept;

private:
    using Others = std::array<std::uint64_t, PrefixKind::others_max>;
    struct HashOthers {
        std::uint64_t key;
        std::size_t operator()(const Others& others) const noexcept;
    };

    LaneMask lanes_of(const Vrf& vrf, const FlowKey* keys, LaneMask live) const noexcept;
    LaneMask choose(const FlowKey* keys, LaneMask live, Generation g, LpmRoot* root) const noexcept;
    template <class Roots>
    LaneMask
    look_up(const FlowKey* keys, LaneMask here, const Roots& root, Payload* found) const noexcept;
    void note_only() noexcept;

    PrefixKind kind_;
    Tries& tries_;
    Reclaimer& reclaimer_;
    /// The others' words and bits, padded with bits of none.
    std::array<std::uint8_t, PrefixKind::others_max> other_word_{};
    std::array<std::uint64_t, PrefixKind::others_max> other_bits_{};
    std::atomic<const Vrf*> only_{nullptr}; // where there is just one
    TupleSpace directory_;                  // payload: Vrf
    // the writer's
    std::unordered_map<Others, std::unique_ptr<Vrf>, HashOthers> vrfs_;
    std::vector<Vrf*> touched_;
};

} // namespace weft
