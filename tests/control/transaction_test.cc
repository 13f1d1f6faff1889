#include "tests/control/engine.hh"

#include <gtest/gtest.h>

#include <ostream>
#include <random>

namespace weft::test {
namespace {

/// Two rows with one key and different values, one with another key, one that no switch takes.
struct Rows {
    std::string relation, one, other, elsewhere, bad, key;
};
void PrintTo(const Rows& rows, std::ostream* out) {
    *out << rows.relation;
}

std::string
op(std::string_view weight,
   std::string_view relation,
   std::string_view row,
   std::string_view more = "") {
    return "{" + std::string{weight} + ", " + std::string{more} + (more.empty() ? "" : ", ") +
           "\"" + std::string{relation} + "\": " + std::string{row} + "}";
}
const std::string plus = R"("weight": 1)";
const std::string minus = R"("weight": -1)";
const std::string upsert = R"("verb": "upsert")";
const std::string erase = R"("verb": "delete")";

class EveryRelation : public testing::TestWithParam<Rows> {
protected:
    std::string add(std::string_view row) { return op(plus, GetParam().relation, row); }
    std::string remove(std::string_view row) { return op(minus, GetParam().relation, row); }
    std::string put(std::string_view row) { return op(upsert, GetParam().relation, row); }
    std::string drop(std::string_view row) { return op(erase, GetParam().relation, row); }

