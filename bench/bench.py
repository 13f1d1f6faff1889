#!/usr/bin/python3
"""./run bench: answers are checked first, then medians with minimum and maximum, and ratios to what ran in turn with weft. docs/benchmarks.md has more."""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import changes  # noqa: E402
import classifier  # noqa: E402
import forwarding  # noqa: E402
import ovs  # noqa: E402
import report as report_of_runs  # noqa: E402
import rfc2544  # noqa: E402
import rows  # noqa: E402
from figures import Report  # noqa: E402
from places import ROOT  # noqa: E402
from systems import CONTROL_CORE, huge_pages_of  # noqa: E402

def _forwarding(name):
    return lambda report, folder, options: forwarding.run(report, folder, options, name, forwarding.WORKLOADS[name])


NAMES = {name: _forwarding(name) for name in forwarding.WORKLOADS if not name.startswith("tse")}
NAMES |= {"tse": forwarding.tse, "classbench": forwarding.classbench, "classifier": classifier.classifier, "flows": forwarding.over_flows, "rules": forwarding.over_rules,
          "first-packet": forwarding.first_packets, "updates": changes.updates, "load": changes.load, "latency": changes.latency, "sustained": changes.sustained,
          "kinds": changes.kinds, "rfc2544": rfc2544.rfc2544,
          "add-port": rows.add_port, "delta-cost": rows.delta_cost, "relations": rows.relations, "cas": rows.compare_and_swap, "churn": rows.churn}
NOT_BY_DEFAULT = ("classbench", "classifier", "forward")
MANY_PACKETS = {"l2-10k", "l3-1m", "flows"}  # a million of them lie in memory


def arguments():
    abouts = {name: forwarding.WORKLOADS[name].about if name in forwarding.WORKLOADS else function.__doc__ for name, function in NAMES.items()}
    parser = argparse.ArgumentParser(prog="./run bench", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="workloads:\n" + "\n".join("  %-12s %s" % item for item in abouts.items()))
    parser.add_argument("names", nargs="*", metavar="NAME", 
                        help="workloads; without any, all but classbench, classifier and forward. `report FILE...` makes docs/benchmarks.md of JSON files")
    parser.add_argument("--json", metavar="FILE", help="also one JSON object a line, appended to FILE")
    parser.add_argument("--vs", dest="against", metavar="ovs|testpmd|DIR", help="besides testpmd also OVS-DPDK, or the weftd of another build folder")
    parser.add_argument("--ovs-settings", nargs="+", default=[], choices=list(ovs.SETTINGS), metavar="SETTING", help="of OVS: some of " + ", ".join(map(repr, ovs.SETTINGS)) + "; else all that may be best")
    parser.add_argument("--rules", nargs="+", default=[], metavar="FILE", help="filter sets for classbench and classifier, .xz too")
    parser.add_argument("--seconds", type=float, default=2, help="of a window (2)")
    parser.add_argument("--windows", type=int, default=3, help="of a run (3)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each system, in turn (3)")
    parser.add_argument("--pairs", type=int, default=0, metavar="N", help="N pairs of runs of weft and its first rival, and the ratio with a 95 %% interval")
    options = parser.parse_args()
    if options.names[:1] == ["report"]:
        if len(options.names) == 1:
            parser.error("report needs the JSON files of runs")
        return options
    for name in options.names:
        if name not in NAMES:
            parser.error("no workload %r: %s" % (name, ", ".join(NAMES)))
    if 0 < options.pairs < 6:
        parser.error("--pairs %d: an interval needs 6 pairs or more, a difference under 15 %% some 30" % options.pairs)
    if (os.cpu_count() or 1) < 2:
        parser.error("needs two cores: one for the switch that is measured, one for everything else")
    for name in {"classbench", "classifier"} & set(options.names):
        if not options.rules:
            parser.error(name + " needs --rules FILE...")
    if options.against not in (None, "ovs", "testpmd") and not os.access(os.path.join(options.against, "weftd"), os.X_OK):
        parser.error("--vs %s: neither ovs nor testpmd nor a folder with a weftd" % options.against)
    return options


def about(options):
    """What the figures belong to."""
    def said(*command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return done.stdout.strip() if done.returncode == 0 else ""
    with open("/proc/cpuinfo") as cpuinfo:
        cpu = re.search(r"model name\s*:\s*(.*)", cpuinfo.read()).group(1)
    return {"commit": said("git", "describe", "--always", "--dirty"), "cpu": "%s, %d cores" % (cpu, os.cpu_count()), "kernel": os.uname().release,
            "dpdk": said("pkg-config", "--modversion", "libdpdk"), "ovs": ovs.version() if options.against == "ovs" else "",
            "date": time.strftime("%Y-%m-%d"), "command": "./run bench " + " ".join(sys.argv[1:])}


def main():
    options = arguments()
    if options.names[:1] == ["report"]:
        return report_of_runs.write(options.names[1:])
    if options.against == "ovs" and not ovs.installed():
        subprocess.run([os.path.join(ROOT, "tools", "dependencies.sh"), "ovs"], check=True)
    if options.against == "ovs" and os.geteuid() != 0:
        raise SystemExit("--vs ovs: OVS-DPDK needs root for its huge pages")
    os.sched_setaffinity(0, {CONTROL_CORE})  # the other core is for what is measured
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    names = options.names or [name for name in NAMES if name not in NOT_BY_DEFAULT]
    report = Report(options.json, about(options))
    report.head()
    megabytes = min(8192 if MANY_PACKETS & set(names) else 3072, available_megabytes() // 2)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder, huge_pages_of(megabytes):
        for name in names:
            NAMES[name](report, folder, options)


def available_megabytes():
    with open("/proc/meminfo") as meminfo:
        return int(re.search(r"MemAvailable:\s+(\d+)", meminfo.read()).group(1)) // 1024


if __name__ == "__main__":
    main()
