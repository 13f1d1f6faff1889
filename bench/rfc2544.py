"""How much without loss, and how long it takes: packets arrive by schedule whether the switch has time or not (RFC 2544, and latency as RFC 8239 asks).
The source and the sink are paced.cc, inside the measured switch; this is the other end of the file that both have mapped."""
import contextlib
import ctypes
import dataclasses
import mmap
import os
import statistics
import subprocess
import time

import answers
import ovs
import packets
import policies
from changes import Updates, changing, keep_one
from places import BUILD
from systems import CONTROL_CORE, Weft, stop

SOURCE, SINK = "net_null_paced,size=64", "net_null_meter,no-rx=1"
LIBRARY = os.path.join(BUILD, "bench", "libweft_paced.so")

# ---- the layout of paced.hh -----------------------------------------------------------------------------------------------

U64 = ctypes.c_uint64
FRAMES_AT, BUCKETS = 16_384, 64 + 35 * 32


def _words(*names):
    padding = -len(names) % 8
    return [(name, U64) for name in names] + [("_", U64 * padding)] * bool(padding)


class Orders(ctypes.Structure):
    _fields_ = _words("run", "packets_per_s", "stop", "frames", "frame_bytes")


class SourceCounts(ctypes.Structure):
    _fields_ = _words("run", "arrived", "overflowed", "taken", "waiting_max", "pause_max_tsc", "tsc_hz", "lost_by_pauses", "pauses")


class SinkCounts(ctypes.Structure):
    _fields_ = [(name, U64) for name in ("run", "received", "out_of_order", "foreign", "latency_max_tsc")] + [("latency", U64 * BUCKETS)]


class Header(ctypes.Structure):
    _fields_ = [("orders", Orders), ("source", SourceCounts), ("sink", SinkCounts)]


def bucket_cycles(index):
    """The upper end of a bucket."""
    if index < 64:
        return index
    shift, step = (index - 64) // 32 + 1, (index - 64) % 32
    return (33 + step << shift) - 1


@dataclasses.dataclass
class Trial:
    offered_mpps: float
    arrived: int
    lost: int            # overflowed before the switch, or not come out of it
    lost_inside: int
    lost_by_pauses: int  # of the lost: overflowed while nobody polled for 40 us or more, or before what waited then was taken
    pauses: int
    out_of_order: int
    forwarded_mpps: float
    latency_us: dict     # of "p50", "p99", "p99.9", "max"
    pause_max_us: float
    waiting_max: int
    waited: float        # share of the time in which the polling thread could not have its core

    @property
    def loss(self):
        return self.lost / max(self.arrived, 1)


class Paced:
    """The file; one for each start of a switch."""

    def __init__(self, folder, frames):
        self.path = os.path.join(folder, "paced")
        count, size = frames.shape
        with open(self.path, "wb") as file:
            file.truncate(FRAMES_AT)
            file.seek(FRAMES_AT)
            frames.tofile(file)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.header = Header.from_buffer(self.map)
        self.header.orders.frames, self.header.orders.frame_bytes = count, size
        self.environment = {"LD_PRELOAD": LIBRARY, "WEFT_PACED": self.path}
        self.run = 0

    def wait_until_ready(self):
        self._until(lambda: self.header.source.tsc_hz != 0, "the paced source did not find its ports in the switch")

    @staticmethod
    def _until(done, otherwise, patience_s=30):
        end = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > end:
                raise SystemExit(otherwise)
            time.sleep(0.001)

    def trial(self, packets_per_s, seconds, poller=None):
        """`poller`: gives a Poller of the switch's polling thread."""
        orders, source, sink = self.header.orders, self.header.source, self.header.sink
        self.run += 1
        orders.packets_per_s = int(packets_per_s)
        orders.run = self.run
        self._until(lambda: source.run == self.run, "the switch does not poll the paced source")
        watched, began = poller() if poller else None, time.monotonic()
        time.sleep(seconds)
        orders.stop = self.run
        took = time.monotonic() - began
        waited = watched.share() if watched else 0.0
        self._settle()
        received = sink.received if sink.run == self.run else 0
        inside = source.taken - received
        return Trial(packets_per_s / 1e6, source.arrived, source.overflowed + inside, inside, source.lost_by_pauses, source.pauses, sink.out_of_order, received / took / 1e6,
                     self._latency(), source.pause_max_tsc / source.tsc_hz * 1e6, source.waiting_max, waited)

    def _settle(self):
        """Until nothing waits or is on its way any more."""
        before = None
        for _ in range(500):
            time.sleep(0.02)
            now = (self.header.source.taken, self.header.sink.received)
            if now == before:
                return
            before = now

    def _latency(self):
        sink, hz = self.header.sink, self.header.source.tsc_hz
        counts = list(sink.latency)
        found, seen, total = {}, 0, sum(counts)
        wanted = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)]
        for index, count in enumerate(counts):
            seen += count
            while wanted and total and seen >= wanted[0][1] * total:
                found[wanted.pop(0)[0]] = bucket_cycles(index) / hz * 1e6
        found["max"] = sink.latency_max_tsc / hz * 1e6
        return found


