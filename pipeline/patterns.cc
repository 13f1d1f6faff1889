#include "pipeline/patterns.hh"

#include "pipeline/name_pattern.hh"

#include <algorithm>
#include <bit>
#include <tuple>

namespace weft {

namespace {

constexpr WordMask name_word_bit = WordMask{1} << name_word;

/// A term some of whose fields have become ranges, which stand apart, by field.
struct RangedTerm {
    struct Interval {
        FieldId field{};
        std::uint64_t low = 0;
        std::uint64_t high = 0;
        friend auto operator<=>(const Interval&, const Interval&) = default;
    };
    std::vector<FieldMatch> fields;
    std::vector<Interval> ranges;
};

bool can_be_range(const FieldMatch& match) {
    return match.field != FieldId::shape && match.field != FieldId::conj_id && match.port.empty() &&
           !info(match.field).is_wide();
}

/// The values of a prefix of the field; nothing where the mask is none.
std::optional<RangedTerm::Interval> interval_of(const FieldMatch& match) {
    const std::uint64_t all = low_bits(info(match.field).bits).low;
    const std::uint64_t open = all & ~match.mask.low;
    if ((open & (open + 1)) != 0)
        return std::nullopt;
    return RangedTerm::Interval{match.field, match.value.low, match.value.low | open};
}

/// Joins terms that differ in `field` alone where their intervals touch.
void join(std::vector<RangedTerm>& terms, FieldId field) {
    struct Part {
        RangedTerm rest;
        RangedTerm::Interval interval;
        bool joined = false;
    };
    std::vector<RangedTerm> made;
    std::vector<Part> parts;
    for (RangedTerm& term : terms) {
        const auto at = std::find_if(term.fields.begin(), term.fields.end(), [&](const auto& m) {
            return m.field == field;
        });
        const auto interval = at == term.fields.end() ? std::nullopt : interval_of(*at);
        if (!interval || term.ranges.size() >= Pattern::ranges_max) {
            made.push_back(std::move(term));
            continue;
        }
        Part part{std::move(term), *interval};
        std::erase_if(part.rest.fields, [&](const auto& m) { return m.field == field; });
        parts.push_back(std::move(part));
    }
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
        return std::tie(a.rest.fields, a.rest.ranges, a.interval) <
               std::tie(b.rest.fields, b.rest.ranges, b.interval);
    });
    for (std::size_t i = 0; i < parts.size();) {
        Part& first = parts[i];
        for (++i;
             i < parts.size() && parts[i].interval.low == first.interval.high + 1 &&
             parts[i].rest.fields == first.rest.fields && parts[i].rest.ranges == first.rest.ranges;
             ++i)
            first.interval.high = parts[i].interval.high;
        first.rest.ranges.push_back(first.interval);
        made.push_back(std::move(first.rest));
    }
    terms = std::move(made);
}

/// The bits of the key that fields and ranges ask for.
class Words {
public:
    void add(const FieldMatch& match, const NumberOfName& number_of) {
        const FieldInfo& field = info(match.field);
        const U128 value =
            match.port.empty() ? match.value : U128{number_of(match.field, match.port.view())};
        if (field.is_wide()) {
            put(field.word, match.mask.high, value.high);
            put(field.word + 1u, match.mask.low, value.low);
        } else {
            put(field.word, match.mask.low << field.shift, value.low << field.shift);
        }
    }
    void add(const RangedTerm::Interval& interval, Pattern& to) {
        const FieldInfo& field = info(interval.field);
        const std::uint64_t all = low_bits(field.bits).low;
        const auto open_bits = std::bit_width(interval.low ^ interval.high);
        const std::uint64_t open =
            open_bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << open_bits) - 1;
        put(field.word, (all & ~open) << field.shift, (interval.low & ~open) << field.shift);
        const bool is_prefix = (interval.low & open) == 0 && (interval.high & open) == open;
        if (!is_prefix)
            to.range[to.range_count++] = {
                field.word, field.shift, field.bits, interval.low, interval.high};
    }
    void write(Pattern& to) const {
        for_each_word([&](std::size_t word) {
            to.add(static_cast<std::uint8_t>(word), mask_[word], value_[word]);
        });
    }
    Mask mask() const {
        Mask made;
        for_each_word([&](std::size_t word) {
            made.add(static_cast<std::uint8_t>(word), mask_[word]);
        });
        return made;
    }

