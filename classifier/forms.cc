#include "classifier/forms.hh"

#include "base/check.hh"
#include "base/hash.hh"

#include <algorithm>
#include <new>
#include <utility>

namespace weft {

namespace {

constexpr std::size_t form_unit = 32;

std::size_t bytes_of(std::size_t words, std::size_t ranges) {
    const std::size_t rest = words - std::min(words, Form::words_inline);
    words = std::max(words, Form::words_inline);
    return sizeof(Form) + sizeof(std::uint64_t) * words + sizeof(Range) * ranges + rest;
}

/// Of a pattern or a form.
template <class WordAt>
std::uint64_t hash_of(
    std::size_t words,
    WordAt&& word_at,
    const std::uint64_t* bits,
    const Range* ranges,
    std::size_t range_count
) {
    WordHash hash{0};
    for (std::size_t i = 0; i < words; ++i) {
        hash.add(word_at(i));
        hash.add(bits[i]);
    }
    for (std::size_t i = 0; i < range_count; ++i) {
        const Range& range = ranges[i];
        hash.add(std::uint64_t{range.word} << 16 | std::uint64_t{range.shift} << 8 | range.bits);
        hash.add(range.low);
        hash.add(range.high);
    }
    return hash.value();
}

std::uint64_t hash_of(const Pattern& pattern) {
    return hash_of(
        pattern.mask.count,
        [&](std::size_t i) { return pattern.mask.word[i]; },
        pattern.mask.bits.data(),
        pattern.range.data(),
        pattern.range_count
    );
}

std::uint64_t hash_of(const Form& form) {
    return hash_of(
        form.count,
        [&](std::size_t i) { return form.word_at(i); },
        form.bits(),
        form.ranges(),
        form.range_count
    );
}

bool is_form_of(const Form& form, const Pattern& pattern) {
    if (form.count != pattern.mask.count || form.range_count != pattern.range_count)
        return false;
    for (std::size_t i = 0; i < form.count; ++i)
        if (form.word_at(i) != pattern.mask.word[i] || form.bits()[i] != pattern.mask.bits[i])
            return false;
    return std::equal(form.ranges(), form.ranges() + form.range_count, pattern.range.begin());
}

const Form& make(void* memory, const Pattern& pattern, std::uint32_t use) {
    const std::size_t words = pattern.mask.count;
    auto* form = new (memory) Form;
    form->count = pattern.mask.count;
    form->use = use & ((1u << Form::use_bits) - 1);
    form->range_count = pattern.range_count & 7u;
    auto* bits = const_cast<std::uint64_t*>(form->bits());
    std::fill_n(bits, Form::words_inline, 0);
    std::copy_n(pattern.mask.bits.begin(), words, bits);
    auto* ranges = const_cast<Range*>(form->ranges());
    std::copy_n(pattern.range.begin(), pattern.range_count, ranges);
    auto* rest = reinterpret_cast<std::uint8_t*>(ranges + pattern.range_count);
    for (std::size_t i = 0; i < words; ++i)
        (i < Form::words_inline ? form->word[i] : rest[i - Form::words_inline]) =
            pattern.mask.word[i];
    return *form;
}

} // namespace

Forms::Forms() : arena_{std::make_shared<Arena>(form_unit)}, heads_(1, none) {}

/// A quarter more, since a vector by itself would double.
void Forms::make_room() {
    check(uses_.size() < std::size_t{1} << Form::use_bits);
    uses_.reserve(uses_.size() + uses_.size() / 4 + 1);
}

std::uint32_t Forms::add(const Pattern& pattern, std::uint64_t hash) {
    if (count_ == heads_.size()) {
        heads_.assign(2 * heads_.size(), none);
        for (std::uint32_t at = 0; at < uses_.size(); ++at)
            if (Use& use = uses_[at]; use.users != 0)
                use.next = std::exchange(head(hash_of(*use.form)), at);
    }
    std::uint32_t at = free_;
    if (at != none) {
        free_ = uses_[at].next;
    } else {
        if (uses_.size() == uses_.capacity())
            make_room();
        at = static_cast<std::uint32_t>(uses_.size());
        uses_.emplace_back();
    }
    void* const memory = arena_->take(bytes_of(pattern.mask.count, pattern.range_count));
    Use& use = uses_[at];
    use = Use{};
    use.form = &make(memory, pattern, at);
    use.next = std::exchange(head(hash), at);
    ++count_;
    return at;
}

const Form& Forms::use(const Pattern& pattern, Rank rank) {
    const std::uint64_t hash = hash_of(pattern);
    std::uint32_t at = head(hash);
    while (at != none && !is_form_of(*uses_[at].form, pattern))
        at = uses_[at].next;
    if (at == none)
        at = add(pattern, hash);
    Use& use = uses_[at];
    ++use.users;
    use.best_rank = std::max(use.best_rank, rank);
    return *use.form;
}

void Forms::leave(const Form& form, Reclaimer& reclaimer) {
    const std::uint32_t at = form.use;
    Use& use = uses_[at];
    if (--use.users != 0)
        return;
    std::uint32_t* link = &head(hash_of(form));
    while (*link != at)
        link = &uses_[*link].next;
    *link = use.next;
    use.next = std::exchange(free_, at);
    --count_;
    const std::size_t bytes = bytes_of(form.count, form.range_count);
    reclaimer.retire([arena = arena_, dead = const_cast<Form*>(&form), bytes] {
        arena->give(dead, bytes);
    });
}

std::uint64_t Forms::memory_bytes() const noexcept {
    return arena_->memory_bytes() + uses_.capacity() * sizeof(Use) +
           heads_.capacity() * sizeof heads_[0];
}

} // namespace weft
