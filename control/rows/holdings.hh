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
#include <tuple>
#include <utility>
#include <vector>

namespace weft {

/// One life of an owner: a client's name, the epoch that the client gave for itself, and whether
/// what it asserts in it dies with the client. Several lives of one name are one person: a row has
/// each person at most once among its owners.
enum class OwnerId : std::uint32_t {};

struct Life {
    std::string name{};
    std::uint64_t epoch = 0; // the client's own count of its lives
    bool ephemeral = false;
    bool anonymous = false; // a connection without a name
};

/// Rows with the same scope and the same owners hang together in one holding: a row carries one
/// number for both, and the rows of a scope or of an owner are found, counted and digested without
/// looking at others. Control thread only.
class Holdings {
public:
    /// Rows of one relation under one holding.
    struct Sum {
        std::uint64_t count = 0;
        std::uint64_t digest = 0; // sum of row_digest()

        void add(const Row& row) noexcept { add(row_digest(row.bytes(), row.version)); }
        /// One row of that digest more, or less.
        void add(std::uint64_t row_digest) noexcept {
            ++count;
            digest += row_digest;
        }
        void remove(std::uint64_t row_digest) noexcept {
            --count;
            digest -= row_digest;
        }
        void add(const Sum& other) noexcept {
            count += other.count;
            digest += other.digest;
        }
    };
    /// The sums of the 1,024 finest partitions that are kept; made when so many rows hang here that
    /// looking at each is dear.
    static constexpr std::uint32_t parts_kept = 1'024;
    static constexpr std::uint64_t parted_from = 4'096;
    using Parts = std::array<Sum, parts_kept>;
    struct Rows {
        std::uint32_t first = Row::no_slot;
        Sum sum;
        std::unique_ptr<Parts> parts;
    };
    struct Holding {
        std::string scope;
        std::vector<OwnerId> owners; // sorted, at least one
        std::array<Rows, relation_count> rows;
        std::uint64_t count = 0; // of all relations
    };

    /// The owner of that life, made where it is not there. Once nobody pins an anonymous one, its
    /// rows are nobody's: any client may withdraw or replace them.
    OwnerId owner(Life life);
    OwnerId owner(std::string_view name, bool anonymous) {
        return owner({.name = std::string{name}, .anonymous = anonymous});
    }
    /// Whether anybody of that name holds something, or is pinned.
    bool knows(std::string_view name) const;
    const Life& life(OwnerId owner) const { return owners_[index(owner)].life; }
    std::string_view name(OwnerId owner) const { return life(owner).name; }
    bool same_person(OwnerId a, OwnerId b) const { return a == b || name(a) == name(b); }
    /// Sessions pin their owner. An owner that nobody pins and that holds nothing is forgotten.
    void pin(OwnerId owner);
    void unpin(OwnerId owner);
    bool gone(OwnerId owner) const {
        return owners_[index(owner)].life.anonymous && owners_[index(owner)].pins == 0;
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
        Life life;
        std::uint32_t pins = 0;
        std::uint32_t holdings = 0;
    };
    using Key = std::pair<std::string, std::vector<OwnerId>>;

    void forget_unused(OwnerId owner);

    std::vector<Owner> owners_;
    std::vector<OwnerId> free_owners_;
    struct LifeOrder {
        using is_transparent = void;
        using Key = std::tuple<std::string_view, std::uint64_t, bool>;
        static Key key(const Life& life) { return {life.name, life.epoch, life.ephemeral}; }
        bool operator()(const Life& a, const Life& b) const { return key(a) < key(b); }
        bool operator()(const Life& a, std::string_view b) const { return a.name < b; }
        bool operator()(std::string_view a, const Life& b) const { return a < b.name; }
    };
    std::map<Life, OwnerId, LifeOrder> owner_ids_;
    std::vector<std::unique_ptr<Holding>> holdings_;
    std::vector<HoldingId> free_holdings_;
    std::map<Key, HoldingId> ids_;
    HoldingId last_ = HoldingId::none; // what intern() answered: one transaction asks for the same
                                       // again and again
};

} // namespace weft
