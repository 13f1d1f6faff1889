"""How fast: one worker, sources that never idle, an output that costs nothing; the same packets, ports and rules through each system in turn."""
import contextlib
import dataclasses
import os
import signal
import statistics
import time
from typing import Callable

import numpy

import answers
import ovs
import packets
import policies
from figures import median_ratio, paired_ratio
from systems import Testpmd, Weft

FILE_PACKETS = 250_000  # OVS keeps a source's whole file in a pool of 262,144 buffers


@dataclasses.dataclass
class Workload:
    policy: Callable[[], policies.Policy]
    about: str
    ovs: tuple = ovs.SHORT          # settings
    ovs_warm_s: int = 25
    without_ovs: str = ""           # why it is not measured
    testpmd: tuple = ("io", "macswap")


def _l2(macs, flows):
    return lambda: policies.l2(macs, flows)


WORKLOADS = {
    "forward": Workload(_l2(1_000, 100_000), "the same as l2-1k, for a first look"),
    "l2-1": Workload(_l2(1, 1), "one MAC, one flow"),
    "l2-1k": Workload(_l2(1_000, 100_000), "1,000 MACs, 100,000 flows"),
    "l2-10k": Workload(_l2(10_000, 1_000_000), "10,000 MACs, 1,000,000 flows"),
    "l3-1k": Workload(lambda: policies.l3(1_000, 100_000, policies.ENTERPRISE), "1,000 prefixes, 100,000 flows"),
    "l3-1m": Workload(lambda: policies.l3(1_000_000, 1_000_000, policies.INTERNET), "1,000,000 routes with the Internet's lengths, 1,000,000 flows",
                      without_ovs="a million destinations are a million cached flows, where OVS keeps 200,000: not usable"),
    "acl-1k": Workload(lambda: policies.acl(1_000, 100_000), "1,000 rules of 60 shapes, 100,000 flows", ovs=ovs.LONG, ovs_warm_s=90),
    "acl-10k": Workload(lambda: policies.acl(10_000, 100_000), "10,000 rules of 120 shapes, 100,000 flows", ovs=ovs.LONG, ovs_warm_s=150),
    "tse-quiet": Workload(lambda: policies.tse(False), "three rules, 100,000 flows, nobody attacks", ovs=ovs.SHORT, testpmd=("io",)),
    "tse-attack": Workload(lambda: policies.tse(True), "the same, 4.1 % of the packets attack", ovs=ovs.SHORT + ("EMC off, idle 10 min",), ovs_warm_s=120,
                           testpmd=("io",)),
}


@dataclasses.dataclass(eq=False)
class Contender:
    system: str
    setting: str
    start: Callable  # gives a switch with its rules and its sources running


