"""weftctl as people and scripts use it: every command, every exit status."""
import ipaddress
import json
import os
import pty
import subprocess

import pytest

from frames import udp, write_pcap
from rig import WEFTCTL, flow, group, wait_until

FRAME = udp("10.0.0.1", "10.0.0.2", sport=5000, dport=53)


@pytest.fixture
def loaded(switches):
    """Two ports, a few flows, ten packets through: five on their way, five dropped for want of a match."""
    switch = switches()
    other = udp("10.0.0.1", "10.0.0.99")
    switch.files({"p1": [FRAME] * 5 + [other] * 5, "p2": []})
    switch.control.transaction([
        +1, flow(0, 100, "ip4.dst == 10.0.0.2", "reg0 = 5; call(7);"),
        +1, flow(7, 10, "udp.dst == 53", 'ip.ttl--; output("p2");'),
        +1, flow(0, 10, "arp", 'output("p9");'),
        +1, group(3, "all", ['output("p2");'])], id="load")
    switch.send(p1=10)
    return switch


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_dump_prints_one_object_a_line_with_its_counters(loaded):
    rows = objects(loaded.ctl("dump", "flow", "--json").stdout)
    assert len(rows) == 3
    found = {row["flow"]["match"]: (row["packets"], row["bytes"], row["flow"]["actions"]) for row in rows}
    assert found["ip4.dst == 10.0.0.2"] == ("5", str(5 * len(FRAME)), "reg0 = 5; call(7);")
    assert found["udp.dst == 53"][0] == "5"
    assert found["arp"][0] == "0"
    for row in rows:
        assert list(row)[0] == "flow"
    assert [row["flow"]["table"] for row in objects(loaded.ctl("dump", "flow", "--table", "7", "--json").stdout)] == [7]
    assert {row["port"]["name"] for row in objects(loaded.ctl("dump", "port", "--json").stdout)} == {"p1", "p2"}
    assert objects(loaded.ctl("dump", "group", "--json").stdout)[0]["group"]["type"] == "all"
    states = objects(loaded.ctl("dump", "port_status", "--json").stdout)
    assert {row["port_status"]["state"] for row in states} <= {"up", "held"}
    text = loaded.ctl("dump", "flow").stdout
    assert "ip4.dst == 10.0.0.2" in text and "call(7);" in text


def test_dump_of_what_is_no_relation_is_refused(loaded):
    done = loaded.ctl("dump", "weather", check=False)
    assert done.returncode == 1 and "weather" in done.stderr


def test_drops_prints_reasons_and_numbers(loaded):
    drops = objects(loaded.ctl("drops", "--json").stdout)
    assert {each["reason"]: each["packets"] for each in drops if each["packets"] != "0"} == {"no_match": "5"}
    text = loaded.ctl("drops").stdout
    assert "no_match" in text and "5" in text


def test_stats_of_ports_and_workers(loaded):
    stats = {(each["kind"], each["name"]): each["values"] for each in objects(loaded.ctl("stats", "--json").stdout)}
    assert stats[("ports", "p1")]["rx_packets"] == "10"
    assert stats[("ports", "p2")]["tx_packets"] == "5"
    assert stats[("drops", "no_match")]["packets"] == "5"
    kinds = {kind for kind, _ in stats}
    assert {"ports", "workers", "drops", "tables", "memory", "control"} <= kinds
    assert "p1" in loaded.ctl("stats", "ports").stdout
    assert "no_match" not in loaded.ctl("stats", "ports").stdout


def test_trace_tells_the_story_of_a_described_packet_a_hex_and_a_captured_one(loaded, tmp_path):
    before = [objects(loaded.ctl(*what, "--json").stdout) for what in (("dump", "flow"), ("drops",))]
    write_pcap(tmp_path / "one.pcap", [udp("1.1.1.1", "2.2.2.2"), FRAME])
    described = ("ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && udp.src == 5000 && udp.dst == 53",)
    for packet in (described, ("--hex", FRAME.hex()), ("--pcap", "%s:2" % (tmp_path / "one.pcap"))):
        story = json.loads(loaded.ctl("trace", "--port", "p1", *packet, "--json").stdout)
        story = story.get("trace", story)
        assert story["result"] == "output p2", story
        tables = [step["table"] for step in story["steps"] if step["what"] == "table"]
        assert tables == [0, 7]
        assert all(step["owner"] == "rig" for step in story["steps"] if step["what"] == "table")
    text = loaded.ctl("trace", "--port", "p1", *described).stdout
    for word in ("table 0", "table 7", "ip4.dst == 10.0.0.2", "udp.dst == 53", "ip.ttl--", "output p2", "generation"):
        assert word in text, (word, text)
    missed = loaded.ctl("trace", "--port", "p1", "ip4.dst == 10.0.0.3 && udp").stdout
    assert "no_match" in missed
    assert [objects(loaded.ctl(*what, "--json").stdout) for what in (("dump", "flow"), ("drops",))] == before


