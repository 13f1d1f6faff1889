"""Controllers and switches that die, and clients that misbehave: what was committed keeps forwarding (NVP-3)."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from frames import numbered, numbers, udp
from rig import Client, Error, flow, pb, port, wait_until

FRAME = udp("10.0.0.1", "10.0.0.2")


def raw(switch, data=b""):
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(30)
    made.connect(switch.socket)
    made.sendall(data)
    return made


def binary(request):
    data = request.SerializeToString()
    size = bytearray()
    left = len(data)
    while left >= 0x80:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    size.append(left)
    return bytes(size) + data


LARGE = pb.Request(transaction=pb.Transaction(id="t", ops=[
    pb.Op(weight=1, flow=flow(0, n, "ip4", "drop;")) for n in range(100)]))
LINE = json.dumps({"transaction": {"id": "t", "ops": [
    {"weight": 1, "flow": {"table": 0, "priority": n, "match": "ip4", "actions": "drop;"}} for n in range(100)]}}).encode() + b"\n"


@pytest.mark.parametrize("whole", [b"WEFT" + binary(LARGE), LINE], ids=["binary", "json"])
def test_nvp3_half_a_transaction_on_the_wire_is_nothing(switch, whole):
    switch.files({"p1": [FRAME] * 2, "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    before = (switch.control.digest(), switch.control.call("digest").generation)
    sessions = lambda: switch.control.stats("control")["control"]["sessions"]["open"]  # noqa: E731
    ours = sessions()
    for cut in (1, 4, 5, 6, 50, len(whole) // 2, len(whole) - 2):
        raw(switch, whole[:cut]).close()
    # The switch has taken notice of all of them when it has closed every connection but ours.
    wait_until(lambda: sessions() == ours, "the connections are not closed")
    assert (switch.control.digest(), switch.control.call("digest").generation) == before
    switch.send(p1=2)
    assert switch.stop() == {"p2": [FRAME] * 2}


CONTROLLER = """
import sys
sys.path.insert(0, sys.argv[2])
from weft_client import Client, flow, pb
weft = Client(sys.argv[1], name="mortal")
weft.transaction([+1, flow(0, 1, "ip4", 'output("p2");')])
weft.call("transaction", id="half", more=True, ops=[pb.Op(weight=1, flow=flow(0, 2, "ip4", "drop;"))])
print("half", flush=True)
sys.stdin.read()
"""


def test_nvp3_a_controller_that_is_killed_leaves_its_last_transaction_forwarding(switch):
    switch.files({"p1": [FRAME] * 3, "p2": []})
    import weft_client
    controller = subprocess.Popen([sys.executable, "-c", CONTROLLER, switch.socket, os.path.dirname(weft_client.__file__)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert controller.stdout.readline() == b"half\n"
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    controller.stdin.close()
    controller.stdout.close()
    switch.send(p1=1)
    again = switch.client("mortal")
    assert again.transaction([+1, flow(0, 3, "arp", "drop;")], id="half").added == 1
    assert sorted(key[1] for key in switch.flows()) == [1, 3]
    # What it held before its death is still its own: it goes on where it was.
    assert again.transaction([+1, flow(0, 1, "ip4", 'output("p2");')]).unchanged == 1
    switch.send(p1=2)
    assert switch.stop() == {"p2": [FRAME] * 3}


def test_nvp3_a_switch_that_is_killed_starts_again_on_its_socket_in_a_new_epoch(switch):
    control = switch.client("controller")
    epoch = control.welcome.epoch
    rows = [(+1, flow(0, n, "ip4", "drop;")) for n in range(10)]
    control.transaction(rows)
    before = control.digest()
    control.post("transaction", id="lost", ops=[pb.Op(weight=1, flow=flow(0, 99, "ip4", "drop;"))])
    switch.process.send_signal(signal.SIGKILL)
    switch.process.wait()
    with pytest.raises((Error, OSError)):
        control.wait("lost")
        control.call("digest")
    switch.hang_up()
    assert os.path.exists(switch.socket)  # nobody removed it
    switch.start()
    control = switch.client("controller")
    assert control.welcome.epoch != epoch
    assert control.welcome.generation == 0 or control.digest(relation="flow") in ({}, {("", "flow"): (0, 0)})
    assert switch.flows() == {}
    # One round of resync: everything again, and what the last answer would have been does not matter.
    control.transaction([op for _, op in rows] and rows)
    assert control.digest() == before


def test_nvp3_both_die_while_packets_run(switches):
    switch = switches()
    switch.files({"p1": numbered("10.0.0.1", "10.0.0.2", range(1000)), "p2": []})
    control = switch.client("controller")
    control.transaction([+1, flow(0, 1, "ip4", 'output("p2");')])
    switch.send(p1=400)
    control.socket.sendall(b"\xff\xff\x03half")
    control.close()
    switch.send(p1=600)
    assert numbers(switch.stop()["p2"]) == list(range(1000))


GARBAGE = [b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", b"{" * 100000 + b"\n", b'{"hello": ' + b"[" * 5000 + b"\n", b"{}\n" * 10,
           b'{"nonsense": {}}\n', b"{\xff\xfe}\n", b"WEFT" + b"\xff" * 64, b"WEFT\x05hello", b"WEFT\0\0\0\0",
           b"WEFT\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"WEFX", b"\n" * 1000, b"{" + b" " * (17 << 20)]


def test_clients_that_send_garbage_harm_nobody(switch):
    switch.files({"p1": numbered("10.0.0.1", "10.0.0.2", range(1000)), "p2": []})
    other = switch.client("decent")
    other.transaction([+1, flow(0, 1, "ip4", 'output("p2");')])
    for garbage in GARBAGE:
        wild = raw(switch)
        try:
            wild.sendall(garbage)
            wild.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                got = wild.recv(65536)
                if not got:
                    break
                answer += got
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before we had said it all
        wild.close()
        assert other.barrier().timeout is False
    switch.send(p1=1000)
    assert numbers(switch.stop()["p2"]) == list(range(1000))


def test_a_client_that_does_not_read_harms_nobody(switch):
    switch.files({"p1": [FRAME] * 10, "p2": []})
    other = switch.client("decent")
    other.transaction([(+1, flow(0, n, "ip4", 'output("p2");')) for n in range(2000)])
    slow = raw(switch, b'{"watch": {"id": "w"}}\n')
    ask = b'{"get": {"id": "g", "relation": "flow"}}\n' * 200
    slow.setblocking(False)
    sent = 0
    try:
        for _ in range(200):
            sent += slow.send(ask)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    for number in range(200):
        other.transaction([+1, flow(1, number, "ip4", "drop;")])
    assert other.barrier().timeout is False
    switch.send(p1=10)
    assert switch.memory_kb() < 1 << 20
    slow.close()
    assert switch.stop() == {"p2": [FRAME] * 10}


def test_a_slow_reader_of_events_is_told_what_it_missed(switch):
    slow = raw(switch, b'{"watch": {"id": "w", "topics": ["commit"]}}\n')
    lines = slow.makefile("r")
    assert json.loads(lines.readline()) == {"done": {"id": "w"}}
    control = switch.client("busy")
    name = "x" * 200  # long ids make long events
    count = 40000
    for start in range(0, count, 1000):
        ids = [control.post("transaction", id="%s%d" % (name, n), ops=[pb.Op(weight=1, flow=flow(0, n, "ip4", "drop;"))])
               for n in range(start, start + 1000)]
        for ident in ids:
            control.wait(ident)
    last, seen, missed = control.call("digest").generation, 0, 0
    generation = 0
    while generation < last:
        event = json.loads(lines.readline())["event"]
        if "gap" in event:
            missed += int(event["gap"]["last"]) - int(event["gap"]["first"]) + 1
            assert seen > 0
        else:
            seen += 1
            generation = int(event["commit"]["generation"])
            if generation == 0:
                break
        if missed and seen + missed >= count:
            break
    assert missed > 0
    assert seen + missed == count
    lines.close()
    slow.close()


def test_many_clients_at_once_are_served_in_turns(switch):
    """Each works on a scope of its own; in the end all of it stands."""
    failures = []

    def work(name):
        try:
            with Client(switch.socket, name=name) as weft:
                for n in range(100):
                    weft.transaction([+1, flow(int(name[1:]), n, "ip4", "drop;")], scope=name)
                    if n % 10 == 9:
                        weft.transaction([-1, flow(int(name[1:]), n, "ip4", "drop;")], scope=name)
        except Exception as problem:  # in another thread: told to the test
            failures.append(problem)

    workers = [threading.Thread(target=work, args=("c%d" % n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert {key[0]: rows[0] for key, rows in switch.digest_of().items() if rows[0]} == {"c%d" % n: 90 for n in range(8)}


def test_one_clients_rows_are_not_anothers_to_take(switch):
    one, two = switch.client("one"), switch.client("two")
    one.transaction([+1, flow(0, 1, "ip4", "drop;")], scope="one")
    two.transaction([+1, flow(0, 1, "arp", "drop;")], scope="two")
    digest = two.digest(scope="one")
    two.transaction(replace={"owner": ""})
    assert two.digest(scope="one") == digest
    assert set(switch.flows()) == {(0, 1, "ip4")}


def test_a_port_of_a_dead_device_harms_no_other(switches, spaces):
    """The kernel takes an interface away under a port."""
    space = spaces.add()
    spaces.veth(space, "a1", space, "b1")
    switch = switches(namespace=space)
    switch.control.transaction([+1, port("a", "net_af_packet_a,iface=a1", number=9)])
    switch.wait_open("a")
    switch.files({"p1": [FRAME] * 10, "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    space.run("ip", "link", "del", "a1")
    switch.send(p1=10)
    status = lambda: {row.row.port_status.name: row.row.port_status.state for row in switch.control.get("port_status")}  # noqa: E731
    wait_until(lambda: status()["a"] in ("down", "failed"), lambda: str(status()))
    assert switch.stop() == {"p2": [FRAME] * 10}
