#include "control/start_gate.hh"
#include "tests/control/engine.hh"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weft::test {
namespace {

class StartGateTest : public testing::Test {
protected:
    using Calls = std::vector<std::string>;

    PortId port(std::string_view name) { return tables_.port_id(BridgeId::main, name).value(); }
    void open_device(std::string_view name, bool hold) {
        gate_.open_port(port(name), {.devargs = "net_null0", .hold = hold});
    }
    bool opened_held(std::string_view name) { return backend_.devices.at(port(name)).hold; }

    ManualReclaimer reclaimer_;
    Tables tables_{TableLimits{.rules = 100}, 1, reclaimer_, 1};
    FakeBackend backend_{tables_};
    StartGate gate_{backend_};
};

TEST_F(StartGateTest, nothing_is_received_before_the_gate_opens) {
    open_device("p1", false);
    EXPECT_TRUE(opened_held("p1"));
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0"}));
    gate_.open();
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0", "unhold p1"}));
}

TEST_F(StartGateTest, a_port_whose_row_holds_it_stays_held) {
    open_device("p1", true);
    gate_.open();
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0"}));
}

TEST_F(StartGateTest, releases_are_done_when_the_gate_opens) {
    open_device("p1", true);
    EXPECT_TRUE(gate_.release(port("p1"), 3));
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0"}));
    gate_.open();
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0", "release p1 3"}));
}

TEST_F(StartGateTest, the_last_word_on_holding_counts) {
    open_device("p1", false);
    gate_.set_hold(port("p1"), true);
    gate_.open();
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0"}));
}

TEST_F(StartGateTest, a_port_that_was_closed_meanwhile_is_forgotten) {
    open_device("p1", false);
    gate_.close_port(port("p1"));
    gate_.open();
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0", "close p1"}));
}

TEST_F(StartGateTest, an_open_gate_passes_everything_on) {
    gate_.open();
    open_device("p1", false);
    EXPECT_FALSE(opened_held("p1"));
    gate_.set_hold(port("p1"), true);
    EXPECT_TRUE(gate_.release(port("p1"), 0));
    EXPECT_EQ(backend_.calls, (Calls{"open p1 net_null0", "hold p1", "release p1 0"}));
}

} // namespace
} // namespace weft::test