@pytest.mark.parametrize("args, status, word", [
    (["trace", "--port", "nobody", "ip4"], 1, "nobody"),
    (["trace", "--port", "p1", "ip4.dst == 10.0.0.300"], 1, "10.0.0.300"),
    (["trace", "--port", "p1"], 2, "packet"),
    (["trace", "--port", "p1", "--hex", "0g"], 2, "hex"),
    (["trace", "--port", "p1", "--pcap", "/no/such.pcap"], 2, "/no/such.pcap"),
    (["release", "nobody"], 1, "nobody"),
    (["clock", "advance", "5"], 1, "clock"),
    (["apply", "/no/such/file"], 2, "/no/such/file"),
    (["apply", "--format", "xml", "-"], 2, "xml"),
    (["nonsense"], 2, "nonsense"),
    (["watch", "weather", "--count", "1"], 1, "weather"),
    (["packet-out", "output(", "--hex", "00" * 60], 1, "column"),
    ([], 2, "weftctl"),
])
def test_a_mistake_is_one_sentence_and_a_status(loaded, args, status, word):
    done = loaded.ctl(*args, check=False, stdin="")
    assert (done.returncode, word in done.stderr) == (status, True), (done.returncode, done.stdout, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_where_no_switch_is_the_status_is_3(tmp_path):
    done = subprocess.run([WEFTCTL, "--socket", str(tmp_path / "none"), "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and str(tmp_path / "none") in done.stderr


def test_apply_prints_replies_and_refuses_with_a_status(loaded, tmp_path):
    row = {"transaction": {"id": "t1", "ops": [{"weight": 1, "flow": {"table": 1, "priority": 1, "match": "ip4", "actions": "drop;"}}]}}
    done = loaded.ctl("apply", "-", stdin="# a comment\n\n  " + json.dumps(row) + "\n" + '{"barrier": {"id": "b"}}\n')
    assert [next(iter(each)) for each in objects(done.stdout)] == ["ack", "barrier"]
    (tmp_path / "file").write_text(json.dumps(row).replace('"t1"', '"t2"') + "\n")
    assert objects(loaded.ctl("apply", str(tmp_path / "file")).stdout)[0]["ack"]["unchanged"] == 1
    bad = loaded.ctl("apply", "-", stdin='{"get": {"id": "g", "relation": "weather"}}\n{"barrier": {"id": "b"}}\n', check=False)
    assert bad.returncode == 1
    assert [next(iter(each)) for each in objects(bad.stdout)] == ["nak", "barrier"]


def test_rows_of_one_run_of_weftctl_are_the_next_ones_to_take(switch):
    def op(weight):
        return json.dumps({"transaction": {"id": "t", "ops": [
            {"weight": weight, "flow": {"table": 1, "priority": 1, "match": "ip4", "actions": "drop;"}}]}}) + "\n"
    assert objects(switch.ctl("apply", "-", stdin=op(1)).stdout)[0]["ack"]["added"] == 1
    assert objects(switch.ctl("apply", "-", stdin=op(-1)).stdout)[0]["ack"]["removed"] == 1


def test_ports_are_added_listed_and_removed(loaded, tmp_path):
    write_pcap(tmp_path / "in.pcap", [FRAME])
    added = loaded.ctl("port", "add", "p9", "net_pcap_p9,rx_pcap=%s,tx_pcap=%s" % (tmp_path / "in.pcap", tmp_path / "out.pcap"),
                       "-o", "number=9,hold")
    assert added.returncode == 0
    listed = loaded.ctl("port", "list").stdout
    assert "p9" in listed and "net_pcap_p9" in listed
    ports = {each["port_status"]["name"]: each["port_status"]["number"] if "port_status" in each else each.get("number")
             for each in objects(loaded.ctl("port", "list", "--json").stdout)}
    assert ports["p9"] == 9
    assert loaded.ctl("release", "p9", "1").returncode == 0
    assert loaded.ctl("port", "del", "p9").returncode == 0
    assert "p9" not in loaded.ctl("port", "list").stdout
    failed = loaded.ctl("port", "add", "bad", "net_pcap_bad,rx_pcap=/no/such.pcap", check=False)
    assert failed.returncode == 1 and "/no/such.pcap" in failed.stderr


def test_pending_explain_barrier_digest_hello_status_version(loaded):
    pending = objects(loaded.ctl("pending", "--json").stdout)
    assert len(pending) == 1 and pending[0]["missing"] == 'port "p9"'
    assert 'port "p9"' in loaded.ctl("pending").stdout
    explained = {each["table"]: each for each in objects(loaded.ctl("explain", "--json").stdout) if "table" in each}
    assert explained == {} or explained[0]["rules"] in (2, "2")
    assert "linear" in loaded.ctl("explain").stdout
    assert loaded.ctl("barrier").returncode == 0
    assert "flow" in loaded.ctl("digest").stdout
    hello = json.loads(loaded.ctl("hello", "--json").stdout)
    assert hello.get("hello", hello)["epoch"]
    assert "p1" in loaded.ctl("status").stdout
    assert "0.1.0" in loaded.ctl("version").stdout
    assert subprocess.run([WEFTCTL, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    assert "dump" in subprocess.run([WEFTCTL, "--help"], stdout=subprocess.PIPE, text=True).stdout


def test_a_table_comes_to_rest_in_few_tuples_without_another_commit(switch):
    """Its grace periods must not wait for the next change."""
    rules = []
    for n in range(400):
        bits = 12 + n % 20
        network = ipaddress.ip_network((0x0A000000 + (n << 12), bits), strict=False)
        rest = "ip4.src == 48.0.%d.0/24" % (n // 4) if n % 2 else "tcp.dst == %d" % (1000 + n)
        rules += [+1, flow(0, 10 + n, "ip4.dst == %s && %s" % (network, rest), "drop;")]
    switch.control.transaction(rules, id="acl")

    def tuples():
        return switch.control.explain(table=0).tables[0].tuples
    seen = tuples()
    wait_until(lambda: tuples() < min(seen, 9), "fewer tuples than the %d at first" % seen)


def test_a_part_of_the_rows_and_a_sweep(switch):
    rows = [{"weight": 1, "flow": {"priority": n, "match": "1", "actions": "drop;"}} for n in range(40)]
    line = json.dumps({"transaction": {"id": "1", "ops": rows}})
    assert switch.ctl("--client", "gone", "apply", "-", stdin=line).returncode == 0
    counts = [sum(int(each["rows"]) for each in objects(switch.ctl("digest", "flow", "--part", "%d/4" % part, "--json").stdout))
              for part in range(4)]
    assert sum(counts) == 40 and max(counts) < 40
    dumped = [len(objects(switch.ctl("dump", "flow", "--part", "%d/4" % part, "--json").stdout)) for part in range(4)]
    assert dumped == counts
    assert switch.ctl("dump", "flow", "--part", "4", check=False).returncode == 2
    assert switch.ctl("digest", "--part", "4/4", check=False).returncode == 1
    assert switch.ctl("sweep", "nobody").stdout == "0 rows removed\n"
    assert switch.ctl("sweep", "gone", "--scope", "other").stdout == "0 rows removed\n"
    assert switch.ctl("sweep", "gone").stdout == "40 rows removed\n"


def test_packet_out_sends_a_packet(loaded):
    loaded.ctl("packet-out", 'output("p2");', "--hex", FRAME.hex())
    loaded.ctl("packet-out", "call(0);", "--hex", FRAME.hex(), "--port", "p1")
    outs = loaded.stop()
    sent = FRAME[:22] + bytes([FRAME[22] - 1]) + FRAME[23:24]
    assert len(outs["p2"]) == 7
    assert FRAME in outs["p2"]
    assert sum(frame.startswith(sent) for frame in outs["p2"]) == 6


def test_watch_prints_events(loaded):
    watching = subprocess.Popen([WEFTCTL, "--socket", loaded.socket, "watch", "commit", "--count", "2", "--from-seq", "1", "--json"],
                                stdout=subprocess.PIPE, text=True)
    loaded.control.transaction([+1, flow(3, 1, "ip4", "drop;")], id="seen")
    said, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    events = objects(said)
    assert len(events) == 2
    assert any("commit" in each.get("event", each) for each in events)
    text = loaded.ctl("watch", "commit", "--from-seq", "1", "--count", "1").stdout
    assert text.strip()


def test_top_prints_one_screen_where_nobody_can_press_a_key(loaded):
    text = loaded.ctl("top", "--once").stdout
    for word in ("p1", "p2", "no_match"):
        assert word in text, text
    assert max(map(len, text.splitlines())) <= 160


def test_the_environment_names_the_socket(loaded):
    done = subprocess.run([WEFTCTL, "drops"], env=dict(os.environ, WEFT_SOCKET=loaded.socket), stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "no_match" in done.stdout


def test_the_way_of_rows_in_bulk(switch, tmp_path):
    """100,000 rows in one file, in one transaction, by weftctl."""
    count = 100000
    with open(tmp_path / "rows", "w") as file:
        for first in range(0, count, 20000):
            ops = [{"weight": 1, "flow": {"table": 0, "priority": 1,
                                          "match": "eth.dst == 02:00:00:%02x:%02x:%02x" % (n >> 16, n >> 8 & 255, n & 255),
                                          "actions": "output(\"p1\");"}} for n in range(first, first + 20000)]
            file.write(json.dumps({"transaction": {"id": "bulk", "more": first + 20000 < count, "ops": ops}}) + "\n")
    done = switch.ctl("--client", "bulk", "apply", str(tmp_path / "rows"))
    assert objects(done.stdout)[-1]["ack"]["added"] == count
    assert len(switch.ctl("dump", "flow", "--json").stdout.splitlines()) == count


def test_top_lives_on_a_terminal_until_q_is_pressed(loaded):
    ours, theirs = pty.openpty()
    top = subprocess.Popen([WEFTCTL, "--socket", loaded.socket, "top", "--interval-ms", "50"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while seen.count(b"no_match") < 3:  # three screens
        seen += os.read(ours, 65536)
    os.write(ours, b"q")
    while True:  # to its end, which a terminal tells as an error
        try:
            if not os.read(ours, 65536):
                break
        except OSError:
            break
    os.close(ours)
    assert top.wait(30) == 0
    assert b"p1" in seen
