"""Controllers that share rows: compare-and-swap, versions and tombstones, a lease that one of them holds (DF-11, DF-15, GS-1)."""
import pytest

from frames import numbered, udp
from rig import Refused, flow, op

VIA = {2: 'output("p2");', 3: 'output("p3");'}


def row(number, port):
    return flow(0, 100, "ip4.dst == 10.0.0.%d" % number, VIA[port])


def refused(control, changes, **more):
    with pytest.raises(Refused) as failed:
        control.transaction(changes, **more)
    return failed.value


def stands(switch):
    """{last byte of the address: (port, version)}"""
    ways = {actions: port for port, actions in VIA.items()}
    return {int(stored.row.flow.match.rsplit(".", 1)[1]): (ways[stored.row.flow.actions], stored.version) for stored in switch.control.get("flow")}


# ---- DF-11

def test_df11_two_clients_that_compare_and_swap_lose_no_update(switch):
    """Two processes of one controller: each swaps what it knows for the next; who came too late hears what stands and tries again."""
    one, two = switch.client("agent"), switch.client("agent")
    one.transaction([op(+1, row(1, 2), version=1, if_absent=True)])
    known, late, done = {one: (2, 1), two: (2, 1)}, 0, 0
    for turn in range(200):
        client = (one, two, two)[turn % 3]
        port, version = known[client]
        try:
            client.transaction([op("upsert", row(1, 5 - port), version=version + 1, if_version=version)])
            known[client] = (5 - port, version + 1)
            done += 1
        except Refused as failure:
            assert failure.code == "cas_failed", failure
            late += 1
            known[client] = (2 if failure.nak.current_row.flow.actions == VIA[2] else 3, failure.nak.current_version)
    assert late > 20 and done > 100
    assert stands(switch) == {1: (2 + done % 2, 1 + done)}


def test_df11_a_comparison_that_fails_undoes_its_whole_transaction_and_says_what_stands(switch):
    switch.files({"p1": [udp("10.9.9.9", "10.0.0.1")] * 3, "p2": [], "p3": []})
    control = switch.client("agent")
    control.transaction([op(+1, row(1, 2), version=5)])
    control.barrier()
    switch.send(p1=1)
    before = switch.digest_of()
    failure = refused(control, [op(+1, row(2, 3)), op("upsert", row(1, 3), version=9, if_version=4)])
    assert (failure.code, failure.nak.op, failure.nak.current_version) == ("cas_failed", 1, 5)
    assert failure.nak.current_row.flow == row(1, 2)
    assert switch.digest_of() == before
    assert refused(control, [op(+1, row(1, 2), if_absent=True)]).code == "cas_failed"
    assert refused(control, [op("delete", row(1, 2), if_version=4)]).code == "cas_failed"
    switch.send(p1=1)
    control.transaction([op("upsert", row(1, 3), version=9, if_version=5)])
    control.barrier()
    switch.send(p1=1)
    assert control.transaction([op("delete", row(1, 3), if_version=9)]).removed == 1
    assert {name: len(frames) for name, frames in switch.stop().items()} == {"p2": 2, "p3": 1}


# ---- DF-15

def test_df15_what_is_older_changes_nothing_and_does_not_raise_the_dead(switch):
    switch.files({"p1": [udp("10.9.9.9", "10.0.0.1")] * 4, "p2": [], "p3": []})
    control = switch.client("agent")
    control.transaction([op("upsert", row(1, 2), version=5)])
    for version in (5, 4):
        failure = refused(control, [op("upsert", row(1, 3), version=version)])
        assert (failure.code, failure.nak.current_version) == ("stale_version", 5)
    control.barrier()
    switch.send(p1=1)
    control.transaction([op("delete", row(1, 2), version=8)])
    control.barrier()
    switch.send(p1=1)
    failure = refused(control, [op("upsert", row(1, 3), version=7)])  # one that was on its way when the row was deleted
    assert (failure.code, failure.nak.current_version) == ("stale_version", 8)
    assert stands(switch) == {}
    switch.send(p1=1)
    control.transaction([op("upsert", row(1, 3), version=9)])
    control.barrier()
    switch.send(p1=1)
    assert switch.drops() == {"no_match": 2}
    assert {name: len(frames) for name, frames in switch.stop().items()} == {"p2": 1, "p3": 1}


def test_df15_updates_in_any_order_leave_the_newest(switch):
    """A network that reorders and repeats: whatever arrives when, what stands is of the highest version, rows and deletions alike."""
    control = switch.client("agent")
    versions = 40
    for number in range(20):
        for at in range(versions):
            version = 1 + (at * 17 + number * 7) % versions  # each once, in an order of its own
            last = version == versions
            change = op("delete", row(number, 2), version=version) if last and number % 2 else op("upsert", row(number, 2 + version % 2), version=version)
            try:
                control.transaction([change])
            except Refused as failure:
                assert failure.code == "stale_version"
    assert stands(switch) == {number: (2 + versions % 2, versions) for number in range(0, 20, 2)}


# ---- GS-1

def test_gs1_a_failover_loses_no_row_and_no_packet_and_the_old_primary_is_fenced(switches):
    switch = switches("--clock", "manual")
    stream = numbered("10.9.9.9", "10.0.0.1", range(30_000))
    switch.files({"p1": stream, "p2": [], "p3": []})
    old, standby = switch.client("old"), switch.client("standby")
    fence = old.lease("net", 1000)
    committed = {number: (2, 0) for number in range(1, 100)}
    for number in committed:
        old.transaction([+1, row(number, 2)], scope="net", fence=fence)
    old.barrier()
    with pytest.raises(Refused) as failed:
        standby.lease("net", 1000)
    assert failed.value.code == "lease_held"
    assert refused(standby, [+1, row(200, 3)], scope="net").code == "fenced"
    switch.release("p1", 10_000)
    switch.control.advance(1001)  # the primary hangs
    switch.release("p1", 10_000)
    higher = standby.lease("net", 1000)
    assert higher > fence
    late = [op("delete", row(1, 2)), op(+1, row(201, 3))]
    for _ in range(3):  # and wakes up
        assert refused(old, late, scope="net", fence=fence).code == "fenced"
    with pytest.raises(Refused) as failed:
        old.lease("net", 1000, fence=fence)
    assert failed.value.code == "fenced"
    switch.release("p1", 10_000)
    assert stands(switch) == committed
    ack = standby.transaction([(+1, row(number, 2)) for number in committed], scope="net", fence=higher)
    assert (ack.added, ack.removed, ack.unchanged) == (0, 0, len(committed))
    switch.settle()
    assert switch.drops() == {}
    assert switch.stop() == {"p2": stream}
