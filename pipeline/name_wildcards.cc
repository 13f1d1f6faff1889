#include "pipeline/name_wildcards.hh"

#include "base/check.hh"
#include "pipeline/name_pattern.hh"

#include <algorithm>
#include <hs/hs.h>
#include <utility>

namespace weft {

struct CompiledWildcards::Hyperscan {
    hs_database_t* database = nullptr;
    std::vector<hs_scratch_t*> scratch; // by worker

    ~Hyperscan() {
        for (hs_scratch_t* one : scratch)
            hs_free_scratch(one);
        hs_free_database(database);
    }
};

CompiledWildcards::CompiledWildcards() : hyperscan_{std::make_unique<Hyperscan>()} {}
CompiledWildcards::~CompiledWildcards() = default;

std::shared_ptr<const CompiledWildcards> CompiledWildcards::compile(const WildcardJob& job) {
    std::shared_ptr<CompiledWildcards> made{new CompiledWildcards};
    made->wildcards_ = job.wildcards;
    std::vector<std::string> texts;
    for (const NameWildcard& wildcard : job.wildcards)
        texts.push_back(regular_expression_of(wildcard.pattern));
    std::vector<const char*> expressions;
    std::vector<unsigned> flags, numbers;
    for (const std::string& text : texts) {
        expressions.push_back(text.c_str());
        flags.push_back(HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL);
        numbers.push_back(static_cast<unsigned>(numbers.size()));
    }
    hs_compile_error_t* error = nullptr;
    if (hs_compile_multi(
            expressions.data(),
            flags.data(),
            numbers.data(),
            static_cast<unsigned>(expressions.size()),
            HS_MODE_BLOCK,
            nullptr,
            &made->hyperscan_->database,
            &error
        ) != HS_SUCCESS) {
        hs_free_compile_error(error);
        return nullptr;
    }
    made->hyperscan_->scratch.resize(job.workers);
    for (hs_scratch_t*& scratch : made->hyperscan_->scratch)
        if (hs_alloc_scratch(made->hyperscan_->database, &scratch) != HS_SUCCESS)
            return nullptr;
    return made;
}

void CompiledWildcards::scan(
    const PayloadName& name, std::size_t worker, void (*visit)(void*, std::uint64_t), void* to
) const noexcept {
    struct Matched {
        const std::vector<NameWildcard>& wildcards;
        FieldId field;
        void (*visit)(void*, std::uint64_t);
        void* to;
    } matched{wildcards_, name.field, visit, to};
    constexpr auto on_match =
        [](unsigned number, unsigned long long, unsigned long long, unsigned, void* context) {
            const Matched& of = *static_cast<Matched*>(context);
            const NameWildcard& wildcard = of.wildcards[number];
            if (wildcard.field == of.field)
                of.visit(of.to, wildcard.id);
            return 0;
        };
    dcheck(worker < hyperscan_->scratch.size());
    hs_scan(
        hyperscan_->database,
        name.text.data(),
        name.bytes,
        0,
        hyperscan_->scratch[worker],
        on_match,
        &matched
    );
}

NameWildcards::NameWildcards(Reclaimer& reclaimer) : reclaimer_{reclaimer} {}

NameWildcards::~NameWildcards() {
    delete view_.load(std::memory_order_relaxed);
}

bool NameWildcards::is_matched(const NameWildcard& wildcard, const PayloadName& name) noexcept {
    return matches(wildcard.pattern, name.view());
}

/// Readers get what is live: by the database, or by itself where that does not have it.
void NameWildcards::publish(std::shared_ptr<const CompiledWildcards> compiled) {
    auto view = std::make_unique<View>();
    for (const NameWildcard& wildcard : live_) {
        const auto same = [&](const NameWildcard& other) { return other.id == wildcard.id; };
        if (compiled == nullptr ||
            std::none_of(compiled->wildcards().begin(), compiled->wildcards().end(), same))
            view->waiting.push_back(wildcard);
    }
    if (!live_.empty())
        view->compiled = std::move(compiled);
    const View* const old =
        view_.exchange(live_.empty() ? nullptr : view.release(), std::memory_order_acq_rel);
    if (old != nullptr)
        reclaimer_.retire([old] { delete old; });
}

void NameWildcards::add(NameWildcard wildcard) {
    live_.push_back(std::move(wildcard));
    tried_ = false;
    const View* const view = view_.load(std::memory_order_relaxed);
    publish(view == nullptr ? nullptr : view->compiled);
}

void NameWildcards::remove(std::uint64_t id) {
    std::erase_if(live_, [&](const NameWildcard& wildcard) { return wildcard.id == id; });
    tried_ = live_.empty();
    const View* const view = view_.load(std::memory_order_relaxed);
    publish(view == nullptr ? nullptr : view->compiled);
}

bool NameWildcards::wants_compile() const noexcept {
    return !tried_;
}

WildcardJob NameWildcards::job(std::size_t workers) {
    tried_ = true;
    return {live_, workers};
}

void NameWildcards::adopt(std::shared_ptr<const CompiledWildcards> compiled) {
    if (compiled != nullptr)
        publish(std::move(compiled));
}

std::size_t NameWildcards::told_max() const noexcept {
    const View* const view = view_.load(std::memory_order_relaxed);
    if (view == nullptr)
        return 0;
    const std::size_t compiled = view->compiled == nullptr ? 0 : view->compiled->wildcards().size();
    return compiled + view->waiting.size();
}

std::size_t NameWildcards::one_by_one() const noexcept {
    const View* const view = view_.load(std::memory_order_relaxed);
    return view == nullptr ? 0 : view->waiting.size();
}

std::uint64_t NameWildcards::memory_bytes() const noexcept {
    constexpr std::size_t text_bytes = 64; // about
    return told_max() * (sizeof(NameWildcard) + text_bytes);
}

} // namespace weft
