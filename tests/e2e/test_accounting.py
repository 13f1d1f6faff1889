"""Every packet is accounted for, per worker: received + made = sent + dropped + taken + held."""
import pytest

from frames import numbered, tagged, udp
from rig import flow, group, wait_until

FRAME = udp("10.0.0.1", "10.0.0.2")


def rules():
    """A packet's UDP destination says what becomes of it."""
    def at(dport, actions):
        return (+1, flow(0, 10, "udp.dst == %d" % dport, actions))
    return [
        (+1, group(1, "all", ['output("p2");', 'ip.ttl--; output("p3");', 'output("p4");'])),
        at(1, "output(flood);"),
        at(2, 'clone { ip.ttl--; output("p2"); } output("p3");'),
        at(3, "group(1);"),
        at(4, "controller(reason=1);"),
        at(5, 'controller(reason=1); output("p2");'),
        at(6, "drop;"),
        at(7, 'output("nowhere"); output("p2");'),
        at(8, 'output("p1");'),
        at(9, "call(0);"),
        at(10, 'output("p2"); output("p3"); output("p4");'),
        at(11, "output(normal);"),
    ]


KINDS = 12  # destinations 1 to 11, and 12 that matches nothing
OUT = {1: 3, 2: 2, 3: 3, 5: 1, 7: 1, 10: 3, 11: 3}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_books_close_under_flood_clone_groups_and_punts(switches, workers):
    each = 50
    frames = [udp("10.0.0.1", "10.0.0.2", dport=kind, payload=b"%d" % n) for n in range(each) for kind in range(1, KINDS + 1)]
    switch = switches(workers=workers)
    watcher = switch.client("watcher")
    watcher.watch("packet_in")
    share = len(frames) // workers
    outs = {name: [[] for _ in range(workers)] for name in ("p2", "p3", "p4")}
    switch.files({"p1": [frames[n * share:(n + 1) * share] for n in range(workers)], **outs}, queues=workers)
    switch.control.transaction(rules())
    for portion in range(10):
        switch.send(p1=len(frames) // 10)
        switch.books_close()
    totals = switch.books_close()
    drops = switch.drops()
    assert totals["received"] == len(frames)
    assert totals["sent"] == each * sum(OUT.values())
    assert sum(drops.values()) == totals["dropped"]
    punted = totals["taken"]
    assert punted + drops.get("punt_rate", 0) + drops.get("punt_queue_full", 0) == 2 * each
    assert drops["policy"] == drops["no_match"] == drops["output_to_ingress_port"] == each
    assert drops["no_such_port"] == each
    assert drops["steps_exceeded" if "steps_exceeded" in drops else "depth_exceeded"] == each
    ports = switch.control.stats("ports")["ports"]
    assert sum(of["tx_packets"] for of in ports.values()) == totals["sent"]
    assert sum(of["rx_packets"] for of in ports.values()) == totals["received"]
    told = 0
    while told < punted:
        event = watcher.next_event()
        assert event is not None and event.WhichOneof("event") == "packet_in"
        told += 1
    assert sum(map(len, switch.stop().values())) == totals["sent"]


def test_the_books_close_under_packet_outs(switch):
    switch.files({"p1": [], "p2": [], "p3": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "udp", 'output("p3");')])
    ids = []
    for number in range(300):
        actions = ('output("p2");', "output(flood);", "drop;", "call(0);", 'output("p9");')[number % 5]
        ids.append(control.post("packet_out", port="p1", packet=FRAME, actions=actions))
    for ident in ids:
        control.wait(ident)
    wait_until(lambda: switch.totals()["made"] >= 300 and switch.totals()["held"] == 0, lambda: str(switch.totals()))
    totals = switch.books_close()
    assert totals["received"] == 0
    assert totals["sent"] == 60 + 120 + 60
    assert switch.drops() == {"policy": 60, "no_such_port": 60}
    outs = switch.stop()
    assert {name: len(frames) for name, frames in outs.items()} == {"p2": 120, "p3": 120}
    assert all(frame == FRAME for frames in outs.values() for frame in frames)


def test_the_books_close_while_ports_go_away_under_traffic(switch):
    count = 60000
    switch.files({"p1": numbered("10.0.0.1", "10.0.0.2", range(count)), "p2": [], "p3": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "1", 'output("p2"); output("p3");')])
    gone = switch.file_port("p3", number=3, hold=True)
    for turn in range(6):
        switch.release("p1", count // 6)
        control.transaction([-1 if turn % 2 == 0 else +1, gone])
    switch.settle()
    totals = switch.books_close()
    assert totals["received"] == count
    assert set(switch.drops()) <= {"no_such_port", "port_down", "port_closed"}
    assert len(switch.stop()["p2"]) == count


def test_a_packet_in_brings_the_packet_and_what_was_known_of_it(switch):
    frames = [udp("10.0.0.1", "10.0.0.2", payload=bytes(200)), tagged(7)]
    switch.files({"p1": frames, "p2": []})
    watcher = switch.client("watcher")
    watcher.watch("packet_in")
    switch.control.transaction([
        +1, flow(0, 5, "1", "reg3 = 0x1234; call(2);"),
        +1, flow(2, 5, "!vlan.present", "controller(reason=7, max_bytes=64);", cookie=99),
        +1, flow(2, 5, "vlan.present", "controller(reason=8);")], strict=True)
    switch.send(p1=2)
    first, second = watcher.next_event().packet_in, watcher.next_event().packet_in
    assert (first.port, first.table, first.reason, first.packet_bytes) == ("p1", 2, 7, len(frames[0]))
    assert first.packet == frames[0][:64]
    assert first.metadata["reg3"] in ("0x1234", "4660")
    assert (second.reason, second.packet) == (8, frames[1])
    assert switch.stop() == {}


def test_too_many_punts_of_one_port_are_dropped_by_name_and_counted(switch):
    count = 20000
    switch.files({"p1": [FRAME] * count, "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", "controller(reason=1);")])
    switch.send(p1=count)
    totals, drops = switch.books_close(), switch.drops()
    assert set(drops) <= {"punt_rate", "punt_queue_full"} and drops
    assert totals["taken"] + sum(drops.values()) == count
