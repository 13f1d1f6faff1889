// Whose slots a select group's buckets have, held against the naive definition, and what changes of
// the buckets move.
#include "pipeline/parse.hh"
#include "pipeline/table.hh"
#include "tests/oracle/naive_group.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/packets.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace weft {
namespace {

using namespace weft::test;
using Buckets = std::vector<BucketSettings>;

Buckets buckets_of(std::initializer_list<std::pair<std::uint64_t, std::uint32_t>> known) {
    Buckets buckets;
    for (const auto& [identity, weight] : known)
        buckets.push_back({.weight = weight, .identity = identity});
    return buckets;
}

Buckets equal_ones(std::size_t count) {
    Buckets buckets;
    for (std::size_t i = 0; i < count; ++i)
        buckets.push_back({.weight = 1, .identity = 1'000 + 77 * i});
    return buckets;
}

/// Who has each slot, by identity: places may change.
std::vector<std::uint64_t> owners(const Buckets& buckets) {
    std::vector<std::uint64_t> of;
    for (const std::uint16_t bucket : deal_slots(buckets))
        of.push_back(buckets[bucket].identity);
    return of;
}

std::map<std::uint64_t, std::uint64_t> shares(const Buckets& buckets) {
    std::map<std::uint64_t, std::uint64_t> count;
    for (const std::uint64_t owner : owners(buckets))
        ++count[owner];
    return count;
}

/// What the header promises of a share, four times over.
double give_or_take(double share) {
    return 4 * std::sqrt(share * (1 - share) * group_slots) + 1;
}

TEST(GroupSlots, shares_are_those_of_the_weights) {
    for (const std::size_t count : {2u, 3u, 5u, 16u, 64u, 300u})
        for (const auto& [identity, slots] : shares(equal_ones(count)))
            EXPECT_NEAR(
                static_cast<double>(slots),
                static_cast<double>(group_slots) / static_cast<double>(count),
                give_or_take(1.0 / static_cast<double>(count))
            ) << count
              << " buckets, " << identity;
    const auto weighted = shares(buckets_of({{1, 1}, {2, 2}, {3, 3}, {4, 10}, {5, 0}}));
    EXPECT_EQ(weighted.size(), 4u) << "a bucket without a weight has no slot";
    for (const auto& [identity, weight] : {std::pair{1u, 1.0}, {2u, 2.0}, {3u, 3.0}, {4u, 10.0}})
        EXPECT_NEAR(
            static_cast<double>(weighted.at(identity)),
            weight / 16 * group_slots,
            give_or_take(weight / 16)
        ) << identity;
}

TEST(GroupSlots, a_bucket_that_leaves_moves_its_own_slots_alone) {
    const Buckets before = equal_ones(10);
    const auto had = owners(before);
    for (std::size_t gone = 0; gone < before.size(); ++gone) {
        Buckets after = before;
        after.erase(after.begin() + static_cast<std::ptrdiff_t>(gone));
        const auto has = owners(after);
        std::map<std::uint64_t, std::uint64_t> heirs;
        for (std::size_t slot = 0; slot < group_slots; ++slot) {
            if (had[slot] == before[gone].identity)
                ++heirs[has[slot]];
            else
                ASSERT_EQ(has[slot], had[slot]) << "slot " << slot << " without bucket " << gone;
        }
        EXPECT_EQ(heirs.size(), after.size()) << "what it leaves goes to all";
        const auto left = static_cast<double>(shares(before).at(before[gone].identity));
        for (const auto& [heir, slots] : heirs)
            EXPECT_NEAR(static_cast<double>(slots), left / 9, 5 * std::sqrt(left / 9)) << heir;
    }
}

TEST(GroupSlots, a_bucket_that_comes_takes_its_share_and_nothing_else_moves) {
    const Buckets before = equal_ones(9);
    Buckets after = before;
    after.insert(after.begin() + 3, {.weight = 1, .identity = 5});
    const auto had = owners(before), has = owners(after);
    double moved = 0;
    for (std::size_t slot = 0; slot < group_slots; ++slot) {
        if (has[slot] == had[slot])
            continue;
        ASSERT_EQ(has[slot], 5u);
        ++moved;
    }
    EXPECT_NEAR(moved, group_slots / 10.0, give_or_take(0.1));
}

TEST(GroupSlots, another_weight_moves_slots_to_the_bucket_or_from_it) {
    const Buckets before = buckets_of({{1, 100}, {2, 100}, {3, 100}});
    Buckets more = before, less = before;
    more[1].weight = 150;
    less[1].weight = 50;
    const auto had = owners(before), gained = owners(more), lost = owners(less);
    for (std::size_t slot = 0; slot < group_slots; ++slot) {
        EXPECT_TRUE(gained[slot] == had[slot] || gained[slot] == 2);
        EXPECT_TRUE(lost[slot] == had[slot] || had[slot] == 2);
    }
    EXPECT_NE(gained, had);
    EXPECT_NE(lost, had);
}

TEST(GroupSlots, the_places_of_buckets_mean_nothing) {
    Buckets buckets = buckets_of({{1, 3}, {2, 1}, {3, 7}, {4, 0}, {5, 2}});
    const auto before = owners(buckets);
    std::reverse(buckets.begin(), buckets.end());
    EXPECT_EQ(owners(buckets), before);
    std::swap(buckets[0], buckets[2]);
    EXPECT_EQ(owners(buckets), before);
}

TEST(GroupSlots, equal_buckets_share_what_they_have) {
    const Buckets twins = buckets_of({{1, 1}, {1, 1}, {2, 2}});
    std::array<std::uint64_t, 3> count{};
    for (const std::uint16_t bucket : deal_slots(twins))
        ++count[bucket];
    EXPECT_NEAR(static_cast<double>(count[0]), group_slots / 4.0, give_or_take(0.25));
    EXPECT_NEAR(static_cast<double>(count[1]), group_slots / 4.0, give_or_take(0.25));
}

TEST(GroupSlots, one_bucket_with_a_weight_needs_one_slot_and_none_none) {
    EXPECT_EQ(deal_slots(buckets_of({{1, 0}, {2, 5}})), std::vector<std::uint16_t>{1});
    EXPECT_TRUE(deal_slots(buckets_of({{1, 0}})).empty());
    EXPECT_TRUE(deal_slots({}).empty());
}

TEST(GroupSlots, the_greatest_weights_and_counts_are_dealt_too) {
    const auto count = shares(buckets_of({{1, 0xffff'ffff}, {2, 1}, {3, 0xffff'ffff}}));
    EXPECT_FALSE(count.contains(2)) << "its share is less than a slot";
    EXPECT_NEAR(static_cast<double>(count.at(1)), group_slots / 2.0, give_or_take(0.5));
    EXPECT_GE(shares(equal_ones(1'024)).size(), 1'020u);
}

TEST(GroupSlots, slots_are_those_of_the_definition) {
    std::mt19937_64 random{7};
    for (int round = 0; round < 12; ++round) {
        GroupSettings group{.type = GroupType::select, .buckets = {}, .hash_fields = {}};
        const std::size_t count = 1 + random() % (round % 3 == 0 ? 60 : 7);
        for (std::size_t i = 0; i < count; ++i)
            group.buckets.push_back(
                {.weight = static_cast<std::uint32_t>(random() % 4),
                 .identity = random() % (2 * count)}
            );
        const auto dealt = deal_slots(group.buckets);
        for (int tries = 0; tries < 150; ++tries) {
            const std::uint64_t slot = random() % group_slots;
            const auto wanted = oracle::owner_of_slot(group, slot);
            ASSERT_EQ(wanted.has_value(), !dealt.empty());
            if (wanted) {
                ASSERT_EQ(dealt[slot % dealt.size()], *wanted) << "round " << round;
            }
        }
    }
}

// -- packets

FlowKey key_of(const PacketSpec& spec) {
    OwnedPacket owned{spec.bytes()};
    FlowKey key;
    EXPECT_EQ(parse(owned.packet, PortNumber{1}, {}, key), Drop::none);
    return key;
}

FlowKey flow(std::uint32_t number) {
    return key_of(
        udp("10.1." + std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255) + ":" +
            std::to_string(1'024 + number % 5'000) + " > 10.2.0.1:53")
    );
}

/// A select group in real tables, each bucket with a port to watch.
class Live : public testing::Test {
protected:
    Live() {
        for (std::size_t i = 0; i < 4; ++i) {
            ports_.push_back(*tables_.port_id(BridgeId::main, "p" + std::to_string(i)));
            (void)tables_.set_port(ports_[i], {});
            tables_.set_link(ports_[i], true);
            settings_.buckets.push_back({.weight = 1, .watch_port = ports_[i], .identity = 10 + i});
        }
        set();
    }
    void set() {
        tables_.set_group(BridgeId::main, id_, settings_);
        tables_.commit();
    }
    std::optional<std::size_t> choose(const FlowKey& key) {
        const World& world = tables_.world();
        const auto chosen = choose_bucket(*world.groups.find(index(id_)), key, world);
        std::vector<bool> live;
        for (const BucketSettings& bucket : settings_.buckets)
            live.push_back(world.link_up[index(bucket.watch_port)] != 0);
        EXPECT_EQ(chosen, oracle::select_bucket(settings_, key, live));
        return chosen;
    }

    ManualReclaimer reclaimer_;
    Tables tables_{{.rules = 100}, 1, reclaimer_, 0x5eed};
    GroupId id_ = *tables_.group_id(BridgeId::main, 1);
    std::vector<PortId> ports_;
    GroupSettings settings_{.type = GroupType::select, .buckets = {}, .hash_fields = {}};
};

TEST_F(Live, flows_are_shared_out_by_the_slots) {
    std::array<double, 4> count{};
    constexpr std::uint32_t flows = 20'000;
    for (std::uint32_t i = 0; i < flows; ++i)
        ++count[*choose_bucket(*tables_.world().groups.find(index(id_)), flow(i), tables_.world())];
    const auto slots = shares(settings_.buckets);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(
            count[i] / flows,
            static_cast<double>(slots.at(10 + i)) / group_slots,
            4 * std::sqrt(0.25 * 0.75 / flows)
        );
}

TEST_F(Live, a_link_that_fails_moves_its_own_flows_and_brings_them_back) {
    std::vector<std::size_t> before;
    for (std::uint32_t i = 0; i < 400; ++i)
        before.push_back(*choose(flow(i)));
    tables_.set_link(ports_[2], false);
    std::array<std::size_t, 4> heirs{};
    for (std::uint32_t i = 0; i < 400; ++i) {
        const std::size_t now = *choose(flow(i));
        if (before[i] == 2)
            ++heirs[now];
        else
            ASSERT_EQ(now, before[i]) << i;
    }
    EXPECT_EQ(heirs[2], 0u);
    EXPECT_TRUE(heirs[0] > 0 && heirs[1] > 0 && heirs[3] > 0);
    tables_.set_link(ports_[2], true);
    for (std::uint32_t i = 0; i < 400; ++i)
        ASSERT_EQ(choose(flow(i)), before[i]);
}

TEST_F(Live, the_last_live_bucket_takes_everything_and_without_it_there_is_none) {
    for (const std::size_t dead : {0u, 1u, 3u})
        tables_.set_link(ports_[dead], false);
    for (std::uint32_t i = 0; i < 200; ++i)
        ASSERT_EQ(choose(flow(i)), 2u);
    tables_.set_link(ports_[2], false);
    EXPECT_EQ(choose(flow(1)), std::nullopt);
}

TEST_F(Live, chosen_fields_alone_decide) {
    settings_.hash_fields = {FieldId::ip4_dst};
    set();
    std::array<std::size_t, 4> seen{};
    for (std::uint32_t i = 0; i < 100; ++i) {
        const std::string to = "10.9.0." + std::to_string(i);
        const auto chosen = choose(key_of(tcp("10.0.0.1:1 > " + to + ":80")));
        ASSERT_TRUE(chosen);
        EXPECT_EQ(choose(key_of(udp("10.0.7.7:9 > " + to + ":53"))), chosen);
        ++seen[*chosen];
    }
    for (const std::size_t count : seen)
        EXPECT_GT(count, 5u);
}

TEST(SymmetricHash, both_directions_of_a_connection_have_one_hash) {
    const std::pair<PacketSpec, PacketSpec> pairs[] = {
        {tcp("10.0.0.1:1000 > 10.0.0.2:80"), tcp("10.0.0.2:80 > 10.0.0.1:1000")},
        {udp("10.0.0.1:1000 > 10.0.0.2:53"), udp("10.0.0.2:53 > 10.0.0.1:1000")},
        {udp("[fd00::1]:1000 > [fd00:7::2]:53"), udp("[fd00:7::2]:53 > [fd00::1]:1000")},
        {sctp("10.0.0.1:7 > 10.0.0.2:9"), sctp("10.0.0.2:9 > 10.0.0.1:7")},
        {icmp("10.0.0.1 > 10.0.0.2").type(8), icmp("10.0.0.2 > 10.0.0.1").type(0)},
    };
    for (const auto& [there, back] : pairs)
        EXPECT_EQ(symmetric_hash(key_of(there)), symmetric_hash(key_of(back)));
    PacketSpec back = arp_request("10.0.0.1 > 10.0.0.2");
    EXPECT_EQ(
        symmetric_hash(key_of(arp_request("10.0.0.1 > 10.0.0.2"))),
        symmetric_hash(key_of(back.eth("ff:ff:ff:ff:ff:ff > 02:00:00:00:00:01")))
    );
}

TEST(SymmetricHash, fragments_of_a_packet_go_where_its_first_one_goes) {
    const auto first = key_of(udp("10.0.0.1:1000 > 10.0.0.2:53").size(200).fragment(0, true));
    const auto later = key_of(udp("10.0.0.1:1000 > 10.0.0.2:53").size(200).fragment(160, false));
    EXPECT_EQ(symmetric_hash(first), symmetric_hash(later));
}

TEST(SymmetricHash, one_bit_of_any_part_makes_another_hash) {
    const std::uint64_t base = symmetric_hash(key_of(udp("10.0.0.1:1000 > 10.0.0.2:53")));
    for (const char* other :
         {"10.0.0.1:1001 > 10.0.0.2:53",
          "10.0.0.1:1000 > 10.0.0.3:53",
          "10.0.0.9:1000 > 10.0.0.2:53",
          "10.0.0.1:1000 > 10.0.0.2:52"})
        EXPECT_NE(symmetric_hash(key_of(udp(other))), base) << other;
    EXPECT_NE(symmetric_hash(key_of(tcp("10.0.0.1:1000 > 10.0.0.2:53"))), base);
}

} // namespace
} // namespace weft
