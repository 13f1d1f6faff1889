"""Rows of every relation change by difference, all or nothing, however the change is said (OVN-9, OVN-21, OVN-23, DDL-8). What
it costs is for the bench: `./run bench add-port delta-cost relations churn` (DDL-10, OVN-22, DDL-9, OVN-26)."""
import os
import random
import sys

import pytest
from frames import TCP, Ether, IP, udp
from rig import BUILD, Refused, bridge, flow, group, meter, op, pb, sized, table

sys.path.insert(0, os.path.join(BUILD, "control"))
import weft_digest  # noqa: E402

# The i-th row of each relation, in one of two versions under the same key. Ports are ends of patches: they need no device.
SAMPLES = {
    "bridge": lambda i, v: bridge("b%d" % i, reserved_multicast=("pass", "punt")[v]),
    "port": lambda i, v: pb.Port(name="t%d" % i, peer="peer%d" % i, tag=("a", "b")[v]),
    "table": lambda i, v: table(1 + i, ("here", "there")[v]),
    "flow": lambda i, v: flow(0, 1 + i, "ip4", ("drop;", 'output("t1");')[v]),
    "group": lambda i, v: group(1 + i, "select", [(1, "drop;"), (2 + v, 'output("t1");')]),
    "meter": lambda i, v: meter(1 + i, "pktps", [(100 + v, 5)]),
}
WRONG = {  # and a row that each of them refuses
    "bridge": bridge("b", reserved_multicast="sometimes"),
    "port": pb.Port(name="t", vlan_tag=5000),
    "table": table(1, miss="output("),
    "flow": flow(0, 1, "ip4.dst == 10.0.0.300", "drop;"),
    "group": group(1, "selective", []),
    "meter": meter(1, "miles", [(1, 1)]),
}
every_relation = pytest.mark.parametrize("relation", SAMPLES)


def test_every_relation_of_the_schema_is_tested_here():
    assert set(SAMPLES) == set(WRONG) == {field.name for field in pb.Op.DESCRIPTOR.oneofs_by_name["row"].fields}


def rows_of(control, relation):
    return {getattr(stored.row, relation).SerializeToString(deterministic=True): stored for stored in control.get(relation)}


def assert_holds(control, relation, wanted):
    """These rows and no others, by dump and by digest."""
    held = [getattr(stored.row, relation) for stored in control.get(relation)]
    # Of each wanted row the switch may know more (defaults written out), but nothing else.
    assert len(held) == len(wanted)
    keys = {weft_digest.key_of(row).SerializeToString(deterministic=True): row for row in held}
    for row in wanted:
        stands = keys[weft_digest.key_of(row).SerializeToString(deterministic=True)]
        for field, value in row.ListFields():
            assert getattr(stands, field.name) == value or field.name == "buckets", (field.name, stands)
    assert control.digest(relation=relation).get(("", relation), (0, 0)) == weft_digest.digest((row, 0) for row in held)


