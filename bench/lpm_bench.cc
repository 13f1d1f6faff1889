// Longest prefix match: answers checked, then lookups, updates and memory, beside DPDK's libraries
// on the same routes.
//   lpm_bench [--quick]
#include "classifier/lpm.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/routes.hh"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_memory.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>
#include <x86intrin.h>

namespace weft {
namespace {

using test::Route;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double tsc_per_ns() {
    static const double ratio = [] {
        const auto start = Clock::now();
        const std::uint64_t from = __rdtsc();
        while (since(start) < 0.05) {}
        return static_cast<double>(__rdtsc() - from) / since(start) / 1e9;
    }();
    return ratio;
}

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "lpm_bench: %s\n", what);
    std::exit(1);
}

/// Addresses drawn over the routes, each route as often as any.
template <class Address>
std::vector<Address> addresses_over(const std::vector<Route<Address>>& routes, std::size_t count) {
    std::mt19937_64 engine{42};
    std::vector<Address> all(count);
    for (Address& address : all) {
        const Route<Address>& route = routes[engine() % routes.size()];
        Address random;
        if constexpr (sizeof(Address) == 4)
            random = static_cast<std::uint32_t>(engine());
        else
            random = U128{engine(), engine()};
        address = route.prefix | (random ^ test::masked(random, route.length));
    }
    return all;
}

/// Cycles per lookup, the best, middle and worst of some rounds over all addresses.
struct Spread {
    double least;
    double median;
    double most;
};
template <class Lookup>
Spread cycles_of(std::size_t count, Lookup&& lookup) {
    std::vector<double> rounds;
    const std::size_t repeats = std::max<std::size_t>(1, 2'000'000 / count);
    for (int round = 0; round < 9; ++round) {
        const std::uint64_t from = __rdtsc();
        for (std::size_t repeat = 0; repeat < repeats; ++repeat)
            lookup();
        rounds.push_back(
            static_cast<double>(__rdtsc() - from) / static_cast<double>(count * repeats)
        );
    }
    std::sort(rounds.begin(), rounds.end());
    return {rounds.front(), rounds[rounds.size() / 2], rounds.back()};
}

void print(
    const std::string& workload,
    const char* system,
    const Spread& cycles,
    double bytes_per_route,
    double build_s,
    double update_ns
) {
    std::printf(
        "%-28s %-10s %6.1f %6.1f %6.1f cycles %6.1f ns  %7.1f B/route  build %7.1f ms  update "
        "%7.0f ns\n",
        workload.c_str(),
        system,
        cycles.least,
        cycles.median,
        cycles.most,
        cycles.median / tsc_per_ns(),
        bytes_per_route,
        build_s * 1e3,
        update_ns
    );
    std::fflush(stdout);
}

template <class Address>
struct Ours {
    test::ManualReclaimer reclaimer;
    Lpm<Address> lpm{reclaimer};
    LpmRoot root;

    explicit Ours(const std::vector<Route<Address>>& routes) {
        std::uint64_t value = 0;
        for (const Route<Address>& route : routes)
            if (lpm.set(root, route.prefix, route.length, ++value) != LpmChange::done)
                fail("no memory");
        lpm.commit();
        reclaimer.run_all();
    }
    void lookup(const std::vector<Address>& addresses, std::vector<std::uint64_t>& values) const {
        std::array<LpmRoot, burst_max> roots;
        roots.fill(root);
        for (std::size_t i = 0; i < addresses.size(); i += burst_max)
            lpm.lookup(roots.data(), &addresses[i], ~LaneMask{0}, &values[i]);
    }
    /// A commit of one route that goes, or comes back, in nanoseconds.
    double update_ns(const std::vector<Route<Address>>& routes) {
        std::mt19937_64 engine{7};
        const std::size_t changes = 100'000;
        const auto start = Clock::now();
        for (std::size_t i = 0; i < changes; ++i) {
            const std::size_t at = engine() % routes.size();
            const Route<Address>& route = routes[at];
            if (lpm.erase(root, route.prefix, route.length) != LpmChange::done)
                fail("a route is lost");
            lpm.commit();
            reclaimer.run_all();
            if (lpm.set(root, route.prefix, route.length, at + 1) != LpmChange::done)
                fail("no memory");
            lpm.commit();
            reclaimer.run_all();
        }
        return since(start) / static_cast<double>(2 * changes) * 1e9;
    }
};

