// weftd: reads the command line, then starts and runs the daemon.
#include "control/config.hh"
#include "control/daemon.hh"
#include "control/log.hh"
#include "control/options.hh"
#include "control/signals.hh"

#include <cstdio>
#include <string>
#include <variant>

namespace {

enum Exit : int { done = 0, refused = 1, usage = 2 };

int fail_with(const weft::Error& error, Exit exit) {
    std::fprintf(stderr, "weftd: %s\n", error.what.c_str());
    return exit;
}

} // namespace

int main(int argc, char** argv) {
    const auto parsed = weft::parse_options(argc, argv);
    if (const int* exit = std::get_if<int>(&parsed))
        return *exit;
    const auto& options = std::get<weft::Options>(parsed);
    auto config = weft::configure(options);
    if (!config)
        return fail_with(config.error(), usage);
    weft::start_log(config->log_level);
    weft::block_signals();
    auto daemon = weft::Daemon::start(options, std::move(*config));
    if (!daemon && daemon.error().code == "stopped")
        return done;
    if (!daemon) {
        const std::string& code = daemon.error().code;
        return fail_with(
            daemon.error(), code == "bad_config" || code == "bad_cores" ? usage : refused
        );
    }
    (*daemon)->run();
    return done;
}
