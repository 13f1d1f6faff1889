"""./run bench report FILE...: tables and plots of docs/benchmarks.md from the JSON lines of runs. The newest line of a measurement wins; what is
written by hand between the made parts stays."""
import json
import os

import plot
from figures import LATENCIES
from ovs import SETTLED_UPCALLS_PER_S
from places import ROOT

DOCUMENT = os.path.join(ROOT, "docs", "benchmarks.md")
PLOTS = os.path.join(ROOT, "docs", "plots")

FORWARDING = (  # workload, what it is, what is to be reached
    ("l2-1", "L2, 1 MAC, 1 flow", "2 x OVS"),
    ("l2-1k", "L2, 1,000 MACs, 100k flows", "5 x OVS"),
    ("l2-10k", "L2, 10,000 MACs, 1M flows", "8 x OVS"),
    ("l3-1k", "L3, 1,000 prefixes, 100k flows", "7 x OVS"),
    ("l3-1m", "L3, 1M routes, 1M flows", "8 Mpps"),
    ("acl-1k", "ACL, 1,000 rules, 100k flows", "11.4 Mpps"),
    ("acl-10k", "ACL, 10,000 rules, 100k flows", "40 x OVS, 4.8 Mpps"),
    ("cb-acl1_100k", "ClassBench acl1 100k, 100k flows", "4 Mpps"),
    ("cb-fw1_100k", "ClassBench fw1 100k, 100k flows", "4 Mpps"),
    ("cb-ipc1_100k", "ClassBench ipc1 100k, 100k flows", "4 Mpps"),
    ("tse-quiet", "3 rules, 100k flows", ""),
    ("tse-attack", "3 rules, 4.1 % of packets attack", "1 % beyond the attack's share"),
)


class Results:
    def __init__(self, paths):
        self.abouts, self.rates, self.figures, self.ratios, self.notes = [], {}, {}, {}, {}
        for path in paths:
            with open(path) as file:
                for line in file:
                    self._take(json.loads(line))

    def _take(self, line):
        key = (line.get("workload"), line.get("system"), line.get("setting"), line.get("x"))
        if "about" in line:
            self.abouts.append(line["about"])
        elif "mpps" in line:
            self.rates[key] = line
        elif "ratio" in line:
            self.ratios[line["workload"], line["ratio"]] = line
        elif "note" in line and "offered_mpps" in line:
            self.notes[key] = line
        elif "note" not in line:
            self.figures[key] = line

    def of(self, workload, system):
        """Setting to line."""
        return {setting: line for (w, s, setting, x), line in self.rates.items() if (w, s, x) == (workload, system, None)}

    def sweep(self, workload, system, setting):
        return [(x, line["cycles"]) for (w, s, t, x), line in self.rates.items() if (w, s, t) == (workload, system, setting) and x is not None]


def mpps(line):
    return "" if line is None else "%.3g" % line["mpps"][1]


def cycles(line):
    return "" if line is None else "%.0f" % line["cycles"][1]


def _table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(row) + " |" for row in rows])


def _settled(line):
    return line.get("notes", {}).get("upcalls_per_s", 0) <= SETTLED_UPCALLS_PER_S


def _named(setting, line):
    return "%s (%s%s)" % (mpps(line), setting, "" if _settled(line) else ", not settled: %.0f upcalls/s" % line["notes"]["upcalls_per_s"])


def overview(results):
    rows = []
    for name, words, goal in FORWARDING:
        weft, rivals, bare = results.of(name, "weft").get("default"), results.of(name, "ovs"), results.of(name, "testpmd")
        if weft is None:
            continue
        best = max(rivals, key=lambda setting: rivals[setting]["mpps"][1]) if rivals else None
        in_turn = [line["value"] for (workload, words), line in results.ratios.items() if workload == name and words.startswith("Mpps, weft over OVS")]
        ratio = "%.3g" % in_turn[-1] if in_turn and best and _settled(rivals[best]) else ""
        rows.append(["`%s`" % name, words, "**%s**" % mpps(weft), cycles(weft), _named(best, rivals[best]) if best else "not usable" if
                     name in ("l3-1m",) or name.startswith("cb-") else "", cycles(rivals[best]) if best else "", "**%s**" % ratio if ratio else "",
                     cycles(bare.get("io")), cycles(bare.get("macswap")), goal])
    return _table(["workload", "what", "weft Mpps", "cycles", "OVS at its best, Mpps", "cycles", "weft / OVS", "testpmd io, cycles", "macswap", "to reach"], rows)


def details(results):
    rows = []
    for (workload, system, setting, x), line in results.rates.items():
        hits = line.get("notes", {})
        rows.append(["`%s`" % workload + (" %s" % format(x, ",") if x is not None else ""), system, setting, " / ".join("%.3g" % v for v in line["mpps"]),
                     " / ".join("%.0f" % v for v in line["cycles"]), "%.0f" % (line["cycles"][1] * (1 - line["waited"])) if "waited" in line else "",
                     "yes" if line["checked"] else "no", "%.1f %%" % (line["waited"] * 100) if "waited" in line else "not taken",
                     "EMC %.0f %%, SMC %.0f %%, megaflows %.0f %% with %.3g lookups, %.0f upcalls/s" % (
                         hits["emc"] * 100, hits["smc"] * 100, hits["megaflow"] * 100, hits["lookups"], hits["upcalls_per_s"]) if hits else ""])
    return _table(["workload", "system", "setting", "Mpps min / median / max", "cycles", "on its core", "answers checked", "without its core", "hits in OVS's caches"], rows)


