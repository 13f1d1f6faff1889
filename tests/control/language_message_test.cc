// Matches and actions as messages: they name the same rows as their texts, and are refused by the
// same rules.
#include "control/codec_json.hh"
#include "control/language/language.hh"
#include "control/rows/canonical.hh"
#include "control/rows/language_message.hh"
#include "tests/control/random_language.hh"
#include "tests/oracle/ovs_import.hh"

#include <gtest/gtest.h>

#include <fstream>
#include <google/protobuf/util/json_util.h>

namespace weft {

namespace {

using namespace test;

/// The canonical bytes of the row that is said by text, and of the one said by messages.
struct Both {
    std::string by_text;
    std::string by_message;
};

Both rows_of(const Match& match, const Actions& actions) {
    ActionsMemo memo;
    const auto bytes = [&](control::Op& op) {
        auto row = canonical_row(op, false, memo);
        EXPECT_TRUE(row) << row.error().path << ": " << row.error().message;
        return row ? row->bytes : std::string{};
    };
    control::Op text;
    text.mutable_flow()->set_match(print(match));
    text.mutable_flow()->set_actions(print(actions));
    control::Op message;
    to_message(match, *message.mutable_flow()->mutable_match_terms());
    to_message(actions, *message.mutable_flow()->mutable_action_list());
    return {bytes(text), bytes(message)};
}

TEST(LanguageMessages, name_the_same_row_as_the_text_of_random_matches_and_actions) {
    std::size_t bytes = 0;
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        Random random{seed};
        const Match match = canonical(random_terms(random));
        const auto actions = checked(random_actions(random, 3));
        ASSERT_TRUE(actions) << "seed " << seed << ": " << actions.error().what;
        const Both rows = rows_of(match, *actions);
        ASSERT_EQ(rows.by_message, rows.by_text) << "seed " << seed << ": " << print(match);
        bytes += rows.by_text.size();
    }
    EXPECT_GT(bytes, 1'000'000u);
}

TEST(CanonicalFlows, have_the_bytes_that_protobuf_writes) {
    ActionsMemo memo;
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        Random random{seed};
        const auto number = [&](std::uint64_t end) {
            return one_in(random, 2) ? 0 : random() % end;
        };
        control::Op op;
        control::Flow& flow = *op.mutable_flow();
        flow.set_bridge(one_in(random, 2) ? "" : one_in(random, 2) ? "main" : "br2");
        flow.set_table(static_cast<std::uint32_t>(number(1u << 31)));
        flow.set_priority(static_cast<std::uint32_t>(number(70'000)));
        flow.set_match("( " + print(canonical(random_terms(random))) + " )");
        flow.set_actions("drop ; ");
        flow.set_cookie(number(~std::uint64_t{0}));
        flow.set_idle_timeout_s(static_cast<std::uint32_t>(number(1'000)));
        flow.set_hard_timeout_s(static_cast<std::uint32_t>(number(1'000)));
        control::Flow key;
        const bool key_only = one_in(random, 4);
        const auto row = canonical_row(op, key_only, memo);
        ASSERT_TRUE(row) << "seed " << seed << ": " << row.error().message;
        key.set_bridge(flow.bridge() == "br2" ? "br2" : "");
        key.set_table(flow.table());
        key.set_priority(flow.priority());
        key.set_match(print(*parse_match(flow.match())));
        ASSERT_EQ(row->key(), key.SerializeAsString()) << "seed " << seed;
        if (key_only) {
            ASSERT_EQ(row->bytes, row->key()) << "seed " << seed;
            continue;
        }
        control::Flow whole = flow;
        whole.set_bridge(key.bridge());
        whole.set_match(key.match());
        whole.set_actions("drop;");
        ASSERT_EQ(row->bytes, whole.SerializeAsString()) << "seed " << seed;
    }
}

TEST(LanguageMessages, come_back_as_the_structure_that_they_were_made_from) {
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        Random random{seed};
        const Match match = canonical(random_terms(random));
        control::MatchTerms terms;
        to_message(match, terms);
        ASSERT_EQ(match_from(terms, "m").value(), match) << "seed " << seed;
        const Actions actions = checked(random_actions(random, 3)).value();
        control::ActionList list;
        to_message(actions, list);
        ASSERT_EQ(actions_from(list, "a").value(), actions) << "seed " << seed;
    }
}

TEST(LanguageMessages, say_everything_that_a_real_ovn_installed) {
    const std::string text = oracle::recorded_ovn("flows-dump.txt");
    if (text.empty())
        GTEST_SKIP() << "the recording is not here";
    const auto flows = oracle::import_flows(text);
    ASSERT_TRUE(flows) << flows.error().what;
    EXPECT_EQ(flows->size(), 2'185u);
    for (const auto& flow : *flows) {
        const Both rows = rows_of(flow.match, checked(flow.actions).value());
        ASSERT_EQ(rows.by_message, rows.by_text) << flow.line;
    }
}

// -- what messages say, in JSON

control::Flow flow_of(const std::string& json) {
    control::Flow flow;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &flow).ok()) << json;
    return flow;
}

std::string match_said(const std::string& terms) {
    const control::Flow flow = flow_of(R"({"match_terms": {"terms": [)" + terms + "]}}");
    const auto match = match_from(flow.match_terms(), "flow.match_terms");
    return match ? print(*match)
                 : match.error().code + " " + match.error().path + ": " + match.error().message;
}

std::string actions_said(const std::string& actions) {
    const control::Flow flow = flow_of(R"({"action_list": {"actions": [)" + actions + "]}}");
    const auto list = actions_from(flow.action_list(), "flow.action_list");
    return list ? print(*list)
                : list.error().code + " " + list.error().path + ": " + list.error().message;
}

std::string number(FieldId field) {
    return std::to_string(static_cast<unsigned>(field));
}
std::string slice(FieldId field, std::string_view more = "") {
    return R"({"field": )" + number(field) + std::string{more} + "}";
}
std::string field(FieldId id, std::string_view more) {
    return R"({"field": )" + number(id) + ", " + std::string{more} + "}";
}
std::string term(const std::string& fields) {
    return R"({"fields": [)" + fields + "]}";
}

TEST(LanguageMessages, prerequisites_views_and_ranges_are_those_of_the_text) {
    EXPECT_EQ(match_said(""), print(Match{}));
    EXPECT_EQ(match_said("{}"), "1");
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("value": 80)"))),
        print(parse_match("tcp.dst == 80").value())
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::vlan_vid, R"("value": 5)"))),
        print(parse_match("vlan.vid == 5").value())
    );
    EXPECT_EQ(
        match_said(
            term(field(FieldId::ip6_dst, R"("value_upper": "18230571291595767808", "value": 1)"))
        ),
        print(parse_match("ip6.dst == fd00::1").value())
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::udp_src, R"("range": {"low": 1000, "high": 2000})"))),
        print(parse_match("udp.src >= 1000 && udp.src <= 2000").value())
    );
    EXPECT_EQ(
        match_said(
            term(
                field(FieldId::udp_src, R"("range": {"low": 5, "high": 9})") + "," +
                field(FieldId::udp_dst, R"("range": {"low": 70, "high": 75})")
            ) +
            "," + term(field(FieldId::inport, R"("port": "p1")"))
        ),
        print(parse_match("udp && udp.src >= 5 && udp.src <= 9 && udp.dst >= 70 && udp.dst <= 75 "
                          "|| inport == \"p1\"")
                  .value())
    );
    EXPECT_EQ(
        match_said(term(
            field(FieldId::shape, R"("value": 4, "mask": 4)") + "," +
            field(FieldId::ip6_src, R"("value": 1)")
        )),
        print(parse_match("ip4 && ip6.src == ::1").value())
    ) << "no packet is both";
}