    Engine engine_;
    Controller client_ = engine_.connect("c");
    const std::string &one_ = GetParam().one, &other_ = GetParam().other,
                      &elsewhere_ = GetParam().elsewhere;
};

TEST_P(EveryRelation, a_row_comes_and_goes_and_repeats_change_nothing) {
    EXPECT_EQ(client_.says("1", add(one_)), "ack +1 -0 =0");
    EXPECT_EQ(client_.says("2", add(one_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("3", remove(one_)), "ack +0 -1 =0");
    EXPECT_EQ(client_.says("4", remove(one_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.rows(GetParam().relation), "");
}

TEST_P(EveryRelation, weights_are_summed_before_anything_else) {
    const std::string none = client_.digests();
    EXPECT_EQ(client_.says("1", add(one_) + "," + remove(one_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("2", remove(one_) + "," + add(one_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.digests(), none);
    const std::string twice = op(R"("weight": 2)", GetParam().relation, one_);
    EXPECT_EQ(client_.says("3", twice + "," + remove(one_)), "ack +1 -0 =0");
}

TEST_P(EveryRelation, a_key_changes_its_value_in_either_order_of_ops) {
    client_.says("1", add(one_));
    EXPECT_EQ(client_.says("2", remove(one_) + "," + add(other_)), "ack +1 -1 =0");
    EXPECT_EQ(client_.says("3", add(one_) + "," + remove(other_)), "ack +1 -1 =0");
    EXPECT_EQ(client_.says("4", remove(other_) + "," + add(one_)), "ack +0 -0 =2") << "said again";
}

TEST_P(EveryRelation, two_values_of_one_key_are_refused_and_nothing_is_applied) {
    EXPECT_EQ(
        client_.says("1", add(elsewhere_) + "," + add(one_) + "," + add(other_)),
        "nak key_conflict op 2"
    );
    EXPECT_EQ(client_.rows(GetParam().relation), "");
    client_.says("2", add(one_));
    EXPECT_EQ(client_.says("3", add(elsewhere_) + "," + add(other_)), "nak key_conflict op 1");
    EXPECT_EQ(client_.says("4", remove(other_)), "nak key_conflict op 0")
        << "removes another value than the one there";
}

TEST_P(EveryRelation, an_upsert_replaces_and_a_delete_needs_the_key_alone) {
    EXPECT_EQ(client_.says("1", put(one_)), "ack +1 -0 =0");
    EXPECT_EQ(client_.says("2", put(other_)), "ack +1 -1 =0");
    EXPECT_EQ(client_.says("3", put(other_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("4", put(one_) + "," + put(other_)), "nak key_conflict op 1");
    EXPECT_EQ(client_.says("5", drop(GetParam().key)), "ack +0 -1 =0");
    EXPECT_EQ(client_.says("6", drop(GetParam().key)), "ack +0 -0 =1");
}

TEST_P(EveryRelation, a_bad_row_is_refused_with_its_index) {
    EXPECT_EQ(client_.says("1", add(one_) + "," + add(GetParam().bad)).substr(0, 4), "nak ");
    const control::Reply reply = client_.ask(
        R"({"transaction": {"id": "2", "ops": [)" + add(one_) + "," + add(GetParam().bad) + "]}}"
    );
    EXPECT_EQ(reply.nak().op(), 1u);
    EXPECT_EQ(
        reply.nak().path().substr(0, GetParam().relation.size() + 1), GetParam().relation + "."
    );
    EXPECT_EQ(client_.rows(GetParam().relation), "");
}

TEST_P(EveryRelation, a_row_stands_while_one_owner_asserts_it) {
    Controller second = engine_.connect("second");
    client_.says("1", add(one_));
    EXPECT_EQ(second.says("1", add(one_)), "ack +0 -0 =1");
    EXPECT_EQ(second.says("2", add(other_)).substr(0, 12), "nak conflict");
    EXPECT_EQ(second.says("3", put(other_)).substr(0, 12), "nak conflict");
    EXPECT_EQ(client_.says("2", remove(one_)), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("3", drop(GetParam().key)), "ack +0 -0 =1") << "holds it no more";
    EXPECT_NE(client_.rows(GetParam().relation), "");
    EXPECT_EQ(second.says("4", remove(one_)), "ack +0 -1 =0");
}

TEST_P(EveryRelation, what_a_nameless_connection_left_anybody_may_take_away) {
    Controller nameless = engine_.connect();
    nameless.says("1", add(one_));
    EXPECT_EQ(client_.says("1", remove(one_)), "ack +0 -0 =1");
    nameless.disconnect();
    EXPECT_EQ(client_.says("2", put(other_)), "ack +1 -1 =0");
    Controller another = engine_.connect();
    another.says("1", add(elsewhere_));
    another.disconnect();
    EXPECT_EQ(client_.says("3", remove(elsewhere_)), "ack +0 -1 =0");
}

TEST_P(EveryRelation, replace_changes_only_what_differs) {
    client_.says("1", add(one_) + "," + add(elsewhere_));
    const std::string replace = R"("replace": {})";
    EXPECT_EQ(client_.says("2", add(one_), replace), "ack +0 -1 =1");
    EXPECT_EQ(client_.says("3", add(one_), replace), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("4", add(other_) + "," + add(elsewhere_), replace), "ack +2 -1 =0");
    EXPECT_EQ(client_.says("5", "", replace), "ack +0 -2 =0");
}

TEST_P(EveryRelation, replace_of_a_scope_leaves_the_others_alone) {
    client_.says("1", op(plus, GetParam().relation, one_, R"("scope": "a")"));
    client_.says("2", op(plus, GetParam().relation, elsewhere_, R"("scope": "b")"));
    EXPECT_EQ(client_.says("3", "", R"("replace": {"scope": "b"})"), "ack +0 -1 =0");
    EXPECT_EQ(client_.says("4", add(other_), R"("replace": {"scope": "a"})"), "ack +1 -1 =0");
    EXPECT_NE(client_.rows(GetParam().relation, R"("scope": "a")"), "");
    EXPECT_EQ(client_.rows(GetParam().relation, R"("scope": "b")"), "");
}

TEST_P(EveryRelation, versions_only_grow) {
    const auto versioned = [&](std::string_view row, int version) {
        return op(plus, GetParam().relation, row, R"("version": )" + std::to_string(version));
    };
    EXPECT_EQ(client_.says("1", versioned(one_, 5)), "ack +1 -0 =0");
    EXPECT_EQ(client_.says("2", versioned(one_, 5)), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("3", versioned(one_, 4)), "nak stale_version op 0");
    EXPECT_EQ(
        client_.says("4", remove(one_) + "," + versioned(other_, 5)), "nak stale_version op 1"
    );
    EXPECT_EQ(client_.says("5", remove(one_) + "," + versioned(other_, 6)), "ack +1 -1 =0");
    EXPECT_EQ(client_.says("6", remove(other_)), "ack +0 -1 =0");
    EXPECT_EQ(client_.says("7", versioned(one_, 6)), "nak stale_version op 0") << "deleted at 6";
    EXPECT_EQ(client_.says("8", versioned(one_, 7)), "ack +1 -0 =0");
}

TEST_P(EveryRelation, there_and_back_gives_the_same_digest) {
    const std::string before = client_.digests();
    for (int i = 0; i < 20; ++i) {
        client_.says("a" + std::to_string(i), add(one_) + "," + add(elsewhere_));
        client_.says("b" + std::to_string(i), remove(one_) + "," + remove(elsewhere_));
    }
    EXPECT_EQ(client_.digests(), before);
    EXPECT_EQ(engine_.tables->rules(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    relations,
    EveryRelation,
    testing::Values(
        Rows{
            "bridge",
            R"({"name": "b1"})",
            R"({"name": "b1", "mac_limit": 5})",
            R"({"name": "b2"})",
            R"({"name": "b\"1"})",
            R"({"name": "b1"})"},
        Rows{
            "port",
            R"({"name": "p1", "devargs": "net_null0"})",
            R"({"name": "p1", "devargs": "net_null1"})",
            R"({"name": "p2", "devargs": "net_null2"})",
            R"({"name": "p1"})",
            R"({"name": "p1"})"},
        Rows{
            "table",
            R"({"table": 3, "name": "acl"})",
            R"({"table": 3, "miss": "output(\"p1\");"})",
            R"({"table": 4})",
            R"({"table": 3, "miss": "outpt(1);"})",
            R"({"table": 3})"},
        Rows{
            "flow",
            R"({"table": 1, "match": "ip4", "actions": "drop;"})",
            R"({"table": 1, "match": "ip4", "actions": "output(\"p1\");"})",
            R"({"table": 1, "match": "ip6", "actions": "drop;"})",
            R"({"match": "ip4 &&", "actions": "drop;"})",
            R"({"table": 1, "match": "ip4"})"},
        Rows{
            "group",
            R"({"group": 1, "type": "all"})",
            R"({"group": 1, "type": "indirect", "buckets": [{"actions": "output(\"p1\");"}]})",
            R"({"group": 2, "type": "select", "buckets": [{"weight": 3, "actions": "output(\"p1\");"}]})",
            R"({"group": 1, "type": "none"})",
            R"({"group": 1})"},
        Rows{
            "meter",
            R"({"meter": 1, "unit": "kbps", "bands": [{"rate": 1000}]})",
            R"({"meter": 1, "unit": "kbps", "bands": [{"rate": 2000}]})",
            R"({"meter": 2, "unit": "pktps", "bands": [{"rate": 10, "burst": 5}]})",
            R"({"meter": 1, "unit": "bananas", "bands": [{"rate": 1}]})",
            R"({"meter": 1})"}
    ),
    [](const auto& instance) { return instance.param.relation; }
);

// -- what belongs to transactions as such

TEST(Transaction, spelling_never_makes_another_row) {
    Engine engine;
    Controller client = engine.connect("c");
    EXPECT_EQ(
        client.says("1", flow(1, 0, 5, "ip4.dst==10.0.0.1&&tcp", "output( \"p1\" );")),
        "ack +1 -0 =0"
    );
    EXPECT_EQ(
        client.says("2", flow(1, 0, 5, "tcp && (ip4.dst == 10.0.0.1)", "output(\"p1\");")),
        "ack +0 -0 =1"
    );
    EXPECT_EQ(
        client.says(
            "3",
            op(minus,
               "flow",
               R"({"bridge": "main", "priority": 5, "match": "tcp && ip4.dst == 10.0.0.1/32", "actions": "output(\"p1\");"})"
            )
        ),
        "ack +0 -1 =0"
    );
}

TEST(Transaction, a_repeated_id_is_answered_and_not_done_again) {
    Engine engine;
    Controller client = engine.connect("c");
    const std::string row = flow(1, 0, 5, "ip4", "drop;");
    const control::Reply first =
        client.ask(R"({"transaction": {"id": "1", "ops": [)" + row + "]}}");
    EXPECT_EQ(client.says("1", row), "ack +1 -0 =0 dup");
    EXPECT_EQ(client.says("1", flow(1, 0, 6, "ip4", "drop;")), "nak id_reused");
    const control::Reply again =
        client.ask(R"({"transaction": {"id": "1", "ops": [)" + row + "]}}");
    EXPECT_EQ(again.ack().generation(), first.ack().generation());

    client.disconnect();
    Controller back = engine.connect("c");
    EXPECT_EQ(back.says("1", row), "ack +1 -0 =0 dup") << "ids belong to the name";
    Controller other = engine.connect("d");
    EXPECT_EQ(other.says("1", row), "ack +0 -0 =1") << "another client's id";
}

TEST(Transaction, a_refused_id_may_be_used_again) {
    Engine engine;
    Controller client = engine.connect("c");
    EXPECT_EQ(client.says("1", flow(1, 0, 5, "ip4 &&", "drop;")), "nak bad_match op 0");
    EXPECT_EQ(client.says("1", flow(1, 0, 5, "ip4", "drop;")), "ack +1 -0 =0");
}

TEST(Transaction, the_last_1024_ids_are_kept) {
    Engine engine;
    Controller client = engine.connect("c");
    for (int i = 0; i <= 1'024; ++i)
        client.says(std::to_string(i), "");
    EXPECT_EQ(client.says("0", ""), "ack +0 -0 =0") << "forgotten";
    EXPECT_EQ(client.says("2", ""), "ack +0 -0 =0 dup");
}

TEST(Transaction, strict_names_what_is_not_there) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("0", port_row(1, "p1"));
    const std::string strict = R"("strict": true)";
    EXPECT_EQ(
        client.says(
            "1",
            flow(1, 0, 1, "ip4", "output(\"p1\");") + "," +
                flow(1, 0, 2, "ip4", "output(\"p77\");"),
            strict
        ),
        "nak unknown_port op 1"
    );
    EXPECT_EQ(
        client.says("2", flow(1, 0, 1, "inport == \"p2\"", "drop;"), strict),
        "nak unknown_port op 0"
    );
    EXPECT_EQ(
        client.says("3", flow(1, 0, 1, "ip4", "group(4);"), strict), "nak unknown_group op 0"
    );
    EXPECT_EQ(
        client.says("4", flow(1, 0, 1, "ip4", "meter(4);"), strict), "nak unknown_meter op 0"
    );
    EXPECT_EQ(client.says("5", flow(1, 0, 1, "ip4", "goto(9);"), strict), "nak unknown_table op 0");
    EXPECT_EQ(
        client.says("6", flow(1, 0, 1, "ip4", "ct_clear;"), strict), "nak unsupported_action op 0"
    );
    EXPECT_EQ(client.rows("flow"), "");
    EXPECT_EQ(
        client.says(
            "7",
            flow(1, 0, 1, "ip4", "output(\"p2\"); goto(9);") + "," + flow(1, 9, 1, "1", "drop;") +
                "," + port_row(1, "p2"),
            strict
        ),
        "ack +3 -0 =0"
    ) << "all of it comes together";
    const control::Reply reply = client.ask(
        R"({"transaction": {"id": "8", "strict": true, "ops": [)" +
        flow(1, 0, 100, "ip6", "output(\"p3\");") + "]}}"
    );
    EXPECT_EQ(reply.nak().message(), "flow table 0 priority 100: port \"p3\" does not exist");
    EXPECT_EQ(reply.nak().path(), "flow.actions");
}

TEST(Transaction, rows_may_wait_for_what_they_name) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("1", flow(1, 0, 1, "ip4", "output(\"p3\");"));
    control::Reply pending = client.ask(R"({"pending": {"id": "p"}})");
    ASSERT_EQ(pending.pending().rows_size(), 1);
    EXPECT_EQ(pending.pending().rows(0).missing(), "port \"p3\"");
    client.says("2", port_row(1, "p3"));
    EXPECT_EQ(client.ask(R"({"pending": {"id": "p"}})").pending().rows_size(), 0);
    client.says("3", port_row(-1, "p3"));
    EXPECT_EQ(client.ask(R"({"pending": {"id": "p"}})").pending().rows_size(), 1);
}

TEST(Transaction, parts_are_judged_at_the_last) {
    Engine engine;
    Controller client = engine.connect("c");
    EXPECT_EQ(client.says("1", flow(1, 0, 1, "ip4", "drop;"), R"("more": true)"), "done");
    EXPECT_EQ(client.rows("flow"), "");
    EXPECT_EQ(client.says("2", flow(1, 0, 1, "ip4", "drop;")), "nak busy") << "one is open";
    EXPECT_EQ(client.says("1", flow(1, 0, 2, "ip4", "drop;")), "ack +2 -0 =0");
    EXPECT_EQ(client.says("3", flow(1, 0, 3, "ip4 &&", "drop;"), R"("more": true)"), "done");
    EXPECT_EQ(client.says("3", flow(1, 0, 4, "ip4", "drop;")), "nak bad_match op 0");
}

TEST(Transaction, a_lost_connection_forgets_its_parts) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("1", flow(1, 0, 1, "ip4", "drop;"), R"("more": true)");
    client.disconnect();
    Controller back = engine.connect("c");
    EXPECT_EQ(back.says("1", flow(1, 0, 2, "ip4", "drop;")), "ack +1 -0 =0");
}

TEST(Transaction, what_follows_a_part_that_did_not_decode_is_refused) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("1", flow(1, 0, 1, "ip4", "drop;"), R"("more": true)");
    EXPECT_EQ(
        client.says("1", R"({"weight": 1, "flow": {"prio": 1}})", R"("more": true)"),
        "nak unknown_field op 0"
    );
    EXPECT_EQ(client.says("1", flow(1, 0, 3, "ip4", "drop;")), "nak unknown_field");
    EXPECT_EQ(client.rows("flow"), "");
}

