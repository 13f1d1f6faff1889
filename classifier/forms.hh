// The forms of one table's patterns, each once.
#pragma once

#include "base/reclaim.hh"
#include "classifier/arena.hh"
#include "classifier/entry.hh"

#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// Entries of equal form share it, so verifying a key reads masks that stay in the cache. One
/// thread; readers only follow what entries point at.
///
/// Layout: what the writer knows of a form lies apart from it, in `uses_` at the number that stands
/// in the form, so that counting disturbs no reader. Uses of one hash are chained from `heads_`, as
/// many as a power of two; those without a form from `free_`.
class Forms {
public:
    Forms();
    Forms(const Forms&) = delete;
    Forms& operator=(const Forms&) = delete;

    /// The form of the pattern, used once more, by an entry of this rank.
    const Form& use(const Pattern& pattern, Rank rank);
    /// One use less; with the last one the form's memory goes to the reclaimer.
    void leave(const Form& form, Reclaimer& reclaimer);
    /// `visit(form, users, best_rank)`: no user ranks higher. For plans.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Use& use : uses_)
            if (use.users != 0)
                visit(*use.form, std::uint64_t{use.users}, use.best_rank);
    }
    std::size_t count() const noexcept { return count_; }
    std::uint64_t memory_bytes() const noexcept;

    // -- a number that the owner notes of each form
    static constexpr std::uint16_t nothing = 0xffff;
    /// Or `nothing`, if none was since forget_notes().
    std::uint16_t note_of(const Form& form) const noexcept {
        const Use& use = uses_[form.use];
        return use.noted_at == epoch_ ? static_cast<std::uint16_t>(use.note) : nothing;
    }
    void note(const Form& form, std::uint16_t number) noexcept {
        uses_[form.use].note = number;
        uses_[form.use].noted_at = epoch_ & epoch_max;
    }
    void forget_notes() noexcept { ++epoch_; }

private:
    static constexpr std::uint32_t none = 0xffff'ffff;
    static constexpr std::uint64_t epoch_max = (std::uint64_t{1} << 48) - 1;
    struct Use {
        const Form* form = nullptr;
        Rank best_rank = 0; // of all who ever used it
        std::uint32_t users = 0;
        std::uint32_t next = none;
        std::uint64_t note : 16 = nothing;
        std::uint64_t noted_at : 48 = 0;
    };
    static_assert(sizeof(Use) == 32);

    std::uint32_t& head(std::uint64_t hash) noexcept { return heads_[hash & (heads_.size() - 1)]; }
    std::uint32_t add(const Pattern& pattern, std::uint64_t hash);
    void make_room();

    std::shared_ptr<Arena> arena_; // forms that wait for their grace period hold it, too
    std::vector<Use> uses_;
    std::vector<std::uint32_t> heads_;
    std::uint32_t free_ = none;
    std::size_t count_ = 0;
    std::uint64_t epoch_ = 1;
};

} // namespace weft
