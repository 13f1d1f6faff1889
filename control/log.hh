// The log: one line a fact on stderr, for operators. Never called by workers.
#pragma once

#include "base/result.hh"

#include <string_view>

namespace weft {

enum class Severity { error, warning, info, debug };

/// The level named "error", "warning", "info" or "debug".
Result<Severity> severity_from(std::string_view name);

/// Sets up the process's log, which is spdlog's default logger from then on. Lines less severe than
/// `least` are left out. They carry the time of day, or under systemd (JOURNAL_STREAM is set) the
/// priority that its journal understands; characters that are not printable come out as "?", so
/// that a client's name cannot begin a line. Called again, it changes `least`.
void start_log(Severity least);

/// Writes one line. Any thread but a worker's.
void log(Severity severity, std::string_view line);

} // namespace weft
