#include "control/codec_json.hh"
#include "tests/control/engine.hh"

#include <gtest/gtest.h>

#include <chrono>

namespace weft::test {
namespace {

class Switch_ : public testing::Test {
protected:
    void ports(int count) {
        std::string ops;
        for (int i = 1; i <= count; ++i)
            ops += (i == 1 ? "" : ",") + port_row(1, "p" + std::to_string(i));
        EXPECT_EQ(client_.says("ports", ops), "ack +" + std::to_string(count) + " -0 =0");
        for (int i = 1; i <= count; ++i)
            engine_.port_up("p" + std::to_string(i));
    }
    Engine engine_;
    Controller client_ = engine_.connect("c");
};

// -- what rows make packets do

TEST_F(Switch_, flows_forward_and_a_move_is_one_delta) {
    ports(3);
    client_.says(
        "1",
        flow(1, 0, 10, "ip4.dst == 10.0.0.1", "output(\"p2\");") + "," +
            flow(1, 0, 10, "ip4.dst == 10.0.0.2", "output(\"p3\");")
    );
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.2:2")), "p3");
    EXPECT_EQ(
        client_.says(
            "2",
            flow(-1, 0, 10, "ip4.dst == 10.0.0.1", "output(\"p2\");") + "," +
                flow(1, 0, 10, "ip4.dst == 10.0.0.1", "output(\"p3\");")
        ),
        "ack +1 -1 =0"
    );
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p3");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.3:2")), "drop no_match");
}

TEST_F(Switch_, rows_that_do_not_change_keep_their_counters) {
    ports(2);
    const std::string kept = flow(1, 0, 10, "ip4", "output(\"p2\");");
    client_.says("1", kept + "," + flow(1, 0, 10, "ip6", "output(\"p2\");"));
    engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2"));
    client_.says(
        "2", kept + "," + flow(1, 0, 11, "ip6", "drop;"), R"("replace": {"relations": ["flow"]})"
    );
    client_.says("3", flow(-1, 0, 10, "ip4", "output(\"p2\");") + "," + kept);
    const auto rows = client_.get("flow", R"("table": 0)");
    ASSERT_EQ(rows.at(0).rows().rows_size(), 2);
    EXPECT_EQ(rows.at(0).rows().rows(0).packets(), 1u);
    EXPECT_EQ(rows.at(0).rows().rows(0).bytes(), udp("10.0.0.9:1 > 10.0.0.1:2").bytes().size());
    EXPECT_EQ(rows.at(0).rows().rows(0).used_ms(), 0u);
    EXPECT_EQ(rows.at(0).rows().rows(1).used_ms(), ~std::uint64_t{0}) << "never used";
}

TEST_F(Switch_, rules_follow_a_port_that_is_given_another_number) {
    client_.says(
        "1",
        flow(1, 0, 10, "inport == \"a\"", "reg0 = 1; goto(1);") + "," +
            flow(1, 1, 1, "1", "inport = \"b\"; goto(2);") + "," +
            flow(1, 2, 1, "inport == \"b\"", "output(\"c\");")
    );
    client_.says(
        "2",
        port_row(1, "c", R"("number": 1)") + "," + port_row(1, "b", R"("number": 2)") + "," +
            port_row(1, "a", R"("number": 3)")
    );
    for (const char* name : {"a", "b", "c"})
        engine_.port_up(name);
    EXPECT_EQ(engine_.sends("a", udp("10.0.0.9:1 > 10.0.0.1:2")), "c");
    client_.says(
        "3", port_row(-1, "b", R"("number": 2)") + "," + port_row(1, "b", R"("number": 9)")
    );
    EXPECT_EQ(engine_.sends("a", udp("10.0.0.9:1 > 10.0.0.1:2")), "c");
    const auto rows = client_.get("flow");
    for (const control::StoredRow& row : rows.at(0).rows().rows())
        EXPECT_EQ(row.packets(), 2u) << "counters stay: " << row.row().flow().match();
}