/// The longest prefix by definition: sorted routes of each length.
template <class Address>
class Naive {
public:
    explicit Naive(const std::vector<Route<Address>>& routes)
        : by_length_(sizeof(Address) * 8 + 1) {
        std::uint64_t value = 0;
        for (const Route<Address>& route : routes)
            by_length_[route.length].emplace_back(route.prefix, ++value);
        for (auto& all : by_length_)
            std::sort(all.begin(), all.end());
    }
    std::uint64_t lookup(Address address) const {
        for (std::size_t length = by_length_.size(); length-- != 0;) {
            const auto& all = by_length_[length];
            const Address prefix = test::masked(address, static_cast<unsigned>(length));
            const auto at =
                std::lower_bound(all.begin(), all.end(), std::pair{prefix, std::uint64_t{0}});
            if (at != all.end() && at->first == prefix)
                return at->second;
        }
        return 0;
    }

private:
    std::vector<std::vector<std::pair<Address, std::uint64_t>>> by_length_;
};

template <class Address>
void compare(
    const Naive<Address>& naive,
    const std::vector<Address>& addresses,
    const std::vector<std::uint64_t>& values,
    const char* system
) {
    for (std::size_t i = 0; i < addresses.size(); i += 7)
        if (values[i] != naive.lookup(addresses[i])) {
            std::fprintf(stderr, "lpm_bench: %s answers otherwise than the definition\n", system);
            std::exit(1);
        }
}

void measure_fib(
    const std::string& workload,
    const std::vector<Route<std::uint32_t>>& routes,
    const std::vector<std::uint32_t>& addresses,
    const Naive<std::uint32_t>& naive
) {
    rte_fib_conf conf{};
    conf.type = RTE_FIB_DIR24_8;
    conf.max_routes = static_cast<int>(routes.size() * 2);
    conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_8B;
    conf.dir24_8.num_tbl8 = 1 << 16;
    const auto start = Clock::now();
    rte_fib* fib = rte_fib_create("bench", SOCKET_ID_ANY, &conf);
    if (fib == nullptr)
        fail("rte_fib_create");
    for (std::size_t i = 0; i < routes.size(); ++i)
        if (rte_fib_add(
                fib, routes[i].prefix, static_cast<std::uint8_t>(routes[i].length), i + 1
            ) != 0)
            fail("rte_fib_add");
    const double build = since(start);
    std::vector<std::uint64_t> values(addresses.size());
    std::vector<std::uint32_t> copy = addresses;
    const auto lookup = [&] {
        for (std::size_t i = 0; i < addresses.size(); i += burst_max)
            rte_fib_lookup_bulk(fib, &copy[i], &values[i], burst_max);
    };
    lookup();
    compare(naive, addresses, values, "rte_fib");
    const Spread cycles = cycles_of(addresses.size(), lookup);
    std::mt19937_64 engine{7};
    const auto updates = Clock::now();
    for (int i = 0; i < 20'000; ++i) {
        const std::size_t at = engine() % routes.size();
        const auto length = static_cast<std::uint8_t>(routes[at].length);
        if (rte_fib_delete(fib, routes[at].prefix, length) != 0 ||
            rte_fib_add(fib, routes[at].prefix, length, at + 1) != 0)
            fail("rte_fib_delete, rte_fib_add");
    }
    print(
        workload,
        "rte_fib",
        cycles,
        double(8 << 24) / static_cast<double>(routes.size()),
        build,
        since(updates) / 40'000 * 1e9
    );
    rte_fib_free(fib);
}

