// Rules come and go.
#include "base/check.hh"
#include "base/hash.hh"
#include "pipeline/patterns.hh"
#include "pipeline/tables_state.hh"

#include <algorithm>

namespace weft {

void Tables::State::count_words(
    const Program& program, WordMask mask_words, std::uint16_t shapes, int by
) {
    const WordMask words = program.words | mask_words;
    const auto all_shapes = static_cast<std::uint16_t>(program.shapes | shapes);
    const auto step = static_cast<std::uint64_t>(by); // -1 wraps to the right answer
    for (std::size_t word = 0; word < key_words; ++word)
        word_users[word] += words >> word & 1 ? step : 0;
    for (std::size_t bit = 0; bit < 16; ++bit)
        shape_users[bit] += all_shapes >> bit & 1 ? step : 0;
}

CounterId Tables::State::take_counter() {
    CounterId id{};
    if (!free_counters.empty()) {
        id = free_counters.back();
        free_counters.pop_back();
        if (!free_counters.empty()) // the next rule's
            __builtin_prefetch(programs() + index(free_counters.back()), 1);
        for (const auto& worker : counters)
            worker->clear(id); // its last rule's grace period is over
        return id;
    }
    id = static_cast<CounterId>(++counters_used);
    for (const auto& worker : counters)
        worker->prepare(id);
    return id;
}

namespace {

bool asks_for(const Match& match, bool (*of)(FieldId)) {
    return std::any_of(match.terms.begin(), match.terms.end(), [&](const Term& term) {
        return std::any_of(term.fields.begin(), term.fields.end(), [&](const FieldMatch& field) {
            return of(field.field);
        });
    });
}

bool asks_for_name(const Match& match) {
    return asks_for(match, [](FieldId field) { return is_name(field); });
}

/// Conjunctions are resolved by key alone, which has no names.
std::optional<Error> names_refusal(TableState& table, const Match& match, const Program& program) {
    const bool conjunctive = program.conjunctive || asks_for(match, [](FieldId field) {
                                 return field == FieldId::conj_id;
                             });
    if (conjunctive)
        return Error{
            "bad_value",
            "tls.sni, http.host and dns.qname do not go together with conjunctions (a conjunction "
            "action, conj_id) in one rule"};
    return table.parts->names().refusal(match);
}

} // namespace

Result<Rule*> Tables::insert_rule(const RuleSettings& settings) {
    State& s = *state_;
    if (s.rules + settings.match.terms.size() > s.limits.rules)
        return fail(
            "too_many_rules",
            "this switch holds at most " + std::to_string(s.limits.rules) + " rules"
        );
    if (!s.has_counter())
        return fail(
            "too_many_rules",
            "this switch holds at most " + std::to_string(s.limits.rules) +
                " rules, and more than as many again wait for workers to let go of them"
        );
    TableState& table = s.tables[index(settings.table)];
    const ProgramPtr compiled =
        compile_actions(table.bridge, settings.actions, settings.cookie, s, s.op_lists);
    for (const ConjunctionClause& clause : compiled->conjunctions())
        if (!table.conjunctions.contains(clause.id) &&
            table.conjunctions.size() >= conjunctions_per_table_max)
            return fail(
                "too_many_conjunctions",
                "table " + std::to_string(table.number) + ": conjunction " +
                    std::to_string(clause.id) + ": a table holds at most " +
                    std::to_string(conjunctions_per_table_max) + " conjunction ids"
            );
    const bool named = asks_for_name(settings.match);
    if (named)
        if (auto error = names_refusal(table, settings.match, *compiled))
            return tl::unexpected<Error>{std::move(*error)};
    auto rule = std::make_unique<Rule>();
    rule->table = settings.table;
    rule->priority = settings.priority;
    rule->born = s.next();
    rule->match_hash = stable_hash(settings.match);
    rule->counter = s.take_counter();
    rule->program.reset(new (s.programs() + index(rule->counter)) Program{std::move(*compiled)});
    Program* const program = rule->program.get();
    program->rule = rule.get();
    program->counter = rule->counter;
    if (program->conjunctive) {
        if (table.conjunctions.empty())
            s.dirty_tables.push_back(settings.table);
        for (const ConjunctionClause& clause : program->conjunctions())
            ++table.conjunctions[clause.id];
    }

    const Lowered lowered = lower(settings.match, [&](FieldId field, std::string_view name) {
        return is_name(field)
                   ? table.parts->names().id_of(field, name)
                   : static_cast<std::uint64_t>(s.number_of(table.bridge, std::string{name}));
    });
    rule->words = lowered.words;
    rule->shapes = lowered.shapes;
    if (settings.match.terms.size() > 1)
        rule->least = std::make_unique<const Mask>(lowered.least);
    program->rank = make_rank(settings.priority, lowered.least_bits);
    s.count_words(*program, rule->words, rule->shapes, +1);
    table.parts->insert(*rule, lowered, s.next());
    s.note_parts(settings.table);
    s.rules += rule->terms();
    s.touch(settings.table);
    if (++table.rows == 1) // its view says whether it exists
        s.dirty_tables.push_back(settings.table);
    rule->named = named;
    if (named && table.named_rows++ == 0) {
        s.dirty_tables.push_back(settings.table);
        if (std::find(s.named_tables.begin(), s.named_tables.end(), settings.table) ==
            s.named_tables.end())
            s.named_tables.push_back(settings.table);
    }
    if (rule->terms() == 0)
        s.termless.insert(rule.get());
    return rule.release();
}

Result<Rule*> Tables::replace_rule(Rule* old, const RuleSettings& settings) {
    State& s = *state_;
    auto made = insert_rule(settings);
    if (!made)
        return made;
    (*made)->earlier = std::make_unique<Rule::Earlier>(Rule::Earlier{{}, old});
    s.heirs.emplace(old, *made);
    erase_rule(old);
    return made;
}

void Tables::erase_rule(Rule* rule) {
    State& s = *state_;
    TableState& table = s.tables[index(rule->table)];
    table.parts->expire(*rule, s.next());
    s.count_words(*rule->program, rule->words, rule->shapes, -1);
    for (const ConjunctionClause& clause : rule->program->conjunctions())
        if (--table.conjunctions[clause.id] == 0)
            table.conjunctions.erase(clause.id);
    if (rule->program->conjunctive && table.conjunctions.empty())
        s.dirty_tables.push_back(rule->table);
    if (--table.rows == 0)
        s.dirty_tables.push_back(rule->table);
    if (rule->named && --table.named_rows == 0)
        s.dirty_tables.push_back(rule->table);
    s.rules -= rule->terms();
    s.dead.push_back(rule);
}

/// The newest first: so takes TableParts them back.
void Tables::withdraw_rules(std::vector<Rule*> rules) {
    State& s = *state_;
    for (auto at = rules.rbegin(); at != rules.rend(); ++at) {
        erase_rule(*at);
        s.dead.pop_back();
        s.tables[index((*at)->table)].parts->withdraw(**at);
    }
    s.forget(std::move(rules));
}

/// Nobody sees the rules any more: out of the tables now, their memory after another grace period.
void Tables::State::bury(std::vector<Rule*> gone) {
    for (std::size_t i = 0; i < gone.size(); ++i) {
        for (const bool soon : {true, false})
            if (const std::size_t at = i + (soon ? 4 : 8); at < gone.size())
                prefetch(gone[at], soon);
        tables[index(gone[i]->table)].parts->remove(*gone[i]);
    }
    forget(std::move(gone));
}

void Tables::State::forget(std::vector<Rule*> gone) {
    for (Rule* rule : gone) {
        touch(rule->table);
        termless.erase(rule);
    }
    reclaimer.retire([this, gone = std::move(gone)] {
        for (std::size_t i = 0; i < gone.size(); ++i) {
            Rule* const rule = gone[i];
            if (i + 8 < gone.size())
                prefetch(gone[i + 8], false);
            if (const auto heir = heirs.find(rule); heir != heirs.end()) {
                *heir->second->earlier = {counted(*rule), nullptr};
                heirs.erase(heir);
            }
            free_counters.push_back(rule->counter);
            delete rule;
        }
    });
}

std::shared_ptr<const Program> Tables::compile(BridgeId bridge, const Actions& actions) {
    ProgramPtr program = compile_actions(bridge, actions, 0, *state_, state_->op_lists);
    return program;
}

} // namespace weft
