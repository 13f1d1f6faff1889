#include "control/codec_json.hh"
#include "control/ddlog_text.hh"

#include <gtest/gtest.h>

namespace weft {
namespace {

std::string ops_of(std::string_view text) {
    const auto ops = parse_ddlog_text(text);
    if (!ops)
        return ops.error().code + ": " + ops.error().what;
    std::string all;
    for (const control::Op& op : *ops)
        all += op.ShortDebugString() + "\n";
    return all;
}

TEST(DdlogText, reads_what_commit_dump_changes_prints) {
    EXPECT_EQ(
        ops_of("Flow:\n"
               "Flow{.table = 0, .priority = 100, .match_ = \"ip4.dst == 10.0.0.1\", .actions = "
               "\"output(\\\"p1\\\");\"}: +1\n"
               "Flow{.table = 1, .priority = 100, .match_ = \"1\", .actions = \"drop;\"}: -1\n"),
        "weight: 1 flow { priority: 100 match: \"ip4.dst == 10.0.0.1\" actions: "
        "\"output(\\\"p1\\\");\" }\n"
        "weight: -1 flow { table: 1 priority: 100 match: \"1\" actions: \"drop;\" }\n"
    );
}

TEST(DdlogText, sums_the_weights_of_equal_rows_as_integers) {
    EXPECT_EQ(
        ops_of("Table{.table = 1}: +2\nTable{.table = 2}: +1\nTable{.table = 1}: -1\nTable{.table "
               "= 2}: -1\n"
               "Table{.table = 3}: -3\nTable{.table = 3}: +1"),
        "weight: 1 table { table: 1 }\nweight: -2 table { table: 3 }\n"
    );
    EXPECT_EQ(
        ops_of("Table{.table = 1}: 9223372036854775807\nTable{.table = 1}: +1"),
        "out_of_range: the weights of one row sum to more than 64 bits"
    );
}

TEST(DdlogText, maps_names_whatever_their_case_underscores_and_modules) {
    EXPECT_EQ(
        ops_of("net::types::Flow{.idleTimeoutS = 5, .Cookie_ = 0x10, .hard_timeout_s = 32'd7, "
               ".priority=16'hff}: +1"),
        "weight: 1 flow { priority: 255 cookie: 16 idle_timeout_s: 5 hard_timeout_s: 7 }\n"
    );
}

TEST(DdlogText, reads_vectors_records_options_and_positions) {
    EXPECT_EQ(
        ops_of("Group{.group = 3, .type_ = \"select\", .buckets = [Bucket{.weight = 1, .actions = "
               "\"a\"}, Bucket{2, \"b\"}],\n"
               "      .hash_fields = ddlog_std::None{}, .bridge = std::Some{.x = \"br\"}}: +1\n"
               "Port{\"br\", \"p1\", .hold = true, .vlan_trunks = [1, 2], .down = false}: +1\n"),
        "weight: 1 group { bridge: \"br\" group: 3 type: \"select\" buckets { weight: 1 actions: "
        "\"a\" } "
        "buckets { weight: 2 actions: \"b\" } }\n"
        "weight: 1 port { bridge: \"br\" name: \"p1\" vlan_trunks: 1 vlan_trunks: 2 hold: true }\n"
    );
}

TEST(DdlogText, reads_the_escapes_of_rust) {
    const auto ops = parse_ddlog_text(R"(Port{.tag = "a\"\\\n\t\r\0\'\x41\u{df}\u{1f600}"}: +1)");
    ASSERT_TRUE(ops);
    EXPECT_EQ((*ops)[0].port().tag(), std::string("a\"\\\n\t\r\0'A\xc3\x9f\xf0\x9f\x98\x80", 15));
}

TEST(DdlogText, passes_over_comments_blank_lines_and_headers) {
    EXPECT_EQ(
        ops_of("# a\n\n// b\nnet::Table:\r\n  Table{.table = 1}: +1  \r\n\n"),
        "weight: 1 table { table: 1 }\n"
    );
    EXPECT_EQ(ops_of(""), "");
}

TEST(DdlogText, errors_name_line_column_and_rule) {
    EXPECT_EQ(
        ops_of("\nFlows{}: +1").substr(0, 66),
        "unknown_relation: line 2 column 1: relation \"Flows\" does not exist"
    );
    EXPECT_EQ(
        ops_of("Flow{.priorty = 1}: +1"),
        "unknown_field: line 1 column 6: the message flow has no field \"priorty\"; did you mean "
        "\"priority\"?"
    );
    EXPECT_EQ(
        ops_of("Flow{.priority = 4294967296}: +1"),
        "out_of_range: line 1 column 18: field \"priority\" must be at most 4294967295"
    );
    EXPECT_EQ(
        ops_of("Flow{.priority = -1}: +1"),
        "bad_value: line 1 column 18: field \"priority\" must be a whole number, not negative"
    );
    EXPECT_EQ(
        ops_of("Flow{.match = \"a}: +1\n"), "bad_value: line 1 column 15: the string has no end"
    );
    EXPECT_EQ(
        ops_of("Flow{.match = \"a\\q\"}: +1").substr(0, 44),
        "bad_value: line 1 column 17: the escape is n"
    );
    EXPECT_EQ(
        ops_of("Flow{.table = 1, .table = 1}: +1"),
        "bad_value: line 1 column 27: field \"table\" is there twice"
    );
    EXPECT_EQ(
        ops_of("Flow{.table = 1}"),
        "bad_value: line 1 column 17: expected ':' and a weight after the record"
    );
    EXPECT_EQ(
        ops_of("Flow{.table = 1}: +x"),
        "bad_value: line 1 column 20: expected a weight like +1 or -1"
    );
    EXPECT_EQ(
        ops_of("Flow{.table = 1}: +1 x"),
        "bad_value: line 1 column 22: expected the end of the line after the weight"
    );
    EXPECT_EQ(
        ops_of("Flow{.buckets"),
        "unknown_field: line 1 column 6: the message flow has no field \"buckets\": it has bridge, "
        "table, priority, match, actions, cookie, idle_timeout_s, hard_timeout_s, match_terms, "
        "action_list"
    );
}

TEST(DdlogText, nesting_is_bounded) {
    std::string deep = "Flow{.table = ";
    for (int i = 0; i < 100'000; ++i)
        deep += "Some{";
    EXPECT_NE(ops_of(deep).find("nested deeper"), std::string::npos);
}

} // namespace
} // namespace weft