TEST(Transaction, large_ones_are_prepared_in_slices_and_keep_their_place) {
    Engine engine{{.ops_slice = 10}};
    Controller large = engine.connect("large");
    Controller small = engine.connect("small");
    std::string ops;
    for (int i = 0; i < 100; ++i)
        ops += (i == 0 ? "" : ",") + flow(1, 0, i, "ip4", "drop;");
    large.send(R"({"transaction": {"id": "1", "ops": [)" + ops + "]}}");
    large.send(R"({"digest": {"id": "2", "relation": "flow"}})");
    small.send(R"({"transaction": {"id": "1", "ops": [)" + flow(1, 1, 1, "ip4", "drop;") + "]}}");
    const auto early = small.session->take();
    ASSERT_EQ(early.size(), 1u);
    EXPECT_EQ(early[0].ack().added(), 1u) << "did not wait";
    const auto replies = large.take();
    ASSERT_EQ(replies.size(), 2u);
    EXPECT_EQ(in_short(replies[0]), "ack +100 -0 =0");
    EXPECT_EQ(replies[0].ack().generation(), early[0].ack().generation() + 1);
    EXPECT_EQ(replies[1].digests().digests(0).rows(), 101u) << "sees what came before it";
}

TEST(
    Transaction, a_row_that_stands_when_its_upsert_is_read_and_leaves_before_it_is_judged_comes_anew
) {
    Engine engine{{.ops_slice = 10}};
    Controller large = engine.connect("large");
    Controller small = engine.connect("small");
    large.says("1", port_row(1, "p1") + "," + port_row(1, "p2"));
    engine.port_up("p1");
    engine.port_up("p2");
    const std::string row = R"(: {"priority": 7, "match": "udp", "actions": "output(\"p2\");"}})";
    large.says("2", R"({"weight": 1, "flow")" + row);
    std::string ops = R"({"verb": "upsert", "flow")" + row;
    for (int i = 0; i < 50; ++i)
        ops += "," + flow(1, 5, i, "ip4", "drop;");
    large.send(R"({"transaction": {"id": "3", "ops": [)" + ops + "]}}");
    small.send(
        R"({"transaction": {"id": "1", "replace": {"owner": "large", "relations": ["flow"]}}})"
    );
    const auto early = small.session->take();
    ASSERT_EQ(early.size(), 1u);
    EXPECT_EQ(in_short(early[0]), "ack +0 -1 =0") << "did not wait";
    const auto replies = large.take();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(in_short(replies[0]), "ack +51 -0 =0");
    EXPECT_EQ(engine.sends("p1", udp("10.0.0.1:1 > 10.0.0.2:2")), "p2");
}