private:
    void put(std::size_t word, std::uint64_t mask, std::uint64_t value) {
        mask_[word] |= mask;
        value_[word] |= value;
        used_ |= mask != 0 ? WordMask{1} << word : 0;
    }
    template <class Visit>
    void for_each_word(Visit&& visit) const {
        for (WordMask left = used_; left != 0; left &= left - 1)
            visit(static_cast<std::size_t>(std::countr_zero(left)));
    }
    WordMask used_ = 0;
    std::array<std::uint64_t, key_words> mask_{}, value_{};
};

/// How many bits a term with this mask asks for.
std::size_t bits_of(const Term& term, const Mask& mask) {
    std::size_t bits = mask.bit_count();
    for (const FieldMatch& field : term.fields)
        if (is_name(field.field))
            bits = bits - std::size_t{info(field.field).bits} + specificity_of(field.port);
    return bits;
}

/// Terms of one range or a product of ranges are many that stand for few.
std::vector<RangedTerm> with_ranges(const Match& match) {
    std::vector<RangedTerm> terms;
    std::vector<FieldId> fields;
    for (const Term& term : match.terms) {
        terms.push_back({term.fields, {}});
        for (const FieldMatch& field : term.fields)
            if (can_be_range(field) &&
                std::find(fields.begin(), fields.end(), field.field) == fields.end())
                fields.push_back(field.field);
    }
    std::sort(fields.begin(), fields.end());
    for (const FieldId field : fields)
        join(terms, field);
    return terms;
}

/// What most rows have: no other term to rank it among, and no range to look for.
Lowered lower_one(const Term& term, const NumberOfName& number_of) {
    Lowered made;
    Pattern& pattern = made.patterns.emplace_back();
    Words words;
    for (const FieldMatch& field : term.fields) {
        words.add(field, number_of);
        if (field.field == FieldId::shape)
            made.shapes = static_cast<std::uint16_t>(field.mask.low);
    }
    words.write(pattern);
    made.least = pattern.mask;
    made.least_bits = bits_of(term, made.least);
    made.words = made.least.words() & ~name_word_bit;
    return made;
}

/// Terms that differ in this field alone: prefixes of it, of which those that touch are one
/// pattern. Nothing where one is no prefix, or they do not come in order.
std::optional<Lowered>
lower_range(const Match& match, std::size_t place, const NumberOfName& number_of) {
    const Term* least = &match.terms.front();
    std::vector<RangedTerm::Interval> ranges;
    for (const Term& term : match.terms) {
        const FieldMatch& field = term.fields[place];
        const auto interval = can_be_range(field) ? interval_of(field) : std::nullopt;
        if (!interval || (!ranges.empty() && interval->low <= ranges.back().high))
            return std::nullopt;
        if (field.mask.popcount() < least->fields[place].mask.popcount())
            least = &term;
        if (!ranges.empty() && interval->low == ranges.back().high + 1)
            ranges.back().high = interval->high;
        else
            ranges.push_back(*interval);
    }
    Lowered made = lower_one(*least, number_of);
    made.patterns.clear();
    Words others;
    for (std::size_t i = 0; i < least->fields.size(); ++i)
        if (i != place)
            others.add(least->fields[i], number_of);
    for (const RangedTerm::Interval& range : ranges) {
        Pattern& pattern = made.patterns.emplace_back();
        Words words = others;
        words.add(range, pattern);
        words.write(pattern);
    }
    return made;
}

} // namespace

Lowered lower(const Match& match, const NumberOfName& number_of) {
    if (match.terms.size() == 1)
        return lower_one(match.terms.front(), number_of);
    if (const auto difference = only_difference(match.terms))
        if (auto made = lower_range(match, *difference, number_of))
            return std::move(*made);
    Lowered made;
    made.least_bits = ~std::size_t{0};
    for (const Term& term : match.terms) {
        Words words;
        for (const FieldMatch& field : term.fields) {
            words.add(field, number_of);
            if (field.field == FieldId::shape)
                made.shapes |= static_cast<std::uint16_t>(field.mask.low);
        }
        const Mask mask = words.mask();
        made.words |= mask.words() & ~name_word_bit;
        const std::size_t bits = bits_of(term, mask);
        if (bits < made.least_bits || (bits == made.least_bits && greater(mask, made.least))) {
            made.least_bits = bits;
            made.least = mask;
        }
    }
    for (const RangedTerm& term : with_ranges(match)) {
        Pattern& pattern = made.patterns.emplace_back();
        Words words;
        for (const FieldMatch& field : term.fields)
            words.add(field, number_of);
        for (const RangedTerm::Interval& interval : term.ranges)
            words.add(interval, pattern);
        words.write(pattern);
    }
    return made;
}

} // namespace weft
