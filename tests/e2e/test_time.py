"""Timeouts of flows and ages of addresses, by a clock that the test moves."""
import pytest

from frames import tagged, udp
from rig import Refused, bridge, flow

FRAME = udp("10.0.0.1", "10.0.0.2")


@pytest.fixture
def manual(switches):
    return switches("--clock", "manual")


def expired(watcher):
    event = watcher.next_event()
    assert event is not None, "no flow expired"
    return (event.flow_expired.flow.priority, event.flow_expired.reason, event.flow_expired.packets)


def test_a_hard_timeout_counts_from_the_commit_and_an_idle_one_from_the_last_packet(manual):
    manual.files({"p1": [FRAME] * 10, "p2": []})
    watcher, control = manual.client("watcher"), manual.control
    watcher.watch("flow")
    control.transaction([+1, flow(0, 3, "udp", 'output("p2");', hard_timeout_s=10),
                         +1, flow(0, 2, "udp", 'output("p2");', idle_timeout_s=4),
                         +1, flow(0, 1, "udp", "drop;")])
    control.advance(9999)
    manual.send(p1=1)
    assert sorted(key[1] for key in manual.flows()) == [1, 3]
    assert expired(watcher) == (2, "idle", 0)
    control.advance(1)
    assert expired(watcher) == (3, "hard", 1)
    control.transaction([+1, flow(0, 4, "udp", 'output("p2");', idle_timeout_s=4)])
    for _ in range(5):
        control.advance(3000)
        manual.send(p1=1)
    assert sorted(key[1] for key in manual.flows()) == [1, 4]
    control.advance(3999)
    assert sorted(key[1] for key in manual.flows()) == [1, 4]
    control.advance(1)
    assert expired(watcher) == (4, "idle", 5)
    manual.control.barrier()
    manual.send(p1=1)
    assert manual.drops() == {"policy": 1}
    assert manual.stop() == {"p2": [FRAME] * 6}


def test_an_expiry_is_a_generation_and_the_row_can_come_again(manual):
    control = manual.control
    row = flow(0, 1, "udp", "drop;", hard_timeout_s=1)
    first = control.transaction([+1, row])
    control.advance(1000)
    assert manual.flows() == {}
    again = control.transaction([+1, row])
    assert again.added == 1
    assert again.generation == first.generation + 2


def test_a_learned_address_ages(manual):
    there = tagged(eth_src="02:00:00:00:00:0a", eth_dst="02:00:00:00:00:0b")
    back = tagged(eth_src="02:00:00:00:00:0b", eth_dst="02:00:00:00:00:0a")
    manual.control.transaction([+1, bridge("main", mac_age_s=60), +1, flow(0, 1, "1", "output(normal);")])
    manual.files({"a": [there] * 4, "b": [back], "c": []})
    watcher = manual.client("watcher")
    watcher.watch("mac")
    manual.send(b=1)
    assert watcher.next_event().mac_learned.mac == "02:00:00:00:00:0b"
    manual.control.barrier()
    manual.send(a=1)
    watcher.next_event()
    manual.control.advance(59000)
    assert {row.row.learned_mac.mac for row in manual.control.get("learned_mac")} == {"02:00:00:00:00:0a", "02:00:00:00:00:0b"}
    manual.control.advance(2000)
    manual.control.barrier()
    manual.send(a=1)  # b is forgotten: floods again
    assert manual.stop() == {"a": [back], "b": [there] * 2, "c": [back, there]}


def test_only_a_manual_clock_can_be_moved(switch):
    with pytest.raises(Refused) as refused:
        switch.control.advance(1)
    assert refused.value.code == "unsupported"
    assert "--clock manual" in refused.value.nak.message


def test_events_can_be_asked_for_from_a_number_on(manual):
    control = manual.control
    acks = [control.transaction([+1, flow(0, n, "udp", "drop;")], id="t%d" % n) for n in range(5)]
    late = manual.client("late")
    late.watch("commit", from_seq=1)
    found = [late.next_event() for _ in range(5)]
    assert [event.commit.id for event in found] == ["t%d" % n for n in range(5)]
    assert [event.commit.generation for event in found] == [ack.generation for ack in acks]
    again = manual.client("again")
    again.watch("commit", from_seq=found[3].seq)
    assert again.next_event().commit.id == "t3"
    again.unwatch()
    control.transaction([+1, flow(0, 9, "udp", "drop;")])
    assert again.next_event().commit.id == "t4"
    assert again.next_event(timeout=0.2) is None