@every_relation
def test_ovn23_one_bad_op_refuses_the_whole_transaction(switch, relation):
    """OVN-23, errors: wherever it stands, in any relation, with rows of every other relation around it."""
    control, sample = switch.control, SAMPLES[relation]
    control.transaction([+1, sample(0, 0)])
    before, generation = control.digest(), control.call("digest").generation
    good = [op(+1, SAMPLES[other](5, 0)) for other in SAMPLES] + [op(-1, sample(0, 0)), op("upsert", sample(0, 1))]
    for at in (0, len(good) // 2, len(good)):
        with pytest.raises(Refused) as refused:
            control.transaction(good[:at] + [op(+1, WRONG[relation])] + good[at:])
        assert (refused.value.nak.op, refused.value.nak.HasField("op")) == (at, True)
        assert refused.value.nak.path.startswith(relation) and refused.value.nak.message
    assert control.digest() == before
    assert control.call("digest").generation == generation
    assert_holds(control, relation, [sample(0, 0)])


@every_relation
def test_ovn23_a_conflict_over_a_row_is_one_in_any_relation(switch, relation):
    """OVN-23, errors: a second row under a key, another owner's row, a version that is not newer, a comparison that fails."""
    control, other, sample = switch.client("one"), switch.client("two"), SAMPLES[relation]
    control.transaction([op(+1, sample(0, 0), version=7)])
    before = control.digest()
    for client, change, code in ((control, op(+1, sample(0, 1)), "key_conflict"), (other, op(+1, sample(0, 1)), "conflict"),
                                 (control, op("upsert", sample(0, 1), version=7), "stale_version"),
                                 (control, op("upsert", sample(0, 1), version=9, if_version=6), "cas_failed"),
                                 (control, op("upsert", sample(0, 1), version=9, if_absent=True), "cas_failed"),
                                 (control, pb.Op(weight=0, **{relation: sample(0, 0)}), "no_weight")):
        with pytest.raises(Refused) as refused:
            client.transaction([op(+1, sample(1, 0)), change])
        assert (refused.value.code, refused.value.nak.op) == (code, 1), (code, refused.value)
    assert control.digest() == before


@every_relation
def test_ovn23_what_is_not_finished_is_nothing(switch, relation):
    """OVN-23, partial failure: a transaction in parts whose client goes away, and one of whose parts is refused."""
    sample = SAMPLES[relation]
    before = switch.control.digest()
    gone = switch.client("gone")
    gone.call("transaction", id="t", more=True, ops=[pb.Op(weight=1, **{relation: sample(i, 0)}) for i in range(20)])
    gone.close()
    again = switch.client("gone")
    ack = again.call("transaction", id="t", ops=[pb.Op(weight=1, **{relation: sample(30, 0)})])
    assert (ack.added, ack.dup) == (1, False)
    again.call("transaction", id="u", more=True, ops=[pb.Op(weight=1, **{relation: sample(1, 0)})])
    with pytest.raises(Refused):
        again.call("transaction", id="u", ops=[pb.Op(weight=1, **{relation: WRONG[relation]})])
    assert_holds(again, relation, [sample(30, 0)])
    again.transaction([-1, sample(30, 0)])
    assert switch.control.digest() == before


@every_relation
def test_ovn23_a_batch_of_changes_counts_and_leaves_what_its_ops_say(switch, relation):
    """OVN-23, batches: any mix of ops against a model, and the generation of rows that did not change stays."""
    control, sample = switch.control, SAMPLES[relation]
    chance, model = random.Random(3), {}
    born = {}
    for _ in range(25):
        changes, after = [], dict(model)
        for i in chance.sample(range(60), chance.randrange(1, 25)):
            version = chance.randrange(2)
            how = chance.choice(("upsert", "delete", "add", "again", "nothing"))
            if how == "upsert":
                changes.append(op("upsert", sample(i, version)))
                after[i] = version
            elif how == "delete":
                changes.append(op("delete", sample(i, version)))
                after.pop(i, None)
            elif how == "add" and i not in model:
                changes.append(op(+1, sample(i, version)))
                after[i] = version
            elif how == "again" and i in model:
                changes.append(op(+1, sample(i, model[i])))
            else:
                changes += [op(+2, sample(i, version)), op(-1, sample(i, version)), op(-1, sample(i, version))]
                if model.get(i) == version:
                    continue
        chance.shuffle(changes)
        if not changes:
            continue
        ack = control.transaction(changes)
        came = [i for i in after if model.get(i) != after[i]]
        went = [i for i in model if after.get(i) != model[i]]
        assert (ack.added, ack.removed) == (len(came), len(went))
        model = after
        born = {i: ack.generation if i in came else born[i] for i in model}
    assert_holds(control, relation, [sample(i, version) for i, version in model.items()])
    held = {weft_digest.key_of(getattr(stored.row, relation)).SerializeToString(deterministic=True): stored.generation
            for stored in control.get(relation)}
    for i, version in model.items():
        assert held[weft_digest.key_of(sample(i, version)).SerializeToString(deterministic=True)] == born[i]
    assert control.transaction(replace={"relations": [relation]}).removed == len(model)


# ---- a controller that has no memory

def random_state(chance, state):
    """A few rows other than before: {key: row}."""
    state = dict(state)
    for _ in range(chance.randrange(1, 6)):
        i = chance.randrange(40)
        kind = chance.choice(("flow", "flow", "group", "table", "meter"))
        if (kind, i) in state and chance.random() < 0.4:
            del state[kind, i]
        elif kind == "flow":
            state[kind, i] = flow(i % 3, 10 + i, "udp.dst == %d" % i, chance.choice(('output("p2");', "group(%d);" % (1 + i), "drop;")))
        else:
            state[kind, i] = SAMPLES[kind](i, chance.randrange(2))
    return state


def test_ddl8_a_controller_that_only_replaces_changes_as_little_as_one_that_sends_deltas(switches):
    """DDL-8, OVN-21: after each of many states the same counts, the same generations of rows, the same counters; only the bytes differ."""
    chance, state = random.Random(int(os.environ.get("WEFT_SEED", "5"))), {}
    edits = sized(60, 1000)
    frames = [udp("10.0.0.1", "10.0.0.2", dport=chance.randrange(40)) for _ in range(10 * edits)]
    both = switches(), switches()
    deltas, replaces = (switch.client("controller") for switch in both)
    for switch in both:
        switch.files({"p1": frames, "p2": []})
    sent = {"delta": 0, "replace": 0}
    for edit in range(edits):
        after = random_state(chance, state)
        ops = [op(-1, row) for key, row in state.items() if after.get(key) != row]
        ops += [op(+1, row) for key, row in after.items() if state.get(key) != row]
        whole = [op(+1, row) for row in after.values()]
        sent["delta"] += sum(each.ByteSize() for each in ops)
        sent["replace"] += sum(each.ByteSize() for each in whole)
        one = deltas.transaction(ops)
        all_again = replaces.transaction(whole, replace={"relations": ["flow", "group", "table", "meter"]})
        assert (one.added, one.removed) == (all_again.added, all_again.removed), edit
        state = after
        for switch in both:
            switch.control.barrier()
            switch.send(p1=10)
    stored = [{(relation, key): (row.packets, row.bytes, row.generation) for relation in ("flow", "group", "table", "meter")
               for key, row in rows_of(client, relation).items()} for client in (deltas, replaces)]
    assert stored[0] == stored[1] and len(stored[0]) == len(state)
    assert any(packets for packets, _, _ in stored[0].values()), "some packets were counted"
    for relation in ("flow", "group", "table", "meter"):
        assert deltas.digest(relation=relation) == replaces.digest(relation=relation)
    assert sent["replace"] > 2 * sent["delta"]
    assert both[0].stop() == both[1].stop()


# ---- access lists over sets

SERVICES, SOURCES = (22, 80, 443), ["192.168.%d.%d" % (n // 250, n % 250 + 1) for n in range(40)]


def member(clause, match):
    return flow(0, 100, match, "conjunction(7, %d/3);" % clause)


def test_ovn9_a_member_of_a_set_is_one_op_and_touches_no_other_rule(switch):
    """OVN-9, its stateless part: an allow rule over an address set, a port group and services. The sets are rows by member; their
    product is never written out, and one more address is one op, whatever the other sets hold."""
    def frame(src, dport):
        return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst="10.0.0.9") / TCP(sport=999, dport=dport))

    new = "172.16.0.9"
    asked = [(src, dport) for src in (SOURCES[0], SOURCES[39], new, "8.8.8.8") for dport in (22, 443, 25)]
    frames = [frame(*each) for each in asked]
    switch.files({"p1": frames * 3, "p2": [frames[0]], "out": []})
    control = switch.control
    group_of_ports = [member(1, 'inport == "p1"')]
    addresses = [member(2, "ip4.src == " + src) for src in SOURCES]
    services = [member(3, "tcp.dst == %d" % dport) for dport in SERVICES]
    allow = flow(0, 100, "conj_id == 7 && ip4", 'output("out");')
    first = control.transaction([(+1, row) for row in group_of_ports + addresses + services + [allow, flow(0, 1, "1", "drop;")]])
    assert control.explain(table=0).tables[0].rules == 1 + 40 + 3 + 2, "the sets, not their product"

    def seen():
        control.barrier()
        before = switch.port_stats("out")["tx_packets"]
        switch.send(p1=len(frames))
        return switch.port_stats("out")["tx_packets"] - before

    assert seen() == 2 * 2, "two known addresses, two services"
    added = control.transaction([+1, member(2, "ip4.src == " + new)])
    assert (added.added, added.removed) == (1, 0)
    assert seen() == 3 * 2
    removed = control.transaction([-1, member(2, "ip4.src == " + SOURCES[39])])
    assert (removed.added, removed.removed) == (0, 1)
    assert seen() == 2 * 2
    assert {row.generation for row in switch.flows().values()} == {first.generation, added.generation}
    # A port joins the group: one op again. Until then its packets are not for this rule.
    switch.send(p2=1)
    assert switch.drops()["policy"] >= 1
    assert control.transaction([+1, member(1, 'inport == "p2"')]).added == 1


# ---- groups whose buckets come and go

def test_a_next_hop_that_leaves_a_group_row_moves_no_flow_of_the_others(switch):
    """A bucket is known by its actions, not by its place in the row."""
    hops = {"p%d" % n: 'ip.ttl--; eth.dst = 02:00:00:00:0%d:01; output("p%d");' % (n, n) for n in (2, 3, 4)}
    frames = [udp("10.1.%d.%d" % (n // 250, n % 250), "10.2.0.1", sport=1024 + n) for n in range(200)]
    switch.files({"p1": frames * 3, "p2": [], "p3": [], "p4": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "ip4", "group(1);"), +1, group(1, "select", [(10, hops[p]) for p in ("p2", "p3", "p4")])])
    switch.send(p1=len(frames))
    control.transaction(["upsert", group(1, "select", [(10, hops[p]) for p in ("p3", "p4")])])
    control.barrier()
    switch.send(p1=len(frames))
    control.transaction(["upsert", group(1, "select", [(10, hops[p]) for p in ("p4", "p2", "p3")])])
    control.barrier()
    switch.send(p1=len(frames))
    outs = {name: [frame[26:30] + frame[34:36] for frame in left] for name, left in switch.stop().items() if name != "p1"}
    firsts = {name: set(left) for name, left in outs.items()}
    assert sum(map(len, outs.values())) == 600 and all(len(left) > 60 for left in outs.values())
    # p2's flows came there twice, and once to others; everybody else's came to one port three times.
    for name in ("p3", "p4"):
        counted = [outs[name].count(which) for which in firsts[name]]
        own = [which for which in firsts[name] if which not in firsts["p2"]]
        assert own and all(outs[name].count(which) == 3 for which in own)
        assert set(counted) <= {1, 3}
    assert all(outs["p2"].count(which) == 2 for which in firsts["p2"])
