#include "control/log.hh"

#include <cstdlib>
#include <memory>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string>
#include <utility>

namespace weft {

namespace {

constexpr const char* log_name = "weftd";

spdlog::level::level_enum level_of(Severity severity) {
    switch (severity) {
    case Severity::error:
        return spdlog::level::err;
    case Severity::warning:
        return spdlog::level::warn;
    case Severity::info:
        return spdlog::level::info;
    case Severity::debug:
        return spdlog::level::debug;
    }
    return spdlog::level::info;
}

/// The line itself, under systemd behind the priority of sd-daemon(3), which journald takes off
/// again.
class Line final : public spdlog::custom_flag_formatter {
public:
    explicit Line(bool with_priority) : with_priority_{with_priority} {}

    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out)
        override {
        if (with_priority_) {
            const std::string_view prefix = message.level >= spdlog::level::err    ? "<3>"
                                            : message.level == spdlog::level::warn ? "<4>"
                                            : message.level == spdlog::level::info ? "<6>"
                                                                                   : "<7>";
            out.append(prefix.data(), prefix.data() + prefix.size());
        }
        for (const char c : message.payload)
            out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
    }
    std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
        return std::make_unique<Line>(with_priority_);
    }

private:
    bool with_priority_;
};

} // namespace

Result<Severity> severity_from(std::string_view name) {
    constexpr std::pair<std::string_view, Severity> names[] = {
        {"error", Severity::error},
        {"warning", Severity::warning},
        {"info", Severity::info},
        {"debug", Severity::debug}};
    for (const auto& [word, severity] : names)
        if (word == name)
            return severity;
    return fail(
        "bad_value",
        "log level \"" + std::string{name} + "\": must be error, warning, info or debug"
    );
}

void start_log(Severity least) {
    if (spdlog::default_logger()->name() == log_name) // others hold this logger by now
        return spdlog::default_logger()->set_level(level_of(least));
    const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<Line>('*', journal).set_pattern(journal ? "%*" : "%H:%M:%S.%e %-7l %*");
    auto logger = std::make_shared<spdlog::logger>(
        log_name, std::make_shared<spdlog::sinks::stderr_sink_mt>()
    );
    logger->set_formatter(std::move(formatter));
    logger->set_level(level_of(least));
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

void log(Severity severity, std::string_view line) {
    spdlog::log(level_of(severity), "{}", line);
}

} // namespace weft
