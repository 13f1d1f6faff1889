"""What stands follows from the rows alone: not from their order, their portions, or how often they were said (NVP-1, NVP-2,
DDL-1 to DDL-4)."""
import random

import pytest

from frames import TCP, UDP, Ether, IP, udp
from rig import Refused, flow, group, pb, port, table

PORTS = ["p1", "p2", "p3", "p4"]


def random_rows(chance, count):
    """Flows of three tables that overlap a lot, and the groups that they name."""
    rows = {}
    groups = [group(n, "select", [(1, 'output("p2");'), (2, 'output("p3");')]) for n in (1, 2)]
    groups += [group(3, "all", ['output("p2");', 'eth.src = 02:00:00:00:00:33; output("p4");']),
               group(4, "indirect", ['output("p4");'])]
    while len(rows) < count - len(groups):
        number = chance.randrange(3)
        terms = []
        if chance.random() < 0.7:
            bits = chance.choice((8, 16, 24, 28, 32))
            address = 0x0A000000 | chance.getrandbits(10) << 2
            address &= ~((1 << 32 - bits) - 1)
            text = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
            terms.append("ip4.%s == %s%s" % (chance.choice(("src", "dst")), text, "" if bits == 32 else "/%d" % bits))
        if chance.random() < 0.4:
            terms.append("%s.%s == %d" % (chance.choice(("tcp", "udp")), chance.choice(("src", "dst")), chance.randrange(1, 9)))
        if chance.random() < 0.2:
            terms.append('inport == "p%d"' % chance.choice((1, 2)))
        actions = ['output("%s");' % chance.choice(PORTS[1:]), "drop;", "group(%d);" % chance.randrange(1, 5), "group(%d);" % chance.randrange(1, 5),
                   "eth.dst = 02:00:00:00:00:%02x; output(\"p2\");" % chance.randrange(256),
                   "ip.ttl--; output(\"p3\");"]
        if number < 2:
            actions += ["call(%d);" % (number + 1)] * 3 + ['call(%d); output("p4");' % (number + 1)]
        row = flow(number, chance.randrange(1, 5), " && ".join(terms) or "1", chance.choice(actions))
        rows.setdefault((row.table, row.priority, row.match), row)
    for number in range(3):  # what matches nothing else
        rows.pop((number, 1, "1"), None)
        rows[(number, 0, "1")] = flow(number, 0, "1", 'output("p4");')
    return list(rows.values()) + groups


def random_packets(chance, count):
    def address():
        return "10.0.%d.%d" % (chance.getrandbits(4), chance.getrandbits(8))
    return [bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=address(), dst=address()) /
                  chance.choice((TCP, UDP))(sport=chance.randrange(1, 9), dport=chance.randrange(1, 9))) for _ in range(count)]


def split(chance, rows):
    """The rows in portions of random size."""
    while rows:
        size = chance.choice((1, 7, 60, 400))
        yield rows[:size]
        rows = rows[size:]


def test_nvp1_no_order_and_no_split_of_the_rows_makes_a_difference(switch):
    seed, permutations = 11, 50
    chance = random.Random(seed)
    print("seed", seed)
    rows, packets = random_rows(chance, 1000), random_packets(chance, 60)
    switch.files({"p1": packets * permutations, "p2": [], "p3": [], "p4": []})
    control, digests = switch.control, set()
    for _ in range(permutations):
        chance.shuffle(rows)
        for portion in split(chance, rows):
            ack = control.transaction([(+1, row) for row in portion])
            assert ack.added == len(portion)
        control.barrier()
        digests.add(tuple(sorted(control.digest().items())))
        switch.send(p1=len(packets))
        removed = control.transaction(replace={"relations": ["flow", "group", "table"]})
        assert removed.removed == len(rows)
    assert len(digests) == 1
    outs = switch.stop()
    assert sum(map(len, outs.values())) > permutations * 20
    for frames in outs.values():
        size = len(frames) // permutations
        assert frames == frames[:size] * permutations