TEST_F(Switch_, a_number_that_nobody_asked_for_gives_way) {
    ports(2);
    client_.says("1", flow(1, 0, 1, "inport == \"p1\"", "output(\"p2\");"));
    ASSERT_EQ(engine_.tables->port_number(engine_.port("p1")), PortNumber{1});
    EXPECT_EQ(client_.says("2", port_row(1, "p3", R"("number": 1)")), "ack +1 -0 =0");
    EXPECT_EQ(engine_.tables->port_number(engine_.port("p3")), PortNumber{1});
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    engine_.port_up("p3");
    EXPECT_EQ(engine_.sends("p3", udp("10.0.0.9:1 > 10.0.0.1:2")), "drop no_match");
}

TEST_F(Switch_, two_ports_may_swap_their_numbers) {
    client_.says(
        "1", port_row(1, "a", R"("number": 1)") + "," + port_row(1, "b", R"("number": 2)")
    );
    EXPECT_EQ(
        client_.says(
            "2",
            R"({"verb": "upsert", "port": {"name": "a", "devargs": "net_a", "number": 2}}, {"verb": "upsert", "port": {"name": "b", "devargs": "net_b", "number": 1}})"
        ),
        "ack +2 -2 =0"
    );
    EXPECT_EQ(engine_.tables->port_number(engine_.port("a")), PortNumber{2});
    EXPECT_EQ(engine_.tables->port_number(engine_.port("b")), PortNumber{1});
}

TEST_F(Switch_, groups_tables_and_bridges_become_what_they_say) {
    ports(3);
    client_.says("1", flow(1, 0, 1, "ip4", "group(7);") + "," + flow(1, 0, 1, "ip6", "goto(4);"));
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "drop no_such_group");
    client_.says(
        "2",
        R"({"weight": 1, "group": {"group": 7, "type": "all", "buckets": [{"actions": "output(\"p2\");"}, {"actions": "output(\"p3\");"}]}})"
    );
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2 p3");
    client_.says("3", R"({"weight": 1, "table": {"table": 4, "miss": "output(\"p3\");"}})");
    EXPECT_EQ(engine_.sends("p1", udp("[fd00::1]:1 > [fd00::2]:2")), "p3");
    client_.says(
        "4",
        R"({"verb": "delete", "table": {"table": 4}}, {"verb": "delete", "group": {"group": 7}})"
    );
    EXPECT_EQ(engine_.sends("p1", udp("[fd00::1]:1 > [fd00::2]:2")), "drop no_such_table");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "drop no_such_group");
}

TEST_F(Switch_, patch_ports_join_bridges_in_whatever_order_they_come) {
    client_.says("1", port_row(1, "here", R"("peer": "there")"));
    client_.says(
        "2", port_row(1, "p1") + "," + flow(1, 0, 1, "inport == \"p1\"", "output(\"here\");")
    );
    engine_.port_up("p1");
    EXPECT_EQ(
        client_.ask(R"({"pending": {"id": "p"}})").pending().rows(0).missing(),
        "patch port \"there\" with peer \"here\""
    );
    EXPECT_NE(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    EXPECT_EQ(
        client_.says(
            "3",
            R"({"weight": 1, "bridge": {"name": "br"}}, {"weight": 1, "port": {"bridge": "br", "name": "there", "peer": "here"}}, {"weight": 1, "port": {"bridge": "br", "name": "p2", "devargs": "net_p2"}}, {"weight": 1, "flow": {"bridge": "br", "match": "inport == \"there\"", "actions": "output(\"p2\");"}})"
        ),
        "ack +4 -0 =0"
    );
    engine_.port_up("p2", "br");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    EXPECT_NE(
        client_.rows("port_status", R"("name": "here")").find(R"("state": "up")"), std::string::npos
    );
    client_.says("4", R"({"verb": "delete", "port": {"bridge": "br", "name": "there"}})");
    EXPECT_NE(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    EXPECT_NE(
        client_.rows("port_status", R"("name": "here")").find(R"("state": "down")"),
        std::string::npos
    );
}

// -- ports and their devices

TEST_F(Switch_, a_port_row_is_acknowledged_before_its_device_opens) {
    EXPECT_EQ(client_.says("1", port_row(1, "p1", R"("queues": 2, "mtu": 9000)")), "ack +1 -0 =0");
    EXPECT_EQ(engine_.backend->calls, (std::vector<std::string>{"open p1 net_p1"}));
    EXPECT_NE(client_.rows("port_status").find(R"("state": "opening")"), std::string::npos);
    engine_.port_failed("p1", "net_p1: no such device");
    EXPECT_NE(
        client_.rows("port_status").find(R"("state": "failed", "error": "net_p1: no such device")"),
        std::string::npos
    );
}