TEST(LanguageMessages, names_in_payloads_are_those_of_the_text) {
    EXPECT_EQ(
        match_said(term(field(FieldId::tls_sni, R"("name": "*.Example.")"))),
        print(parse_match("tls.sni == \"*.example\"").value())
    );
    const std::string place = "bad_value flow.match_terms.terms[0].fields[0]: ";
    EXPECT_EQ(
        match_said(term(field(FieldId::tls_sni, R"("name": "a..b")"))),
        place + "tls.sni: \"a..b\" is no name: a label is empty"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tls_sni, R"("value": 5)"))),
        place + "tls.sni takes a name and nothing else"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tls_sni, R"("name": "a", "mask": 5)"))),
        place + "tls.sni takes a name and nothing else"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("name": "a")"))),
        place + "tcp.dst has no name in payloads as its value"
    );
}

TEST(LanguageMessages, what_is_wrong_with_a_match_is_named_by_term_and_field) {
    const std::string fine = term(field(FieldId::ip_ttl, R"("value": 1)"));
    EXPECT_EQ(
        match_said(term(R"({"field": 9999, "value": 1})")),
        "unknown_field flow.match_terms.terms[0].fields[0]: there is no field number 9999"
    );
    EXPECT_EQ(
        match_said(fine + "," + term(field(FieldId::ip_ttl, R"("value": 3, "mask": 2)"))),
        "bad_value flow.match_terms.terms[1].fields[0]: ip.ttl: the value has bits outside its mask"
    );
    EXPECT_EQ(
        match_said(term(
            field(FieldId::ip_ttl, R"("value": 1)") + "," +
            field(FieldId::tcp_dst, R"("value": 70000)")
        )),
        "bad_value flow.match_terms.terms[0].fields[1]: 70000 does not fit tcp.dst, which has 16 "
        "bits"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("value": 0, "mask_upper": 1)"))).substr(0, 9),
        "bad_value"
    );
    EXPECT_EQ(
        match_said(term(R"({"value": 1})")),
        "bad_value flow.match_terms.terms[0].fields[0]: a field's number is missing"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("port": "p1")"))).substr(0, 45),
        "bad_value flow.match_terms.terms[0].fields[0]"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("value": 1, "range": {"high": 2})"))),
        "bad_value flow.match_terms.terms[0].fields[0]: tcp.dst has more than one of a value, a "
        "port and a range"
    );
    EXPECT_EQ(
        match_said(term(field(FieldId::tcp_dst, R"("range": {"low": 3, "high": 2})"))),
        "bad_value flow.match_terms.terms[0].fields[0]: tcp.dst: the range ends before it begins"
    );
    const std::string wide = R"("range": {"low": 1, "high": 65534})";
    EXPECT_EQ(
        match_said(term(
                       field(FieldId::tcp_dst, wide) + "," + field(FieldId::tcp_src, wide) + "," +
                       field(FieldId::ip_ttl, R"("range": {"low": 1, "high": 254})")
                   ))
            .substr(0, 14),
        "too_many_terms"
    );
}

