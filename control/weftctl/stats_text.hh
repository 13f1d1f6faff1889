// Counters of the switch as tables.
#pragma once

#include "control/weft.pb.h"

#include <string>

namespace weft::ctl {

/// One table a kind (several where things of a kind have different counters), a row a thing, the
/// counters in an order that reads well.
std::string stats_text(const control::StatsReport& report);

/// reason, packets, what it means; those with packets, the most first. `all`: every reason there
/// is.
std::string drops_text(const control::StatsReport& report, bool all);
/// {"reason": "no_match", "packets": "n"}, a line each, in the order of the reasons.
std::string drops_json(const control::StatsReport& report, bool all);

/// The counter of that name; 0 where it is not there.
std::uint64_t value_of(const control::Stat& stat, const std::string& name);

} // namespace weft::ctl
