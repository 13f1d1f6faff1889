#include "classifier/tuple_plan.hh"

#include "base/field.hh"
#include "classifier/plan_cost.hh"

#include <algorithm>
#include <random>

namespace weft {

namespace {

/// Neighbouring bits of one word that belong to one field.
struct Segment {
    std::uint8_t shift;
    std::uint8_t bits;
    std::uint64_t mask() const noexcept {
        return (bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1) << shift;
    }
};

using Segments = std::array<std::vector<Segment>, key_words>;

const Segments& segments() {
    static const Segments all = [] {
        Segments made;
        for (const FieldInfo& field : all_fields()) {
            if (field.is_view())
                continue;
            if (field.is_wide()) {
                made[field.word].push_back({0, 64});
                made[field.word + 1u].push_back({0, 64});
                continue;
            }
            // Some fields share a place (the ports of TCP and UDP): once is enough.
            const Segment here{field.shift, field.bits};
            auto& of = made[field.word];
            if (std::none_of(of.begin(), of.end(), [&](const Segment& other) {
                    return (other.mask() & here.mask()) != 0;
                }))
                of.push_back(here);
        }
        return made;
    }();
    return all;
}

/// The upper `kept` bits of the segment that the mask has.
std::uint64_t cut(std::uint64_t mask, const Segment& segment, unsigned kept) noexcept {
    if (kept == 0)
        return 0;
    if (kept >= segment.bits)
        return mask & segment.mask();
    const std::uint64_t low = (std::uint64_t{1} << (segment.bits - kept)) - 1;
    return mask & segment.mask() & ~(low << segment.shift);
}

constexpr std::size_t steps_max = 24;
constexpr std::size_t tries_a_step = 40;
constexpr std::uint64_t searches = 6;
constexpr double least_gain = 0.01; // of a step that is not the last

/// From one tuple for all entries to better ones, step by step.
class Search {
public:
    Search(const TupleSample& sample, std::uint64_t seed) : random_{seed}, cost_{sample, random_} {}
    struct Found {
        double cost = 0;
        std::vector<Mask> masks;
        FilterPlan filter;
    };
    Found run();

private:
    using Words = PlanCost::Words;

    Words random_cut(std::size_t item);
    bool add(std::vector<Words>& masks, double& best);
    void climb(std::vector<Words>& masks, const Words& which, double& best);
    void prune(std::vector<Words>& masks, double& best);

    std::mt19937_64 random_;
    PlanCost cost_;
};

/// The mask of an item with some fields left out and others cut.
auto Search::random_cut(std::size_t item) -> Words {
    Words mask(cost_.width());
    for (std::size_t w = 0; w < mask.size(); ++w) {
        const std::uint64_t all = cost_.mask_of(item)[w];
        for (const Segment& segment : segments()[cost_.word(w)]) {
            if ((all & segment.mask()) == 0 || random_() % 5 < 2)
                continue;
            const auto kept = segment.bits < 12 || random_() % 3 == 0
                                  ? segment.bits
                                  : 4 * (1 + random_() % (segment.bits / 4));
            mask[w] |= cut(all, segment, static_cast<unsigned>(kept));
        }
    }
    return mask;
}

void sort_by_weight(std::vector<std::vector<std::uint64_t>>& masks) {
    const auto weight = [](const std::vector<std::uint64_t>& mask) {
        int bits = 0;
        for (const std::uint64_t word : mask)
            bits += std::popcount(word);
        return bits;
    };
    std::stable_sort(masks.begin(), masks.end(), [&](const auto& a, const auto& b) {
        return weight(a) != weight(b) ? weight(a) > weight(b) : a > b;
    });
}

/// Adds the best of some masks, if one helps, and shapes it.
bool Search::add(std::vector<Words>& masks, double& best) {
    // Cut from items of dear keys: there is something to gain.
    std::vector<Words> cuts;
    for (std::size_t attempt = 0; attempt < tries_a_step; ++attempt)
        cuts.push_back(random_cut(cost_.dear_item(random_)));
    std::vector<Words> chosen;
    Words added;
    double least = best;
    for (const Words& mask : cuts) {
        if (std::find(masks.begin(), masks.end(), mask) != masks.end())
            continue;
        auto tried = masks;
        tried.push_back(mask);
        sort_by_weight(tried);
        if (const double now = cost_.of(tried); now < least) {
            least = now;
            chosen = std::move(tried);
            added = mask;
        }
    }
    if (chosen.empty())
        return false;
    masks = std::move(chosen);
    best = least;
    climb(masks, added, best);
    return true;
}

/// Lengthens and shortens the fields of one mask while that helps.
void Search::climb(std::vector<Words>& masks, const Words& which, double& best) {
    auto at =
        static_cast<std::size_t>(std::find(masks.begin(), masks.end(), which) - masks.begin());
    for (std::size_t w = 0; w < cost_.width(); ++w)
        for (const Segment& segment : segments()[cost_.word(w)]) {
            const auto has = static_cast<int>(std::popcount(masks[at][w] & segment.mask()));
            if (has == 0)
                continue;
            for (const int kept : {0, has - 4, has - 2, has + 4}) {
                if (kept < 0 || kept > segment.bits || segment.bits < 12 ? kept != 0 : false)
                    continue;
                auto tried = masks;
                const std::uint64_t wanted =
                    cut(~std::uint64_t{0}, segment, static_cast<unsigned>(kept));
                tried[at][w] = (tried[at][w] & ~segment.mask()) | wanted;
                const Words mask = tried[at];
                sort_by_weight(tried);
                if (const double now = cost_.of(tried); now < best) {
                    best = now;
                    masks = std::move(tried);
                    at = static_cast<std::size_t>(
                        std::find(masks.begin(), masks.end(), mask) - masks.begin()
                    );
                }
            }
        }
}

void Search::prune(std::vector<Words>& masks, double& best) {
    for (std::size_t t = 0; t + 1 < masks.size();) {
        auto tried = masks;
        tried.erase(tried.begin() + static_cast<std::ptrdiff_t>(t));
        if (const double now = cost_.of(tried); now <= best * 1.002) {
            best = now;
            masks = std::move(tried);
        } else {
            ++t;
        }
    }
}

auto Search::run() -> Found {
    std::vector<Words> masks{Words(cost_.width())};
    double best = cost_.of(masks);
    for (std::size_t step = 0; step < steps_max && cost_.items() > 1; ++step) {
        const double before = best;
        if (!add(masks, best))
            break;
        prune(masks, best);
        best = cost_.of(masks);
        for (std::size_t w = 0; w < TupleFilter::windows_max && w <= cost_.windows(); ++w)
            if (w == cost_.windows() || w == step % TupleFilter::windows_max)
                best = cost_.choose_window(w, best);
        if (before - best < least_gain * before)
            break;
    }
    best = cost_.of(masks);
    Found found{.cost = best, .masks = {}, .filter = cost_.filter()};
    for (const Words& words : masks) {
        Mask mask;
        for (std::size_t w = 0; w < words.size(); ++w)
            if (words[w] != 0)
                mask.add(cost_.word(w), words[w]);
        found.masks.push_back(mask);
    }
    return found;
}

} // namespace

std::uint64_t specificity(const Mask& mask) noexcept {
    return mask.bit_count();
}

bool includes(const Mask& big, const Mask& small) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < small.count; ++i) {
        while (at < big.count && big.word[at] < small.word[i])
            ++at;
        if (at == big.count || big.word[at] != small.word[i] ||
            (small.bits[i] & ~big.bits[at]) != 0)
            return false;
    }
    return true;
}