TEST(LanguageMessages, what_is_wrong_with_an_action_is_named_by_its_place) {
    const std::string fine = R"({"dec_ttl": {}})";
    EXPECT_EQ(actions_said(fine), "ip.ttl--;");
    EXPECT_EQ(
        actions_said(fine + ", {}"),
        "bad_actions flow.action_list.actions[1]: the action says nothing: it must hold one "
        "statement"
    );
    EXPECT_EQ(
        actions_said(R"({"push": {"field": 9999}})"),
        "unknown_field flow.action_list.actions[0].push: there is no field number 9999"
    );
    EXPECT_EQ(
        actions_said(R"({"set": {"to": )" + slice(FieldId::tcp_dst) + R"(, "value": 70000}})"),
        "bad_value flow.action_list.actions[0]: 70000 does not fit tcp.dst, which has 16 bits"
    );
    EXPECT_EQ(
        actions_said(
            R"({"set": {"to": )" + slice(FieldId::reg0, R"(, "lsb": 30, "bits": 3)") + "}}"
        ),
        "bad_value flow.action_list.actions[0].set.to: 3 bits from bit 30 are no part of reg0, "
        "which has 32 bits"
    );
    EXPECT_EQ(
        actions_said(R"({"set": {"to": )" + slice(FieldId::ip_proto) + R"(, "value": 1}})")
            .substr(0, 15),
        "read_only_field"
    );
    EXPECT_EQ(
        actions_said(R"({"push_vlan": 99999})"),
        "out_of_range flow.action_list.actions[0].push_vlan: push_vlan is 99999: it must be at "
        "most 65535"
    );
    EXPECT_EQ(
        actions_said(R"({"output": {"reserved": "everywhere"}})"),
        "bad_value flow.action_list.actions[0].output.reserved: \"everywhere\" does not exist: it "
        "must be one of \"inport\", \"normal\", \"flood\", \"all\""
    );
    EXPECT_EQ(
        actions_said(R"({"clone": {"actions": [{"drop": {}}, {"conjunction": {"id": 1}}]}})"),
        "bad_value flow.action_list.actions[0].clone.actions[1]: a conjunction has 2 to 64 "
        "clauses, and not 0"
    );
    std::string nested = R"({"drop": {}})";
    for (int i = 0; i < 17; ++i)
        nested = R"({"clone": {"actions": [)" + nested + "]}}";
    EXPECT_EQ(actions_said(nested).substr(0, 11), "bad_actions");
}

