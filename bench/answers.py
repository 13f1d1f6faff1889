"""Before anything is timed: the same packets come out of the same ports of every system, byte for byte; of weft also in order."""
import os
import time

import numpy

import packets
from ovs import Ovs
from rules import first_match
from systems import Weft

OUTPUTS = 4  # while answers are compared rules leave at four ports in turn, so that a wrong rule shows


def sample_of(policy, count_max=4096, work_max=400_000_000):
    """Packets of the workload, spread over it, and some that were drawn without looking at the rules."""
    count = max(64, min(count_max, work_max // len(policy.table), len(policy.packets)))
    chosen = policy.packets[numpy.linspace(0, len(policy.packets) - 1, count).astype(int)]
    generator = numpy.random.default_rng(99)
    strangers = chosen[generator.integers(0, count, max(1, count // 16))].copy()
    for field, high in (("mac", 1 << 47), ("src", 1 << 32), ("dst", 1 << 32)):
        strangers[field] = generator.integers(0, high, len(strangers), dtype="u8") & ~numpy.uint64(1 << 40 if field == "mac" else 0)
    return numpy.concatenate([chosen, strangers])


def expected(policy, sample):
    """The frames of each output, by the linear reference."""
    found = first_match(policy.table, sample)
    frames = packets.frames_of(sample)
    if policy.routes:
        hops = policy.hop_macs()[policy.table["hop"][numpy.maximum(found, 0)]]
        frames = packets.routed(frames, hops, policy.router_mac)
    leaves = (found >= 0) & policy.table["permit"][numpy.maximum(found, 0)]
    return [[frame.tobytes() for frame in frames[leaves & (found % OUTPUTS == k)]] for k in range(OUTPUTS)]


def _through_weft(folder, policy, source, count, empty):
    sinks = [os.path.join(folder, "weft-out%d.pcap" % k) for k in range(OUTPUTS)]
    ports = [("in", "net_pcap_in,rx_pcap=" + source)]
    ports += [("out%d" % k, "net_pcap_out%d,rx_pcap=%s,tx_pcap=%s" % (k, empty, sinks[k])) for k in range(OUTPUTS)]
    weft = Weft(folder, ports, options=["in:hold"])
    try:
        weft.load(policy, ["out%d" % k for k in range(OUTPUTS)])
        weft.client.release("in")
        _until(lambda: sum(w["sent"] + w["dropped"] for w in weft.workers()) >= count, "weft")
    finally:
        weft.close()
    return sinks


def _through_ovs(folder, policy, sample, empty):
    # A port is polled some microseconds before its packets are looked up: what comes first is of no protocol, and no rule's.
    first = numpy.zeros((20_000, 60), "u1")
    first[:, 12:14] = 0x88, 0xB5
    source = packets.write_pcap(os.path.join(folder, "check-ovs.pcap"), numpy.concatenate([first, packets.frames_of(sample)]))
    count = len(first) + len(sample)
    sinks = [os.path.join(folder, "ovs-out%d.pcap" % k) for k in range(OUTPUTS)]
    ovs = Ovs(folder, ["net_pcap_in,rx_pcap=" + source], ["net_pcap_out%d,rx_pcap=%s,tx_pcap=%s" % (k, empty, sinks[k]) for k in range(OUTPUTS)])
    try:
        ovs.load(policy, OUTPUTS)
        ovs.begin()
        _until(lambda: ovs.statistics()["rx"] >= count, "OVS")
        ovs.drop_outputs()
    finally:
        ovs.close()
    return sinks


def _until(done, who, patience_s=120):
    end = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > end:
            raise SystemExit("%s did not take all packets of the comparison within %d s" % (who, patience_s))
        time.sleep(0.05)


def _hold_against(wanted, sinks, who, ordered=True):
    for k, (frames, sink) in enumerate(zip(wanted, sinks)):
        seen = packets.read_pcap(sink)
        if not ordered:
            frames, seen = sorted(frames), sorted(seen)
        if seen == frames:
            continue
        first = next((i for i, (a, b) in enumerate(zip(seen, frames)) if a != b), min(len(seen), len(frames)))
        raise SystemExit("%s is wrong at output %d: %d packets instead of %d, the first difference is packet %d:\n  is     %s\n  should %s" % (
            who, k, len(seen), len(frames), first, seen[first].hex() if first < len(seen) else "nothing", frames[first].hex() if first < len(frames) else "nothing"))


def compare(folder, policy, with_ovs=False):
    """Ends the run with a sentence where an answer is wrong; how many packets were compared otherwise."""
    sample = sample_of(policy)
    wanted = expected(policy, sample)
    source = packets.write_pcap(os.path.join(folder, "check.pcap"), packets.frames_of(sample))
    empty = packets.write_pcap(os.path.join(folder, "empty.pcap"), packets.frames_of(sample[:0]))
    _hold_against(wanted, _through_weft(folder, policy, source, len(sample), empty), "weft")
    if with_ovs:
        # It sends a burst flow by flow.
        _hold_against(wanted, _through_ovs(folder, policy, sample, empty), "OVS", ordered=False)
    return len(sample)