TEST(Transaction, a_row_leaves_by_the_words_it_stands_in_and_by_others) {
    Engine engine;
    Controller client = engine.connect("c");
    for (const char* words :
         {"ip4.dst == 10.0.0.0/8 && tcp.dst == 7..300",
          "tcp.dst == 7..300 && ip4.dst == 10.0.0.0/8"})
        for (const char* op : {R"("weight": -1)", R"("verb": "delete")"}) {
            client.says("", flow(1, 0, 7, words, "drop;"));
            EXPECT_EQ(
                client.says(
                    "",
                    "{" + std::string{op} + R"(, "flow": {"priority": 7, "match": ")" + words +
                        R"(", "actions": "drop;"}})"
                ),
                "ack +0 -1 =0"
            ) << words
              << ", " << op;
        }
}

TEST(Transaction, terms_of_all_its_matches_are_bounded_together) {
    Engine engine{{.transaction_terms_max = 100}};
    Controller client = engine.connect("c");
    const auto wide = [](int priority) { // 48 terms of a few bytes
        return flow(1, 0, priority, "tcp.src != 5 && ip.ttl > 0x1f", "drop;");
    };
    EXPECT_EQ(client.says("1", wide(1)), "ack +1 -0 =0");
    EXPECT_EQ(client.says("2", wide(2) + "," + wide(3) + "," + wide(4)), "nak too_many_terms op 2");
    EXPECT_EQ(client.says("3", wide(2), R"("more": true)"), "done");
    EXPECT_EQ(client.says("3", wide(3), R"("more": true)"), "done");
    EXPECT_EQ(client.says("3", wide(4)), "nak too_many_terms op 2") << "in parts as well";
    EXPECT_EQ(client.get("flow").front().rows().rows_size(), 1);
    EXPECT_EQ(client.says("4", wide(2) + "," + wide(3)), "ack +2 -0 =0");
}

