// What one traced packet went through, step by step: fixed memory, filled by the code that live
// packets run.
#pragma once

#include "base/drop.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "pipeline/payload_names.hh"

#include <array>
#include <cstdint>

namespace weft {

class Rule;
struct Op;

struct StoryStep {
    enum class What : std::uint8_t {
        parsed,
        lookup,
        miss,
        action,
        group,
        bucket,
        patch,
        output,
        drop,
        punt,
        end
    };
    What what{};
    Drop reason = Drop::none;      // drop; miss: what the packet drops as if nothing else is said
    std::uint8_t depth = 0;        // of calls, clones, groups and patch ports
    TableId table = TableId::none; // lookup, miss
    const Rule* rule = nullptr;    // lookup: what was hit. Alive until the story was read (control
                                   // frees after it drains)
    const Op* op = nullptr;        // action
    PortId port = PortId::none;    // output, patch, punt
    std::uint32_t number = 0;      // group number, bucket index
    BridgeId bridge{};             // group
};

struct Story {
    static constexpr std::size_t steps_max = 4'096;
    Generation generation = 0;
    FlowKey parsed;   // the packet's fields as they came
    PayloadName name; // and the name that it asks for
    std::uint32_t count = 0;
    bool cut = false; // there were more steps
    std::array<StoryStep, steps_max> step;

    void add(const StoryStep& next) noexcept {
        if (count < steps_max)
            step[count++] = next;
        else
            cut = true;
    }
};

} // namespace weft