def test_nvp2_everything_may_be_said_twice(switch):
    frame = udp("10.0.0.1", "10.0.0.2")
    switch.files({"p1": [frame] * 8, "p2": []})
    rows = [(+1, flow(0, 10, "ip4", 'output("p2");')), (+1, flow(0, 5, "arp", "drop;"))]
    first = switch.client("twice")
    ack = first.transaction(rows, id="a")
    first.close()
    second = switch.client("twice")  # a name keeps its ids over connections
    again = second.transaction(rows, id="a")
    assert (again.dup, again.generation, again.added) == (True, ack.generation, 2)
    with pytest.raises(Refused) as refused:
        second.transaction(rows[:1], id="a")
    assert refused.value.code == "id_reused"
    digest = switch.digest_of()

    everything = {"replace": {"relations": ["flow"]}}
    assert [second.transaction(rows, **everything).unchanged for _ in range(2)] == [2, 2]
    assert [second.transaction([("upsert", row) for _, row in rows]).unchanged for _ in range(2)] == [2, 2]
    assert switch.digest_of() == digest

    for _ in range(2):
        second.packet_out(frame, 'output("p2");', id="once")
    third = switch.client("twice")
    third.packet_out(frame, 'output("p2");', id="once")
    third.packet_out(frame, 'output("p2");', id="once more")
    for _ in range(2):
        third.watch("commit", id="w")
        third.call("barrier", id="b")
        third.call("get", relation="flow", id="g")
    gone = [("delete", row) for _, row in rows]
    assert [third.transaction(gone).removed for _ in range(2)] == [2, 0]
    assert switch.stop() == {"p2": [frame] * 2}


def test_nvp2_an_id_is_kept_for_a_thousand_transactions(switch):
    control = switch.client("many")
    ids = [control.post("transaction", id="t%d" % number, ops=[pb.Op(weight=1, flow=flow(0, number, "ip4", "drop;"))])
           for number in range(1025)]
    for ident in ids:
        control.wait(ident)
    last = control.transaction([+1, flow(0, 1024, "ip4", "drop;")], id="t1024")
    oldest_kept = control.transaction([+1, flow(0, 1, "ip4", "drop;")], id="t1")
    forgotten = control.transaction([+1, flow(0, 0, "ip4", "drop;")], id="t0")
    assert (last.dup, oldest_kept.dup, forgotten.dup) == (True, True, False)
    assert forgotten.unchanged == 1


# ---- what a DDlog program says

CHANGES = r"""
Flow:
Flow{.table = 0, .priority = 100, .match_ = "ip4.dst == 10.10.10.102", .actions = "output(\"p3\");"}: -1
Flow{.table = 0, .priority = 100, .match_ = "ip4.dst == 10.10.10.102", .actions = "output(\"p1\");"}: +1
"""


def test_ddl1_the_changes_that_a_ddlog_program_prints_are_a_transaction(switch):
    rows = [flow(0, 100, "ip4.dst == 10.10.10.%d" % last, 'output("p%d");' % at) for last, at in ((101, 2), (102, 3), (103, 1))]
    switch.control.transaction([(+1, row) for row in rows])
    answer = switch.ctl("apply", "--format", "ddlog", "-", stdin=CHANGES, check=False)
    assert '"conflict"' in answer.stdout + answer.stderr or answer.returncode == 1  # another owner's rows are not weftctl's to move

    mover = switch.client("ddlog")  # which is what a program that calls ddlog itself does: (relation, record, weight), one to one
    ack = switch.control.transaction([-1, rows[1]])
    ack = mover.transaction([-1, rows[1], +1, flow(0, 100, "ip4.dst == 10.10.10.102", 'output("p1");')])
    assert (ack.added, ack.removed) == (1, 0)
    assert {key[2]: stored.row.flow.actions for key, stored in switch.flows().items()} == {
        "ip4.dst == 10.10.10.101": 'output("p2");', "ip4.dst == 10.10.10.102": 'output("p1");',
        "ip4.dst == 10.10.10.103": 'output("p1");'}


