// Events and who watches them: a bounded memory with sequence numbers, so that a reader who comes
// back misses nothing in silence.
#pragma once

#include "base/result.hh"
#include "control/service.hh"
#include "control/weft.pb.h"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft {

enum class Topic : std::uint8_t { port, packet_in, mac, flow, limit, commit, count_ };
inline constexpr std::size_t topic_count = static_cast<std::size_t>(Topic::count_);
std::optional<Topic> topic_from(std::string_view name) noexcept;
std::string_view name(Topic topic) noexcept;

struct EventLimits {
    std::size_t events = 65'536;               // remembered for readers that come back
    std::size_t bytes = std::size_t{64} << 20; // of them together
};

/// Control thread only. An event costs one serialised copy, and one more per watcher that wants it.
class EventLog {
public:
    explicit EventLog(EventLimits limits = {}) : limits_{limits} {}

    /// Numbers the event, remembers it, and sends it to whoever watches its topic and bridge.
    /// Returns its number.
    std::uint64_t
    add(Topic topic, std::string_view bridge, std::uint64_t now_ms, control::Event event);
    /// Of the newest event; 0: none yet.
    std::uint64_t last() const noexcept { return next_ - 1; }

    /// What is wrong with the request, if anything.
    static std::optional<Error> judge(const control::Watch& request);
    /// Starts (or changes) what `session` watches. Replays from `from_seq` on (0: nothing); a gap
    /// event first, where events from there on are no longer remembered.
    void watch(Session& session, const control::Watch& request, std::uint64_t now_ms);
    void unwatch(Session& session);
    std::size_t watchers() const noexcept { return watchers_.size(); }
    std::size_t remembered() const noexcept { return events_.size(); }

private:
    struct Kept {
        Topic topic{};
        std::string bridge;
        std::string bytes; // of the Reply that holds it
    };
    struct Watcher {
        Session* session = nullptr;
        std::array<bool, topic_count> topics{};
        std::string bridge; // empty: all
        bool wants(Topic topic, std::string_view of) const {
            return topics[static_cast<std::size_t>(topic)] &&
                   (bridge.empty() || of.empty() || bridge == of);
        }
    };

    EventLimits limits_;
    std::uint64_t next_ = 1;
    std::deque<Kept> events_; // the last one has the number next_ - 1
    std::size_t bytes_ = 0;
    std::unordered_map<std::uint64_t, Watcher> watchers_; // by the peer's number
};

} // namespace weft
