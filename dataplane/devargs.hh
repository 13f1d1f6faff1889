// DPDK device arguments, as far as we look into them: "net_af_packet0,iface=veth0,framesz=4096".
#pragma once

#include "base/result.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

struct DeviceArgs {
    std::string device; // "net_af_packet0", "0000:03:00.0"; without a bus in front
    std::vector<std::pair<std::string, std::string>> values; // in order; keys may repeat

    std::optional<std::string_view> find(std::string_view key) const;
    std::vector<std::string> all(std::string_view key) const;
    /// The number under `key`, or nothing where it is absent or no decimal number.
    std::optional<std::uint64_t> number(std::string_view key) const;
};

/// Fails with `bad_device` on what cannot be device arguments at all: an empty or overlong name,
/// control characters.
Result<DeviceArgs> parse_device_args(std::string_view text);

} // namespace weft