TEST_F(Switch_, only_another_device_opens_a_port_anew) {
    client_.says("1", port_row(1, "p1"));
    engine_.port_up("p1");
    engine_.backend->calls.clear();
    client_.says(
        "2",
        R"({"verb": "upsert", "port": {"name": "p1", "devargs": "net_p1", "tag": "x", "vlan_mode": "access", "vlan_tag": 5, "iface_id": "lp1"}})"
    );
    EXPECT_TRUE(engine_.backend->calls.empty());
    client_.says(
        "3", R"({"verb": "upsert", "port": {"name": "p1", "devargs": "net_p1", "hold": true}})"
    );
    EXPECT_EQ(engine_.backend->calls, (std::vector<std::string>{"hold p1"}));
    client_.says(
        "4", R"({"verb": "upsert", "port": {"name": "p1", "devargs": "net_other", "hold": true}})"
    );
    EXPECT_EQ(
        engine_.backend->calls,
        (std::vector<std::string>{"hold p1", "close p1", "open p1 net_other"})
    );
    client_.says("5", R"({"verb": "delete", "port": {"name": "p1"}})");
    EXPECT_EQ(engine_.backend->calls.back(), "close p1");
    EXPECT_EQ(client_.rows("port_status"), "");
}

TEST_F(Switch_, ready_is_told_when_every_worker_has_the_port) {
    client_.ask(R"({"watch": {"id": "w", "topics": ["port"]}})");
    engine_.backend->hold_workers = true;
    engine_.backend->held_at = engine_.tables->generation();
    client_.says("1", port_row(1, "p1"));
    engine_.port_up("p1");
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"port up p1"}));
    engine_.backend->hold_workers = false;
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"port ready p1"}));
    engine_.port_down("p1");
    engine_.port_up("p1");
    EXPECT_EQ(
        client_.events(), (std::vector<std::string>{"port down p1", "port up p1", "port ready p1"})
    );
    client_.says(
        "2", R"({"verb": "upsert", "port": {"name": "p1", "devargs": "net_p1", "down": true}})"
    );
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"port down p1"}));
    client_.says("3", R"({"verb": "delete", "port": {"name": "p1"}})");
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"port gone p1"}));
}

TEST_F(Switch_, an_iface_id_belongs_to_the_first_port_that_claims_it) {
    client_.ask(R"({"watch": {"id": "w", "topics": ["port"]}})");
    client_.says("1", port_row(1, "p1", R"("iface_id": "lp")"));
    client_.says("2", port_row(1, "p2", R"("iface_id": "lp")"));
    engine_.port_up("p1");
    engine_.port_up("p2");
    EXPECT_EQ(
        client_.events(),
        (std::vector<std::string>{
            "port duplicate_iface_id p2",
            "port up p1",
            "port ready p1",
            "port up p2",
            "port ready p2"})
    );
    EXPECT_NE(
        client_.rows("port_status", R"("name": "p1")").find(R"("iface_active": true)"),
        std::string::npos
    );
    EXPECT_NE(
        client_.rows("port_status", R"("name": "p2")").find(R"("iface_active": false)"),
        std::string::npos
    );
    client_.says("3", port_row(-1, "p1", R"("iface_id": "lp")"));
    EXPECT_EQ(
        client_.events(), (std::vector<std::string>{"port up p2", "port gone p1", "port ready p2"})
    );
    EXPECT_NE(client_.rows("port_status").find(R"("iface_active": true)"), std::string::npos);
}

TEST_F(Switch_, release_needs_a_held_port) {
    client_.says("1", port_row(1, "p1", R"("hold": true)") + "," + port_row(1, "p2"));
    EXPECT_EQ(
        in_short(client_.ask(R"({"release": {"id": "r", "port": "p1", "packets": 3}})")), "done"
    );
    EXPECT_EQ(engine_.backend->calls.back(), "release p1 3");
    EXPECT_EQ(in_short(client_.ask(R"({"release": {"id": "r", "port": "p2"}})")), "nak bad_value");
    EXPECT_EQ(
        in_short(client_.ask(R"({"release": {"id": "r", "port": "p3"}})")), "nak unknown_port"
    );
}

