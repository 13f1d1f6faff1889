"""What one more or one other row costs, whatever stands already: a logical port, a change beside a recompute, churn."""
import glob
import os
import time

import feed
import places  # noqa: F401  (weft_client is found through it)
from changes import QUIET
from figures import paired_ratio, spread
from packets import FIRST_MAC, ip4, mac
from systems import WORKER_CORE, Weft
from weft_client import flow, group, meter, op, pb, table

FIRST_IP = 0x0A000000


def port_rows(number):
    """A logical port as rows of the table engine: who may send from it, where its MAC is, who answers for its address, and
    its place in an access list."""
    address, own = ip4(FIRST_IP + number), mac(FIRST_MAC + number)
    return [(100, "reg14 == %d && eth.src == %s" % (number, own), "reg15 = 1; goto(1);"),
            (90, "eth.dst == " + own, 'output("out");'),
            (80, "arp.op == 1 && arp.tpa == " + address, "eth.dst = %s; output(inport);" % own),
            (70, "ip4.dst == %s && tcp.dst == 22" % address, "drop;")]


def transaction(rows, weight=+1):
    return feed.Transaction([feed.flow_op(weight, *row) for row in rows])


def slope(values):
    """Of the least-squares line through (0, values[0]), (1, values[1]), ..."""
    count = len(values)
    middle, mean = (count - 1) / 2, sum(values) / count
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / sum((at - middle) ** 2 for at in range(count))


def cpu_us(process):
    """What all threads of the process but the worker have used: of the control thread and its helpers."""
    used_ns = 0
    for task in glob.glob("/proc/%d/task/*" % process.pid):
        if os.sched_getaffinity(int(os.path.basename(task))) == {WORKER_CORE}:
            continue
        with open(task + "/schedstat") as values:
            used_ns += int(values.read().split()[0])
    return used_ns / 1000


# ---- add-port -------------------------------------------------------------------------------------------------------------

def add_port(report, folder, options, count=20_000):
    """Logical ports 1 to 20,000, one by one as sets of flow rows: ms from the socket until every worker runs each (DDL-10)"""
    weft = Weft(folder, QUIET)
    try:
        link = feed.Feed(weft.socket)
        made = [transaction(port_rows(number)) for number in range(1, count + 1)]
        took = []
        for each in made:
            began = time.perf_counter()
            link.send(each)
            link.barrier()
            took.append((time.perf_counter() - began) * 1e3)
        if link.changed != 4 * count:
            raise SystemExit("add-port: %d rows came of %d" % (link.changed, 4 * count))
        report_ports(report, took)
    finally:
        weft.close()


