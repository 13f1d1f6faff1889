#include "classifier/tuple_plan.hh"

#include "base/field.hh"
#include "base/hash.hh"

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

// What a step of a lookup costs, in cycles, measured (classifier_bench): a hash and a bucket, and
// an entry that has to be verified.
constexpr double probe_cost = 16;
constexpr double verify_cost = 22;
/// A tuple costs each burst something of its own, however few of its keys look there.
constexpr double tuple_cost = 2;
/// Of the other entries under a key's hash, how many are in no lower band than what was found.
constexpr double higher_rank_share = 0.2;
constexpr std::size_t keys_max = 768;
constexpr std::size_t steps_max = 14;
constexpr std::size_t tries_a_step = 40;
constexpr std::uint64_t searches = 3;

/// The sample with its words lined up, and keys like those that would hit it.
class Search {
public:
    Search(const TupleSample& sample, std::uint64_t seed);
    struct Found {
        double cost = 0;
        std::vector<Mask> masks;
    };
    Found run();

private:
    using Words = std::vector<std::uint64_t>; // one of each word in use

    struct Cell {
        std::uint64_t hash = 0;
        std::uint32_t count = 0;
        std::uint32_t epoch = 0;
    };
    struct Table {
        std::vector<Cell> cells;
        std::uint32_t epoch = 0;
        Rank best = 0;
        bool used = false;
    };

    std::uint64_t hash(const std::uint64_t* words, const Words& mask) const noexcept;
    bool fits(std::size_t form, const Words& mask) const noexcept;
    const std::uint64_t* mask_of(std::size_t item) const noexcept {
        return &mask_[form_[item] * width_];
    }
    double cost(const std::vector<Words>& masks);
    Words random_cut(std::size_t item);
    void climb(std::vector<Words>& masks, std::size_t at, double& best);
    void prune(std::vector<Words>& masks, double& best);
    Cell& cell(Table& table, std::uint64_t hash) noexcept;

    std::mt19937_64 random_;
    std::vector<std::uint8_t> words_; // of the key
    std::size_t width_ = 0;
    std::size_t items_ = 0;
    std::size_t forms_ = 0;
    std::vector<std::uint64_t> mask_;  // forms_ * width_
    std::vector<Rank> form_rank_;      // the best of each form
    std::vector<std::uint32_t> home_;  // of each form
    std::vector<std::size_t> form_;    // of each item
    std::vector<std::uint64_t> value_; // items_ * width_
    std::vector<Rank> rank_;           // of each item
    std::vector<std::size_t> key_of_;  // the item that a key was made from
    std::vector<std::uint64_t> key_;   // keys * width_
    std::vector<double> key_cost_;
    double scale_ = 1; // entries of the space for one of the sample
    std::vector<Table> tables_;
};

Search::Search(const TupleSample& sample, std::uint64_t seed) : random_{seed} {
    WordMask used = 0;
    for (const auto& form : sample.forms)
        used |= form.mask.words();
    for (std::uint8_t word = 0; word < key_words; ++word)
        if ((used >> word & 1) != 0)
            words_.push_back(word);
    width_ = words_.size();
    forms_ = sample.forms.size();
    items_ = sample.items.size();
    mask_.resize(forms_ * width_);
    value_.resize(items_ * width_);
    home_.resize(forms_);
    const auto at = [&](std::uint8_t word) {
        return static_cast<std::size_t>(
            std::lower_bound(words_.begin(), words_.end(), word) - words_.begin()
        );
    };
    for (std::size_t f = 0; f < forms_; ++f) {
        const Mask& mask = sample.forms[f].mask;
        form_rank_.push_back(sample.forms[f].best_rank);
        for (std::size_t j = 0; j < mask.count; ++j)
            mask_[f * width_ + at(mask.word[j])] = mask.bits[j];
    }
    for (std::size_t i = 0; i < items_; ++i) {
        const auto& item = sample.items[i];
        rank_.push_back(item.rank);
        form_.push_back(item.form);
        const Mask& mask = sample.forms[item.form].mask;
        for (std::size_t j = 0; j < mask.count; ++j)
            value_[i * width_ + at(mask.word[j])] = item.value[j];
    }
    scale_ = static_cast<double>(std::max<std::uint64_t>(sample.total, items_)) /
             static_cast<double>(std::max<std::size_t>(items_, 1));
    // What an item leaves open is as another item has it, or anything.
    for (std::size_t k = 0; k < std::min(keys_max, items_); ++k) {
        const std::size_t i = items_ <= keys_max ? k : random_() % items_;
        const std::size_t other = random_() % items_;
        key_of_.push_back(i);
        for (std::size_t w = 0; w < width_; ++w) {
            const std::uint64_t mask = mask_of(i)[w], like = mask_of(other)[w];
            const std::uint64_t open =
                random_() % 2 == 0 ? random_() : (value_[other * width_ + w] | (random_() & ~like));
            key_.push_back(value_[i * width_ + w] | (open & ~mask));
        }
    }
    key_cost_.resize(key_of_.size());
}

std::uint64_t Search::hash(const std::uint64_t* words, const Words& mask) const noexcept {
    WordHash hash{1};
    for (std::size_t w = 0; w < width_; ++w)
        if (mask[w] != 0)
            hash.add(words[w] & mask[w]);
    return hash.value() | 1;
}

bool Search::fits(std::size_t form, const Words& mask) const noexcept {
    for (std::size_t w = 0; w < width_; ++w)
        if ((mask[w] & ~mask_[form * width_ + w]) != 0)
            return false;
    return true;
}

