"""Ports that come, go, fail and claim names; how weftd starts and ends."""
import json
import os
import signal
import subprocess

import pytest

from frames import read_pcap, udp, write_pcap
from rig import WEFTD, Client, Refused, bridge, flow, port, wait_until

FRAME = udp("10.0.0.1", "10.0.0.2")


def run(*args, timeout=30):
    """weftd to its end: (status, what it said)."""
    done = subprocess.run([WEFTD, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout)
    return done.returncode, done.stdout


def last_line(text):
    return text.strip().splitlines()[-1]


def states(switch):
    return {row.row.port_status.name: row.row.port_status for row in switch.control.get("port_status")}


def port_events(client, wanted):
    """The next events of ports until the last one wanted: [(port, what)]."""
    seen = []
    while seen[-len(wanted):] != wanted and set(wanted) - set(seen):
        event = client.next_event(timeout=20)
        assert event is not None, seen
        seen.append((event.port.status.name, event.port.what))
    return seen


# ---- start and end

def test_a_second_daemon_on_the_same_socket_is_refused_and_the_first_lives_on(switch):
    status, said = run("--socket", switch.socket)
    assert status == 1
    assert switch.socket in last_line(said)
    switch.control.barrier()


def test_a_stale_socket_is_no_obstacle(switches, tmp_path):
    switch = switches()
    path = switch.socket
    switch.kill()
    assert os.path.exists(path)
    again = switches(socket_path=path)
    again.control.barrier()


@pytest.mark.parametrize("args, word", [
    (["--no-such-option"], "--no-such-option"),
    (["--workers", "none"], "--workers"),
    (["--workers", "0"], "0"),
    (["--cores", "0-"], "0-"),
    (["--port", "p1"], "p1"),
    (["--config", "/no/such/file.toml"], "/no/such/file.toml"),
    (["--clock", "sundial"], "sundial"),
])
def test_wrong_usage_is_status_2_and_one_sentence(args, word, tmp_path):
    status, said = run("--socket", str(tmp_path / "s"), *args)
    assert (status, word in said) == (2, True), said
    assert not os.path.exists(tmp_path / "s")


@pytest.mark.parametrize("text, words", [
    ("[switch\n", [":1:"]),
    ("[switch]\nwrokers = 2\n", ["switch.wrokers", ":2:"]),
    ("[switch]\nworkers = \"two\"\n", ["workers", ":2:"]),
    ("[[port]]\nname = \"p1\"\ndevarg = \"net_null0\"\n", ["port.devarg", ":3:"]),
    ("[[flow]]\ntable = -1\n", ["flow.table", ":2:"]),
    ("[limits]\nrules = 0\n", ["rules"]),
])
def test_an_unreadable_configuration_is_status_2_and_names_the_place(tmp_path, text, words):
    path = tmp_path / "weft.toml"
    path.write_text(text)
    status, said = run("--config", str(path), "--socket", str(tmp_path / "s"))
    assert status == 2, said
    assert all(word in said for word in words + [str(path)]), said


def test_a_configuration_brings_ports_tables_and_flows(switches, tmp_path):
    write_pcap(tmp_path / "in.pcap", [FRAME] * 3)
    path = tmp_path / "weft.toml"
    path.write_text("""
[switch]
node = "here"
workers = 1

[[port]]
name = "p1"
number = 7
devargs = "net_pcap_p1,rx_pcap=%s,tx_pcap=%s"

[[port]]
name = "p2"
devargs = "net_pcap_p2,rx_pcap=%s,tx_pcap=%s"
hold = true

[[table]]
table = 0
name = "first"

[[flow]]
table = 0
priority = 10
match = "inport == \\"p1\\""
actions = "output(\\"p2\\");"
""" % (tmp_path / "in.pcap", tmp_path / "out1.pcap", tmp_path / "in.pcap", tmp_path / "out2.pcap"))
    switch = switches("--config", str(path), workers=None)
    welcome = switch.client("me").welcome
    assert welcome.node == "here"
    wait_until(lambda: switch.totals()["sent"] == 3, lambda: str(switch.totals()))
    assert {stored.owner for stored in switch.control.get("port")} == {"config"}
    assert next(iter(switch.control.get("port"))).row.port.number == 7
    switch.stop()
    assert read_pcap(tmp_path / "out2.pcap") == [FRAME] * 3


def init_file(path, *requests):
    with open(path, "w") as file:
        file.write("# what stands before the first packet\n\n")
        for request in requests:
            file.write(json.dumps(request) + "\n")
    return str(path)


def transaction(*rows, **more):
    return {"transaction": dict({"id": "t", "ops": [{"weight": 1, **row} for row in rows]}, **more)}


def one_flow(actions, match="1", **more):
    return {"flow": {"table": 0, "priority": 1, "match": match, "actions": actions, **more}}


def test_exit_when_idle_ends_with_complete_files(tmp_path):
    frames = [udp("10.0.0.1", "10.0.0.2", payload=b"%d" % n) for n in range(5000)]
    write_pcap(tmp_path / "in.pcap", frames)
    init = init_file(tmp_path / "init", transaction(one_flow('output("p2"); output("p3");')))
    status, said = run("--socket", str(tmp_path / "s"), "--workers", "1", "--init", init, "--exit-when-idle",
                       "--port", "p1=net_pcap1,rx_pcap=%s,tx_pcap=%s" % (tmp_path / "in.pcap", tmp_path / "1.pcap"),
                       "--port", "p2=net_pcap2,tx_pcap=%s" % (tmp_path / "2.pcap"),
                       "--port", "p3=net_pcap3,tx_pcap=%s" % (tmp_path / "3.pcap"))
    assert status == 0, said
    assert read_pcap(tmp_path / "1.pcap") == []
    assert read_pcap(tmp_path / "2.pcap") == frames
    assert read_pcap(tmp_path / "3.pcap") == frames
    assert not os.path.exists(tmp_path / "s")


def test_exit_when_idle_counts_what_the_device_refuses(tmp_path):
    """A file with frames that no buffer holds, and no frame at all in another."""
    write_pcap(tmp_path / "in.pcap", [FRAME, bytes(range(256)) * 60, FRAME])
    write_pcap(tmp_path / "none.pcap", [])
    init = init_file(tmp_path / "init", transaction(one_flow('output("p2");')))
    status, said = run("--socket", str(tmp_path / "s"), "--init", init, "--exit-when-idle",
                       "--port", "p1=net_pcap1,rx_pcap=%s,tx_pcap=%s" % (tmp_path / "in.pcap", tmp_path / "1.pcap"),
                       "--port", "p2=net_pcap2,rx_pcap=%s,tx_pcap=%s" % (tmp_path / "none.pcap", tmp_path / "2.pcap"))
    assert status == 0, said
    assert [frame for frame in read_pcap(tmp_path / "2.pcap") if len(frame) < 9000] == [FRAME] * 2


@pytest.mark.parametrize("request_, word", [
    (transaction(one_flow("outptu(\"p2\");")), "outptu"),
    (transaction(one_flow('output("p9");'), strict=True), "p9"),
    ({"transaction": {"id": "t", "ops": [{"weight": 1, "flwo": {}}]}}, "flwo"),
])
def test_an_init_file_with_an_error_is_status_1_and_nothing_runs(tmp_path, request_, word):
    write_pcap(tmp_path / "in.pcap", [FRAME])
    init = init_file(tmp_path / "init", transaction(one_flow("drop;", match="ip4"), id="first"), request_)
    status, said = run("--socket", str(tmp_path / "s"), "--init", init,
                       "--port", "p1=net_pcap1,rx_pcap=%s,tx_pcap=%s" % (tmp_path / "in.pcap", tmp_path / "1.pcap"))
    assert (status, word in said) == (1, True), said
    assert not os.path.exists(tmp_path / "s")


def test_an_init_file_that_is_not_there_or_no_json(tmp_path):
    status, said = run("--socket", str(tmp_path / "s"), "--init", "/no/such/init")
    assert status == 2 and "/no/such/init" in said, said
    (tmp_path / "init").write_text("hello\n")
    status, said = run("--socket", str(tmp_path / "s"), "--init", str(tmp_path / "init"))
    assert status == 1 and str(tmp_path / "init") in said, said


def test_a_port_of_the_command_line_that_fails_is_status_1_and_nothing_runs(tmp_path):
    status, said = run("--socket", str(tmp_path / "s"), "--port", "p1=net_pcap1,rx_pcap=/no/such/file.pcap")
    assert status == 1
    assert "p1" in last_line(said) and "/no/such/file.pcap" in last_line(said), said
    status, said = run("--socket", str(tmp_path / "s"), "--port", "p1=net_nonsense0")
    assert status == 1
    assert "net_nonsense0" in said, said


def test_sigint_and_sigterm_end_it_in_good_order(switches):
    for number in (signal.SIGINT, signal.SIGTERM):
        switch = switches()
        switch.files({"p1": [FRAME] * 10, "p2": []})
        switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
        switch.send(p1=10)
        switch.hang_up()
        switch.process.send_signal(number)
        assert switch.wait() == 0, switch.said()
        assert switch.outs() == {"p2": [FRAME] * 10}
        assert not os.path.exists(switch.socket)


def test_weftd_says_what_it_lacks_in_a_line_and_runs(switch):
    lines = [line for line in switch.said().splitlines() if "huge pages" in line]
    assert len(lines) <= 1
    switch.control.barrier()


def test_the_socket_is_for_its_owner_and_group(switch):
    """A Unix socket with mode 0660; clients are known by their credentials (GS-7)."""
    assert oct(os.stat(switch.socket).st_mode & 0o777) == "0o660"
    assert oct(os.stat(switch.socket + ".ro").st_mode & 0o777) == "0o660"


def test_the_read_only_socket_changes_nothing(switch):
    switch.control.transaction([+1, flow(0, 1, "ip4", "drop;")])
    with Client(switch.socket + ".ro", name="looker") as looker:
        assert len(list(looker.get("flow"))) == 1
        with pytest.raises(Refused) as refused:
            looker.transaction([-1, flow(0, 1, "ip4", "drop;")])
        assert refused.value.code == "read_only"
    assert len(switch.flows()) == 1


# ---- at run time

@pytest.mark.parametrize("devargs, words", [
    ("net_nonsense0", ["net_nonsense0"]),
    ("net_pcap_x,rx_pcap=/no/such/file.pcap", ["/no/such/file.pcap"]),
    ("net_af_packet_x,iface=nosuchif", ["net_af_packet_x"]),
    ("", ["devargs"]),
    ("net_null0,size=\x01", ["control character"]),
])
def test_a_port_that_cannot_open_is_told_and_harms_no_other(switch, devargs, words):
    watcher = switch.client("watcher")
    watcher.watch("port")
    try:
        switch.control.transaction([+1, port("bad", devargs)])
    except Refused as refused:  # what cannot be device arguments at all
        assert any(word in str(refused) for word in words)
        return
    event = watcher.next_event(timeout=20)
    assert (event.port.status.name, event.port.what) == ("bad", "failed")
    assert all(word in event.port.status.error for word in words), event.port.status.error
    assert "\n" not in event.port.status.error
    switch.files({"p1": [FRAME], "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    switch.send(p1=1)
    assert switch.stop() == {"p2": [FRAME]}


def test_the_same_device_for_two_ports_fails_the_second(switch):
    switch.control.transaction([+1, port("one", "net_null0,no-rx=1"), +1, port("two", "net_null0,no-rx=1")])
    wait_until(lambda: "opening" not in [s.state for s in states(switch).values()] and len(states(switch)) == 2, "ports open")
    assert sorted(s.state for s in states(switch).values()) == ["failed", "up"]


def test_numbers_are_unique_in_a_bridge_and_given_where_absent(switch):
    switch.control.transaction([+1, port("a", "net_null0,no-rx=1", number=5)])
    with pytest.raises(Refused) as refused:
        switch.control.transaction([+1, port("b", "net_null1,no-rx=1", number=5)])
    assert "5" in refused.value.nak.message
    switch.control.transaction([+1, port("c", "net_null2,no-rx=1")])
    wait_until(lambda: len(states(switch)) == 2, "status of both")
    assert states(switch)["c"].number not in (0, 5)


def test_a_port_comes_goes_and_comes_again_under_its_flows(switch):
    switch.files({"p1": [FRAME] * 40, "p2": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    switch.send(p1=10)
    row = switch.file_port("p2", number=2, hold=True)
    control.transaction([-1, row])
    wait_until(lambda: "p2" not in states(switch), "p2 goes")
    switch.send(p1=10)
    assert switch.drops() == {"no_such_port": 10}
    first = switch.sent_by("p2")
    assert first == [FRAME] * 10  # complete as soon as the port is gone
    control.transaction([+1, row])
    switch.wait_open("p2")
    switch.send(p1=20)
    assert switch.stop() == {"p2": [FRAME] * 20}


def test_more_ports_than_dpdk_has_devices(switch):
    """Debian's DPDK has 32; one more is told, and patch ports are none."""
    rows = [port("n%d" % n, "net_null%d,no-rx=1" % n) for n in range(33)]
    rows += [port("patch%d" % n, peer="patch%d" % (n ^ 1)) for n in range(40)]
    switch.control.transaction([(+1, row) for row in rows])
    found = wait_until(lambda: [s for s in states(switch).values() if s.state == "failed"], "one fails")
    wait_until(lambda: all(s.state != "opening" for s in states(switch).values()), "the others open")
    found = [s for s in states(switch).values() if s.state == "failed"]
    assert len(found) == 1
    assert "32" in found[0].error or "maximum" in found[0].error, found[0].error


def test_hold_and_release_in_portions(switch):
    frames = [udp("10.0.0.1", "10.0.0.2", payload=b"%d" % n) for n in range(100)]
    switch.files({"p1": frames, "p2": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    for count in (1, 2, 31, 32, 33):
        switch.send(p1=count)
    control.release("p1", 0)
    switch.sent = 100
    switch.settle()
    with pytest.raises(Refused) as refused:
        control.release("nobody", 1)
    assert refused.value.code == "unknown_port" and "nobody" in refused.value.nak.message
    assert switch.stop() == {"p2": frames}


def test_a_port_that_is_down_by_its_row_drops_as_port_down(switch):
    switch.files({"p1": [FRAME] * 4, "p2": []})
    control = switch.control
    control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    row = switch.file_port("p2", number=2, hold=True, down=True)
    control.transaction(["upsert", row])
    control.barrier()
    switch.send(p1=2)
    assert switch.drops() == {"port_down": 2}
    row.down = False
    control.transaction(["upsert", row])
    switch.wait_open("p2")
    control.barrier()
    switch.send(p1=2)
    assert switch.stop() == {"p2": [FRAME] * 2}


def test_patch_ports_join_two_bridges_in_one_walk(switch):
    frame = udp("10.0.0.1", "10.0.0.2")
    switch.files({"p1": [frame] * 2, "p2": []})
    control = switch.control
    control.transaction([+1, bridge("inner"), +1, port("out", peer="in"), +1, port("in", bridge="inner", peer="out"),
                         +1, flow(0, 5, 'inport == "p1"', 'output("out");'),
                         +1, flow(0, 5, 'inport == "out"', 'output("p2");'),
                         +1, flow(0, 5, 'inport == "in"', "eth.dst = 02:00:00:00:00:77; output(inport);", bridge="inner")], strict=True)
    switch.send(p1=2)
    left = bytes.fromhex("020000000077") + frame[6:]
    assert switch.stop() == {"p2": [left] * 2}


# ---- logical ports

def claims(switch):
    return {name: (s.iface_id, s.iface_active) for name, s in states(switch).items() if s.iface_id}


def test_ovn3_rows_first_and_ports_later_or_ports_first_and_rows_later(switch):
    switch.files({"p1": [FRAME] * 20})
    control = switch.control
    watcher = switch.client("watcher")
    watcher.watch("port")
    rule = flow(0, 1, "1", 'output("vm");')
    vm = switch.file_port("vm", number=2, hold=True, iface_id="sw0-port1")
    # Rows first: no traffic, no error.
    control.transaction([+1, rule])
    switch.send(p1=5)
    assert switch.drops() == {"no_such_port": 5}
    control.transaction([+1, vm])
    seen = port_events(watcher, [("vm", "ready")])
    assert seen.index(("vm", "up")) < seen.index(("vm", "ready"))
    switch.send(p1=5)
    first = control.digest()
    # Unplugged: the rows stay.
    control.transaction([-1, vm])
    port_events(watcher, [("vm", "gone")])
    assert len(switch.flows()) == 1
    out = switch.sent_by("vm")
    assert out == [FRAME] * 5
    # Port first, rows later: the same end.
    control.transaction([-1, rule])
    control.transaction([+1, vm])
    port_events(watcher, [("vm", "ready")])
    control.transaction([+1, rule])
    control.barrier()
    switch.send(p1=10)
    assert control.digest() == first
    assert switch.stop() == {"vm": [FRAME] * 10}


def test_ovn3_two_ports_with_one_iface_id_are_told(switch):
    control = switch.control
    watcher = switch.client("watcher")
    watcher.watch("port")
    one = port("one", "net_null1,no-rx=1", iface_id="lp")
    two = port("two", "net_null2,no-rx=1", iface_id="lp")
    control.transaction([+1, one])
    port_events(watcher, [("one", "ready")])
    control.transaction([+1, two])
    port_events(watcher, [("two", "duplicate_iface_id")])
    wait_until(lambda: claims(switch) == {"one": ("lp", True), "two": ("lp", False)}, lambda: str(claims(switch)))
    control.transaction([-1, one])
    wait_until(lambda: claims(switch) == {"two": ("lp", True)}, lambda: str(claims(switch)))


def test_ovn3_hello_lists_ports_and_their_claims(switch):
    switch.control.transaction([+1, port("one", "net_null1,no-rx=1", iface_id="lp", number=3)])
    switch.wait_open("one")
    found = {status.name: (status.number, status.iface_id, status.mtu) for status in switch.client("new").welcome.ports}
    assert found == {"one": (3, "lp", 1500)}


@pytest.mark.parametrize("workers", [1, 2])
def test_ovn4_ready_means_that_every_worker_forwards_to_the_port(switches, workers):
    """A packet injected right after the event is never lost, on any worker."""
    rounds = int(os.environ.get("WEFT_ROUNDS", "100"))
    switch = switches(workers=workers)
    switch.files({"p1": [[FRAME] * rounds for _ in range(workers)]}, queues=workers)
    control = switch.control
    control.transaction([+1, flow(0, 1, "1", 'output("vm");')])
    watcher = switch.client("watcher")
    watcher.watch("port")
    for turn in range(rounds):
        vm = port("vm", "net_null_vm,no-rx=1", number=2)
        control.transaction([+1, vm])
        port_events(watcher, [("vm", "ready")])
        switch.send(p1=workers)
        control.transaction([-1, vm])
        port_events(watcher, [("vm", "gone")])
    assert switch.drops() == {}
    assert switch.totals()["sent"] == rounds * workers
    assert switch.stop() == {}


def test_many_ports_of_one_socket_stay_usable_while_one_opens_slowly(switch):
    """Opening a device takes a helper's time, not the control thread's."""
    control = switch.control
    ids = [control.post("transaction", ops=[], id="e%d" % n) for n in range(3)]
    control.transaction([(+1, port("n%d" % n, "net_null%d,no-rx=1" % n)) for n in range(8)])
    for ident in ids:
        control.wait(ident)
    assert control.barrier().timeout is False
    switch.wait_open(*["n%d" % n for n in range(8)])


def test_a_socket_path_that_cannot_be_is_refused(tmp_path):
    status, said = run("--socket", str(tmp_path / ("x" * 200)))
    assert status in (1, 2) and "xxx" in said, said
    status, said = run("--socket", "/no/such/folder/socket")
    assert status in (1, 2) and "/no/such/folder" in said, said


def test_a_port_of_an_init_file_that_fails_is_status_1(tmp_path):
    init = init_file(tmp_path / "init", transaction({"port": {"name": "p1", "devargs": "net_pcap_p1,rx_pcap=/no/such/file.pcap"}}))
    status, said = run("--socket", str(tmp_path / "s"), "--init", init)
    assert status == 1 and "/no/such/file.pcap" in last_line(said), said


# ---- the configuration file is a client

CONFIG = """
[[port]]
name = "p1"
devargs = "net_pcap_p1,rx_pcap={come},tx_pcap={go}"
number = 1
hold = true

[[flow]]
priority = 10
match = "ip4"
actions = "drop;"

[[flow]]
priority = {priority}
match = "arp"
actions = "drop;"
"""


def test_sighup_replaces_the_rows_of_the_file_by_the_difference(switches, tmp_path):
    write_pcap(tmp_path / "in.pcap", [FRAME] * 20)
    path = tmp_path / "weft.toml"

    def configure(priority):
        path.write_text(CONFIG.format(come=tmp_path / "in.pcap", go=tmp_path / "out.pcap", priority=priority))

    configure(20)
    switch = switches("--config", str(path), workers=None)
    control = switch.control
    control.transaction([+1, flow(5, 1, "ip6", "drop;")])
    switch.send(p1=10)
    configure(30)
    generation = control.call("digest").generation
    switch.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (0, 30, "arp") in switch.flows(), lambda: switch.said())
    assert set(switch.flows()) == {(0, 10, "ip4"), (0, 30, "arp"), (5, 1, "ip6")}
    assert switch.flows()[(0, 10, "ip4")].packets == 10
    assert control.call("digest").generation == generation + 1
    switch.send(p1=10)  # the port was not touched
    assert switch.drops() == {"policy": 20}
    # A file with a mistake changes nothing and is named.
    path.write_text("[[flow]]\npriority = \"high\"\n")
    switch.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "flow.priority" in switch.said(), lambda: switch.said())
    assert set(switch.flows()) == {(0, 10, "ip4"), (0, 30, "arp"), (5, 1, "ip6")}
    # What needs a restart says so.
    configure(30)
    path.write_text("[switch]\nworkers = 2\n" + path.read_text())
    switch.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "restart" in switch.said(), lambda: switch.said())


def test_rows_of_the_file_are_not_another_clients_to_replace(switches, tmp_path):
    path = tmp_path / "weft.toml"
    path.write_text("[[flow]]\npriority = 10\nmatch = \"ip4\"\nactions = \"drop;\"\n")
    switch = switches("--config", str(path))
    with pytest.raises(Refused) as refused:
        switch.control.transaction([+1, flow(0, 10, "ip4", 'output("p1");')])
    assert refused.value.code == "conflict" and "config" in refused.value.nak.message
    assert switch.control.transaction([-1, flow(0, 10, "ip4", "drop;")]).removed == 0
    assert len(switch.flows()) == 1