TEST(LanguageMessages, a_text_and_a_message_for_one_thing_are_one_too_many) {
    ActionsMemo memo;
    control::Op op;
    op.mutable_flow()->set_match("ip4");
    op.mutable_flow()->mutable_match_terms();
    EXPECT_EQ(canonical_row(op, false, memo).error().path, "flow.match_terms");
    op.mutable_flow()->clear_match_terms();
    op.mutable_flow()->set_actions("drop;");
    op.mutable_flow()->mutable_action_list();
    EXPECT_EQ(canonical_row(op, false, memo).error().code, "duplicate_field");
}

TEST(LanguageMessages, groups_and_misses_take_them_too) {
    ActionsMemo memo;
    control::Op group;
    group.mutable_group()->set_type("all");
    control::Bucket& bucket = *group.mutable_group()->add_buckets();
    bucket.mutable_action_list()->add_actions()->mutable_output()->set_port("p1");
    const auto row = canonical_row(group, false, memo);
    ASSERT_TRUE(row) << row.error().message;
    EXPECT_EQ(
        to_message(Relation::group, row->bytes).group().buckets(0).actions(), "output(\"p1\");"
    );
    bucket.mutable_action_list()->add_actions();
    group.mutable_group()->mutable_buckets(0)->clear_actions();
    EXPECT_EQ(
        canonical_row(group, false, memo).error().path, "group.buckets[0].action_list.actions[0]"
    );
    control::Op table;
    table.mutable_table()->mutable_miss_list()->add_actions()->mutable_drop();
    EXPECT_EQ(
        to_message(Relation::table, canonical_row(table, false, memo)->bytes).table().miss(),
        "drop;"
    );
}

/// The table of docs/control-protocol.md has every field once, by its number and name.
TEST(LanguageMessages, the_documentation_lists_the_numbers_of_all_fields) {
    const char* docs = std::getenv("WEFT_DOCS");
    std::ifstream page{std::string{docs ? docs : "docs"} + "/control-protocol.md"};
    const std::string text{std::istreambuf_iterator<char>{page}, {}};
    const auto begin = text.find("### Field numbers");
    ASSERT_NE(begin, std::string::npos);
    const std::string section = text.substr(begin, text.find("\n## ", begin) - begin);
    std::map<std::string, std::string> found;
    // An entry reads NUMBER `NAME`.
    for (size_t open = section.find('`'); open != std::string::npos;) {
        const size_t close = section.find('`', open + 1);
        ASSERT_NE(close, std::string::npos);
        const size_t before = section.find_last_not_of("0123456789", open - 2);
        const std::string number_text = section.substr(before + 1, open - 2 - before);
        if (!number_text.empty())
            found[number_text] = section.substr(open + 1, close - open - 1);
        open = section.find('`', close + 1);
    }
    std::map<std::string, std::string> wanted;
    for (const FieldInfo& each : all_fields())
        wanted[number(each.id)] = each.name;
    EXPECT_EQ(found, wanted);
}

} // namespace

} // namespace weft