TEST(Transaction, each_accepted_one_leaves_an_audit_line) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("t-7", flow(1, 0, 1, "ip4", "drop;"));
    client.says("t-8", flow(1, 0, 1, "ip4 &&", "drop;"));
    EXPECT_NE(
        engine.log().find(R"(client="c" id="t-7" generation=2 added=1 removed=0 unchanged=0)"),
        std::string::npos
    ) << engine.log();
    EXPECT_EQ(engine.log().find("t-8"), std::string::npos);
}

TEST(Transaction, an_answer_does_not_wait_for_the_audit_line_which_comes_in_the_same_turn) {
    Engine engine;
    Controller client = engine.connect("c");
    client.send(R"({"transaction": {"id": "t-1", "ops": []}})");
    client.send(R"({"transaction": {"id": "t-2", "ops": []}})");
    EXPECT_EQ(client.session->take().size(), 2u);
    EXPECT_EQ(engine.log().find("t-1"), std::string::npos);
    engine.engine->poll();
    const std::size_t first = engine.log().find(R"(id="t-1")");
    EXPECT_NE(first, std::string::npos);
    EXPECT_GT(engine.log().find(R"(id="t-2")"), first);
    EXPECT_NE(engine.log().find(R"(id="t-2")"), std::string::npos);
}

