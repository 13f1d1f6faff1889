#include "tests/support/routes.hh"

#include <algorithm>
#include <random>
#include <set>
#include <span>

namespace weft::test {

namespace {

using Engine = std::mt19937_64;

struct Share {
    unsigned length;
    unsigned weight;
};

unsigned draw(std::span<const Share> shares, Engine& engine) {
    unsigned total = 0;
    for (const Share& share : shares)
        total += share.weight;
    auto at = static_cast<unsigned>(engine() % total);
    for (const Share& share : shares) {
        if (at < share.weight)
            return share.length;
        at -= share.weight;
    }
    return shares.back().length;
}

std::uint32_t random_address(Engine& engine, std::uint32_t) {
    // 1.0.0.0 to 223.255.255.255
    return static_cast<std::uint32_t>((engine() % 223 + 1) << 24 | (engine() & 0xff'ffff));
}
U128 random_address(Engine& engine, U128) {
    return {std::uint64_t{1} << 61 | (engine() & 0x0fff'ffff'ffff'ffff), engine()}; // in 2000::/3
}

/// An address in the block of `length` bits that begins at `base`.
template <class Address>
Address address_in(Address base, unsigned length, Address random) {
    return base | (random ^ masked(random, length));
}

/// Allocations, each announced whole and in pieces until `count` routes are there.
template <class Address>
std::vector<Route<Address>> allocated(
    std::size_t count,
    std::uint64_t seed,
    std::span<const Share> allocations,
    std::span<const Share> specifics,
    unsigned mean_pieces
) {
    Engine engine{seed};
    std::set<Route<Address>> routes;
    while (routes.size() < count) {
        const unsigned length = draw(allocations, engine);
        const Address base = masked(random_address(engine, Address{}), length);
        routes.insert({base, length});
        // Few are cut into many pieces, most into few.
        const double share = std::exponential_distribution<>{1.0 / mean_pieces}(engine);
        for (auto left = static_cast<std::size_t>(share); left != 0 && routes.size() < count;
             --left) {
            const unsigned piece = std::max(draw(specifics, engine), length);
            routes.insert(
                {masked(address_in(base, length, random_address(engine, Address{})), piece), piece}
            );
        }
    }
    std::vector<Route<Address>> all{routes.begin(), routes.end()};
    std::shuffle(all.begin(), all.end(), engine);
    return all;
}

} // namespace

std::uint32_t masked(std::uint32_t address, unsigned length) noexcept {
    return length == 0 ? 0 : address & ~std::uint32_t{0} << (32 - length);
}
U128 masked(U128 address, unsigned length) noexcept {
    return address & ~low_bits(128 - length);
}

std::vector<Route<std::uint32_t>> internet_routes4(std::size_t count, std::uint64_t seed) {
    static constexpr Share allocations[] = {
        {8, 1},
        {10, 2},
        {11, 3},
        {12, 6},
        {13, 10},
        {14, 18},
        {15, 24},
        {16, 120},
        {17, 50},
        {18, 80},
        {19, 130},
        {20, 200},
        {21, 180},
        {22, 400},
        {23, 100},
        {24, 300}};
    static constexpr Share specifics[] = {
        {16, 10},
        {17, 8},
        {18, 14},
        {19, 25},
        {20, 45},
        {21, 50},
        {22, 110},
        {23, 95},
        {24, 620},
        {25, 1},
        {28, 1},
        {32, 1}};
    return allocated<std::uint32_t>(count, seed, allocations, specifics, 12);
}

std::vector<Route<U128>> internet_routes6(std::size_t count, std::uint64_t seed) {
    static constexpr Share allocations[] = {
        {20, 1},
        {24, 2},
        {28, 6},
        {29, 60},
        {30, 10},
        {32, 240},
        {36, 20},
        {40, 30},
        {44, 30},
        {48, 100}};
    static constexpr Share specifics[] = {
        {33, 15},
        {34, 15},
        {36, 50},
        {38, 15},
        {40, 90},
        {42, 30},
        {44, 120},
        {46, 40},
        {47, 30},
        {48, 480},
        {56, 4},
        {64, 4},
        {127, 1},
        {128, 2}};
    return allocated<U128>(count, seed, allocations, specifics, 8);
}

std::vector<Route<std::uint32_t>> scattered_routes4(std::size_t count, std::uint64_t seed) {
    static constexpr Share lengths[] = {
        {8, 1},
        {12, 1},
        {14, 2},
        {16, 8},
        {17, 3},
        {18, 4},
        {19, 6},
        {20, 8},
        {21, 6},
        {22, 12},
        {23, 10},
        {24, 36},
        {26, 1},
        {28, 1},
        {32, 1}};
    Engine engine{seed};
    std::set<Route<std::uint32_t>> routes;
    while (routes.size() < count) {
        const unsigned length = draw(lengths, engine);
        routes.insert({masked(random_address(engine, std::uint32_t{}), length), length});
    }
    std::vector<Route<std::uint32_t>> all{routes.begin(), routes.end()};
    std::shuffle(all.begin(), all.end(), engine);
    return all;
}

} // namespace weft::test
