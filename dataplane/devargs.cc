#include "dataplane/devargs.hh"

#include <algorithm>
#include <charconv>

namespace weft {

namespace {

// RTE_ETH_NAME_MAX_LEN less its end; what is behind it DPDK would cut off in silence.
constexpr std::size_t name_bytes_max = 63;
// Of a whole argument: EAL copies it into a message of this size.
constexpr std::size_t text_bytes_max = 1'023;

} // namespace

std::optional<std::string_view> DeviceArgs::find(std::string_view key) const {
    for (const auto& [name, value] : values)
        if (name == key)
            return value;
    return std::nullopt;
}

std::vector<std::string> DeviceArgs::all(std::string_view key) const {
    std::vector<std::string> found;
    for (const auto& [name, value] : values)
        if (name == key)
            found.push_back(value);
    return found;
}

std::optional<std::uint64_t> DeviceArgs::number(std::string_view key) const {
    const auto text = find(key);
    if (!text)
        return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (code != std::errc{} || end != text->data() + text->size())
        return std::nullopt;
    return value;
}

Result<DeviceArgs> parse_device_args(std::string_view text) {
    if (text.size() > text_bytes_max)
        return fail(
            "bad_device",
            "device arguments of " + std::to_string(text.size()) + " bytes: at most " +
                std::to_string(text_bytes_max)
        );
    if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        return fail("bad_device", "device arguments with a control character in them");
    DeviceArgs args;
    for (bool first = true; !text.empty() || first; first = false) {
        const auto comma = std::min(text.find(','), text.size());
        const auto part = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        if (first) {
            args.device = part.starts_with("vdev:")  ? part.substr(5)
                          : part.starts_with("pci:") ? part.substr(4)
                                                     : part;
            continue;
        }
        const auto equals = std::min(part.find('='), part.size());
        const auto value = part.substr(std::min(equals + 1, part.size()));
        args.values.emplace_back(part.substr(0, equals), value);
    }
    if (args.device.empty())
        return fail("bad_device", "device arguments without a device name in front");
    if (args.device.size() > name_bytes_max)
        return fail(
            "bad_device",
            "device name of " + std::to_string(args.device.size()) + " bytes: at most " +
                std::to_string(name_bytes_max)
        );
    return args;
}

} // namespace weft
