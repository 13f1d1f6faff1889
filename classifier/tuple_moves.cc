// Other tuples for the rules that a table has come to hold: sampled, planned, then moved in slices
// while lookups and commits go on.
#include "classifier/tuple_space.hh"

#include <algorithm>
#include <bit>
#include <random>
#include <unordered_map>
#include <utility>

namespace weft {

namespace {

constexpr std::uint64_t plan_entries_min = 32;
constexpr std::size_t plan_tuples_min = 3; // with fewer hashes, all exact, there is little to win
constexpr std::uint64_t stale_min = 1'000; // entries that left, for a filter to be filled anew

} // namespace

/// A chain stays one. By half, so that all plans of a table that is being filled together move each
/// rule some three times.
bool TupleSpace::wants_plan() const noexcept {
    return !is_moving() && !is_linear_ && entries_ >= plan_entries_min && !is_chain() &&
           2 * entries_ >= 3 * planned_entries_ &&
           (tuples_.size() >= plan_tuples_min ||
            std::any_of(tuples_.begin(), tuples_.end(), [](const auto& tuple) {
                return !tuple->is_exact;
            }));
}

TupleSample TupleSpace::sample(std::size_t items, std::uint64_t seed) const {
    TupleSample sample;
    sample.total = entries_;
    std::unordered_map<const Form*, std::size_t> index;
    forms_.for_each([&](const Form& form, std::uint64_t users, Rank best_rank) {
        index.emplace(&form, sample.forms.size());
        sample.forms.push_back({form.mask(), users, best_rank});
    });
    std::mt19937_64 random{seed};
    // Every entry with the same probability: buckets are filled unevenly. One pass over the slots.
    std::uint64_t wanted = items, left = entries_;
    std::vector<const Entry*> found;
    for (const auto& tuple : tuples_)
        for (std::size_t bucket = 0; bucket < tuple->hash.buckets() && wanted != 0; ++bucket) {
            found.clear();
            tuple->hash.entries_of(bucket, found);
            for (const Entry* entry : found) {
                const bool taken = left <= wanted || random() % left < wanted;
                left -= left != 0;
                if (!taken || wanted == 0)
                    continue;
                --wanted;
                if (entry->died.load(std::memory_order_relaxed) != never)
                    continue;
                auto& item = sample.items.emplace_back();
                item.form = index.at(entry->form);
                item.value.assign(entry->values(), entry->values() + entry->form->count);
                item.rank = entry->rank;
            }
        }
    return sample;
}

void TupleSpace::adopt(const TuplePlan& plan) {
    bands_.lowest = plan.lowest_priority;
    const auto bits = std::bit_width(plan.highest_priority - plan.lowest_priority);
    bands_.shift = static_cast<std::uint8_t>(bits > 6 ? bits - 6 : 0);
    for (const auto& tuple : tuples_) {
        tuple->planned = false;
        tuple->leaving = true;
        tuple->hash.set_bands(bands_);
    }
    for (std::size_t m = 0; m < plan.masks.size(); ++m) {
        const auto at = std::find_if(tuples_.begin(), tuples_.end(), [&](const auto& tuple) {
            return tuple->mask == plan.masks[m];
        });
        Tuple& tuple = at != tuples_.end() ? **at : add_tuple(plan.masks[m]);
        tuple.planned = true;
        tuple.leaving = false;
        tuple.expected_rank = m < plan.best_ranks.size() ? plan.best_ranks[m] : 0;
    }
    begin_filter(plan.filter);
    // Those that leave get nothing new: they go behind.
    std::stable_partition(tuples_.begin(), tuples_.end(), [](const auto& tuple) {
        return tuple->planned;
    });
    forms_.forget_notes();
    planned_entries_ = plan.entries; // by now there may be many more: then another plan is due
    *phase_ = Phase::filling;
    move_tuple_ = 0;
    move_bucket_ = 0;
    move_buckets_ = 0;
}

/// The next filter, without any entry as yet. Its numbers follow the ranks, so that lookups take
/// first what may win over the rest.
void TupleSpace::begin_filter(const FilterPlan& plan) {
    next_filter_ = plan.windows.empty() ? nullptr : std::make_shared<TupleFilter>(plan);
    left_since_filter_ = 0;
    std::vector<Tuple*> order;
    for (const auto& tuple : tuples_) {
        tuple->next_number = TupleFilter::none;
        if (next_filter_ != nullptr && !tuple->leaving)
            order.push_back(tuple.get());
    }
    std::stable_sort(order.begin(), order.end(), [](const Tuple* a, const Tuple* b) {
        return a->expected_rank > b->expected_rank;
    });
    for (Tuple* tuple : order)
        tuple->next_number = next_filter_->number();
}

/// It knows of more entries that left than of those that are there.
bool TupleSpace::is_filter_stale() const noexcept {
    return filter_ != nullptr && left_since_filter_ > std::max(entries_, stale_min);
}

/// Entries that belong elsewhere by now get a place there, too.
std::size_t TupleSpace::fill_bucket(Tuple& tuple, std::size_t bucket) {
    move_entries_.clear();
    tuple.hash.entries_of(bucket, move_entries_);
    for (const Entry* entry : move_entries_) {
        if (home(*entry->form) == &tuple)
            continue;
        if (Tuple& to = target(*entry); &to != &tuple && !to.hash.contains(*entry))
            put(to, *entry);
    }
    return 1 + move_entries_.size();
}

/// Of the tuples that hold an entry the first keeps it.
bool TupleSpace::is_in_better(const Entry& entry, const Tuple& than) {
    if (home(*entry.form) == &than)
        return false;
    const Mask mask = entry.form->mask();
    for (const auto& tuple : tuples_) {
        if (tuple.get() == &than)
            return false;
        if (includes(mask, tuple->mask) && tuple->hash.contains(entry))
            return true;
    }
    return false;
}

/// Nobody needs them here any more: every reader's list names the new place.
std::size_t TupleSpace::sweep_bucket(Tuple& tuple, std::size_t bucket) {
    move_entries_.clear();
    tuple.hash.entries_of(bucket, move_entries_);
    for (const Entry* entry : move_entries_)
        if (is_in_better(*entry, tuple))
            tuple.remove(*entry, reclaimer_);
        else if (next_filter_ != nullptr)
            next_filter_->add(tuple.next_number, *entry);
    return 1 + move_entries_.size();
}

bool TupleSpace::move_some(std::size_t buckets) {
    if (*phase_ == Phase::waiting)
        return false;
    if (*phase_ == Phase::settled && is_filter_stale()) {
        for (const auto& tuple : tuples_)
            tuple->expected_rank = tuple->best_rank;
        begin_filter(filter_->plan());
        *phase_ = Phase::sweeping;
        move_tuple_ = 0;
        move_bucket_ = 0;
    }
    if (*phase_ == Phase::settled) {
        bool more = false;
        for (const auto& tuple : tuples_)
            more |= tuple->hash.tidy(buckets, reclaimer_);
        return more;
    }
    for (std::size_t done = 0; done < buckets;) {
        if (move_tuple_ >= tuples_.size()) {
            end_phase();
            return *phase_ == Phase::settled;
        }
        Tuple& tuple = *tuples_[move_tuple_];
        if (move_bucket_ == 0 || move_buckets_ != tuple.hash.buckets()) {
            move_buckets_ = tuple.hash.buckets(); // it grew: from the beginning
            move_bucket_ = 0;
        }
        done += *phase_ == Phase::filling ? fill_bucket(tuple, move_bucket_)
                                          : sweep_bucket(tuple, move_bucket_);
        if (move_buckets_ == tuple.hash.buckets() && ++move_bucket_ < move_buckets_)
            continue;
        if (move_buckets_ == tuple.hash.buckets()) {
            ++move_tuple_;
            move_bucket_ = 0;
        }
    }
    return true;
}

void TupleSpace::end_phase() {
    move_tuple_ = 0;
    move_bucket_ = 0;
    if (*phase_ == Phase::filling) {
        publish_parts();
        *phase_ = Phase::waiting;
        reclaimer_.retire([phase = phase_] { *phase = Phase::sweeping; });
        return;
    }
    *phase_ = Phase::settled;
    const auto old_filter = std::exchange(filter_, std::exchange(next_filter_, nullptr));
    for (const auto& tuple : tuples_) {
        tuple->leaving = false;
        tuple->number = std::exchange(tuple->next_number, TupleFilter::none);
    }
    for (auto& tuple : tuples_)
        if (!tuple->planned && tuple->hash.entries() == 0)
            reclaimer_.retire([dead = std::shared_ptr<Tuple>{std::move(tuple)}] {});
    std::erase(tuples_, nullptr);
    for (const auto& tuple : tuples_)
        if (tuple->hash.entries() == 0)
            tuple->forget_ranks();
    std::stable_sort(tuples_.begin(), tuples_.end(), [](const auto& a, const auto& b) {
        return specificity(a->mask) > specificity(b->mask);
    });
    forms_.forget_notes();
    publish_parts();
    reclaimer_.retire([old_filter] {});
}

} // namespace weft
