// Hashes: a keyed CRC one for lookup structures, and a fixed 64-bit one for digests that travel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nmmintrin.h>
#include <string_view>

namespace weft {

/// A keyed 64-bit hash of words for tables inside one process: two CRC32C streams and a multiply.
/// Not for untrusted rules to be safe from collisions: whoever uses it bounds its probes by the
/// rules it holds.
class WordHash {
public:
    explicit WordHash(std::uint64_t key) noexcept : low_{key}, high_{key >> 32 | key << 32} {}
    void add(std::uint64_t word) noexcept {
        low_ = _mm_crc32_u64(low_, word);
        high_ = _mm_crc32_u64(high_, word * 0x9e37'79b9'7f4a'7c15u);
    }
    std::uint64_t value() const noexcept { return (high_ << 32 | low_) * 0x9e37'79b9'7f4a'7c15u; }

private:
    std::uint64_t low_;
    std::uint64_t high_;
};

/// FNV-1a with a final mix, the same in every process and version: rows' digests are sums of it.
/// (Fowler, Noll, Vo; the mixer is that of MurmurHash3.)
constexpr std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed = 0) noexcept {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325u ^ seed;
    for (const char byte : bytes) {
        hash ^= static_cast<unsigned char>(byte);
        hash *= 0x0000'0100'0000'01b3u;
    }
    hash ^= hash >> 33;
    hash *= 0xff51'afd7'ed55'8ccdu;
    hash ^= hash >> 33;
    hash *= 0xc4ce'b9fe'1a85'ec53u;
    return hash ^ hash >> 33;
}

} // namespace weft
