// A row's rules in the engine, as the writer keeps them.
#pragma once

#include "base/ids.hh"
#include "classifier/prefix_part.hh"
#include "pipeline/program.hh"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weft {

struct RouteKind;

/// Made by Tables::insert_rule, gone two grace periods after erase_rule. Workers reach it from its
/// program, for traces and where ranks are equal: what they read is not written again.
class Rule {
public:
    /// Which part its terms are in; TableParts' (pipeline/table_parts.hh).
    enum class Place : std::uint8_t {
        tuples,    // `entry`, or `more` where it has not just one
        arriving,  // in a trie, that of `vrf`, from the next generation on
        trie,      // in that of `vrf`
        cancelled, // was arriving, and left before
    };

    TableId table{};
    std::uint32_t priority = 0;
    CounterId counter = CounterId::none;
    bool named = false; // some term asks for a name in the payload
    Place place = Place::tuples;
    std::uint16_t shapes = 0; // that its terms ask for
    Generation born = 0;
    std::unique_ptr<const Mask> least; // Lowered::least, where there are several terms
    std::uint64_t match_hash = 0;
    WordMask words = 0; // that its terms read
    PlacedProgram program;
    /// What earlier versions of the same row counted.
    struct Earlier {
        RowCounters gone;   // whom no worker sees any more
        const Rule* latest; // nullptr: all of them are
    };
    std::unique_ptr<Earlier> earlier; // nullptr: there are none
    void* row = nullptr;              // the caller's own: what the rule was made from

    // TableParts'
    Entry* entry = nullptr;
    std::unique_ptr<std::vector<Entry*>> more;
    RouteKind* kind = nullptr; // of a route: where it may be; stays
    U128 prefix;               // of a route; stays
    std::uint8_t length = 0;   // of `prefix`; stays
    std::uint32_t in_kind = 0; // its place in the kind's list
    PrefixPart::Vrf* vrf = nullptr;

    std::size_t terms() const noexcept { return more != nullptr ? more->size() : 1; }
    std::span<Entry* const> entries() const noexcept {
        return more != nullptr ? std::span<Entry* const>{*more}
                               : std::span<Entry* const>{&entry, entry == nullptr ? 0u : 1u};
    }
};

/// Fetches what erasing a rule will read, in two steps: `soon` the second, when the first has had
/// its time.
inline void prefetch(const Rule* rule, bool soon) noexcept {
    if (!soon) {
        __builtin_prefetch(rule);
        __builtin_prefetch(&rule->entry);
        return;
    }
    __builtin_prefetch(rule->program.get());
    __builtin_prefetch(rule->entry);
}

} // namespace weft
