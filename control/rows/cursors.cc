// Reading the store in pages: see the head of store.hh.
#include "base/check.hh"
#include "control/rows/store.hh"

#include <algorithm>
#include <charconv>

namespace weft {

void RowStore::keep_for_cursors(Row& row) {
    for (auto at = cursors_.begin(); at != cursors_.end();) {
        Cursor& cursor = at->second;
        const bool owed = cursor.filter.relation == row.relation &&
                          cursor.generation >= row.generation && cursor.position <= row.slot &&
                          matches(row, cursor.filter);
        if (owed)
            cursor.kept.emplace_back(&row);
        if (cursor.kept.size() > limits_.cursor_kept)
            at = cursors_.erase(at);
        else
            ++at;
    }
}

RowPage RowStore::first_page(
    const RowFilter& filter, PageLimits max, Generation now, std::uint64_t now_ms
) {
    expire_cursors(now_ms);
    if (cursors_.size() >= limits_.cursors) // whoever stopped asking must not shut others out
        cursors_.erase(std::min_element(cursors_.begin(), cursors_.end(), [](auto& a, auto& b) {
            return a.second.used < b.second.used;
        }));
    const std::uint64_t id = next_cursor_++;
    Cursor& cursor = cursors_[id];
    cursor.filter = filter;
    cursor.generation = now;
    cursor.used_ms = now_ms;
    cursor.used = id;
    if (!filter.partition.whole())
        take_partition(cursor);
    return page(id, cursor, max);
}

/// The rows of a partition that is small enough are kept for the cursor from the start: their cost
/// is theirs alone. A larger one is walked like a whole relation.
void RowStore::take_partition(Cursor& cursor) {
    const RowFilter& filter = cursor.filter;
    if (of(filter.relation).count / std::min<std::uint32_t>(filter.partition.parts, shard_count) >
        limits_.cursor_kept / 2)
        return;
    for_each_in(filter.relation, filter.partition, [&](Row& row) {
        if (matches(row, filter))
            cursor.kept.emplace_back(&row);
    });
    cursor.position = of(filter.relation).slot_count;
}

Result<RowPage> RowStore::next_page(std::string_view text, PageLimits max, std::uint64_t now_ms) {
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const auto found = error == std::errc{} && end == text.data() + text.size() ? cursors_.find(id)
                                                                                : cursors_.end();
    if (found == cursors_.end())
        return fail(
            "cursor_expired",
            "cursor \"" + std::string{text.substr(0, 32)} +
                "\" is not open (any more): start again without a cursor"
        );
    found->second.used_ms = now_ms;
    found->second.used = next_cursor_++;
    return page(id, found->second, max);
}

RowPage RowStore::page(std::uint64_t id, Cursor& cursor, PageLimits max) {
    check(max.rows > 0);
    RowPage page{.generation = cursor.generation, .rows = {}, .cursor = {}};
    const Slots& slots = of(cursor.filter.relation);
    std::size_t examined = 0;
    std::size_t bytes = 0;
    const auto has_room = [&] { return page.rows.size() < max.rows && bytes < max.bytes; };
    while (cursor.position < slots.slot_count && has_room() && examined < examined_max) {
        const RowPtr& row = slot(cursor.filter.relation, cursor.position);
        ++cursor.position;
        ++examined;
        if (row != nullptr && row->generation <= cursor.generation &&
            matches(*row, cursor.filter)) {
            page.rows.push_back(row);
            bytes += row->size;
        }
    }
    if (cursor.position >= slots.slot_count)
        while (!cursor.kept.empty() && has_room()) {
            bytes += cursor.kept.back()->size;
            page.rows.push_back(std::move(cursor.kept.back()));
            cursor.kept.pop_back();
        }
    if (cursor.position >= slots.slot_count && cursor.kept.empty())
        cursors_.erase(id);
    else
        page.cursor = std::to_string(id);
    return page;
}

void RowStore::expire_cursors(std::uint64_t now_ms) {
    for (auto at = cursors_.begin(); at != cursors_.end();)
        at = now_ms - at->second.used_ms > limits_.cursor_idle_ms ? cursors_.erase(at) : ++at;
}

} // namespace weft