def report_ports(report, took):
    block = len(took) // 10
    per_port_ns = slope([sorted(took[at:at + block])[block // 2] for at in range(0, len(took), block)]) / block * 1e6
    for at in range(0, len(took), block):
        report.figure("add-port", "weft", "ports %s to %s" % (format(at + 1, ","), format(at + block, ",")), "ms", took[at:at + block], True,
                      ports=at + block)
    report.ratio("add-port", "ns more for each port that stands, a line through the tenths' medians (below 1)", per_port_ns)


# ---- delta-cost -----------------------------------------------------------------------------------------------------------

def delta_cost(report, folder, options, rows=100_000, rounds=200):
    """A change of one row among 100,000: CPU of the switch, bytes on the socket, ms until every worker runs it; and a recompute of all rows (OVN-22)"""
    weft = Weft(folder, QUIET)
    try:
        link = feed.Feed(weft.socket)
        flows = [(100, "eth.dst == " + mac(FIRST_MAC + i), 'output("out");') for i in range(rows)]
        link.run(feed.transactions(flows))
        weft.client.barrier(link.generation)
        time.sleep(1)  # what the load left to do in the background
        moved = [(flows[rows // 2][0], flows[rows // 2][1], 'output("in");')]
        there = feed.Transaction([feed.flow_op(-1, *flows[rows // 2]), feed.flow_op(+1, *moved[0])])
        back = feed.Transaction([feed.flow_op(-1, *moved[0]), feed.flow_op(+1, *flows[rows // 2])])
        seen = [measured(weft, link, [(there, back)[i % 2]]) for i in range(rounds)]
        replaced = [measured(weft, link, replacement(flows)) for _ in range(3)]
        for words, found in (("one row of %s" % format(rows, ","), seen), ("recompute of %s" % format(rows, ","), replaced)):
            for at, (what, unit) in enumerate((("CPU", "us"), ("on the socket", "bytes"), ("until it runs", "ms"))):
                report.figure("delta-cost", "weft", "%s, %s" % (words, what), unit, [each[at] for each in found], True, rows=rows)
        for at, unit in enumerate(("CPU", "bytes", "time")):
            report.ratio("delta-cost", "%s of a recompute over that of the change" % unit,
                         spread([each[at] for each in replaced])[1] / spread([each[at] for each in seen])[1])
    finally:
        weft.close()


def measured(weft, link, made):
    """(CPU us, bytes, ms) until every worker runs what was sent."""
    before, began = cpu_us(weft.process), time.perf_counter()
    for each in made:
        link.send(each)
    link.barrier()
    took = (time.perf_counter() - began) * 1e3
    return cpu_us(weft.process) - before, sum(len(each.data) for each in made), took


def replacement(flows):
    """All rows again, as a client without a memory sends them: whatever else it has goes."""
    return [feed.Transaction([feed.flow_op(+1, *each) for each in flows], replace=pb.Replace(relations=["flow"]))]


# ---- compare-and-swap -----------------------------------------------------------------------------------------------------

def compare_and_swap(report, folder, options, rows=10_000, rounds=12):
    """An upsert that compares the version that stands, beside one that does not: us of the switch's CPU for each of 10,000 (DF-11: at most 5 % more)"""
    weft = Weft(folder, QUIET)
    try:
        link = feed.Feed(weft.socket)
        version, seen = 1, {"plain": [], "compared": []}
        link.run(versioned(rows, version, {}))
        for _ in range(rounds):
            for how in seen:
                version += 1
                made = versioned(rows, version, {"if_version": version - 1} if how == "compared" else {})
                before = cpu_us(weft.process)
                link.run(made)
                seen[how].append((cpu_us(weft.process) - before) / rows)
        if link.changed != rows + 4 * rounds * rows:
            raise SystemExit("cas: %d changes instead of %d" % (link.changed, rows + 4 * rounds * rows))
        for how, took in seen.items():
            report.figure("cas", "weft", how, "us", took, True, rows=rows)
        report.ratio("cas", "CPU of an op that compares over one that does not (at most 1.05)", *ratio_of(seen["compared"], seen["plain"]))
    finally:
        weft.close()


def ratio_of(some, others):
    """And its interval, as the report takes them."""
    middle, low, high = paired_ratio(list(zip(some, others)))
    return middle, (low, high)


def versioned(rows, version, more):
    """Every row anew, under a version of its own."""
    return feed.transactions_of([op("upsert", flow(0, 100, "eth.dst == " + mac(FIRST_MAC + i), 'output("%s");' % ("out", "in")[version % 2]),
                                    version=version, **more) for i in range(rows)])


# ---- relations ------------------------------------------------------------------------------------------------------------

SAMPLES = {
    "flow": lambda i, v: flow(0, 100, "eth.dst == " + mac(FIRST_MAC + i), ('output("out");', "drop;")[v]),
    "group": lambda i, v: group(i + 1, "select", [(1, 'output("out");'), (1 + v, 'output("in");')]),
    "table": lambda i, v: table(i + 1, "table", miss=("drop;", 'output("out");')[v]),
    "port": lambda i, v: pb.Port(name="patch%d" % i, peer="other%d" % i, tag=("a", "b")[v]),
    "meter": lambda i, v: meter(i + 1, "pktps", [(1000 + v, 10)]),
}


def relations(report, folder, options, few=100, many=10_000, rounds=400):
    """One changed row of each relation, us until every worker runs it, with 100 and 10,000 others of its kind (DDL-9)"""
    for relation, sample in SAMPLES.items():
        medians = []
        for rows in (few, many):
            took = relation_once(folder, sample, rows, rounds)
            report.figure("relations", "weft", "%s, %s rows" % (relation, format(rows, ",")), "us", took, True, rows=rows)
            medians.append(spread(took)[1])
        report.ratio("relations", "%s: %s rows over %s (at most 2)" % (relation, format(many, ","), format(few, ",")), medians[1] / medians[0])


def relation_once(folder, sample, rows, rounds):
    weft = Weft(folder, QUIET)
    try:
        for at in range(0, rows, 1000):
            weft.client.transaction([(+1, sample(i, 0)) for i in range(at, min(rows, at + 1000))])
        weft.client.barrier()
        took = []
        for i in range(rounds):
            changed = [op("upsert", sample(rows // 2, 1 - i % 2))]
            began = time.perf_counter()
            weft.client.transaction(changed)
            weft.client.barrier()
            took.append((time.perf_counter() - began) * 1e6)
        return took
    finally:
        weft.close()


# ---- churn ----------------------------------------------------------------------------------------------------------------

def churn(report, folder, options, ports=100_000, moves_per_s=1_000):
    """100,000 ports of which 1,000 a second move: ms of each commit, memory before and after (OVN-26; as long as --seconds times --windows times 5)"""
    seconds = 5 * options.seconds * options.windows
    weft = Weft(folder, QUIET)
    try:
        link = feed.Feed(weft.socket)
        at = ["out"] * ports
        rows = [(100, "eth.dst == " + mac(FIRST_MAC + i), 'output("out");') for i in range(ports)]
        link.run(feed.transactions(rows))
        link.barrier()
        took, memory, began, number = [], [], time.monotonic(), 0
        while (due := began + number / moves_per_s) < began + seconds:
            if due > time.monotonic():
                time.sleep(due - time.monotonic())
            which = number * 7919 % ports
            old, at[which] = at[which], "in" if at[which] == "out" else "out"
            match = rows[which][1]
            move = feed.Transaction([feed.flow_op(-1, 100, match, 'output("%s");' % old), feed.flow_op(+1, 100, match, 'output("%s");' % at[which])])
            sent = time.perf_counter()
            link.send(move)
            link.finish()
            took.append((time.perf_counter() - sent) * 1e3)
            if number % moves_per_s == 0:
                memory.append(memory_mb(weft.process))
            number += 1
        if link.changed != ports + 2 * number:
            raise SystemExit("churn: %d changes instead of %d" % (link.changed - ports, 2 * number))
        took.sort()
        report.figure("churn", "weft", "%s ports, %s moves/s" % (format(ports, ","), format(moves_per_s, ",")), "ms", took, True,
                      p99_ms=float("%.4g" % took[len(took) * 99 // 100]), moves=number)
        report.ratio("churn", "p99 in ms of a commit (below 5)", took[len(took) * 99 // 100])
        report.ratio("churn", "memory at the end over that after a quarter", memory[-1] / memory[len(memory) // 4])
    finally:
        weft.close()


def memory_mb(process):
    with open("/proc/%d/statm" % process.pid) as statm:
        return int(statm.read().split()[1]) / 256
