#include "pipeline/name_part.hh"

#include "base/check.hh"
#include "base/hash.hh"

#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <utility>

namespace weft {

namespace {

bool never_before(const Entry&, const Entry&) {
    return false;
}

std::size_t number_of(FieldId field) noexcept {
    return static_cast<std::size_t>(field) - static_cast<std::size_t>(FieldId::tls_sni);
}

std::string key_of(FieldId field, std::string_view pattern) {
    return static_cast<char>('0' + number_of(field)) + std::string{pattern};
}

/// Calls `visit(labels, from, hash)` for each suffix of whole labels, the shortest first, `from`
/// being where in the text it begins; the whole text comes last. Returning false ends it.
template <class Visit>
void for_each_suffix(std::string_view text, std::uint64_t key, Visit&& visit) noexcept {
    WordHash hash{key};
    std::size_t end = text.size();
    for (std::size_t labels = 1; end != 0; ++labels) {
        const std::size_t dot = text.rfind('.', end - 1);
        const std::size_t begin = dot == std::string_view::npos ? 0 : dot + 1;
        for (std::size_t at = begin; at < end; at += sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, text.data() + at, std::min(sizeof word, end - at));
            hash.add(word);
        }
        hash.add(end - begin);
        if (!visit(labels, begin, hash) || begin == 0)
            return;
        end = begin - 1;
    }
}

/// Where the index has it.
std::uint64_t place_of(WordHash labels, FieldId field, NameForm form) noexcept {
    labels.add(number_of(field) << 1 | (form == NameForm::exact));
    return labels.value();
}

FlowKey key_with(std::uint64_t place) noexcept {
    FlowKey key;
    key.word[0] = 0; // what a form of one word reads in place of its second and third
    key.word[name_word] = place;
    return key;
}

} // namespace

NamePart::NamePart(Reclaimer& reclaimer, std::uint64_t hash_key, TupleSpace::Before before)
    : reclaimer_{reclaimer},
      hash_key_{hash_key},
      index_{reclaimer, hash_key, never_before},
      rules_{reclaimer, hash_key, before},
      wildcards_{reclaimer} {}

NamePart::~NamePart() = default;

// -- rules come and go

std::optional<Error> NamePart::refusal(const Match& match) const {
    std::unordered_set<std::string> more;
    for (const Term& term : match.terms)
        for (const FieldMatch& field : term.fields)
            if (is_name(field.field) && form_of(field.port) == NameForm::wildcard &&
                !known_.contains(key_of(field.field, field.port)))
                more.insert(key_of(field.field, field.port));
    if (wildcards_.count() + more.size() <= name_wildcards_max)
        return std::nullopt;
    return Error{
        "too_many_names",
        "names with \"*\" elsewhere than in a \"*.\" at the beginning: with this match the table "
        "would have " +
            std::to_string(wildcards_.count() + more.size()) + ", and a table holds at most " +
            std::to_string(name_wildcards_max)};
}

std::uint64_t NamePart::id_of(FieldId field, std::string_view pattern) {
    auto& known = known_[key_of(field, pattern)];
    if (known != nullptr)
        return known->id;
    known = std::make_unique<Known>();
    known->id = ++last_id_;
    known->field = field;
    known->form = form_of(pattern);
    known->text = pattern;
    by_id_.emplace(known->id, known.get());
    ++of_field_[number_of(field)];
    note_fields();
    if (known->form == NameForm::wildcard) {
        wildcards_.add({known->id, field, known->text});
        return known->id;
    }
    if (known->form == NameForm::suffix)
        known->text.erase(0, std::string_view{"*."}.size());
    WordHash hash{hash_key_};
    for_each_suffix(known->text, hash_key_, [&](std::size_t labels, std::size_t, WordHash of) {
        known->labels = labels;
        hash = of;
        return true;
    });
    Pattern place;
    place.add(name_word, ~std::uint64_t{0}, place_of(hash, field, known->form));
    known->entry = index_.insert(place, 0, 0, reinterpret_cast<Payload>(known.get()));
    if (known->form == NameForm::exact) {
        ++exacts_;
        has_exact_.store(true, std::memory_order_relaxed);
    } else if (suffixes_[known->labels]++ == 0) {
        auto& word = suffix_labels_[known->labels / 64];
        word.store(
            word.load(std::memory_order_relaxed) | std::uint64_t{1} << known->labels % 64,
            std::memory_order_relaxed
        );
    }
    return known->id;
}

/// No rule that a reader may see asks for it any more.
void NamePart::forget(Known& known) {
    if (--of_field_[number_of(known.field)] == 0)
        note_fields();
    if (known.form == NameForm::wildcard) {
        wildcards_.remove(known.id);
    } else {
        index_.expire(*known.entry, 0);
        index_.remove(*known.entry);
    }
    if (known.form == NameForm::exact && --exacts_ == 0)
        has_exact_.store(false, std::memory_order_relaxed);
    if (known.form == NameForm::suffix && --suffixes_[known.labels] == 0) {
        auto& word = suffix_labels_[known.labels / 64];
        word.store(
            word.load(std::memory_order_relaxed) & ~(std::uint64_t{1} << known.labels % 64),
            std::memory_order_relaxed
        );
    }
    by_id_.erase(known.id);
    std::string pattern = known.text;
    if (known.form == NameForm::suffix)
        pattern.insert(0, known.labels == 0 ? "*" : "*.");
    const auto at = known_.find(key_of(known.field, pattern));
    check(at != known_.end());
    reclaimer_.retire([dead = std::shared_ptr<Known>{std::move(at->second)}] {});
    known_.erase(at);
}

