"""Without a controller: a bridge that is a plain learning switch, by one option (--standalone), until a controller states flows."""
import json

import pytest

from frames import tagged, udp
from rig import bridge, flow, wait_until

MAC = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b", "c": "02:00:00:00:00:0c"}


def frame(source, target):
    return tagged(eth_src=MAC[source], eth_dst=MAC.get(target, target))


def dumped(switch):
    """{MAC: port}, as weftctl shows them."""
    rows = [json.loads(line)["learned_mac"] for line in switch.ctl("dump", "learned_mac", "--json").stdout.splitlines()]
    return {row["mac"]: row["port"] for row in rows}


def learned(switch, *names):
    """Waits until exactly these are known and every worker runs with them."""
    wait_until(lambda: set(dumped(switch)) == {MAC[name] for name in names}, lambda: str(dumped(switch)))
    switch.control.barrier()


@pytest.mark.parametrize("how", ["option", "configuration"])
def test_three_ports_learn_and_forward_without_a_controller(switches, tmp_path, how):
    path = tmp_path / "weft.toml"
    path.write_text('[[bridge]]\nname = "main"\nstandalone = true\n')
    switch = switches(*{"option": ["--standalone"], "configuration": ["--config", str(path)]}[how])
    there, back, all_of_them = frame("a", "b"), frame("b", "a"), frame("c", "ff:ff:ff:ff:ff:ff")
    switch.files({"p1": [there] * 2, "p2": [back], "p3": [all_of_them]})
    switch.send(p1=1)  # nobody knows b: floods
    learned(switch, "a")
    switch.send(p2=1)
    learned(switch, "a", "b")
    switch.send(p1=1, p3=1)
    learned(switch, "a", "b", "c")
    assert dumped(switch) == {MAC["a"]: "p1", MAC["b"]: "p2", MAC["c"]: "p3"}
    assert switch.drops() == {}
    switch.books_close()
    assert {name: sorted(frames) for name, frames in switch.stop().items()} == {
        "p1": sorted([back, all_of_them]), "p2": sorted([there, there, all_of_them]), "p3": [there]}


def test_without_the_option_nothing_is_forwarded(switch):
    switch.files({"p1": [frame("a", "b")], "p2": []})
    switch.send(p1=1)
    assert switch.drops() == {"no_match": 1}
    assert switch.stop() == {}


def test_addresses_age_and_their_number_is_bounded(switches, tmp_path):
    path = tmp_path / "weft.toml"
    path.write_text('[[bridge]]\nname = "main"\nmac_limit = 100\nmac_age_s = 30\n')
    switch = switches("--config", str(path), "--standalone", "--clock", "manual")
    flood = [tagged(eth_src="02:00:00:00:%02x:%02x" % (n >> 8, n & 255), eth_dst=MAC["b"]) for n in range(1000, 1500)]
    switch.files({"p1": flood + [frame("a", "b")], "p2": [frame("b", "a")]})
    watcher = switch.client("watcher")
    watcher.watch("limit")
    switch.send(p1=len(flood))
    assert watcher.next_event().limit.limit == "macs"
    wait_until(lambda: len(dumped(switch)) == 100, lambda: "%d addresses" % len(dumped(switch)))
    switch.control.advance(29999)
    assert len(dumped(switch)) == 100
    switch.control.advance(1)
    assert dumped(switch) == {}
    switch.send(p2=1)  # there is room again
    learned(switch, "b")
    switch.send(p1=1)
    learned(switch, "a", "b")
    assert len(switch.stop()["p2"]) == len(flood) + 1


def test_an_address_that_moves_is_followed(switches):
    switch = switches("--standalone")
    switch.files({"p1": [frame("a", "b")], "p2": [frame("a", "b")], "p3": [frame("b", "a")] * 2})
    switch.send(p1=1)
    learned(switch, "a")
    switch.send(p3=1)
    learned(switch, "a", "b")
    switch.send(p2=1)
    wait_until(lambda: dumped(switch)[MAC["a"]] == "p2", lambda: str(dumped(switch)))
    switch.control.barrier()
    switch.send(p3=1)
    assert switch.stop() == {"p1": [frame("b", "a")], "p2": [frame("a", "b"), frame("b", "a")], "p3": [frame("a", "b")] * 2}


def test_a_controllers_flows_take_over_and_give_back_as_generations(switches):
    """From its first flow on only what the controller says happens; the flows stay when it dies; without any the bridge learns again."""
    switch = switches("--standalone")
    packet = udp("10.0.0.1", "10.0.0.2")
    switch.files({"p1": [packet] * 5, "p2": [], "p3": []})
    switch.send(p1=1)
    controller = switch.client("controller")
    row = flow(0, 1, "udp", 'output("p3");')
    controller.transaction([+1, row])
    controller.barrier()
    controller.close()
    switch.send(p1=1)
    again = switch.client("controller")
    again.transaction([+1, flow(0, 2, "udp", "drop;")])
    again.barrier()
    switch.send(p1=1)
    again.transaction([+1, flow(1, 1, "udp", "drop;")], replace={"owner": ""})  # a flow, but packets start in table 0
    again.barrier()
    switch.send(p1=2)
    assert switch.drops() == {"policy": 1}
    outs = switch.stop()
    assert {name: len(frames) for name, frames in outs.items()} == {"p2": 3, "p3": 4}


def test_any_bridge_may_be_standalone_by_its_row(switch):
    switch.control.transaction([+1, bridge("alone", standalone=True)])
    switch.files({"x1": [frame("a", "b")], "x2": []}, bridge="alone")
    switch.files({"p1": [frame("a", "b")], "p2": []})
    switch.send(x1=1, p1=1)
    assert switch.drops() == {"no_match": 1}
    assert switch.stop() == {"x2": [frame("a", "b")]}
    assert switch.process.returncode == 0