# ---- the switches ---------------------------------------------------------------------------------------------------------

class Generator:
    """Source and sink in a process of their own, testpmd on the control core, joined to the switch as two guests would be: virtio to its vhost ports."""

    def __init__(self, folder, paced):
        self.name = "testpmd"
        devices = [SOURCE, *("net_virtio_user%d,path=%s,queue_size=1024" % (i, path) for i, path in enumerate(vhost_paths(folder))), SINK]
        command = ["dpdk-testpmd", "--lcores=0@%d,1@%d" % (CONTROL_CORE, CONTROL_CORE), "--no-pci", "--no-telemetry", "--in-memory", "--single-file-segments",
                   "--file-prefix=generator%d" % os.getpid(), *("--vdev=" + device for device in devices), "--", "--nb-cores=1", "--no-flush-rx",
                   "--total-num-mbufs=16384", "--port-topology=paired", "--auto-start", "--stats-period=3600"]
        self.log = open(os.path.join(folder, "generator.log"), "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env=dict(os.environ, **paced.environment))

    def close(self):
        stop(self.process)
        self.log.close()


def vhost_paths(folder):
    return [os.path.join(folder, "%s.vhost" % name) for name in ("in", "out")]


def ports_of(folder, over):
    """Device arguments of the switch's input and output, and the environment it needs."""
    if over == "null":
        return SOURCE, SINK
    return tuple("net_vhost%d,iface=%s,queues=1" % (i, path) for i, path in enumerate(vhost_paths(folder)))


@contextlib.contextmanager
def switched(folder, policy, system, over):
    """(switch, paced) with everything running."""
    paced = Paced(folder, packets.frames_of(policy.packets))
    source, sink = ports_of(folder, over)
    environment = paced.environment if over == "null" else {}
    if system == "weft":
        switch = Weft(folder, [("in0", source), ("out", sink)], environment=environment)
    else:
        switch = ovs.Ovs(folder, [source], [sink], "EMC off", environment=environment)
    generator = None
    try:
        switch.load(policy, ["out"] if system == "weft" else 1)
        if system == "ovs":
            switch.begin()
        if over != "null":
            generator = Generator(folder, paced)
        paced.wait_until_ready()
        yield switch, paced
    finally:
        if generator:
            generator.close()
        switch.close()


# ---- the search -----------------------------------------------------------------------------------------------------------

FAILURES, TRIES = 3, 10  # a virtual machine loses its processor now and then, and it does not always know
STEP = 0.01


def without_loss(trial, packets_per_s, seconds):
    """Whether one of some trials loses nothing but by pauses; those in which another program had the core are no evidence against it."""
    failures = 0
    for _ in range(TRIES):
        t = trial(packets_per_s, seconds)
        if t.lost == t.lost_by_pauses:
            return True
        failures += t.waited < 0.001
        if failures == FAILURES:
            break
    return False


def no_drop_rate(trial, most, seconds):
    """The highest rate, in steps of 1 % of `most`, at which a trial loses nothing but by pauses; 0 where none does."""
    low, high = 0.0, most
    while high - low > STEP * most:
        middle = (low + high) / 2
        if without_loss(trial, middle, seconds):
            low = middle
        else:
            high = middle
    return low


def say(report, name, system, setting, t, reached=None):
    latency = " / ".join("%s %.3g" % item for item in t.latency_us.items())
    more = {} if reached is None else {"changes_per_s": int(reached)}
    report.note(name, "%-5s %-24s %7.3f Mpps offered, %d of %d lost (%.2g), all but %d by %d pauses, latency %s us, longest pause %.0f us, %.0f %% without its core%s" % (
        system, setting, t.offered_mpps, t.lost, t.arrived, t.loss, t.lost - t.lost_by_pauses, t.pauses, latency, t.pause_max_us, t.waited * 100,
        "" if reached is None else ", %d changes/s reached" % reached),
        system=system, setting=setting, offered_mpps=float("%.4g" % t.offered_mpps), lost=t.lost, arrived=t.arrived, lost_by_pauses=t.lost_by_pauses, pauses=t.pauses,
        latency_us={key: float("%.4g" % value) for key, value in t.latency_us.items()}, pause_max_us=float("%.4g" % t.pause_max_us), waited=t.waited, checked=True, **more)


def measure(report, name, system, paced, switch, options):
    """All of it for one switch."""
    def trial(packets_per_s, seconds):
        return paced.trial(packets_per_s, seconds, switch.poller)

    for _ in range(30):  # caches of those that have some
        if trial(2e6, 1).loss < 0.01:
            break
    full = trial(200e6, options.seconds)
    most = full.forwarded_mpps * 1e6
    rate = no_drop_rate(trial, most, options.seconds)
    report.figure(name, system, "closed loop", "Mpps", [full.forwarded_mpps], True)
    report.figure(name, system, "no drop", "Mpps", [rate / 1e6], True)
    for share in (0.5, 0.9):
        say(report, name, system, "%d %% of no drop" % (share * 100), trial(share * rate, 2 * options.seconds))
    for kind, changes in changing(system):
        while_changing(report, name, system, switch, trial, kind, changes, options)
    return rate


def while_changing(report, name, system, switch, trial, kind, changes, options, turns=3):
    """90 % of what the switch does with the rules that stand, with changes and without, in turn: what is lost because of the changes is the difference."""
    keep_one(switch, kind)
    with Updates(switch, kind, changes):
        time.sleep(0.5)  # of every kind many stand from now on
    seen = {words: [] for words in ("%s/s %s" % (format(changes, ","), kind), "none of the %s/s %s" % (format(changes, ","), kind))}
    reached = []
    for _ in range(turns):
        rate = 0.9 * 1e6 * min(trial(200e6, options.seconds / 4).forwarded_mpps for _ in range(2))
        with Updates(switch, kind, changes) as running:
            busy = trial(rate, options.seconds)
        reached.append(running.reached)
        for found, t in zip(seen.values(), (busy, trial(rate, options.seconds))):
            found.append(t)
    for words, found in seen.items():
        say(report, name, system, "90 %%, %s" % words, added(found), None if words.startswith("none") else statistics.median(reached))


def added(trials):
    """Counts of several trials as one; the median of what is no count, the worst of what is a maximum."""
    middle = {key: statistics.median(t.latency_us.get(key, 0) for t in trials) for key in trials[0].latency_us}
    total = {field: sum(getattr(t, field) for t in trials) for field in ("arrived", "lost", "lost_inside", "lost_by_pauses", "pauses", "out_of_order")}
    return Trial(offered_mpps=statistics.median(t.offered_mpps for t in trials), forwarded_mpps=statistics.median(t.forwarded_mpps for t in trials),
                 latency_us=middle | {"max": max(t.latency_us.get("max", 0) for t in trials)}, pause_max_us=max(t.pause_max_us for t in trials),
                 waiting_max=max(t.waiting_max for t in trials), waited=statistics.fmean(t.waited for t in trials), **total)


def rfc2544(report, folder, options):
    """Open loop on 1,000 MACs and 100,000 flows: no-drop rate, loss, latency at 50 and 90 % of it, loss while rules change"""
    if not os.path.exists(LIBRARY):
        raise SystemExit("rfc2544 needs %s: ninja -C %s" % (LIBRARY, BUILD))
    policy = policies.l2(1_000, 100_000)
    count = answers.compare(folder, policy, options.against == "ovs")
    report.note("rfc2544", "1,000 MACs, 100,000 flows: the same %d packets come out of the same ports" % count)
    rates = {}
    for over in ("null", "vhost"):
        for system in ("weft", "ovs") if options.against == "ovs" else ("weft",):
            with switched(folder, policy, system, over) as (switch, paced):
                rates[system] = measure(report, "rfc2544" if over == "null" else "rfc2544-vhost", system, paced, switch, options)
        if rates.get("ovs"):
            report.ratio("rfc2544" if over == "null" else "rfc2544-vhost", "no-drop rate, weft over OVS", rates["weft"] / rates["ovs"])