void measure_lpm(
    const std::string& workload,
    const std::vector<Route<std::uint32_t>>& routes,
    const std::vector<std::uint32_t>& addresses,
    const Naive<std::uint32_t>& naive
) {
    rte_lpm_config conf{};
    conf.max_rules = static_cast<std::uint32_t>(routes.size() + 1);
    conf.number_tbl8s = 1 << 16;
    rte_lpm* lpm = rte_lpm_create("bench", SOCKET_ID_ANY, &conf);
    if (lpm == nullptr)
        fail("rte_lpm_create");
    // In the order of lengths: rte_lpm moves all rules of greater length for each one it adds.
    std::vector<std::size_t> order(routes.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return routes[a].length < routes[b].length;
    });
    const auto start = Clock::now();
    for (const std::size_t i : order)
        if (since(start) > 20 || rte_lpm_add(
                                     lpm,
                                     routes[i].prefix,
                                     static_cast<std::uint8_t>(routes[i].length),
                                     static_cast<std::uint32_t>(i + 1)
                                 ) != 0) {
            std::printf("%-28s %-10s does not load in 20 s\n", workload.c_str(), "rte_lpm");
            rte_lpm_free(lpm);
            return;
        }
    const double build = since(start);
    std::vector<std::uint64_t> values(addresses.size());
    const auto lookup = [&] {
        for (std::size_t i = 0; i < addresses.size(); i += 4) {
            __m128i four;
            std::memcpy(&four, &addresses[i], sizeof four);
            std::uint32_t hop[4];
            rte_lpm_lookupx4(lpm, four, hop, 0);
            for (std::size_t k = 0; k < 4; ++k)
                values[i + k] = hop[k];
        }
    };
    lookup();
    compare(naive, addresses, values, "rte_lpm");
    print(
        workload,
        "rte_lpm",
        cycles_of(addresses.size(), lookup),
        double(4 << 24) / static_cast<double>(routes.size()),
        build,
        0
    );
    rte_lpm_free(lpm);
}

void measure_fib6(
    const std::string& workload,
    const std::vector<Route<U128>>& routes,
    const std::vector<U128>& addresses,
    const Naive<U128>& naive
) {
    rte_fib6_conf conf{};
    conf.type = RTE_FIB6_TRIE;
    conf.max_routes = static_cast<int>(routes.size() * 2);
    conf.trie.nh_sz = RTE_FIB6_TRIE_8B;
    conf.trie.num_tbl8 = 1 << 19;
    const auto start = Clock::now();
    rte_fib6* fib = rte_fib6_create("bench6", SOCKET_ID_ANY, &conf);
    if (fib == nullptr)
        fail("rte_fib6_create");
    const auto bytes_of = [](U128 address, std::uint8_t* to) {
        const std::uint64_t words[2] = {
            __builtin_bswap64(address.high), __builtin_bswap64(address.low)};
        std::memcpy(to, words, 16);
    };
    std::uint8_t bytes[16];
    for (std::size_t i = 0; i < routes.size(); ++i) {
        bytes_of(routes[i].prefix, bytes);
        if (rte_fib6_add(fib, bytes, static_cast<std::uint8_t>(routes[i].length), i + 1) != 0)
            fail("rte_fib6_add");
    }
    const double build = since(start);
    std::vector<std::uint64_t> values(addresses.size());
    std::vector<std::array<std::uint8_t, 16>> wire(addresses.size());
    for (std::size_t i = 0; i < wire.size(); ++i)
        bytes_of(addresses[i], wire[i].data());
    const auto lookup = [&] {
        for (std::size_t i = 0; i < addresses.size(); i += burst_max)
            rte_fib6_lookup_bulk(
                fib, reinterpret_cast<std::uint8_t(*)[16]>(&wire[i]), &values[i], burst_max
            );
    };
    lookup();
    compare(naive, addresses, values, "rte_fib6");
    const Spread cycles = cycles_of(addresses.size(), lookup);
    std::mt19937_64 engine{7};
    const auto updates = Clock::now();
    for (int i = 0; i < 5'000; ++i) {
        const std::size_t at = engine() % routes.size();
        bytes_of(routes[at].prefix, bytes);
        const auto length = static_cast<std::uint8_t>(routes[at].length);
        if (rte_fib6_delete(fib, bytes, length) != 0 ||
            rte_fib6_add(fib, bytes, length, at + 1) != 0)
            fail("rte_fib6_delete, rte_fib6_add");
    }
    print(
        workload,
        "rte_fib6",
        cycles,
        double((8u << 24) + (std::size_t{1} << 19) * 256 * 8) / static_cast<double>(routes.size()),
        build,
        since(updates) / 10'000 * 1e9
    );
    rte_fib6_free(fib);
}

