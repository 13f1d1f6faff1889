// Every row that clients assert: found by key, walked by scope and owner, read in pages of one
// snapshot.
//
//   index: 1,024 shards by the key's hash, each a small open-addressed table (tag, slot); growing
//   one touches 1/1,024 of the rows slots: chunks of 4,096 row pointers, never moved; free slots
//   are used again
//
// Invariants: (1) a row stands exactly while its slot points at it; (2) every standing row hangs in
// the list of its holding, whose count and digest include it; (3) a cursor of generation g serves
// every row that stood at g exactly once: from its slot, or, if the row left before the cursor came
// there, from the cursor's own list.
#pragma once

#include "base/result.hh"
#include "control/rows/holdings.hh"
#include "control/rows/row.hh"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft {

/// Which rows a reader wants; empty: all.
struct RowFilter {
    Relation relation{};
    std::string bridge{};                  // "main" is the main one
    std::optional<std::uint32_t> number{}; // table of flows and tables, group, meter
    std::string name{};
    std::string owner{};
    std::string scope{};
    Partition partition{};
};

struct RowLimits {
    std::uint64_t rows = 10'000'000;
    std::size_t cursors = 64; // open at once; one more takes the place of the longest unused
    std::size_t cursor_kept =
        262'144; // rows that left while a cursor is open; beyond, the cursor is given up
    std::uint64_t cursor_idle_ms = 60'000;
    std::size_t tombstones = 65'536; // versions remembered of rows that are gone, per relation
};

struct PageLimits {
    std::size_t rows = 1'000;                 // at least one
    std::size_t bytes = std::size_t{4} << 20; // of rows; one row may be more
};

struct RowPage {
    Generation generation = 0; // of the snapshot
    std::vector<RowPtr> rows;
    std::string cursor; // empty: this was the last page
};

class RowStore {
public:
    explicit RowStore(RowLimits limits = {});
    ~RowStore();
    RowStore(const RowStore&) = delete;
    RowStore& operator=(const RowStore&) = delete;

    Holdings& holdings() noexcept { return holdings_; }
    const Holdings& holdings() const noexcept { return holdings_; }
    const RowLimits& limits() const noexcept { return limits_; }

    /// nullptr where no row has the key. One cache line of the index and the row itself.
    Row* find(Relation relation, std::string_view key, std::uint64_t hash) const noexcept;
    /// Fetches the line of the index that find() will read.
    void prefetch(Relation relation, std::uint64_t hash) const noexcept;
    /// Fetches what erase() will read beside the row, in two steps: `soon` the second, when the
    /// first has had its time.
    void prefetch_neighbours(const Row& row, bool soon) const noexcept {
        for (const std::uint32_t at : {row.prev, row.next})
            if (at != Row::no_slot)
                __builtin_prefetch(
                    soon ? static_cast<const void*>(slot(row.relation, at).get())
                         : static_cast<const void*>(&slot(row.relation, at))
                );
    }
    std::uint64_t count(Relation relation) const noexcept { return of(relation).count; }
    std::uint64_t count() const noexcept;
    /// Bytes of rows and index, nearly.
    std::uint64_t memory_bytes() const noexcept { return row_bytes_ + index_bytes_; }

    // -- changes. Rows' generations are stamped by the caller before insert().
    void insert(RowPtr row, std::string_view scope, std::span<const OwnerId> owners);
    /// The row leaves; whoever still points at it may read its bytes.
    void erase(Row& row);
    /// Other holders, or another version, of a row that stays.
    void
    hold(Row& row, std::string_view scope, std::span<const OwnerId> owners, std::uint64_t version);

    /// Of the rows under one holding that lie in a partition. Costs 1,024 sums at most, or the rows
    /// themselves where those are few: under the holding, or in a partition finer than 1/1,024.
    Holdings::Sum sum(HoldingId holding, Relation relation, const Partition& partition) const;

    /// The version that a deleted row left; 0: none. Remembered for the last `tombstones` deletes.
    std::uint64_t tombstone(Relation relation, std::string_view key) const;
    void set_tombstone(Relation relation, std::string_view key, std::uint64_t version);

