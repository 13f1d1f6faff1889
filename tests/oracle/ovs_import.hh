// Reads what `ovs-ofctl dump-flows`, `dump-groups` and `dump-meters` print (ovs-ofctl(8),
// ovs-actions(7), ovs-fields(7)), so that tests can run what a real OVN installs. It takes the
// constructs that controllers like OVN use, and says which one it does not know.
//
// Port n of the dump is the port "p<n>". A resubmit in last place is a goto, any other a call.
// in_port set to 0 or ANY is inport 0. What OVS writes with sparse masks becomes one action for
// each run of bits.
#pragma once

#include "base/result.hh"
#include "pipeline/action.hh"
#include "pipeline/match.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::oracle {

struct ImportedFlow {
    std::uint32_t table = 0;
    std::uint32_t priority = 32'768;
    std::uint64_t cookie = 0;
    std::uint32_t idle_timeout_s = 0;
    std::uint32_t hard_timeout_s = 0;
    Match match;
    Actions actions;
    std::string line; // as it stood there
};

struct ImportedGroup {
    std::uint32_t number = 0;
    GroupSettings settings;
};

struct ImportedMeter {
    struct Band {
        std::uint64_t rate = 0;
        std::uint64_t burst = 0;
    };
    std::uint32_t number = 0;
    bool per_packet = false; // else kilobits
    std::vector<Band> bands;
};

/// Blank lines and lines that begin with a capital letter (replies' headings) are left out.
Result<std::vector<ImportedFlow>> import_flows(std::string_view text);
Result<std::vector<ImportedGroup>> import_groups(std::string_view text);
Result<std::vector<ImportedMeter>> import_meters(std::string_view text);

/// One match and one action list, as they stand in a flow.
Result<Match> import_match(std::string_view text);
Result<Actions> import_actions(std::string_view text);

/// The whole file `name` of the recorded OVN (ovn/ of the shared folder); nothing where it is not
/// there.
std::string recorded_ovn(std::string_view name);

} // namespace weft::oracle
