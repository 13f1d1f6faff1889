#include "dataplane/dpdk_log.hh"

#include <rte_log.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace weft {

namespace {

constexpr std::size_t captured_bytes_max = 16'384;
constexpr std::size_t reason_bytes_max = 300;

/// What EAL says of every failure, after the line that has the cause.
constexpr std::array<std::string_view, 9> says_nothing = {
    "Failed to register mp action",
    "Driver cannot attach the device",
    "Failed to attach device on primary process",
    "failed to initialize",
    "EAL: Bus (",
    "No shared files mode enabled",
    "Failed to send hotplug",
    "Ethdev port_id=",
    "Invalid port_id=",
};

bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_';
    });
}

/// "EAL: open_rx_pcap(): Couldn't open" is "Couldn't open".
std::string_view without_origin(std::string_view line) {
    for (;;) {
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos)
            return line;
        auto origin = line.substr(0, colon);
        const bool is_function = origin.ends_with("()");
        if (is_function)
            origin.remove_suffix(2);
        const bool is_part = origin == "EAL" || origin == "PMD" || origin == "ETHDEV";
        if (!is_word(origin) || !(is_function || is_part))
            return line;
        line.remove_prefix(colon + 2);
    }
}

} // namespace

DpdkLog::DpdkLog() {
    const cookie_io_functions_t functions = {
        .read = nullptr, .write = &DpdkLog::write, .seek = nullptr, .close = nullptr};
    stream_ = fopencookie(this, "w", functions);
    if (stream_ != nullptr)
        rte_openlog_stream(stream_);
}

DpdkLog::~DpdkLog() {
    rte_openlog_stream(nullptr);
    if (stream_ != nullptr)
        std::fclose(stream_);
}

ssize_t DpdkLog::write(void* self, const char* text, std::size_t bytes) {
    auto& log = *static_cast<DpdkLog*>(self);
    const std::lock_guard lock{log.mutex_};
    if (log.capturing_ == std::this_thread::get_id() && log.captured_.size() < captured_bytes_max)
        log.captured_.append(text, bytes);
    return static_cast<ssize_t>(bytes);
}

void DpdkLog::begin() {
    const std::lock_guard lock{mutex_};
    capturing_ = std::this_thread::get_id();
    captured_.clear();
}

std::vector<std::string> DpdkLog::end() {
    const std::lock_guard lock{mutex_};
    capturing_ = {};
    std::vector<std::string> lines;
    std::string line;
    for (const char c : captured_) {
        if (c != '\n' && c != '\r') {
            line += c;
            continue;
        }
        if (!line.empty())
            lines.push_back(std::move(line));
        line.clear();
    }
    if (!line.empty())
        lines.push_back(std::move(line));
    captured_.clear();
    return lines;
}

std::string reason_in(const std::vector<std::string>& lines) {
    std::string reason;
    for (const std::string& line : lines) {
        const bool skip =
            std::any_of(says_nothing.begin(), says_nothing.end(), [&](std::string_view part) {
                return line.find(part) != std::string::npos;
            });
        std::string_view rest = without_origin(line);
        while (!rest.empty() &&
               (rest.back() == '.' || std::isspace(static_cast<unsigned char>(rest.back()))))
            rest.remove_suffix(1);
        if (skip || rest.empty() || reason.size() + rest.size() > reason_bytes_max ||
            reason.find(rest) != std::string::npos)
            continue;
        reason += (reason.empty() ? "" : "; ") + std::string{rest};
    }
    return reason;
}

} // namespace weft