auto Search::cell(Table& table, std::uint64_t hash) noexcept -> Cell& {
    const std::size_t wrap = table.cells.size() - 1;
    for (std::size_t at = hash >> 20 & wrap;; at = (at + 1) & wrap) {
        Cell& cell = table.cells[at];
        if (cell.epoch != table.epoch) {
            cell = {hash, 0, table.epoch};
            return cell;
        }
        if (cell.hash == hash)
            return cell;
    }
}

/// The mean over the keys. `masks` are in the order of preference.
double Search::cost(const std::vector<Words>& masks) {
    while (tables_.size() < masks.size()) {
        tables_.emplace_back();
        tables_.back().cells.resize(2 * std::bit_ceil(items_ + keys_max));
    }
    for (std::size_t t = 0; t < masks.size(); ++t) {
        ++tables_[t].epoch;
        tables_[t].best = 0;
        tables_[t].used = false;
    }
    for (std::size_t f = 0; f < forms_; ++f) {
        std::uint32_t t = 0;
        while (!fits(f, masks[t]))
            ++t;
        home_[f] = t;
        tables_[t].best = std::max(tables_[t].best, form_rank_[f]);
        tables_[t].used = true;
    }
    for (std::size_t i = 0; i < items_; ++i) {
        const std::uint32_t t = home_[form_[i]];
        ++cell(tables_[t], hash(&value_[i * width_], masks[t])).count;
    }
    std::vector<std::uint32_t> order;
    for (std::uint32_t t = 0; t < masks.size(); ++t)
        if (tables_[t].used)
            order.push_back(t);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return tables_[a].best > tables_[b].best;
    });
    double total = 0;
    for (std::size_t k = 0; k < key_of_.size(); ++k) {
        const std::size_t own = key_of_[k];
        double here = 0;
        bool found = false;
        for (const std::uint32_t t : order) {
            if (found && tables_[t].best < rank_[own])
                break;
            here += probe_cost;
            const std::uint32_t count = cell(tables_[t], hash(&key_[k * width_], masks[t])).count;
            const bool is_home = home_[form_[own]] == t;
            const std::uint32_t others = count - (is_home ? 1 : 0);
            here += verify_cost *
                    (others * scale_ * (found ? higher_rank_share : 1) + (is_home ? 1 : 0));
            found = found || is_home;
        }
        key_cost_[k] = here;
        total += here;
    }
    return total / static_cast<double>(key_of_.size()) +
           tuple_cost * static_cast<double>(order.size());
}

/// The mask of an item with some fields left out and others cut.
auto Search::random_cut(std::size_t item) -> Words {
    Words mask(width_);
    for (std::size_t w = 0; w < width_; ++w) {
        const std::uint64_t all = mask_of(item)[w];
        for (const Segment& segment : segments()[words_[w]]) {
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

/// Lengthens and shortens the fields of one mask while that helps.
void Search::climb(std::vector<Words>& masks, std::size_t at, double& best) {
    for (std::size_t w = 0; w < width_; ++w)
        for (const Segment& segment : segments()[words_[w]]) {
            const auto has = static_cast<int>(std::popcount(masks[at][w] & segment.mask()));
            if (has == 0)
                continue;
            for (const int kept : {0, has - 4, has - 2, has + 4}) {
                if (kept < 0 || kept > segment.bits || segment.bits < 12 ? kept != 0 : false)
                    continue;
                auto tried = masks;
                std::uint64_t wanted = cut(~std::uint64_t{0}, segment, static_cast<unsigned>(kept));
                if (kept == 0)
                    wanted = 0;
                tried[at][w] = (tried[at][w] & ~segment.mask()) | wanted;
                const Words mask = tried[at];
                sort_by_weight(tried);
                if (const double now = cost(tried); now < best) {
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
        if (const double now = cost(tried); now <= best * 1.002) {
            best = now;
            masks = std::move(tried);
        } else {
            ++t;
        }
    }
}

auto Search::run() -> Found {
    std::vector<Words> masks{Words(width_)};
    double best = cost(masks);
    for (std::size_t step = 0; step < steps_max && items_ > 1; ++step) {
        std::vector<Words> chosen;
        Words added;
        double least = best;
        const std::vector<double> costs = key_cost_;
        for (std::size_t attempt = 0; attempt < tries_a_step; ++attempt) {
            // The more expensive of two keys: there is something to gain.
            const std::size_t a = random_() % costs.size(), b = random_() % costs.size();
            const Words mask = random_cut(key_of_[costs[a] > costs[b] ? a : b]);
            if (std::find(masks.begin(), masks.end(), mask) != masks.end())
                continue;
            auto tried = masks;
            tried.push_back(mask);
            sort_by_weight(tried);
            if (const double now = cost(tried); now < least) {
                least = now;
                chosen = std::move(tried);
                added = mask;
            }
        }
        if (chosen.empty())
            break;
        const double before = best;
        masks = std::move(chosen);
        best = least;
        climb(
            masks,
            static_cast<std::size_t>(std::find(masks.begin(), masks.end(), added) - masks.begin()),
            best
        );
        prune(masks, best);
        cost(masks); // key_cost_ of what was chosen
        if (before - best < 0.01 * before)
            break;
    }
    std::vector<Mask> made;
    for (const Words& words : masks) {
        Mask mask;
        for (std::size_t w = 0; w < width_; ++w)
            if (words[w] != 0)
                mask.add(words_[w], words[w]);
        made.push_back(mask);
    }
    return {best, std::move(made)};
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
        }
    plan.lowest_priority = ~std::uint32_t{0};
    for (const auto& item : sample.items)
        plan.lowest_priority = std::min(plan.lowest_priority, priority_of(item.rank));
    for (const auto& form : sample.forms)
        plan.highest_priority = std::max(plan.highest_priority, priority_of(form.best_rank));
    return plan;
}

} // namespace weft
