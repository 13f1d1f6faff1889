// From decisions to devices: carries out the effects of a burst, every packet to one named end.
#pragma once

#include "dataplane/plan.hh"
#include "dataplane/punt_rate.hh"
#include "dataplane/records.hh"
#include "dataplane/stats.hh"
#include "pipeline/burst.hh"

#include <array>
#include <cstddef>
#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace weft {

/// The buffers of a burst as they were taken in, lane by lane.
struct Taken {
    std::array<rte_mbuf*, burst_max> buffer;
    std::uint64_t bytes = 0;     // of all packets that came, also of those that became no lane
    std::uint32_t bytes_max = 0; // of a lane's packet
    bool as_received = true;     // each packet became a lane, in one piece and with its checksum
};

/// One worker's. Books into an Account: a packet that goes to several places is one and copies that
/// were made; an effect that cannot be is a copy that was made and dropped, unless it is the
/// packet's last, which then is that drop.
class Transmit {
public:
    /// `pool` is where copies come from.
    Transmit(rte_mempool* pool, ReportQueue& reports, PuntRate rate) noexcept
        : pool_{pool},
          reports_{reports},
          rate_{rate} {}

    /// Carries out the effects of the burst's lanes, in order, and flushes. Owns the lanes' buffers
    /// from here on. Never allocates from the heap, waits or fails. `burst` is what the pipeline
    /// left; its packets are used up.
    void
    run(Burst& burst, Taken& taken, Plan& plan, std::uint64_t now_ms, Account& account) noexcept;

    /// Sends what other workers handed over for queues of this one. Packets sent; they are booked
    /// in the rings.
    static unsigned drain(Plan& plan) noexcept;

private:
    bool pass_on(const Burst& burst, Taken& taken, Plan& plan) noexcept;
    void run_lane(Burst& burst, std::size_t lane, Plan& plan) noexcept;
    void carry_out(
        Burst& burst, std::size_t lane, const Effect& effect, Packet& packet, Plan& plan
    ) noexcept;
    void output(Packet& packet, TxQueue& out) noexcept;
    bool complete(Packet& packet, TxQueue& out) noexcept;
    void
    punt(const Burst& burst, std::size_t lane, const Effect& effect, const Packet& packet) noexcept;
    Drop refuses_punt(const Effect& effect, const Plan& plan) noexcept;
    void enqueue(rte_mbuf* buffer, std::uint32_t bytes, TxQueue& out) noexcept;
    void flush(TxQueue& out) noexcept;
    void give(TxQueue& out, rte_mbuf** buffers, std::uint32_t count, std::uint32_t bytes) noexcept;
    void drop(rte_mbuf* buffer, Drop reason) noexcept;
    void free_dropped() noexcept;

    rte_mempool* pool_;
    ReportQueue& reports_;
    PuntRate rate_;
    PuntBuckets others_; // of ports without a device: patch ports, packet-outs from nowhere
    std::uint64_t now_ms_ = 0;
    Account* account_ = nullptr;
    std::uint32_t touched_count_ = 0;
    std::uint32_t dropped_count_ = 0;
    std::array<TxQueue*, 32> touched_; // queues that hold packets; more are flushed at once
    std::array<rte_mbuf*, 64> dropped_;
};

} // namespace weft
