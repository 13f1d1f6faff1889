"""The bench measures what it says: its packets, rules and answers are right, its clocks and counts add up."""
import os
import random
import signal
import statistics
import sys
import xml.etree.ElementTree as xml

import numpy
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "bench"))
import answers  # noqa: E402
import every_kind  # noqa: E402
import feed  # noqa: E402
import figures  # noqa: E402
import forwarding  # noqa: E402
import packets  # noqa: E402
import plot  # noqa: E402
import policies  # noqa: E402
import report  # noqa: E402
import rfc2544  # noqa: E402
import rows  # noqa: E402
import rules  # noqa: E402
from changes import Updates  # noqa: E402
from systems import Weft  # noqa: E402

SANITIZED = os.environ.get("WEFT_SANITIZED") == "1"


@pytest.mark.parametrize("proto, layer", [(packets.TCP, TCP), (packets.UDP, UDP)])
def test_frames_are_what_scapy_reads_with_right_checksums(proto, layer):
    made = packets.headers(50, src=0x0A000001 + numpy.arange(50), dst=0xC0A80105, proto=proto, sport=1024 + 7 * numpy.arange(50), dport=80)
    for row, frame in zip(made, packets.frames_of(made)):
        seen = Ether(frame.tobytes())
        assert (seen[IP].src, seen[IP].dst, seen[layer].sport, seen[layer].dport) == (packets.ip4(row["src"]), "192.168.1.5", row["sport"], 80)
        wanted = Ether(frame.tobytes())
        del wanted[IP].chksum
        if proto == packets.TCP:
            del wanted[TCP].chksum
        assert bytes(wanted) == frame.tobytes()


def test_a_routed_frame_is_one_hop_older_with_a_right_checksum():
    frame, = packets.routed(packets.frames_of(packets.headers(1, dst=0x01020304, proto=packets.UDP)), 0x0200000000AA, 0x0200000000BB)
    seen = Ether(frame.tobytes())
    assert (seen.dst, seen.src, seen.ttl) == ("02:00:00:00:00:aa", "02:00:00:00:00:bb", 63)
    del seen[IP].chksum
    assert bytes(Ether(bytes(seen))) == frame.tobytes()


def test_a_range_of_ports_is_made_of_prefixes_that_cover_it_once():
    draw = random.Random(1)
    for _ in range(200):
        low, high = sorted((draw.randrange(65536), draw.randrange(65536)))
        covered = sorted(port for value, mask in rules.port_prefixes(low, high) for port in range(value, value + (0x10000 - mask)))
        assert covered == list(range(low, high + 1))
    assert rules.port_prefixes(0, 0xFFFF) == [(0, 0)]


def test_the_reference_finds_the_rule_of_highest_priority():
    table = rules.rules(3, priority=[1, 3, 2], dst=[0, 0x0A000000, 0x0A010000], dst_bits=[0, 8, 16], proto=[rules.ANY, packets.TCP, rules.ANY])
    table["dport_lo"][1] = table["dport_hi"][1] = 80
    asked = packets.headers(4, dst=[0x0A010101, 0x0A010101, 0x0B000000, 0x0A020000], proto=[6, 6, 6, 17], dport=[80, 81, 80, 80])
    assert list(rules.first_match(table, asked)) == [1, 2, 0, 0]


def classbench_file(folder):
    path = folder / "filters"
    path.write_text("@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t80 : 80\t0x06/0xFF\t0x0000/0x0000\t\n"
                    "@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t80 : 80\t0x06/0xFF\t0x1000/0x1000\t\n"
                    "@0.0.0.0/0\t1.2.3.4/32\t1024 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000\t\n"
                    "@0.0.0.0/0\t1.2.3.0/24\t5 : 5\t0 : 65535\t0x01/0xFF\t0x0000/0x0000\t\n"
                    "@0.0.0.0/0\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000\t\n")
    return str(path)


def test_of_a_filter_file_duplicates_and_impossible_rules_go(tmp_path):
    policy = policies.classbench(classbench_file(tmp_path), 10)
    assert (policy.written, len(policy.table)) == (5, 3)
    (tmp_path / "broken").write_text("10.0.0.0/8 nonsense\n")
    with pytest.raises(SystemExit, match="broken line 1 is no ClassBench filter"):
        policies.classbench(str(tmp_path / "broken"), 10)


POLICIES = {"l2": lambda _: policies.l2(16, 500), "l3": lambda _: policies.l3(300, 1000, policies.ENTERPRISE), "acl": lambda _: policies.acl(300, 2000),
            "tse": lambda _: policies.tse(True, 1000, 20_000), "classbench": lambda folder: policies.classbench(classbench_file(folder), 1000)}


@pytest.mark.parametrize("name", POLICIES)
def test_weft_gives_the_answers_of_the_reference(name, tmp_path):
    assert answers.compare(str(tmp_path), POLICIES[name](tmp_path)) > 60


