// The Internet checksum, whole and by difference, and SCTP's CRC32c: what rewrites, transmits and
// made packets need.
#pragma once

#include "pipeline/packet.hh"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weft {

/// A ones' complement sum (RFC 1071) folded to 16 bits.
constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
    sum = (sum >> 32) + (sum & 0xffff'ffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>((sum >> 16) + (sum & 0xffff));
}

/// How a ones' complement sum changes when 16-bit-aligned bytes change (RFC 1624, equation 3).
/// Values are in host order, at most 64 bits, aligned so that their lowest bit is that of a 16-bit
/// word. Takes 2^30 changes.
class SumChange {
public:
    constexpr void change(std::uint64_t before, std::uint64_t after) noexcept {
        if (before != after)
            sum_ += halves(~before) + halves(after);
    }
    constexpr void add(SumChange other) noexcept { sum_ += other.sum_; }
    constexpr bool empty() const noexcept { return sum_ == 0; }
    /// The checksum field after the change; a wrong one stays wrong by the same amount.
    constexpr std::uint16_t checksum(std::uint16_t before) const noexcept {
        return static_cast<std::uint16_t>(~plain(static_cast<std::uint16_t>(~before)));
    }
    /// The same for a field that holds the sum itself and not its complement (Checksum::partial).
    constexpr std::uint16_t plain(std::uint16_t before) const noexcept {
        return fold(before + sum_);
    }

private:
    static constexpr std::uint64_t halves(std::uint64_t value) noexcept {
        return (value >> 32) + (value & 0xffff'ffff);
    }
    std::uint64_t sum_ = 0;
};

/// A ones' complement sum over pieces of any size, odd ones too, in order. Sums up to 2^31 bytes.
class InternetSum {
public:
    void add(std::span<const std::byte> piece) noexcept;
    void add_word(std::uint16_t host) noexcept { sum_ += host; }
    std::uint16_t folded() const noexcept { return fold(sum_); }

private:
    std::uint64_t sum_ = 0;
    bool odd_ = false;
};

/// SCTP's checksum (RFC 9260 appendix A) over pieces in order. value() is what the field holds,
/// read little-endian.
class Crc32c {
public:
    void add(std::span<const std::byte> piece) noexcept;
    std::uint32_t value() const noexcept { return ~crc_; }

private:
    std::uint32_t crc_ = 0xffff'ffff;
};

/// What the CRC's field (read little-endian) must be xored with when the four bytes at the front of
/// a message of `bytes` bytes change by the xor `difference` (read little-endian): the CRC is
/// linear. Cost: some 60 ns per set bit of `bytes`.
std::uint32_t crc32c_change(std::uint32_t difference, std::uint32_t bytes) noexcept;

/// The checksum field of the IPv4 header `header` (20 to 60 bytes), whatever stands in it now.
std::uint16_t ip4_header_checksum(std::span<const std::byte> header) noexcept;

/// The L4 part of a packet that a checksum covers.
struct L4Extent {
    std::uint8_t proto = 0;   // TCP, UDP, SCTP, ICMP or ICMPv6
    std::uint16_t offset = 0; // in the packet
    std::uint16_t checksum_offset = 0;
    std::uint32_t bytes = 0; // by the IP header, by UDP's own length where that is shorter
    std::uint16_t pseudo_sum =
        0; // over the pseudo header, folded, not inverted; 0 for ICMP and SCTP
};

/// From the offsets that parse wrote. Absent where there is no such L4 header, for fragments, whose
/// sum is not all here, and where a routing header has segments left, unless the sum is partial:
/// the pseudo header then names an address that only readers of that routing header's type find,
/// and a partial field has its sum already.
std::optional<L4Extent> l4_extent(const Packet& packet) noexcept;

/// Computes the L4 checksum over the head and over `rest` (the packet's other segments, in order;
/// padding may follow) and writes it. A UDP sum of 0 is written as 0xffff. False, and nothing
/// changes, where l4_extent() is absent or `rest` too short. packet.l4_checksum becomes `verified`.
/// This is also how a `partial` one is completed.
bool write_l4_checksum(
    Packet& packet, std::span<const std::span<const std::byte>> rest = {}
) noexcept;

/// True if the L4 checksum is right, or a UDP one is absent (0 over IPv4). False where it is wrong;
/// nothing where l4_extent() is absent, `rest` too short or the checksum partial.
std::optional<bool> l4_checksum_ok(
    const Packet& packet, std::span<const std::span<const std::byte>> rest = {}
) noexcept;

} // namespace weft