// -- time

TEST_F(Switch_, a_flow_without_packets_leaves_after_its_idle_timeout) {
    ports(2);
    client_.ask(R"({"watch": {"id": "w", "topics": ["flow", "commit"]}})");
    client_.says(
        "1",
        flow(1, 0, 1, "ip4", "output(\"p2\");", R"("idle_timeout_s": 10)") + "," +
            flow(1, 0, 1, "ip6", "drop;", R"("hard_timeout_s": 12)")
    );
    const auto advance = [&](int ms) {
        client_.ask(R"({"clock": {"id": "c", "advance_ms": )" + std::to_string(ms) + "}}");
    };
    advance(9'000);
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "p2");
    advance(2'000);
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"commit c 1"}))
        << "it was used two seconds ago";
    advance(1'000);
    EXPECT_EQ(
        client_.events(),
        (std::vector<std::string>{"expired hard ip6 packets 0", "commit switch timeouts"})
    );
    advance(7'000);
    EXPECT_EQ(
        client_.events(),
        (std::vector<std::string>{"expired idle ip4 packets 1", "commit switch timeouts"})
    );
    EXPECT_EQ(client_.rows("flow"), "");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "drop no_match");
}

TEST_F(Switch_, a_flow_that_left_by_itself_does_not_expire) {
    const std::string row = flow(1, 0, 1, "ip4", "drop;", R"("idle_timeout_s": 10)");
    client_.says("1", row);
    client_.says("2", flow(-1, 0, 1, "ip4", "drop;", R"("idle_timeout_s": 10)"));
    client_.ask(R"({"watch": {"id": "w", "topics": ["flow"]}})");
    client_.ask(R"({"clock": {"id": "c", "advance_ms": 20000}})");
    EXPECT_TRUE(client_.events().empty());
    EXPECT_EQ(client_.says("3", row), "ack +1 -0 =0");
}

TEST_F(Switch_, a_bridge_learns_moves_and_forgets_addresses) {
    ports(3);
    client_.says("1", flow(1, 0, 1, "1", "output(normal);"));
    client_.ask(R"({"watch": {"id": "w", "topics": ["mac"]}})");
    EXPECT_EQ(
        engine_.sends(
            "p1", udp("10.0.0.1:1 > 10.0.0.2:2").eth("02:00:00:00:00:0a > 02:00:00:00:00:0b")
        ),
        "p2 p3"
    ) << "flooded";
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"mac 02:00:00:00:00:0a at p1"}));
    EXPECT_EQ(
        engine_.sends(
            "p2", udp("10.0.0.2:1 > 10.0.0.1:2").eth("02:00:00:00:00:0b > 02:00:00:00:00:0a")
        ),
        "p1"
    );
    EXPECT_EQ(
        engine_.sends(
            "p3", udp("10.0.0.1:1 > 10.0.0.2:2").eth("02:00:00:00:00:0a > 02:00:00:00:00:0b")
        ),
        "p2"
    );
    EXPECT_EQ(
        client_.events(),
        (std::vector<std::string>{"mac 02:00:00:00:00:0b at p2", "mac 02:00:00:00:00:0a at p3"})
    );
    EXPECT_EQ(
        engine_.sends(
            "p2", udp("10.0.0.2:1 > 10.0.0.1:2").eth("02:00:00:00:00:0b > 02:00:00:00:00:0a")
        ),
        "p3"
    );
    EXPECT_NE(
        client_.rows("learned_mac").find(R"("port": "p3", "vlan": 0, "mac": "02:00:00:00:00:0a")"),
        std::string::npos
    ) << client_.rows("learned_mac");

    client_.ask(R"({"clock": {"id": "c", "advance_ms": 200000}})");
    engine_.sends(
        "p3", udp("10.0.0.1:1 > 10.0.0.2:2").eth("02:00:00:00:00:0a > 02:00:00:00:00:0b")
    );
    client_.ask(R"({"clock": {"id": "c", "advance_ms": 150000}})");
    EXPECT_EQ(client_.rows("learned_mac").find("00:0b"), std::string::npos) << "too old";
    EXPECT_NE(client_.rows("learned_mac").find("00:0a"), std::string::npos);
    client_.says("2", port_row(-1, "p3"));
    EXPECT_EQ(client_.rows("learned_mac"), "");
}

