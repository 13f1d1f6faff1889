#include "pipeline/hops.hh"
#include "pipeline/program.hh"

#include <gtest/gtest.h>

namespace weft {
namespace {

Hop to(std::uint32_t port) {
    Hop hop = with_address({}, 1, 0x0200'0000'00aa'0000);
    hop.port = static_cast<PortId>(port);
    hop.decrements_ttl = true;
    return hop;
}

TEST(Hops, equal_ones_share_a_number_until_the_last_user_is_gone) {
    Hops hops;
    const auto first = hops.take(to(1));
    const auto other = hops.take(to(2));
    ASSERT_TRUE(first && other);
    EXPECT_NE(*first, *other);
    EXPECT_EQ(hops.take(to(1)), first);
    EXPECT_EQ(hops.first()[*first], to(1));
    hops.give_back(*first);
    EXPECT_EQ(hops.take(to(1)), first);
    hops.give_back(*first);
    hops.give_back(*first);
    EXPECT_EQ(hops.take(to(3)), first);
    EXPECT_EQ(hops.first()[*first], to(3));
    EXPECT_EQ(hops.first()[*other], to(2));
}

TEST(Hops, where_there_is_no_number_left_nothing_is_taken) {
    Hops hops;
    for (std::uint32_t port = 0; port < Hops::hops_max; ++port)
        ASSERT_TRUE(hops.take(to(port)).has_value()) << port;
    EXPECT_FALSE(hops.take(to(Hops::hops_max)).has_value());
    EXPECT_TRUE(hops.take(to(7)).has_value());
    hops.give_back(9);
    EXPECT_EQ(hops.take(to(Hops::hops_max)), 9);
}

TEST(Hops, lists_of_operations_hold_theirs) {
    OpLists lists;
    const auto list = [&](std::uint32_t port) {
        return std::vector<Op>{
            {.kind = Op::Kind::hop, .arg = *lists.hops().take(to(port))},
            {.kind = Op::Kind::dec_ttl},
            {.kind = Op::Kind::output_port, .arg = port},
            {.kind = Op::Kind::end},
        };
    };
    auto one = lists.share(list(1));
    auto again = lists.share(list(1));
    EXPECT_EQ(one, again);
    const std::uint32_t number = one[0].arg;
    one.reset();
    EXPECT_NE(*lists.hops().take(to(2)), number); // held by the other
    again.reset();
    EXPECT_EQ(*lists.hops().take(to(3)), number);
}

} // namespace
} // namespace weft
