// The wildcard patterns of one table, all asked at once: by Hyperscan, once it has compiled them,
// one by one until then.
#pragma once

#include "base/field.hh"
#include "base/reclaim.hh"
#include "pipeline/payload_names.hh"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// Of one table; one more is refused (too_many_names). Each may cost a lookup a probe.
inline constexpr std::size_t name_wildcards_max = 256;

struct NameWildcard {
    std::uint64_t id = 0;
    FieldId field{};
    std::string pattern; // canonical
};

/// Wildcards that a table was found to have, to be compiled: on any thread.
struct WildcardJob {
    std::vector<NameWildcard> wildcards;
    std::size_t workers = 0;
};

/// A database of Hyperscan with room to scan for each worker. Immutable but for that room.
class CompiledWildcards {
public:
    ~CompiledWildcards();
    CompiledWildcards(const CompiledWildcards&) = delete;
    CompiledWildcards& operator=(const CompiledWildcards&) = delete;

    /// Some milliseconds for each hundred. Nothing where Hyperscan refuses, which it does on CPUs
    /// that it does not know and for want of memory.
    static std::shared_ptr<const CompiledWildcards> compile(const WildcardJob& job);

    /// Calls `visit(id)` for each wildcard that the name matches. No allocation. One thread a
    /// worker.
    template <class Visit>
    void scan(const PayloadName& name, std::size_t worker, Visit&& visit) const noexcept {
        using V = std::remove_reference_t<Visit>;
        scan(
            name, worker, [](void* to, std::uint64_t id) { (*static_cast<V*>(to))(id); }, &visit
        );
    }
    const std::vector<NameWildcard>& wildcards() const noexcept { return wildcards_; }

private:
    struct Hyperscan; // what is its own
    CompiledWildcards();
    void scan(
        const PayloadName& name, std::size_t worker, void (*visit)(void*, std::uint64_t), void* to
    ) const noexcept;

    std::vector<NameWildcard> wildcards_; // by number of the expression
    std::unique_ptr<Hyperscan> hyperscan_;
};

/// One writer; readers get, at any time, all wildcards that were added and not removed, and maybe
/// some that were removed since the last compilation: their ids have no rules.
class NameWildcards {
public:
    explicit NameWildcards(Reclaimer& reclaimer);
    ~NameWildcards();
    NameWildcards(const NameWildcards&) = delete;
    NameWildcards& operator=(const NameWildcards&) = delete;

    // -- the writer
    void add(NameWildcard wildcard);
    void remove(std::uint64_t id);
    /// Whether compile() would make readers' work less.
    bool wants_compile() const noexcept;
    WildcardJob job(std::size_t workers);
    void adopt(std::shared_ptr<const CompiledWildcards> compiled);
    std::size_t count() const noexcept { return live_.size(); }
    /// Of those that readers may be told of, and how many of them are looked at one by one.
    std::size_t told_max() const noexcept;
    std::size_t one_by_one() const noexcept;
    std::uint64_t memory_bytes() const noexcept;

    // -- readers
    /// As CompiledWildcards::scan(). Cost: one scan of the name, and a comparison with each
    /// wildcard that is not compiled yet.
    template <class Visit>
    void scan(const PayloadName& name, std::size_t worker, Visit&& visit) const noexcept {
        const View* const view = view_.load(std::memory_order_acquire);
        if (view == nullptr)
            return;
        if (view->compiled != nullptr)
            view->compiled->scan(name, worker, visit);
        for (const NameWildcard& wildcard : view->waiting)
            if (wildcard.field == name.field && is_matched(wildcard, name))
                visit(wildcard.id);
    }

private:
    struct View { // replaced as a whole
        std::shared_ptr<const CompiledWildcards> compiled;
        std::vector<NameWildcard> waiting;
    };
    static bool is_matched(const NameWildcard& wildcard, const PayloadName& name) noexcept;
    void publish(std::shared_ptr<const CompiledWildcards> compiled);

    Reclaimer& reclaimer_;
    std::atomic<const View*> view_{nullptr};
    // the writer's
    std::vector<NameWildcard> live_;
    bool tried_ = true; // to compile what there is
};

} // namespace weft
