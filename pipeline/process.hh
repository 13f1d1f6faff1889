// What happens to a burst: parse, then walks over the tables until each packet's effects are known.
#pragma once

#include "base/counter.hh"
#include "base/drop.hh"
#include "base/ids.hh"
#include "pipeline/burst.hh"
#include "pipeline/world.hh"

#include <array>
#include <cstdint>
#include <memory>

namespace weft {

class WorkerCounters;
struct Story;
struct LaneMachines;
struct Program;

/// Limits of one walk; each is a named drop.
inline constexpr std::size_t walk_depth_max =
    64; // calls, clones, groups and patch ports inside one another
inline constexpr std::size_t walk_steps_max = 4'096;
inline constexpr std::size_t walk_clones_max = 1'024;
inline constexpr std::size_t walk_stack_max = 64; // values on the packet's own stack

/// What one worker needs to run walks: fixed memory, its rules' counters, its clock. One thread
/// uses it.
class PipelineWorker {
public:
    /// `number`: among the workers that Tables was made for, as that of its counters.
    explicit PipelineWorker(WorkerCounters& counters, std::size_t number = 0);
    ~PipelineWorker();

    std::uint64_t now_ms = 0; // set once per burst by the owner
    const std::size_t number;
    WorkerCounters& counters;
    std::unique_ptr<LaneMachines> lanes;
    Story* story = nullptr; // a trace in progress: no counters, no learning
};

/// Runs the burst's packets (count, packet[], bridge, ingress are set) under `now`: fills keys,
/// effects and why. Never allocates, locks, waits, fails or looks at anything but its arguments.
void decide(Burst& burst, const World& now, PipelineWorker& worker) noexcept;
/// The rest: plain and dropped lanes for their rules. Of many rules each counter comes from far
/// away, so this is best done when the packets are on their way; before the worker lets go of
/// `now`.
void count_rules(const Burst& burst, PipelineWorker& worker) noexcept;
/// Both.
inline void process(Burst& burst, const World& now, PipelineWorker& worker) noexcept {
    decide(burst, now, worker);
    count_rules(burst, worker);
}

/// The same for packets that are given their actions instead of the tables' (packet-out): `actions`
/// runs first. The inport is burst.ingress's number, or none.
void process_with(
    Burst& burst, const Program& actions, const World& now, PipelineWorker& worker
) noexcept;

} // namespace weft
