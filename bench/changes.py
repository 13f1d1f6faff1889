"""What changes cost: many rows at once, one row among many, and the packets that are forwarded meanwhile."""
import mmap
import os
import statistics
import subprocess
import threading
import time

import answers
import every_kind
import feed
import forwarding
import policies
from figures import LATENCIES, median_ratio, spread
from packets import FIRST_MAC, ip4, mac
from places import BUILD
from systems import Weft

QUIET = [("in", "net_null_in,no-rx=1"), ("out", "net_null_out,no-rx=1")]


def mac_flows(count, first=FIRST_MAC, priority=100):
    return [(priority, "eth.dst == " + mac(first + i), 'output("out");') for i in range(count)]


# ---- load -----------------------------------------------------------------------------------------------------------------

def load(report, folder, options):
    """100,000 and 1,000,000 flow rows over the socket, in transactions of 1,000, until every worker runs them; memory is there"""
    for rows in (100_000, 1_000_000):
        made = feed.transactions(mac_flows(rows))
        runs = [load_once(folder, made, rows) for _ in range(options.rounds)]
        seconds, user, system = zip(*runs)
        report.figure("load", "weft", "%s rows" % format(rows, ","), "seconds", seconds, True)
        report.note("load", "%s rows: %.2f s of user, %.2f s of system time (medians); the latter is to get memory" %
                    (format(rows, ","), statistics.median(user), statistics.median(system)))


def fetch_memory(size):
    """A virtual machine may have to get memory that nobody used lately from its host, page by page (4 s for 1 GB on our machines): beforehand, then."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def load_once(folder, made, rows):
    weft = Weft(folder, QUIET)
    try:
        link = feed.Feed(weft.socket)
        fetch_memory(rows << 10)  # half of it is used
        user, system = cpu_seconds(weft.process.pid)
        began = time.monotonic()
        link.run(made)
        weft.client.barrier(link.generation)
        took = time.monotonic() - began
        (_, (count, _)), = weft.client.digest(relation="flow").items()
        if count != rows or link.changed != rows:
            raise SystemExit("load: %d rows stand and %d were acknowledged, of %d" % (count, link.changed, rows))
        user_after, system_after = cpu_seconds(weft.process.pid)
        return took, user_after - user, system_after - system
    finally:
        weft.close()


def cpu_seconds(pid):
    """User and system time of a process."""
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return [int(fields[i]) / os.sysconf("SC_CLK_TCK") for i in (11, 12)]


# ---- latency --------------------------------------------------------------------------------------------------------------

def latency(report, folder, options):
    """One delta, from the socket until every worker runs it and until the client is told, with 1,000 to 1,000,000 others installed; and an exchange alone"""
    policy = policies.l2(1_000, 100_000)
    devices = forwarding.sources(folder, "latency", policy)
    medians = {}
    for rows in (1_000, 10_000, 100_000, 1_000_000):
        for system, found in zip(LATENCIES, latency_once(folder, policy, devices, rows)):
            found.sort()
            p99 = found[len(found) * 99 // 100]
            report.figure("latency", system, "%s rows" % format(rows, ","), "us", found, True, rows=rows, p99_us=float("%.4g" % p99))
            report.ratio("latency", "p99 in us with %s rows%s" % (format(rows, ","), LATENCIES[system]), p99)
            medians[system, rows] = statistics.median(found)
    report.ratio("latency", "median, 1,000,000 rows over 1,000 (at most 2)", medians["weft", 1_000_000] / medians["weft", 1_000])


def latency_once(folder, policy, devices, rows, deltas=10_000):
    """Microseconds of each exchange with weft until workers have it and until it is answered, and with the process that only answers."""
    weft = forwarding.start_weft(folder, policy, devices)
    try:
        link = feed.Feed(weft.socket)
        link.run(feed.transactions(mac_flows(rows, FIRST_MAC + (1 << 20))))
        weft.client.barrier(link.generation)
        time.sleep(3)  # a hash that grew to the end of the load is filled, and its memory fetched
        told = subprocess.run([os.path.join(BUILD, "bench", "delta_client"), weft.socket, str(deltas)], check=True, capture_output=True, text=True)
        (_, (count, _)), = weft.client.digest(relation="flow").items()
        if count != rows + len(policy.table):
            raise SystemExit("latency: %d rows stand instead of %d" % (count, rows + len(policy.table)))
        return [list(column) for column in zip(*(map(float, line.split()) for line in told.stdout.splitlines()))]
    finally:
        weft.close()


# ---- sustained ------------------------------------------------------------------------------------------------------------

def sustained(report, folder, options):
    """1,000 MACs forwarded at full speed, while rules come and go in that table as fast as they are taken, in transactions of 100"""
    policy = policies.l2(1_000, 100_000)
    devices = forwarding.sources(folder, "sustained", policy)
    for kind in (*KINDS, EVERY_KIND):
        rates = []
        for _ in range(options.rounds):
            weft = forwarding.start_weft(folder, policy, devices)
            try:
                weft.warm()
                link = feed.Feed(weft.socket)
                made = changes_of(kind, 100)
                before = weft.workers()[0]["received"]
                rates.append(link.paced(made, float("inf"), options.seconds))
                if weft.workers()[0]["received"] == before:
                    raise SystemExit("sustained: nothing was forwarded meanwhile")
                link.close()
            finally:
                weft.close()
        report.figure("sustained", "weft", kind, "deltas/s", rates, True)


def kinds(report, folder, options):
    """What one change of each kind costs the control thread, beside the same forwarding and among changes of its own kind, in transactions of 100"""
    policy = policies.l2(1_000, 100_000)
    devices = forwarding.sources(folder, "kinds", policy)
    for kind in (*every_kind.KINDS, EVERY_KIND):
        made = every_kind.transactions(1_000, only=None if kind == EVERY_KIND else kind)
        costs = [kinds_once(folder, policy, devices, made, options.seconds) for _ in range(options.rounds)]
        report.figure("kinds", "weft", "a change of %s, of the control thread" % kind, "us", costs, True)


def kinds_once(folder, policy, devices, made, seconds):
    weft = forwarding.start_weft(folder, policy, devices)
    try:
        link = feed.Feed(weft.socket)
        link.run(made)  # every name is known, all memory taken
        before, already = ran_us(weft.process.pid), link.changed
        link.paced(made, float("inf"), seconds)
        return (ran_us(weft.process.pid) - before) / (link.changed - already)
    finally:
        weft.close()


def ran_us(pid):
    """Time that a process's first thread has run."""
    with open("/proc/%d/task/%d/schedstat" % (pid, pid)) as schedstat:
        return int(schedstat.read().split()[0]) / 1e3


