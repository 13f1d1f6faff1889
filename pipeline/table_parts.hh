// The rules of one table, shared out over the parts that serve them.
#pragma once

#include "base/reclaim.hh"
#include "classifier/prefix_part.hh"
#include "classifier/tuple_space.hh"
#include "pipeline/name_part.hh"
#include "pipeline/patterns.hh"
#include "pipeline/route.hh"
#include "pipeline/rule.hh"
#include "pipeline/table.hh"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft {

/// Rules of a table that could share a part: they differ in one address's prefix and in the values
/// of the same other words.
struct RouteKind {
    PrefixKind shape;
    std::vector<Rule*> waiting; // in the tuple space
    std::vector<Rule*> routed;  // in the part, or arriving there
    std::unique_ptr<PrefixPart> part;
    enum class Move : std::uint8_t { none, in, out, closing } move = Move::none;
    std::size_t next = 0; // of `waiting`, to be moved in
    /// While rules move in: the priority of each length that they are to have, ascending.
    Ladder wanted;
    std::uint64_t rules = 0; // that name this kind, until they are removed

    bool is_open() const noexcept { return move == Move::none || move == Move::in; }
    bool has_slices() const noexcept { return move == Move::in || move == Move::out; }
};

/// One table's writer. A rule is in one part at each generation: moving it is leaving one part and
/// entering the other with the same commit, so readers of older generations find it where it was.
///
/// Everything goes into the tuple space at first. Where some rules of one kind turn out to be
/// routes (several prefix lengths, priorities that follow them), they get a part of their own: at
/// once for a few, in slices for more; later ones go there directly. A rule that fits no part's
/// ranks stays in the tuple space and changes nothing for the others; where such rules become the
/// many, the part is given up and chosen anew. Terms that ask for a name in the payload have a part
/// of their own from the first one on.
class TableParts {
public:
    TableParts(Tries& tries, Reclaimer& reclaimer, std::uint64_t hash_key);
    ~TableParts();
    TableParts(const TableParts&) = delete;
    TableParts& operator=(const TableParts&) = delete;

    // -- changes of generation `next`
    /// The rule's program and priority are set.
    void insert(Rule& rule, const Lowered& lowered, Generation next);
    void expire(Rule& rule, Generation next);
    /// Brings routes that came and went to the tries: before the commit that makes `next`. The
    /// caller calls Lpm::commit() behind it, and then publish().
    void apply(Generation next);
    void publish(Generation next);
    bool has_parts() const noexcept { return parts_ != 0; }
    /// Whether apply() has something to do.
    bool has_changes() const noexcept { return changed_; }
    /// Whether readers' list of parts is another one since this was asked last.
    bool parts_changed() noexcept { return std::exchange(parts_changed_, false); }

    /// Nobody sees the expired rule any more.
    void remove(Rule& rule);
    /// The same for one that was inserted and expired since the last commit; the newest first costs
    /// least.
    void withdraw(Rule& rule);

    /// One slice of moving rules between parts: about `rules` of them, as part of generation
    /// `next`. True where there are more.
    bool move_some(std::size_t rules, Generation next);
    bool is_moving() const noexcept { return moving_ != 0; }

    /// The part for names, made at the first call.
    NamePart& names();
    const NamePart* names_if_any() const noexcept { return names_.get(); }
    NamePart* names_if_any() noexcept { return names_.get(); }

    // -- seeing inside
    TupleSpace& tuples() noexcept { return tuples_; }
    const TupleSpace& tuples() const noexcept { return tuples_; }
    void list_parts(Table& view) const;
    void for_each_rule(const std::function<void(const Rule&)>& visit) const;
    /// In tries, by the width of their address.
    std::uint64_t routes(bool wide) const noexcept;
    /// Engines, rules and bounds; memory without the nodes of tries.
    TableReport report() const;
    /// With TupleSpace::bound_at_most(); routes that wait for apply() do not count yet.
    TableReport report_at_most() const;
    std::uint64_t memory_bytes() const noexcept;

private:
    TableReport report_of(const TupleSpace::Bound& bound) const;
    void add_names(TableReport& report) const;
    struct Departure {
        PrefixPart* part;
        PrefixPart::Vrf* vrf;
        U128 prefix;
        std::uint8_t length;
        bool moved; // to the tuple space; else the rule is gone and remove() follows
    };
    struct HashKind {
        std::size_t operator()(const PrefixKind& kind) const noexcept;
    };

    RouteKind& kind_of(const PrefixKind& shape);
    Entry* enter(const Rule& rule, const Pattern& pattern, Generation born);
    void put(Rule& rule, const Pattern& pattern, Generation born);
    void arrive(RouteKind& kind, Rule& rule, const PrefixRule& as);
    void move_in(Rule& rule, Generation next);
    void move_out(Rule& rule, Generation next);
    void wait(RouteKind& kind, Rule& rule);
    void consider(RouteKind& kind, Generation next);
    void open(RouteKind& kind, Ladder ladder, Generation next);
    void set_move(RouteKind& kind, RouteKind::Move move);
    std::size_t slice(RouteKind& kind, std::size_t rules, Generation next);
    void close_parts(Generation next);

    Tries& tries_;
    Reclaimer& reclaimer_;
    std::uint64_t hash_key_;
    TupleSpace tuples_;
    std::unique_ptr<NamePart> names_;
    std::unordered_map<PrefixKind, std::unique_ptr<RouteKind>, HashKind> kinds_;
    std::size_t parts_ = 0;
    std::size_t moving_ = 0; // kinds
    std::vector<Rule*> arrivals_;
    std::vector<Departure> departures_;
    std::vector<Entry*> left_; // entries of rules that moved to a part
    bool changed_ = false;
    bool parts_changed_ = false;
};

/// Decides between rules of equal rank where a key matches both: the greater mask, then the match,
/// whatever came first.
bool goes_before(const Rule& a, const Rule& b) noexcept;
/// The same for entries of a tuple space.
bool goes_before(const Entry& a, const Entry& b);

} // namespace weft
