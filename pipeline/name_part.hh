// Rules that ask for a name in the payload (tls.sni, http.host, dns.qname), apart from the others
// of their table: a packet without such a name, and a table without such rules, pay nothing.
#pragma once

#include "base/reclaim.hh"
#include "classifier/tuple_space.hh"
#include "pipeline/match.hh"
#include "pipeline/name_pattern.hh"
#include "pipeline/name_wildcards.hh"
#include "pipeline/payload_names.hh"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace weft {

/// Patterns of one table that one name can be told of: itself, a suffix of each number of labels,
/// every wildcard, and those that were there when they were compiled last.
inline constexpr std::size_t name_hits_max = 1 + labels_max + 2 * name_wildcards_max;

/// The ids of the patterns that one name matches.
struct NameHits {
    std::size_t count = 0;
    std::array<std::uint64_t, name_hits_max> id;
    void add(std::uint64_t one) noexcept {
        if (count < id.size()) // more there cannot be
            id[count++] = one;
    }
};

/// A worker's memory for the names of one burst.
struct NameLanes {
    LaneMask looked = 0; // lanes whose name is known, or known to be absent
    std::array<PayloadName, burst_max> name;
    std::array<NameHits, burst_max> hits;
};

/// One table's patterns and the rules that ask for them.
///
///   name -> index (a hash of each suffix of whole labels), wildcards -> ids of patterns
///   each id, in the key's word `name_word` -> rules, a tuple space like any other -> best rule
///
/// Invariants: (1) every pattern that a rule of a held generation asks for is found by its names;
/// what is found may have no visible rule. (2) An id is never used again. (3) `suffix_labels_`,
/// `has_exact_` and `fields_` say at least what the patterns have: they widen before a rule is
/// visible and narrow when none is any more.
///
/// One writer; any number of workers, each with its own NameLanes.
class NamePart {
public:
    NamePart(Reclaimer& reclaimer, std::uint64_t hash_key, TupleSpace::Before before);
    ~NamePart();
    NamePart(const NamePart&) = delete;
    NamePart& operator=(const NamePart&) = delete;

    // -- the writer
    /// Why the table cannot hold the names of this match, or nothing.
    std::optional<Error> refusal(const Match& match) const;
    /// The number that stands for a canonical pattern in the key; made where it is missing, to be
    /// used by insert() before anything else is called.
    std::uint64_t id_of(FieldId field, std::string_view pattern);
    /// A pattern of the key whose word `name_word` is an id. expire() is that of TupleSpace.
    Entry* insert(const Pattern& pattern, Rank rank, Generation born, Payload payload);
    void remove(Entry& entry);
    /// Whether an entry or a pattern of the key is one of these.
    static bool is_named(const Pattern& pattern) noexcept;
    static bool is_named(const Entry& entry) noexcept;
    TupleSpace& rules() noexcept { return rules_; }
    const TupleSpace& rules() const noexcept { return rules_; }

    // -- the writer, in the background
    /// What hashes have left to do, as TupleSpace::move_some().
    bool tidy(std::size_t buckets) { return index_.move_some(buckets) | rules_.move_some(buckets); }
    NameWildcards& wildcards() noexcept { return wildcards_; }

    // -- readers
    /// Whether packets of this shape may have a name that some rule asks for.
    bool wants(std::uint16_t shape) const noexcept;
    /// Writes best[lane] = the best rule for the key and the name of the lane, or nullptr, for each
    /// lane in `live`, all of which have a name; uses word `name_word` of their keys. Never
    /// allocates, waits or fails. Cost: a hash of the name and a probe for each number of labels
    /// that suffixes have, a scan for wildcards, and a lookup for each pattern found.
    void lookup(
        FlowKey* keys,
        LaneMask live,
        Generation g,
        NameLanes& lanes,
        std::size_t worker,
        const Entry** best
    ) const noexcept;

    // -- seeing inside
    /// What one lookup can come to at most, from the rules alone.
    struct Bound {
        TupleSpace::Bound probes;
        std::uint64_t hits = 0;  // patterns that one name can be told of
        std::uint64_t bytes = 0; // of payload and name, all readings counted
    };
    Bound bound() const;
    std::size_t patterns() const noexcept { return known_.size(); }
    std::uint64_t memory_bytes() const noexcept;

private:
    struct Known {
        std::uint64_t id = 0;
        FieldId field{};
        NameForm form{};
        std::string text;        // of a suffix without "*."; of "*" none
        std::size_t labels = 0;  // of it
        std::uint64_t users = 0; // entries
        Entry* entry = nullptr;  // of the index
    };
    void forget(Known& known);
    void note_fields() noexcept;
    void find(const PayloadName& name, Generation g, NameHits& hits) const noexcept;

    Reclaimer& reclaimer_;
    std::uint64_t hash_key_;
    TupleSpace index_; // payload: Known; exact names and suffixes by a hash in `name_word`
    TupleSpace rules_;
    NameWildcards wildcards_;
    std::array<std::atomic<std::uint64_t>, 2> suffix_labels_{}; // bit n: a suffix of n labels
    std::atomic<bool> has_exact_{false};
    std::atomic<std::uint8_t> fields_{0}; // bit of each field that some pattern is for
    // the writer's
    std::unordered_map<std::string, std::unique_ptr<Known>> known_; // by field and pattern
    std::unordered_map<std::uint64_t, Known*> by_id_;
    std::uint64_t last_id_ = 0;
    std::array<std::uint64_t, labels_max + 1> suffixes_{}; // by number of labels
    std::uint64_t exacts_ = 0;
    std::array<std::uint64_t, 3> of_field_{};
};

} // namespace weft
