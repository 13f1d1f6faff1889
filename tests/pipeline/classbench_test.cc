// Filter sets as firewalls and access lists have them (ClassBench) in one table, against the naive
// lookup, while rules leave and come back.
#include "tests/oracle/ovs_text.hh"
#include "tests/oracle/pair.hh"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iostream>
#include <sstream>

namespace weft::oracle {
namespace {

using F = FieldId;

struct Prefix {
    std::uint64_t value = 0, mask = 0;
};

/// The prefixes of 16 bits that make up [low, high].
std::vector<Prefix> prefixes(std::uint64_t low, std::uint64_t high) {
    std::vector<Prefix> all;
    while (low <= high) {
        std::uint64_t size = 1;
        while (low % (2 * size) == 0 && low + 2 * size - 1 <= high)
            size *= 2;
        all.push_back({low, 0xffff & ~(size - 1)});
        low += size;
    }
    return all;
}

void add(Term& term, F field, std::uint64_t value, std::uint64_t mask) {
    if (mask != 0)
        term.fields.push_back({field, U128{value & mask}, U128{mask}, {}});
}

/// "10.0.0.0/8" as a condition on `field`.
void add_network(Term& term, F field, std::string_view text) {
    const ovs::Sides sides = ovs::cut(text, "/");
    const auto bits = static_cast<unsigned>(ovs::number(sides.right).value().low);
    add(term, field, ovs::ip4(sides.left).value().low, (low_bits(32) & ~low_bits(32 - bits)).low);
}

/// One line: @SRC/len DST/len lo : hi lo : hi proto/mask flags/mask. The flags are left out.
Match filter(const std::string& line) {
    std::istringstream in{line.substr(1)};
    std::string src, dst, colon, proto;
    std::uint64_t src_low, src_high, dst_low, dst_high;
    in >> src >> dst >> src_low >> colon >> src_high >> dst_low >> colon >> dst_high >> proto;
    Term addresses;
    add_network(addresses, F::ip4_src, src);
    add_network(addresses, F::ip4_dst, dst);
    constexpr auto is_ip4 = static_cast<std::uint16_t>(Shape::ip4);
    add(addresses, F::shape, is_ip4, is_ip4);

    const bool any_port = src_low == 0 && src_high == 0xffff && dst_low == 0 && dst_high == 0xffff;
    const std::string number = proto.substr(0, proto.find('/'));
    const bool any_proto = proto.ends_with("/0x00");
    std::vector<Term> terms;
    const auto with_ports = [&](F src_port, F dst_port) {
        for (const Prefix& from : prefixes(src_low, src_high))
            for (const Prefix& to : prefixes(dst_low, dst_high)) {
                Term& term = terms.emplace_back(addresses);
                add(term, src_port, from.value, from.mask);
                add(term, dst_port, to.value, to.mask);
            }
    };
    if (any_port && any_proto) {
        terms.push_back(addresses);
    } else if (any_port || (!any_proto && number != "0x06" && number != "0x11")) {
        add(addresses, F::ip_proto, std::stoul(number, nullptr, 16), 0xff);
        terms.push_back(addresses);
    } else {
        if (any_proto || number == "0x06")
            with_ports(F::tcp_src, F::tcp_dst);
        if (any_proto || number == "0x11")
            with_ports(F::udp_src, F::udp_dst);
    }
    return canonical(std::move(terms));
}

class ClassBench : public testing::TestWithParam<const char*> {};

TEST_P(ClassBench, packets_near_the_filters_hit_what_the_naive_lookup_says) {
    std::ifstream file{std::string{WEFT_SHARED_DIR "/classbench/"} + GetParam()};
    if (!file)
        GTEST_SKIP() << "the filter sets are not here: " WEFT_SHARED_DIR "/classbench/"
                     << GetParam();
    std::vector<Match> filters;
    Values values;
    std::size_t terms = 0;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("@")) {
            filters.push_back(filter(line));
            values.add(filters.back());
            terms += filters.back().terms.size();
        }
    ASSERT_GT(filters.size(), 800);

    Random random{7};
    Pair pair{TableLimits{}, random()};
    const BridgeId main = pair.bridge("main");
    const auto priority_of = [&](std::size_t at) {
        return static_cast<std::uint32_t>(filters.size() - at);
    };
    std::vector<std::size_t> away;
    for (std::size_t at = 0; at < filters.size(); ++at)
        pair.insert(main, 0, priority_of(at), filters[at], {{action::Drop{}}});
    for (int round = 0; round < 8; ++round) {
        for (const std::size_t at : std::exchange(away, {}))
            pair.insert(main, 0, priority_of(at), filters[at], {{action::Drop{}}});
        for (int i = 0; i < 200; ++i) {
            const std::size_t place = below(random, pair.rules(main, 0).size());
            away.push_back(filters.size() - pair.rules(main, 0)[place].priority);
            pair.erase(main, 0, place);
        }
        pair.commit();
        while (pair.held() > 2)
            pair.release(0);
        for (int packet = 0; packet < 400; ++packet) {
            const Match& near = filters[below(random, filters.size())];
            FlowKey key = random_key(random, values, near.terms[below(random, near.terms.size())]);
            if (chance(random, 20)) // just outside
                key.word[3] ^= std::uint64_t{1} << below(random, 64);
            const Question question{packet_bytes(key, 0), PortId::none, main, nullptr, nullptr};
            const auto difference = pair.ask(question, below(random, pair.held()));
            ASSERT_FALSE(difference)
                << "round " << round << ", packet " << packet << ": " << *difference;
        }
    }
    std::cout << filters.size() << " filters, " << terms << " terms, "
              << pair.tally().drops[static_cast<std::size_t>(Drop::policy)] << " of "
              << pair.tally().walks << " packets hit one\n";
}

INSTANTIATE_TEST_SUITE_P(
    Sets,
    ClassBench,
    testing::Values("acl1_1k", "acl2_1k", "acl3_1k", "fw1_1k", "fw2_1k", "ipc1_1k")
);

} // namespace
} // namespace weft::oracle
