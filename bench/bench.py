#!/usr/bin/python3
"""./run bench [NAME] [--json FILE]: answers are checked first, then medians with min and max, and the ratio to the baseline of the same run."""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import packets  # noqa: E402
from systems import Testpmd, Weft, huge_pages_of  # noqa: E402

from weft_client import flow, ops_of, port  # noqa: E402  (systems puts the build's client on the path)


def spread(values):
    return [min(values), statistics.median(values), max(values)]


class Report:
    def __init__(self):
        self.lines = []

    def rate(self, workload, system, setting, mpps, cycles, checked):
        self.lines.append({"workload": workload, "system": system, "setting": setting, "mpps": spread(mpps),
                           "cycles": spread(cycles), "checked": checked})
        print("%-28s %-18s %-14s %7.2f / %6.2f / %6.2f Mpps   %6.0f / %5.0f / %5.0f cycles" % (
            (workload, system, setting) + tuple(spread(mpps)) + tuple(spread(cycles))), flush=True)

    def figure(self, workload, setting, unit, values, checked):
        self.lines.append({"workload": workload, "system": "weft", "setting": setting, unit: spread(values), "checked": checked})
        print("%-28s %-18s %-14s %9.2f / %8.2f / %8.2f %s" % ((workload, "weft", setting) + tuple(spread(values)) + (unit,)), flush=True)

    def ratio(self, workload, words, value):
        self.lines.append({"workload": workload, "ratio": words, "value": value})
        print("%-28s %s: %.2f" % (workload, words, value), flush=True)


def mac_flows(macs):
    return [(+1, flow(0, 100, "eth.dst == " + packets.mac(packets.FIRST_MAC + k), 'output("out");')) for k in range(macs)]


def transactions(client, changes, size=1000):
    """Pipelined, `size` ops each; the last Ack."""
    ids = [client.post("transaction", ops=ops_of(changes[at:at + size])) for at in range(0, len(changes), size)]
    return [client.wait(ident) for ident in ids][-1]