TEST(Transaction, the_order_of_arrival_has_no_effect) {
    constexpr int rows = 300;
    std::vector<std::string> ops;
    for (int i = 0; i < rows; ++i)
        ops.push_back(flow(
            1,
            i % 3,
            i % 7,
            "ip4.dst == 10.0.0." + std::to_string(i % 250) + " && tcp.dst == " + std::to_string(i),
            "output(\"p" + std::to_string(i % 5) + "\");"
        ));
    for (int i = 0; i < 5; ++i)
        ops.push_back(port_row(1, "p" + std::to_string(i)));
    std::string expected;
    for (unsigned seed = 1; seed <= 10; ++seed) {
        std::mt19937 random{seed};
        std::shuffle(ops.begin(), ops.end(), random);
        Engine engine;
        Controller client = engine.connect("c");
        for (std::size_t at = 0, id = 0; at < ops.size(); ++id) {
            std::string some;
            for (std::size_t end = std::min(ops.size(), at + 1 + random() % 60); at < end; ++at)
                some += (some.empty() ? "" : ",") + ops[at];
            client.says(std::to_string(id), some);
        }
        if (expected.empty())
            expected = client.digests();
        EXPECT_EQ(client.digests(), expected) << "seed " << seed;
    }
}

TEST(Transaction, a_full_switch_takes_all_or_nothing) {
    Engine engine{{}, {.rules = 10}};
    Controller client = engine.connect("c");
    std::string ops;
    for (int i = 0; i < 8; ++i)
        ops += (i == 0 ? "" : ",") + flow(1, 0, i, "ip4", "drop;");
    EXPECT_EQ(client.says("1", ops), "ack +8 -0 =0");
    client.ask(R"({"watch": {"id": "w", "topics": ["limit"]}})");
    const std::string before = client.digests();
    EXPECT_EQ(
        client.says(
            "2",
            flow(1, 0, 20, "ip4", "drop;") + "," +
                flow(1, 0, 21, "ip4.dst == {1.0.0.1, 1.0.0.2}", "drop;")
        ),
        "nak too_many_rules op 1"
    );
    EXPECT_EQ(client.events(), (std::vector<std::string>{"limit rules"}));
    EXPECT_EQ(client.digests(), before);
    EXPECT_EQ(engine.tables->rules(), 8u);
    EXPECT_EQ(
        client.says("3", flow(1, 0, 20, "ip4", "drop;") + "," + flow(1, 0, 21, "ip4", "drop;")),
        "ack +2 -0 =0"
    );
}

