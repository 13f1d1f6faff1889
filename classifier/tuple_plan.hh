// Which masks the hashes of a tuple space should have, chosen from a sample of its entries.
#pragma once

#include "classifier/entry.hh"
#include "classifier/tuple_filter.hh"

#include <cstdint>
#include <vector>

namespace weft {

/// What a plan is made from: every form that a tuple space's entries have, and some of the entries,
/// drawn evenly.
struct TupleSample {
    struct FormUse {
        Mask mask;
        std::uint64_t entries = 0;
        Rank best_rank = 0;
    };
    struct Item {
        std::size_t form = 0;             // index into `forms`
        std::vector<std::uint64_t> value; // of each word of its mask
        Rank rank = 0;
    };
    std::vector<FormUse> forms;
    std::vector<Item> items;
    std::uint64_t total = 0; // entries in all
};

struct TuplePlan {
    std::vector<Mask> masks;           // most specific first; the last one is empty
    std::vector<Rank> best_ranks = {}; // of the entries that belong to each; none: they are alike
    FilterPlan filter;
    std::uint64_t entries = 0; // that the space had when the sample was drawn
    std::uint32_t lowest_priority = 0, highest_priority = 0; // of the sample
};

/// How many bits the mask has: an entry belongs to the most specific tuple that its own mask
/// includes.
std::uint64_t specificity(const Mask& mask) noexcept;
/// Whether every bit of `small` is one of `big`.
bool includes(const Mask& big, const Mask& small) noexcept;
/// A mask that entries like this one may share: whole fields, and prefixes cut to multiples of
/// `unit` bits.
Mask rounded(const Mask& mask, unsigned unit = 8);

/// `loose` with one field more of those that `full` has: the one that adds the most bits.
Mask refined(const Mask& loose, const Mask& full);

/// The masks of the tuples that make lookups of keys like the sample's cheapest; the empty one
/// takes what fits nowhere else. Pure, and the same for the same
/// sample and seed. A search by steps: masks that are cut from those of expensive entries are
/// tried, the best one stays. Takes up to a second. (Entries under looser masks
/// than their own: Daly, Bruschi, Linguaglossa, Pontarelli, Rossi, Tollet, Torng, Yourtchenko:
/// TupleMerge, IEEE/ACM ToN 2019; there the masks follow from rules of thumb.)
TuplePlan plan_tuples(const TupleSample& sample, std::uint64_t seed);

} // namespace weft
