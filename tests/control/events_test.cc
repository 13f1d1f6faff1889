#include "control/events.hh"
#include "tests/control/engine.hh"

#include <gtest/gtest.h>

namespace weft::test {
namespace {

control::Event limit(std::string name) {
    control::Event event;
    event.mutable_limit()->set_limit(std::move(name));
    return event;
}

control::Watch watch_from(std::uint64_t seq, std::initializer_list<const char*> topics = {}) {
    control::Watch watch;
    watch.set_from_seq(seq);
    for (const char* topic : topics)
        watch.add_topics(topic);
    return watch;
}

std::vector<std::string> seen(LocalSession& session) {
    std::vector<std::string> out;
    for (const control::Reply& reply : session.take())
        out.push_back(std::to_string(reply.event().seq()) + " " + in_short(reply.event()));
    return out;
}

using Seen = std::vector<std::string>;

TEST(EventLog_, sends_what_is_watched_in_order) {
    EventLog log;
    LocalSession all{1};
    LocalSession some{2};
    LocalSession elsewhere{3};
    log.watch(all, watch_from(0), 0);
    log.watch(some, watch_from(0, {"mac"}), 0);
    control::Watch bridge = watch_from(0);
    bridge.set_bridge("b2");
    log.watch(elsewhere, bridge, 0);
    log.add(Topic::limit, "", 5, limit("a"));
    log.add(Topic::mac, "main", 6, limit("b"));
    EXPECT_EQ(seen(all), (Seen{"1 limit a", "2 limit b"}));
    EXPECT_EQ(seen(some), (Seen{"2 limit b"}));
    EXPECT_EQ(seen(elsewhere), (Seen{"1 limit a"})) << "what is of no bridge concerns all";
    log.unwatch(all);
    log.add(Topic::limit, "", 7, limit("c"));
    EXPECT_EQ(seen(all), Seen{});
}

TEST(EventLog_, replays_from_where_a_reader_left) {
    EventLog log;
    for (const char* name : {"a", "b", "c"})
        log.add(Topic::limit, "", 5, limit(name));
    LocalSession back{1};
    log.watch(back, watch_from(2), 9);
    log.add(Topic::limit, "", 5, limit("d"));
    EXPECT_EQ(seen(back), (Seen{"2 limit b", "3 limit c", "4 limit d"}));
}

TEST(EventLog_, announces_what_it_no_longer_remembers) {
    EventLog log{{.events = 2}};
    for (const char* name : {"a", "b", "c", "d"})
        log.add(Topic::limit, "", 5, limit(name));
    LocalSession back{1};
    log.watch(back, watch_from(1), 9);
    EXPECT_EQ(seen(back), (Seen{"2 gap 1..2", "3 limit c", "4 limit d"}));
    EXPECT_EQ(log.remembered(), 2u);
}

TEST(EventLog_, is_bounded_in_bytes_too) {
    EventLog log{{.bytes = 1'000}};
    for (int i = 0; i < 100; ++i)
        log.add(Topic::limit, "", 5, limit(std::string(100, 'x')));
    EXPECT_LT(log.remembered(), 10u);
    EXPECT_GT(log.remembered(), 0u);
}

TEST(EventLog_, refuses_topics_that_are_not_there) {
    EXPECT_FALSE(EventLog::judge(watch_from(0, {"mac", "commit"})));
    EXPECT_EQ(EventLog::judge(watch_from(0, {"macs"}))->code, "bad_value");
}

TEST(EventLog_, a_commit_is_an_event_for_every_client) {
    Engine engine;
    Controller watcher = engine.connect("w");
    Controller writer = engine.connect("c");
    EXPECT_EQ(in_short(watcher.ask(R"({"watch": {"id": "w", "topics": ["commit"]}})")), "done");
    writer.says("t1", flow(1, 0, 1, "ip4", "drop;"));
    writer.says("t2", flow(1, 0, 1, "ip4", "drop;"));
    EXPECT_EQ(watcher.events(), (Seen{"commit c t1"})) << "t2 changed nothing";
    watcher.ask(R"({"unwatch": {"id": "u"}})");
    writer.says("t3", flow(-1, 0, 1, "ip4", "drop;"));
    EXPECT_EQ(watcher.events(), Seen{});
}

} // namespace
} // namespace weft::test
