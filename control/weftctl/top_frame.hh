// One screen of `weftctl top`: what two readings of the counters say, in lines.
#pragma once

#include "control/weft.pb.h"

#include <cstddef>
#include <string>
#include <vector>

namespace weft::ctl {

/// The counters at one moment.
struct Reading {
    control::StatsReport report;
    std::vector<control::PortStatus> ports; // for their states
    double time_s = 0;                      // by any clock that runs evenly
};

struct TopInput {
    std::string title; // of the first line: "weftd 0.1.0 on node1"
    const Reading& before;
    const Reading& now;
    std::size_t width = 80;
    std::size_t height = 24;
    bool is_live = true; // with a last line that says how to end
};

/// At most `height` lines of at most `width` characters, without newlines: what all workers do,
/// each worker, ports (the busiest first where there is no room for all), drops by reason. Things
/// that appeared in between count from 0; a counter that went back (a restarted weftd) counts as 0.
/// Pure.
std::vector<std::string> top_frame(const TopInput& input);

/// The rates as JSON lines: {"worker": ...}, {"port": ...}, {"drop": ...}.
std::string top_json(const TopInput& input);

} // namespace weft::ctl
