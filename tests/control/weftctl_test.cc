#include "control/weftctl/arguments.hh"
#include "control/weftctl/drops_text.hh"
#include "control/weftctl/events_text.hh"
#include "control/weftctl/line_source.hh"
#include "control/weftctl/packet_source.hh"
#include "control/weftctl/rows_text.hh"
#include "control/weftctl/stats_text.hh"
#include "control/weftctl/text_table.hh"
#include "control/weftctl/top_frame.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <unistd.h>
#include <vector>

namespace weft::ctl {
namespace {

using Parsed = std::variant<Arguments, Exit>;

Parsed parse(std::vector<const char*> words) {
    words.insert(words.begin(), "weftctl");
    return parse_arguments(static_cast<int>(words.size()), words.data());
}

/// The command of that type, which the words must be.
template <class Command>
Command command(std::vector<const char*> words) {
    const Parsed parsed = parse(std::move(words));
    const auto* arguments = std::get_if<Arguments>(&parsed);
    EXPECT_NE(arguments, nullptr);
    const auto* wanted = arguments == nullptr ? nullptr : std::get_if<Command>(&arguments->command);
    EXPECT_NE(wanted, nullptr);
    return wanted == nullptr ? Command{} : *wanted;
}

Exit ends_with(std::vector<const char*> words) {
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const Parsed parsed = parse(std::move(words));
    testing::internal::GetCapturedStdout();
    const std::string complaint = testing::internal::GetCapturedStderr();
    EXPECT_LE(std::ranges::count(complaint, '\n'), 1) << complaint;
    const auto* exit = std::get_if<Exit>(&parsed);
    return exit == nullptr ? Exit::refused : *exit;
}

control::Stat stat(
    const std::string& kind,
    const std::string& name,
    const std::vector<std::pair<std::string, std::uint64_t>>& values
) {
    control::Stat made;
    made.set_kind(kind);
    made.set_name(name);
    for (const auto& [key, value] : values)
        (*made.mutable_values())[key] = value;
    return made;
}

Reading reading(double time_s, std::uint64_t generation, const std::vector<control::Stat>& stats) {
    Reading made;
    made.time_s = time_s;
    made.report.set_generation(generation);
    for (const control::Stat& each : stats)
        *made.report.add_stats() = each;
    return made;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    return text;
}

TEST(Arguments, options_of_all_commands_may_stand_behind_the_command) {
    const Parsed parsed = parse({"dump", "flow", "--json", "--socket", "/x"});
    const auto& arguments = std::get<Arguments>(parsed);
    EXPECT_TRUE(arguments.json);
    EXPECT_EQ(arguments.socket, "/x");
    EXPECT_EQ(std::get<Dump>(arguments.command).relation, "flow");
}

TEST(Arguments, commands_carry_their_own_options) {
    EXPECT_EQ(command<Apply>({"apply", "-"}).file, "-");
    EXPECT_EQ(command<Apply>({"apply", "x", "--format", "ddlog"}).format, "ddlog");
    EXPECT_EQ(command<Explain>({"explain", "7"}).table, 7u);
    EXPECT_EQ(command<Release>({"release", "p1", "3"}).packets, 3u);
    EXPECT_EQ(command<ClockAdvance>({"clock", "advance", "500"}).ms, 500u);
    EXPECT_EQ(
        command<PortAdd>({"port", "add", "p1", "net_null0", "-o", "hold"}).options.size(), 1u
    );
    EXPECT_EQ(command<Trace>({"trace", "--port", "p1", "ip4"}).match, "ip4");
    EXPECT_TRUE(command<Drops>({"drops", "--all"}).all);
}

TEST(Arguments, wrong_usage_is_one_line_and_status_2) {
    EXPECT_EQ(ends_with({}), Exit::usage);
    EXPECT_EQ(ends_with({"nosuch"}), Exit::usage);
    EXPECT_EQ(ends_with({"dump"}), Exit::usage);
    EXPECT_EQ(ends_with({"drops", "--nosuch"}), Exit::usage);
    EXPECT_EQ(ends_with({"explain", "x"}), Exit::usage);
    EXPECT_EQ(ends_with({"apply", "x", "--format", "xml"}), Exit::usage);
    EXPECT_EQ(ends_with({"port"}), Exit::usage);
}

TEST(Arguments, a_packet_is_given_exactly_once) {
    EXPECT_EQ(ends_with({"trace", "--port", "p1"}), Exit::usage);
    EXPECT_EQ(ends_with({"trace", "--port", "p1", "ip4", "--hex", "00"}), Exit::usage);
    EXPECT_EQ(ends_with({"packet-out", "drop;"}), Exit::usage);
}

TEST(Arguments, help_is_no_failure) {
    EXPECT_EQ(ends_with({"--help"}), Exit::done);
    EXPECT_EQ(ends_with({"dump", "--help"}), Exit::done);
    EXPECT_EQ(ends_with({"--version"}), Exit::done);
}

TEST(TextTable, columns_are_as_wide_as_their_widest_cell) {
    TextTable table{{{"name"}, {"n", Align::right}, {"rest"}}};
    table.add({"a", "1", "x"});
    table.add({"long name", "1000", "y"});
    EXPECT_EQ(
        table.take(),
        "name          n  rest\n"
        "a             1  x\n"
        "long name  1000  y\n"
    );
}

TEST(TextTable, later_pages_have_no_header_and_no_narrower_columns) {
    TextTable table{{{"a"}, {"b"}}};
    table.add({"12345", "x"});
    table.take();
    table.add({"1", "y"});
    EXPECT_EQ(table.take(), "1      y\n");
}

TEST(TextTable, a_cell_beyond_the_limit_moves_its_own_line_only) {
    TextTable table{{{"a"}, {"b"}}};
    table.add({std::string(100, 'x'), "1"});
    table.add({"y", "2"});
    EXPECT_EQ(
        table.take(),
        "a" + std::string(61, ' ') + "b\n" + std::string(100, 'x') + "  1\ny" +
            std::string(61, ' ') + "2\n"
    );
}

TEST(TextTable, control_characters_do_not_reach_the_terminal) {
    TextTable table{{{"a"}}};
    table.add({"x\x1b[2Jy\n"});
    EXPECT_EQ(table.take(), "a\nx?[2Jy?\n");
}

TEST(Numbers, are_short_and_never_too_precise) {
    EXPECT_EQ(short_number(0), "0");
    EXPECT_EQ(short_number(999), "999");
    EXPECT_EQ(short_number(999.9), "1.00k");
    EXPECT_EQ(short_number(12'340), "12.3k");
    EXPECT_EQ(short_number(1'500'000), "1.50M");
    EXPECT_EQ(short_number(1e20), "100E");
    EXPECT_EQ(short_number(0.5), "0.50");
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1'000), "1,000");
    EXPECT_EQ(grouped(12'345'678), "12,345,678");
    EXPECT_EQ(json_string("a\"b\\"), R"("a\"b\\")");
}

TEST(Rows, a_flow_is_a_json_line_with_its_counters) {
    control::StoredRow row;
    row.mutable_row()->mutable_flow()->set_table(7);
    row.mutable_row()->mutable_flow()->set_match("ip4");
    row.mutable_row()->mutable_flow()->set_actions("drop;");
    row.set_packets(3);
    row.set_bytes(180);
    row.set_owner("me");
    EXPECT_EQ(
        row_json(row, false),
        R"({"flow": {"bridge": "", "table": 7, "priority": 0, "match": "ip4", "actions": "drop;", )"
        R"("cookie": "0", "idle_timeout_s": 0, "hard_timeout_s": 0}, "packets": "3", "bytes": "180"})"
    );
    EXPECT_NE(
        row_json(row, true).find(R"(}, "owner": "me", "scope": "", "version": "0")"),
        std::string::npos
    );
}

TEST(Rows, what_is_not_counted_shows_no_counters) {
    control::StoredRow row;
    row.mutable_row()->mutable_bridge()->set_name("br1");
    EXPECT_EQ(row_json(row, false).find("packets"), std::string::npos);
    EXPECT_TRUE(row_json(row, false).starts_with(R"({"bridge": {"name": "br1")"));
}

TEST(Rows, flows_are_shown_with_bridges_other_than_main) {
    control::StoredRow row;
    control::Flow& flow = *row.mutable_row()->mutable_flow();
    flow.set_priority(10);
    flow.set_match("ip4");
    flow.set_actions("drop;");
    FlowsTable table{false};
    table.add(row);
    flow.set_bridge("br1");
    table.add(row);
    EXPECT_EQ(
        table.take(),
        "table  priority  packets  bytes  match  actions\n"
        "    0        10        0      0  ip4    drop;\n"
        "br1/0        10        0      0  ip4    drop;\n"
    );
}

TEST(Rows, only_fields_with_a_value_have_a_column) {
    std::vector<control::StoredRow> rows(2);
    control::Group& group = *rows[0].mutable_row()->mutable_group();
    group.set_group(1);
    group.set_type("select");
    group.add_buckets()->set_actions("drop;");
    group.add_buckets()->set_weight(2);
    rows[1].mutable_row()->mutable_group()->set_group(2);
    rows[1].mutable_row()->mutable_group()->set_type("all");
    EXPECT_EQ(
        rows_table(rows, false),
        "group  type    buckets\n"
        "    1  select  {actions=drop;} {weight=2}\n"
        "    2  all     -\n"
    );
    EXPECT_EQ(rows_table({}, false), "");
}

TEST(Drops, only_those_that_happened_the_most_first) {
    control::StatsReport report;
    *report.add_stats() = stat("drops", "no_match", {{"packets", 3}});
    *report.add_stats() = stat("drops", "policy", {{"packets", 20}});
    *report.add_stats() = stat("drops", "mtu", {{"packets", 0}});
    EXPECT_EQ(
        drops_text(report, false),
        "packets  reason    what it means\n"
        "     20  policy    a rule says drop\n"
        "      3  no_match  no rule matched, and the table's miss says drop\n"
    );
    EXPECT_EQ(
        drops_json(report, false),
        "{\"reason\": \"no_match\", \"packets\": \"3\"}\n"
        "{\"reason\": \"policy\", \"packets\": \"20\"}\n"
    );
    const std::string all = drops_json(report, true);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(all, '\n')), drop_count - 1);
}

TEST(Drops, none_is_said) {
    EXPECT_EQ(drops_text({}, false), "no packet was dropped\n");
    EXPECT_EQ(drops_json({}, false), "");
}

TEST(Drops, every_reason_has_a_meaning) {
    for (std::size_t i = 0; i < drop_count; ++i)
        EXPECT_FALSE(meaning_of(static_cast<Drop>(i)).empty()) << name(static_cast<Drop>(i));
}

TEST(Stats, things_of_a_kind_are_a_table_where_they_have_the_same_counters) {
    control::StatsReport report;
    *report.add_stats() = stat("ports", "p1", {{"tx_packets", 2}, {"rx_packets", 1}});
    *report.add_stats() = stat("ports", "p2", {{"tx_packets", 4}, {"rx_packets", 3}});
    *report.add_stats() = stat("memory", "rows", {{"bytes", 5}});
    *report.add_stats() = stat("memory", "tables", {{"rules", 6}});
    EXPECT_EQ(
        stats_text(report),
        "ports  rx_packets  tx_packets\n"
        "p1              1           2\n"
        "p2              3           4\n"
        "\n"
        "memory  counters\n"
        "rows    bytes=5\n"
        "tables  rules=6\n"
    );
}

TEST(Events, are_one_line_each) {
    control::Event event;
    event.set_seq(7);
    event.set_time_ms(12'345);
    event.mutable_port()->set_what("failed");
    event.mutable_port()->set_reason("no such device\nreally");
    event.mutable_port()->mutable_status()->set_name("p1");
    EXPECT_EQ(event_text(event), "      12.345  #7      port p1 failed: no such device?really\n");
    event.mutable_gap()->set_first(3);
    event.mutable_gap()->set_last(9);
    EXPECT_EQ(event_text(event), "      12.345  #7      events 3 to 9 are lost\n");
}

TEST(Events, a_story_names_table_rule_generation_and_result) {
    control::TraceStory story;
    story.set_generation(9);
    story.set_packet("ip4");
    story.set_result("output p2");
    control::TraceStep& table = *story.add_steps();
    table.set_what("table");
    table.set_table(0);
    table.set_bridge("main");
    table.set_rule("priority 10, ip4");
    table.set_generation(4);
    table.set_owner("me");
    control::TraceStep& output = *story.add_steps();
    output.set_what("output");
    output.set_text("output(\"p2\");");
    EXPECT_EQ(
        story_text(story),
        "packet  ip4\n"
        "under generation 9\n"
        "\n"
        "table 0: priority 10, ip4   [generation 4, me]\n"
        "  output  output(\"p2\");\n"
        "\n"
        "result  output p2\n"
    );
}

TEST(PacketSource, hexadecimal_may_be_separated_by_bytes) {
    EXPECT_EQ(*bytes_from_hex("00 ff"), std::string("\x00\xff", 2));
    EXPECT_EQ(*bytes_from_hex("0x0A:0b.0c-0d\n"), "\x0a\x0b\x0c\x0d");
    for (const char* text : {"", "0", "0 0", "zz", "00 1", "  "})
        EXPECT_FALSE(bytes_from_hex(text)) << text;
}

TEST(PacketSource, a_number_behind_the_last_colon_is_a_packets) {
    using Split = std::pair<std::string, std::uint64_t>;
    EXPECT_EQ(split_pcap("a.pcap"), (Split{"a.pcap", 1}));
    EXPECT_EQ(split_pcap("a.pcap:7"), (Split{"a.pcap", 7}));
    EXPECT_EQ(split_pcap("a:b.pcap"), (Split{"a:b.pcap", 1}));
    EXPECT_EQ(split_pcap("a.pcap:0"), (Split{"a.pcap:0", 1}));
}

TEST(PacketSource, a_file_that_is_no_capture_is_named) {
    const auto packet = read_packet({.hex = {}, .pcap = "/dev/null"});
    ASSERT_FALSE(packet);
    EXPECT_TRUE(packet.error().what.starts_with("--pcap /dev/null: "));
}

TEST(LineSource, gives_lines_as_they_come_and_the_last_without_a_newline) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto source = LineSource::open("/dev/fd/" + std::to_string(pipe[0]));
    ASSERT_TRUE(source);
    EXPECT_FALSE(source->ready());
    ASSERT_EQ(::write(pipe[1], "one\n\ntwo", 8), 8);
    EXPECT_TRUE(source->ready());
    EXPECT_EQ(source->next(), "one");
    EXPECT_EQ(source->next(), "");
    ::close(pipe[1]);
    EXPECT_EQ(source->next(), "two");
    EXPECT_EQ(source->line_number(), 3u);
    EXPECT_EQ(source->next(), std::nullopt);
    EXPECT_EQ(source->next(), std::nullopt);
    ::close(pipe[0]);
}

TEST(Top, shows_rates_between_two_readings) {
    const Reading before = reading(
        10,
        3,
        {stat("ports", "p1", {{"rx_packets", 1'000}, {"rx_bytes", 64'000}}),
         stat(
             "workers",
             "worker 0",
             {{"core", 2}, {"received", 1'000}, {"busy_cycles", 100}, {"total_cycles", 1'000}}
         )}
    );
    Reading now = reading(
        12,
        4,
        {stat("ports", "p1", {{"rx_packets", 2'001'000}, {"rx_bytes", 128'064'000}, {"up", 1}}),
         stat(
             "workers",
             "worker 0",
             {{"core", 2},
              {"received", 2'001'000},
              {"sent", 1'000'000},
              {"dropped", 1'000'000},
              {"busy_cycles", 200'000'100},
              {"total_cycles", 400'001'000}}
         ),
         stat("drops", "no_match", {{"packets", 1'000'000}}),
         stat("drops", "mtu", {{"packets", 0}})}
    );
    EXPECT_EQ(
        joined(top_frame({.title = "weftd", .before = before, .now = now, .is_live = false})),
        "weftd   generation 4\n"
        "in 1.000 Mpps   out 0.500 Mpps   dropped 500k/s\n"
        "\n"
        "worker  core  Mpps in  Mpps out  cycles/packet  busy  drops/s\n"
        "0          2    1.000     0.500            100   50%     500k\n"
        "\n"
        "port  state   rx/s  rx b/s  tx/s  tx b/s  lost/s     rx  tx\n"
        "p1    up     1.00M    512M     0       0       0  2.00M   0\n"
        "\n"
        "drops     per s     in all\n"
        "no_match   500k  1,000,000\n"
    );
    control::PortStatus held;
    held.set_name("p1");
    held.set_state("held");
    now.ports.push_back(held);
    EXPECT_EQ(
        top_json({.title = "", .before = before, .now = now}),
        "{\"worker\": \"worker 0\", \"core\": 2, \"received_pps\": 1000000, \"sent_pps\": 500000, "
        "\"dropped_pps\": 500000, \"cycles_per_packet\": 100.0, \"busy\": 0.500}\n"
        "{\"port\": \"p1\", \"state\": \"held\", \"rx_pps\": 1000000, \"rx_bps\": 512000000, "
        "\"tx_pps\": 0, \"tx_bps\": 0, \"lost_pps\": 0}\n"
        "{\"drop\": \"no_match\", \"pps\": 500000, \"packets\": \"1000000\"}\n"
    );
}

TEST(Top, a_restarted_switch_shows_no_absurd_rates) {
    const Reading before = reading(1, 9, {stat("workers", "worker 0", {{"received", 1'000'000}})});
    const Reading now = reading(2, 1, {stat("workers", "worker 0", {{"received", 10}})});
    const auto frame = top_frame({.title = "weftd", .before = before, .now = now});
    EXPECT_EQ(frame[1], "in 0.000 Mpps   out 0.000 Mpps   dropped 0/s");
}

TEST(Top, fits_the_screen_however_many_things_there_are) {
    std::vector<control::Stat> stats;
    for (int i = 0; i < 200; ++i)
        stats.push_back(stat("ports", "port-" + std::to_string(i), {{"rx_packets", 1}}));
    for (int i = 0; i < 64; ++i)
        stats.push_back(stat("workers", "worker " + std::to_string(i), {{"core", 1}}));
    for (std::size_t i = 1; i < drop_count; ++i)
        stats.push_back(
            stat("drops", std::string{name(static_cast<Drop>(i))}, {{"packets", 1'000'000'000}})
        );
    const Reading now = reading(1, 1, stats);
    for (const std::size_t height : {0u, 1u, 3u, 6u, 10u, 24u, 50u, 1'000u}) {
        const auto frame = top_frame(
            {.title = std::string(200, 'x'),
             .before = now,
             .now = now,
             .width = 80,
             .height = height}
        );
        EXPECT_LE(frame.size(), height);
        for (const std::string& line : frame)
            EXPECT_LE(width_of(line), 80u) << line;
    }
}

TEST(Top, the_busiest_ports_come_first_where_there_is_no_room_for_all) {
    std::vector<control::Stat> old_stats;
    std::vector<control::Stat> stats;
    for (int i = 0; i < 100; ++i) {
        old_stats.push_back(stat("ports", "p" + std::to_string(i), {{"rx_packets", 0}}));
        stats.push_back(
            stat("ports", "p" + std::to_string(i), {{"rx_packets", i == 77 ? 1'000u : 1u}})
        );
    }
    const Reading before = reading(1, 1, old_stats);
    const Reading now = reading(2, 1, stats);
    const std::string frame = joined(top_frame({.title = "weftd", .before = before, .now = now}));
    EXPECT_NE(frame.find("\np77 "), std::string::npos) << frame;
    EXPECT_NE(frame.find(" more\n"), std::string::npos) << frame;
}

} // namespace
} // namespace weft::ctl
