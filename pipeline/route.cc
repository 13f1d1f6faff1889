#include "pipeline/route.hh"

#include "base/key.hh"
#include "pipeline/rule.hh"

#include <bit>
#include <map>

namespace weft {

namespace {

// What a routing table may be chosen by: MACs, port, shape, metadata, marks, registers, tunnel id.
// Rules that ask for other addresses or ports are no routes.
constexpr WordMask choosing_words = 0x7 | 0x3 << 6 | 0xff << 8 | WordMask{1} << 24;
constexpr std::uint8_t ip4_dst = 3;  // the lower half of the word
constexpr std::uint8_t ip6_dst = 18; // and the next

constexpr bool is_prefix(std::uint64_t mask, unsigned bits) noexcept {
    const std::uint64_t on_top = mask << (64 - bits);
    return std::countl_one(on_top) == std::popcount(on_top);
}

/// A family by its shape bit: a route of no bits says nothing of the address.
std::optional<bool> is_wide(const Pattern& pattern) {
    const std::uint64_t value =
        pattern.mask.count != 0 && pattern.mask.word[0] == 0 ? pattern.value[0] : 0;
    const bool ip4 = has(static_cast<std::uint16_t>(value >> 48), Shape::ip4);
    const bool ip6 = has(static_cast<std::uint16_t>(value >> 48), Shape::ip6);
    return ip4 != ip6 ? std::optional{ip6} : std::nullopt;
}

} // namespace

std::optional<Route> route_of(const Pattern& pattern) {
    Route route;
    U128 mask;
    bool narrow = false, wide = false;
    if (pattern.range_count != 0 || pattern.mask.count > PrefixKind::others_max + 2)
        return std::nullopt;
    for (std::size_t i = 0; i < pattern.mask.count; ++i) {
        const std::uint8_t word = pattern.mask.word[i];
        const std::uint64_t bits = pattern.mask.bits[i];
        if (word == ip4_dst && bits >> 32 == 0) {
            narrow = true;
            mask.low = bits;
            route.rule.prefix.low = pattern.value[i];
        } else if (word == ip6_dst) {
            wide = true;
            mask.high = bits;
            route.rule.prefix.high = pattern.value[i];
        } else if (word == ip6_dst + 1) {
            wide = true;
            mask.low = bits;
            route.rule.prefix.low = pattern.value[i];
        } else if ((choosing_words >> word & 1) != 0 && route.kind.others.count < PrefixKind::others_max) {
            route.rule.others[route.kind.others.count] = pattern.value[i];
            route.kind.others.add(word, bits);
        } else {
            return std::nullopt;
        }
    }
    const std::optional<bool> by_shape = is_wide(pattern);
    if (!by_shape || (narrow && wide) || (narrow && *by_shape) || (wide && !*by_shape))
        return std::nullopt; // both or neither family: no route
    route.kind.wide = *by_shape;
    route.kind.word = *by_shape ? ip6_dst : ip4_dst;
    const bool whole = mask.low == 0 || !*by_shape || mask.high == ~std::uint64_t{0};
    if (!whole || !is_prefix(mask.high, 64) || !is_prefix(mask.low, *by_shape ? 64 : 32))
        return std::nullopt;
    route.rule.length = static_cast<unsigned>(std::popcount(mask.high) + std::popcount(mask.low));
    return route;
}

Pattern pattern_of(const Entry& entry) {
    Pattern pattern;
    const Mask mask = entry.form->mask();
    for (std::size_t i = 0; i < mask.count; ++i)
        pattern.add(mask.word[i], mask.bits[i], entry.values()[i]);
    return pattern;
}

Ladder best_ladder(const std::vector<const Rule*>& rules, std::size_t& fit) {
    struct Step {
        std::uint8_t length;
        std::uint32_t priority;
        std::size_t count; // with the best steps below
        std::ptrdiff_t below = -1;
    };
    std::map<std::pair<std::uint8_t, std::uint32_t>, std::size_t> counts;
    for (const Rule* rule : rules)
        ++counts[{rule->length, rule->priority}];
    std::vector<Step> steps;
    std::ptrdiff_t best = -1;
    const auto at = [&](std::ptrdiff_t i) -> Step& { return steps[static_cast<std::size_t>(i)]; };
    for (const auto& [step, count] : counts) {
        Step made{step.first, step.second, count, -1};
        for (std::ptrdiff_t i = 0; i < std::ssize(steps); ++i)
            if (at(i).length < made.length && at(i).priority <= made.priority &&
                at(i).count + count > made.count) {
                made.count = at(i).count + count;
                made.below = i;
            }
        steps.push_back(made);
        if (best < 0 || made.count > at(best).count)
            best = std::ssize(steps) - 1;
    }
    Ladder ladder;
    fit = best < 0 ? 0 : at(best).count;
    for (; best >= 0; best = at(best).below)
        ladder.emplace_back(at(best).length, at(best).priority);
    return ladder;
}

} // namespace weft
