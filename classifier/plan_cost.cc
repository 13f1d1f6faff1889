#include "classifier/plan_cost.hh"

#include "base/hash.hh"
#include "base/lanes.hh"

#include <algorithm>
#include <cmath>

namespace weft {

namespace {

// What a step of a lookup costs, in cycles, measured (classifier_bench): a hash and a bucket, and
// an entry that has to be verified.
constexpr double probe_cost = 25;
constexpr double verify_cost = 18;
/// A tuple costs each burst something of its own, however few of its keys look there.
constexpr double tuple_cost = 1;
/// To look into one window of the filter.
constexpr double window_cost = 3;
/// Of the other entries under a key's hash, how many are in no lower band than what was found.
constexpr double higher_rank_share = 0.2;
/// Lanes of a burst that have to ask the same tuple for it to pay that they go together.
constexpr double together_min = 8;
constexpr std::size_t keys_max = 768;
constexpr std::size_t strangers = 8; // one key of no item for so many others
constexpr std::size_t columns_max = 256;
constexpr int window_bits_min = 6, window_bits_max = 12;

} // namespace

PlanCost::PlanCost(const TupleSample& sample, std::mt19937_64& random) {
    read(sample);
    make_keys(random);
    cells_.resize(2 * std::bit_ceil(items() + 1));
    const auto width = [](std::uint64_t entries) {
        return static_cast<int>(std::bit_width(entries)) - 1;
    };
    const int bits = std::clamp(width(sample.total), window_bits_min, window_bits_max);
    bits_ = static_cast<std::uint8_t>(bits);
    const int fewer = width(static_cast<std::uint64_t>(scale_));
    sample_bits_ = static_cast<std::uint8_t>(std::max(bits - fewer, 4));
}

void PlanCost::read(const TupleSample& sample) {
    WordMask used = 0;
    for (const auto& form : sample.forms)
        used |= form.mask.words();
    for (std::uint8_t word = 0; word < key_words; ++word)
        if ((used >> word & 1) != 0)
            words_.push_back(word);
    const auto at = [&](std::uint8_t word) {
        return static_cast<std::size_t>(
            std::lower_bound(words_.begin(), words_.end(), word) - words_.begin()
        );
    };
    mask_.resize(sample.forms.size() * width());
    begin_.assign(sample.forms.size() + 1, 0);
    for (std::size_t f = 0; f < sample.forms.size(); ++f) {
        const Mask& mask = sample.forms[f].mask;
        form_rank_.push_back(sample.forms[f].best_rank);
        for (std::size_t j = 0; j < mask.count; ++j)
            mask_[f * width() + at(mask.word[j])] = mask.bits[j];
    }
    std::vector<const TupleSample::Item*> items;
    for (const auto& item : sample.items)
        items.push_back(&item);
    std::stable_sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
        return a->form < b->form;
    });
    value_.resize(items.size() * width());
    for (std::size_t i = 0; i < items.size(); ++i) {
        rank_.push_back(items[i]->rank);
        form_.push_back(static_cast<std::uint32_t>(items[i]->form));
        ++begin_[items[i]->form + 1];
        const Mask& mask = sample.forms[items[i]->form].mask;
        for (std::size_t j = 0; j < mask.count; ++j)
            value_[i * width() + at(mask.word[j])] = items[i]->value[j];
    }
    for (std::size_t f = 0; f < sample.forms.size(); ++f)
        begin_[f + 1] += begin_[f];
    scale_ = static_cast<double>(std::max<std::uint64_t>(sample.total, items.size())) /
             static_cast<double>(std::max<std::size_t>(items.size(), 1));
}

/// What an item leaves open is as another item has it, or anything. Some keys are of no item: each
/// word as another item has it.
void PlanCost::make_keys(std::mt19937_64& random) {
    const std::size_t hits = std::min(keys_max, items());
    for (std::size_t k = 0; k < hits + hits / strangers; ++k) {
        const bool is_hit = k < hits;
        const std::size_t i = items() <= keys_max && is_hit ? k : random() % items();
        const std::size_t other = random() % items();
        key_of_.push_back(is_hit ? i : no_item);
        for (std::size_t w = 0; w < width(); ++w) {
            const std::size_t from = is_hit || random() % 2 == 0 ? i : other;
            const std::uint64_t mask = mask_of(from)[w], like = mask_of(other)[w];
            const std::uint64_t open =
                random() % 2 == 0 ? random() : (value_[other * width() + w] | (random() & ~like));
            key_.push_back(value_[from * width() + w] | (open & ~mask));
        }
    }
    key_cost_.resize(key_of_.size());
}

