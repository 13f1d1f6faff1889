#include "pipeline/table_parts.hh"

#include "base/check.hh"
#include "base/hash.hh"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

namespace weft {

namespace {

/// So many rules of a kind, and so many different lengths among them, deserve a part: for fewer
/// lengths hashes are as good.
constexpr std::size_t routes_least = 16;
constexpr std::size_t lengths_least = 3;
/// Of the rules that wait, looked at when a part is chosen.
constexpr std::size_t sample_max = 256;
/// That come to a new part at once; more come in slices.
constexpr std::size_t at_once = 64;

Mask mask_of(const Rule& rule) noexcept {
    if (rule.least != nullptr)
        return *rule.least;
    return rule.kind != nullptr ? rule.kind->shape.mask(rule.length)
                                : rule.entries().front()->form->mask();
}

bool goes_before(const Rule& a, const Mask& mask, const Rule& b, const Mask& other) noexcept {
    return mask == other ? a.match_hash > b.match_hash : greater(mask, other);
}

} // namespace

bool goes_before(const Rule& a, const Rule& b) noexcept {
    return goes_before(a, mask_of(a), b, mask_of(b));
}

bool goes_before(const Entry& a, const Entry& b) {
    const auto rule_of = [](const Entry& entry) -> const Rule& { return *program_of(entry)->rule; };
    const auto mask = [&](const Entry& entry) { // the rule may not know its entry yet
        return rule_of(entry).least != nullptr ? *rule_of(entry).least : entry.form->mask();
    };
    return goes_before(rule_of(a), mask(a), rule_of(b), mask(b));
}

std::size_t TableParts::HashKind::operator()(const PrefixKind& kind) const noexcept {
    WordHash hash{kind.word};
    for (std::size_t i = 0; i < kind.others.count; ++i) {
        hash.add(kind.others.word[i]);
        hash.add(kind.others.bits[i]);
    }
    return hash.value();
}

TableParts::TableParts(Tries& tries, Reclaimer& reclaimer, std::uint64_t hash_key)
    : tries_{tries},
      reclaimer_{reclaimer},
      hash_key_{hash_key},
      tuples_{reclaimer, hash_key, goes_before} {}

TableParts::~TableParts() = default;

// -- rules come and go

void TableParts::insert(Rule& rule, const Lowered& lowered, Generation next) {
    if (lowered.patterns.size() != 1) {
        rule.more = std::make_unique<std::vector<Entry*>>();
        for (const Pattern& pattern : lowered.patterns)
            rule.more->push_back(enter(rule, pattern, next));
        return;
    }
    const Pattern& pattern = lowered.patterns.front();
    // A row of several terms ranks by another one than its pattern, which may have come of joining.
    const bool no_route =
        rule.least != nullptr || rule.program->conjunctive || NamePart::is_named(pattern);
    const auto route = no_route ? std::nullopt : route_of(pattern);
    if (!route)
        return put(rule, pattern, next);
    RouteKind& kind = kind_of(route->kind);
    ++kind.rules;
    rule.kind = &kind;
    rule.prefix = route->rule.prefix;
    rule.length = static_cast<std::uint8_t>(route->rule.length);
    if (kind.part != nullptr && kind.is_open() &&
        kind.part->ranks.admits(rule.length, rule.priority))
        return arrive(kind, rule, route->rule);
    put(rule, pattern, next);
    wait(kind, rule);
    if (kind.waiting.size() >= routes_least && std::has_single_bit(kind.waiting.size()))
        consider(kind, next);
}

Entry* TableParts::enter(const Rule& rule, const Pattern& pattern, Generation born) {
    const Program& program = *rule.program;
    const Payload payload = program.verdict().word();
    return NamePart::is_named(pattern) ? names().insert(pattern, program.rank, born, payload)
                                       : tuples_.insert(pattern, program.rank, born, payload);
}

void TableParts::put(Rule& rule, const Pattern& pattern, Generation born) {
    rule.place = Rule::Place::tuples;
    rule.entry = enter(rule, pattern, born);
}

NamePart& TableParts::names() {
    if (names_ == nullptr)
        names_ = std::make_unique<NamePart>(reclaimer_, hash_key_, TupleSpace::Before{goes_before});
    return *names_;
}

void TableParts::arrive(RouteKind& kind, Rule& rule, const PrefixRule& as) {
    rule.place = Rule::Place::arriving;
    rule.vrf = &kind.part->enter(as.others);
    kind.part->ranks.enter(rule.length, rule.priority);
    rule.in_kind = static_cast<std::uint32_t>(kind.routed.size());
    kind.routed.push_back(&rule);
    arrivals_.push_back(&rule);
    changed_ = true;
}

namespace {

void take_out(std::vector<Rule*>& list, const Rule& rule) {
    list.back()->in_kind = rule.in_kind;
    list[rule.in_kind] = list.back();
    list.pop_back();
}

} // namespace

void TableParts::wait(RouteKind& kind, Rule& rule) {
    rule.in_kind = static_cast<std::uint32_t>(kind.waiting.size());
    kind.waiting.push_back(&rule);
}

void TableParts::expire(Rule& rule, Generation next) {
    switch (rule.place) {
    case Rule::Place::tuples:
        for (Entry* entry : rule.entries())
            tuples_.expire(*entry, next);
        if (rule.kind != nullptr)
            take_out(rule.kind->waiting, rule);
        break;
    case Rule::Place::arriving:
        rule.place = Rule::Place::cancelled;
        take_out(rule.kind->routed, rule);
        break;
    case Rule::Place::trie:
        departures_.push_back({rule.kind->part.get(), rule.vrf, rule.prefix, rule.length, false});
        take_out(rule.kind->routed, rule);
        changed_ = true;
        break;
    case Rule::Place::cancelled:
        check(false);
    }
}

void TableParts::withdraw(Rule& rule) {
    if (rule.place == Rule::Place::cancelled) {
        if (arrivals_.back() == &rule)
            arrivals_.pop_back();
        else
            std::erase(arrivals_, &rule);
    }
    remove(rule);
}

void TableParts::remove(Rule& rule) {
    if (rule.place == Rule::Place::tuples) {
        for (Entry* entry : rule.entries())
            if (NamePart::is_named(*entry))
                names_->remove(*entry);
            else
                tuples_.remove(*entry);
    } else {
        rule.kind->part->ranks.leave(rule.length);
        rule.kind->part->leave(*rule.vrf);
        changed_ = changed_ || rule.kind->part->ranks.empty(); // to be closed
    }
    if (rule.kind != nullptr && --rule.kind->rules == 0 && rule.kind->part == nullptr) {
        const auto at = kinds_.find(rule.kind->shape);
        set_move(*at->second, RouteKind::Move::none);
        reclaimer_.retire([dead = std::shared_ptr<RouteKind>{std::move(at->second)}] {});
        kinds_.erase(at);
    }
}

/// Those that leave first: of two versions of one row the new one takes the old one's place.
void TableParts::apply(Generation next) {
    close_parts(next);
    std::vector<Departure> moved;
    for (const Departure& one : departures_) {
        one.part->erase(*one.vrf, one.prefix, one.length);
        if (one.moved)
            moved.push_back(one);
    }
    departures_.clear();
    for (Rule* rule : std::exchange(arrivals_, {})) {
        if (rule->place != Rule::Place::arriving)
            continue;
        RouteKind& kind = *rule->kind;
        if (kind.part->set(
                *rule->vrf, rule->prefix, rule->length, rule->program->verdict().word()
            )) {
            rule->place = Rule::Place::trie;
            continue;
        }
        // The same row twice, or no memory for nodes: the tuple space holds everything.
        take_out(kind.routed, *rule);
        const PrefixRule as{rule->vrf->others(), rule->prefix, rule->length};
        kind.part->ranks.leave(rule->length);
        kind.part->leave(*std::exchange(rule->vrf, nullptr));
        put(*rule, pattern_of(kind.shape, as), next);
        wait(kind, *rule);
    }
    if (!moved.empty())
        reclaimer_.retire([this, moved = std::move(moved)] {
            for (const Departure& one : moved) {
                one.part->ranks.leave(one.length);
                one.part->leave(*one.vrf);
                changed_ = changed_ || one.part->ranks.empty();
            }
        });
    if (!left_.empty())
        reclaimer_.retire([this, left = std::exchange(left_, {})] {
            for (Entry* entry : left)
                tuples_.remove(*entry);
        });
    changed_ = false;
}

void TableParts::publish(Generation next) {
    for (auto& [shape, kind] : kinds_)
        if (kind->part != nullptr)
            kind->part->publish(next);
}

// -- parts come and go

RouteKind& TableParts::kind_of(const PrefixKind& shape) {
    auto& kind = kinds_[shape];
    if (kind == nullptr) {
        kind = std::make_unique<RouteKind>();
        kind->shape = shape;
    }
    return *kind;
}

/// Looks at some of the rules that wait: whether they should have a part, or come to the one that
/// is there, or are the many now.
void TableParts::consider(RouteKind& kind, Generation next) {
    if (kind.move != RouteKind::Move::none)
        return;
    const std::size_t count = kind.waiting.size();
    std::vector<const Rule*> sample(std::min(count, sample_max));
    for (std::size_t i = 0; i < sample.size(); ++i)
        sample[i] = kind.waiting[i * count / sample.size()];
    std::size_t fit = 0;
    Ladder ladder = best_ladder(sample, fit);
    if (kind.part == nullptr) {
        if (2 * fit >= sample.size() && ladder.size() >= lengths_least &&
            parts_ < Table::prefix_parts_max)
            open(kind, std::move(ladder), next);
        return;
    }
    const auto admitted =
        static_cast<std::size_t>(std::count_if(sample.begin(), sample.end(), [&](const Rule* rule) {
            return kind.part->ranks.admits(rule->length, rule->priority);
        }));
    if (2 * admitted >= sample.size())
        set_move(kind, RouteKind::Move::in);
    else if (count > kind.routed.size() && 2 * fit >= sample.size() && ladder.size() >= lengths_least)
        set_move(kind, RouteKind::Move::out);
}

void TableParts::open(RouteKind& kind, Ladder ladder, Generation next) {
    kind.wanted = std::move(ladder);
    kind.part = std::make_unique<PrefixPart>(kind.shape, tries_, reclaimer_, hash_key_);
    for (const auto& [length, priority] : kind.wanted)
        kind.part->ranks.enter(length, priority);
    ++parts_;
    parts_changed_ = true;
    set_move(kind, RouteKind::Move::in);
    slice(kind, at_once, next);
}

void TableParts::set_move(RouteKind& kind, RouteKind::Move move) {
    moving_ -= std::size_t{kind.has_slices()};
    kind.move = move;
    moving_ += std::size_t{kind.has_slices()};
    kind.next = 0;
}

void TableParts::move_in(Rule& rule, Generation next) {
    RouteKind& kind = *rule.kind;
    const auto route = route_of(pattern_of(*rule.entry));
    take_out(kind.waiting, rule);
    tuples_.expire(*rule.entry, next);
    left_.push_back(std::exchange(rule.entry, nullptr));
    arrive(kind, rule, route->rule);
}

void TableParts::move_out(Rule& rule, Generation next) {
    RouteKind& kind = *rule.kind;
    take_out(kind.routed, rule);
    PrefixPart::Vrf* const vrf = std::exchange(rule.vrf, nullptr);
    const PrefixRule as{vrf->others(), rule.prefix, rule.length};
    if (rule.place == Rule::Place::arriving) { // nobody has seen it there
        kind.part->ranks.leave(rule.length);
        kind.part->leave(*vrf);
    } else {
        departures_.push_back({kind.part.get(), vrf, rule.prefix, rule.length, true});
    }
    changed_ = true;
    put(rule, pattern_of(kind.shape, as), next);
    wait(kind, rule);
}

/// How many rules it looked at.
std::size_t TableParts::slice(RouteKind& kind, std::size_t rules, Generation next) {
    std::size_t seen = 0;
    if (kind.move == RouteKind::Move::out) {
        for (; seen < rules && !kind.routed.empty(); ++seen)
            move_out(*kind.routed.back(), next);
        if (kind.routed.empty()) // when nobody sees the last one any more, the part goes
            set_move(kind, RouteKind::Move::closing);
        return seen;
    }
    for (; seen < rules && kind.next < kind.waiting.size(); ++seen) {
        Rule& rule = *kind.waiting[kind.next];
        if (kind.part->ranks.admits(rule.length, rule.priority))
            move_in(rule, next); // another one takes its place
        else
            ++kind.next;
    }
    if (kind.next >= kind.waiting.size()) {
        for (const auto& [length, priority] : std::exchange(kind.wanted, {}))
            kind.part->ranks.leave(length);
        set_move(kind, RouteKind::Move::none);
    }
    return seen;
}

bool TableParts::move_some(std::size_t rules, Generation next) {
    std::size_t seen = 0;
    const bool more_names = names_ != nullptr && names_->tidy(rules);
    for (auto& [shape, kind] : kinds_) {
        if (moving_ == 0)
            break;
        if (kind->has_slices() && seen < rules)
            seen += slice(*kind, rules - seen, next);
    }
    return seen >= rules || more_names;
}

/// Parts that nobody is in any more go; what waits because its kind's part had other ranks may get
/// a new one.
void TableParts::close_parts(Generation next) {
    for (auto at = kinds_.begin(); at != kinds_.end();) {
        RouteKind& kind = *at->second;
        const bool closes = kind.part != nullptr && kind.routed.empty() && kind.part->ranks.empty();
        if (closes) {
            reclaimer_.retire([dead = std::shared_ptr<PrefixPart>{std::move(kind.part)}] {});
            set_move(kind, RouteKind::Move::none);
            --parts_;
            parts_changed_ = true;
        }
        if (closes && kind.rules == 0) {
            reclaimer_.retire([dead = std::shared_ptr<RouteKind>{std::move(at->second)}] {});
            at = kinds_.erase(at);
            continue;
        }
        if (closes && kind.waiting.size() >= routes_least)
            consider(kind, next);
        ++at;
    }
}

// -- seeing inside

void TableParts::list_parts(Table& view) const {
    view.tuples = &tuples_;
    for (const auto& [shape, kind] : kinds_)
        if (kind->part != nullptr)
            view.prefixes[view.prefix_parts++] = kind->part.get();
}

void TableParts::for_each_rule(const std::function<void(const Rule&)>& visit) const {
    tuples_.for_each([&](const Entry& entry) { visit(*program_of(entry)->rule); });
    if (names_ != nullptr)
        names_->rules().for_each([&](const Entry& entry) { visit(*program_of(entry)->rule); });
    for (const auto& [shape, kind] : kinds_)
        for (const Rule* rule : kind->routed)
            visit(*rule);
}

std::uint64_t TableParts::routes(bool wide) const noexcept {
    std::uint64_t routes = 0;
    for (const auto& [shape, kind] : kinds_)
        routes += shape.wide == wide ? kind->routed.size() : 0;
    return routes;
}

TableReport TableParts::report() const {
    return report_of(tuples_.bound());
}

TableReport TableParts::report_at_most() const {
    return report_of(tuples_.bound_at_most());
}

TableReport TableParts::report_of(const TupleSpace::Bound& bound) const {
    const bool has_names = names_ != nullptr && names_->patterns() != 0;
    TableReport report{
        .engine = tuples_.entries() == 0 && (parts_ != 0 || has_names) ? ""
                  : tuples_.is_linear()                                ? "linear"
                  : tuples_.is_direct()                                ? "direct index"
                  : tuples_.is_chain()                                 ? "exact match"
                                                                       : "tuple space",
        .rules = tuples_.entries() + routes(false) + routes(true),
        .tuples = tuples_.tuples(),
        .probes_max = bound.probes,
        .entries_max = bound.entries,
        .cache_lines_max = bound.lines,
        .memory_bytes = memory_bytes(),
    };
    add_names(report);
    if (parts_ == 0)
        return report;
    for (const auto& [shape, kind] : kinds_) {
        if (kind->part == nullptr)
            continue;
        const PrefixPart::Bound of = kind->part->bound();
        report.probes_max += of.probes;
        report.entries_max += of.entries;
        report.nodes_max += of.nodes;
        report.cache_lines_max += of.lines;
    }
    const std::string lpm = "lpm (" + std::to_string(report.nodes_max) + " nodes)";
    report.engine = report.engine.empty() ? lpm : lpm + " + " + report.engine;
    return report;
}

void TableParts::add_names(TableReport& report) const {
    if (names_ == nullptr || names_->patterns() == 0)
        return;
    const NamePart::Bound of = names_->bound();
    report.rules += names_->rules().entries();
    report.tuples += names_->rules().tuples();
    report.probes_max += of.probes.probes;
    report.entries_max += of.probes.entries;
    report.cache_lines_max += of.probes.lines;
    report.name_bytes_max = of.bytes;
    report.engine += (report.engine.empty() ? "names (" : " + names (") +
                     std::to_string(names_->patterns()) + " patterns)";
}

std::uint64_t TableParts::memory_bytes() const noexcept {
    std::uint64_t bytes =
        sizeof *this + tuples_.memory_bytes() + (names_ != nullptr ? names_->memory_bytes() : 0);
    for (const auto& [shape, kind] : kinds_) {
        bytes += sizeof(RouteKind) +
                 (kind->waiting.capacity() + kind->routed.capacity()) * sizeof(Rule*);
        if (kind->part != nullptr)
            bytes += kind->part->memory_bytes();
    }
    return bytes;
}

} // namespace weft
