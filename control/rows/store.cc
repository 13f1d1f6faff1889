#include "control/rows/store.hh"

#include "base/check.hh"
#include "control/rows/references.hh"

#include <algorithm>
#include <span>

namespace weft {

Row::Row(Relation of, std::size_t bytes, std::size_t key, std::uint64_t key_hash)
    : relation{of},
      key_size{static_cast<std::uint32_t>(key)},
      size{static_cast<std::uint32_t>(bytes)},
      hash{key_hash} {}

Row::~Row() = default;

namespace {

std::size_t shard_of(std::uint64_t hash) noexcept {
    return hash >> 54;
}
std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 16);
}

} // namespace

RowStore::RowStore(RowLimits limits) : limits_{limits} {}
RowStore::~RowStore() = default;

std::uint64_t RowStore::count() const noexcept {
    std::uint64_t all = 0;
    for (const Slots& slots : slots_)
        all += slots.count;
    return all;
}

void RowStore::prefetch(Relation relation, std::uint64_t hash) const noexcept {
    const Shard& shard = of(relation).shards[shard_of(hash)];
    if (shard.capacity != 0)
        __builtin_prefetch(&shard.entries[tag_of(hash) & (shard.capacity - 1)]);
}

Row* RowStore::find(Relation relation, std::string_view key, std::uint64_t hash) const noexcept {
    const Shard& shard = of(relation).shards[shard_of(hash)];
    if (shard.capacity == 0)
        return nullptr;
    const std::uint32_t mask = shard.capacity - 1;
    const std::uint32_t tag = tag_of(hash);
    for (std::uint32_t i = tag & mask; shard.entries[i].slot != Row::no_slot; i = (i + 1) & mask) {
        if (shard.entries[i].tag != tag)
            continue;
        Row* row = slot(relation, shard.entries[i].slot).get();
        if (row->hash == hash && row->key() == key)
            return row;
    }
    return nullptr;
}

void RowStore::grow(Shard& shard) {
    const std::uint32_t capacity = shard.capacity == 0 ? 4 : shard.capacity * 2;
    auto entries = std::make_unique<Shard::Entry[]>(capacity);
    for (std::uint32_t i = 0; i < shard.capacity; ++i) {
        const Shard::Entry& old = shard.entries[i];
        if (old.slot == Row::no_slot)
            continue;
        std::uint32_t at = old.tag & (capacity - 1);
        while (entries[at].slot != Row::no_slot)
            at = (at + 1) & (capacity - 1);
        entries[at] = old;
    }
    index_bytes_ += (capacity - shard.capacity) * sizeof(Shard::Entry);
    shard.entries = std::move(entries);
    shard.capacity = capacity;
}

void RowStore::index_insert(Slots& slots, std::uint64_t hash, std::uint32_t at) {
    Shard& shard = slots.shards[shard_of(hash)];
    if ((shard.used + 1) * 4 > shard.capacity * 3)
        grow(shard);
    const std::uint32_t mask = shard.capacity - 1;
    std::uint32_t i = tag_of(hash) & mask;
    while (shard.entries[i].slot != Row::no_slot)
        i = (i + 1) & mask;
    shard.entries[i] = {.tag = tag_of(hash), .slot = at};
    ++shard.used;
}

void RowStore::index_erase(Slots& slots, std::uint64_t hash, std::uint32_t at) {
    Shard& shard = slots.shards[shard_of(hash)];
    const std::uint32_t mask = shard.capacity - 1;
    std::uint32_t hole = tag_of(hash) & mask;
    while (shard.entries[hole].slot != at)
        hole = (hole + 1) & mask;
    // Later entries of the same run move back, so that no search stops before them.
    for (std::uint32_t i = (hole + 1) & mask; shard.entries[i].slot != Row::no_slot;
         i = (i + 1) & mask) {
        const std::uint32_t home = shard.entries[i].tag & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        shard.entries[hole] = shard.entries[i];
        hole = i;
    }
    shard.entries[hole] = {};
    --shard.used;
}

void RowStore::link(Row& row, HoldingId holding) {
    Holdings::Rows& rows = holdings_.rows(holding, row.relation);
    row.holding = holding;
    row.prev = Row::no_slot;
    row.next = rows.first;
    if (rows.first != Row::no_slot)
        slot(row.relation, rows.first)->prev = row.slot;
    rows.first = row.slot;
    const std::uint64_t digest = row_digest(row.bytes(), row.version);
    rows.sum.add(digest);
    if (rows.parts)
        (*rows.parts)[shard_of(row.hash)].add(digest);
    else if (rows.sum.count == Holdings::parted_from)
        part(holding, row.relation);
    holdings_.count(holding, 1);
}

/// Once so many rows hang there, sums by partition are kept.
void RowStore::part(HoldingId holding, Relation relation) {
    static_assert(Holdings::parts_kept == shard_count);
    auto parts = std::make_unique<Holdings::Parts>();
    for_each_held(holding, relation, [&](const Row& row) {
        (*parts)[shard_of(row.hash)].add(row);
    });
    holdings_.rows(holding, relation).parts = std::move(parts);
}

