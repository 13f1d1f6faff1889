#include "tests/oracle/naive_lookup.hh"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <set>

namespace weft::oracle {

namespace {

/// A term as the words of a key, to be compared and counted.
struct Words {
    FlowKey value{};
    FlowKey mask{};

    int name_bits = 0;

    explicit Words(const Term& term) {
        for (const FieldMatch& field : term.fields) {
            if (is_name(field.field)) {
                name_bits = bits_of_name(std::string{field.port.view()});
                mask.word[42] = ~std::uint64_t{0};
                continue;
            }
            set(value, info(field.field), field.value, field.mask);
            set(mask, info(field.field), field.mask, field.mask);
        }
    }
    int bits() const {
        int count = name_bits;
        for (std::size_t word = 0; word < key_words; ++word)
            count += word == 42 ? 0 : std::popcount(mask.word[word]);
        return count;
    }
    static int bits_of_name(const std::string& name) {
        const auto stars = std::count(name.begin(), name.end(), '*');
        const bool suffix = stars == 1 && (name == "*" || name.starts_with("*."));
        return (stars == 0 ? 768 : suffix ? 512 : 256) + static_cast<int>(std::ssize(name) - stars);
    }
};

/// How a rule ranks: by its priority, by the term that asks for the fewest bits (of several, the
/// one with the greatest mask), and by the whole match.
struct Standing {
    std::uint32_t priority = 0;
    int bits = 0;
    std::array<std::uint64_t, key_words> mask{};
    std::uint64_t match = 0;

    friend auto operator<=>(const Standing&, const Standing&) = default;
};

Standing standing(const SpecRule& rule) {
    Standing made{rule.priority, 0, {}, stable_hash(rule.match)};
    for (std::size_t i = 0; i < rule.match.terms.size(); ++i) {
        const Words words{rule.match.terms[i]};
        if (i == 0 || words.bits() < made.bits ||
            (words.bits() == made.bits && words.mask.word > made.mask)) {
            made.bits = words.bits();
            made.mask = words.mask.word;
        }
    }
    return made;
}

bool contributes(const SpecRule& rule) {
    return std::any_of(rule.actions.begin(), rule.actions.end(), [](const Action& action) {
        return std::holds_alternative<action::Conjunction>(action.of);
    });
}

/// Whether a term by which the rule matches asks for conj_id.
bool asks_for_conj_id(const SpecRule& rule, const FlowKey& key, const PacketName& name) {
    return std::any_of(rule.match.terms.begin(), rule.match.terms.end(), [&](const Term& term) {
        return matches(key, term, name) &&
               std::any_of(term.fields.begin(), term.fields.end(), [](const FieldMatch& field) {
                   return field.field == FieldId::conj_id;
               });
    });
}

/// The best rule that is no part of a conjunction.
const SpecRule* best_rule(const SpecTable& table, const FlowKey& key, const PacketName& name) {
    const SpecRule* best = nullptr;
    Standing best_standing;
    for (const SpecRule& rule : table.rules) {
        if (!matches(key, rule.match, name) || contributes(rule))
            continue;
        const Standing here = standing(rule);
        if (best == nullptr || here > best_standing) {
            best = &rule;
            best_standing = here;
        }
    }
    return best;
}

} // namespace

bool matches(const FlowKey& key, const Term& term, const PacketName& name) {
    return std::all_of(term.fields.begin(), term.fields.end(), [&](const FieldMatch& field) {
        if (is_name(field.field))
            return name && name->field == field.field &&
                   test::naive_matches(std::string{field.port.view()}, name->text);
        return (get(key, info(field.field)) & field.mask) == field.value;
    });
}

bool matches(const FlowKey& key, const Match& match, const PacketName& name) {
    return std::any_of(match.terms.begin(), match.terms.end(), [&](const Term& term) {
        return matches(key, term, name);
    });
}

const SpecRule* lookup(const SpecTable& table, const FlowKey& key, const PacketName& name) {
    const SpecRule* const hard = best_rule(table, key, name);

    struct Clauses {
        std::set<std::uint8_t> seen;
        std::uint8_t count = 0;
    };
    std::map<std::uint32_t, std::map<std::uint32_t, Clauses>, std::greater<>> by_priority;
    for (const SpecRule& rule : table.rules) {
        if (!contributes(rule) || !matches(key, rule.match, name))
            continue;
        if (hard != nullptr && rule.priority <= hard->priority)
            continue;
        for (const Action& action : rule.actions)
            if (const auto* of = std::get_if<action::Conjunction>(&action.of)) {
                Clauses& clauses = by_priority[rule.priority][of->id];
                clauses.seen.insert(of->clause);
                clauses.count = of->count;
            }
    }
    for (const auto& [priority, ids] : by_priority)
        for (const auto& [id, clauses] : ids) {
            if (clauses.seen.size() != clauses.count)
                continue;
            FlowKey with_id = key;
            set(with_id, info(FieldId::conj_id), U128{id}, low_bits(32));
            const SpecRule* const found = best_rule(table, with_id, name);
            if (found != nullptr && asks_for_conj_id(*found, with_id, name))
                return found;
        }
    return hard;
}

} // namespace weft::oracle
