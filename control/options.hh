// weftd's command line.
#pragma once

#include "base/result.hh"
#include "control/config.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

/// What was given; settings that were not are absent, and come from the configuration file or are
/// the defaults of Config.
struct Options {
    std::string config_file;
    std::string init_file;
    bool exit_when_idle = false;
    bool manual_clock = false;
    bool standalone = false;
    std::vector<std::string> ports;        // NAME=DEVARGS
    std::vector<std::string> port_options; // NAME:FIELD[=VALUE][,...]
    std::optional<std::string> node, socket, cores, log_level;
    std::optional<std::uint32_t> workers, memory_mb;
    std::vector<std::string> eal_args;
};

/// The options, or what to end with at once: --help and --version were answered on stdout, wrong
/// usage with one line on stderr.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

/// Reads the configuration file, where there is one, and puts what the command line says over it:
/// settings replace those of the file, ports are added to its rows. The socket's path is set in any
/// case.
Result<Config> configure(const Options& options);

} // namespace weft
