// One table's patterns and rules against the naive lookup, while they come and go.
#include "pipeline/name_part.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/naive_names.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace weft {

namespace {

constexpr auto sni = FieldId::tls_sni;
constexpr auto host = FieldId::http_host;
constexpr auto qname = FieldId::dns_qname;

std::string canonical(std::string_view text) {
    const auto name = canonical_name_pattern(text);
    return name ? *name : name.error().what;
}

PayloadName name_of(FieldId field, std::string_view text) {
    PayloadName name;
    name.field = field;
    name.bytes = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), name.text.begin());
    return name;
}

std::string repeated(std::string_view what, int times) {
    std::string out;
    for (int i = 0; i < times; ++i)
        out += what;
    return out;
}

} // namespace

TEST(NamePattern, is_put_into_canonical_form) {
    EXPECT_EQ(canonical("WWW.Example.COM"), "www.example.com");
    EXPECT_EQ(canonical("www.example.com."), "www.example.com");
    EXPECT_EQ(canonical("*.Example.com."), "*.example.com");
    EXPECT_EQ(
        canonical("_srv._tcp.a-1.xn--bcher-kva.example"), "_srv._tcp.a-1.xn--bcher-kva.example"
    );
    EXPECT_EQ(canonical("*"), "*");
    EXPECT_EQ(canonical("10.0.0.1"), "10.0.0.1");
}

TEST(NamePattern, is_refused_with_value_and_rule) {
    EXPECT_EQ(canonical(""), "\"\" is no name: it is empty");
    EXPECT_EQ(canonical("."), "\".\" is no name: it is empty");
    EXPECT_EQ(canonical("a..b"), "\"a..b\" is no name: a label is empty");
    EXPECT_EQ(canonical(".a"), "\".a\" is no name: a label is empty");
    EXPECT_EQ(
        canonical("a b"), "\"a b\" is no name: \" \" is no letter, digit, \"-\", \"_\" or \"*\""
    );
    EXPECT_EQ(
        canonical("b\xc3\xbc"),
        "\"b??\" is no name: \"?\" is no letter, digit, \"-\", \"_\" or \"*\"; a name in another "
        "script is written as its A-label (xn--...)"
    );
    EXPECT_EQ(canonical("a.**.b"), "\"a.**.b\" is no name: two \"*\" stand side by side");
    EXPECT_EQ(
        canonical("*a*b*c*d*e*f*g*h*i"),
        "\"*a*b*c*d*e*f*g*h*i\" is no name: it has 9 \"*\", and at most 8 are allowed"
    );
    EXPECT_EQ(
        canonical(std::string(64, 'a')),
        "\"" + std::string(60, 'a') +
            "...\" is no name: a label has 64 bytes, and at most 63 are allowed"
    );
    EXPECT_EQ(canonical(repeated("a.", 126) + "b"), repeated("a.", 126) + "b");
    EXPECT_EQ(
        canonical(repeated("a.", 126) + "bc"),
        "\"" + repeated("a.", 30) +
            "...\" is no name: it has 254 bytes, and at most 253 are allowed"
    );
}

TEST(NamePattern, has_a_form_and_ranks_by_it_and_by_its_bytes) {
    EXPECT_EQ(form_of("www.example.com"), NameForm::exact);
    EXPECT_EQ(form_of("*.example.com"), NameForm::suffix);
    EXPECT_EQ(form_of("*"), NameForm::suffix);
    EXPECT_EQ(form_of("www.*"), NameForm::wildcard);
    EXPECT_EQ(form_of("*.api-*.example.com"), NameForm::wildcard);
    EXPECT_EQ(form_of("*api.example.com"), NameForm::wildcard);
    const std::vector<std::string> best_first = {
        "a.bc",
        "a.b",
        "*.a.example.com",
        "*.example.com",
        "*",
        "www-*.example.com",
        "*.w-*.example.com",
        "w*"};
    for (std::size_t i = 1; i < best_first.size(); ++i)
        EXPECT_GT(specificity_of(best_first[i - 1]), specificity_of(best_first[i])) << i;
}

