// What does the pipeline itself cost, without devices? process() over one exact-match table, and
// over the flows of a real OVN: cycles a packet and a lookup.
//
//   walk_bench l2 [MACS [BURSTS [default]]]
//                                    packets to random destinations, one table, one output; the
//                                    last rule drops everything
//   walk_bench ports [PORTS [BURSTS]]
//                                    each burst from one of so many ports, one table that tells
//                                    them apart, one output
//   walk_bench l3 [PREFIXES [BURSTS [scattered]]]
//                                    packets to random routes, the Internet's or each in a place of
//                                    its own, which rewrite both MACs and the TTL
//   walk_bench rules FILE [BURSTS]   ClassBench filters, four in five permitting, and 100,000
//                                    packets drawn over them
//   walk_bench ovn [BURSTS]          packets sought for long walks; ct() goes on as an established
//                                    connection, what else is missing is left out
//
// Counts of instructions: valgrind --tool=callgrind --toggle-collect='weft::process(*'.
#include "base/check.hh"
#include "bench/classbench.hh"
#include "classifier/tuple_plan.hh"
#include "control/language/language.hh"
#include "pipeline/process.hh"
#include "pipeline/story.hh"
#include "pipeline/tables.hh"
#include "tests/oracle/ovs_import.hh"
#include "tests/oracle/packets.hh"
#include "tests/support/manual_reclaimer.hh"
#include "tests/support/packets.hh"
#include "tests/support/routes.hh"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <x86intrin.h>

namespace weft {
namespace {

using oracle::Random;

constexpr std::uint32_t ovn_ports = 20;
constexpr std::size_t rounds = 21; // of which the median is told

/// A switch of one bridge, one worker's pipeline and the bursts that it runs.
struct Bench {
    test::ManualReclaimer reclaimer;
    Tables tables{TableLimits{}, 1, reclaimer, 1};
    PipelineWorker worker{tables.worker_counters(0)};
    std::unique_ptr<Burst> burst{new Burst};
    std::unique_ptr<Story> story{new Story};
    BridgeId bridge = *tables.bridge_id("main");
    std::vector<test::OwnedPacket> packets;
    std::vector<PortId> ingress; // of each 32 packets