def coming_and_going(flows, size):
    """Transactions that add, and then remove, `size` of them at a time."""
    blocks = [flows[at:at + size] for at in range(0, len(flows), size)]
    return [transaction for block in blocks for transaction in feed.transactions(block, +1, size) + feed.transactions(block, -1, size)]


# ---- updates --------------------------------------------------------------------------------------------------------------

# Other destinations in the same table; and drop rules for single sources and services above it, as a firewall makes them.
def changing_macs(count):
    return mac_flows(count, FIRST_MAC + (1 << 20))


def changing_drops(count):
    return [(60_000, "ip4.src == %s && udp.dst == %d" % (ip4(0x0A800000 + i * 7919 % (1 << 23)), 1 + i * 31 % 65_535), "drop;") for i in range(count)]


KINDS = {"MACs": changing_macs, "drops": changing_drops}
EVERY_KIND = "every kind"


def changes_of(kind, size):
    """For weft, to be sent round and round, `size` of them in a transaction."""
    return every_kind.transactions(1_000, size) if kind == EVERY_KIND else coming_and_going(KINDS[kind](10_000), size)


def ovs_line(flow):
    _, match, actions = flow
    if match.startswith("eth.dst"):
        return "priority=100,dl_dst=%s" % match.split(" == ")[1], ",actions=output:100"
    src, port = match.replace(" && ", " == ").split(" == ")[1::2]
    return "priority=60000,udp,nw_src=%s,tp_dst=%s" % (src, port), ",actions=drop"


def keep_one(switch, kind):
    """A row of the kind that stays: what packets are looked up by is then the same with changes and without."""
    if kind == EVERY_KIND:  # of these many stand
        return
    flows = KINDS[kind](10_001)[10_000:]
    if isinstance(switch, Weft):
        link = feed.Feed(switch.socket)
        link.run(feed.transactions(flows))
        link.close()
    else:
        switch.change("".join("add %s%s\n" % ovs_line(flow) for flow in flows))


