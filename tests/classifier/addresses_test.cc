// Tables of addresses, of which each is one entry of one mask. A hit reads one bucket where nothing
// overflows from it: nearly all do, whatever their number, however they follow each other and
// whichever hash key the process drew.
#include "classifier/tuple_space.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace weft {
namespace {

using test::ManualReclaimer;

bool any_order(const Entry&, const Entry&) {
    return false;
}

constexpr std::size_t tables = 8;
constexpr std::uint64_t hash_key(std::size_t table) {
    return (table + 1) * 0x9e37'79b9'7f4a'7c15u;
}

/// Greater than what a direct index takes, in steps of 2^k, as those that a vendor or a script
/// gives out are (of a MAC in the upper bits of a word by 2^16), or drawn.
struct Addresses {
    static constexpr unsigned drawn = 64;
    unsigned step_bits;
    bool of_network = false; // whose number is a word of its own
    std::mt19937_64 random{1};

    std::uint64_t next(std::uint64_t number) {
        return step_bits == drawn ? random() >> 16 : (number << step_bits) + 0x1'0001;
    }
    Pattern pattern(std::uint64_t address) const {
        Pattern made;
        made.add(1, ~std::uint64_t{0}, address);
        if (of_network)
            made.add(2, 0xff'ffff, 7);
        return made;
    }
};

/// Per mille of the addresses.
struct Share {
    double behind = 0; // their bucket overflows
    double alike = 0;  // entries of their bucket that have their signature and not their value
};

Share share_of(const TupleSpace& space, const std::vector<std::uint64_t>& addresses) {
    std::uint64_t behind = 0, alike = 0;
    FlowKey key{};
    key.word[2] = 7;
    for (const std::uint64_t address : addresses) {
        key.word[1] = address;
        const TupleSpace::Bound cost = space.cost(key, 1);
        behind += cost.lines - cost.entries > 1;
        alike += cost.entries - 1;
    }
    const double all = static_cast<double>(addresses.size());
    return {1e3 * static_cast<double>(behind) / all, 1e3 * static_cast<double>(alike) / all};
}

/// Of a table that grows to each of the sizes in turn.
std::vector<Share>
shares(std::uint64_t key, Addresses from, const std::vector<std::uint64_t>& sizes) {
    ManualReclaimer reclaimer;
    TupleSpace space{reclaimer, key, any_order};
    std::vector<std::uint64_t> addresses;
    std::vector<Share> made;
    for (const std::uint64_t size : sizes) {
        while (addresses.size() < size) {
            const std::uint64_t address = addresses.emplace_back(from.next(addresses.size()));
            space.insert(from.pattern(address), make_rank(1, 64), 1, {});
            if (addresses.size() % 8 == 0)
                reclaimer.run();
        }
        while (space.move_some(64) || space.is_moving())
            reclaimer.run_all();
        reclaimer.run_all();
        EXPECT_LE(space.memory_bytes(), size * (sizeof(Entry) + 48)) << size;
        made.push_back(share_of(space, addresses));
    }
    return made;
}

void expect_even(unsigned step_bits, const std::vector<std::uint64_t>& sizes) {
    std::vector<std::vector<double>> behind(sizes.size());
    for (std::size_t table = 0; table < tables; ++table) {
        const auto made = shares(hash_key(table), {step_bits, table % 2 != 0}, sizes);
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            behind[i].push_back(made[i].behind);
            EXPECT_LE(made[i].alike, 10.0) << sizes[i] << " in steps of 2^" << step_bits;
        }
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        std::sort(behind[i].begin(), behind[i].end());
        const double bucket = 8e3 / static_cast<double>(sizes[i]); // what one more of them adds
        EXPECT_LE(behind[i][tables / 2], 5.0 + bucket) << sizes[i] << ", 2^" << step_bits;
        EXPECT_LE(behind[i].back(), 15.0 + bucket) << sizes[i] << ", 2^" << step_bits;
    }
}

TEST(Addresses, that_are_drawn_lie_in_their_own_bucket) {
    expect_even(Addresses::drawn, {1'000, 1'500, 3'000, 10'000, 100'000});
}

TEST(Addresses, in_steps_as_those_of_macs_and_of_numbers_lie_in_their_own_bucket) {
    for (const unsigned step_bits : {0u, 16u})
        expect_even(step_bits, {1'000, 1'500, 3'000, 10'000, 100'000});
}

TEST(Addresses, in_steps_of_other_powers_of_two_lie_in_their_own_bucket) {
    for (const unsigned step_bits : {1u, 2u, 4u, 8u, 12u, 20u, 24u, 28u, 32u, 40u, 48u})
        expect_even(step_bits, {1'000, 1'500, 3'000, 10'000});
}

TEST(Addresses, a_million_lie_in_their_own_bucket) {
    for (const unsigned step_bits : {16u, Addresses::drawn}) {
        const Share share = shares(hash_key(0), {step_bits}, {1'000'000}).front();
        EXPECT_LE(share.behind, 5.0) << "in steps of 2^" << step_bits;
        EXPECT_LE(share.alike, 0.5) << "in steps of 2^" << step_bits;
    }
}

TEST(Addresses, take_memory_in_proportion_at_any_size) {
    std::vector<std::uint64_t> sizes;
    for (std::uint64_t size = 1'000; size < 120'000; size = size * 11 / 10)
        sizes.push_back(size);
    for (const Share& share : shares(hash_key(0), {Addresses::drawn}, sizes))
        EXPECT_LE(share.behind, 10.0);
}

} // namespace
} // namespace weft