TEST_F(Switch_, a_bridge_learns_no_more_than_its_limit) {
    ports(2);
    client_.says(
        "1",
        flow(1, 0, 1, "1", "output(normal);") +
            R"(, {"weight": 1, "bridge": {"name": "main", "mac_limit": 2}})"
    );
    client_.ask(R"({"watch": {"id": "w", "topics": ["limit"]}})");
    for (const char* mac : {"0a", "0b", "0c", "0d"})
        engine_.sends(
            "p1",
            udp("10.0.0.1:1 > 10.0.0.2:2")
                .eth(std::string{"02:00:00:00:00:"} + mac + " > 02:00:00:00:00:ff")
        );
    EXPECT_EQ(client_.events(), (std::vector<std::string>{"limit macs"}));
    client_.says("2", R"({"verb": "upsert", "bridge": {"name": "main", "learning_off": true}})");
    EXPECT_EQ(client_.rows("learned_mac"), "");
}

// -- requests

TEST_F(Switch_, hello_says_what_the_switch_is) {
    ports(1);
    const control::Welcome hello =
        client_.ask(R"({"hello": {"id": "h", "client": "c", "versions": [1, 2]}})").hello();
    EXPECT_EQ(hello.node(), "node-1");
    EXPECT_EQ(hello.protocol(), 1u);
    EXPECT_EQ(hello.ports(0).name(), "p1");
    EXPECT_EQ(hello.digests(0).relation(), "port");
    EXPECT_NE(hello.epoch(), 0u);
    EXPECT_EQ(hello.limits().at("name_wildcards"), 256u);
    EXPECT_EQ(
        in_short(client_.ask(R"({"hello": {"id": "h", "versions": [2]}})")), "nak unsupported"
    );
    EXPECT_EQ(in_short(client_.ask(R"({"hello": {"id": "h", "client": "#7"}})")), "nak bad_value");
}

TEST_F(Switch_, get_is_one_snapshot_while_commits_go_on) {
    std::string ops;
    for (int i = 0; i < 50; ++i)
        ops += (i == 0 ? "" : ",") + flow(1, 0, i, "ip4", "drop;");
    client_.says("1", ops);
    Controller other = engine_.connect("other");
    std::set<std::uint32_t> seen;
    std::string cursor;
    int page_number = 0;
    do {
        const control::Rows page =
            client_
                .ask(
                    R"({"get": {"id": "g", "relation": "flow", "limit": 7, "cursor": ")" + cursor +
                    R"("}})"
                )
                .rows();
        for (const control::StoredRow& row : page.rows())
            seen.insert(row.row().flow().priority());
        cursor = page.cursor();
        other.says(
            "x" + std::to_string(page_number), flow(1, 0, 100 + page_number, "ip4", "drop;")
        );
        client_.says(
            "y" + std::to_string(page_number), flow(-1, 0, 49 - page_number, "ip4", "drop;")
        );
        ++page_number;
    } while (!cursor.empty());
    EXPECT_EQ(seen.size(), 50u);
    EXPECT_EQ(*seen.rbegin(), 49u);
}

TEST_F(Switch_, get_refuses_relations_that_are_not_there) {
    EXPECT_EQ(
        in_short(client_.ask(R"({"get": {"id": "g", "relation": "acl"}})")), "nak unknown_relation"
    );
    EXPECT_EQ(
        in_short(client_.ask(R"({"get": {"id": "g", "relation": "flow", "cursor": "99"}})")),
        "nak cursor_expired"
    );
    EXPECT_EQ(
        in_short(client_.ask(R"({"get": {"id": "g", "relation": "learned_mac", "cursor": "99"}})")),
        "nak cursor_expired"
    );
}