class Updates:
    """Adds and deletes rules from a thread of its own, at `rate` changes a second; `reached` is what it was afterwards. What stands then stays."""

    def __init__(self, switch, kind, rate):
        self.switch, self.rate, self.reached, self.failure = switch, rate, 0.0, None
        self.ending = threading.Event()
        if isinstance(switch, Weft):
            work, changes = self._to_weft, changes_of(kind, max(1, min(100, rate // 70)))
        else:
            work, changes = self._to_ovs, KINDS[kind](10_000)
        self.thread = threading.Thread(target=self._guarded, args=(work, changes))

    def __enter__(self):
        if self.rate:
            self.thread.start()
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.ending.set()
        if self.rate:
            self.thread.join()
        if self.failure:
            raise self.failure

    def _guarded(self, work, changes):
        try:
            work(changes)
        except (Exception, SystemExit) as problem:
            self.failure = problem

    def _to_weft(self, made):
        link = feed.Feed(self.switch.socket)
        self.reached = link.paced(made, self.rate, 3600, self.ending.is_set)
        link.close()

    def _to_ovs(self, flows):
        lines = [ovs_line(flow) for flow in flows]
        done, at, began = 0, 0, time.monotonic()
        size = max(1, self.rate // 20)  # adds in a tenth of a second, and as many deletes
        while not self.ending.is_set():
            block = [lines[(at + i) % len(lines)] for i in range(size)]
            self.switch.change("".join("add %s%s\ndelete_strict %s\n" % (match, actions, match) for match, actions in block))
            at, done = at + size, done + 2 * size
            self.ending.wait(max(0, began + done / self.rate - time.monotonic()))
        self.reached = done / (time.monotonic() - began)


def updates(report, folder, options):
    """1,000 MACs, 100,000 flows, while rules come and go in that table: 0, 700 and 100,000 changes a second"""
    policy = policies.l2(1_000, 100_000)
    answers.compare(folder, policy, options.against == "ovs")
    devices = forwarding.sources(folder, "updates", policy)
    starts = {"weft": lambda: forwarding.start_weft(folder, policy, devices)}
    if options.against == "ovs":
        starts["ovs"] = lambda: forwarding.start_ovs(folder, policy, devices, "EMC off", 25)
    for system, start in starts.items():
        quiet = None
        for kind, rate in (("MACs", 0), *changing(system)):
            windows, reached = updates_once(start, kind, rate, options)
            words = "%s/s %s" % (format(rate, ","), kind) if rate else "no changes"
            report.rate("updates", system, words, windows, True, changes_per_s=rounded_rate(reached))
            if rate:
                report.note("updates", "%s took %s changes/s of %s" % (system, format(int(reached), ","), kind))
                cycles = spread([w.cycles for w in windows])[1]
                report.ratio("updates", "cycles, %s with %s changes/s of %s over none" % (system, format(rate, ","), kind), cycles / quiet)
            else:
                quiet = spread([w.cycles for w in windows])[1]
    for kind in (*KINDS, EVERY_KIND):
        updates_in_turn(report, starts["weft"], kind, 100_000, options)


def updates_in_turn(report, start, kind, rate, options):
    """Whether it is the changes that cost, or the rules: windows with changes and without, in turn in one switch, in which what came last stands."""
    pairs, reached = [], []
    weft = start()
    try:
        weft.warm()
        keep_one(weft, kind)
        for _ in range(options.pairs or 30):
            with Updates(weft, kind, rate) as running:
                changing_now = weft.window(options.seconds / 4)
            reached.append(running.reached)
            pairs.append((changing_now.cycles, weft.window(options.seconds / 4).cycles))
    finally:
        weft.close()
    value, low, high = median_ratio(pairs)
    report.ratio("updates", "cycles, %s changes/s of %s over none with the same rules, %d pairs" % (format(rounded_thousands(statistics.median(reached)), ","), kind, len(pairs)),
                 value, (low, high))


def rounded_thousands(value):
    return int(round(value, -3))


def changing(system):
    """Kinds of changes, and how many a second."""
    found = [(kind, rate) for kind in KINDS for rate in (700, 100_000)]
    return found + [(EVERY_KIND, 100_000)] if system == "weft" else found


def rounded_rate(value):
    return float("%.3g" % value)


def updates_once(start, kind, rate, options):
    system = start()
    try:
        system.warm()
        with Updates(system, kind, rate) as running:
            windows = [system.window(options.seconds) for _ in range(options.windows)]
        return windows, running.reached
    finally:
        system.close()
