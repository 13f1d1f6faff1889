// What control and a worker tell each other: fixed records in two single-producer single-consumer
// queues.
#pragma once

#include "base/counter.hh"
#include "base/ids.hh"
#include "base/key.hh"
#include "pipeline/burst.hh"
#include "pipeline/story.hh"

#include <boost/lockfree/spsc_queue.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct rte_mbuf;

namespace weft {

struct Program;
struct PuntSpec;

/// A packet whose story is asked for. Control makes and frees it; the worker has it in between.
struct TraceJob {
    std::vector<std::byte> memory; // headroom, then the packet
    std::size_t headroom = 0;
    std::unique_ptr<Story> story;
};

/// Down: from control to a worker.
struct Command {
    enum class Kind : std::uint8_t { packet_out, trace };
    Kind kind{};
    BridgeId bridge{};
    PortId ingress = PortId::none;
    std::uint64_t ticket = 0;
    const Program* actions = nullptr; // packet_out; control keeps it until the ticket is done
    rte_mbuf* packet = nullptr;       // packet_out; the worker's from here on
    TraceJob* trace = nullptr;
};

/// Up: from a worker to control.
struct Report {
    enum class Kind : std::uint8_t { punt, learned, packet_out_done, trace_done };
    Kind kind{};
    std::uint16_t table = 0;
    PortId port = PortId::none;
    std::uint32_t packet_bytes = 0; // punt: of the whole packet
    rte_mbuf* packet = nullptr;     // punt; control's from here on
    const PuntSpec* spec = nullptr; // punt
    std::uint64_t ticket = 0;
    Learned learned{};
    FlowKey key; // punt
};

using CommandQueue = boost::lockfree::spsc_queue<Command>;

/// Commands that control may have given to a worker and not yet heard the answer of.
inline constexpr std::size_t commands_open_max = 1'024;
inline constexpr std::size_t report_queue_records = 4'096;

/// The queue up, with a count on each end. Its last places are kept for answers: control never has
/// more commands open than that, so an answer always finds room, whatever packets do.
class ReportQueue {
public:
    /// A punt, or something learned. False where there is no room. The worker alone, as answer().
    bool push(const Report& report) noexcept {
        return queue_.write_available() > commands_open_max && answer(report);
    }
    bool answer(const Report& report) noexcept {
        if (!queue_.push(report))
            return false;
        pushed_.add(1);
        return true;
    }
    /// What packets teach may come again: punts go first.
    bool half_full() const noexcept { return queue_.write_available() < report_queue_records / 2; }

    /// Control alone.
    bool pop(Report& report) noexcept {
        if (!queue_.pop(report))
            return false;
        popped_.add(1);
        return true;
    }

    // Anyone.
    std::uint64_t pushed() const noexcept { return pushed_.read(); }
    std::uint64_t popped() const noexcept { return popped_.read(); }
    bool empty() const noexcept { return pushed() == popped(); }

private:
    boost::lockfree::spsc_queue<Report> queue_{report_queue_records};
    Counter pushed_;
    Counter popped_;
};

} // namespace weft