def check_forwarding(folder, macs):
    """Each destination's packet leaves, unchanged and in order; one that no rule names does not."""
    count = 64 if macs >= 64 else macs
    frames = [packets.udp_frame(packets.FIRST_MAC + k * (macs // count), 1, 2, 3, 4) for k in range(count)]
    stranger = packets.udp_frame(packets.FIRST_MAC + macs, 1, 2, 3, 4)
    source, sink = os.path.join(folder, "check-in.pcap"), os.path.join(folder, "check-out.pcap")
    init = os.path.join(folder, "check.jsonl")
    with open(source, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames + [stranger]:
            out.write(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
    with open(init, "w") as out:
        ops = [{"weight": w, "flow": {"table": f.table, "priority": f.priority, "match": f.match, "actions": f.actions}}
               for w, f in mac_flows(macs)]
        for at in range(0, len(ops), 1000):
            out.write(json.dumps({"transaction": {"id": str(at), "ops": ops[at:at + 1000]}}) + "\n")
    from systems import BUILD
    subprocess.run([os.path.join(BUILD, "weftd"), "--socket", os.path.join(folder, "check.sock"), "--workers", "1", "--init", init,
                    "--port", "in=net_pcap0,rx_pcap=%s,tx_pcap=%s.unused" % (source, sink),
                    "--port", "out=net_pcap1,rx_pcap=%s,tx_pcap=%s" % (empty_pcap(folder), sink), "--exit-when-idle"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(sink, "rb") as got:
        data, at, seen = got.read(), 24, []
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        seen.append(data[at + 16:at + 16 + length])
        at += 16 + length
    if seen != frames:
        raise SystemExit("forwarding is wrong: %d of %d packets came out as they should" % (len(seen), len(frames)))
    return True


def empty_pcap(folder):
    path = os.path.join(folder, "empty.pcap")
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    return path


def forward(report, folder, options, macs=1000, flows=100_000):
    """Port to port through one exact-match table, against testpmd on the same ports."""
    workload = "forward %d MACs %dk flows" % (macs, flows // 1000)
    checked = check_forwarding(folder, macs)
    source = packets.l2(os.path.join(folder, "l2.pcap"), flows, macs)
    vdevs = ["net_pcap0,rx_pcap=%s,infinite_rx=1" % source, "net_null0,no-rx=1"]
    rates = {"weft": [], "macswap": [], "io": []}

    def measure(name, system):
        try:
            for _ in range(2):
                system.window(1)  # warm-up
            rates[name] += [system.window(options.seconds) for _ in range(options.windows)]
        finally:
            system.close()

    for _ in range(options.rounds):
        weft = Weft(folder, [("in", vdevs[0]), ("out", vdevs[1])])
        transactions(weft.client, mac_flows(macs))
        measure("weft", weft)
        for mode in ("macswap", "io"):
            measure(mode, Testpmd(mode, vdevs))
    if any(dropped for _, _, dropped in rates["weft"][1:]):
        checked = False
    for name, label in (("weft", "weft"), ("macswap", "testpmd macswap"), ("io", "testpmd io")):
        report.rate(workload, label, "default", [r[0] for r in rates[name]], [r[1] for r in rates[name]], checked)
    medians = {name: statistics.median(r[1] for r in values) for name, values in rates.items()}
    report.ratio(workload, "cycles, weft over testpmd macswap (at most 1.5)", medians["weft"] / medians["macswap"])


def load(report, folder, options, rows=100_000):
    """Flow deltas over the socket in transactions of 1,000, answered and visible to the worker."""
    seconds = []
    for _ in range(options.rounds):
        weft = Weft(folder, [("in", "net_null0,no-rx=1"), ("out", "net_null1,no-rx=1")])
        try:
            frames = [ops_of(mac_flows(rows)[at:at + 1000]) for at in range(0, rows, 1000)]
            began = time.monotonic()
            ids = [weft.client.post("transaction", ops=ops) for ops in frames]
            for ident in ids:
                weft.client.wait(ident)
            weft.client.barrier()
            seconds.append(time.monotonic() - began)
            (_, (count, _)), = weft.client.digest(relation="flow").items()
            checked = count == rows
        finally:
            weft.close()
    report.figure("load %dk flows" % (rows // 1000), "binary", "seconds", seconds, checked)


def latency(report, folder, options, rows=100_000):
    """One delta, from the socket until every worker runs it, with `rows` others installed."""
    weft = Weft(folder, [("in", "net_null0,no-rx=1"), ("out", "net_null1,no-rx=1")])
    try:
        transactions(weft.client, mac_flows(rows))
        took = []
        for i in range(2_000):
            row = flow(0, 200, "eth.dst == " + packets.mac(packets.FIRST_MAC + i), 'output("out");')
            began = time.perf_counter()
            ack = weft.client.transaction([(+1 if i % 2 == 0 else -1), row] if i % 2 == 0 else
                                          [-1, flow(0, 200, "eth.dst == " + packets.mac(packets.FIRST_MAC + i - 1), 'output("out");')])
            done = weft.client.barrier(ack.generation)
            took.append((time.perf_counter() - began) * 1e6)
            assert not done.timeout and ack.added + ack.removed == 1
        took.sort()
        report.figure("one delta, %dk installed" % (rows // 1000), "to barrier", "us", took, True)
        report.ratio("one delta, %dk installed" % (rows // 1000), "p99 in us", took[len(took) * 99 // 100])
    finally:
        weft.close()


WORKLOADS = {"forward": forward, "load": load, "latency": latency}


def main():
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("name", nargs="?", choices=list(WORKLOADS), help="one workload; without it, all")
    parser.add_argument("--json", metavar="FILE", help="also one JSON object a line into FILE")
    parser.add_argument("--vs", choices=["ovs"], help="the same work on OVS-DPDK in the same run")
    parser.add_argument("--seconds", type=float, default=2, help="of a window")
    parser.add_argument("--windows", type=int, default=3, help="of a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each system, in turn")
    options = parser.parse_args()
    if options.vs:
        raise SystemExit("--vs ovs: the comparison with OVS-DPDK comes with the compiled tables; testpmd on the same ports is the baseline here")
    report = Report()
    print("%-28s %-18s %-14s %s" % ("workload", "system", "setting", "min / median / max"))
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder, huge_pages_of(1200):
        for name in [options.name] if options.name else WORKLOADS:
            WORKLOADS[name](report, folder, options)
    if options.json:
        with open(options.json, "w") as out:
            for line in report.lines:
                out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
