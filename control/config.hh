// What weftd is started with: switch settings, and the rows that the client "config" states.
#pragma once

#include "base/result.hh"
#include "control/log.hh"
#include "control/weft.pb.h"
#include "pipeline/tables.hh"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// One row, weight +1, and who says so ("weft.toml:12", "--port p1"): for errors.
struct ConfigRow {
    control::Op op;
    std::string where;
};

/// Every value is within its range; rows have the right fields and types, and are judged by the
/// switch.
struct Config {
    std::string node;             // empty: the host's name
    std::string socket;           // empty: default_socket_to_open()
    std::string read_only_socket; // empty: `socket` + ".ro"
    std::vector<unsigned>
        cores; // one worker each; empty: `workers` of them, wherever there is room
    std::uint32_t workers = 1;
    std::uint32_t memory_mb = 0; // for DPDK; 0: as much as it needs
    std::uint32_t worker_buffers = 8'192;
    bool manual_clock = false; // from the command line only
    Severity log_level = Severity::info;
    std::vector<std::string> eal_args; // appended to EAL's own
    TableLimits limits;
    std::vector<ConfigRow> rows;
};

/// Reads TOML: [switch], [limits], and any number of [[bridge]], [[port]], [[table]], [[flow]],
/// [[group]] and [[meter]] with the fields that the relation has on the control socket.
/// docs/operating.md lists all keys. An unknown key, a wrong type or a value out of range fails
/// with `bad_config` and a sentence that begins with `name`, line and column.
Result<Config> parse_config(std::string_view text, const std::string& name);

/// parse_config of a file's text; fails also where it cannot be read.
Result<Config> read_config(const std::string& path);

/// A list of cores such as "2-5,18", in the order given. Fails on anything else, and on a core
/// named twice.
Result<std::vector<unsigned>> parse_cores(std::string_view text);

/// The row that `text` of --port states: NAME=DEVARGS, up to the first '='.
Result<ConfigRow> port_row(std::string_view text);

/// Sets fields of one of the port rows: NAME:FIELD[=VALUE][,FIELD[=VALUE]...], a field without a
/// value being set to true, one that may stand several times being added to.
Result<void> set_port_options(std::string_view text, std::vector<ConfigRow>& rows);

/// Says `standalone` in the row of bridge main, which is added where there is none.
void make_standalone(std::vector<ConfigRow>& rows);

/// Ports before what mentions them, so that they get their numbers in the order in which they are
/// written.
void put_in_order(std::vector<ConfigRow>& rows);

/// One sentence for each setting that is not the same in both and that a running weftd cannot
/// change.
std::vector<std::string> needs_restart(const Config& running, const Config& wanted);

} // namespace weft
