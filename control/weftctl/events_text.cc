#include "control/weftctl/events_text.hh"

#include "control/weftctl/rows_text.hh"
#include "control/weftctl/text_table.hh"

#include <algorithm>
#include <cstdio>

namespace weft::ctl {

namespace {

std::string port_text(const control::PortEvent& event) {
    const control::PortStatus& status = event.status();
    std::string text = "port " + name_in(status.bridge(), status.name()) + " " + event.what();
    if (status.number() != 0)
        text += ", number " + std::to_string(status.number());
    if (!status.iface_id().empty())
        text += ", iface_id " + status.iface_id();
    const std::string& why = event.reason().empty() ? status.error() : event.reason();
    return why.empty() ? text : text + ": " + why;
}

std::string packet_text(const control::PacketIn& packet) {
    std::string text =
        "packet_in " + name_in(packet.bridge(), packet.port()) + ", table " +
        std::to_string(packet.table()) + ", reason " + std::to_string(packet.reason()) + ", " +
        std::to_string(packet.packet_bytes()) + " bytes: " + hex_text(packet.packet(), 48);
    for (const auto& [field, value] : packet.metadata())
        text += ", " + field + "=" + value;
    return text;
}

std::string flow_text(const control::FlowExpired& event) {
    return "flow expired (" + event.reason() + "): table " + std::to_string(event.flow().table()) +
           " priority " + std::to_string(event.flow().priority()) + " " + event.flow().match() +
           ", " + std::to_string(event.packets()) + " packets";
}

std::string commit_text(const control::Committed& commit) {
    return "commit generation " + std::to_string(commit.generation()) + " by " + commit.client() +
           " id " + commit.id() + ": +" + std::to_string(commit.added()) + " -" +
           std::to_string(commit.removed());
}

std::string body_text(const control::Event& event) {
    switch (event.event_case()) {
    case control::Event::kPort:
        return port_text(event.port());
    case control::Event::kPacketIn:
        return packet_text(event.packet_in());
    case control::Event::kMacLearned:
        return "mac " + event.mac_learned().mac() + " learned on " +
               name_in(event.mac_learned().bridge(), event.mac_learned().port()) +
               (event.mac_learned().vlan() == 0
                    ? ""
                    : ", vlan " + std::to_string(event.mac_learned().vlan()));
    case control::Event::kFlowExpired:
        return flow_text(event.flow_expired());
    case control::Event::kLimit:
        return "limit " + event.limit().limit() + " (" + std::to_string(event.limit().value()) +
               "): " + event.limit().message();
    case control::Event::kGap:
        return "events " + std::to_string(event.gap().first()) + " to " +
               std::to_string(event.gap().last()) + " are lost";
    case control::Event::kCommit:
        return commit_text(event.commit());
    case control::Event::EVENT_NOT_SET:
        break;
    }
    return "unknown event";
}

} // namespace

std::string hex_text(std::string_view bytes, std::size_t bytes_max) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char byte : bytes.substr(0, bytes_max)) {
        text += digits[static_cast<unsigned char>(byte) >> 4];
        text += digits[static_cast<unsigned char>(byte) & 15];
    }
    return bytes.size() > bytes_max ? text + "..." : text;
}

std::string event_text(const control::Event& event) {
    char when[64];
    std::snprintf(
        when,
        sizeof when,
        "%8llu.%03llu  #%-6llu ",
        static_cast<unsigned long long>(event.time_ms() / 1'000),
        static_cast<unsigned long long>(event.time_ms() % 1'000),
        static_cast<unsigned long long>(event.seq())
    );
    return when + printable(body_text(event)) + '\n';
}

std::string story_text(const control::TraceStory& story) {
    std::string text = "packet  " + printable(story.packet()) + "\n";
    text += "under generation " + std::to_string(story.generation()) + "\n\n";
    for (const control::TraceStep& step : story.steps()) {
        // Deep walks stay on the screen.
        const std::string indent(2 * std::min<std::size_t>(step.depth(), 16), ' ');
        std::string line;
        if (step.what() == "table" && step.rule().empty()) {
            line = step.text();
        } else if (step.what() == "table") {
            line = "table " + name_in(step.bridge(), std::to_string(step.table())) + ": " +
                   step.rule() + "   [generation " + std::to_string(step.generation()) +
                   (step.owner().empty() ? "]" : ", " + step.owner() + "]");
        } else {
            line = "  " + step.what();
            line.resize(std::max<std::size_t>(line.size(), 8), ' ');
            line += "  " + step.text();
        }
        text += indent + printable(line) + "\n";
    }
    return text + "\nresult  " + printable(story.result()) + "\n";
}

} // namespace weft::ctl
