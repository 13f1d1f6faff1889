// How long does a lookup in a filter set take, what does a change cost, how much memory is a rule?
// Beside the tuple space a plain one and DPDK's rte_acl, on the same rules and headers; every
// engine's answers are checked against the linear search first.
#include "bench/acl_engine.hh"
#include "bench/classbench.hh"
#include "bench/plain_tuples.hh"
#include "classifier/tuple_space.hh"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <x86intrin.h>

namespace weft::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
    return std::chrono::duration<double>(Clock::now() - began).count();
}

/// Nobody reads while we write: a grace period is over at once.
class InstantReclaimer final : public Reclaimer {
public:
    void retire(std::function<void()> free) override { waiting_.push_back(std::move(free)); }
    void run() {
        while (!waiting_.empty())
            for (const auto& free : std::exchange(waiting_, {}))
                free();
    }
    ~InstantReclaimer() override { run(); }

private:
    std::vector<std::function<void()>> waiting_;
};

Payload payload_of(std::size_t filter) {
    return filter + 1;
}

bool lower_goes_first(const Entry& a, const Entry& b) {
    return a.payload < b.payload;
}

Rank rank_of(std::size_t filter, std::size_t count) {
    return make_rank(static_cast<std::uint32_t>(count - filter), 0);
}

struct Spread {
    std::vector<double> values;
    double at(double part) {
        std::sort(values.begin(), values.end());
        return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
    }
};

class Run {
public:
    Run(std::string name, std::vector<Filter> filters)
        : name_{std::move(name)},
          filters_{std::move(filters)} {
        for (std::size_t i = 0; i < filters_.size(); ++i)
            for (const Pattern& pattern : patterns_of(filters_[i]))
                patterns_.emplace_back(pattern, i);
    }
    bool run();

private:
    using Headers = std::vector<Header>;
    /// What one engine took.
    struct Engine {
        const char* name;
        double build_ms = 0;
        double bytes = 0; // a pattern
    };

    void build();
    void settle();
    Headers headers(std::size_t count, bool zipf);
    std::size_t linear(const FlowKey& key) const;
    /// One engine: checked on some headers, then timed on others. `Inputs{headers}.burst(number)`
    /// gives what `lookup(burst, answers)` reads.
    template <class Inputs, class Lookup>
    bool is_right(const char* engine, Lookup&& lookup);
    template <class Inputs, class Lookup>
    bool run_engine(const Engine& engine, Lookup&& lookup);
    bool run_space();
    bool run_plain();
    bool run_acl();
    void measure_changes();

    std::string name_;
    std::vector<Filter> filters_;
    std::vector<std::pair<Pattern, std::size_t>> patterns_;
    InstantReclaimer reclaimer_;
    std::unique_ptr<TupleSpace> space_;
    std::vector<Entry*> entries_;
    std::mt19937_64 random_{1};
    Headers check_, uniform_, zipf_; // the same for every engine
    double build_ms_ = 0, plan_ms_ = 0, move_ms_ = 0;
};

void Run::build() {
    space_ = std::make_unique<TupleSpace>(reclaimer_, 0x5eed, lower_goes_first);
    const auto began = Clock::now();
    for (const auto& [pattern, filter] : patterns_)
        entries_.push_back(
            space_->insert(pattern, rank_of(filter, filters_.size()), 1, payload_of(filter))
        );
    build_ms_ = 1e3 * seconds_since(began);
    reclaimer_.run();
}