TEST_F(Switch_, a_barrier_waits_for_workers_and_names_those_that_do_not_pass) {
    client_.says("1", flow(1, 0, 1, "ip4", "drop;"));
    EXPECT_EQ(in_short(client_.ask(R"({"barrier": {"id": "b"}})")), "barrier");
    EXPECT_EQ(
        in_short(client_.ask(R"({"barrier": {"id": "b", "generation": 99}})")), "nak bad_value"
    );
    engine_.backend->hold_workers = true;
    engine_.backend->held_at = engine_.tables->generation();
    EXPECT_EQ(in_short(client_.ask(R"({"barrier": {"id": "b"}})")), "barrier") << "passed before";
    client_.says("2", flow(1, 0, 2, "ip4", "drop;"));
    client_.send(R"({"barrier": {"id": "b1", "timeout_ms": 500}})");
    EXPECT_TRUE(client_.take().empty());
    engine_.backend->clock_ms += 500;
    const auto late = client_.take();
    ASSERT_EQ(late.size(), 1u);
    EXPECT_TRUE(late[0].barrier().timeout());
    EXPECT_EQ(late[0].barrier().passed_ns(), 0u);
    EXPECT_EQ(late[0].barrier().workers(0), 1u);
    client_.send(R"({"barrier": {"id": "b2", "timeout_ms": 500}})");
    engine_.backend->hold_workers = false;
    const auto now_ns = [] {
        const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
        return static_cast<std::uint64_t>(now.count());
    };
    const std::uint64_t before = now_ns();
    const auto passed = client_.take();
    ASSERT_EQ(passed.size(), 1u);
    EXPECT_EQ(in_short(passed[0]), "barrier");
    EXPECT_GE(passed[0].barrier().passed_ns(), before);
    EXPECT_LE(passed[0].barrier().passed_ns(), now_ns());
}

TEST_F(Switch_, a_packet_out_is_done_once_for_an_id) {
    ports(2);
    const std::string packet =
        R"("packet": "AgAAAAACAgAAAAABiLUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")";
    const std::string out = R"({"packet_out": {"id": "o", "port": "p1", )" + packet +
                            R"(, "actions": "reg3 = 7; output(\"p2\");"}})";
    EXPECT_EQ(in_short(client_.ask(out)), "done");
    EXPECT_EQ(engine_.backend->calls.back(), "packet_out p2");
    const std::size_t calls = engine_.backend->calls.size();
    EXPECT_EQ(in_short(client_.ask(out)), "done");
    EXPECT_EQ(engine_.backend->calls.size(), calls);
    EXPECT_EQ(
        in_short(
            client_.ask(R"({"packet_out": {"id": "o", )" + packet + R"(, "actions": "drop;"}})")
        ),
        "nak id_reused"
    );
    EXPECT_EQ(
        in_short(
            client_.ask(R"({"packet_out": {"id": "o2", )" + packet + R"(, "actions": "outpt;"}})")
        )
            .substr(0, 4),
        "nak "
    );
    EXPECT_EQ(
        in_short(client_.ask(
            R"({"packet_out": {"id": "o3", "port": "p9", )" + packet + R"(, "actions": "drop;"}})"
        )),
        "nak unknown_port"
    );
    EXPECT_EQ(
        in_short(client_.ask(R"({"packet_out": {"id": "o4", "packet": "AgAA", "actions": "drop;"}})"
        )),
        "nak bad_value"
    );
}

