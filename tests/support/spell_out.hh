// Bursts in one form, for tests that look at what was decided.
#pragma once

#include "base/lanes.hh"
#include "pipeline/burst.hh"
#include "pipeline/program.hh"

namespace weft::test {

/// Gives plain lanes the effects that they stand for. A lane for which there is no room is then one
/// dropped as effects_exceeded.
inline void spell_out_plain(Burst& burst) noexcept {
    Effects& effects = burst.effects;
    for (const std::size_t lane : Lanes{burst.plain}) {
        const bool edits = (burst.hops & lane_bit(lane)) != 0;
        if (effects.used == Effects::effects_max ||
            (edits && effects.edits_used == Effects::edits_max)) {
            burst.why[lane] = Drop::effects_exceeded;
            continue;
        }
        effects.first[lane] = effects.last[lane] = effects.used;
        Effect& effect = effects.effect[effects.used++];
        effect = {.kind = Effect::Kind::output, .port = burst.port[lane]};
        if (edits) {
            effect.edit = effects.edits_used++;
            effects.edits[effect.edit] = edit_of(*burst.hop[lane], burst.key[lane]);
        }
    }
    burst.plain = burst.hops = 0;
}

} // namespace weft::test