TEST(NamePattern, matches_whole_labels_before_a_suffix_and_bytes_of_one_label_elsewhere) {
    const auto matched = [](std::string_view pattern, std::string_view name) {
        return matches(pattern, name);
    };
    EXPECT_TRUE(matched("*.example.com", "a.example.com"));
    EXPECT_TRUE(matched("*.example.com", "a.b.example.com"));
    EXPECT_FALSE(matched("*.example.com", "example.com"));
    EXPECT_FALSE(matched("*.example.com", "aexample.com"));
    EXPECT_TRUE(matched("*", "example.com"));
    EXPECT_TRUE(matched("api-*.example.com", "api-1.example.com"));
    EXPECT_TRUE(matched("api-*.example.com", "api-.example.com"));
    EXPECT_FALSE(matched("api-*.example.com", "api-1.x.example.com"));
    EXPECT_FALSE(matched("api-*.example.com", "x.api-1.example.com"));
    EXPECT_TRUE(matched("*.api-*.example.com", "y.x.api-1.example.com"));
    EXPECT_FALSE(matched("*.api-*.example.com", "api-1.example.com"));
    EXPECT_TRUE(matched("*-*-c.d", "a-b-b-c.d"));
    EXPECT_TRUE(matched("*.a.*b.a.b", "x.a.a.b.a.b"));
}

namespace {

/// What Hyperscan says about one pattern.
bool scanned(const std::string& pattern, const std::string& name) {
    const auto compiled = CompiledWildcards::compile({{{1, sni, pattern}}, 1});
    EXPECT_NE(compiled, nullptr) << pattern;
    bool found = false;
    if (compiled != nullptr)
        compiled->scan(name_of(sni, name), 0, [&](std::uint64_t id) { found = id == 1; });
    return found;
}

class RandomNames {
public:
    explicit RandomNames(std::uint64_t seed) : random_{seed} {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
    /// Few labels of few letters: many match.
    std::string name() {
        std::string out = label();
        for (std::size_t more = below(4); more > 0; --more)
            out += "." + label();
        return out;
    }
    std::string pattern() {
        std::string out = name();
        switch (below(4)) {
        case 0:
            return out;
        case 1:
            return below(8) == 0 ? "*" : "*." + out;
        case 2:
            out = "*." + out;
            break;
        default:
            break;
        }
        const std::size_t at = below(out.size());
        if (out[at] != '.' && out[at] != '*' && (at == 0 || out[at - 1] != '*') &&
            (at + 1 == out.size() || out[at + 1] != '*'))
            out[at] = '*';
        return out;
    }
    FieldId field() { return std::array{sni, host, qname}[below(3)]; }

private:
    std::string label() {
        std::string out(1 + below(3), 'a');
        for (char& c : out)
            c = static_cast<char>('a' + below(2));
        return out;
    }
    std::mt19937_64 random_;
};

} // namespace

TEST(NamePattern, means_the_same_to_the_matcher_to_hyperscan_and_to_the_naive_one) {
    RandomNames random{1};
    std::size_t hits = 0;
    for (int i = 0; i < 400; ++i) {
        const std::string pattern = random.pattern();
        ASSERT_EQ(canonical(pattern), pattern);
        if (pattern == "*") // is never compiled
            continue;
        const auto compiled = CompiledWildcards::compile({{{1, sni, pattern}}, 1});
        ASSERT_NE(compiled, nullptr) << pattern;
        for (int j = 0; j < 100; ++j) {
            const std::string name = random.name();
            const bool wanted = test::naive_matches(pattern, name);
            ASSERT_EQ(matches(pattern, name), wanted) << pattern << " " << name;
            bool found = false;
            compiled->scan(name_of(sni, name), 0, [&](std::uint64_t) { found = true; });
            ASSERT_EQ(found, wanted) << pattern << " " << name;
            hits += wanted ? 1 : 0;
        }
    }
    EXPECT_GT(hits, 500u);
}

TEST(NamePattern, ends_where_the_name_ends_for_hyperscan) {
    EXPECT_TRUE(scanned("a*.b", "aa.b"));
    EXPECT_FALSE(scanned("a*.b", "aa.b\n"));
    EXPECT_FALSE(scanned("a*.b", "xaa.b"));
    EXPECT_TRUE(scanned("a*.b", "a\n\xff.b"));
    EXPECT_FALSE(scanned("*.a*.b", "a.b"));
}

// -- rules

namespace {

bool by_payload(const Entry& a, const Entry& b) {
    return a.payload < b.payload;
}

/// A rule as it was said: any rule has a place in `rules_` that is its payload.
struct SaidRule {
    FieldId field{};
    std::string pattern;
    std::uint64_t metadata = 0; // 0: any
    Rank rank = 0;
    Generation born = 0, died = never;
    Entry* entry = nullptr;
    bool gone = false; // out of the part
};

class Table {
public:
    explicit Table(std::uint64_t seed) : random{seed} {}
    ~Table() {
        for (SaidRule& rule : rules_)
            if (!rule.gone) {
                part.rules().expire(*rule.entry, 0);
                part.remove(*rule.entry);
            }
    }