def test_one_wrong_rule_is_noticed(tmp_path, monkeypatch):
    right = rules.weft_flows

    def wrong(*arguments):
        for i, (priority, match, actions) in enumerate(right(*arguments)):
            yield priority, match, 'output("out0");' if i == 5 else actions
    monkeypatch.setattr(rules, "weft_flows", wrong)
    with pytest.raises(SystemExit, match="weft is wrong at output 0"):
        answers.compare(str(tmp_path), policies.l2(16, 500))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_the_paced_source_accounts_for_every_arrival(tmp_path):
    policy = policies.l2(16, 500)
    with rfc2544.switched(str(tmp_path), policy, "weft", "null") as (weft, paced):
        slow = paced.trial(10_000, 0.3)
        assert 2_500 < slow.arrived < 20_000
        assert slow.lost_inside == slow.out_of_order == 0
        assert sum(paced.header.sink.latency) == paced.header.sink.received == slow.arrived - slow.lost
        assert 0 < slow.latency_us["p50"] <= slow.latency_us["p99.9"] <= slow.latency_us["max"] * 1.04
        flood = paced.trial(100e6, 0.3)
        assert flood.lost > 0 and flood.waiting_max == 1024 and flood.lost_inside == 0
        assert paced.header.sink.received == flood.arrived - flood.lost
        with Updates(weft, "drops", 2_000) as running:
            during = paced.trial(10_000, 0.5)
        assert running.reached > 500 and during.lost_inside == 0


def trial_of(packets_per_s=1e6, lost=0, lost_by_pauses=0, waited=0.0):
    return rfc2544.Trial(packets_per_s / 1e6, 100, lost, 0, lost_by_pauses, 0, 0, 0, {}, 0, 0, waited)


def test_the_no_drop_rate_is_found_in_spite_of_a_stolen_core():
    calls = []

    def trial(packets_per_s, seconds):
        calls.append(packets_per_s)
        disturbed = len(calls) % 4 != 0
        lost = 5 if disturbed or packets_per_s > 7.3e6 else 0
        return trial_of(packets_per_s, lost, waited=0.1 if disturbed else 0.0)
    assert 7.2e6 < rfc2544.no_drop_rate(trial, 10e6, 1) <= 7.3e6
    assert rfc2544.no_drop_rate(lambda rate, seconds: trial_of(lost=5), 10e6, 1) == 0


def test_what_a_pause_of_the_machine_loses_is_no_drop_of_the_switch():
    assert rfc2544.without_loss(lambda rate, seconds: trial_of(lost=5, lost_by_pauses=5), 1e6, 1)
    assert not rfc2544.without_loss(lambda rate, seconds: trial_of(lost=6, lost_by_pauses=5), 1e6, 1)


def test_counts_of_trials_add_up():
    both = rfc2544.added([trial_of(lost=6, lost_by_pauses=5), trial_of(lost=1, lost_by_pauses=1, waited=0.5)])
    assert (both.arrived, both.lost, both.lost_by_pauses, both.waited) == (200, 7, 6, 0.25)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_packets_of_no_run_wake_the_switch_before_one(tmp_path):
    policy = policies.l2(16, 500)
    with rfc2544.switched(str(tmp_path), policy, "weft", "null") as (weft, paced):
        wakers = []
        for _ in range(20):
            before, slept = weft.workers()[0]["received"], weft.workers()[0]["sleeps"]
            paced._until(lambda slept=slept: weft.workers()[0]["sleeps"] >= slept + 10, "the worker does not sleep")
            run = paced.trial(1e6, 0.002)
            wakers.append(weft.workers()[0]["received"] - before - (run.arrived - run.lost))
        assert statistics.median(wakers) >= 20


def test_changes_of_every_kind_leave_everything_as_it_was(tmp_path):
    policy = policies.l2(16, 500)
    made = every_kind.transactions(used=16, toggles=2_000)
    assert all(each.ops <= 101 for each in made)
    weft = Weft(str(tmp_path), [("out", "net_null_out,no-rx=1")])
    try:
        weft.load(policy, ["out"])
        before = weft.client.digest()
        link = feed.Feed(weft.socket)
        for _ in range(2):
            link.run(made)
        assert link.changed == 2 * sum(each.ops for each in made)  # none of them was without effect
        assert weft.client.digest() == before
    finally:
        weft.close()


def test_latencies_fall_into_buckets_of_three_percent():
    ends = [rfc2544.bucket_cycles(i) for i in range(rfc2544.BUCKETS)]
    assert ends == sorted(set(ends)) and ends[63:66] == [63, 65, 67]
    assert all(after / before < 1.04 for before, after in zip(ends[64:], ends[65:]))


