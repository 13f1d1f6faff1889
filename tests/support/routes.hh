// Routes for tests and benchmarks: random, and shaped like the Internet's.
#pragma once

#include "base/u128.hh"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::test {

template <class Address>
struct Route {
    Address prefix;
    unsigned length;
    friend bool operator==(const Route&, const Route&) = default;
    friend auto operator<=>(const Route&, const Route&) = default;
};

/// The upper `length` bits.
std::uint32_t masked(std::uint32_t address, unsigned length) noexcept;
U128 masked(U128 address, unsigned length) noexcept;

/// `count` different routes as a backbone router has them: allocations of many sizes spread over
/// the unicast space, announced whole and in more specific pieces, most of those /24 (IPv6: /48).
/// In random order.
std::vector<Route<std::uint32_t>> internet_routes4(std::size_t count, std::uint64_t seed);
std::vector<Route<U128>> internet_routes6(std::size_t count, std::uint64_t seed);
/// `count` different IPv4 routes with no more order than their lengths have: every one in a place
/// of its own.
std::vector<Route<std::uint32_t>> scattered_routes4(std::size_t count, std::uint64_t seed);

} // namespace weft::test
