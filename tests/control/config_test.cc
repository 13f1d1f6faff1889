#include "control/config.hh"
#include "control/config_rows.hh"
#include "control/init_file.hh"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace weft {
namespace {

Config parsed(std::string_view text) {
    auto config = parse_config(text, "weft.toml");
    EXPECT_TRUE(config) << (config ? "" : config.error().what);
    return config ? std::move(*config) : Config{};
}

std::string refused(std::string_view text) {
    const auto config = parse_config(text, "weft.toml");
    EXPECT_FALSE(config);
    return config ? "" : config.error().what;
}

std::string why(const auto& result) {
    return result ? "" : result.error().what;
}

TEST(Config, an_empty_file_is_the_defaults) {
    const Config config = parsed("");
    EXPECT_EQ(config.workers, 1u);
    EXPECT_EQ(config.worker_buffers, 8'192u);
    EXPECT_TRUE(config.rows.empty());
    EXPECT_EQ(config.log_level, Severity::info);
}

TEST(Config, switch_settings_and_limits_are_read) {
    const Config config = parsed(R"(
        [switch]
        node = "hv1"
        socket = "/run/x.sock"
        cores = "2-4,18"
        memory_mb = 2048
        log_level = "debug"
        eal = ["--log-level=8"]
        [limits]
        rules = 1000
        ports = 64
    )");
    EXPECT_EQ(config.node, "hv1");
    EXPECT_EQ(config.socket, "/run/x.sock");
    EXPECT_EQ(config.cores, (std::vector<unsigned>{2, 3, 4, 18}));
    EXPECT_EQ(config.memory_mb, 2'048u);
    EXPECT_EQ(config.log_level, Severity::debug);
    EXPECT_EQ(config.eal_args, std::vector<std::string>{"--log-level=8"});
    EXPECT_EQ(config.limits.rules, 1'000u);
    EXPECT_EQ(config.limits.ports, 64u);
}

TEST(Config, cores_may_be_an_array) {
    EXPECT_EQ(parsed("switch.cores = [3, 1]").cores, (std::vector<unsigned>{3, 1}));
}

TEST(Config, ports_come_before_what_mentions_them) {
    const Config config = parsed("[[flow]]\nactions = 'output(\"p2\");'\n"
                                 "[[port]]\nname = \"p1\"\n[[port]]\nname = \"p2\"\n");
    ASSERT_EQ(config.rows.size(), 3u);
    EXPECT_EQ(config.rows[0].op.port().name(), "p1");
    EXPECT_EQ(config.rows[1].op.port().name(), "p2");
    EXPECT_TRUE(config.rows[2].op.has_flow());
}

TEST(Config, rows_keep_the_order_of_their_relation_and_their_lines) {
    const Config config = parsed("[[port]]\n"
                                 "name = \"p1\"\n"
                                 "devargs = \"net_null0\"\n"
                                 "queues = 2\n"
                                 "hold = true\n"
                                 "vlan_trunks = [10, 20]\n"
                                 "[[port]]\n"
                                 "name = \"p2\"\n"
                                 "peer = \"p1\"\n");
    ASSERT_EQ(config.rows.size(), 2u);
    const control::Port& port = config.rows[0].op.port();
    EXPECT_EQ(config.rows[0].op.weight(), 1);
    EXPECT_EQ(config.rows[0].where, "weft.toml:1");
    EXPECT_EQ(config.rows[1].where, "weft.toml:7");
    EXPECT_EQ(port.name(), "p1");
    EXPECT_EQ(port.devargs(), "net_null0");
    EXPECT_EQ(port.queues(), 2u);
    EXPECT_TRUE(port.hold());
    ASSERT_EQ(port.vlan_trunks_size(), 2);
    EXPECT_EQ(port.vlan_trunks(1), 20u);
    EXPECT_EQ(config.rows[1].op.port().peer(), "p1");
}

TEST(Config, every_relation_may_have_rows) {
    const Config config = parsed(R"(
        [[bridge]]
        name = "br1"
        [[table]]
        table = 7
        miss = "goto(8);"
        [[flow]]
        priority = 10
        match = "ip4"
        actions = "drop;"
        cookie = "18446744073709551615"
        [[group]]
        group = 1
        type = "select"
        buckets = [{weight = 2, actions = "output(\"p1\");"}, {weight = 1, actions = "drop;"}]
        [[meter]]
        meter = 1
        unit = "pktps"
        bands = [{rate = 100, burst = 10}]
    )");
    ASSERT_EQ(config.rows.size(), 5u);
    EXPECT_EQ(config.rows[0].op.bridge().name(), "br1");
    EXPECT_EQ(config.rows[1].op.table().miss(), "goto(8);");
    EXPECT_EQ(config.rows[2].op.meter().bands(0).rate(), 100u);
    EXPECT_EQ(config.rows[3].op.group().buckets(0).weight(), 2u);
    EXPECT_EQ(config.rows[4].op.flow().cookie(), ~std::uint64_t{0});
}

TEST(Config, an_unknown_key_is_refused_with_line_column_and_the_known_ones) {
    EXPECT_EQ(
        refused("[[port]]\nname = \"p1\"\n  queus = 2\n"),
        "weft.toml:3:3: port.queus is unknown: port has bridge, name, number, devargs, peer, "
        "queues, "
        "mtu, buffers, vlan_mode, vlan_tag, vlan_trunks, iface_id, down, hold, tag"
    );
    EXPECT_EQ(
        refused("[limits]\nrulez = 2\n"),
        "weft.toml:2:1: limits.rulez is unknown: [limits] has ports, groups, meters, tables, "
        "bridges, rules, macs_per_bridge"
    );
    EXPECT_EQ(
        refused("[[prot]]\nname = \"p1\"\n"),
        "weft.toml:1:3: prot is unknown: the file has [switch], [limits], [[bridge]], [[port]], "
        "[[table]], [[flow]], [[group]], [[meter]]"
    );
}

TEST(Config, a_wrong_type_or_value_is_refused_where_it_stands) {
    EXPECT_EQ(
        refused("[switch]\nworkers = 0\n"), "weft.toml:2:11: workers must be a number from 1 to 64"
    );
    EXPECT_EQ(
        refused("[switch]\nworkers = \"2\"\n"),
        "weft.toml:2:11: workers must be a number from 1 to 64"
    );
    EXPECT_EQ(refused("[[port]]\nname = 1\n"), "weft.toml:2:8: port.name must be a string");
    EXPECT_EQ(
        refused("[[port]]\nmtu = -1\n"),
        "weft.toml:2:7: port.mtu \"-1\": must be a number from 0 to 4294967295"
    );
    EXPECT_EQ(refused("[[port]]\nhold = 1\n"), "weft.toml:2:8: port.hold must be true or false");
    EXPECT_EQ(
        refused("[[port]]\nvlan_trunks = 1\n"), "weft.toml:2:15: port.vlan_trunks must be an array"
    );
    EXPECT_EQ(refused("[port]\nname = \"p1\"\n"), "weft.toml:1:1: port must be rows: [[port]]");
    EXPECT_EQ(refused("switch = 1\n"), "weft.toml:1:10: switch must be a table: [switch]");
    EXPECT_EQ(
        refused("[switch]\ncores = \"1-\"\n"),
        "weft.toml:2:9: cores \"1-\": must be a list of cores and ranges, such as 2-5,18"
    );
    EXPECT_EQ(
        refused("[switch]\nlog_level = \"loud\"\n"),
        "weft.toml:2:13: log level \"loud\": must be error, warning, info or debug"
    );
}

TEST(Config, cores_and_workers_exclude_each_other) {
    EXPECT_EQ(
        refused("[switch]\nworkers = 2\ncores = \"1\"\n"),
        "weft.toml:1:1: switch has cores and workers: one of them says it all"
    );
}

TEST(Config, what_is_no_toml_is_refused_with_line_and_column) {
    EXPECT_TRUE(refused("[switch\n").starts_with("weft.toml:1:8: "));
    EXPECT_TRUE(refused("a = \"\\q\"").starts_with("weft.toml:1:"));
    EXPECT_TRUE(refused(std::string_view{"a = \0", 5}).starts_with("weft.toml:1:"));
}

TEST(Config, deep_nesting_is_refused) {
    const std::string deep = "a = " + std::string(10'000, '[') + std::string(10'000, ']');
    EXPECT_TRUE(refused(deep).starts_with("weft.toml:1:"));
}

TEST(Config, a_file_that_cannot_be_read_is_named) {
    EXPECT_EQ(
        why(read_config("/nowhere/weft.toml")),
        "configuration /nowhere/weft.toml: cannot be read: No such file or directory"
    );
    EXPECT_NE(why(read_config("/")), "");
}

TEST(Config, settings_that_need_a_restart_are_named_and_rows_are_not) {
    Config running;
    Config wanted;
    EXPECT_TRUE(needs_restart(running, wanted).empty());
    wanted.rows.push_back(*port_row("p1=net_null0"));
    wanted.log_level = Severity::debug;
    EXPECT_TRUE(needs_restart(running, wanted).empty());
    wanted.cores = {2, 3};
    wanted.limits.rules = 5;
    EXPECT_EQ(
        needs_restart(running, wanted),
        (std::vector<std::string>{
            "switch.cores: \"2,3\" instead of \"\" needs a restart",
            "limits.rules: \"5\" instead of \"8000000\" needs a restart"})
    );
}

TEST(Cores, lists_and_ranges_keep_their_order) {
    EXPECT_EQ(*parse_cores("5,2-3"), (std::vector<unsigned>{5, 2, 3}));
    EXPECT_EQ(*parse_cores("0"), std::vector<unsigned>{0});
}

TEST(Cores, anything_else_is_refused) {
    for (const char* text : {"", ",", "1,", "1-", "-1", "3-1", "a", "1 2", "1-2-3", "99999999999"})
        EXPECT_FALSE(parse_cores(text)) << text;
    EXPECT_EQ(why(parse_cores("1-3,2")), "cores \"1-3,2\": names core 2 twice");
}

TEST(PortArgument, the_name_ends_at_the_first_equals_sign) {
    const auto row = port_row("p1=net_pcap0,rx_pcap=in.pcap");
    ASSERT_TRUE(row);
    EXPECT_EQ(row->op.port().name(), "p1");
    EXPECT_EQ(row->op.port().devargs(), "net_pcap0,rx_pcap=in.pcap");
    for (const char* text : {"p1", "=x", "p1=", ""})
        EXPECT_FALSE(port_row(text)) << text;
}

TEST(PortArgument, options_set_fields_of_the_named_port) {
    std::vector<ConfigRow> rows{*port_row("a=net_null0"), *port_row("b:c=net_null1")};
    EXPECT_TRUE(set_port_options("a:hold,queues=2,vlan_trunks=10,vlan_trunks=20", rows));
    EXPECT_TRUE(rows[0].op.port().hold());
    EXPECT_EQ(rows[0].op.port().queues(), 2u);
    EXPECT_EQ(rows[0].op.port().vlan_trunks_size(), 2);
    EXPECT_TRUE(set_port_options("b:c:iface_id=x:y", rows));
    EXPECT_EQ(rows[1].op.port().iface_id(), "x:y");
}

TEST(PortArgument, options_that_do_not_fit_are_refused_with_the_rule) {
    std::vector<ConfigRow> rows{*port_row("a=net_null0")};
    EXPECT_EQ(
        why(set_port_options("b:hold", rows)),
        "--port-option b:hold: port \"b\" is not given by --port or the configuration"
    );
    EXPECT_EQ(
        why(set_port_options("a:queues=x", rows)),
        "--port-option a:queues=x: queues \"x\": must be a number from 0 to 4294967295"
    );
    EXPECT_FALSE(set_port_options("a:colour=red", rows));
    EXPECT_FALSE(set_port_options("a:mtu", rows)); // not a switch: needs a value
    EXPECT_FALSE(set_port_options("a", rows));
    EXPECT_FALSE(set_port_options("a:", rows));
    EXPECT_FALSE(set_port_options(":hold", rows));
}

TEST(SetField, numbers_may_be_hexadecimal_and_must_fit) {
    control::Flow flow;
    EXPECT_TRUE(set_field(flow, "cookie", "0xffffffffffffffff"));
    EXPECT_EQ(flow.cookie(), ~std::uint64_t{0});
    EXPECT_FALSE(set_field(flow, "priority", "4294967296"));
    EXPECT_FALSE(set_field(flow, "priority", ""));
    EXPECT_FALSE(set_field(flow, "priority", "0x"));
    EXPECT_FALSE(set_field(flow, "nothing", "1"));
}

TEST(InitFile, blank_lines_and_comments_are_no_requests_and_numbers_count_them) {
    const auto lines = init_lines("# first\n\n  {\"a\": 1}\n \t# more\r\n{\"b\": 2}");
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0].number, 3u);
    EXPECT_EQ(lines[0].text, "{\"a\": 1}");
    EXPECT_EQ(lines[1].number, 5u);
    EXPECT_EQ(lines[1].text, "{\"b\": 2}");
}

TEST(InitFile, a_file_that_cannot_be_read_is_named) {
    EXPECT_EQ(
        why(read_init("/nowhere/init.jsonl")),
        "--init /nowhere/init.jsonl: cannot be read: No such file or directory"
    );
    EXPECT_FALSE(read_init("/"));
    EXPECT_TRUE(read_init("/dev/null"));
}

TEST(InitFile, naks_and_errors_are_refusals) {
    control::Reply reply;
    reply.mutable_ack();
    EXPECT_FALSE(refusal_in(reply));
    reply.mutable_nak()->set_code("unknown_port");
    reply.mutable_nak()->set_op(2);
    reply.mutable_nak()->set_message("port \"p3\" does not exist");
    EXPECT_EQ(refusal_in(reply), "op 2: port \"p3\" does not exist (unknown_port)");
    reply.mutable_error()->set_message("not JSON");
    EXPECT_EQ(refusal_in(reply), "not JSON");
}

} // namespace
} // namespace weft