def test_a_paired_ratio_has_the_interval_of_students_distribution():
    assert figures.t_quantile(29) == pytest.approx(2.045, rel=0.002)
    assert figures.t_quantile(4) == pytest.approx(2.776, rel=0.02)
    assert figures.paired_ratio([(2, 1)] * 5) == pytest.approx((2, 2, 2))
    value, low, high = figures.paired_ratio([(1.0, 1.1), (1.1, 1.0), (1.0, 1.0), (1.05, 1.0)])
    assert low < value < high and low < 1 < high


def test_a_plot_is_an_image_with_its_points(tmp_path):
    path = str(tmp_path / "plot.svg")
    plot.lines(path, "a < b", "x", "y", {"one": [(1, 10), (1000, (20, 30, 40))], "two": [(1, 11)], "none": []})
    root = xml.parse(path).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 3
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_the_report_takes_the_newest_lines_and_leaves_what_is_written(tmp_path, monkeypatch):
    document, lines = tmp_path / "benchmarks.md", tmp_path / "lines"
    document.write_text("# Mine\n" + "".join("<!-- made: %s -->\nold\n<!-- end -->\nkept %s\n" % (part, part) for part in report.PARTS))
    monkeypatch.setattr(report, "DOCUMENT", str(document))
    monkeypatch.setattr(report, "PLOTS", str(tmp_path))
    monkeypatch.setattr(report, "ROOT", str(tmp_path))
    kept = figures.Report(str(lines), {"commit": "c", "cpu": "p", "kernel": "k", "dpdk": "d", "ovs": "", "date": "today"})
    for mpps in (1.0, 7.5):
        kept.rate("l2-1", "weft", "default", [report_window(mpps)], True)
    kept.rate("l2-1", "ovs", "EMC off", [report_window(2.5, dict(emc=0, smc=0, megaflow=1, lookups=1, upcalls_per_s=0))], True,
              notes=dict(emc=0, smc=0, megaflow=1, lookups=1, upcalls_per_s=0))
    for value in (2.0, 3.25):  # of windows in turn, which the medians are not
        kept.ratio("l2-1", "Mpps, weft over OVS at its best (EMC off), 30 pairs", value)
    report.write([str(lines)])
    text = document.read_text()
    assert "**7.5**" in text and "2.5 (EMC off)" in text and "**3.25**" in text
    assert "old" not in text and all("kept " + part in text for part in report.PARTS)
    assert "1 / 1 / 1" not in text


def report_window(mpps, notes=None):
    from systems import Window
    return Window(mpps, 2000 / mpps, notes=notes or {})


# ---- what a change costs

def test_a_slope_is_that_of_the_line_and_of_the_noise_around_it():
    assert rows.slope([5 + 3 * at for at in range(10)]) == pytest.approx(3)
    assert rows.slope([7, 7, 7]) == 0
    draw = random.Random(2)
    assert rows.slope([100 + 0.5 * at + draw.uniform(-1, 1) for at in range(1000)]) == pytest.approx(0.5, abs=0.01)


def test_a_recompute_is_one_transaction_that_replaces_all_flows():
    made, = rows.replacement([(100, "eth.dst == 02:00:00:00:00:01", 'output("out");')] * 3)
    data = bytes(made.numbered(7))
    length, at = 0, 0
    while True:
        length |= (data[at] & 0x7F) << 7 * at
        at += 1
        if data[at - 1] < 0x80:
            break
    request = feed.pb.Request.FromString(data[at:])
    assert len(data) == at + length
    assert list(request.transaction.replace.relations) == ["flow"] and request.transaction.id == "000000000007"
    assert [op.flow.match for op in request.transaction.ops] == ["eth.dst == 02:00:00:00:00:01"] * 3


def test_samples_of_the_relations_are_one_row_in_two_versions():
    for relation, sample in rows.SAMPLES.items():
        kinds = {type(sample(0, version)).__name__.lower() for version in (0, 1)}
        assert kinds == {relation} and sample(0, 0) != sample(0, 1) != sample(1, 1)
    assert set(rows.SAMPLES) | {"bridge"} == {field.name for field in feed.pb.Op.DESCRIPTOR.oneofs_by_name["row"].fields}


class OneOfTwo:
    """A system whose windows say who is stopped."""
    all = []

    def __init__(self):
        self.process, self.stopped, self.closed = self, False, False
        self.all.append(self)

    def send_signal(self, number):
        self.stopped = {signal.SIGSTOP: True, signal.SIGCONT: False}[number]

    def warm(self):
        assert [each.stopped for each in self.all] == [each is not self for each in self.all]

    def window(self, seconds):
        return [each.stopped for each in self.all]

    def close(self):
        assert not self.stopped
        self.closed = True


def test_of_two_that_stand_one_runs_while_the_other_is_stopped():
    OneOfTwo.all.clear()
    with forwarding.standing(*(forwarding.Contender("one of two", setting, OneOfTwo) for setting in "ab")) as turn:
        assert [turn(0.1) for _ in range(3)] == [[[False, True], [True, False]]] * 3
    assert all(each.closed for each in OneOfTwo.all)
