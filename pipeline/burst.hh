// Up to 32 packets that travel together, and what was decided about them.
#pragma once

#include "base/drop.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "base/lanes.hh"
#include "pipeline/packet.hh"
#include "pipeline/rewrite.hh"
#include "pipeline/verdict.hh"

#include <array>
#include <cstdint>

namespace weft {

struct PuntSpec;

/// One thing that a walk decided. Effects of a lane are chained in the order of its actions.
struct Effect {
    enum class Kind : std::uint8_t {
        output, // send a copy (the last of a lane: the packet itself) on `port`
        punt,   // give a copy to the control thread as `punt` says
        drop,   // a copy that goes nowhere, for `reason`: an output that could not be
    };
    static constexpr std::uint16_t none = 0xffff;

    Kind kind{};
    Drop reason = Drop::none;
    std::uint16_t edit = none;      // index into Effects::edits; none: the bytes as received
    std::uint16_t next = none;      // the lane's next effect
    std::uint16_t table = 0;        // number of the table that decided
    PortId port = PortId::none;     // output: where to; punt: where it came in
    std::uint32_t max_bytes = 0;    // 0: whole
    const PuntSpec* punt = nullptr; // lives until the burst's generation is released, and until
                                    // control has drained what was punted
};

/// Everything that the walks of one burst decided; fixed memory, reused for every burst.
struct Effects {
    static constexpr std::size_t effects_max =
        4'096; // of one burst; beyond: Drop::effects_exceeded
    static constexpr std::size_t edits_max = 1'024;

    std::uint16_t used = 0;
    std::uint16_t edits_used = 0;
    std::array<std::uint16_t, burst_max> first; // of each lane; Effect::none: the lane has none
    std::array<std::uint16_t, burst_max> last;
    std::array<Effect, effects_max> effect;
    std::array<Edit, edits_max> edits;

    void clear() noexcept {
        used = 0;
        edits_used = 0;
        first.fill(Effect::none);
    }
};

/// A source address that an output(normal) saw at a port where its bridge did not know it yet.
struct Learned {
    BridgeId bridge{};
    std::uint16_t vlan = 0;
    PortId port{};
    std::uint64_t mac = 0;
};

/// Lanes 0 to count-1 hold packets. Owns nothing: dataplane keeps the buffers from receive to
/// transmit. After process(), a plain lane goes out on its port, whole and, but for a hop's edits,
/// as it came; a lane with effects is carried out by them; any other is dropped for `why`.
struct Burst {
    std::uint32_t count = 0;
    bool unfinished = true; // some packet may have a sum or a segmentation that was left to others
    LaneMask live = 0;      // lanes that parse let through
    LaneMask plain = 0;     // lanes for which all that was decided is `port`; they have no effects
    LaneMask hops = 0;      // of them, those that get a hop's edits before
    LaneMask counted = 0;   // lanes whose rule, in `found`, count_rules() is to count
    BridgeId bridge{};      // where the burst came in
    PortId ingress = PortId::none;
    std::array<Packet, burst_max> packet;
    std::array<std::uint16_t, burst_max> shape; // as parsed: what rewrite needs
    std::array<Drop, burst_max> why;            // of lanes without effects
    std::array<PortId, burst_max> port;         // of plain lanes
    std::array<const Hop*, burst_max> hop;      // of lanes in `hops`
    Found found;                                // by the bridge's first table
    std::array<FlowKey, burst_max> key;
    Effects effects;
    std::uint32_t learned_count = 0;
    std::array<Learned, burst_max> learned;
};

} // namespace weft
