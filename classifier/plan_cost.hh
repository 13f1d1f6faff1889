// What lookups would cost in the tuples of a plan, told from a sample of the entries.
#pragma once

#include "classifier/tuple_plan.hh"

#include <cstdint>
#include <random>
#include <unordered_map>
#include <vector>

namespace weft {

/// Prices sets of masks on keys like those that hit a sample, one set after the other; what sets
/// have in common is looked at once.
///
/// Words of the key that no form asks for are left out: a mask here has `width()` words. A tuple of
/// the plan, with the forms whose entries it would get, is a column: what each key meets in it.
class PlanCost {
public:
    using Words = std::vector<std::uint64_t>;

    PlanCost(const TupleSample& sample, std::mt19937_64& random);

    std::size_t width() const noexcept { return words_.size(); }
    std::size_t items() const noexcept { return form_.size(); }
    std::uint8_t word(std::size_t at) const noexcept { return words_[at]; }
    const std::uint64_t* mask_of(std::size_t item) const noexcept {
        return &mask_[form_[item] * width()];
    }

    /// The mean over the keys, in cycles, with the windows that are chosen. `masks` are in the
    /// order of preference, the last one is empty.
    double of(const std::vector<Words>& masks);
    /// For the masks of the last of(), which cost `best`: the best place for one window, or for one
    /// more (window == windows()), while the others stay. Returns what it costs then.
    double choose_window(std::size_t window, double best);
    std::size_t windows() const noexcept { return windows_.size(); }
    /// For the masks of the last of() or choose_window().
    FilterPlan filter() const;

    /// The dearer of two keys of the last of(), at random: the item that it was made from.
    std::size_t dear_item(std::mt19937_64& random) const;

private:
    using Bits = std::vector<std::uint64_t>; // one for each form
    struct Column {
        Rank best = 0;
        std::vector<std::uint32_t> forms;
        std::vector<std::uint32_t> others; // of each key: entries under its hash besides its own
        std::vector<std::uint8_t> passes;  // of each key: bit w: window w does; at_home
        std::size_t asked = 0;             // by so many keys, in the last price
    };
    static constexpr std::uint8_t at_home = 0x80;
    static constexpr std::size_t no_item = ~std::size_t{0};
    struct Cell {
        std::uint64_t hash = 0;
        std::uint32_t count = 0;
        std::uint32_t epoch = 0;
    };

    void read(const TupleSample& sample);
    void make_keys(std::mt19937_64& random);
    const Bits& fitting(const Words& mask);
    Column make_column(const Words& mask, const Bits& members);
    void count_others(Column& column, const Words& mask);
    void pass(Column& column, std::size_t window);
    double price();
    std::uint64_t hash(const std::uint64_t* words, const Words& mask) const noexcept;
    Cell& cell(std::uint64_t hash, std::size_t wrap) noexcept;

    std::vector<std::uint8_t> words_;  // of the key
    std::vector<std::uint64_t> mask_;  // of each form, width() words
    std::vector<Rank> form_rank_;      // the best of each form
    std::vector<std::uint32_t> begin_; // of each form: its first item; items are sorted by form
    std::vector<std::uint32_t> form_;  // of each item
    std::vector<std::uint64_t> value_; // of each item, width() words
    std::vector<Rank> rank_;           // of each item
    double scale_ = 1;                 // entries of the space for one of the sample
    std::uint8_t bits_ = 0;            // of a window
    std::uint8_t sample_bits_ = 0; // of one that the sample fills as the space fills a whole one

    std::vector<std::size_t> key_of_; // the item that a key was made from, or no_item
    std::vector<std::uint64_t> key_;  // width() words each
    std::vector<double> key_cost_;

    std::vector<Window> windows_;                       // their words are indices into words_
    std::unordered_map<std::uint64_t, Bits> fitting_;   // forms, by the mask's hash
    std::unordered_map<std::uint64_t, Column> columns_; // by the hash of mask and forms
    std::vector<Column*> now_;                          // of the last masks, as lookups probe them
    std::vector<Cell> cells_;
    std::uint32_t epoch_ = 0;
    std::vector<std::uint8_t> numbers_; // of a window: whether there are entries
};

} // namespace weft
