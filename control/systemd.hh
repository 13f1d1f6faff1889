// What systemd hears from a service of Type=notify (sd_notify(3)). Without systemd nothing happens.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft {

/// Sends `state` ("READY=1", "STOPPING=1", "WATCHDOG=1") to $NOTIFY_SOCKET. Never blocks; a lost
/// message is not our problem.
void notify_systemd(std::string_view state) noexcept;

/// How often the watchdog wants to hear from us: half of its patience; 0: it does not watch this
/// process.
std::uint64_t watchdog_interval_ms() noexcept;

} // namespace weft
