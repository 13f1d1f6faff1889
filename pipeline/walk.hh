// The walks of one burst: what each lane does in the tables, operation by operation.
#pragma once

#include "pipeline/lane.hh"
#include "pipeline/story.hh"
#include "pipeline/table.hh"

#include <cstddef>

namespace weft {

/// Lives for one burst on the worker's stack. `traced` walks write worker.story and count and learn
/// nothing; both are the same code. Functions that return bool say whether the lane goes on: true,
/// it stands at another table; false, its walk ended.
template <bool traced>
class Walk {
public:
    /// `depth` is that of `now`, or more where the packets are given actions of their own.
    Walk(Burst& burst, const World& now, const Depth& depth, PipelineWorker& worker) noexcept
        : burst_{burst},
          now_{now},
          depth_{depth},
          worker_{worker},
          machines_{*worker.lanes} {
        machines_.names.looked = 0;
    }

    void begin(std::size_t lane, TableId table) noexcept;
    /// The table of the lowest active lane, and the lanes that stand at it.
    const Table* gather(LaneMask active, LaneMask& here) const noexcept;
    void lookup(const Table* table, LaneMask here, Found& found) noexcept;
    bool hit(std::size_t lane, const Table* table, Verdict verdict) noexcept;
    bool run_program(std::size_t lane, const Program* program) noexcept;
    /// Hits in the first table whose program is a drop or one whole output, perhaps after a hop's
    /// edits, for lanes that have no machine yet: makes them dropped or plain lanes of the burst.
    /// Returns those; with the others, which may hit what is refused or leads through a patch port,
    /// nothing was done.
    LaneMask end_at_once(const Table& table, LaneMask here, const Found& found) noexcept;
    /// A packet that goes to the control thread before any table.
    void punt_unprocessed(std::size_t lane, const PuntSpec& spec) noexcept;

private:
    enum class Next : std::uint8_t { on, table, over };

    void lookup_otherwise(const Table* table, LaneMask here, Found& found) noexcept;
    LaneMask lanes_left(LaneMask here, const Found& found) noexcept;
    bool send_all(LaneMask here, const Found& found) noexcept;
    bool takes(std::size_t port, PortNumber inport) const noexcept;
    bool run(std::size_t lane) noexcept;
    Next step(std::size_t lane, const Op& op) noexcept;
    Next list_ended(std::size_t lane) noexcept;
    Next abort(std::size_t lane, Drop reason) noexcept;

    // outputs
    /// Why a packet that came in as `inport` may not leave on the port; Drop::none: it may.
    Drop refusal(const PortView* port, PortNumber inport, bool to_ingress) const noexcept;
    Next output(std::size_t lane, PortId port, std::uint32_t max_bytes, bool to_ingress) noexcept;
    Next output_number(
        std::size_t lane, PortNumber number, std::uint32_t max_bytes, bool to_ingress
    ) noexcept;
    Next enter_patch(std::size_t lane, const PortView& port) noexcept;
    Next flood(std::size_t lane, Frame frame) noexcept;
    Next normal(std::size_t lane, std::uint32_t max_bytes) noexcept;
    void learn(
        std::size_t lane, const BridgeView& bridge, const PortView& ingress, std::uint16_t vlan
    ) noexcept;
    Next output_in_vlan(
        std::size_t lane, const PortView& port, std::uint16_t vlan, std::uint32_t max_bytes
    ) noexcept;
    Next refuse(std::size_t lane, PortId port, Drop reason) noexcept;
    Effect* add_effect(std::size_t lane, Effect::Kind kind) noexcept;
    std::uint16_t snapshot(std::size_t lane) noexcept;

    // states
    bool save(std::size_t lane) noexcept;
    void restore(std::size_t lane) noexcept;
    Frame* push_frame(std::size_t lane) noexcept;
    Next run_bucket(std::size_t lane, const Group& group, std::size_t bucket) noexcept;
    Next group(std::size_t lane, const Op& op) noexcept;

    // edits
    void wrote(std::size_t lane, std::size_t word) noexcept;
    void wrote(std::size_t lane, FieldSlice slice) noexcept;
    bool push_vlan(std::size_t lane, std::uint16_t tpid) noexcept;
    void pop_vlan(std::size_t lane) noexcept;
    Next dec_ttl(std::size_t lane) noexcept;

    void tell(std::size_t lane, StoryStep step) noexcept {
        if constexpr (traced) {
            step.depth = static_cast<std::uint8_t>(machines_.lane[lane].depth);
            worker_.story->add(step);
        }
    }

    Burst& burst_;
    const World& now_;
    const Depth depth_;
    PipelineWorker& worker_;
    LaneMachines& machines_;
};

extern template class Walk<false>;
extern template class Walk<true>;

} // namespace weft
