// The background: plans of tuples, and their slices of moving.
#include "pipeline/tables_state.hh"

#include <algorithm>
#include <utility>
#include <vector>

namespace weft {

namespace {

/// Of a table's rules, for a plan: enough to see how they collide.
constexpr std::size_t plan_items = 4'096;

} // namespace

void Tables::State::touch(TableId id) {
    if (!std::exchange(tables[index(id)].touched, true))
        touched.push_back(id);
}

std::optional<PlanJob> Tables::next_plan() {
    State& s = *state_;
    while (!s.touched.empty()) {
        const TableId id = s.touched.back();
        TableState& table = s.tables[index(id)];
        s.touched.pop_back();
        table.touched = false;
        if (table.parts->tuples().is_linear() && !table.parts->is_moving() &&
            table.parts->names_if_any() == nullptr)
            continue;
        if (!std::exchange(table.untidy, true))
            s.untidy.push_back(id);
        if (table.parts->tuples().wants_plan())
            return PlanJob{id, table.parts->tuples().sample(plan_items, s.generation)};
    }
    return std::nullopt;
}

void Tables::adopt(TableId id, const TuplePlan& plan) {
    TableState& table = state_->tables[index(id)];
    if (table.parts->tuples().is_linear() || table.parts->tuples().is_moving())
        return; // it has become another table meanwhile
    table.parts->tuples().adopt(plan);
    if (!std::exchange(table.untidy, true))
        state_->untidy.push_back(id);
}

std::optional<Tables::NamesJob> Tables::next_names() {
    State& s = *state_;
    for (std::size_t i = 0; i < s.named_tables.size(); ++i) {
        NamePart& names = *s.tables[index(s.named_tables[i])].parts->names_if_any();
        if (names.wildcards().wants_compile())
            return NamesJob{s.named_tables[i], names.wildcards().job(s.counters.size())};
    }
    return std::nullopt;
}

void Tables::adopt_wildcards(TableId id, std::shared_ptr<const CompiledWildcards> compiled) {
    state_->tables[index(id)].parts->names().wildcards().adopt(std::move(compiled));
}

Tables::Tidied Tables::tidy(std::size_t buckets) {
    State& s = *state_;
    Tidied all = Tidied::all;
    std::erase_if(s.untidy, [&](TableId id) {
        TableState& table = s.tables[index(id)];
        const bool more =
            table.parts->tuples().move_some(buckets) | table.parts->move_some(buckets, s.next());
        s.note_parts(id);
        const bool waits = table.parts->tuples().is_moving() || table.parts->is_moving();
        table.untidy = more || waits;
        if (more)
            all = Tidied::more;
        else if (waits && all == Tidied::all)
            all = Tidied::waits;
        if (!table.untidy && table.parts->tuples().wants_plan()) {
            s.touch(id); // it grew while its rules moved, or while its plan was made
            all = Tidied::more;
        }
        return !table.untidy;
    });
    return all;
}

bool Tables::has_moved() const noexcept {
    const State& s = *state_;
    return std::any_of(s.parted.begin(), s.parted.end(), [&](TableId id) {
        return s.tables[index(id)].parts->has_changes();
    });
}

} // namespace weft
