#include "dataplane/clock.hh"

#include <rte_cycles.h>

#include <algorithm>

namespace weft {

Clock::Clock(bool manual) noexcept
    : manual_{manual},
      start_tsc_{rte_rdtsc()},
      tsc_per_ms_{std::max<std::uint64_t>(rte_get_tsc_hz() / 1'000, 1)} {}

std::uint64_t Clock::now() const noexcept {
    return at(rte_rdtsc());
}

void Clock::advance(std::uint64_t ms) noexcept {
    if (manual_)
        manual_ms_.fetch_add(ms, std::memory_order_relaxed);
}

} // namespace weft
