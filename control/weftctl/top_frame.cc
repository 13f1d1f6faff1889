#include "control/weftctl/top_frame.hh"

#include "control/weftctl/rows_text.hh"
#include "control/weftctl/stats_text.hh"
#include "control/weftctl/text_table.hh"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

namespace weft::ctl {

namespace {

struct WorkerRates {
    std::string name;
    std::uint64_t core = 0;
    double received_pps = 0, sent_pps = 0, dropped_pps = 0;
    double cycles_per_packet = 0;
    double busy = 0; // 0 to 1
    bool stalled = false;
};
struct PortRates {
    std::string name;
    std::string state;
    double rx_pps = 0, rx_bps = 0, tx_pps = 0, tx_bps = 0, lost_pps = 0;
    std::uint64_t rx = 0, tx = 0;
};
struct DropRates {
    std::string reason;
    double pps = 0;
    std::uint64_t packets = 0;
};
struct Rates {
    std::vector<WorkerRates> workers;
    std::vector<PortRates> ports;
    std::vector<DropRates> drops;
};

/// Differences per second of one thing's counters.
class Delta {
public:
    Delta(const control::Stat& now, const control::Stat* before, double seconds)
        : now_{now},
          before_{before},
          seconds_{seconds} {}

    double counted(const std::string& name) const {
        const std::uint64_t now = value_of(now_, name);
        const std::uint64_t before = before_ == nullptr ? 0 : value_of(*before_, name);
        return now < before ? 0 : static_cast<double>(now - before);
    }
    double per_s(const std::string& name) const {
        return seconds_ <= 0 ? 0 : counted(name) / seconds_;
    }

private:
    const control::Stat& now_;
    const control::Stat* before_;
    double seconds_;
};

double ratio(double part, double whole) {
    return whole <= 0 ? 0 : part / whole;
}

std::string state_of(const Reading& now, const control::Stat& port) {
    for (const control::PortStatus& status : now.ports)
        if (name_in(status.bridge(), status.name()) == port.name())
            return status.state();
    return value_of(port, "up") != 0 ? "up" : "down";
}

Rates rates_of(const TopInput& input) {
    const double seconds = input.now.time_s - input.before.time_s;
    std::map<std::pair<std::string, std::string>, const control::Stat*> before;
    for (const control::Stat& stat : input.before.report.stats())
        before[{stat.kind(), stat.name()}] = &stat;
    Rates rates;
    for (const control::Stat& stat : input.now.report.stats()) {
        const auto found = before.find({stat.kind(), stat.name()});
        const Delta delta{stat, found == before.end() ? nullptr : found->second, seconds};
        if (stat.kind() == "workers")
            rates.workers.push_back(
                {.name = stat.name(),
                 .core = value_of(stat, "core"),
                 .received_pps = delta.per_s("received"),
                 .sent_pps = delta.per_s("sent"),
                 .dropped_pps = delta.per_s("dropped"),
                 .cycles_per_packet =
                     ratio(delta.counted("busy_cycles"), delta.counted("received")),
                 .busy = ratio(delta.counted("busy_cycles"), delta.counted("total_cycles")),
                 .stalled = value_of(stat, "stalled") != 0}
            );
        else if (stat.kind() == "ports")
            rates.ports.push_back(
                {.name = stat.name(),
                 .state = state_of(input.now, stat),
                 .rx_pps = delta.per_s("rx_packets"),
                 .rx_bps = delta.per_s("rx_bytes") * 8,
                 .tx_pps = delta.per_s("tx_packets"),
                 .tx_bps = delta.per_s("tx_bytes") * 8,
                 .lost_pps = delta.per_s("rx_missed") + delta.per_s("rx_errors") +
                             delta.per_s("rx_no_buffers") + delta.per_s("tx_dropped") +
                             delta.per_s("tx_errors"),
                 .rx = value_of(stat, "rx_packets"),
                 .tx = value_of(stat, "tx_packets")}
            );
        else if (stat.kind() == "drops" && value_of(stat, "packets") != 0)
            rates.drops.push_back(
                {.reason = stat.name(),
                 .pps = delta.per_s("packets"),
                 .packets = value_of(stat, "packets")}
            );
    }
    return rates;
}

std::string fixed(double number, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, number);
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

std::vector<std::string> worker_lines(const Rates& rates) {
    TextTable table{
        {{"worker"},
         {"core", Align::right},
         {"Mpps in", Align::right},
         {"Mpps out", Align::right},
         {"cycles/packet", Align::right},
         {"busy", Align::right},
         {"drops/s", Align::right},
         {""}}};
    for (const WorkerRates& each : rates.workers)
        table.add(
            {each.name.starts_with("worker ") ? each.name.substr(7) : each.name,
             std::to_string(each.core),
             fixed(each.received_pps / 1e6, 3),
             fixed(each.sent_pps / 1e6, 3),
             each.cycles_per_packet <= 0 ? "-" : fixed(each.cycles_per_packet, 0),
             fixed(each.busy * 100, 0) + "%",
             short_number(each.dropped_pps),
             each.stalled ? "stalled" : ""}
        );
    return lines_of(table.take());
}

std::vector<std::string> port_lines(const Rates& rates) {
    TextTable table{
        {{"port"},
         {"state"},
         {"rx/s", Align::right},
         {"rx b/s", Align::right},
         {"tx/s", Align::right},
         {"tx b/s", Align::right},
         {"lost/s", Align::right},
         {"rx", Align::right},
         {"tx", Align::right}}};
    for (const PortRates& each : rates.ports)
        table.add(
            {each.name,
             each.state,
             short_number(each.rx_pps),
             short_number(each.rx_bps),
             short_number(each.tx_pps),
             short_number(each.tx_bps),
             short_number(each.lost_pps),
             short_number(static_cast<double>(each.rx)),
             short_number(static_cast<double>(each.tx))}
        );
    return lines_of(table.take());
}

std::vector<std::string> drop_lines(const Rates& rates) {
    if (rates.drops.empty())
        return {"no drops"};
    TextTable table{{{"drops"}, {"per s", Align::right}, {"in all", Align::right}}};
    for (const DropRates& each : rates.drops)
        table.add({each.reason, short_number(each.pps), grouped(each.packets)});
    return lines_of(table.take());
}

std::string summary(const Rates& rates) {
    double received = 0;
    double sent = 0;
    double dropped = 0;
    for (const WorkerRates& each : rates.workers) {
        received += each.received_pps;
        sent += each.sent_pps;
        dropped += each.dropped_pps;
    }
    return "in " + fixed(received / 1e6, 3) + " Mpps   out " + fixed(sent / 1e6, 3) +
           " Mpps   dropped " + short_number(dropped) + "/s";
}

/// Appends what fits into `room` lines, and says how many did not.
void append(std::vector<std::string>& to, std::vector<std::string> lines, std::size_t room) {
    if (lines.size() > room && room > 1) {
        const std::size_t left_out = lines.size() - (room - 1);
        lines.resize(room - 1);
        lines.push_back("  and " + std::to_string(left_out) + " more");
    }
    lines.resize(std::min(lines.size(), room));
    to.insert(to.end(), lines.begin(), lines.end());
}

/// The first `width` characters of text in UTF-8.
std::string cut(std::string text, std::size_t width) {
    while (width_of(text) > width) {
        while ((static_cast<unsigned char>(text.back()) & 0xc0) == 0x80)
            text.pop_back();
        text.pop_back();
    }
    return text;
}

} // namespace

std::vector<std::string> top_frame(const TopInput& input) {
    Rates rates = rates_of(input);
    std::ranges::stable_sort(rates.drops, std::greater{}, &DropRates::packets);
    const auto workers = worker_lines(rates);
    const auto drops = drop_lines(rates);
    const std::size_t fixed_lines = 2 + 3 + (input.is_live ? 1 : 0); // head, blank lines, foot
    const std::size_t room = input.height > fixed_lines ? input.height - fixed_lines : 0;
    // Workers and drops take no more than a third each where ports need the lines.
    const auto ports_wanted = rates.ports.size() + 1;
    const auto share = [&](std::size_t wanted, std::size_t others) {
        return std::min(wanted, std::max(room / 3, room > others ? room - others : 0));
    };
    const std::size_t worker_room = share(workers.size(), ports_wanted + drops.size());
    const std::size_t drop_room = share(drops.size(), ports_wanted + worker_room);
    const std::size_t port_room = room - std::min(room, worker_room + drop_room);
    if (ports_wanted > port_room)
        std::ranges::stable_sort(rates.ports, std::greater{}, [](const PortRates& each) {
            return each.rx_pps + each.tx_pps;
        });

    std::vector<std::string> lines{
        input.title + "   generation " + std::to_string(input.now.report.generation()),
        summary(rates),
        ""};
    append(lines, workers, worker_room);
    lines.emplace_back();
    append(lines, port_lines(rates), port_room);
    lines.emplace_back();
    append(lines, drops, drop_room);
    if (input.is_live) {
        while (lines.size() + 1 < input.height)
            lines.emplace_back();
        lines.emplace_back("q quits");
    }
    lines.resize(std::min(lines.size(), input.height));
    for (std::string& line : lines)
        line = cut(printable(line), input.width);
    return lines;
}

std::string top_json(const TopInput& input) {
    const Rates rates = rates_of(input);
    std::string text;
    for (const WorkerRates& each : rates.workers)
        text += "{\"worker\": \"" + each.name + "\", \"core\": " + std::to_string(each.core) +
                ", \"received_pps\": " + fixed(each.received_pps, 0) +
                ", \"sent_pps\": " + fixed(each.sent_pps, 0) +
                ", \"dropped_pps\": " + fixed(each.dropped_pps, 0) +
                ", \"cycles_per_packet\": " + fixed(each.cycles_per_packet, 1) +
                ", \"busy\": " + fixed(each.busy, 3) + "}\n";
    for (const PortRates& each : rates.ports)
        text +=
            "{\"port\": " + json_string(each.name) + ", \"state\": \"" + each.state +
            "\", \"rx_pps\": " + fixed(each.rx_pps, 0) + ", \"rx_bps\": " + fixed(each.rx_bps, 0) +
            ", \"tx_pps\": " + fixed(each.tx_pps, 0) + ", \"tx_bps\": " + fixed(each.tx_bps, 0) +
            ", \"lost_pps\": " + fixed(each.lost_pps, 0) + "}\n";
    for (const DropRates& each : rates.drops)
        text += "{\"drop\": \"" + each.reason + "\", \"pps\": " + fixed(each.pps, 0) +
                ", \"packets\": \"" + std::to_string(each.packets) + "\"}\n";
    return text;
}

} // namespace weft::ctl