TEST(Transaction, a_table_holds_its_rules_max) {
    Engine engine;
    Controller client = engine.connect("c");
    client.says("1", R"({"weight": 1, "table": {"table": 5, "rules_max": 2}})");
    EXPECT_EQ(
        client.says("2", flow(1, 5, 1, "ip4", "drop;") + "," + flow(1, 5, 2, "ip4", "drop;")),
        "ack +2 -0 =0"
    );
    EXPECT_EQ(client.says("3", flow(1, 5, 3, "ip4", "drop;")), "nak too_many_rules op 0");
    EXPECT_EQ(
        client.says("4", flow(1, 5, 3, "ip4", "drop;") + "," + flow(-1, 5, 1, "ip4", "drop;")),
        "ack +1 -1 =0"
    );
}

TEST(Transaction, a_flow_that_would_break_its_tables_bound_is_refused_with_the_bound) {
    Engine engine;
    Controller client = engine.connect("c");
    // A few rules are compared at once: 90 cycles, 120 for more than four, and 50 for each that one
    // packet can match.
    client.says("1", R"({"weight": 1, "table": {"table": 5, "cycles_max": 300}})");
    for (int i = 1; i <= 4; ++i)
        EXPECT_EQ(client.says("", flow(1, 5, i, "ip4", "drop;")), "ack +1 -0 =0");
    const auto before = client.digests();
    for (int tries = 0; tries < 20; ++tries) { // and no refusal makes the next one dearer
        const control::Reply reply = client.ask(
            R"({"transaction": {"id": "no", "ops": [)" + flow(1, 6, 1, "ip4", "drop;") + ", " +
            flow(1, 5, 5, "ip4", "drop;") + "]}}"
        );
        ASSERT_TRUE(reply.has_nak());
        EXPECT_EQ(reply.nak().code(), "bound_exceeded");
        EXPECT_EQ(reply.nak().op(), 1u);
        EXPECT_EQ(
            reply.nak().message(),
            "flow table 5 priority 5: table 5 would cost up to 370 cycles a lookup: its cycles_max "
            "is 300"
        );
    }
    EXPECT_EQ(client.digests(), before);
    EXPECT_EQ(engine.tables->rules(), 4u);
    engine.settle();
    // Other actions under the same key cost a lookup nothing, once the old ones are gone.
    EXPECT_EQ(
        client.says("", flow(-1, 5, 4, "ip4", "drop;") + "," + flow(1, 5, 4, "ip4", "reg0 = 1;")),
        "ack +1 -1 =0"
    );
    EXPECT_EQ(
        client.says("", flow(-1, 5, 4, "ip4", "reg0 = 1;") + "," + flow(1, 5, 4, "ip4", "drop;")),
        "ack +1 -1 =0"
    );
    engine.settle();
    EXPECT_EQ(client.says("2", flow(-1, 5, 1, "ip4", "drop;")), "ack +0 -1 =0");
    engine.settle();
    EXPECT_EQ(client.says("3", flow(1, 5, 5, "ip4", "drop;")), "ack +1 -0 =0");
}

