// The table engine against the naive interpreter on random rules, while rules come and go and every
// held generation is asked. WEFT_ORACLE_SEEDS=first:count runs others than the usual seeds.
#include "control/language/language.hh"
#include "tests/oracle/pair.hh"
#include "tests/oracle/random_rules.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace weft::oracle {
namespace {

constexpr TableLimits small_limits{
    .ports = 64, .groups = 64, .tables = 64, .bridges = 4, .rules = 4'000, .macs_per_bridge = 4};

/// Two bridges with a few tables, ports, groups and two patch ports, changed at random.
class RandomSwitch {
public:
    explicit RandomSwitch(std::uint64_t seed) : random_{seed}, pair_{small_limits, random_()} {
        bridges_ = {pair_.bridge("main"), pair_.bridge("inner")};
        const std::size_t tables = 3 + below(random_, 4);
        for (std::uint32_t table = 0; table < tables; ++table)
            names_.tables.push_back(table);
        names_.ports = {"p1", "p2", "p3", "p4", "patch", "nowhere"};
        names_.groups = {1, 2, 3, 9};
        names_.conjunctions = {7, 8, 9};
        for (const BridgeId bridge : bridges_)
            for (const std::string& name : names_.ports)
                ports_.push_back({bridge, name, pair_.mention_port(bridge, name)});
        for (std::size_t i = 0; i < ports_.size(); ++i)
            if (ports_[i].name != "nowhere")
                set_port(i, false);
        for (const BridgeId bridge : bridges_)
            for (std::uint32_t table = 0; table < tables; ++table)
                fill(bridge, table);
        pair_.commit();
        pair_.release(0); // the bridges were not there yet
    }

    /// The next pipeline: a few changes and a generation.
    void change() {
        for (std::size_t i = below(random_, 6) + 1; i > 0; --i)
            change_one();
        pair_.commit();
        while (pair_.held() > 4 || (pair_.held() > 1 && chance(random_, 30)))
            pair_.release(below(random_, pair_.held() - 1));
    }

    std::optional<std::string> ask() {
        const std::size_t which = below(random_, pair_.held());
        const Port& ingress = ports_[below(random_, ports_.size())];
        std::vector<Question> questions;
        const std::size_t count = chance(random_, 30) ? 1 + below(random_, 8) : 1;
        for (std::size_t i = 0; i < count; ++i)
            questions.push_back(question(ingress));
        if (chance(random_, 20)) { // a packet-out
            auto actions = std::make_shared<const Actions>(random_actions(random_, names_, 0, 5));
            const auto program = pair_.compile(ingress.bridge, *actions);
            for (Question& one : questions) {
                one.first = actions;
                one.program = program;
            }
        }
        return pair_.ask_burst(questions, which);
    }

    std::optional<std::string> compare_counters() const { return pair_.compare_counters(); }
    const Tally& tally() const { return pair_.tally(); }

private:
    struct Port {
        BridgeId bridge;
        std::string name;
        PortId id;
        bool present = false;
    };

    BridgeId any_bridge() { return bridges_[below(random_, bridges_.size())]; }
    std::uint32_t any_table() { return names_.tables[below(random_, names_.tables.size())]; }

    Question question(const Port& ingress) {
        Term term;
        const auto& rules = pair_.rules(ingress.bridge, any_table());
        if (!rules.empty()) {
            const SpecRule& rule = rules[below(random_, rules.size())];
            if (!rule.match.terms.empty())
                term = rule.match.terms[below(random_, rule.match.terms.size())];
        }
        Question question;
        question.bytes =
            packet_bytes(random_key(random_, random_values(), term), below(random_, 80));
        if (chance(random_, 3))
            question.bytes.resize(14 + below(random_, question.bytes.size() - 13));
        question.ingress = ingress.id;
        question.bridge = ingress.bridge;
        return question;
    }

    void set_port(std::size_t which, bool down) {
        Port& port = ports_[which];
        PortSettings settings;
        settings.down = down;
        if (port.name == "patch") {
            settings.is_patch = true;
            for (const Port& other : ports_)
                if (other.name == "patch" && other.id != port.id)
                    settings.peer = other.id;
        }
        pair_.port(port.bridge, port.name, settings);
        port.present = true;
    }

    void fill(BridgeId bridge, std::uint32_t table) {
        for (std::size_t count = below(random_, 14); count > 0; --count)
            add_rule(bridge, table);
        if (chance(random_, 30))
            pair_.miss(bridge, table, random_actions(random_, names_, table, 3));
    }

    void add_rule(BridgeId bridge, std::uint32_t table) {
        const auto priority = static_cast<std::uint32_t>(below(random_, 4));
        Match match = random_match(random_);
        Actions actions = random_actions(random_, names_, table, 5);
        if (table % 3 == 1 && chance(random_, 50)) {
            match = random_match(random_, 1);
            actions = random_clauses(random_, names_);
        } else if (table % 3 == 1 && chance(random_, 40)) {
            match = random_conj_match(random_, names_);
        }
        // Rows are keyed by priority and match; and the order of rows that share a term is the
        // engine's own.
        for (const SpecRule& known : pair_.rules(bridge, table))
            if (known.priority == priority)
                for (const Term& term : known.match.terms)
                    for (const Term& mine : match.terms)
                        if (term == mine)
                            return;
        pair_.insert(bridge, table, priority, match, actions, random_());
    }

    void change_one() {
        const BridgeId bridge = any_bridge();
        const std::uint32_t table = any_table();
        const std::size_t count = pair_.rules(bridge, table).size();
        const std::size_t kind = below(random_, 100);
        if (kind < 35)
            add_rule(bridge, table);
        else if (kind < 65 && count > 0)
            pair_.erase(bridge, table, below(random_, count));
        else if (kind < 75 && count > 0)
            replace(bridge, table, below(random_, count));
        else if (kind < 82)
            change_port();
        else if (kind < 86)
            pair_.miss(
                bridge,
                table,
                chance(random_, 50) ? std::optional{random_actions(random_, names_, table, 3)}
                                    : std::nullopt
            );
        else if (kind < 87)
            pair_.meter(bridge, 1);
        else if (kind < 88)
            pair_.erase_meter(bridge, 1);
        else
            change_group(bridge);
    }

    void replace(BridgeId bridge, std::uint32_t table, std::size_t place) {
        const SpecRule& rule = pair_.rules(bridge, table)[place];
        const bool clauses = !rule.actions.empty() &&
                             std::holds_alternative<action::Conjunction>(rule.actions[0].of);
        pair_.replace(
            bridge,
            table,
            place,
            clauses ? random_clauses(random_, names_) : random_actions(random_, names_, table, 5)
        );
    }

    void change_port() {
        const std::size_t which = below(random_, ports_.size());
        Port& port = ports_[which];
        if (port.name == "nowhere")
            return;
        if (port.present && chance(random_, 30)) {
            pair_.erase_port(port.bridge, port.id);
            port.present = false;
        } else if (port.name != "patch" && chance(random_, 40)) {
            pair_.set_link(port.id, chance(random_, 60));
        } else {
            set_port(which, chance(random_, 20));
        }
    }

    void change_group(BridgeId bridge) {
        const std::uint32_t number = names_.groups[below(random_, 3)]; // 9 is never there
        if (chance(random_, 15)) {
            pair_.erase_group(bridge, number);
            return;
        }
        static constexpr std::array types = {
            GroupType::all, GroupType::select, GroupType::indirect, GroupType::fast_failover};
        GroupSettings settings;
        settings.type = types[below(random_, types.size())];
        for (std::size_t buckets = below(random_, 4); buckets > 0; --buckets) {
            BucketSettings bucket;
            bucket.weight = static_cast<std::uint32_t>(below(random_, 3));
            bucket.actions = random_actions(random_, names_, 2, 3);
            if (chance(random_, 30))
                bucket.watch_port = ports_[below(random_, ports_.size())].id;
            settings.buckets.push_back(std::move(bucket));
        }
        if (chance(random_, 50))
            settings.hash_fields = {FieldId::eth_src, FieldId::ip4_src, FieldId::reg0};
        pair_.group(bridge, number, settings);
    }

    Random random_;
    Pair pair_;
    std::array<BridgeId, 2> bridges_;
    Names names_;
    std::vector<Port> ports_;
};

struct Seeds {
    std::uint64_t first = 1, count = 400;
};

Seeds seeds() {
    Seeds seeds;
    if (const char* full = std::getenv("WEFT_FULL_SIZE"); full != nullptr && *full == '1')
        seeds.count = 20'000;
    if (const char* text = std::getenv("WEFT_ORACLE_SEEDS"); text != nullptr) {
        char* end = nullptr;
        seeds.first = std::strtoull(text, &end, 10);
        seeds.count = *end == ':' ? std::strtoull(end + 1, nullptr, 10) : 1;
    }
    return seeds;
}

// DDL-7, too: tables call each other in cycles here, and every walk ends, by its limits if by
// nothing else. WEFT_FULL_SIZE=1 takes a million pipelines, with four packets each.
TEST(EngineOracle, random_pipelines_do_what_the_interpreter_says_at_every_held_generation) {
    constexpr int pipelines = 50; // of one seed, each a few changes away from the one before
    const Seeds all = seeds();
    std::cout << "seeds " << all.first << " to " << all.first + all.count - 1 << ", "
              << all.count * pipelines << " pipelines\n";
    Tally tally;
    for (std::uint64_t seed = all.first; seed < all.first + all.count; ++seed) {
        RandomSwitch one{seed};
        for (int pipeline = 0; pipeline < pipelines; ++pipeline) {
            one.change();
            for (int packet = 0; packet < 4; ++packet) {
                const auto difference = one.ask();
                ASSERT_FALSE(difference) << "seed " << seed << ", pipeline " << pipeline
                                         << ", packet " << packet << ": " << *difference;
            }
        }
        const auto difference = one.compare_counters();
        ASSERT_FALSE(difference) << "seed " << seed << ": " << *difference;
        tally.add(one.tally());
    }
    std::cout << tally.walks << " walks, " << tally.steps << " steps, " << tally.outputs
              << " outputs, " << tally.edited << " of them edited, " << tally.retagged
              << " with other tags; " << tally.punts << " punts, " << tally.patches
              << " patch ports, " << tally.buckets << " buckets, " << tally.conjunctions
              << " conjunctions\n";
    for (std::size_t reason = 1; reason < drop_count; ++reason)
        if (tally.drops[reason] != 0)
            std::cout << name(static_cast<Drop>(reason)) << " " << tally.drops[reason] << "\n";
    if (all.count < 100)
        return;
    static constexpr std::array met = {
        Drop::no_match,
        Drop::policy,
        Drop::no_output,
        Drop::no_such_port,
        Drop::no_such_group,
        Drop::no_such_meter,
        Drop::no_such_table,
        Drop::port_down,
        Drop::ttl_exceeded,
        Drop::depth_exceeded,
        Drop::output_to_ingress_port,
        Drop::steps_exceeded,
        Drop::unsupported_action,
        Drop::vlan_tags_exceeded,
        Drop::stack_underflow,
        Drop::stack_overflow,
        Drop::group_no_bucket,
    };
    for (const Drop reason : met)
        EXPECT_NE(tally.drops[static_cast<std::size_t>(reason)], 0) << name(reason);
    EXPECT_NE(tally.conjunctions, 0);
    EXPECT_NE(tally.patches, 0);
}

/// One bridge, rules said in the language, one packet at a time.
class Said {
public:
    Said() {
        pair_.bridge("main");
        pair_.port(BridgeId::main, "p1", {});
        pair_.port(BridgeId::main, "p2", {});
    }
    Said& rule(
        std::uint32_t table,
        std::uint32_t priority,
        std::string_view match,
        std::string_view actions
    ) {
        pair_.insert(BridgeId::main, table, priority, *parse_match(match), *parse_actions(actions));
        return *this;
    }
    /// What the packet does, in the engine and in the interpreter alike.
    Walk walk(const test::PacketSpec& packet) {
        pair_.commit();
        Question question;
        question.bytes = packet.bytes();
        question.ingress = pair_.mention_port(BridgeId::main, "p1");
        Walk walk;
        const auto difference = pair_.ask(question, pair_.held() - 1, &walk);
        EXPECT_FALSE(difference) << *difference;
        return walk;
    }

private:
    Pair pair_{small_limits};
};

std::size_t count(const Walk& walk, StoryStep::What what) {
    return static_cast<std::size_t>(std::count_if(
        walk.steps.begin(), walk.steps.end(), [&](const Step& step) { return step.what == what; }
    ));
}

std::string times(std::size_t count, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i)
        all += text;
    return all;
}

TEST(EngineLimits, a_table_that_calls_itself_ends_at_64_open_calls) {
    const Walk walk = Said{}
                          .rule(0, 1, "1", "call(0); output(\"p2\");")
                          .walk(test::udp("10.0.0.1:1 > 10.0.0.2:2"));
    EXPECT_EQ(count(walk, StoryStep::What::lookup), 65);
    ASSERT_EQ(walk.effects.size(), 1);
    EXPECT_EQ(walk.effects[0].reason, Drop::depth_exceeded);
}

TEST(EngineLimits, a_call_in_last_place_costs_no_depth_and_ends_by_steps) {
    const Walk walk = Said{}
                          .rule(0, 1, "1", "output(\"p2\"); call(0);")
                          .walk(test::udp("10.0.0.1:1 > 10.0.0.2:2"));
    EXPECT_EQ(count(walk, StoryStep::What::lookup) + count(walk, StoryStep::What::action), 4'096);
    ASSERT_EQ(walk.effects.size(), 1'366);
    EXPECT_EQ(walk.effects.back().reason, Drop::steps_exceeded);
    EXPECT_EQ(walk.effects.front().kind, Outcome::Kind::output);
}

TEST(EngineLimits, clones_within_the_limit_all_run_and_one_more_ends_the_walk) {
    const auto packet = test::udp("10.0.0.1:1 > 10.0.0.2:2");
    const Walk all = Said{}
                         .rule(0, 1, "1", times(1'024, "clone { ip.ttl--; }") + "output(\"p2\");")
                         .walk(packet);
    ASSERT_EQ(all.effects.size(), 1);
    EXPECT_EQ(all.effects[0].kind, Outcome::Kind::output);
    const Walk over = Said{}
                          .rule(0, 1, "1", times(1'025, "clone { ip.ttl--; }") + "output(\"p2\");")
                          .walk(packet);
    ASSERT_EQ(over.effects.size(), 1);
    EXPECT_EQ(over.effects[0].reason, Drop::clones_exceeded);
}

TEST(EngineLimits, the_packets_stack_holds_64_values_and_gives_back_no_more) {
    const auto packet = test::udp("10.0.0.1:1 > 10.0.0.2:2");
    const std::string fits = times(64, "push(reg0);") + times(64, "pop(reg0);") + "output(\"p2\");";
    EXPECT_EQ(Said{}.rule(0, 1, "1", fits).walk(packet).effects[0].kind, Outcome::Kind::output);
    EXPECT_EQ(
        Said{}.rule(0, 1, "1", times(65, "push(reg0);")).walk(packet).effects[0].reason,
        Drop::stack_overflow
    );
    EXPECT_EQ(
        Said{}.rule(0, 1, "1", "push(reg0); pop(reg0); pop(reg0);").walk(packet).effects[0].reason,
        Drop::stack_underflow
    );
}

TEST(EngineOracle, conjunctions_come_out_as_in_the_interpreter_while_their_rules_come_and_go) {
    std::uint64_t decided = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Random random{seed};
        Pair pair{small_limits, seed};
        const BridgeId main = pair.bridge("main");
        const Names names{{0}, {"p1"}, {1}, {7, 8, 9}};
        const auto add = [&] {
            const std::size_t kind = below(random, 10);
            const auto priority = static_cast<std::uint32_t>(below(random, 4));
            Match match = kind < 7   ? random_match(random, 1)
                          : kind < 9 ? random_conj_match(random, names)
                                     : random_match(random);
            const Actions actions =
                kind < 7 ? random_clauses(random, names) : Actions{{action::Drop{}}};
            for (const SpecRule& known : pair.rules(main, 0))
                if (known.priority == priority && known.match == match)
                    return;
            pair.insert(main, 0, priority, match, actions);
        };
        for (int i = 0; i < 24; ++i)
            add();
        for (int round = 0; round < 10; ++round) {
            add();
            add();
            if (!pair.rules(main, 0).empty())
                pair.erase(main, 0, below(random, pair.rules(main, 0).size()));
            pair.commit();
            for (int packet = 0; packet < 4; ++packet) {
                const Question question{
                    packet_bytes(random_key(random, random_values(), {}), 0),
                    PortId::none,
                    main,
                    nullptr,
                    nullptr};
                const auto difference = pair.ask(question, below(random, pair.held()));
                ASSERT_FALSE(difference)
                    << "seed " << seed << ", round " << round << ": " << *difference;
            }
            while (pair.held() > 3)
                pair.release(below(random, 3));
        }
        decided += pair.tally().conjunctions;
    }
    EXPECT_GT(decided, 500);
}

TEST(EngineOracle, the_order_in_which_rows_came_never_decides) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Random random{seed};
        std::vector<std::pair<std::uint32_t, Match>> rows;
        std::vector<Term> terms; // shared by several rows of a priority
        while (terms.size() < 6)
            for (const Term& term : random_match(random, 2).terms)
                terms.push_back(term);
        for (std::size_t i = 0; i < 12; ++i) {
            Match match = canonical(
                {terms[below(random, 6)], terms[below(random, 6)], terms[below(random, 6)]}
            );
            const bool known = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
                return row.second == match;
            });
            if (!known)
                rows.emplace_back(1, std::move(match));
        }
        std::vector<test::Bytes> packets;
        for (int i = 0; i < 20; ++i)
            packets.push_back(
                packet_bytes(random_key(random, random_values(), terms[below(random, 6)]), 0)
            );
        std::vector<std::map<std::string, std::uint64_t>> hits;
        for (int order = 0; order < 3; ++order) {
            std::shuffle(rows.begin(), rows.end(), random);
            Pair pair{small_limits};
            const BridgeId main = pair.bridge("main");
            for (const auto& [priority, match] : rows)
                pair.insert(main, 0, priority, match, {});
            pair.commit();
            for (const test::Bytes& bytes : packets)
                static_cast<void>(pair.ask_burst(
                    {{{bytes, PortId::none, main, nullptr, nullptr}}}, pair.held() - 1
                ));
            auto& counts = hits.emplace_back();
            for (const SpecRule& rule : pair.rules(main, 0))
                counts[print(rule.match)] = pair.tables().counters(*rule.handle).packets;
        }
        EXPECT_EQ(hits[0], hits[1]) << "seed " << seed;
        EXPECT_EQ(hits[0], hits[2]) << "seed " << seed;
    }
}

TEST(EngineOracle, generated_packets_have_the_fields_that_they_were_made_from) {
    Random random{1};
    for (int i = 0; i < 20'000; ++i) {
        const FlowKey key = random_key(random, random_values(), {});
        test::OwnedPacket packet{packet_bytes(key, below(random, 60))};
        FlowKey seen;
        ASSERT_EQ(parse(packet.packet, key.inport(), Depth{}, seen), Drop::none) << i;
        for (const FieldInfo& field : all_fields())
            if (is_header_field(field.id) && !field.is_view() && key.is(field.requires_shape)) {
                ASSERT_EQ(get(seen, field), get(key, field))
                    << "packet " << i << ", " << field.name;
            }
    }
}

} // namespace
} // namespace weft::oracle
