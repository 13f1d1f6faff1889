// Wire integers: big-endian, alignment 1, mixing with host numbers only through be{...} and host().
#pragma once

#include <bit>
#include <compare>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace weft {

static_assert(std::endian::native == std::endian::little, "weft runs on little-endian hosts");

template <std::unsigned_integral T>
constexpr T byte_swap(T value) noexcept {
    if constexpr (sizeof(T) == 1)
        return value;
    else if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

/// A big-endian number as it lies on the wire. Costs a byte swap where host() or the constructor
/// says so, nothing else.
template <std::unsigned_integral T>
class [[gnu::packed]] BigEndian {
public:
    constexpr BigEndian() = default;
    constexpr explicit BigEndian(T host) noexcept : wire_{byte_swap(host)} {}
    constexpr T host() const noexcept { return byte_swap(wire_); }
    constexpr T wire() const noexcept { return wire_; }
    friend constexpr bool operator==(BigEndian a, BigEndian b) noexcept {
        return a.wire() == b.wire();
    }

private:
    T wire_ = 0;
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;
using be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(be16) == 2 && alignof(be16) == 1);
static_assert(sizeof(be32) == 4 && alignof(be32) == 1);
static_assert(sizeof(be64) == 8 && alignof(be64) == 1);

/// Reads a big-endian T at `bytes`; the caller has checked that sizeof(T) bytes are there.
template <std::unsigned_integral T>
inline T load_be(const void* bytes) noexcept {
    T wire;
    std::memcpy(&wire, bytes, sizeof wire);
    return byte_swap(wire);
}

template <std::unsigned_integral T>
inline void store_be(void* bytes, T host) noexcept {
    const T wire = byte_swap(host);
    std::memcpy(bytes, &wire, sizeof wire);
}

/// 48 bits, as Ethernet addresses are.
inline std::uint64_t load_be48(const void* bytes) noexcept {
    const auto* at = static_cast<const unsigned char*>(bytes);
    return std::uint64_t{load_be<std::uint16_t>(at)} << 32 | load_be<std::uint32_t>(at + 2);
}

inline void store_be48(void* bytes, std::uint64_t host) noexcept {
    auto* at = static_cast<unsigned char*>(bytes);
    store_be<std::uint16_t>(at, static_cast<std::uint16_t>(host >> 32));
    store_be<std::uint32_t>(at + 2, static_cast<std::uint32_t>(host));
}

} // namespace weft