def sources(folder, name, policy):
    """Device arguments of the inputs: several where one cannot hold the packets."""
    parts = max(1, -(-len(policy.packets) // FILE_PACKETS))
    devices = []
    for i, part in enumerate(numpy.array_split(policy.packets, parts)):
        path = packets.write_pcap(os.path.join(folder, "%s-%d.pcap" % (name, i)), packets.frames_of(part))
        devices.append("net_pcap_in%d,rx_pcap=%s,infinite_rx=1" % (i, path))
    return devices


SINK = "net_null_out,no-rx=1"


def start_weft(folder, policy, devices, **more):
    weft = Weft(folder, [("in%d" % i, device) for i, device in enumerate(devices)] + [("out", SINK)],
                options=["in%d:hold" % i for i in range(len(devices))], **more)
    weft.load(policy, ["out"])
    for i in range(len(devices)):
        weft.client.release("in%d" % i)
    return weft


def start_ovs(folder, policy, devices, setting, warm_s):
    switch = ovs.Ovs(folder, devices, [SINK], setting, warm_s)
    try:
        switch.load(policy, 1)
        switch.begin()
    except BaseException:
        switch.close()
        raise
    return switch


def contenders(folder, workload, policy, devices, options):
    found = [Contender("weft", "default", lambda: start_weft(folder, policy, devices))]
    if options.against == "ovs" and not workload.without_ovs:
        found += [Contender("ovs", setting, lambda setting=setting: start_ovs(folder, policy, devices, setting, workload.ovs_warm_s))
                  for setting in options.ovs_settings or workload.ovs]
    elif options.against not in (None, "ovs", "testpmd"):
        found.append(Contender("weft", options.against, lambda: start_weft(folder, policy, devices, build=options.against)))
    found += [Contender("testpmd", mode, lambda mode=mode: Testpmd(mode, devices + [SINK], folder)) for mode in workload.testpmd]
    return found


def measured(contender, options):
    """One run of one system: fresh, warm, then window by window."""
    system = contender.start()
    try:
        system.warm()
        return [system.window(options.seconds) for _ in range(options.windows)]
    finally:
        system.close()


TURNS, TURN_S = 9, 0.3


@contextlib.contextmanager
def standing(*two):
    """Both started and warm; gives a function that asks each for a window, one after the other: a machine that is now fast, now slow is so for both.
    Who is not asked is stopped."""
    running = []
    try:
        for contender in two:
            for other in running:
                other.process.send_signal(signal.SIGSTOP)
            running.append(contender.start())
            running[-1].warm()

        def turn(seconds):
            seen = []
            for system, other in zip(running, reversed(running)):
                other.process.send_signal(signal.SIGSTOP)
                system.process.send_signal(signal.SIGCONT)
                time.sleep(0.05)  # the burst that was stopped in is over
                seen.append(system.window(seconds))
            return seen
        yield turn
    finally:
        for system in running:
            system.process.send_signal(signal.SIGCONT)
            system.close()


TURNS, TURN_S = 9, 0.3


def measured_in_turn(*two):
    """The median cycles of both."""
    with standing(*two) as turn:
        return [statistics.median(window.cycles for window in windows) for windows in zip(*(turn(TURN_S) for _ in range(TURNS)))]


def compare(report, name, found, options, checked, **more):
    """All contenders in turn, `rounds` times; the medians' ratios to the first. `more` goes into the JSON lines."""
    windows = {(c.system, c.setting): [] for c in found}
    for _ in range(options.rounds):
        for contender in found:
            windows[contender.system, contender.setting] += measured(contender, options)
    for (system, setting), seen in windows.items():
        if lost := sum(w.lost for w in seen):
            report.note(name, "%s lost %d packets that no rule drops" % (system, lost))
        report.rate(name, system, setting, seen, checked and not lost, **_notes(seen), **more)
        if (upcalls := seen[-1].notes.get("upcalls_per_s", 0)) > ovs.SETTLED_UPCALLS_PER_S:
            report.note(name, "OVS (%s) did not settle: %.0f upcalls/s to the end" % (setting, upcalls))
    if "x" in more:
        return
    medians = {key: statistics.median(w.mpps for w in seen) for key, seen in windows.items()}
    weft = medians["weft", "default"]
    if rivals := {key: mpps for key, mpps in medians.items() if key[0] == "ovs"}:
        best = max(rivals, key=rivals.get)
        report.ratio(name, "Mpps, weft over OVS at its best (%s)" % best[1], weft / rivals[best])
    cycles = {key: statistics.median(w.cycles for w in seen) for key, seen in windows.items()}
    for mode in ("macswap", "io"):
        if ("testpmd", mode) in cycles:
            report.ratio(name, "cycles, weft over testpmd " + mode, cycles["weft", "default"] / cycles["testpmd", mode])


def _notes(seen):
    notes = seen[len(seen) // 2].notes
    return {"notes": {key: round(value, 3) for key, value in notes.items()}} if notes else {}


def compare_in_pairs(report, name, first, second, options, count):
    """For differences that two medians do not show: fresh runs of both, next to each other, `count` times."""
    pairs = []
    for i in range(count):
        both = (first, second) if i % 2 == 0 else (second, first)
        seen = dict(zip(map(id, both), measured_in_turn(*both)))
        pairs.append((seen[id(first)], seen[id(second)]))
        report.record(workload=name, pair=i, cycles=[round(c, 1) for c in pairs[-1]])
    value, low, high = paired_ratio(pairs)
    words = "cycles, %s (%s) over %s (%s), %d pairs" % (first.system, first.setting, second.system, second.setting, len(pairs))
    report.ratio(name, words, value, (low, high))


def compare_with_ovs(report, name, weft, rivals, options, **more):
    """OVS takes its time to know the traffic: one start of it for each of its settings, pairs of windows with weft in turn. Its best one is told."""
    found = {}
    for rival in rivals:
        with standing(weft, rival) as turn:
            found[rival] = [turn(TURN_S) for _ in range(options.pairs)]
        theirs = [their for _, their in found[rival]]
        report.rate(name, rival.system, rival.setting, theirs, True, **_notes(theirs), **more)
    best = max(rivals, key=lambda rival: statistics.median(their.mpps for _, their in found[rival]))
    report.rate(name, weft.system, weft.setting, [our for our, _ in found[best]], True, **more)
    value, low, high = median_ratio([(our.mpps, their.mpps) for our, their in found[best]])
    at = " at %s" % format(more["x"], ",") if "x" in more else ""
    report.ratio(name, "Mpps%s, weft over OVS at its best (%s), %d pairs" % (at, best.setting, options.pairs), value, (low, high))


def rival_of(found, against):
    """Whom pairs are run against: another build, or testpmd, there the one that reads and writes each packet."""
    system = "testpmd" if against in (None, "testpmd") else "weft"
    rivals = [c for c in found[1:] if c.system == system]
    return next((c for c in rivals if c.setting == "macswap"), rivals[0] if rivals else None)


def run(report, folder, options, name, workload):
    policy = workload.policy()
    count = answers.compare(folder, policy, options.against == "ovs" and not workload.without_ovs)
    systems = "weft, OVS and the linear reference" if options.against == "ovs" and not workload.without_ovs else "weft and the linear reference"
    report.note(name, "%s: %s send the same %d packets out of the same ports" % (workload.about, systems, count))
    if options.against == "ovs" and workload.without_ovs:
        report.note(name, "OVS: " + workload.without_ovs)
    devices = sources(folder, name, policy)
    found = contenders(folder, workload, policy, devices, options)
    if options.pairs and options.against == "ovs":
        if rivals := [c for c in found if c.system == "ovs"]:
            compare_with_ovs(report, name, found[0], rivals, options)
        return
    if options.pairs:
        if rival := rival_of(found, options.against):
            compare_in_pairs(report, name, found[0], rival, options, options.pairs)
        return
    compare(report, name, found, options, True)


def classbench(report, folder, options):
    """Filter sets in ClassBench's format, given by --rules FILE...: 100,000 flows drawn over each"""
    for path in options.rules:
        name = os.path.basename(path).removesuffix(".xz").removesuffix(".txt")
        policy = policies.classbench(path, 100_000)
        big = len(policy.table) > ovs.PRIORITIES
        workload = Workload(lambda policy=policy: policy, "%d filters written, %d installed, 100,000 flows" % (policy.written, len(policy.table)),
                            without_ovs="more rules than OpenFlow has priorities: not usable" if big else "", ovs_warm_s=60, testpmd=("io",))
        run(report, folder, options, "cb-" + name, workload)


def tse(report, folder, options):
    """Tuple-space explosion, 4.1 % of the packets attack: what others lose beyond the attack's share"""
    if not options.pairs:
        for name in ("tse-quiet", "tse-attack"):
            run(report, folder, options, name, WORKLOADS[name])
    turns = options.pairs or 500
    seen = {name: list(cycles) for name, cycles in zip(("quiet", "denied", "attacked"), zip(*tse_in_turn(folder, turns)))}
    for words, name in (("quiet", "quiet"), ("as many packets that are denied and all alike (at most 1.01)", "denied")):
        value, low, high = median_ratio(list(zip(seen["attacked"], seen[name])))
        report.ratio("tse", "cycles of a packet, attacked over %s, %d turns in one weft" % (words, turns), value, (low, high))


def tse_in_turn(folder, turns):
    """Cycles of a packet while nobody attacks, with plain denied packets among the others, and under attack; one switch gets all from one file, in turn."""
    found = [policies.tse(attack, total=66_000, denied=denied) for attack, denied in ((False, False), (False, True), (True, False))]
    with given_by_count(folder, "tse", found[0], numpy.concatenate([each.packets for each in found])) as cycles_of:
        seen = [tuple(cycles_of(len(each.packets)) for each in found) for _ in range(turns + 2)]
    return seen[2:]  # the first ones find nothing in the caches


@contextlib.contextmanager
def given_by_count(folder, name, policy, made):
    """A weft that is given packets round and round, so many at a time: a function of how many, that says what cycles each of them took."""
    path = packets.write_pcap(os.path.join(folder, name + ".pcap"), packets.frames_of(made))
    weft = Weft(folder, [("in0", "net_pcap_in0,rx_pcap=%s,infinite_rx=1" % path), ("out", SINK)], options=["in0:hold"])
    try:
        weft.load(policy, ["out"])

        def cycles_of(count):
            before = after = weft.workers()[0]
            weft.client.release("in0", count)
            while after["received"] - before["received"] < count:
                time.sleep(0.002)
                after = weft.workers()[0]
            return (after["busy_cycles"] - before["busy_cycles"]) / count
        yield cycles_of
    finally:
        weft.close()


FIRST_STARTS, FIRST_TURNS, FIRST_PACKETS = 5, 40, 6_000


def first_packets(report, folder, options):
    """The first packet of a flow beside a later one: a switch that never saw these flows gets one packet of each, then the same packets again"""
    count = FIRST_TURNS * FIRST_PACKETS
    for name, policy in (("l2-1k", policies.l2(1_000, count)), ("l3-1k", policies.l3(1_000, count, policies.ENTERPRISE)), ("acl-1k", policies.acl(1_000, count))):
        answers.compare(folder, policy, False)
        pairs = []
        for _ in range(FIRST_STARTS):
            with given_by_count(folder, "first", policy, policy.packets) as cycles_of:
                first, later = ([cycles_of(FIRST_PACKETS) for _ in range(FIRST_TURNS)] for _ in range(2))
            pairs += list(zip(first, later))[FIRST_TURNS // 4:]  # the first turns find nothing in the caches, nor in the rules' memory
        value, low, high = median_ratio(pairs)
        report.ratio("first-packet", "%s: cycles of a flow's first packet over those of its second (at most 1.5), %d turns" % (name, len(pairs)), value, (low, high))


def _sweep(report, folder, options, name, points):
    for x, workload in points:
        policy = workload.policy()
        answers.compare(folder, policy, options.against == "ovs")
        devices = sources(folder, name, policy)
        report.note(name, "%s %s" % (format(x, ","), name))
        found = contenders(folder, workload, policy, devices, options)
        if options.pairs and (rivals := [c for c in found if c.system == "ovs"]):
            compare_with_ovs(report, name, found[0], rivals, options, x=x)
        else:
            compare(report, name, found, options, True, x=x)


def over_flows(report, folder, options):
    """L2 with 1,000 MACs: cycles per packet over flows, 1 to 1,000,000"""
    _sweep(report, folder, options, "flows", [(flows, Workload(_l2(min(1_000, flows), flows), "", ovs=("default", "EMC off"), testpmd=("macswap",)))
                                              for flows in (1, 1_000, 10_000, 100_000, 1_000_000)])


def over_rules(report, folder, options):
    """ACL with 100,000 flows: cycles per packet over rules, 10 to 10,000"""
    _sweep(report, folder, options, "rules", [(count, Workload(lambda count=count: policies.acl(count, 100_000), "", ovs=("default", "SMC on"), ovs_warm_s=30,
                                                               testpmd=())) for count in (10, 100, 1_000, 10_000)])
