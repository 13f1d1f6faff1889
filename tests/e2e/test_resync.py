"""Controllers that come back: what differs is found and mended, and nothing else is touched (G-11, DF-16, DF-30, OVN-25)."""
import os
import random
import sys

import pytest
from frames import udp
from rig import BUILD, Client, flow, op, pb

sys.path.insert(0, os.path.join(BUILD, "control"))
import weft_digest  # noqa: E402


def address(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def row(number, actions):
    return flow(0, 100, "ip4.dst == " + address(number), actions)


def load(control, rows, size=1000):
    rows = list(rows)
    for at in range(0, len(rows), size):
        control.transaction([(+1, each) for each in rows[at:at + size]])


def by_key(rows):
    return {weft_digest.key_of(each).SerializeToString(deterministic=True): each for each in rows}


def mend(control, wanted, finest=1024):
    """Sends what makes the switch's flows be `wanted`; gives (ACK, rows read, digests asked)."""
    asked, read, changes = [0], 0, []
    parts = {}

    def ours(scope, relation, part, parts):
        mine = [each for each in wanted if weft_digest.part_of(each, parts) == part]
        return {(scope, relation): weft_digest.digest((each, 0) for each in mine)}

    def theirs(**what):
        asked[0] += 1
        return control.digest(**what)

    for part in weft_digest.differing_parts(ours, theirs, "flow", finest=finest):
        here = by_key(each.row.flow for each in control.get("flow", part=part, parts=finest))
        parts[part] = here
        read += len(here)
        there = by_key(each for each in wanted if weft_digest.part_of(each, finest) == part)
        changes += [op(-1, here[key]) for key in here if here[key] != there.get(key)]
        changes += [op(+1, there[key]) for key in there if there[key] != here.get(key)]
    return control.transaction(changes), read, asked[0]


def test_a_controllers_own_digests_are_those_of_the_switch(switch):
    rows = [row(n, 'output("p%d");' % (n % 3)) for n in range(100)]
    switch.control.transaction([(+1, each) for each in rows[:50]] + [op(+1, each, version=7) for each in rows[50:]])
    versions = [0] * 50 + [7] * 50
    for parts in (1, 4, 64):
        for part in range(parts):
            mine = [(each, version) for each, version in zip(rows, versions) if weft_digest.part_of(each, parts) == part]
            assert switch.control.digest(relation="flow", part=part, parts=parts) == {("", "flow"): weft_digest.digest(mine)}


def test_df16_what_was_corrupted_is_found_by_bisection_and_mended(switch):
    switch.files({"p1": [udp("10.9.9.9", address(500))] * 2, "p2": []})
    wanted = [row(n, 'output("p2");') for n in range(5000)]
    load(switch.control, wanted)
    switch.control.barrier()
    switch.send(p1=1)
    broken = [op(-1, wanted[n]) for n in (3, 2222, 4999)]
    broken += [op("upsert", row(n, "drop;")) for n in (77, 3100)] + [op(+1, row(70000, "drop;"))]
    switch.control.transaction(broken)
    with Client(switch.socket, name="rig") as again:
        ack, read, asked = mend(again, wanted)
        assert (ack.added, ack.removed) == (5, 3)
        assert read < 60, "of 5000"
        assert asked <= 2 * 6 * 10 + 1
        assert again.digest(relation="flow")[("", "flow")] == weft_digest.digest((each, 0) for each in wanted)
        counted = {each.row.flow.match: each.packets for each in again.get("flow")}
    switch.send(p1=1)
    assert counted["ip4.dst == " + address(500)] == 1, "rows that were right keep their counters"
    assert len(switch.stop()["p2"]) == 2


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
    frames = [udp("10.9.9.9", address(n % 50)) for n in range(600)]
    switch.files({"p1": frames, "p2": []})
    with Client(switch.socket, name="agent", owner_epoch=1) as first:
        load(first, (row(n, 'output("p2");') for n in range(100)))
        first.barrier()
    switch.send(p1=300)
    with Client(switch.socket, name="agent", owner_epoch=2) as second:
        load(second, (row(n, 'output("p2");') for n in range(50)))
        switch.send(p1=100)
        ack = second.transaction(sweep=pb.Sweep(relations=["flow"]))
        assert (ack.added, ack.removed) == (0, 50)
        second.barrier(ack.generation)
        switch.send(p1=200)
        rows = list(second.get("flow"))
        assert len(rows) == 50 and sum(each.packets for each in rows) == 600
    assert switch.stop()["p2"] == frames


def random_edit(choose, state):
    """One op on a random flow of a small space, and what it makes of `state` {(table, priority, match): actions}."""
    number = choose.randrange(60)
    actions = choose.choice(['output("p2");', 'output("p3");', "drop;", "goto(1);", "call(1); output(\"p2\");"])
    match = choose.choice(["ip4.dst == %s" % address(number), "ip4.dst == %s/28" % address(number & ~15), "udp.dst == %d" % number,
                           "udp.dst >= %d && udp.dst <= %d" % (number, number + 9), "1"])
    table = choose.randrange(2)
    if table == 1 and ("goto" in actions or "call" in actions):
        actions = "reg0 = 1; output(\"p3\");"
    key = (table, choose.randrange(3), match)
    if key in state and choose.random() < 0.4:
        state.pop(key)
        return op("delete", flow(key[0], key[1], match, "drop;"))
    state[key] = actions
    return op("upsert", flow(key[0], key[1], match, actions))


@pytest.mark.parametrize("seed", range(2))
def test_ovn25_incremental_state_equals_a_rebuild_from_a_dump_in_a_fresh_process(switches, seed):
    choose = random.Random(seed)
    frames = [udp("10.9.9.9", address(choose.randrange(64)), dport=choose.randrange(70)) for _ in range(2000)]
    old, state = switches(), {}
    old.files({"p1": frames, "p2": [], "p3": []})
    for _ in range(150):
        edits, keys = [], set()
        for _ in range(choose.randrange(1, 8)):
            edit = random_edit(choose, state)
            key = weft_digest.key_of(edit.flow).SerializeToString(deterministic=True)
            if key in keys:  # two upserts of one key in a transaction contradict each other
                old.control.transaction(edits)
                edits, keys = [], set()
            edits.append(edit)
            keys.add(key)
        old.control.transaction(edits)
    new = switches()
    new.files({"p1": frames, "p2": [], "p3": []})
    dumped = [each.row.flow for each in old.control.get("flow")]
    assert len(dumped) == len(state)
    load(new.control, dumped)
    assert new.control.digest(relation="flow") == old.control.digest(relation="flow")
    for switch in (old, new):
        switch.control.barrier()
        switch.send(p1=len(frames))
    drops = [switch.control.stats("drops") for switch in (old, new)]
    counters = [{each.row.flow.SerializeToString(deterministic=True): each.packets for each in switch.control.get("flow")}
                for switch in (old, new)]
    assert drops[0] == drops[1] and counters[0] == counters[1]
    left = [switch.stop() for switch in (old, new)]
    assert left[0] == left[1]
    assert len(left[0]["p2"]) + len(left[0]["p3"]) > 100