    void insert() {
        SaidRule rule{
            .field = random.field(),
            .pattern = random.pattern(),
            .metadata = random.below(3),
            .rank = make_rank(static_cast<std::uint32_t>(random.below(3)), 0)};
        rule.rank += specificity_of(rule.pattern);
        insert(rule);
    }
    void insert(SaidRule rule) {
        Pattern pattern;
        if (rule.metadata != 0)
            pattern.add(6, ~std::uint64_t{0}, rule.metadata);
        pattern.add(name_word, ~std::uint64_t{0}, part.id_of(rule.field, rule.pattern));
        rule.born = generation + 1;
        rule.entry = part.insert(pattern, rule.rank, rule.born, payload(rules_.size()));
        rules_.push_back(std::move(rule));
    }
    void erase() {
        std::vector<std::size_t> live;
        for (std::size_t i = 0; i < rules_.size(); ++i)
            if (rules_[i].died == never)
                live.push_back(i);
        if (live.empty())
            return;
        SaidRule& rule = rules_[live[random.below(live.size())]];
        part.rules().expire(*rule.entry, generation + 1);
        rule.died = generation + 1;
    }
    /// Nobody asks before `oldest` any more.
    void bury(Generation oldest) {
        for (SaidRule& rule : rules_)
            if (!rule.gone && rule.died <= oldest) {
                part.remove(*rule.entry);
                rule.gone = true;
            }
        reclaimer.run_all();
    }
    void compile() {
        if (part.wildcards().wants_compile())
            part.wildcards().adopt(CompiledWildcards::compile(part.wildcards().job(2)));
    }

    Payload wanted(const PayloadName& name, std::uint64_t metadata, Generation g) const {
        const SaidRule* best = nullptr;
        for (const SaidRule& rule : rules_)
            if (rule.born <= g && g < rule.died && rule.field == name.field &&
                (rule.metadata == 0 || rule.metadata == metadata) &&
                test::naive_matches(rule.pattern, std::string{name.view()}) &&
                (best == nullptr || rule.rank > best->rank))
                best = &rule;
        return best == nullptr ? 0 : payload(static_cast<std::size_t>(best - rules_.data()));
    }
    /// A burst of random names, some of them without any.
    void ask(Generation g) {
        LaneMask live = 0;
        std::array<std::uint64_t, burst_max> metadata;
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            lanes->name[lane] = name_of(random.field(), random.name());
            metadata[lane] = 1 + random.below(3);
            keys[lane].word.fill(~std::uint64_t{0});
            keys[lane].word[6] = metadata[lane];
            live |= random.below(8) != 0 ? lane_bit(lane) : 0;
        }
        std::array<const Entry*, burst_max> best;
        part.lookup(keys.data(), live, g, *lanes, 1, best.data());
        const std::size_t hits_max = part.bound().hits;
        for (const std::size_t lane : Lanes{live}) {
            const PayloadName& name = lanes->name[lane];
            const Payload got = best[lane] == nullptr ? 0 : best[lane]->payload;
            ASSERT_EQ(got, wanted(name, metadata[lane], g)) << name.view() << " at " << g;
            ASSERT_LE(lanes->hits[lane].count, hits_max) << name.view();
            hits += got != 0 ? 1 : 0;
        }
    }

    static Payload payload(std::size_t rule) { return rule + 1; }

    RandomNames random;
    test::ManualReclaimer reclaimer;
    NamePart part{reclaimer, 7, by_payload};
    Generation generation = 1;
    std::size_t hits = 0;
    std::unique_ptr<NameLanes> lanes = std::make_unique<NameLanes>();
    std::vector<FlowKey> keys = std::vector<FlowKey>(burst_max);

private:
    std::vector<SaidRule> rules_;
};

} // namespace

