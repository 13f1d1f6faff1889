// Lookups in tables of several parts.
#include "pipeline/table.hh"
#include "pipeline/table_parts.hh"

namespace weft {

namespace {

/// One part's turn: no rule in it ranks outside of [worst, best].
struct Turn {
    Rank best;
    Rank worst;
    const PrefixPart* prefixes; // nullptr: the tuple space
};

struct Turns {
    std::array<Turn, Table::prefix_parts_max + 1> turn;
    std::size_t count = 0;

    void add(const Turn& one) noexcept {
        std::size_t at = count++;
        for (; at != 0 && turn[at - 1].best < one.best; --at)
            turn[at] = turn[at - 1];
        turn[at] = one;
    }
};

LaneMask
ask(const Table& table,
    const PrefixPart* prefixes,
    const FlowKey* keys,
    LaneMask live,
    Generation g,
    Payload* payload) noexcept {
    if (prefixes != nullptr)
        return prefixes->lookup(keys, live, g, payload);
    table.tuples->lookup_payloads(keys, live, g, payload);
    LaneMask hit = 0;
    for_lanes(live, [&](std::size_t lane) { hit |= LaneMask{payload[lane] != 0} << lane; });
    return hit;
}

} // namespace

bool goes_first(const Program& a, const Program& b) noexcept {
    return a.rank != b.rank ? a.rank > b.rank : goes_before(*a.rule, *b.rule);
}

void find_rules(
    const Table& table, const FlowKey* keys, LaneMask live, Generation g, Found& found
) noexcept {
    const std::optional<Rank> best_of_tuples = table.tuples->best_rank();
    if (table.prefix_parts == 1 && !best_of_tuples) { // all rules are routes of one kind
        const LaneMask hit = table.prefixes[0]->lookup(keys, live, g, found.payloads());
        for (const std::size_t lane : Lanes{live & ~hit})
            found.set(lane, Verdict{});
        return;
    }
    Turns turns;
    for (std::uint32_t i = 0; i < table.prefix_parts; ++i) {
        const PrefixPart& part = *table.prefixes[i];
        turns.add({part.ranks.best(), part.ranks.worst(), &part});
    }
    if (best_of_tuples)
        turns.add({*best_of_tuples, 0, nullptr});
    for_lanes(live, [&](std::size_t lane) { found.set(lane, Verdict{}); });
    std::array<Payload, burst_max> payload;
    LaneMask open = live, hit = 0;
    Rank floor = ~Rank{0}; // nothing that was found ranks below
    for (const Turn& turn : std::span{turns.turn}.first(turns.count)) {
        if (floor > turn.best)
            open &= ~hit; // from here on nothing can win
        else
            for (const std::size_t lane : Lanes{open & hit})
                if (found[lane].program()->rank > turn.best)
                    open &= ~lane_bit(lane);
        if (open == 0)
            return;
        const LaneMask more = ask(table, turn.prefixes, keys, open, g, payload.data());
        for_lanes(more & ~hit, [&](std::size_t lane) { found.set(lane, Verdict{payload[lane]}); });
        for (const std::size_t lane : Lanes{more & hit})
            if (const Verdict other{payload[lane]};
                goes_first(*other.program(), *found[lane].program()))
                found.set(lane, other);
        hit |= more;
        floor = std::min(floor, turn.worst);
    }
}

} // namespace weft
