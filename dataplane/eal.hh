// DPDK's environment: started once in a process, with or without root and huge pages.
#pragma once

#include "base/result.hh"
#include "dataplane/dpdk_log.hh"

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct EalSettings {
    std::vector<unsigned> control_cores; // where the calling thread and DPDK's own threads run
    std::uint32_t memory_mb = 0;         // 0: see default_memory_mb
    std::string file_prefix;             // empty: of this process
    std::vector<std::string> extra;      // arguments appended as they are
};

/// Without huge pages memory is reserved at start, and committed as pools are made.
inline constexpr std::uint32_t default_memory_mb = 2'048;

struct Eal {
    bool huge_pages = false;
    /// The most that pools can take; 0: what the machine's huge pages hold.
    std::uint32_t memory_mb = 0;
    std::vector<std::string> notes;
    DpdkLog log;
};

/// Starts EAL on the calling thread, which then runs on the control cores. A second call answers
/// with what the first one started, whatever its settings: EAL cannot be started twice in a
/// process. It ends with the process, and leaves no files behind. Missing huge pages or root are
/// notes. Fails with `eal_failed`, and then in every later call too.
Result<Eal*> start_eal(const EalSettings& settings);

} // namespace weft