TEST(NamePart, sees_at_each_held_generation_exactly_its_rules) {
    std::size_t hits = 0;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        Table table{seed};
        Generation oldest = 1;
        for (int step = 0; step < 60; ++step) {
            for (std::size_t changes = table.random.below(12); changes > 0; --changes)
                if (table.random.below(step < 30 ? 4 : 2) == 0)
                    table.erase();
                else
                    table.insert();
            ++table.generation;
            if (table.random.below(4) == 0)
                table.compile();
            if (table.random.below(3) == 0) {
                oldest += table.random.below(table.generation - oldest + 1);
                table.bury(oldest);
            }
            for (int i = 0; i < 2; ++i) {
                const Generation g = oldest + table.random.below(table.generation - oldest + 1);
                ASSERT_NO_FATAL_FAILURE(table.ask(g)) << "seed " << seed << ", step " << step;
            }
        }
        hits += table.hits;
    }
    EXPECT_GT(hits, 4'000u);
}

TEST(NamePart, forgets_patterns_that_no_rule_has_any_more) {
    Table table{1};
    EXPECT_FALSE(table.part.wants(static_cast<std::uint16_t>(Shape::tcp)));
    for (const char* pattern : {"a.b", "*.b", "a*.b"})
        table.insert({.field = sni, .pattern = pattern});
    EXPECT_EQ(table.part.patterns(), 3u);
    EXPECT_TRUE(table.part.wants(static_cast<std::uint16_t>(Shape::tcp)));
    EXPECT_FALSE(table.part.wants(static_cast<std::uint16_t>(Shape::udp)));
    ++table.generation;
    for (int i = 0; i < 3; ++i)
        table.erase();
    EXPECT_EQ(table.part.patterns(), 3u) << "a reader may still see them";
    table.bury(++table.generation);
    EXPECT_EQ(table.part.patterns(), 0u);
    EXPECT_FALSE(table.part.wants(static_cast<std::uint16_t>(Shape::tcp)));
    EXPECT_EQ(table.part.bound().probes.probes, 0u);
    EXPECT_EQ(table.part.bound().bytes, 0u);
}

TEST(NamePart, has_a_bound_that_counts_levels_of_suffixes_wildcards_and_bytes) {
    Table table{1};
    for (const char* pattern : {"a.b", "*.b", "*.c", "*.b.c", "a*.b", "b*.b"})
        table.insert({.field = sni, .pattern = pattern});
    NamePart::Bound bound = table.part.bound();
    EXPECT_EQ(bound.bytes, 1'500u + 253u * (1 + 1 + 2)) << "two are looked at one by one";
    const std::uint64_t asked = 3, hits = asked + 2;
    EXPECT_EQ(bound.hits, hits);
    EXPECT_EQ(bound.probes.entries, asked + hits) << "lists so far, of which one entry can match";
    table.compile();
    EXPECT_EQ(table.part.bound().bytes, 1'500u + 253u * (1 + 1));
}

TEST(NamePart, holds_256_wildcards_and_refuses_one_more) {
    Table table{1};
    const auto match_of = [](const std::string& pattern) {
        Term term;
        EXPECT_EQ(add_port(term, info(sni), pattern), Added::possible);
        return Match{{term}};
    };
    for (std::size_t i = 0; i < name_wildcards_max; ++i) {
        const std::string pattern = "a*-" + std::to_string(i) + ".b";
        ASSERT_EQ(table.part.refusal(match_of(pattern)), std::nullopt) << i;
        table.insert({.field = sni, .pattern = pattern});
    }
    EXPECT_EQ(table.part.refusal(match_of("a*-7.b")), std::nullopt) << "known already";
    EXPECT_EQ(table.part.refusal(match_of("*.b")), std::nullopt);
    const auto error = table.part.refusal(match_of("a*-x.b"));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, "too_many_names");
    EXPECT_NE(error->what.find("would have 257, and a table holds at most 256"), std::string::npos);
}

TEST(NamePart, finds_the_deepest_names_by_suffixes_of_every_length) {
    Table table{1};
    std::string suffix = "a";
    for (int labels = 1; labels < 127; ++labels, suffix += ".a")
        table.insert(
            {.field = qname,
             .pattern = "*." + suffix,
             .rank = make_rank(1, static_cast<std::size_t>(labels))}
        );
    table.lanes->name[0] = name_of(qname, suffix); // 127 labels, 253 bytes
    ++table.generation;
    const Entry* best = nullptr;
    table.part.lookup(table.keys.data(), 1, table.generation, *table.lanes, 0, &best);
    EXPECT_EQ(table.lanes->hits[0].count, 126u);
    ASSERT_NE(best, nullptr);
    EXPECT_EQ(best->rank, make_rank(1, 126));
}

} // namespace weft