def test_ddl1_weftctl_moves_its_own_rows_by_the_text(switch):
    before = CHANGES.replace("p1", "p9").replace("p3", "p1").replace("p9", "p3")
    loaded = switch.ctl("apply", "--format", "ddlog", "-", stdin=before)
    assert '"added": 1' in loaded.stdout
    moved = switch.ctl("apply", "--format", "ddlog", "-", stdin=CHANGES)
    assert '"added": 1' in moved.stdout and '"removed": 1' in moved.stdout
    assert [stored.row.flow.actions for stored in switch.flows().values()] == ['output("p1");']
    again = switch.ctl("apply", "--format", "ddlog", "-", stdin="Flow{.table = 1, .match = \"1\", .actions = \"drop;\"}: +2\n"
                       "Flow{.table = 1, .match = \"1\", .actions = \"drop;\"}: -1\n")
    assert '"added": 1' in again.stdout


def test_ddl2_a_transaction_in_parts_is_seen_when_its_last_part_is_judged(switch):
    control, other = switch.client("parts"), switch.client("other")
    before = other.digest()
    generation = other.call("digest").generation
    for number in range(10):
        control.call("transaction", id="large", more=True,
                     ops=[pb.Op(weight=1, flow=flow(0, 10 + number * 10000 + i, "ip4", "drop;")) for i in range(10000)])
        assert other.digest() == before
    ack = control.call("transaction", id="large", ops=[pb.Op(weight=1, flow=flow(1, 1, "1", "drop;"))])
    assert (ack.added, ack.generation) == (100001, generation + 1)
    assert other.digest(relation="flow")[("", "flow")][0] == 100001


def test_ddl2_a_connection_that_ends_takes_its_unfinished_transaction_along(switch):
    before = switch.digest_of()
    control = switch.client("gone")
    control.call("transaction", id="half", more=True, ops=[pb.Op(weight=1, flow=flow(0, 1, "ip4", "drop;"))])
    control.close()
    again = switch.client("gone")
    ack = again.call("transaction", id="half", ops=[pb.Op(weight=1, flow=flow(0, 2, "ip4", "drop;"))])
    assert (ack.added, ack.HasField("dup")) == (1, False)
    assert [key[1] for key in switch.flows()] == [2]
    assert before != switch.digest_of()


def test_ddl2_a_part_that_is_refused_takes_the_others_along(switch):
    control = switch.client("parts")
    control.call("transaction", id="bad", more=True, ops=[pb.Op(weight=1, flow=flow(0, 1, "ip4", "drop;"))])
    with pytest.raises(Refused) as refused:
        control.call("transaction", id="bad", ops=[pb.Op(weight=1, flow=flow(0, 2, "ip4.dst == 10.0.0.300", "drop;"))])
    assert (refused.value.nak.op, refused.value.code) == (1, "bad_match")
    assert switch.flows() == {}


def test_ddl3_weights_are_summed_before_anything_happens(switch):
    row, other = flow(0, 1, "ip4", 'output("p1");'), flow(0, 1, "ip4", 'output("p2");')

    def counts(*ops):
        ack = switch.control.transaction(list(ops))
        return (ack.added, ack.removed, ack.unchanged)

    assert counts((+1, row), (-1, row)) == (0, 0, 1)
    assert counts((-1, row), (+1, row)) == (0, 0, 1)
    assert counts((+2, row), (-1, row)) == (1, 0, 0)
    assert counts((+1, row), (-1, row)) == (0, 0, 1)
    assert counts((+1, other), (-3, row), (+1, row)) == (1, 1, 0)
    assert counts((-1, other), (+2, other), (-1, other)) == (0, 0, 1)
    # The same in transactions of their own: each is a commit.
    first = switch.control.transaction([-1, other])
    second = switch.control.transaction([+1, other])
    assert (first.removed, second.added, second.generation) == (1, 1, first.generation + 1)


def test_ddl3_counters_of_a_row_that_nets_to_zero_stay(switch):
    switch.files({"p1": [udp("10.0.0.1", "10.0.0.2")] * 5, "p2": []})
    row = flow(0, 1, "ip4", 'output("p2");')
    ack = switch.control.transaction([+1, row])
    switch.send(p1=5)
    switch.control.transaction([-1, row, +1, row])
    spelled = flow(0, 1, "  ip4 ", 'output( "p2" ) ;')  # spelling makes no other row
    switch.control.transaction([+1, spelled, -1, row])
    stored = switch.flows()[(0, 1, "ip4")]
    assert (stored.packets, stored.generation) == (5, ack.generation)