std::uint64_t PlanCost::hash(const std::uint64_t* words, const Words& mask) const noexcept {
    std::uint64_t sum = 0, odd = 0x9e37'79b9'7f4a'7c15u;
    for (std::size_t w = 0; w < width(); ++w, odd *= 0xd605'bbb5'8c8a'bbfdu)
        sum += (words[w] & mask[w]) * odd;
    return (sum ^ sum >> 32) * 0xff51'afd7'ed55'8ccdu;
}

auto PlanCost::cell(std::uint64_t hash, std::size_t wrap) noexcept -> Cell& {
    for (std::size_t at = hash >> 40 & wrap;; at = (at + 1) & wrap) {
        Cell& cell = cells_[at];
        if (cell.epoch != epoch_)
            return cell = {hash, 0, epoch_};
        if (cell.hash == hash)
            return cell;
    }
}

auto PlanCost::fitting(const Words& mask) -> const Bits& {
    WordHash name{2};
    for (const std::uint64_t word : mask)
        name.add(word);
    const auto [at, is_new] = fitting_.try_emplace(name.value());
    if (is_new) {
        at->second.resize(form_rank_.size() / 64 + 1);
        for (std::size_t f = 0; f < form_rank_.size(); ++f) {
            std::uint64_t missing = 0;
            for (std::size_t w = 0; w < width(); ++w)
                missing |= mask[w] & ~mask_[f * width() + w];
            at->second[f / 64] |= std::uint64_t{missing == 0} << f % 64;
        }
    }
    return at->second;
}

auto PlanCost::make_column(const Words& mask, const Bits& members) -> Column {
    Column column;
    for (std::uint32_t f = 0; f < form_rank_.size(); ++f)
        if ((members[f / 64] >> f % 64 & 1) != 0) {
            column.forms.push_back(f);
            column.best = std::max(column.best, form_rank_[f]);
        }
    count_others(column, mask);
    for (std::size_t window = 0; window < windows(); ++window)
        pass(column, window);
    return column;
}

void PlanCost::count_others(Column& column, const Words& mask) {
    std::size_t entries = 0;
    for (const std::uint32_t f : column.forms)
        entries += begin_[f + 1] - begin_[f];
    const std::size_t wrap = 2 * std::bit_ceil(entries + 1) - 1;
    ++epoch_;
    for (const std::uint32_t f : column.forms)
        for (std::size_t i = begin_[f]; i < begin_[f + 1]; ++i)
            ++cell(hash(&value_[i * width()], mask), wrap).count;
    column.others.resize(key_of_.size());
    column.passes.resize(key_of_.size());
    for (std::size_t k = 0; k < key_of_.size(); ++k) {
        const bool is_home =
            key_of_[k] != no_item &&
            std::binary_search(column.forms.begin(), column.forms.end(), form_[key_of_[k]]);
        const std::uint64_t of = hash(&key_[k * width()], mask);
        std::size_t at = of >> 40 & wrap;
        while (cells_[at].epoch == epoch_ && cells_[at].hash != of)
            at = (at + 1) & wrap;
        const std::uint32_t count = cells_[at].epoch == epoch_ ? cells_[at].count : 0;
        column.others[k] = count - is_home;
        column.passes[k] = is_home ? at_home : 0;
    }
}

/// Which keys the window lets into the tuple: as TupleFilter::add() does it with each entry.
void PlanCost::pass(Column& column, std::size_t window) {
    const Window look = windows_[window];
    const auto shift = static_cast<unsigned>(look.shift + bits_ - sample_bits_);
    numbers_.assign(std::size_t{1} << sample_bits_, 0);
    // As many known bits as there let an entry be spread over the numbers.
    const int open_max = std::max(TupleFilter::spread_max - (bits_ - sample_bits_), 0);
    bool is_open = false;
    for (const std::uint32_t f : column.forms)
        for (std::size_t i = begin_[f]; i < begin_[f + 1] && !is_open; ++i)
            is_open = !TupleFilter::spread(
                sample_bits_,
                open_max,
                mask_[f * width() + look.word] >> shift,
                value_[i * width() + look.word] >> shift,
                [&](std::uint64_t number) { numbers_[number] = 1; }
            );
    for (std::size_t k = 0; k < key_of_.size(); ++k) {
        const std::uint64_t number = key_[k * width() + look.word] >> shift & (numbers_.size() - 1);
        const bool passes = is_open || numbers_[number] != 0;
        column.passes[k] = static_cast<std::uint8_t>(
            (column.passes[k] & ~(1u << window)) | static_cast<unsigned>(passes) << window
        );
    }
}

double PlanCost::of(const std::vector<Words>& masks) {
    if (columns_.size() > columns_max)
        columns_.clear();
    now_.clear();
    Bits left(form_rank_.size() / 64 + 1, ~std::uint64_t{0}), members(left.size());
    for (const Words& mask : masks) {
        const Bits& fits = fitting(mask);
        WordHash name{3};
        std::uint64_t any = 0;
        for (std::size_t i = 0; i < left.size(); ++i) {
            members[i] = left[i] & fits[i];
            left[i] &= ~fits[i];
            any |= members[i];
            name.add(members[i]);
        }
        if (any == 0)
            continue;
        for (const std::uint64_t word : mask)
            name.add(word);
        auto at = columns_.find(name.value());
        if (at == columns_.end())
            at = columns_.emplace(name.value(), make_column(mask, members)).first;
        now_.push_back(&at->second);
    }
    std::stable_sort(now_.begin(), now_.end(), [](const Column* a, const Column* b) {
        return a->best > b->best;
    });
    return price();
}

double PlanCost::price() {
    double total = 0;
    const unsigned all = (1u << windows()) - 1;
    for (Column* column : now_)
        column->asked = 0;
    for (std::size_t k = 0; k < key_of_.size(); ++k) {
        double here = 0;
        bool found = false;
        for (Column* column : now_) {
            if (found && column->best < rank_[key_of_[k]]) // a hit, since it was found
                break;
            if ((column->passes[k] & all) != all)
                continue;
            const bool is_home = (column->passes[k] & at_home) != 0;
            ++column->asked;
            here += probe_cost +
                    verify_cost * (column->others[k] * scale_ * (found ? higher_rank_share : 1) +
                                   (is_home ? 1 : 0));
            found = found || is_home;
        }
        key_cost_[k] = here;
        total += here;
    }
    return total / static_cast<double>(key_of_.size()) +
           tuple_cost * static_cast<double>(now_.size()) +
           window_cost * static_cast<double>(windows());
}

double PlanCost::choose_window(std::size_t window, double best) {
    const bool is_new = window == windows();
    if (is_new)
        windows_.emplace_back();
    Window chosen = windows_[window];
    double least = best;
    const auto place = [&](Window at) {
        windows_[window] = at;
        for (Column* column : now_)
            pass(*column, window);
    };
    for (std::uint8_t w = 0; w < width(); ++w)
        for (unsigned shift = 0; shift + bits_ <= 64; shift += 4) {
            std::uint64_t asked = 0;
            for (std::size_t f = 0; f < form_rank_.size(); ++f)
                asked |= mask_[f * width() + w] >> shift & ((std::uint64_t{1} << bits_) - 1);
            if (asked == 0)
                continue;
            place({w, static_cast<std::uint8_t>(shift)});
            if (const double now = price(); now < least) {
                least = now;
                chosen = windows_[window];
            }
        }
    if (is_new && !(least < best))
        windows_.pop_back();
    else
        place(chosen);
    // Columns of other masks know only of the windows as they were.
    std::unordered_map<std::uint64_t, Column> kept;
    for (auto at = columns_.begin(); at != columns_.end();) {
        const auto here = at++;
        if (std::find(now_.begin(), now_.end(), &here->second) != now_.end())
            kept.insert(columns_.extract(here));
    }
    columns_ = std::move(kept);
    return price();
}

FilterPlan PlanCost::filter() const {
    FilterPlan plan{.windows = windows_, .bits = bits_};
    for (Window& window : plan.windows)
        window.word = words_[window.word];
    double lanes = 0, tuples = 0; // that a burst asks
    for (const Column* column : now_) {
        const double share =
            static_cast<double>(column->asked) / static_cast<double>(key_of_.size());
        lanes += share * burst_max;
        tuples += 1 - std::pow(1 - share, burst_max);
    }
    plan.apart = lanes < together_min * tuples;
    return plan;
}

std::size_t PlanCost::dear_item(std::mt19937_64& random) const {
    const std::size_t a = random() % key_cost_.size(), b = random() % key_cost_.size();
    const std::size_t item = key_of_[key_cost_[a] > key_cost_[b] ? a : b];
    return item != no_item ? item : random() % items();
}

} // namespace weft
