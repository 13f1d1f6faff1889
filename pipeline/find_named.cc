// Lookups in tables with rules that ask for a name in the payload.
#include "pipeline/name_part.hh"
#include "pipeline/table.hh"

namespace weft {

void find_named(
    const Table& table,
    Burst& burst,
    LaneMask live,
    Generation g,
    NameLanes& lanes,
    std::size_t worker,
    const Program** named
) noexcept {
    LaneMask present = 0;
    for (const std::size_t lane : Lanes{live}) {
        named[lane] = nullptr;
        PayloadName& name = lanes.name[lane];
        const LaneMask bit = lane_bit(lane);
        if (!table.names->wants(burst.shape[lane]))
            continue;
        if ((lanes.looked & bit) == 0) {
            find_payload_name(burst.packet[lane], burst.shape[lane], name);
            lanes.looked |= bit;
        }
        present |= name.present() ? bit : 0;
    }
    if (present == 0)
        return;
    std::array<const Entry*, burst_max> best;
    table.names->lookup(burst.key.data(), present, g, lanes, worker, best.data());
    for (const std::size_t lane : Lanes{present})
        if (best[lane] != nullptr)
            named[lane] = program_of(*best[lane]);
}

} // namespace weft