def test_ddl4_sets_and_keys(switch):
    control, other = switch.client("one"), switch.client("two")
    row = flow(0, 1, "ip4", 'output("p1");')
    assert [control.transaction([+1, row]).unchanged for _ in range(2)] == [0, 1]
    with pytest.raises(Refused) as refused:
        control.transaction([+1, flow(0, 1, "ip4", "drop;")])
    assert refused.value.code == "key_conflict"
    assert "p1" in refused.value.nak.message
    with pytest.raises(Refused) as refused:
        other.transaction([+1, flow(0, 1, "ip4", "drop;")])
    assert refused.value.code == "conflict"
    # Two owners of one row: it is there while one of them holds it.
    assert other.transaction([+1, row]).unchanged == 1
    assert control.transaction([-1, row]).removed == 0
    assert len(switch.flows()) == 1
    assert control.transaction([-1, row]).unchanged == 1  # absent for this owner: no error
    assert other.transaction([-1, row]).removed == 1
    assert switch.flows() == {}


def test_ddl4_upsert_and_delete_by_key(switch):
    control = switch.control
    first = control.transaction(["upsert", flow(0, 1, "ip4", 'output("p1");')])
    second = control.transaction(["upsert", flow(0, 1, "ip4", 'output("p2");')])
    third = control.transaction(["upsert", flow(0, 1, "ip4", 'output("p2");')])
    assert [(ack.added, ack.removed, ack.unchanged) for ack in (first, second, third)] == [(1, 0, 0), (1, 1, 0), (0, 0, 1)]
    assert control.transaction(["delete", flow(0, 1, "ip4", "")]).removed == 1
    assert control.transaction(["delete", flow(0, 1, "ip4", "")]).removed == 0


def test_a_replace_of_a_scope_leaves_other_scopes_alone(switch):
    control = switch.control
    control.transaction([(+1, flow(0, n, "ip4", "drop;")) for n in range(10)], scope="a")
    control.transaction([(+1, flow(1, n, "ip4", "drop;")) for n in range(10)], scope="b")
    before = switch.digest_of()
    ack = control.transaction([(+1, flow(0, n, "ip4", "drop;")) for n in range(5, 15)], scope="a", replace={"scope": "a"})
    assert (ack.added, ack.removed, ack.unchanged) == (5, 5, 5)
    after = switch.digest_of()
    assert after[("b", "flow")] == before[("b", "flow")]
    assert after[("a", "flow")] != before[("a", "flow")]
    assert after[("a", "flow")][0] == 10


def test_a_port_group_and_table_rows_may_come_before_and_after_what_names_them(switch):
    frame = udp("10.0.0.1", "10.0.0.2")
    control = switch.control
    control.transaction([+1, flow(0, 1, "ip4", "group(7);"), +1, flow(0, 2, "udp.dst == 9", "goto(9);")])
    missing = sorted(pending.missing for pending in control.pending())
    assert missing == ["group 7", "table 9"] or missing == ["group 7"]
    control.transaction([+1, group(7, "indirect", ['output("p2");'])])
    assert [pending.missing for pending in control.pending() if "p2" in pending.missing] == ['port "p2"']
    switch.files({"p1": [frame] * 2, "p2": []})
    control.transaction([+1, table(9, "nine", miss='output("p2");')])
    assert list(control.pending()) == []
    switch.send(p1=2)
    assert switch.stop() == {"p2": [frame] * 2}


def test_a_port_over_a_missing_file_fails_alone(switch):
    switch.control.transaction([+1, port("bad", "net_pcap_bad,rx_pcap=/no/such/file.pcap")])
    frame = udp("10.0.0.1", "10.0.0.2")
    switch.files({"p1": [frame], "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    switch.send(p1=1)
    statuses = {row.row.port_status.name: row.row.port_status for row in switch.control.get("port_status")}
    assert statuses["bad"].state == "failed"
    assert "/no/such/file.pcap" in statuses["bad"].error
    assert switch.stop() == {"p2": [frame]}
