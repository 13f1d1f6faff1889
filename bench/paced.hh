// What the paced source and the bench tell each other: the beginning of a file that both have
// mapped. (rfc2544.py has the same layout.)
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft::paced {

using Word = std::atomic<std::uint64_t>; // one writer each; relaxed but where it says so

/// Written by the bench. A new `run` begins a run when the switch is awake: all counts from 0, the
/// first arrival then.
struct Orders {
    Word run;           // 1 to 65,535; written last
    Word packets_per_s; // of the schedule
    Word stop;          // the run to be ended: no more arrivals, what waits is still delivered
    Word frames;        // how many follow behind the header
    Word frame_bytes;   // of each, the last 16 of which are the stamp's
};

/// Written by the worker that polls the source.
struct SourceCounts {
    Word run;        // to which the rest belongs
    Word arrived;    // by the schedule
    Word overflowed; // of these, into a full queue: lost
    Word taken;      // given to the switch, numbered from 0 without gaps
    Word waiting_max;
    Word pause_max_tsc;  // the longest time between two polls
    Word tsc_hz;         // written when the source is ready
    Word lost_by_pauses; // of the overflowed: in a pause, or before what waited then was taken
    Word pauses;         // between two polls, so long that no burst explains them
};

/// Latencies in cycles: exact below 64, then 32 steps to each power of two.
inline constexpr std::size_t buckets = 64 + 35 * 32;
constexpr std::size_t bucket_of(std::uint64_t cycles) noexcept {
    if (cycles < 64)
        return static_cast<std::size_t>(cycles);
    const auto top = static_cast<unsigned>(std::bit_width(cycles)) - 1;
    if (top > 40)
        return buckets - 1;
    return 64 + (top - 6) * 32 + static_cast<std::size_t>(cycles >> (top - 5) & 31);
}

/// Written by the worker that sends to the sink.
struct SinkCounts {
    Word run;
    Word received;
    Word out_of_order; // came after one with a higher number
    Word foreign;      // without a stamp of this run
    Word latency_max_tsc;
    std::array<Word, buckets> latency;
};

struct Header {
    alignas(64) Orders orders;
    alignas(64) SourceCounts source;
    alignas(64) SinkCounts sink;
};
inline constexpr std::size_t frames_at = 16'384; // in the file
static_assert(sizeof(Header) <= frames_at);

/// The last 16 bytes of each frame.
struct Stamp {
    std::uint64_t run_number; // the run in the upper 16 bits, the packet's number in the others
    std::uint64_t arrival_tsc;
};
static_assert(sizeof(Stamp) == 16);

inline constexpr std::uint64_t queue_packets = 1'024; // what may wait, as in a NIC's ring
inline constexpr std::uint64_t caught_up_packets = 64;
inline constexpr std::uint64_t pause_us = 40; // a burst of 32 takes one or two

} // namespace weft::paced
