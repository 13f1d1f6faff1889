// Who asserts rows and for whom: owners, scopes, and the sets of both that rows share.
#pragma once

#include "control/rows/row.hh"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

enum class OwnerId : std::uint32_t {};

/// Rows with the same scope and the same owners hang together in one holding: a row carries one
/// number for both, and the rows of a scope or of an owner are found, counted and digested without
/// looking at others. Control thread only.
class Holdings {
public:
    /// Rows of one relation under one holding.
    struct Rows {
        std::uint32_t first = Row::no_slot;
        std::uint64_t count = 0;
        std::uint64_t digest = 0; // sum of row_digest()
    };
    struct Holding {
        std::string scope;
        std::vector<OwnerId> owners; // sorted, at least one
        std::array<Rows, relation_count> rows;
        std::uint64_t count = 0; // of all relations
    };

    /// The owner of that name, made where it is not there. `anonymous`: a connection without a
    /// name; once nobody pins it, its rows are nobody's: any client may withdraw or replace them.
    OwnerId owner(std::string_view name, bool anonymous);
    std::optional<OwnerId> find_owner(std::string_view name) const;
    std::string_view name(OwnerId owner) const { return owners_[index(owner)].name; }
    /// Sessions pin their owner. An owner that nobody pins and that holds nothing is forgotten.
    void pin(OwnerId owner);
    void unpin(OwnerId owner);
    bool gone(OwnerId owner) const {
        return owners_[index(owner)].anonymous && owners_[index(owner)].pins == 0;
    }

    /// The holding of exactly that scope and those owners (sorted). Lives while rows hang in it:
    /// hang one in at once.
    HoldingId intern(std::string_view scope, std::span<const OwnerId> owners);
    const Holding& at(HoldingId id) const { return *holdings_[index(id)]; }
    /// Where rows are linked in and out (by the store).
    Rows& rows(HoldingId id, Relation relation) {
        return holdings_[index(id)]->rows[static_cast<std::size_t>(relation)];
    }
    void count(HoldingId id, std::int64_t change);

    /// Calls visit(HoldingId, const Holding&) for each.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [key, id] : ids_)
            visit(id, *holdings_[index(id)]);
    }
    std::size_t size() const noexcept { return ids_.size(); }

private:
    struct Owner {
        std::string name;
        bool anonymous = false;
        std::uint32_t pins = 0;
        std::uint32_t holdings = 0;
    };
    using Key = std::pair<std::string, std::vector<OwnerId>>;

    void forget_unused(OwnerId owner);

    std::vector<Owner> owners_;
    std::vector<OwnerId> free_owners_;
    std::map<std::string, OwnerId, std::less<>> owner_ids_;
    std::vector<std::unique_ptr<Holding>> holdings_;
    std::vector<HoldingId> free_holdings_;
    std::map<Key, HoldingId> ids_;
    HoldingId last_ = HoldingId::none; // what intern() answered: one transaction asks for the same
                                       // again and again
};

} // namespace weft