void RowStore::unlink(Row& row) {
    const HoldingId holding = row.holding;
    Holdings::Rows& rows = holdings_.rows(holding, row.relation);
    if (row.prev != Row::no_slot)
        slot(row.relation, row.prev)->next = row.next;
    else
        rows.first = row.next;
    if (row.next != Row::no_slot)
        slot(row.relation, row.next)->prev = row.prev;
    const std::uint64_t digest = row_digest(row.bytes(), row.version);
    rows.sum.remove(digest);
    if (rows.parts)
        (*rows.parts)[shard_of(row.hash)].remove(digest);
    row.holding = HoldingId::none;
    row.prev = row.next = Row::no_slot;
    holdings_.count(holding, -1);
}

void RowStore::insert(RowPtr row, std::string_view scope, std::span<const OwnerId> owners) {
    check(!row->stands());
    Slots& slots = of(row->relation);
    std::uint32_t at = slots.slot_count;
    if (slots.free.empty()) {
        if (at % chunk_size == 0) {
            slots.chunks.push_back(std::make_unique<Chunk>());
            index_bytes_ += sizeof(Chunk);
        }
        ++slots.slot_count;
    } else {
        at = slots.free.back();
        slots.free.pop_back();
    }
    Row& made = *row;
    slot(made.relation, at) = std::move(row);
    made.slot = at;
    index_insert(slots, made.hash, at);
    link(made, holdings_.intern(scope, owners));
    ++slots.count;
    row_bytes_ += sizeof(Row) + made.size;
}

void RowStore::erase(Row& row) {
    check(row.stands());
    Slots& slots = of(row.relation);
    const RowPtr alive{&row};
    keep_for_cursors(row);
    unlink(row);
    index_erase(slots, row.hash, row.slot);
    slot(row.relation, row.slot).reset();
    slots.free.push_back(row.slot);
    row.slot = Row::no_slot;
    --slots.count;
    row_bytes_ -= sizeof(Row) + row.size;
}

void RowStore::hold(
    Row& row, std::string_view scope, std::span<const OwnerId> owners, std::uint64_t version
) {
    // The scope may be a view into the holding that the row leaves, and that dies with its last
    // row.
    const std::string kept_scope{scope};
    const std::vector<OwnerId> kept_owners{owners.begin(), owners.end()};
    unlink(row);
    row.version = version;
    link(row, holdings_.intern(kept_scope, kept_owners));
}

Holdings::Sum
RowStore::sum(HoldingId holding, Relation relation, const Partition& partition) const {
    const Holdings::Rows& rows = holdings_.at(holding).rows[static_cast<std::size_t>(relation)];
    if (partition.whole())
        return rows.sum;
    Holdings::Sum sum;
    const auto look_at = [&](const Row& row) {
        if (row.holding == holding && partition.holds(row.hash))
            sum.add(row);
    };
    if (rows.parts == nullptr) {
        for_each_held(holding, relation, look_at);
    } else if (partition.parts <= shard_count) {
        const std::uint32_t width = shard_count / partition.parts;
        for (std::uint32_t i = 0; i < width; ++i)
            sum.add((*rows.parts)[partition.part * width + i]);
    } else {
        for_each_in(relation, partition, look_at);
    }
    return sum;
}

std::uint64_t RowStore::tombstone(Relation relation, std::string_view key) const {
    const auto& tombstones = of(relation).tombstones;
    if (tombstones.empty())
        return 0;
    const auto found = tombstones.find(std::string{key});
    return found == tombstones.end() ? 0 : found->second;
}

void RowStore::set_tombstone(Relation relation, std::string_view key, std::uint64_t version) {
    Slots& slots = of(relation);
    const auto [place, fresh] = slots.tombstones.try_emplace(std::string{key}, version);
    place->second = std::max(place->second, version);
    if (!fresh)
        return;
    slots.tombstone_order.push_back(place->first);
    if (slots.tombstone_order.size() <= limits_.tombstones)
        return;
    slots.tombstones.erase(slots.tombstone_order.front());
    slots.tombstone_order.pop_front();
}

bool RowStore::matches(const Row& row, const RowFilter& filter) const {
    if (!filter.partition.holds(row.hash))
        return false;
    if (filter.bridge.empty() && !filter.number && filter.name.empty() && filter.owner.empty() &&
        filter.scope.empty())
        return true;
    const KeyView key = key_view(row.relation, row.key());
    if (!filter.bridge.empty() && filter.bridge != bridge_shown(key.bridge))
        return false;
    if (filter.number && *filter.number != key.number)
        return false;
    if (!filter.name.empty() && filter.name != key.name)
        return false;
    if (filter.owner.empty() && filter.scope.empty())
        return true;
    if (!row.stands())
        return true; // left while a cursor was open: judged when it was kept
    const Holdings::Holding& holding = holdings_.at(row.holding);
    if (!filter.scope.empty() && filter.scope != holding.scope)
        return false;
    return filter.owner.empty() ||
           std::any_of(holding.owners.begin(), holding.owners.end(), [&](OwnerId owner) {
               return holdings_.name(owner) == filter.owner;
           });
}

} // namespace weft
