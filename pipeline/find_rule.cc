// Lookups in tables with conjunctive matches (ovs-fields(7), conj_id): a set of rules that stands
// for a product of sets.
#include "pipeline/table.hh"
#include "pipeline/table_parts.hh"

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

bool reads_conj_id(const Entry& entry) noexcept {
    const Form& form = *entry.form;
    for (std::size_t i = 0; i < form.count; ++i)
        if (form.word_at(i) == 25 && form.bits()[i] >> 32 != 0)
            return true;
    return false;
}

/// The best of the rules that are no clauses.
struct Hard {
    const Program* program = nullptr;
    bool reads_conj_id = false; // by the term that matched

    /// Of one rule that matches by several terms, one that asks for conj_id is preferred.
    void offer(const Program& other, bool reads) noexcept {
        const bool wins = program == nullptr            ? true
                          : program == &other           ? reads
                          : program->rank != other.rank ? other.rank > program->rank
                                                        : goes_before(*other.rule, *program->rule);
        if (!wins)
            return;
        program = &other;
        reads_conj_id = reads;
    }
};

/// Calls `soft` for each program of clauses that matches, and returns the best other rule. Routes
/// and rules that ask for names are neither clauses nor ask for conj_id.
template <class Soft>
Hard find_hard(
    const Table& table, const FlowKey& key, Generation g, const Program* named, Soft&& soft
) noexcept {
    Hard hard;
    if (named != nullptr)
        hard.offer(*named, false);
    table.tuples->for_each_match(key, g, [&](const Entry& entry) {
        const Program& program = *program_of(entry);
        if (program.conjunctive)
            soft(program);
        else
            hard.offer(program, reads_conj_id(entry));
        return true;
    });
    for (std::uint32_t i = 0; i < table.prefix_parts; ++i) {
        Payload found = 0;
        if (table.prefixes[i]->lookup(&key, 1, g, &found) != 0)
            hard.offer(*Verdict{found}.program(), false);
    }
    return hard;
}

} // namespace

const Program*
find_rule(const Table& table, const FlowKey& key, Generation g, const Program* named) noexcept {
    Candidates candidates;
    const Hard hard = find_hard(table, key, g, named, [&](const Program& program) {
        for (const ConjunctionClause& clause : program.conjunctions())
            candidates.add(priority_of(program.rank), clause);
    });
    for (std::size_t i = 0; i < candidates.used; ++i) {
        const Candidates::Item& item = candidates.item[i];
        if (hard.program != nullptr && item.priority <= priority_of(hard.program->rank))
            break;
        if (item.clauses != low_bits(item.count).low)
            continue;
        FlowKey with_id = key;
        set(with_id, info(FieldId::conj_id), U128{item.id}, low_bits(32));
        const Hard best = find_hard(table, with_id, g, named, [](const Program&) {});
        if (best.program != nullptr && best.reads_conj_id)
            return best.program;
    }
    return hard.program;
}

} // namespace weft