TEST_F(Switch_, punts_become_packet_in_events_with_what_the_walk_knew) {
    ports(1);
    client_.says(
        "1",
        flow(1, 0, 1, "ip4", "reg3 = 7; controller(reason=3, userdata=01.02);", R"("cookie": 9)")
    );
    client_.ask(R"({"watch": {"id": "w", "topics": ["packet_in"]}})");
    EXPECT_EQ(engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2")), "punt");
    engine_.settle();
    const auto replies = client_.session->take();
    ASSERT_EQ(replies.size(), 1u);
    const control::PacketIn& in = replies[0].event().packet_in();
    EXPECT_EQ(in.port(), "p1");
    EXPECT_EQ(in.cookie(), 9u);
    EXPECT_EQ(in.reason(), 3u);
    EXPECT_EQ(in.userdata(), std::string("\x01\x02"));
    EXPECT_EQ(in.packet_bytes(), udp("10.0.0.9:1 > 10.0.0.1:2").bytes().size());
    EXPECT_EQ(in.metadata().at("reg3"), "7");
}

TEST_F(Switch_, trace_tells_the_story_and_counts_nothing) {
    ports(2);
    client_.says(
        "1",
        flow(1, 0, 10, "ip4.dst == 10.0.0.2", "reg0 = 5; ip.ttl--; call(3); output(\"p2\");") +
            "," + flow(1, 3, 1, "1", "clone { eth.dst = 02:00:00:00:00:07; output(\"p9\"); }")
    );
    const control::TraceStory story =
        client_
            .ask(
                R"({"trace": {"id": "t", "port": "p1", "match": "tcp && ip4.dst == 10.0.0.2 && tcp.dst == 80"}})"
            )
            .trace();
    std::string told;
    for (const control::TraceStep& step : story.steps())
        told += step.what() + ": " + step.text() +
                (step.rule().empty() ? ""
                                     : " [" + step.rule() + " of " + step.owner() + " at " +
                                           std::to_string(step.generation()) + "]") +
                "\n";
    EXPECT_EQ(
        told,
        "table: table 0 [priority 10, ip4.dst == 10.0.0.2 of c at 3]\n"
        "action: reg0 = 5;\n"
        "action: ip.ttl--;\n"
        "action: call(3);\n"
        "table: table 3 [priority 1, 1 of c at 3]\n"
        "clone: clone {\n"
        "action: eth.dst = 02:00:00:00:00:07;\n"
        "drop: drop: no_such_port at port \"p9\"\n"
        "output: output(\"p2\");\n"
    );
    EXPECT_EQ(story.result(), "drop no_such_port, output p2");
    EXPECT_EQ(story.generation(), engine_.tables->generation());
    EXPECT_NE(story.packet().find("ip4.dst == 10.0.0.2"), std::string::npos) << story.packet();
    EXPECT_NE(client_.get("flow").at(0).rows().rows(0).used_ms(), 0u);
    EXPECT_EQ(client_.get("flow").at(0).rows().rows(0).packets(), 0u);
    EXPECT_EQ(
        client_.ask(R"({"trace": {"id": "t", "match": "inport == \"p1\" && ip6"}})")
            .trace()
            .result(),
        "drop no_match"
    );
    EXPECT_EQ(
        in_short(client_.ask(R"({"trace": {"id": "t", "port": "p1", "match": "reg0 == 5"}})")),
        "nak bad_value"
    );
    EXPECT_EQ(
        in_short(client_.ask(R"({"trace": {"id": "t", "port": "p7", "match": "ip4"}})")),
        "nak unknown_port"
    );
    EXPECT_EQ(in_short(client_.ask(R"({"trace": {"id": "t", "match": "ip4"}})")), "nak bad_value");
}

TEST_F(Switch_, trace_names_the_buckets_that_a_packet_takes_by_what_they_do) {
    ports(3);
    client_.says(
        "1",
        flow(1, 0, 1, "1", "group(7);") +
            R"(, {"weight": 1, "group": {"group": 7, "type": "all", "buckets": [)"
            R"({"actions": "group(8);"}, {"actions": "ip.ttl--; output(\"p3\");"}]}})"
            R"(, {"weight": 1, "group": {"group": 8, "type": "indirect", "buckets": [)"
            R"({"actions": "output(\"p2\");"}]}})"
    );
    const control::TraceStory story =
        client_.ask(R"({"trace": {"id": "t", "port": "p1", "match": "ip4 && ip.ttl == 9"}})")
            .trace();
    std::string told;
    for (const control::TraceStep& step : story.steps())
        if (step.what() == "group")
            told += step.text() + (step.owner().empty() ? "" : " of " + step.owner()) + "\n";
    EXPECT_EQ(
        told,
        "group 7 of c\n"
        "bucket 0: group(8);\n"
        "group 8 of c\n"
        "bucket 0: output(\"p2\");\n"
        "bucket 1: ip.ttl--; output(\"p3\");\n"
    );
}

