// Random tables of rules that ask for names among other things, against the naive lookup, while
// they change and generations are held.
#include "control/language/language.hh"
#include "tests/oracle/pair.hh"
#include "tests/oracle/random_rules.hh"
#include "tests/support/name_payloads.hh"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace weft::oracle {

namespace {

class NamedTable {
public:
    explicit NamedTable(std::uint64_t seed) : random_{seed} {
        pair_.bridge("main");
        for (const char* name : {"p1", "p2", "p3"})
            ports_.push_back(pair_.port(BridgeId::main, name, {}));
        pair_.commit();
    }

    void change() {
        for (std::size_t i = below(random_, 6); i > 0; --i) {
            const std::uint32_t table = table_number();
            const auto& rules = pair_.rules(BridgeId::main, table);
            if (!rules.empty() && chance(random_, rules.size() < 40 ? 30 : 60))
                pair_.erase(BridgeId::main, table, below(random_, rules.size()));
            else
                insert(table);
        }
        if (chance(random_, 20))
            if (auto job = pair_.tables().next_names())
                pair_.tables().adopt_wildcards(
                    job->table, CompiledWildcards::compile(job->wildcards)
                );
        pair_.tables().tidy(64);
        pair_.commit();
        while (pair_.held() > 4)
            pair_.release(below(random_, pair_.held() - 1));
    }
    std::optional<std::string> ask() {
        const PortId ingress = ports_[below(random_, ports_.size())];
        std::vector<Question> questions;
        for (std::size_t i = below(random_, 16) + 1; i > 0; --i)
            questions.push_back({packet(), ingress, BridgeId::main, nullptr, nullptr});
        const std::size_t which = below(random_, pair_.held());
        if (auto difference = pair_.ask_burst(questions, which))
            return difference;
        return pair_.ask(questions.front(), which);
    }
    Pair& pair() { return pair_; }

private:
    std::uint32_t table_number() { return static_cast<std::uint32_t>(below(random_, 2)); }
    std::string label() {
        static constexpr std::array some = {"a", "b", "ab", "api-a", "api-b"};
        return some[below(random_, some.size())];
    }
    std::string name() {
        std::string out = label();
        for (std::size_t more = below(random_, 4); more > 0; --more)
            out += "." + label();
        return out;
    }
    std::string pattern() {
        switch (below(random_, 8)) {
        case 0:
            return "*";
        case 1:
        case 2:
            return "*." + name();
        case 3:
            return "api-*." + name();
        case 4:
            return "*.a*." + name();
        default:
            return name();
        }
    }
    std::string named() {
        static constexpr std::array fields = {"tls.sni", "http.host", "dns.qname"};
        std::string out = fields[below(random_, fields.size())];
        if (chance(random_, 70))
            return out + " == \"" + pattern() + "\"";
        return out + " == {\"" + pattern() + "\", \"" + pattern() + "\"}";
    }
    std::string other() {
        static constexpr std::array some = {
            "1",
            "ip4.src == 10.0.0.0/8",
            "ip4.dst == 10.0.0.2",
            "inport == 1",
            "tcp.dst == {80, 443}",
            "udp.dst == 50..60",
            "reg0 == 1",
            "vlan.present",
            "ip.ttl == 64"};
        return some[below(random_, some.size())];
    }
    void insert(std::uint32_t table) {
        std::string text = chance(random_, 75) ? named() : other();
        if (chance(random_, 50))
            text += " && " + other();
        if (chance(random_, 20))
            text = "(" + text + ") || " + (chance(random_, 50) ? named() : other());
        const auto match = parse_match(text);
        ASSERT_TRUE(match) << text << ": " << match.error().what;
        const auto priority = static_cast<std::uint32_t>(below(random_, 3));
        for (const SpecRule& known : pair_.rules(BridgeId::main, table))
            if (known.priority == priority && known.match == *match)
                return;
        static constexpr std::array to_do = {
            "output(\"p1\");",
            "output(\"p2\");",
            "drop;",
            "clone { udp.dst = 5; call(1); }; output(\"p3\");",
            "reg0 = 1; ip4.dst = 10.0.0.9; goto(1);",
            "vlan.push(0x8100); call(1);"};
        const auto actions = parse_actions(to_do[below(random_, table == 0 ? to_do.size() : 3)]);
        pair_.insert(BridgeId::main, table, priority, *match, *actions);
    }
    test::Bytes packet() {
        static constexpr std::array fields = {
            FieldId::tls_sni, FieldId::http_host, FieldId::dns_qname};
        test::PacketSpec made = test::asking(fields[below(random_, fields.size())], name());
        if (chance(random_, 20))
            made.vlan(5);
        if (chance(random_, 10))
            made.payload("no name");
        return made.bytes();
    }

    Random random_;
    Pair pair_{
        {.ports = 16, .groups = 16, .meters = 16, .tables = 16, .bridges = 4, .rules = 10'000}};
    std::vector<PortId> ports_;
};

} // namespace

TEST(NamesOracle, random_tables_agree_at_every_held_generation) {
    std::uint64_t walks = 0, named = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        NamedTable table{seed};
        for (int step = 0; step < 80; ++step) {
            ASSERT_NO_FATAL_FAILURE(table.change());
            for (int i = 0; i < 4; ++i) {
                const auto difference = table.ask();
                ASSERT_EQ(difference, std::nullopt) << "seed " << seed << ", step " << step;
            }
        }
        EXPECT_EQ(table.pair().compare_counters(), std::nullopt) << "seed " << seed;
        walks += table.pair().tally().walks;
        named += table.pair().tally().outputs;
    }
    EXPECT_GT(walks, 3'000u);
    EXPECT_GT(named, 1'000u);
}

} // namespace weft::oracle