Mask rounded(const Mask& mask, unsigned unit) {
    Mask made;
    for (std::size_t i = 0; i < mask.count; ++i) {
        std::uint64_t bits = 0;
        for (const Segment& segment : segments()[mask.word[i]]) {
            const std::uint64_t here = mask.bits[i] & segment.mask();
            const auto has = static_cast<unsigned>(std::popcount(here));
            const bool is_prefix = here == cut(segment.mask(), segment, has);
            if (here == segment.mask() || !is_prefix)
                bits |= here;
            else if (has >= unit)
                bits |= cut(here, segment, has / unit * unit);
        }
        if (bits != 0)
            made.add(mask.word[i], bits);
    }
    return made;
}

Mask refined(const Mask& loose, const Mask& full) {
    std::array<std::uint64_t, key_words> has{};
    for (std::size_t i = 0; i < loose.count; ++i)
        has[loose.word[i]] = loose.bits[i];
    // The field that adds the most bits, of those that are not too many.
    std::size_t best_word = 0;
    std::uint64_t best = 0;
    for (std::size_t i = 0; i < full.count; ++i)
        for (const Segment& segment : segments()[full.word[i]]) {
            const std::uint64_t here = full.bits[i] & segment.mask();
            const auto bits = static_cast<unsigned>(std::popcount(here));
            const std::uint64_t wanted = bits < 8 ? here : cut(here, segment, bits / 8 * 8);
            const std::uint64_t added = wanted & ~has[full.word[i]];
            if (std::popcount(added) > std::popcount(best)) {
                best = added;
                best_word = full.word[i];
            }
        }
    if (best == 0)
        return full;
    has[best_word] |= best;
    Mask made;
    for (std::size_t word = 0; word < key_words; ++word)
        if (has[word] != 0)
            made.add(static_cast<std::uint8_t>(word), has[word]);
    return made;
}

TuplePlan plan_tuples(const TupleSample& sample, std::uint64_t seed) {
    TuplePlan plan;
    plan.entries = sample.total;
    if (sample.items.empty()) {
        plan.masks.emplace_back();
        return plan;
    }
    // A search ends where no step helps; another one may end lower.
    double least = 0;
    for (std::uint64_t start = 0; start < searches; ++start)
        if (auto found = Search{sample, seed + start}.run(); start == 0 || found.cost < least) {
            least = found.cost;
            plan.masks = std::move(found.masks);
            plan.filter = std::move(found.filter);
        }
    plan.best_ranks.resize(plan.masks.size());
    for (const auto& form : sample.forms)
        for (std::size_t m = 0; m < plan.masks.size(); ++m)
            if (includes(form.mask, plan.masks[m])) {
                plan.best_ranks[m] = std::max(plan.best_ranks[m], form.best_rank);
                break;
            }
    plan.lowest_priority = ~std::uint32_t{0};
    for (const auto& item : sample.items)
        plan.lowest_priority = std::min(plan.lowest_priority, priority_of(item.rank));
    for (const auto& form : sample.forms)
        plan.highest_priority = std::max(plan.highest_priority, priority_of(form.best_rank));
    return plan;
}

} // namespace weft
