#include "control/events.hh"

#include "base/check.hh"
#include "control/schema.hh"

#include <algorithm>

namespace weft {

namespace {
constexpr std::array<std::string_view, topic_count> topic_names = {
    "port", "packet_in", "mac", "flow", "limit", "commit"};
}

std::string_view name(Topic topic) noexcept {
    return topic_names[static_cast<std::size_t>(topic)];
}

std::optional<Topic> topic_from(std::string_view name) noexcept {
    const auto found = std::find(topic_names.begin(), topic_names.end(), name);
    return found == topic_names.end()
               ? std::nullopt
               : std::optional{static_cast<Topic>(found - topic_names.begin())};
}

std::uint64_t
EventLog::add(Topic topic, std::string_view bridge, std::uint64_t now_ms, control::Event event) {
    const std::uint64_t seq = next_++;
    event.set_seq(seq);
    event.set_time_ms(now_ms);
    control::Reply reply;
    *reply.mutable_event() = std::move(event);
    for (const auto& [number, watcher] : watchers_)
        if (watcher.wants(topic, bridge))
            watcher.session->event(reply);
    events_.push_back({topic, std::string{bridge}, reply.SerializeAsString()});
    bytes_ += events_.back().bytes.size();
    while (events_.size() > limits_.events || (bytes_ > limits_.bytes && events_.size() > 1)) {
        bytes_ -= events_.front().bytes.size();
        events_.pop_front();
    }
    return seq;
}

std::optional<Error> EventLog::judge(const control::Watch& request) {
    for (const std::string& topic : request.topics())
        if (!topic_from(topic))
            return Error{
                "bad_value",
                "topic " + quoted(topic) +
                    " does not exist: it must be one of port, packet_in, mac, flow, limit, commit",
            };
    return std::nullopt;
}

void EventLog::watch(Session& session, const control::Watch& request, std::uint64_t now_ms) {
    Watcher watcher{.session = &session, .topics = {}, .bridge = request.bridge()};
    watcher.topics.fill(request.topics().empty());
    for (const std::string& topic : request.topics())
        if (const auto known = topic_from(topic))
            watcher.topics[static_cast<std::size_t>(*known)] = true;
    watchers_[session.peer().number] = watcher;
    if (request.from_seq() == 0 || request.from_seq() >= next_)
        return;
    const std::uint64_t oldest = next_ - events_.size();
    if (request.from_seq() < oldest) {
        control::Reply reply;
        control::Event& event = *reply.mutable_event();
        event.set_seq(oldest - 1);
        event.set_time_ms(now_ms);
        event.mutable_gap()->set_first(request.from_seq());
        event.mutable_gap()->set_last(oldest - 1);
        session.event(reply);
    }
    for (std::uint64_t seq = std::max(request.from_seq(), oldest); seq < next_; ++seq) {
        const Kept& kept = events_[seq - oldest];
        if (!watcher.wants(kept.topic, kept.bridge))
            continue;
        control::Reply reply;
        check(reply.ParseFromString(kept.bytes));
        session.event(reply);
    }
}

void EventLog::unwatch(Session& session) {
    watchers_.erase(session.peer().number);
}

} // namespace weft
