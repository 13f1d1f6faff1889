// How long does a lookup in a filter set take, what does a change cost, how much memory is a rule?
// Every engine's answers are checked against the linear search first.
#include "bench/classbench.hh"
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

const void* payload_of(std::size_t filter) {
    return reinterpret_cast<const void*>(filter + 1);
}

bool lower_goes_first(const Entry& a, const Entry& b) {
    return reinterpret_cast<std::uintptr_t>(a.payload) <
           reinterpret_cast<std::uintptr_t>(b.payload);
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
    void build();
    void settle();
    std::vector<Header> headers(std::size_t count, bool zipf);
    bool check();
    std::size_t linear(const FlowKey& key) const;
    void measure(const char* traffic, bool zipf);
    void measure_changes();

    std::string name_;
    std::vector<Filter> filters_;
    std::vector<std::pair<Pattern, std::size_t>> patterns_;
    InstantReclaimer reclaimer_;
    std::unique_ptr<TupleSpace> space_;
    std::vector<Entry*> entries_;
    std::mt19937_64 random_{1};
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

bool Run::check() {
    for (const Header& header :
         headers(std::min<std::size_t>(4'000'000 / filters_.size() + 500, 5'000), false)) {
        const FlowKey key = key_of(header);
        const Entry* found = space_->find(key, 1);
        const auto answer = found == nullptr ? 0 : reinterpret_cast<std::uintptr_t>(found->payload);
        if (answer != linear(key)) {
            std::printf(
                "%s: WRONG: filter %zu, the linear search finds %zu\n",
                name_.c_str(),
                answer,
                linear(key)
            );
            return false;
        }
    }
    return true;
}

/// The first line of each key, which is all that these rules look at; a burst of whole keys is made
/// from them just before its lookup, as the parser would leave it: in the nearest cache.
class Traffic {
public:
    static constexpr std::size_t bursts = 4'096;
    explicit Traffic(const std::vector<Header>& headers) {
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
    static double keys() { return static_cast<double>(bursts * burst_max); }

private:
    std::vector<std::array<std::uint64_t, 8>> lines_;
    std::array<FlowKey, burst_max> keys_{};
};

void Run::measure(const char* traffic, bool zipf) {
    Traffic keys{headers(Traffic::bursts * burst_max, zipf)};
    const Entry* best[burst_max];
    std::uintptr_t sum = 0;
    const auto time = [&](auto&& work, double& ns, double& cycles) {
        const auto began = Clock::now();
        const std::uint64_t tsc = __rdtsc();
        for (std::size_t number = 0; number < Traffic::bursts; ++number)
            work(keys.burst(number), number);
        cycles = static_cast<double>(__rdtsc() - tsc) / Traffic::keys();
        ns = 1e9 * seconds_since(began) / Traffic::keys();
    };
    Spread ns, cycles;
    for (int round = 0; round < 9; ++round) {
        double with_ns, with_cycles, without_ns, without_cycles;
        time(
            [&](const FlowKey* burst, std::size_t) {
                sum += burst[0].word[0];
                asm volatile("" ::: "memory");
            },
            without_ns,
            without_cycles
        );
        time(
            [&](const FlowKey* burst, std::size_t number) {
                space_->lookup(burst, ~LaneMask{0}, 1, best);
                sum += reinterpret_cast<std::uintptr_t>(best[number % burst_max]);
            },
            with_ns,
            with_cycles
        );
        ns.values.push_back(with_ns - without_ns);
        cycles.values.push_back(with_cycles - without_cycles);
    }
    std::printf(
        "%-12s %-8s %7.1f / %6.1f / %6.1f ns  %5.0f cycles%s",
        name_.c_str(),
        traffic,
        ns.at(0),
        ns.at(0.5),
        ns.at(1),
        cycles.at(0.5),
        sum == 1 ? " " : ""
    );
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
    began = Clock::now();
    for (std::size_t i = 0; i < changes; ++i) {
        const auto& [pattern, filter] = patterns_[order[i]];
        entries_[order[i]] =
            space_->insert(pattern, rank_of(filter, filters_.size()), 1, payload_of(filter));
    }
    const double insert_us = 1e6 * seconds_since(began) / static_cast<double>(changes);
    reclaimer_.run();
    std::printf("  insert %.2f us, delete %.2f us", insert_us, remove_us);
}

bool Run::run() {
    build();
    settle();
    if (!check())
        return false;
    measure("uniform", false);
    const TupleSpace::Bound bound = space_->bound();
    const double bytes = static_cast<double>(space_->memory_bytes());
    std::printf(
        "  %zu rules, %zu entries, %.0f B an entry, %zu tuples, bound %zu probes %zu lines %zu "
        "entries\n",
        filters_.size(),
        entries_.size(),
        bytes / static_cast<double>(entries_.size()),
        space_->tuples(),
        static_cast<std::size_t>(bound.probes),
        static_cast<std::size_t>(bound.lines),
        static_cast<std::size_t>(bound.entries)
    );
    measure("zipf", true);
    std::printf("  build %.0f ms, plan %.0f ms, move %.0f ms", build_ms_, plan_ms_, move_ms_);
    measure_changes();
    std::printf("\n");
    return check();
}

} // namespace
} // namespace weft::bench

int main(int argc, char** argv) {
    if (argc < 2 || std::strcmp(argv[1], "--help") == 0) {
        std::puts("usage: classifier_bench FILE...    ClassBench filter sets, best filter first");
        return argc < 2 ? 2 : 0;
    }
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
