"""The socket driven by hand: JSON lines, and the lines that docs/control-protocol.md shows (OVS-10)."""
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from frames import udp
from rig import ROOT, Client, Refused, flow, pb, table, wait_until

FRAME = udp("10.0.0.1", "10.0.0.2")


class Lines:
    """A JSON-lines client of a few lines, as anybody would write it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8")

    def ask(self, request):
        self.file.write((request if isinstance(request, str) else json.dumps(request)) + "\n")
        self.file.flush()
        return self.read()

    def read(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def lines(switches):
    opened = []

    def open_(switch):
        opened.append(Lines(switch.socket))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


# ---- the page of the protocol

PAGE = os.path.join(ROOT, "docs", "control-protocol.md")
# What belongs to a run: compared by its type alone.
EXAMPLES = {"node", "version", "epoch", "seq", "features", "limits", "ports", "digests", "digest", "time_ms", "stats", "tables",
            "depth", "used_ms", "passed_ns"}


def exchanges():
    """[(request, reply)] of the page, in order."""
    with open(PAGE, encoding="utf-8") as page:
        blocks = re.findall(r"^```(request|reply)\n(.*?)^```$", page.read(), re.S | re.M)
    assert len(blocks) > 30
    pairs = list(zip(blocks[::2], blocks[1::2]))
    assert all(first[0] == "request" and second[0] == "reply" for first, second in pairs)
    return [(first[1].strip(), json.loads(second[1])) for first, second in pairs]


def agree(said, shown, path=""):
    """What the switch said has the fields, types and, where it is not an example, the values of what the page shows."""
    assert type(said) is type(shown), (path, said, shown)
    if path.rsplit(".", 1)[-1] in EXAMPLES:
        return
    if isinstance(shown, dict):
        assert set(said) == set(shown), (path, sorted(said), sorted(shown))
        for key in shown:
            agree(said[key], shown[key], path + "." + key)
    elif isinstance(shown, list):
        assert len(said) == len(shown), (path, said, shown)
        by_text = lambda rows: sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))  # noqa: E731
        for one, other in zip(by_text(said), by_text(shown)) if path.endswith("rows") else zip(said, shown):
            agree(one, other, path)
    else:
        assert said == shown, (path, said, shown)


def test_the_lines_of_the_protocols_page_are_one_session(switches, lines):
    switch = switches("--clock", "manual")
    hand = lines(switch)
    for request, shown in exchanges():
        said = hand.ask(request)
        if "port" in request and "devargs" in request:
            with Client(switch.socket) as other:
                wait_until(lambda: [row.row.port_status.state for row in other.get("port_status")].count("opening") == 0, "ports open")
        agree(said, shown, request[:60] + " ->")


def test_the_page_says_all_codes_that_a_client_may_see(switch, lines):
    with open(PAGE, encoding="utf-8") as page:
        codes = set(re.findall(r"^\| `([a-z_]+)` \|", page.read(), re.M))
    hand = lines(switch)
    wrong = [
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"table": 0, "match": "ip4 &&", "actions": "drop;"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"table": 0, "match": "ip4", "actions": "drop"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"table": -1, "match": "ip4", "actions": "drop;"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"table": "zero"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "route": {}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 0, "flow": {}}]}},
        {"transaction": {"id": "1", "ops": [{"verb": "replace", "flow": {}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "port_status": {"name": "p"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"match": "tcp.prot == 1", "actions": "drop;"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"match": "tcp.dst == 70000", "actions": "drop;"}}]}},
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": {"match": "1", "actions": "ip.proto = 1;"}}]}},
        {"transaction": {"id": "1", "strict": True, "ops": [{"weight": 1, "flow": {"match": "1", "actions": "group(1);"}}]}},
        {"transaction": {"id": "1", "strict": True, "ops": [{"weight": 1, "flow": {"match": "1", "actions": "ct_clear;"}}]}},
        {"get": {"id": "2", "relation": "weather"}}, {"watch": {"id": "3", "topics": ["weather"]}}, {"weather": {}}, {},
        {"trace": {"id": "4", "port": "nobody", "match": "ip4"}}, {"release": {"id": "5", "port": "nobody"}},
        {"clock": {"id": "6", "advance_ms": 1}}, {"packet_out": {"id": "7", "packet": "AA==", "actions": "output("}},
        {"hello": {"id": "8", "versions": [99]}}, {"get": {"id": "9", "relation": "flow", "cursor": "nonsense"}},
    ]
    before = switch.control.digest()
    for request in wrong:
        answer = hand.ask(request)
        assert set(answer) == {"nak"}, (request, answer)
        nak = answer["nak"]
        assert nak["code"] in codes, (request, nak)
        assert nak["message"] and "\n" not in nak["message"]
        body = next(iter(request.values()), {})
        assert nak["id"] == body.get("id", "")
        assert ("op" in nak) == ("ops" in body), nak
    assert switch.control.digest() == before


# ---- by hand

def test_ovs10_rows_in_packets_through_and_counters_out_by_json_alone(switch, lines):
    switch.files({"p1": [FRAME] * 3, "p2": []})
    hand = lines(switch)
    ack = hand.ask({"transaction": {"id": "t1", "strict": True, "ops": [{"weight": 1, "flow": {
        "table": 0, "priority": 100, "match": "ip4.dst == 10.0.0.2", "actions": "output(\"p2\");"}}]}})["ack"]
    assert (ack["id"], ack["added"], ack["removed"], ack["unchanged"]) == ("t1", 1, 0, 0)
    assert isinstance(ack["generation"], str)  # 64-bit numbers are strings
    assert hand.ask({"barrier": {"id": "b", "generation": int(ack["generation"])}})["barrier"]["timeout"] is False
    switch.send(p1=3)
    row = hand.ask({"get": {"id": "g", "relation": "flow"}})["rows"]["rows"][0]
    assert (row["packets"], row["bytes"], row["row"]["flow"]["hard_timeout_s"]) == ("3", str(3 * len(FRAME)), 0)
    assert switch.stop() == {"p2": [FRAME] * 3}


def test_ovs10_names_in_camel_case_and_numbers_as_strings_are_read_too(switch, lines):
    hand = lines(switch)
    hand.ask({"barrier": {"id": "b"}})
    answer = hand.ask('\n\n{"transaction": {"id": "t", "ops": [{"weight": "1", "flow": {"table": "3", "priority": 7, "match": "ip4",'
                      ' "actions": "drop;", "idleTimeoutS": 0, "cookie": "18446744073709551615", "bridge": null}}]}}')
    assert answer["ack"]["added"] == 1
    assert next(iter(switch.flows().values())).row.flow.cookie == (1 << 64) - 1


def test_ovs10_both_encodings_name_the_same_row(switch, lines):
    hand = lines(switch)
    hand.ask({"hello": {"id": "h", "client": "rig"}})
    hand.ask({"transaction": {"id": "a", "ops": [{"weight": 1, "flow": {
        "priority": 5, "match": "tcp.dst==80 && ip4", "actions": "ip.ttl --;output(\"p1\");"}}]}})
    ack = switch.control.transaction([+1, flow(0, 5, "ip4 && tcp.dst == 0x50", 'ip.ttl--; output("p1");')])
    assert (ack.added, ack.unchanged) == (0, 1)


def test_ovs10_replies_come_in_order_and_events_between_them(switch, lines):
    hand = lines(switch)
    assert hand.ask({"watch": {"id": "w", "topics": ["commit"]}}) == {"done": {"id": "w"}}
    for n in range(100):
        hand.file.write(json.dumps({"transaction": {"id": "t%d" % n, "ops": [
            {"weight": 1, "flow": {"priority": n, "match": "ip4", "actions": "drop;"}}]}}) + "\n")
    hand.file.flush()
    acks, events = [], []
    while len(acks) < 100 or len(events) < 100:
        said = hand.read()
        if "ack" in said:
            acks.append(said["ack"]["id"])
        else:
            events.append((said["event"]["seq"], said["event"]["commit"]["id"]))
    assert acks == [ident for _, ident in events] == ["t%d" % n for n in range(100)]
    numbers = [int(seq) for seq, _ in events]
    assert numbers == list(range(numbers[0], numbers[0] + 100))


def test_ovs10_what_cannot_be_read_gets_one_error_and_a_close(switch, lines):
    for text in ("{nonsense}", '{"hello": {"id": "h"}} trailing', '{"hello": '):
        hand = lines(switch)
        answer = hand.ask(text)
        assert set(answer) == {"error"} and answer["error"]["message"]
        assert hand.read() is None


@pytest.mark.skipif(shutil.which("socat") is None, reason="no socat")
def test_ovs10_socat_is_a_controller(switch):
    switch.files({"p1": [FRAME], "p2": []})
    requests = "\n".join(json.dumps(request) for request in (
        {"hello": {"id": "1", "client": "me"}},
        {"transaction": {"id": "2", "ops": [{"weight": 1, "flow": {"match": "inport == \"p1\"", "actions": "output(\"p2\");"}}]}},
        {"barrier": {"id": "3"}})) + "\n"
    done = subprocess.run(["socat", "-", "UNIX-CONNECT:" + switch.socket], input=requests, stdout=subprocess.PIPE, text=True, timeout=30)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [next(iter(each)) for each in said] == ["hello", "ack", "barrier"]
    switch.send(p1=1)
    assert switch.stop() == {"p2": [FRAME]}


def test_gs7_the_socket_needs_no_network(switches, spaces):
    """A controller on the host itself, in a namespace without any interface, and credentials that the switch saw."""
    switch = switches(namespace=spaces.add())
    switch.control.transaction([+1, flow(0, 1, "1", "drop;")])
    switch.control.barrier()  # a turn later
    assert "rig" in switch.said()  # its audit line names who did it


# ---- bad input: each field out of range, unknown, too long, of the wrong type

FIELDS = {
    "flow": {"table": 0, "priority": 1, "match": "ip4", "actions": "drop;", "cookie": 1, "idle_timeout_s": 0, "hard_timeout_s": 0},
    "port": {"name": "p", "number": 1, "devargs": "net_null0", "queues": 1, "mtu": 1500, "vlan_mode": "access", "vlan_tag": 1},
    "table": {"table": 1, "name": "t", "miss": "drop;", "rules_max": 5, "counters_off": False},
    "group": {"group": 1, "type": "all", "buckets": [], "hash_fields": []},
    "bridge": {"name": "b", "reserved_multicast": "drop", "mac_limit": 5},
    "meter": {"meter": 1, "unit": "kbps", "bands": [{"rate": 1, "burst": 1}]},
}


def spoiled(value):
    """Values that a field of this kind must refuse."""
    if isinstance(value, bool):
        return ["yes", 2, [True]]
    if isinstance(value, int):
        return [-1, 1 << 70, 1.5, "one", [1], True]
    if isinstance(value, str):
        return [5, ["x"], {"x": 1}, True]
    return [5, "x", {"x": 1}]


@pytest.mark.parametrize("relation", sorted(FIELDS))
def test_each_field_is_refused_by_name_when_it_does_not_fit(switch, lines, relation):
    hand = lines(switch)
    before = switch.control.digest()
    generation = hand.ask({"digest": {"id": "d"}})["digests"]["generation"]
    good = {"weight": 1, "flow": {"priority": 77, "match": "arp", "actions": "drop;"}}
    for field, value in FIELDS[relation].items():
        for wrong in spoiled(value):
            row = dict(FIELDS[relation], **{field: wrong})
            answer = hand.ask({"transaction": {"id": "x", "ops": [good, {"weight": 1, relation: row}]}})
            assert "nak" in answer, (field, wrong, answer)
            assert answer["nak"]["op"] == 1 and answer["nak"]["path"].startswith("%s.%s" % (relation, field)), (field, wrong, answer)
    answer = hand.ask({"transaction": {"id": "x", "ops": [good, {"weight": 1, relation: dict(FIELDS[relation], colour="red")}]}})
    assert (answer["nak"]["op"], answer["nak"]["code"]) == (1, "unknown_field") and "colour" in answer["nak"]["message"]
    assert switch.control.digest() == before
    assert hand.ask({"digest": {"id": "d"}})["digests"]["generation"] == generation


@pytest.mark.parametrize("row, word", [
    ({"flow": {"match": "x" * 100000, "actions": "drop;"}}, "column"),
    ({"flow": {"match": "(" * 5000, "actions": "drop;"}}, "column"),
    ({"flow": {"match": "1", "actions": "clone { " * 5000}}, ""),
    ({"flow": {"match": "1", "actions": "drop;" * 10000}}, ""),
    ({"flow": {"match": "1", "actions": "output(\"%s\");" % ("p" * 300)}}, "255"),
    ({"port": {"name": "", "devargs": "net_null0"}}, "name"),
    ({"port": {"name": "p" * 300, "devargs": "net_null0"}}, "name"),
    ({"port": {"name": "p", "devargs": "net_null0", "mtu": 70000}}, "mtu"),
    ({"port": {"name": "p", "devargs": "net_null0", "vlan_mode": "sideways"}}, "vlan_mode"),
    ({"port": {"name": "p", "devargs": "net_null0", "vlan_mode": "access", "vlan_tag": 5000}}, "vlan_tag"),
    ({"port": {"name": "p", "devargs": "net_null0", "peer": "q"}}, "peer"),
    ({"group": {"group": 1, "type": "random", "buckets": []}}, "type"),
    ({"group": {"group": 1, "type": "select", "buckets": [{"weight": 1, "actions": "output("}]}}, "column"),
    ({"group": {"group": 1, "type": "select", "buckets": [], "hash_fields": ["tcp.prot"]}}, "tcp.prot"),
    ({"table": {"table": 1, "miss": "output("}}, "column"),
    ({"bridge": {"name": "b", "reserved_multicast": "eat"}}, "reserved_multicast"),
])
def test_a_row_that_means_nothing_is_refused_with_the_rule(switch, lines, row, word):
    hand = lines(switch)
    answer = hand.ask({"transaction": {"id": "x", "ops": [{"weight": 1, **row}]}})
    assert "nak" in answer, answer
    assert answer["nak"]["op"] == 0 and word in answer["nak"]["message"] + answer["nak"].get("path", ""), answer
    assert len(answer["nak"]["message"]) < 600
    assert switch.flows() == {}


def test_too_many_rules_is_a_refusal_before_anything_changes(switches, tmp_path):
    path = tmp_path / "weft.toml"
    path.write_text("[limits]\nrules = 1000\n")
    switch = switches("--config", str(path))
    control = switch.control
    control.transaction([(+1, flow(0, n, "ip4", "drop;")) for n in range(900)])
    before = control.digest()
    with pytest.raises(Refused) as refused:
        control.transaction([(+1, flow(1, n, "ip4", "drop;")) for n in range(200)])
    assert refused.value.code == "too_many_rules"
    assert "1000" in refused.value.nak.message
    assert control.digest() == before
    assert control.transaction([(+1, flow(1, n, "ip4", "drop;")) for n in range(100)]).added == 100


def test_a_table_may_have_a_limit_of_its_own(switch):
    control = switch.control
    control.transaction([+1, table(3, "small", rules_max=10)])
    control.transaction([(+1, flow(3, n, "ip4", "drop;")) for n in range(10)])
    with pytest.raises(Refused) as refused:
        control.transaction([+1, flow(3, 99, "ip4", "drop;")])
    assert refused.value.code == "too_many_rules"
    assert "10" in refused.value.nak.message


def test_a_transaction_of_many_ops_does_not_hold_up_another_client(switch):
    """A large one is prepared in slices; small ones of others commit meanwhile."""
    large, small = switch.client("large"), switch.client("small")
    ops = [pb.Op(weight=1, flow=flow(0, n, "ip4.dst == 10.%d.%d.1 && tcp.dst == %d" % (n >> 8 & 255, n & 255, n % 60000), "drop;"))
           for n in range(60000)]
    ident = large.post("transaction", ops=ops)
    generations = []
    for n in range(50):
        generations.append(small.transaction([+1, flow(1, n, "ip4", "drop;")]).generation)
    ack = large.wait(ident)
    assert ack.added == 60000
    assert generations == sorted(generations)
    assert min(generations) < ack.generation or len(switch.flows(table=1)) == 50