void Run::settle() {
    while (space_->wants_plan()) {
        auto began = Clock::now();
        const auto plan = plan_tuples(space_->sample(4'096, 7), 7);
        plan_ms_ += 1e3 * seconds_since(began);
        began = Clock::now();
        space_->adopt(plan);
        while (space_->is_moving()) {
            space_->move_some(1'000);
            reclaimer_.run();
        }
        while (space_->move_some(1'000))
            reclaimer_.run();
        move_ms_ += 1e3 * seconds_since(began);
    }
}

/// Headers over the filters: each filter's share the same, or Zipf's (exponent 1) in random order.
std::vector<Header> Run::headers(std::size_t count, bool zipf) {
    std::vector<std::size_t> order(filters_.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    std::vector<double> weights(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        weights[i] = zipf ? 1.0 / static_cast<double>(i + 1) : 1.0;
    std::discrete_distribution<std::size_t> pick(weights.begin(), weights.end());
    std::vector<Header> made;
    for (std::size_t i = 0; i < count; ++i)
        made.push_back(header_in(filters_[order[pick(random_)]], random_));
    return made;
}

/// The first filter that one of its patterns matches, plus 1; 0 for none.
std::size_t Run::linear(const FlowKey& key) const {
    for (const auto& [pattern, filter] : patterns_) {
        bool matches = true;
        for (std::size_t i = 0; i < pattern.mask.count && matches; ++i)
            matches = (key.word[pattern.mask.word[i]] & pattern.mask.bits[i]) == pattern.value[i];
        for (const Range& range : pattern.ranges())
            matches = matches && range.has(key);
        if (matches)
            return filter + 1;
    }
    return 0;
}

/// The first line of each key, which is all that these rules look at; a burst of whole keys is made
/// from them just before its lookup, as the parser would leave it: in the nearest cache.
class Keys {
public:
    explicit Keys(const std::vector<Header>& headers) {
        for (const Header& header : headers) {
            const FlowKey key = key_of(header);
            lines_.emplace_back();
            std::copy_n(key.word.begin(), lines_.back().size(), lines_.back().begin());
        }
    }
    const FlowKey* burst(std::size_t number) {
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            std::copy_n(lines_[number * burst_max + lane].begin(), 8, keys_[lane].word.begin());
        return keys_.data();
    }

private:
    std::vector<std::array<std::uint64_t, 8>> lines_;
    std::array<FlowKey, burst_max> keys_{};
};

/// Headers as rte_acl reads them, in the nearest cache, too.
class AclInputs {
public:
    explicit AclInputs(const std::vector<Header>& headers) {
        for (const Header& header : headers)
            all_.push_back(AclEngine::input_of(header));
    }
    const AclEngine::Input* burst(std::size_t number) {
        std::copy_n(
            all_.begin() + static_cast<std::ptrdiff_t>(number * burst_max), burst_max, burst_
        );
        return burst_;
    }

private:
    std::vector<AclEngine::Input> all_;
    AclEngine::Input burst_[burst_max];
};

using Answers = std::array<std::uintptr_t, burst_max>;

/// Nanoseconds and cycles a lookup, without what it takes to make the bursts.
template <class Inputs, class Lookup>
std::pair<Spread, Spread> time_of(const std::vector<Header>& headers, Lookup&& lookup) {
    Inputs inputs{headers};
    const std::size_t bursts = headers.size() / burst_max;
    Answers answers{};
    std::uintptr_t sum = 0;
    const auto time = [&](auto&& work) {
        const auto began = Clock::now();
        const std::uint64_t tsc = __rdtsc();
        for (std::size_t number = 0; number < bursts; ++number)
            work(inputs.burst(number), number);
        const double cycles = static_cast<double>(__rdtsc() - tsc);
        return std::pair{1e9 * seconds_since(began), cycles};
    };
    Spread ns, cycles;
    for (int round = 0; round < 9; ++round) {
        const auto without = time([&](const auto* burst, std::size_t) {
            asm volatile("" : : "r"(burst) : "memory");
        });
        const auto with = time([&](const auto* burst, std::size_t number) {
            lookup(burst, answers.data());
            sum += answers[number % burst_max];
        });
        ns.values.push_back((with.first - without.first) / static_cast<double>(headers.size()));
        cycles.values.push_back(
            (with.second - without.second) / static_cast<double>(headers.size())
        );
    }
    asm volatile("" : : "r"(sum));
    return {ns, cycles};
}

template <class Inputs, class Lookup>
bool Run::is_right(const char* engine, Lookup&& lookup) {
    Inputs inputs{check_};
    Answers answers{};
    for (std::size_t i = 0; i < check_.size(); ++i) {
        if (i % burst_max == 0)
            lookup(inputs.burst(i / burst_max), answers.data());
        const std::size_t right = linear(key_of(check_[i]));
        if (answers[i % burst_max] != right) {
            std::printf(
                "  %-8s WRONG: filter %zu, the linear search finds %zu\n",
                engine,
                static_cast<std::size_t>(answers[i % burst_max]),
                right
            );
            return false;
        }
    }
    return true;
}

template <class Inputs, class Lookup>
bool Run::run_engine(const Engine& engine, Lookup&& lookup) {
    if (!is_right<Inputs>(engine.name, lookup))
        return false;
    auto [ns, cycles] = time_of<Inputs>(uniform_, lookup);
    auto [zipf_ns, zipf_cycles] = time_of<Inputs>(zipf_, lookup);
    std::printf(
        "  %-8s %7.1f %7.1f %7.1f %6.0f  %7.1f %6.0f  %8.1f %6.0f\n",
        engine.name,
        ns.at(0),
        ns.at(0.5),
        ns.at(1),
        cycles.at(0.5),
        zipf_ns.at(0.5),
        zipf_cycles.at(0.5),
        engine.build_ms,
        engine.bytes
    );
    return true;
}

bool Run::run_space() {
    build();
    settle();
    const auto lookup = [&](const FlowKey* keys, std::uintptr_t* answers) {
        const Entry* best[burst_max];
        space_->lookup(keys, ~LaneMask{0}, 1, best);
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            answers[lane] = best[lane] == nullptr ? 0 : best[lane]->payload;
    };
    const double bytes =
        static_cast<double>(space_->memory_bytes()) / static_cast<double>(entries_.size());
    if (!run_engine<Keys>({"weft", build_ms_, bytes}, lookup))
        return false;
    const TupleSpace::Bound bound = space_->bound();
    std::printf(
        "           %.0f B/rule beside the entry; %zu tuples, at most %zu probes, %zu lines, %zu "
        "entries; plan %.0f ms, move %.0f ms",
        bytes - sizeof(Entry),
        space_->tuples(),
        static_cast<std::size_t>(bound.probes),
        static_cast<std::size_t>(bound.lines),
        static_cast<std::size_t>(bound.entries),
        plan_ms_,
        move_ms_
    );
    measure_changes();
    return is_right<Keys>("weft", lookup);
}

bool Run::run_plain() {
    PlainTuples plain;
    const auto began = Clock::now();
    for (const auto& [pattern, filter] : patterns_)
        plain.insert(pattern, rank_of(filter, filters_.size()), filter + 1);
    plain.finish();
    const double build_ms = 1e3 * seconds_since(began);
    const double bytes =
        static_cast<double>(plain.memory_bytes()) / static_cast<double>(patterns_.size());
    const auto lookup = [&](const FlowKey* keys, std::uintptr_t* answers) {
        plain.lookup(keys, answers);
    };
    const bool right = run_engine<Keys>({"plain", build_ms, bytes}, lookup);
    std::printf("           %zu tuples\n", plain.tuples());
    return right;
}

bool Run::run_acl() {
    AclEngine acl;
    const auto began = Clock::now();
    if (!acl.build(filters_)) {
        std::printf("  %-8s cannot be built: %s\n", "rte_acl", acl.error().c_str());
        return true;
    }
    const double build_ms = 1e3 * seconds_since(began);
    const double bytes =
        static_cast<double>(acl.memory_bytes()) / static_cast<double>(patterns_.size());
    const auto lookup = [&](const AclEngine::Input* headers, std::uintptr_t* answers) {
        acl.lookup(headers, answers);
    };
    return run_engine<AclInputs>({"rte_acl", build_ms, bytes}, lookup);
}

/// Entries leave and come back, one by one, at random.
void Run::measure_changes() {
    const std::size_t changes = std::min<std::size_t>(entries_.size(), 20'000);
    std::vector<std::size_t> order(entries_.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    auto began = Clock::now();
    for (std::size_t i = 0; i < changes; ++i) {
        space_->expire(*entries_[order[i]], 2);
        space_->remove(*entries_[order[i]]);
    }
    reclaimer_.run();
    const double remove_us = 1e6 * seconds_since(began) / static_cast<double>(changes);
    std::vector<Pattern> coming; // one after the other, since who inserts one has just made it
    for (std::size_t i = 0; i < changes; ++i)
        coming.push_back(patterns_[order[i]].first);
    began = Clock::now();
    for (std::size_t i = 0; i < changes; ++i) {
        const std::size_t filter = patterns_[order[i]].second;
        entries_[order[i]] =
            space_->insert(coming[i], rank_of(filter, filters_.size()), 1, payload_of(filter));
    }
    const double insert_us = 1e6 * seconds_since(began) / static_cast<double>(changes);
    reclaimer_.run();
    std::printf("; insert %.2f us, delete %.2f us\n", insert_us, remove_us);
}

bool Run::run() {
    constexpr std::size_t timed = 4'096 * burst_max;
    const std::size_t checked = std::min<std::size_t>(4'000'000 / filters_.size() + 500, 5'000);
    check_ = headers(checked / burst_max * burst_max, false);
    uniform_ = headers(timed, false);
    zipf_ = headers(timed, true);
    std::printf("%s: %zu rules, %zu patterns\n", name_.c_str(), filters_.size(), patterns_.size());
    std::printf(
        "  %-8s %7s %7s %7s %6s  %7s %6s  %8s %6s\n",
        "",
        "ns",
        "median",
        "most",
        "cycles",
        "zipf ns",
        "cycles",
        "build ms",
        "B/rule"
    );
    const bool space = run_space(), plain = run_plain(), acl = run_acl();
    return space && plain && acl;
}

} // namespace
} // namespace weft::bench

int main(int argc, char** argv) {
    if (argc < 2 || std::strcmp(argv[1], "--help") == 0) {
        std::puts("usage: classifier_bench FILE...    ClassBench filter sets, best filter first");
        return argc < 2 ? 2 : 0;
    }
    weft::bench::AclEngine::start_eal();
    bool right = true;
    for (int i = 1; i < argc; ++i) {
        auto filters = weft::bench::read_filters(argv[i]);
        if (!filters) {
            std::fprintf(stderr, "classifier_bench: %s\n", filters.error().what.c_str());
            return 2;
        }
        const char* slash = std::strrchr(argv[i], '/');
        right =
            weft::bench::Run{slash == nullptr ? argv[i] : slash + 1, std::move(*filters)}.run() &&
            right;
        std::fflush(stdout);
    }
    return right ? 0 : 1;
}