THROUGH = {"rfc2544": "null devices", "rfc2544-vhost": "virtio to vhost"}


def open_loop(results):
    rows = []
    for (workload, system, setting, x), line in results.figures.items():
        if workload in THROUGH:
            rows.append([THROUGH[workload], system, setting, "%.3g" % line["Mpps"][1], "", "", "", "", "", ""])
    for (workload, *_), line in results.notes.items():
        us = line["latency_us"]
        reached = " (reached %s)" % format(line["changes_per_s"], ",") if "changes_per_s" in line else ""
        rows.append([THROUGH[workload], line["system"], line["setting"] + reached, "%.3g" % line["offered_mpps"], "%d of %d" % (line["lost"], line["arrived"]) + (", all but %d by pauses" % (line["lost"] - line["lost_by_pauses"]) if "lost_by_pauses" in line else ""),
                     *("%.3g" % us[key] if key in us else "" for key in ("p50", "p99", "p99.9")), "%.0f" % line["pause_max_us"], "%.1f %%" % (line["waited"] * 100)])
    rows.sort(key=lambda row: (list(THROUGH.values()).index(row[0]), row[1] != "weft"))
    return _table(["through", "system", "load", "Mpps", "lost", "p50 us", "p99", "p99.9", "longest pause us", "without its core"], rows)


def control(results):
    rows = []
    for (workload, system, setting, x), line in results.figures.items():
        unit = next((u for u in ("seconds", "ms", "us", "deltas/s", "bytes") if u in line), None)
        if unit:
            words = LATENCIES[system] if workload == "latency" else ""
            rows.append([workload, setting + words, " / ".join("%.4g" % v for v in line[unit]) + " " + unit, "".join("%.4g %s" % (line["p99_" + u], u) for u in ("us", "ms") if "p99_" + u in line)])
    return _table(["what", "setting", "min / median / max", "p99"], rows)


def ratios(results):
    rows = [["`%s`" % workload, words, "%.3g" % line["value"], " to ".join("%.4g" % v for v in line.get("interval", []))]
            for (workload, words), line in results.ratios.items()]
    return _table(["workload", "ratio", "value", "95 % interval"], rows)


def machine(results):
    if not results.abouts:
        return ""
    keys = ("cpu", "kernel", "dpdk", "ovs", "commit", "date")
    newest = {key: next((about[key] for about in reversed(results.abouts) if about.get(key)), "") for key in keys}
    commits = sorted({about["commit"] for about in results.abouts})
    return "%s; Linux %s; DPDK %s; OVS %s; last run %s; commits %s." % (newest["cpu"], newest["kernel"], newest["dpdk"], newest["ovs"] or "not measured",
                                                                       newest["date"], ", ".join(commits))


def plots(results):
    os.makedirs(PLOTS, exist_ok=True)
    made = []
    systems = (("weft", "default", "weft"), ("ovs", "default", "OVS"), ("ovs", "EMC off", "OVS, EMC off"), ("ovs", "SMC on", "OVS, SMC on"), ("testpmd", "macswap", "testpmd macswap"))
    for workload, title, x_title in (("flows", "L2, 1,000 MACs: cycles per packet over flows", "flows"),
                                     ("rules", "ACL, 100,000 flows: cycles per packet over rules", "rules")):
        series = {words: results.sweep(workload, system, setting) for system, setting, words in systems}
        if any(series.values()):
            plot.lines(os.path.join(PLOTS, workload + ".svg"), title, x_title, "cycles per packet", series)
            made.append((workload, title))
    took, told, alone = ([line for (workload, whose, *_), line in results.figures.items() if (workload, whose) == ("latency", system)] for system in LATENCIES)
    if took:
        plot.lines(os.path.join(PLOTS, "latency.svg"), "One change until every worker runs it, over table size", "rows in the table", "microseconds",
                   {"median, min to max": [(line["rows"], line["us"][1]) for line in took], "p99": [(line["rows"], line["p99_us"]) for line in took],
                    "p99 until the client is told": [(line["rows"], line["p99_us"]) for line in told],
                    "p99 of the exchange alone": [(line["rows"], line["p99_us"]) for line in alone]})
        made.append(("latency", "Update latency over table size"))
    added = [line for (workload, *_), line in results.figures.items() if workload == "add-port"]
    if added:
        plot.lines(os.path.join(PLOTS, "add-port.svg"), "One logical port more, until every worker runs it", "logical ports", "milliseconds",
                   {"median": [(line["ports"], line["ms"][1]) for line in added]})
        made.append(("add-port", "Time to add a logical port over ports"))
    return "\n\n".join("![%s](plots/%s.svg)" % (title, name) for name, title in made)


PARTS = {"machine": machine, "overview": overview, "plots": plots, "open loop": open_loop, "control": control, "ratios": ratios, "details": details}


def write(paths):
    results = Results(paths)
    with open(DOCUMENT) as file:
        text = file.read()
    for name, make in PARTS.items():
        begin, end = "<!-- made: %s -->" % name, "<!-- end -->"
        at = text.index(begin) + len(begin)
        text = text[:at] + "\n" + make(results) + "\n" + text[text.index(end, at):]
    with open(DOCUMENT, "w") as file:
        file.write(text)
    print("%s from %d lines of %s" % (os.path.relpath(DOCUMENT, ROOT), len(results.rates) + len(results.figures) + len(results.ratios), ", ".join(paths)))
