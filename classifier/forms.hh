// The forms of one table's patterns, each once.
#pragma once

#include "base/reclaim.hh"
#include "classifier/entry.hh"

#include <cstdint>
#include <unordered_map>

namespace weft {

/// What the writer knows of a form beside it.
struct FormUse {
    std::uint64_t hash = 0;
    std::uint64_t users = 0;
    Rank best_rank = 0; // of all who ever used it
    // The tuple space's: where entries of the form go, and when that was found out.
    void* home = nullptr;
    std::uint64_t home_epoch = 0;
};

/// Entries of equal form share it, so verifying a key reads masks that stay in the cache. One
/// thread; readers only follow what entries point at.
class Forms {
public:
    ~Forms();
    Forms() = default;
    Forms(const Forms&) = delete;
    Forms& operator=(const Forms&) = delete;

    /// The form of the pattern, used once more, by an entry of this rank.
    const Form& use(const Pattern& pattern, Rank rank);
    /// The writer's side of a form that is in use.
    static FormUse& use_of(const Form& form) noexcept;
    /// One use less; with the last one the form's memory goes to the reclaimer.
    void leave(const Form& form, Reclaimer& reclaimer);
    /// `visit(form, users, best_rank)`: no user ranks higher. For plans.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [hash, form] : forms_)
            visit(*form, use_of(*form).users, use_of(*form).best_rank);
    }
    std::size_t count() const noexcept { return forms_.size(); }
    std::uint64_t memory_bytes() const noexcept { return bytes_; }

private:
    std::unordered_multimap<std::uint64_t, Form*> forms_; // by hash
    std::uint64_t bytes_ = 0;
};

} // namespace weft
