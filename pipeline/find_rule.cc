// Lookups in tables with conjunctive matches (ovs-fields(7), conj_id): a set of rules that stands
// for a product of sets.
#include "pipeline/table.hh"

#include <algorithm>
#include <array>

namespace weft {

namespace {

/// The conjunctions that some clause of matched, best priority first, then lowest id.
struct Candidates {
    struct Item {
        std::uint32_t priority;
        std::uint32_t id;
        std::uint64_t clauses; // bit i: clause i is matched
        std::uint8_t count;
    };
    std::array<Item, conjunctions_per_table_max> item;
    std::size_t used = 0;

    static bool goes_first(const Item& a, std::uint32_t priority, std::uint32_t id) noexcept {
        return a.priority != priority ? a.priority > priority : a.id < id;
    }
    void add(std::uint32_t priority, const ConjunctionClause& clause) noexcept {
        auto* end = item.data() + used;
        auto* at = std::partition_point(item.data(), end, [&](const Item& a) {
            return goes_first(a, priority, clause.id);
        });
        if (at == end || at->priority != priority || at->id != clause.id) {
            if (used == item.size())
                return; // more than the table was allowed to hold: cannot be
            std::move_backward(at, end, end + 1);
            *at = {priority, clause.id, 0, clause.count};
            ++used;
        }
        at->clauses |= std::uint64_t{1} << clause.clause;
    }
};

const Program* program_of(const Entry& entry) noexcept {
    return static_cast<const Program*>(entry.payload);
}

struct Hard {
    const Entry* entry = nullptr;

    void offer(const Entry& other, const Table& table) noexcept;
};

bool reads_conj_id(const Entry& entry) noexcept {
    const Form& form = *entry.form;
    for (std::size_t i = 0; i < form.count; ++i)
        if (form.word_at(i) == 25 && form.bits()[i] >> 32 != 0)
            return true;
    return false;
}

/// Of one rule that matches by several terms, one that asks for conj_id is preferred.
void Hard::offer(const Entry& other, const Table& table) noexcept {
    const bool same = entry != nullptr && entry->payload == other.payload;
    if (entry == nullptr || (same ? reads_conj_id(other) : table.rules->goes_first(other, *entry)))
        entry = &other;
}

} // namespace

const Program* find_rule(const Table& table, const FlowKey& key, Generation g) noexcept {
    Hard hard;
    Candidates soft;
    table.rules->for_each_match(key, g, [&](const Entry& entry) {
        const Program& program = *program_of(entry);
        if (!program.conjunctive)
            hard.offer(entry, table);
        else
            for (const ConjunctionClause& clause : program.conjunctions())
                soft.add(priority_of(entry.rank), clause);
        return true;
    });
    const std::uint32_t floor = hard.entry == nullptr ? 0 : priority_of(hard.entry->rank);
    for (std::size_t i = 0; i < soft.used; ++i) {
        const Candidates::Item& item = soft.item[i];
        if (hard.entry != nullptr && item.priority <= floor)
            break;
        if (item.clauses != low_bits(item.count).low)
            continue;
        FlowKey with_id = key;
        set(with_id, info(FieldId::conj_id), U128{item.id}, low_bits(32));
        Hard best;
        table.rules->for_each_match(with_id, g, [&](const Entry& entry) {
            if (!program_of(entry)->conjunctive)
                best.offer(entry, table);
            return true;
        });
        if (best.entry != nullptr && reads_conj_id(*best.entry))
            return program_of(*best.entry);
    }
    return hard.entry == nullptr ? nullptr : program_of(*hard.entry);
}

} // namespace weft
