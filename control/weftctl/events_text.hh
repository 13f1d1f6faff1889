// Events and traces for people.
#pragma once

#include "control/weft.pb.h"

#include <string>
#include <string_view>

namespace weft::ctl {

/// One line with its newline: the switch's time in seconds, the event's number, what happened.
std::string event_text(const control::Event& event);

/// The story of a packet: each table with the rule that matched, who installed it, and what its
/// actions did.
std::string story_text(const control::TraceStory& story);

/// At most `bytes_max` bytes in hexadecimal.
std::string hex_text(std::string_view bytes, std::size_t bytes_max);

} // namespace weft::ctl
