// The forms of one table's patterns, each once.
#pragma once

#include "base/reclaim.hh"
#include "classifier/entry.hh"

#include <cstdint>
#include <unordered_map>

namespace weft {

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
    /// One use less; with the last one the form's memory goes to the reclaimer.
    void leave(const Form& form, Reclaimer& reclaimer);
    /// `visit(form, users, best_rank)`: no user ranks higher. For plans.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [hash, used] : forms_)
            visit(*used.form, used.users, used.best_rank);
    }
    std::size_t count() const noexcept { return forms_.size(); }
    std::uint64_t memory_bytes() const noexcept { return bytes_; }

private:
    struct Used {
        Form* form;
        std::uint64_t users;
        Rank best_rank; // of all who ever used it
    };

    std::unordered_multimap<std::uint64_t, Used> forms_; // by hash
    std::uint64_t bytes_ = 0;
};

} // namespace weft