template <class Address>
void measure(const std::string& workload, const std::vector<Route<Address>>& routes, bool peers) {
    const std::vector<Address> addresses = addresses_over(routes, 1 << 20);
    const Naive<Address> naive{routes};
    std::vector<std::uint64_t> values(addresses.size());
    {
        const auto start = Clock::now();
        Ours<Address> ours{routes};
        const double build = since(start);
        ours.lookup(addresses, values);
        compare(naive, addresses, values, "weft");
        const Spread cycles = cycles_of(addresses.size(), [&] { ours.lookup(addresses, values); });
        const double bytes =
            static_cast<double>(ours.lpm.memory_bytes()) / static_cast<double>(routes.size());
        const double nodes =
            static_cast<double>(ours.lpm.used_bytes()) / static_cast<double>(routes.size());
        print(workload, "weft", cycles, bytes, build, ours.update_ns(routes));
        std::printf(
            "%-28s            nodes %.1f B/route, %u nodes and %u lines at most\n",
            "",
            nodes,
            ours.lpm.nodes_max(ours.root),
            ours.lpm.lines_max(ours.root)
        );
    }
    if (!peers)
        return;
    if constexpr (sizeof(Address) == 4) {
        measure_fib(workload, routes, addresses, naive);
        measure_lpm(workload, routes, addresses, naive);
    } else {
        measure_fib6(workload, routes, addresses, naive);
    }
}

} // namespace
} // namespace weft

int main(int argc, char** argv) {
    using namespace weft;
    const bool peers = !(argc > 1 && std::strcmp(argv[1], "--quick") == 0);
    if (peers) {
        char program[] = "lpm_bench", no_huge[] = "--no-huge", memory[] = "-m",
             megabytes[] = "4096", no_pci[] = "--no-pci", no_conf[] = "--no-shconf",
             lcores[] = "--lcores=0", quiet[] = "--log-level=4";
        char* arguments[] = {program, no_huge, memory, megabytes, no_pci, no_conf, lcores, quiet};
        if (rte_eal_init(8, arguments) < 0)
            fail("rte_eal_init");
    }
    std::printf(
        "cycles: least, median, most of 9 rounds; %.2f cycles a ns; addresses drawn over the "
        "routes, bursts of 32\n",
        tsc_per_ns()
    );
    measure("IPv4, 1k scattered", test::scattered_routes4(1'000, 3), peers);
    measure("IPv4, 10k scattered", test::scattered_routes4(10'000, 3), false);
    measure("IPv4, 100k internet-like", test::internet_routes4(100'000, 3), false);
    measure("IPv4, 1M internet-like", test::internet_routes4(1'000'000, 3), peers);
    measure("IPv4, 1M scattered", test::scattered_routes4(1'000'000, 3), peers);
    measure("IPv6, 1k internet-like", test::internet_routes6(1'000, 3), peers);
    measure("IPv6, 200k internet-like", test::internet_routes6(200'000, 3), peers);
    return 0;
}