    /// Calls visit(Row&) for the rows of one relation under one holding; visit may erase or move
    /// the row that it is given.
    template <class Visit>
    void for_each_held(HoldingId id, Relation relation, Visit&& visit) const {
        std::uint32_t next = holdings_.at(id).rows[static_cast<std::size_t>(relation)].first;
        while (next != Row::no_slot) {
            Row& row = *slot(relation, next);
            next = row.next;
            visit(row);
        }
    }
    /// Calls visit(Row&) for the rows of a partition, and maybe for others; visit must not change
    /// the store. Costs the rows that it is called for.
    template <class Visit>
    void for_each_in(Relation relation, const Partition& partition, Visit&& visit) const {
        const std::uint32_t coarse = std::min<std::uint32_t>(partition.parts, shard_count);
        const std::uint32_t part = partition.part / (partition.parts / coarse);
        const std::uint32_t width = shard_count / coarse;
        for (std::uint32_t i = part * width; i < (part + 1) * width; ++i) {
            const Shard& shard = of(relation).shards[i];
            for (std::uint32_t at = 0; at < shard.capacity; ++at)
                if (shard.entries[at].slot != Row::no_slot)
                    visit(*slot(relation, shard.entries[at].slot));
        }
    }
    /// Calls visit(Row&) for every row of a relation; visit must not change the store.
    template <class Visit>
    void for_each(Relation relation, Visit&& visit) const {
        for (std::uint32_t i = 0; i < of(relation).slot_count; ++i)
            if (Row* row = slot(relation, i).get())
                visit(*row);
    }

    // -- reading in pages. The first page costs no more than its rows: a snapshot is the generation
    // and a place, and rows that leave behind that place are kept for the cursor while it is open.
    // A page holds up to so many rows and bytes, and looks at a bounded number of others, so it may
    // be short, even empty, and still not the last.
    RowPage
    first_page(const RowFilter& filter, PageLimits max, Generation now, std::uint64_t now_ms);
    /// `cursor_expired` where the cursor is not there (any more).
    Result<RowPage> next_page(std::string_view cursor, PageLimits max, std::uint64_t now_ms);
    /// Gives up cursors that nobody has asked for `cursor_idle_ms`.
    void expire_cursors(std::uint64_t now_ms);
    std::size_t cursors() const noexcept { return cursors_.size(); }
    bool matches(const Row& row, const RowFilter& filter) const;

private:
    static constexpr std::size_t shard_count = 1'024;
    static constexpr std::size_t chunk_size = 4'096;
    static constexpr std::size_t examined_max = 65'536; // slots that one page looks at

    struct Shard {
        struct Entry {
            std::uint32_t tag = 0;
            std::uint32_t slot = Row::no_slot;
        };
        std::unique_ptr<Entry[]> entries;
        std::uint32_t capacity = 0; // 0 or a power of two
        std::uint32_t used = 0;
    };
    using Chunk = std::array<RowPtr, chunk_size>;
    struct Slots {
        std::vector<Shard> shards{shard_count};
        std::vector<std::unique_ptr<Chunk>> chunks;
        std::uint32_t slot_count = 0; // ever used
        std::vector<std::uint32_t> free;
        std::uint64_t count = 0;
        std::unordered_map<std::string, std::uint64_t> tombstones;
        std::deque<std::string> tombstone_order;
    };
    struct Cursor {
        RowFilter filter;
        Generation generation = 0;
        std::uint32_t position = 0; // slots before it were served
        std::vector<RowPtr> kept;   // left the store before they were served
        std::uint64_t used_ms = 0;
        std::uint64_t used = 0; // order of use
    };

    Slots& of(Relation relation) noexcept { return slots_[static_cast<std::size_t>(relation)]; }
    const Slots& of(Relation relation) const noexcept {
        return slots_[static_cast<std::size_t>(relation)];
    }
    RowPtr& slot(Relation relation, std::uint32_t at) const noexcept {
        return (*of(relation).chunks[at / chunk_size])[at % chunk_size];
    }
    void index_insert(Slots& slots, std::uint64_t hash, std::uint32_t at);
    void index_erase(Slots& slots, std::uint64_t hash, std::uint32_t at);
    void grow(Shard& shard);
    void link(Row& row, HoldingId holding);
    void unlink(Row& row);
    void part(HoldingId holding, Relation relation);
    void keep_for_cursors(Row& row);
    void take_partition(Cursor& cursor);
    RowPage page(std::uint64_t id, Cursor& cursor, PageLimits max);

    RowLimits limits_;
    Holdings holdings_;
    std::array<Slots, relation_count> slots_;
    std::uint64_t row_bytes_ = 0;
    std::uint64_t index_bytes_ = 0;
    std::uint64_t next_cursor_ = 1;
    std::map<std::uint64_t, Cursor> cursors_;
};

} // namespace weft
