#include "pipeline/process.hh"

#include "base/check.hh"
#include "pipeline/lane.hh"
#include "pipeline/parse.hh"
#include "pipeline/rule_counters.hh"
#include "pipeline/story.hh"
#include "pipeline/table.hh"
#include "pipeline/walk.hh"

namespace weft {

PipelineWorker::PipelineWorker(WorkerCounters& of, std::size_t which)
    : number{which},
      counters{of},
      lanes{new LaneMachines} {} // not make_unique: 3 MB that nobody needs zeroed

PipelineWorker::~PipelineWorker() = default;

namespace {

const PuntSpec reserved_punt{}; // frames to 01:80:c2:00:00:0x, where the bridge punts them

/// Parses every lane; live are those that go on to the tables.
template <bool traced>
void parse_burst(Burst& burst, const World& now, const Depth& depth, Walk<traced>& walk) noexcept {
    const PortView* ingress = now.ports.find(index(burst.ingress));
    const PortNumber inport = ingress != nullptr ? ingress->number : PortNumber::none;
    const auto [live, reserved] = parse(burst, inport, depth);
    burst.live = live;
    const ReservedMulticast how = now.bridges.find(index(burst.bridge))->reserved_multicast;
    if (reserved == 0 || how == ReservedMulticast::pass) [[likely]]
        return;
    burst.live &= ~reserved;
    for (const std::size_t lane : Lanes{reserved}) {
        burst.why[lane] = Drop::reserved_multicast;
        if (how == ReservedMulticast::punt)
            walk.punt_unprocessed(lane, reserved_punt);
    }
}

/// Lanes that stand at one table are looked up together, then each runs until it stands at another
/// or ends.
template <bool traced>
void run_tables(Walk<traced>& walk, LaneMask active) noexcept {
    Found found;
    while (active != 0) {
        LaneMask here = 0;
        const Table* table = walk.gather(active, here);
        walk.lookup(table, here, found);
        for_lanes(here, [&](std::size_t lane) { __builtin_prefetch(found[lane].program()); });
        for (const std::size_t lane : Lanes{here})
            if (!walk.hit(lane, table, found[lane]))
                active &= ~lane_bit(lane);
    }
}

/// All lanes stand at the bridge's first table. What a hit does there is often all that there is to
/// do: send. Such lanes need no machine. Returns the lanes that go on.
template <bool traced>
LaneMask run_first_table(Burst& burst, const World& now, Walk<traced>& walk) noexcept {
    const TableId id = now.bridges.find(index(burst.bridge))->first_table;
    const Table* table = now.tables.find(index(id));
    Found& found = burst.found;
    walk.lookup(table, burst.live, found);
    LaneMask rest = burst.live;
    if constexpr (!traced)
        if (table != nullptr)
            rest &= ~walk.end_at_once(*table, rest, found);
    LaneMask active = 0;
    for (const std::size_t lane : Lanes{rest}) {
        walk.begin(lane, id);
        active |= walk.hit(lane, table, found[lane]) ? lane_bit(lane) : 0;
    }
    return active;
}

/// Packets that are given their actions first.
template <bool traced>
LaneMask run_given(Burst& burst, const Program& actions, Walk<traced>& walk) noexcept {
    LaneMask active = 0;
    for (const std::size_t lane : Lanes{burst.live}) {
        walk.begin(lane, TableId::none);
        active |= walk.run_program(lane, &actions) ? lane_bit(lane) : 0;
    }
    return active;
}

template <bool traced>
void process_traced(
    Burst& burst, const Program* first, const World& now, PipelineWorker& worker
) noexcept {
    burst.effects.clear();
    burst.plain = 0;
    burst.hops = 0;
    burst.counted = 0;
    burst.learned_count = 0;
    Depth depth = now.depth;
    if (first != nullptr) // it may be younger than the world
        depth.add(first->words, first->shapes);
    Walk<traced> walk{burst, now, depth, worker};
    parse_burst(burst, now, depth, walk);
    if constexpr (traced) {
        worker.story->generation = now.generation;
        Packet whole = burst.packet[0]; // the story shows all of it, also what no rule looks at
        const PortView* ingress = now.ports.find(index(burst.ingress));
        static_cast<void>(parse(
            whole,
            ingress == nullptr ? PortNumber::none : ingress->number,
            Depth{},
            worker.story->parsed
        ));
        find_payload_name(whole, worker.story->parsed.shape(), worker.story->name);
        worker.story->add({.what = StoryStep::What::parsed, .reason = burst.why[0]});
    }
    run_tables(
        walk, first == nullptr ? run_first_table(burst, now, walk) : run_given(burst, *first, walk)
    );
}

} // namespace

void decide(Burst& burst, const World& now, PipelineWorker& worker) noexcept {
    if (worker.story != nullptr) [[unlikely]]
        return process_traced<true>(burst, nullptr, now, worker);
    process_traced<false>(burst, nullptr, now, worker);
}

void count_rules(const Burst& burst, PipelineWorker& worker) noexcept {
    WorkerCounters& counters = worker.counters;
    const std::uint64_t now_ms = worker.now_ms;
    for_lanes(burst.counted, [&](std::size_t lane) {
        counters.count(burst.found[lane], burst.packet[lane].bytes, now_ms);
    });
}

void process_with(
    Burst& burst, const Program& actions, const World& now, PipelineWorker& worker
) noexcept {
    if (worker.story != nullptr) [[unlikely]]
        return process_traced<true>(burst, &actions, now, worker);
    process_traced<false>(burst, &actions, now, worker);
}

} // namespace weft