    PortId port(const std::string& name, PortNumber number) {
        const PortId id = *tables.port_id(bridge, name);
        tables.set_port(id, {.number = number});
        tables.set_link(id, true);
        return id;
    }
    void
    rule(std::uint32_t table, std::uint32_t priority, const Match& match, const Actions& actions) {
        check(tables
                  .insert_rule(
                      {.table = *tables.table_id(bridge, table),
                       .priority = priority,
                       .match = match,
                       .actions = actions}
                  )
                  .has_value());
    }
    /// What the background does after changes.
    void plan() {
        do {
            if (const auto job = tables.next_plan())
                tables.adopt(job->table, plan_tuples(job->sample, 1));
            reclaimer.run();
        } while (tables.tidy(1'000) != Tables::Tidied::all);
    }
    void run(std::size_t first) noexcept {
        burst->count = burst_max;
        burst->bridge = bridge;
        burst->ingress = ingress[first / burst_max];
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            burst->packet[lane] = packets[first + lane].packet;
        const std::uint64_t start = __rdtsc();
        process(*burst, tables.world(), worker);
        cycles += __rdtsc() - start;
    }
    /// The lookups of one packet's walk.
    std::size_t lookups_of(test::OwnedPacket& packet, PortId from) {
        burst->count = 1;
        burst->bridge = bridge;
        burst->ingress = from;
        burst->packet[0] = packet.packet;
        story->count = 0;
        worker.story = story.get();
        process(*burst, tables.world(), worker);
        worker.story = nullptr;
        return static_cast<std::size_t>(std::count_if(
            story->step.begin(),
            story->step.begin() + story->count,
            [](const StoryStep& step) {
                return step.what == StoryStep::What::lookup || step.what == StoryStep::What::miss;
            }
        ));
    }
    std::uint64_t cycles = 0;

    void report(const char* name, std::size_t bursts) {
        std::size_t lookups = 0, outputs = 0, steps = 0;
        for (std::size_t i = 0; i < packets.size(); ++i) {
            lookups += lookups_of(packets[i], ingress[i / burst_max]);
            outputs += burst->effects.used;
            steps += story->count;
        }
        std::vector<double> per_packet;
        for (std::size_t round = 0; round < rounds; ++round) {
            cycles = 0;
            for (std::size_t i = 0; i < bursts; ++i)
                run(i % (packets.size() / burst_max) * burst_max);
            per_packet.push_back(
                static_cast<double>(cycles) / static_cast<double>(bursts * burst_max)
            );
        }
        std::sort(per_packet.begin(), per_packet.end());
        const auto count = static_cast<double>(packets.size());
        const double each = static_cast<double>(lookups) / count;
        std::printf(
            "%s: %.1f lookups, %.1f steps, %.2f effects a packet; min / median / max %.1f / %.1f / "
            "%.1f cycles a packet, %.1f a lookup\n",
            name,
            each,
            static_cast<double>(steps) / count,
            static_cast<double>(outputs) / count,
            per_packet.front(),
            per_packet[rounds / 2],
            per_packet.back(),
            per_packet[rounds / 2] / each
        );
    }
};

std::string mac(std::uint64_t number) {
    std::array<char, 18> text;
    std::snprintf(
        text.data(),
        text.size(),
        "02:00:00:%02x:%02x:%02x",
        static_cast<unsigned>(number >> 16 & 255),
        static_cast<unsigned>(number >> 8 & 255),
        static_cast<unsigned>(number & 255)
    );
    return text.data();
}

void l2(std::size_t macs, std::size_t bursts, bool has_default) {
    Bench bench;
    const PortId in = bench.port("in", PortNumber{1});
    bench.port("out", PortNumber{2});
    const Actions out = *parse_actions("output(\"out\");");
    for (std::size_t k = 0; k < macs; ++k)
        bench.rule(0, 100, *parse_match("eth.dst == " + mac(0x10'0000 + k)), out);
    if (has_default)
        bench.rule(0, 0, *parse_match("1"), *parse_actions("drop;"));
    bench.tables.commit();
    Random random{1};
    for (std::size_t i = 0; i < 4'096; ++i) {
        test::PacketSpec spec = test::udp("10.0.0.1:5 > 10.0.0.2:53");
        spec.eth("02:00:00:00:00:01 > " + mac(0x10'0000 + oracle::below(random, macs))).size(60);
        bench.packets.emplace_back(spec);
    }
    bench.ingress.assign(bench.packets.size() / burst_max, in);
    bench.report(("l2 " + std::to_string(macs) + " MACs").c_str(), bursts);
}

void ports(std::size_t count, std::size_t bursts) {
    Bench bench;
    std::vector<PortId> ports;
    const Actions out = *parse_actions("output(\"out\");");
    for (std::uint32_t number = 1; number <= count; ++number) {
        const std::string name = "p" + std::to_string(number);
        ports.push_back(bench.port(name, PortNumber{number}));
        bench.rule(0, 100, *parse_match("inport == \"" + name + "\""), out);
    }
    bench.port("out", PortNumber{static_cast<std::uint32_t>(count) + 1});
    bench.tables.commit();
    Random random{1};
    for (std::size_t i = 0; i < 4'096; ++i)
        bench.packets.emplace_back(test::udp("10.0.0.1:5 > 10.0.0.2:53").size(60));
    for (std::size_t i = 0; i < bench.packets.size() / burst_max; ++i)
        bench.ingress.push_back(ports[oracle::below(random, count)]);
    bench.report(("ports " + std::to_string(count)).c_str(), bursts);
}

std::string address(std::uint32_t number, std::uint32_t bits) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text += std::to_string(number >> shift & 255) + (shift == 0 ? "/" : ".");
    return text + std::to_string(bits);
}

void l3(std::size_t prefixes, std::size_t bursts, bool scattered) {
    Bench bench;
    const PortId in = bench.port("in", PortNumber{1});
    bench.port("out", PortNumber{2});
    const auto routes =
        scattered ? test::scattered_routes4(prefixes, 3) : test::internet_routes4(prefixes, 1);
    Random random{1};
    for (const auto& route : routes)
        bench.rule(
            0,
            100 + route.length,
            *parse_match("ip4.dst == " + address(route.prefix, route.length)),
            *parse_actions(
                "eth.src = 02:00:00:00:00:01; eth.dst = " + mac(oracle::below(random, 64)) +
                "; ip.ttl--; output(\"out\");"
            )
        );
    bench.tables.commit();
    bench.plan();
    const std::size_t count = std::max<std::size_t>(4'096, prefixes / burst_max * burst_max);
    for (std::size_t i = 0; i < count; ++i) { // as cold as their routes are many
        const auto& route = routes[oracle::below(random, routes.size())];
        const auto host = static_cast<std::uint32_t>(random()) & ~test::masked(~0u, route.length);
        const std::string to = address(route.prefix | host, 32);
        bench.packets.emplace_back(
            test::udp("10.0.0.1:5 > " + to.substr(0, to.find('/')) + ":53").size(60)
        );
    }
    bench.ingress.assign(bench.packets.size() / burst_max, in);
    bench.report(("l3 " + std::to_string(prefixes) + " prefixes").c_str(), bursts);
}

std::string match_text(const bench::Filter& filter) {
    std::string text = "ip4";
    if (filter.src_bits != 0)
        text += " && ip4.src == " + address(filter.src, filter.src_bits);
    if (filter.dst_bits != 0)
        text += " && ip4.dst == " + address(filter.dst, filter.dst_bits);
    const auto port = [](const std::string& name, const std::uint16_t(&range)[2]) {
        return range[0] == 0 && range[1] == 0xffff
                   ? ""
                   : " && " + name + " == " + std::to_string(range[0]) + ".." +
                         std::to_string(range[1]);
    };
    const auto ports = [&](const std::string& proto) {
        return proto + port(proto + ".src", filter.src_port) +
               port(proto + ".dst", filter.dst_port);
    };
    if (filter.any_port())
        return text + (filter.any_proto ? "" : " && ip.proto == " + std::to_string(filter.proto));
    if (filter.any_proto)
        return text + " && (" + ports("tcp") + " || " + ports("udp") + ")";
    return text + " && " + ports(filter.proto == 6 ? "tcp" : "udp");
}

std::string packet_text(const bench::Header& header) {
    const auto host = [](std::uint32_t number) {
        const std::string text = address(number, 32);
        return text.substr(0, text.find('/'));
    };
    return host(header.src) + ":" + std::to_string(header.src_port) + " > " + host(header.dst) +
           ":" + std::to_string(header.dst_port);
}

void rules(const char* path, std::size_t bursts) {
    const auto filters = bench::read_filters(path);
    if (!filters) {
        std::puts(filters.error().what.c_str());
        return;
    }
    Bench bench;
    const PortId in = bench.port("in", PortNumber{1});
    bench.port("out", PortNumber{2});
    const Actions permit = *parse_actions("output(\"out\");"), deny = *parse_actions("drop;");
    for (std::size_t i = 0; i < filters->size(); ++i)
        if (!bench::patterns_of((*filters)[i]).empty())
            bench.rule(
                0,
                static_cast<std::uint32_t>(10 + filters->size() - i),
                *parse_match(match_text((*filters)[i])),
                i % 5 == 0 ? deny : permit
            );
    bench.tables.commit();
    bench.plan();
    for (const TableReport& table : bench.tables.report())
        std::printf(
            "%s: %zu rules, %zu tuples; at most %zu probes, %zu rules compared\n",
            table.engine.c_str(),
            static_cast<std::size_t>(table.rules),
            static_cast<std::size_t>(table.tuples),
            static_cast<std::size_t>(table.probes_max),
            static_cast<std::size_t>(table.entries_max)
        );
    std::mt19937_64 random{1};
    for (std::size_t i = 0; i < 100'000;) {
        const auto header = bench::header_in((*filters)[random() % filters->size()], random);
        if (header.proto != 6 && header.proto != 17)
            continue;
        bench.packets.emplace_back((header.proto == 6 ? test::tcp(packet_text(header))
                                                      : test::udp(packet_text(header)))
                                       .size(60));
        ++i;
    }
    bench.ingress.assign(bench.packets.size() / burst_max, in);
    bench.report(path, bursts);
}

/// Without what this build does not do. ct(next=t) becomes a call of t with ct.est and ct.trk set.
Actions without_unsupported(const Actions& actions) {
    constexpr std::uint64_t established_tracked = 0x22;
    Actions kept;
    for (const Action& action : actions) {
        if (const auto* ct = std::get_if<action::Ct>(&action.of)) {
            if (ct->next) {
                kept.push_back({action::Set{
                    whole(info(FieldId::ct_state)), U128{established_tracked}, {}}});
                kept.push_back({action::Call{*ct->next}});
            }
        } else if (const auto* clone = std::get_if<action::Clone>(&action.of)) {
            kept.push_back({action::Clone{without_unsupported(clone->body)}});
        } else if (const auto* controller = std::get_if<action::Controller>(&action.of)) {
            action::Controller plain = *controller;
            plain.pause = false;
            plain.meter = 0;
            kept.push_back({plain});
        } else if (!std::holds_alternative<action::CtClear>(action.of) && !std::holds_alternative<action::Learn>(action.of) &&
                   !std::holds_alternative<action::Meter>(action.of) && !std::holds_alternative<action::Sample>(action.of) &&
                   !std::holds_alternative<action::SetQueue>(action.of) && !std::holds_alternative<action::Bundle>(action.of)) {
            kept.push_back(action);
        }
    }
    return kept;
}

/// Looks for a packet with a long walk: changes one field at a time and keeps what does not shorten
/// it.
std::pair<FlowKey, std::size_t>
climb(Bench& bench, Random& random, const oracle::Values& values, const Term& near, PortId from) {
    constexpr std::size_t changes = 300;
    const auto fields = all_fields();
    FlowKey best = oracle::random_key(random, values, near);
    std::size_t longest = 0;
    for (std::size_t i = 0; i < changes; ++i) {
        FlowKey key = best;
        for (std::size_t more = 0; more < 1 + i % 3; ++more) {
            const FieldInfo& field = fields[oracle::below(random, fields.size())];
            if (oracle::is_header_field(field.id) && !field.is_view() &&
                field.id != FieldId::shape && key.is(field.requires_shape))
                set(key, field, values.some(random, field), low_bits(field.bits));
        }
        test::OwnedPacket packet{oracle::packet_bytes(key, 20)};
        const std::size_t lookups = bench.lookups_of(packet, from);
        if (lookups >= longest) {
            longest = lookups;
            best = key;
        }
    }
    return {best, longest};
}

void ovn(std::size_t bursts) {
    const std::string text = oracle::recorded_ovn("flows-dump.txt");
    if (text.empty()) {
        std::puts("ovn: the recorded flows are not here");
        return;
    }
    Bench bench;
    std::vector<PortId> ports;
    for (std::uint32_t number = 1; number <= ovn_ports; ++number)
        ports.push_back(bench.port("p" + std::to_string(number), PortNumber{number}));
    bench.tables.set_bridge(
        bench.bridge, {.reserved_multicast = ReservedMulticast::pass, .learning = false}
    );
    const auto groups = *oracle::import_groups(oracle::recorded_ovn("groups.txt"));
    for (const oracle::ImportedGroup& group : groups) {
        GroupSettings settings = group.settings;
        for (BucketSettings& bucket : settings.buckets)
            bucket.actions = without_unsupported(bucket.actions);
        bench.tables.set_group(
            bench.bridge, *bench.tables.group_id(bench.bridge, group.number), settings
        );
    }
    oracle::Values values;
    std::vector<Term> entries;
    const auto flows = *oracle::import_flows(text);
    for (const oracle::ImportedFlow& flow : flows) {
        values.add(flow.match);
        bench.rule(flow.table, flow.priority, flow.match, without_unsupported(flow.actions));
        if (flow.table == 8)
            entries.push_back(flow.match.terms[0]);
    }
    bench.tables.commit();
    bench.plan();

    Random random{7};
    std::vector<std::vector<std::pair<std::size_t, FlowKey>>> found(ovn_ports);
    for (std::size_t i = 0; i < 40 * ovn_ports; ++i) {
        const std::size_t port = i % ovn_ports;
        const auto [key, lookups] = climb(
            bench, random, values, entries[oracle::below(random, entries.size())], ports[port]
        );
        found[port].push_back({lookups, key});
    }
    for (std::size_t port = 0; port < ovn_ports; ++port) {
        std::sort(found[port].begin(), found[port].end(), [](const auto& a, const auto& b) {
            return a.first > b.first;
        });
        if (found[port].front().first < 30) // a port without a way in
            continue;
        bench.ingress.push_back(ports[port]);
        for (std::size_t i = 0; i < burst_max; ++i)
            bench.packets.emplace_back(oracle::packet_bytes(found[port][i].second, 20));
    }
    bench.report("ovn", bursts);
}

} // namespace
} // namespace weft

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const auto number = [&](int at, std::size_t otherwise) {
        return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
    };
    if (what == "l2" || what.empty())
        weft::l2(
            number(2, 1'000), number(3, 20'000), argc > 4 && std::string_view{argv[4]} == "default"
        );
    if (what == "ports")
        weft::ports(number(2, 100), number(3, 20'000));
    if (what == "l3")
        weft::l3(
            number(2, 1'000),
            number(3, 20'000),
            argc > 4 && std::string_view{argv[4]} == "scattered"
        );
    if (what == "rules" && argc > 2)
        weft::rules(argv[2], number(3, 20'000));
    if (what == "ovn" || what.empty())
        weft::ovn(number(2, 500));
    return 0;
}
