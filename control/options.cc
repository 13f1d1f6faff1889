#include "control/options.hh"

#include "control/socket_path.hh"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

namespace weft {

namespace {

template <class Value>
void take(CLI::App& app, const char* name, std::optional<Value>& into, const char* what) {
    app.add_option(name, into, what);
}

void declare(CLI::App& app, Options& options) {
    app.add_option("--config", options.config_file, "the configuration file, TOML");
    app.add_option(
           "--port",
           options.ports,
           "NAME=DEVARGS, a port by DPDK device arguments: p1=net_tap0,iface=tap0; any number of "
           "times"
    )
        ->take_all();
    app.add_option(
           "--port-option",
           options.port_options,
           "NAME:FIELD[=VALUE][,...], fields of such a port's row: p1:hold,queues=2; any number of "
           "times"
    )
        ->take_all();
    take(
        app, "--socket", options.socket, "the control socket; PATH.ro beside it is for statistics"
    );
    auto* cores = app.add_option("--cores", options.cores, "a worker on each of these: 2-5,18");
    app.add_option("--workers", options.workers, "so many workers, on cores of weftd's choice; 1")
        ->check(CLI::Range(1, 64))
        ->excludes(cores);
    app.add_option(
           "--memory-mb", options.memory_mb, "for packets; as much as needed where not given"
    )
        ->check(CLI::Range(0, 1'048'576));
    app.add_flag(
        "--standalone",
        options.standalone,
        "bridge main is a learning switch as long as its table 0 holds no flow"
    );
    take(app, "--node", options.node, "this switch's name; the host's where not given");
    app.add_option(
        "--init", options.init_file, "JSON-lines requests, applied before the first packet"
    );
    app.add_flag(
        "--exit-when-idle",
        options.exit_when_idle,
        "end when all input files were read and all is sent"
    );
    app.add_option_function<std::string>(
           "--clock",
           [&options](const std::string& kind) { options.manual_clock = kind == "manual"; },
           "manual: time stands still until a client advances it"
    )
        ->check(CLI::IsMember({"system", "manual"}));
    take(app, "--log-level", options.log_level, "error, warning, info or debug; info");
    app.add_option("--eal", options.eal_args, "--eal=ARG: one more argument for DPDK")
        ->take_all()
        ->allow_extra_args(false);
    app.set_version_flag("-V,--version", "weftd " WEFT_VERSION);
}

/// Only what was given.
template <class Value>
void put(const std::optional<Value>& given, Value& over) {
    if (given)
        over = *given;
}

} // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
    Options options;
    CLI::App app{"The weft switch.", "weftd"};
    declare(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        if (problem.get_exit_code() == 0) // --help, --version
            return app.exit(problem);
        std::fprintf(stderr, "weftd: %s (see weftd --help)\n", problem.what());
        return 2;
    }
    return options;
}

Result<Config> configure(const Options& options) {
    Config config;
    if (!options.config_file.empty()) {
        auto read = read_config(options.config_file);
        if (!read)
            return read;
        config = std::move(*read);
    }
    put(options.node, config.node);
    put(options.socket, config.socket);
    put(options.memory_mb, config.memory_mb);
    if (options.cores) {
        auto cores = parse_cores(*options.cores);
        if (!cores)
            return tl::unexpected{cores.error()};
        config.cores = std::move(*cores);
    }
    if (options.workers) {
        config.workers = *options.workers;
        config.cores.clear();
    }
    if (options.log_level) {
        const auto severity = severity_from(*options.log_level);
        if (!severity)
            return tl::unexpected{severity.error()};
        config.log_level = *severity;
    }
    config.manual_clock = options.manual_clock;
    config.eal_args.insert(config.eal_args.end(), options.eal_args.begin(), options.eal_args.end());
    for (const std::string& port : options.ports) {
        auto row = port_row(port);
        if (!row)
            return tl::unexpected{row.error()};
        config.rows.push_back(std::move(*row));
    }
    for (const std::string& option : options.port_options)
        if (auto set = set_port_options(option, config.rows); !set)
            return tl::unexpected{set.error()};
    if (options.standalone)
        make_standalone(config.rows);
    put_in_order(config.rows);
    if (config.socket.empty()) {
        auto socket = default_socket_to_open();
        if (!socket)
            return tl::unexpected{socket.error()};
        config.socket = std::move(*socket);
    }
    return config;
}

} // namespace weft
