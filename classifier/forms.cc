#include "classifier/forms.hh"

#include "base/check.hh"
#include "base/hash.hh"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace weft {

namespace {

/// A form with the writer's side of it on the line before, which readers never touch.
struct alignas(cache_line) Used {
    FormUse use;
    // the form, from the next line on
};
static_assert(sizeof(Used) == cache_line);

Used* used(const Form& form) noexcept {
    const auto* const at = reinterpret_cast<const std::byte*>(&form) - sizeof(Used);
    return const_cast<Used*>(reinterpret_cast<const Used*>(at));
}

/// Of both.
std::size_t bytes_of(std::size_t words, std::size_t ranges) {
    const std::size_t rest = words > Form::words_inline ? words - Form::words_inline : 0;
    words = std::max<std::size_t>(words, 3);
    const std::size_t bytes = sizeof(std::uint64_t) * (2 + words) + sizeof(Range) * ranges + rest;
    return sizeof(Used) + (bytes + cache_line - 1) / cache_line * cache_line;
}

std::uint64_t hash_of(
    std::span<const std::uint8_t> words, const std::uint64_t* bits, std::span<const Range> ranges
) {
    WordHash hash{0};
    for (std::size_t i = 0; i < words.size(); ++i) {
        hash.add(words[i]);
        hash.add(bits[i]);
    }
    for (const Range& range : ranges) {
        hash.add(std::uint64_t{range.word} << 16 | std::uint64_t{range.shift} << 8 | range.bits);
        hash.add(range.low);
        hash.add(range.high);
    }
    return hash.value();
}

bool is_form_of(const Form& form, const Pattern& pattern) {
    if (form.count != pattern.mask.count || form.range_count != pattern.range_count)
        return false;
    for (std::size_t i = 0; i < form.count; ++i)
        if (form.word_at(i) != pattern.mask.word[i] || form.bits()[i] != pattern.mask.bits[i])
            return false;
    return std::equal(form.ranges(), form.ranges() + form.range_count, pattern.range.begin());
}

Form* make(const Pattern& pattern, std::uint64_t hash) {
    const std::size_t words = pattern.mask.count;
    const std::size_t bytes = bytes_of(words, pattern.range_count);
    void* const memory = std::aligned_alloc(cache_line, bytes);
    if (memory == nullptr)
        std::abort();
    (new (memory) Used)->use.hash = hash;
    auto* form = new (static_cast<std::byte*>(memory) + sizeof(Used)) Form;
    form->count = pattern.mask.count;
    form->range_count = pattern.range_count;
    auto* bits = const_cast<std::uint64_t*>(form->bits());
    std::fill_n(bits, 3, 0);
    std::copy_n(pattern.mask.bits.begin(), words, bits);
    auto* ranges = const_cast<Range*>(form->ranges());
    std::copy_n(pattern.range.begin(), pattern.range_count, ranges);
    auto* rest = reinterpret_cast<std::uint8_t*>(ranges + pattern.range_count);
    for (std::size_t i = 0; i < words; ++i)
        (i < Form::words_inline ? form->word[i] : rest[i - Form::words_inline]) =
            pattern.mask.word[i];
    form->word_rest = rest;
    return form;
}

} // namespace

Forms::~Forms() {
    for (const auto& [hash, form] : forms_)
        std::free(used(*form));
}

FormUse& Forms::use_of(const Form& form) noexcept {
    return used(form)->use;
}

const Form& Forms::use(const Pattern& pattern, Rank rank) {
    const std::uint64_t hash = hash_of(
        {pattern.mask.word.data(), pattern.mask.count}, pattern.mask.bits.data(), pattern.ranges()
    );
    auto [at, end] = forms_.equal_range(hash);
    while (at != end && !is_form_of(*at->second, pattern))
        ++at;
    if (at == end) {
        bytes_ += bytes_of(pattern.mask.count, pattern.range_count);
        at = forms_.emplace(hash, make(pattern, hash));
    }
    FormUse& use = use_of(*at->second);
    ++use.users;
    use.best_rank = std::max(use.best_rank, rank);
    return *at->second;
}

void Forms::leave(const Form& form, Reclaimer& reclaimer) {
    FormUse& use = use_of(form);
    if (--use.users != 0)
        return;
    auto [at, end] = forms_.equal_range(use.hash);
    while (at != end && at->second != &form)
        ++at;
    check(at != end);
    bytes_ -= bytes_of(form.count, form.range_count);
    reclaimer.retire([dead = used(form)] { std::free(dead); });
    forms_.erase(at);
}

} // namespace weft
