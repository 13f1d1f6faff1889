// Packet stories: who sends what, what comes out where, and nothing anywhere else. The real tables,
// walks, parser and rewriter over arrays of bytes; no devices.
#pragma once

#include "base/drop.hh"
#include "pipeline/process.hh"
#include "pipeline/story.hh"
#include "pipeline/tables.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/packets.hh"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft::test {

/// What one packet led to. Each expectation takes what it names away; what is left when the story
/// goes on fails the test.
class Outcome {
public:
    struct Sent {
        std::string port;
        Bytes bytes;
    };
    ~Outcome();
    /// The packet leaves there as it came in.
    Outcome& leaves_at(std::string_view port);
    /// It leaves there as this packet.
    Outcome& leaves_at(std::string_view port, const PacketSpec& as);
    /// Of a packet that left at one port: which.
    std::string port() const;
    Outcome& is_dropped(Drop reason);
    Outcome& is_punted(std::uint8_t reason = 1);

private:
    friend class Net;
    Outcome() = default;
    Bytes came_;
    std::vector<Sent> sent_;
    std::vector<Drop> dropped_;
    std::vector<std::uint8_t> punted_;
};

/// A switch with one bridge "main" (and others by name), told in the text language.
class Net {
public:
    Net();
    ~Net();

    Net& port(std::string_view name, PortSettings settings = {}, std::string_view bridge = "main");
    /// Two patch ports, "a" of bridge a and "b" of bridge b, each the other's peer.
    Net& patch(
        std::string_view a, std::string_view bridge_a, std::string_view b, std::string_view bridge_b
    );
    Net& unplug(std::string_view port);
    Net& link(std::string_view port, bool up);
    Net& bridge(std::string_view name, BridgeSettings settings);
    Net& flow(
        std::uint32_t table,
        std::uint32_t priority,
        std::string_view match,
        std::string_view actions,
        std::string_view bridge = "main"
    );
    Net& unflow(
        std::uint32_t table,
        std::uint32_t priority,
        std::string_view match,
        std::string_view bridge = "main"
    );
    Net& miss(std::uint32_t table, std::string_view actions);
    Net& meter(std::uint32_t number);
    /// Buckets (weight, actions) are known by their actions.
    Net& group(
        std::uint32_t number,
        GroupType type,
        std::vector<std::pair<std::uint32_t, std::string>> buckets,
        std::vector<FieldId> hash = {}
    );

    struct Sender {
        Net& net;
        std::string port;
        Outcome sends(const PacketSpec& packet) const { return net.send(port, packet); }
    };
    Sender from(std::string_view port) { return {*this, std::string{port}}; }
    /// The actions of a packet-out with this ingress port; "" for none.
    Outcome sends_out(std::string_view port, std::string_view actions, const PacketSpec& packet);
    /// Takes what the last packets taught into the tables.
    Net& learns();
    RowCounters counters(
        std::uint32_t table,
        std::uint32_t priority,
        std::string_view match,
        std::string_view bridge = "main"
    );
    PortNumber number(std::string_view port) const;
    Tables& tables() { return *tables_; }

private:
    struct FlowName;
    Outcome send(const std::string& port, const PacketSpec& packet);
    Outcome run(PortId ingress, BridgeId bridge, const Program* actions, const PacketSpec& packet);
    void commit();
    PortId port_id(std::string_view name) const;

    ManualReclaimer reclaimer_;
    std::unique_ptr<Tables> tables_;
    std::unique_ptr<PipelineWorker> worker_;
    std::unique_ptr<Burst> burst_;
    std::map<std::string, PortId, std::less<>> ports_;
    std::map<std::string, Rule*> rules_;
    std::vector<Learned> learned_;
    std::vector<std::unique_ptr<OwnedPacket>> kept_;
    bool changed_ = true;
};

} // namespace weft::test