TEST_F(Switch_, described_packets_match_what_they_were_described_by) {
    ports(1);
    for (const char* match :
         {"tcp && ip4.src == 10.0.0.1 && tcp.dst == 80 && ip.ttl == 9",
          "udp && ip6.dst == fd00::7 && udp.src == 53",
          "arp && arp.op == 2 && arp.spa == 10.0.0.5",
          "icmp4 && icmp4.type == 8",
          "nd && nd.target == fe80::1 && nd.sll == 02:00:00:00:00:09",
          "vlan.vid == 7 && ip4",
          "eth.type == 0x88cc",
          "sctp && sctp.dst == 5",
          "ip4 && ip.frag == 3",
          "ip6 && ip.frag == 1 && tcp",
          "eth.dst == 02:00:00:00:00:33 && ip4 && ip.proto == 89"}) {
        client_.says(match, flow(1, 0, 1, match, "drop;"));
        control::Request request;
        request.mutable_trace()->set_id("t");
        request.mutable_trace()->set_port("p1");
        request.mutable_trace()->set_match(match);
        client_.session->request(*engine_.engine, request);
        const auto replies = client_.take();
        ASSERT_EQ(replies.size(), 1u);
        EXPECT_EQ(replies[0].trace().result(), "drop policy")
            << match << ": " << to_json(replies[0]);
        client_.says(std::string{"-"} + match, flow(-1, 0, 1, match, "drop;"));
    }
}

TEST_F(Switch_, explain_names_what_this_build_does_not_do) {
    client_.says(
        "1",
        flow(1, 4, 1, "ip4", "ct_clear; drop;") +
            R"(, {"weight": 1, "table": {"table": 4, "name": "acl"}})"
    );
    const control::Explanation all =
        client_.ask(R"({"explain": {"id": "e", "table": 4}})").explain();
    ASSERT_EQ(all.tables_size(), 1);
    EXPECT_EQ(all.tables(0).name(), "acl");
    EXPECT_EQ(all.tables(0).rows(), 1u);
    ASSERT_EQ(all.tables(0).unsupported_size(), 1);
    EXPECT_EQ(all.tables(0).unsupported(0), "flow table 4 priority 1: ct_clear");
    EXPECT_EQ(
        in_short(client_.ask(R"({"explain": {"id": "e", "bridge": "none"}})")), "nak unknown_bridge"
    );
}

TEST_F(Switch_, stats_have_the_kinds_that_were_asked_for) {
    ports(1);
    const control::StatsReport all = client_.ask(R"({"stats": {"id": "s"}})").stats();
    std::set<std::string> kinds;
    for (const control::Stat& stat : all.stats())
        kinds.insert(stat.kind());
    EXPECT_EQ(
        kinds, (std::set<std::string>{"control", "drops", "memory", "ports", "tables", "workers"})
    );
    const control::StatsReport drops =
        client_.ask(R"({"stats": {"id": "s", "kinds": ["drops"]}})").stats();
    for (const control::Stat& stat : drops.stats())
        EXPECT_EQ(stat.kind(), "drops");
    EXPECT_EQ(
        in_short(client_.ask(R"({"stats": {"id": "s", "kinds": ["bananas"]}})")), "nak bad_value"
    );
}

TEST_F(Switch_, a_client_that_goes_away_leaves_nothing_that_waits) {
    ports(1);
    Controller gone = engine_.connect("gone");
    engine_.backend->hold_workers = true;
    engine_.backend->held_at = engine_.tables->generation();
    gone.says("1", flow(1, 0, 1, "ip4", "drop;"));
    gone.send(R"({"barrier": {"id": "b"}})");
    gone.send(R"({"trace": {"id": "t", "port": "p1", "match": "ip4"}})");
    gone.send(R"({"watch": {"id": "w"}})");
    gone.disconnect();
    engine_.backend->hold_workers = false;
    engine_.settle();
    EXPECT_EQ(client_.rows("flow"), "ip4 -> drop; [gone]\n") << "rows stay";
}

TEST_F(Switch_, memory_does_not_grow_with_rows_that_left) {
    for (int i = 0; i < 1'000; ++i) {
        client_.says("a" + std::to_string(i), flow(1, 0, i % 10, "ip4", "output(\"p1\");"));
        client_.says("b" + std::to_string(i), flow(-1, 0, i % 10, "ip4", "output(\"p1\");"));
    }
    EXPECT_EQ(engine_.engine->rows().count(), 0u);
    EXPECT_EQ(engine_.tables->rules(), 0u);
    EXPECT_EQ(client_.ask(R"({"pending": {"id": "p"}})").pending().rows_size(), 0);
}

} // namespace
} // namespace weft::test