void NamePart::note_fields() noexcept {
    std::uint8_t fields = 0;
    for (std::size_t i = 0; i < of_field_.size(); ++i)
        fields = static_cast<std::uint8_t>(fields | (of_field_[i] != 0 ? 1u << i : 0u));
    fields_.store(fields, std::memory_order_relaxed);
}

Entry* NamePart::insert(const Pattern& pattern, Rank rank, Generation born, Payload payload) {
    Entry* const entry = rules_.insert(pattern, rank, born, payload);
    for (std::size_t i = 0; i < pattern.mask.count; ++i)
        if (pattern.mask.word[i] == name_word)
            ++by_id_.at(pattern.value[i])->users;
    return entry;
}

void NamePart::remove(Entry& entry) {
    std::uint64_t id = 0;
    for (std::size_t i = 0; i < entry.form->count; ++i)
        if (entry.form->word_at(i) == name_word)
            id = entry.values()[i];
    rules_.remove(entry);
    Known& known = *by_id_.at(id);
    if (--known.users == 0)
        forget(known);
}

bool NamePart::is_named(const Pattern& pattern) noexcept {
    const auto* const end = pattern.mask.word.begin() + pattern.mask.count;
    return std::find(pattern.mask.word.begin(), end, name_word) != end;
}

bool NamePart::is_named(const Entry& entry) noexcept {
    for (std::size_t i = 0; i < entry.form->count; ++i)
        if (entry.form->word_at(i) == name_word)
            return true;
    return false;
}

// -- readers

bool NamePart::wants(std::uint16_t shape) const noexcept {
    constexpr auto bit = [](FieldId field) { return 1u << number_of(field); };
    const unsigned fields = fields_.load(std::memory_order_relaxed);
    const unsigned tcp = bit(FieldId::tls_sni) | bit(FieldId::http_host);
    return (has(shape, Shape::tcp) && (fields & tcp) != 0) ||
           (has(shape, Shape::udp) && (fields & bit(FieldId::dns_qname)) != 0);
}

/// The text decides; the hash only says where to look.
void NamePart::find(const PayloadName& name, Generation g, NameHits& hits) const noexcept {
    hits.count = 0;
    const std::string_view text = name.view();
    const auto ask = [&](const WordHash& hash, NameForm form, std::string_view of) {
        const FlowKey key = key_with(place_of(hash, name.field, form));
        index_.for_each_match(key, g, [&](const Entry& entry) {
            const Known& known = *reinterpret_cast<const Known*>(entry.payload);
            const bool same = known.field == name.field && known.form == form && known.text == of;
            if (same)
                hits.add(known.id);
            return !same;
        });
    };
    const auto has_suffix = [&](std::size_t labels) {
        return (suffix_labels_[labels / 64].load(std::memory_order_relaxed) >> labels % 64 & 1) !=
               0;
    };
    if (has_suffix(0))
        ask(WordHash{hash_key_}, NameForm::suffix, {});
    for_each_suffix(text, hash_key_, [&](std::size_t labels, std::size_t from, WordHash hash) {
        if (from == 0) {
            if (has_exact_.load(std::memory_order_relaxed))
                ask(hash, NameForm::exact, text);
        } else if (has_suffix(labels)) {
            ask(hash, NameForm::suffix, text.substr(from));
        }
        return labels < labels_max;
    });
}

void NamePart::lookup(
    FlowKey* keys,
    LaneMask live,
    Generation g,
    NameLanes& lanes,
    std::size_t worker,
    const Entry** best
) const noexcept {
    for (const std::size_t lane : Lanes{live}) {
        NameHits& hits = lanes.hits[lane];
        find(lanes.name[lane], g, hits);
        wildcards_.scan(lanes.name[lane], worker, [&](std::uint64_t id) { hits.add(id); });
        best[lane] = nullptr;
    }
    std::array<const Entry*, burst_max> found;
    for (std::size_t round = 0; live != 0; ++round) {
        LaneMask here = 0;
        for (const std::size_t lane : Lanes{live})
            if (round < lanes.hits[lane].count) {
                here |= lane_bit(lane);
                keys[lane].word[name_word] = lanes.hits[lane].id[round];
            }
        live = here;
        if (live == 0)
            return;
        rules_.lookup(keys, live, g, found.data());
        for (const std::size_t lane : Lanes{live})
            if (found[lane] != nullptr &&
                (best[lane] == nullptr || rules_.goes_first(*found[lane], *best[lane])))
                best[lane] = found[lane];
    }
}

// -- seeing inside

NamePart::Bound NamePart::bound() const {
    std::uint64_t levels = 0;
    for (const std::uint64_t suffixes : suffixes_)
        levels += suffixes != 0 ? 1 : 0;
    const std::uint64_t asked = levels + (exacts_ != 0 ? 1 : 0);
    const TupleSpace::Bound index = index_.bound(), rules = rules_.bound();
    Bound bound;
    bound.hits = asked + wildcards_.told_max();
    bound.probes.probes = asked * index.probes + bound.hits * rules.probes;
    bound.probes.lines = asked * index.lines + bound.hits * rules.lines;
    bound.probes.entries = asked * index.entries + bound.hits * rules.entries;
    const std::uint64_t scans = wildcards_.one_by_one() + (wildcards_.count() != 0 ? 1 : 0);
    if (!known_.empty())
        bound.bytes = name_payload_bytes_max + name_bytes_max * (1 + scans);
    return bound;
}

std::uint64_t NamePart::memory_bytes() const noexcept {
    constexpr std::size_t node_bytes = 64; // of the maps, about
    return sizeof *this + index_.memory_bytes() + rules_.memory_bytes() +
           wildcards_.memory_bytes() + known_.size() * (sizeof(Known) + 2 * node_bytes);
}

} // namespace weft
