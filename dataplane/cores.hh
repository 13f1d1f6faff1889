// Which processors run workers, and which are left for everything else.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace weft {

struct CoreLayout {
    std::vector<unsigned> workers;  // core of each worker; one may stand there twice
    std::vector<unsigned> control;  // for all other threads; never empty
    std::vector<std::string> notes; // sentences about what is shared
};

/// At most this many workers: DPDK knows 128 threads, and every port has memory for each worker.
inline constexpr std::size_t workers_max = 64;

/// The cores that this process may run on (its affinity), ascending.
std::vector<unsigned> allowed_cores();

/// Gives each worker a core. `asked` names them one by one; where it is empty, `workers` of them go
/// on the cores after the first allowed one, which stays free for the control thread, and share
/// where there are too few. Fails with `bad_cores` on a core that is not allowed or named twice,
/// and on no or too many workers.
Result<CoreLayout> lay_out_cores(
    std::span<const unsigned> asked, std::size_t workers, std::span<const unsigned> allowed
);

} // namespace weft