TEST(Transaction, a_tables_row_cannot_ask_for_less_than_its_rules_cost) {
    Engine engine;
    Controller client = engine.connect("c");
    std::string flows;
    for (int i = 0; i < 300; ++i)
        flows += (i == 0 ? "" : ",") +
                 flow(
                     1,
                     5,
                     7,
                     "ip4.dst == 10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250),
                     "drop;"
                 );
    EXPECT_EQ(client.says("1", flows), "ack +300 -0 =0");
    engine.settle();
    EXPECT_EQ(
        client.says("2", R"({"weight": 1, "table": {"table": 5, "cycles_max": 60}})"),
        "nak bound_exceeded op 0"
    );
    EXPECT_EQ(
        client.says("3", R"({"weight": 1, "table": {"table": 5, "cycles_max": 400}})"),
        "ack +1 -0 =0"
    );
    EXPECT_EQ(client.says("4", flow(1, 5, 7, "ip4.dst == 10.9.9.9", "drop;")), "ack +1 -0 =0")
        << "one more of the same kind costs nothing";
    std::string odd;
    for (int i = 8; i < 32; ++i)
        odd +=
            (i == 8 ? "" : ",") +
            flow(1, 5, i, "ip4.src == 10.0.0.0/" + std::to_string(i) + " && ip.ttl == 9", "drop;");
    EXPECT_EQ(client.says("5", odd), "nak bound_exceeded op 23");
    EXPECT_EQ(client.says("6", R"({"verb": "upsert", "table": {"table": 5}})"), "ack +1 -1 =0");
    EXPECT_EQ(client.says("7", odd), "ack +24 -0 =0") << "no limit, no refusal";
}

TEST(Transaction, two_rows_cannot_have_one_port_number) {
    Engine engine;
    Controller client = engine.connect("c");
    EXPECT_EQ(client.says("1", port_row(1, "p1", R"("number": 7)")), "ack +1 -0 =0");
    EXPECT_EQ(client.says("2", port_row(1, "p2", R"("number": 7)")), "nak key_conflict op 0");
    EXPECT_EQ(
        client.says(
            "3", port_row(1, "p2", R"("number": 7)") + "," + port_row(-1, "p1", R"("number": 7)")
        ),
        "ack +1 -1 =0"
    );
    EXPECT_EQ(
        client.says(
            "4", port_row(1, "p3", R"("number": 9)") + "," + port_row(1, "p4", R"("number": 9)")
        ),
        "nak key_conflict op 1"
    );
}

TEST(Transaction, only_clients_rows_can_be_written) {
    Engine engine;
    Controller client = engine.connect("c");
    EXPECT_EQ(
        client.says("1", R"({"weight": 1, "port_status": {"name": "p1"}})"),
        "nak unknown_relation op 0"
    );
}

} // namespace
} // namespace weft::test
