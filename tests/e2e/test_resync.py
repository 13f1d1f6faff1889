"""Controllers that come back: what differs is found and mended, and nothing else is touched (G-11, DF-16, DF-30, OVN-25)."""
import bisect
import functools
import os
import random
import sys

import pytest
from frames import Numbered, udp
from rig import BUILD, Client, bridge, flow, group, meter, op, pb, port, sized, table

sys.path.insert(0, os.path.join(BUILD, "control"))
import weft_digest  # noqa: E402


def address(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def row(number, actions):
    return flow(0, 100, "ip4.dst == " + address(number), actions)


def load(control, rows, size=1000, how=+1):
    rows = list(rows)
    for at in range(0, len(rows), size):
        control.transaction([(how, each) for each in rows[at:at + size]])


def by_key(rows):
    return {weft_digest.key_of(each).SerializeToString(deterministic=True): each for each in rows}


class Wanted:
    """Flows as a controller keeps them: in the order of their keys' hashes, so that a part is a range, whose digest is a difference."""

    def __init__(self, rows):
        hashed = sorted((weft_digest.row_hash(weft_digest.key_of(row).SerializeToString(deterministic=True)), n) for n, row in enumerate(rows))
        self.rows, self.hashes, self.sums = [rows[n] for _, n in hashed], [hash_ for hash_, _ in hashed], [0]
        for row in self.rows:
            self.sums.append(self.sums[-1] + weft_digest.digest([(row, 0)])[1] & weft_digest.ALL)

    def range(self, part, parts):
        return (bisect.bisect_left(self.hashes, -(-(at << 64) // parts)) for at in (part, part + 1))

    def part(self, part, parts):
        first, last = self.range(part, parts)
        return self.rows[first:last]

    def digest(self, scope, relation, part, parts):
        first, last = self.range(part, parts)
        return {(scope, relation): (last - first, self.sums[last] - self.sums[first] & weft_digest.ALL)}


def mend(control, wanted, finest=1024):
    """Sends what makes the switch's flows be `wanted`; gives (ACK, rows read, digests asked)."""
    asked, read, changes, wanted = 0, 0, [], Wanted(wanted)

    def theirs(**what):
        nonlocal asked
        asked += 1
        return control.digest(**what)

    for part in weft_digest.differing_parts(wanted.digest, theirs, "flow", finest=finest):
        here = by_key(each.row.flow for each in control.get("flow", part=part, parts=finest))
        read += len(here)
        there = by_key(wanted.part(part, finest))
        changes += [op(-1, here[key]) for key in here if here[key] != there.get(key)]
        changes += [op(+1, there[key]) for key in there if there[key] != here.get(key)]
    return control.transaction(changes), read, asked


def test_a_controllers_own_digests_are_those_of_the_switch(switch):
    rows = [row(n, 'output("p%d");' % (n % 3)) for n in range(100)]
    switch.control.transaction([(+1, each) for each in rows[:50]] + [op(+1, each, version=7) for each in rows[50:]])
    versions = [0] * 50 + [7] * 50
    for parts in (1, 4, 64):
        for part in range(parts):
            mine = [(each, version) for each, version in zip(rows, versions) if weft_digest.part_of(each, parts) == part]
            assert switch.control.digest(relation="flow", part=part, parts=parts) == {("", "flow"): weft_digest.digest(mine)}


def test_df16_what_was_corrupted_is_found_by_bisection_and_mended(switch):
    """Under traffic of the rows that are right, and at a cost of the differences and the depth of the partition."""
    count, finest = sized(5000, 200_000), sized(1024, 16384)
    stream = Numbered("10.9.9.9", address(500))
    frames = [stream.frame(number) for number in range(20_000)]
    switch.files({"p1": frames, "p2": []})
    wanted = [row(n, 'output("p2");') for n in range(count)]
    load(switch.control, wanted)
    switch.control.barrier()
    broken = [op(-1, wanted[n]) for n in (3, 2222, 4999)]
    broken += [op("upsert", row(n, "drop;")) for n in (77, 3100)] + [op(+1, row(count + 70000, "drop;"))]
    switch.control.transaction(broken)
    switch.release("p1", len(frames) - 1)
    with Client(switch.socket, name="rig") as again:
        changed, read, asked = mend(again, wanted, finest)
        assert (changed.added, changed.removed) == (5, 3)
        assert read < 100, "of %d" % count
        assert asked <= 2 * 6 * (finest.bit_length() - 1) + 1
        again.barrier()
        switch.send(p1=1)
        assert again.digest(relation="flow")[("", "flow")] == weft_digest.digest((each, 0) for each in wanted)
        counted = {each.row.flow.match: each.packets for each in again.get("flow")}
    print("%d rows: %d read, %d digests asked, 6 ops sent" % (count, read, asked))
    assert counted["ip4.dst == " + address(500)] == len(frames), "rows that were right keep their counters"
    assert switch.drops() == {}
    assert switch.stop()["p2"] == frames


def test_g11_a_new_controller_pushes_only_the_difference(switches):
    before = [row(n, 'output("p%d");' % (2 + n % 2)) for n in range(300)]
    after = [row(5, 'output("p3");') if n == 4 else each for n, each in enumerate(before)]
    after[4] = row(4, 'output("p3");')
    h1, h2 = switches(), switches()
    for host in (h1, h2):
        load(host.control, before)
    h1.control.transaction([(-1, before[4]), (+1, after[4])])  # and then the controller dies
    acks = [mend(host.control, after, finest=64)[0] for host in (h1, h2)]
    assert [(ack.added, ack.removed) for ack in acks] == [(0, 0), (1, 1)]
    assert h1.control.digest(relation="flow") == h2.control.digest(relation="flow")


def test_df30_everything_said_again_and_the_rest_swept_without_losing_a_packet(switch):
    streams = [Numbered("10.9.9.9", address(n)) for n in range(50)]
    frames = [streams[n % 50].frame(n) for n in range(30_000)]
    switch.files({"p1": frames, "p2": []})
    with Client(switch.socket, name="agent", owner_epoch=1) as first:
        load(first, (row(n, 'output("p2");') for n in range(100)))
        first.barrier()
    switch.send(p1=1000)
    with Client(switch.socket, name="agent", owner_epoch=2) as second:
        load(second, (row(n, 'output("p2");') for n in range(50)))
        switch.release("p1", 28_000)
        ack = second.transaction(sweep=pb.Sweep(relations=["flow"]))
        assert (ack.added, ack.removed) == (0, 50)
        second.barrier(ack.generation)
        switch.send(p1=1000)
        rows = list(second.get("flow"))
        assert len(rows) == 50 and sum(each.packets for each in rows) == len(frames)
    assert switch.stop()["p2"] == frames


REBUILT = ("bridge", "table", "group", "meter", "flow")
STEPS = ["group(%d);", 'output("p2");', 'output("p3");', 'output("x1");', "meter(%d);", "clone { output(\"p2\"); }", "ip.ttl--;", "reg0 = %d;", "eth.src = 02:00:00:00:00:0%d;"]
INNER = ("bridge", "inner")  # always there: ports that come with a device need theirs
LASTS = ["drop;", "goto(1);", 'call(1); output("p2");', 'output("p3");', 'output("p2");']


def random_actions(choose, inner=False):
    """`inner`: of table 1 or a bucket, which go nowhere else: how many packets a burst may become is limited."""
    steps = [choose.choice(STEPS[inner:]) for _ in range(choose.randrange(3))] + [choose.choice(LASTS[3 * inner:])]
    return " ".join(step % choose.randrange(1, 5) if "%" in step else step for step in steps)


def random_row(choose):
    """(key, row) of a small space: rows that contradict, cover and refer to each other."""
    kind, number = choose.choice(("flow",) * 6 + ("group", "table", "meter", "bridge")), choose.randrange(60)
    if kind == "group":
        how = choose.choice(("all", "indirect", "select"))
        buckets = 1 if how == "indirect" else choose.randrange(1, 4)
        return (kind, number % 4 + 1), group(number % 4 + 1, how, [(choose.randrange(1, 4), random_actions(choose, True)) for _ in range(buckets)])
    if kind == "table":
        return (kind, number % 3), table(number % 3, "t%d" % choose.randrange(3), miss=choose.choice(("drop;", 'output("p3");', "")))
    if kind == "meter":
        return (kind, number % 4 + 1), meter(number % 4 + 1, "pktps", [(1000 + number, 10)])
    if kind == "bridge":
        return INNER, bridge("inner", reserved_multicast=choose.choice(("drop", "pass")))
    match = choose.choice(["ip4.dst == %s" % address(number), "ip4.dst == %s/28" % address(number & ~15), "udp.dst == %d" % number,
                           "udp.dst >= %d && udp.dst <= %d" % (number, number + 9), "udp.dst == {%d, %d}" % (number, number + 1), "1"])
    where, at = choose.choice(("", "", "", "inner")), choose.randrange(2)
    actions = 'output("x3");' if where else random_actions(choose, at == 1)
    priority = choose.randrange(3)
    return (kind, where, at, priority, match), flow(at, priority, match, actions, bridge=where)


def random_transaction(choose, held):
    """Ops on some random rows, each row once; `held`: the keys that stand."""
    ops = {}
    for _ in range(choose.randrange(1, 8)):
        key, row = random_row(choose)
        if key in held and key != INNER and choose.random() < 0.4:
            held.discard(key)
            ops[key] = op("delete", row)
        else:
            held.add(key)
            ops[key] = op("upsert", row)
    return list(ops.values())


def prepare_for_rebuild(switch, frames):
    """Ports in both bridges; the rows that are rebuilt may name them."""
    switch.control.transaction([+1, bridge("inner"), +1, port("x1", peer="x2", number=11), +1, port("x2", bridge="inner", peer="x1", number=1)])
    switch.files({"p1": frames, "p2": [], "p3": []})
    switch.files({"x3": []}, first=3, bridge="inner")


@pytest.mark.parametrize("seed", range(sized(2, 5)))
def test_ovn25_incremental_state_equals_a_rebuild_from_a_dump_in_a_fresh_process(switches, seed):
    choose = random.Random(seed)
    frame = functools.cache(lambda to, dport: udp("10.9.9.9", address(to), dport=dport))
    frames = [frame(choose.randrange(64), choose.randrange(70)) for _ in range(sized(2000, 100_000))]
    old, new, held = switches(), switches(), {INNER}
    prepare_for_rebuild(old, frames)
    prepare_for_rebuild(new, frames)
    for _ in range(sized(200, 5000)):
        old.control.transaction(random_transaction(choose, held))
    dumped = {relation: [getattr(each.row, relation) for each in old.control.get(relation)] for relation in REBUILT}
    assert sum(map(len, dumped.values())) == len(held)
    for relation in choose.sample(REBUILT, len(REBUILT)):
        load(new.control, choose.sample(dumped[relation], len(dumped[relation])), how="upsert")
    for relation in REBUILT:
        assert new.control.digest(relation=relation) == old.control.digest(relation=relation), relation
    drops, counters = [], []
    for switch in (old, new):
        switch.control.barrier()
        switch.send(p1=len(frames))
        drops.append(switch.control.stats("drops"))
        counters.append({each.row.flow.SerializeToString(deterministic=True): (each.packets, each.bytes) for each in switch.control.get("flow")})
        switch.books_close()
    assert drops[0] == drops[1] and counters[0] == counters[1]
    left = [switch.stop() for switch in (old, new)]
    assert left[0] == left[1]
    print("%d rows, %d packets in, %s out, %s" % (len(held), len(frames), {name: len(outs) for name, outs in left[0].items()}, {name: values["packets"] for name, values in drops[0]["drops"].items() if values["packets"]}))
    assert all(len(left[0][name]) > 20 for name in ("p2", "p3", "x3"))
