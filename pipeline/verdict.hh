// What a rule does with a packet, in the word that engines keep for it.
#pragma once

#include "base/ids.hh"
#include "base/lanes.hh"
#include "classifier/entry.hh"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

struct Program;

/// What a lane needs to carry out what its rule says.
enum class Way : std::uint8_t {
    walk,    // its program, run operation by operation
    drop,    // nothing: that is all that it does; the only one that is odd
    send,    // nothing: all that it does is sending the whole packet on the port `target`
    hop = 4, // Hops' number `target`: it sends the packet after those edits
};

/// Layout, an entry's payload:
///
///   | target 16 | program 42 | way 6 |
///
/// The program's address is that of a cache line and below 2^48, which leaves both ends free. Most
/// packets need no more than this word: neither the program's line nor one that says where its
/// counters are.
class Verdict {
public:
    static constexpr std::size_t target_max = 0xffff;
    /// Way and target: verdicts that are equal here do the same.
    static constexpr Payload end_bits = 0xffff'0000'0000'003f;

    constexpr Verdict() = default; // no rule
    explicit constexpr Verdict(Payload word) noexcept : word_{word} {}
    Verdict(const Program& program, Way way, std::uint16_t target) noexcept
        : word_{
              std::uint64_t{target} << target_shift | reinterpret_cast<std::uint64_t>(&program) |
              static_cast<std::uint64_t>(way)} {}

    constexpr Payload word() const noexcept { return word_; }
    /// walk where there is no rule.
    constexpr Way way() const noexcept { return static_cast<Way>(word_ & way_bits); }
    constexpr std::size_t target() const noexcept { return word_ >> target_shift; }
    constexpr std::uint64_t program_address() const noexcept { return word_ & program_bits; }
    /// nullptr where there is no rule.
    const Program* program() const noexcept {
        return reinterpret_cast<const Program*>(program_address());
    }

private:
    static constexpr unsigned target_shift = 48;
    static constexpr std::uint64_t way_bits = cache_line - 1;
    static constexpr std::uint64_t program_bits = (std::uint64_t{1} << target_shift) - cache_line;

    Payload word_ = 0;
};

/// What lookups found, by lane.
class Found {
public:
    Verdict operator[](std::size_t lane) const noexcept { return Verdict{payload_[lane]}; }
    void set(std::size_t lane, Verdict verdict) noexcept { payload_[lane] = verdict.word(); }
    /// For an engine to write to.
    Payload* payloads() noexcept { return payload_.data(); }

private:
    std::array<Payload, burst_max> payload_;
};

inline const Program* program_of(const Entry& entry) noexcept {
    return Verdict{entry.payload}.program();
}

} // namespace weft
