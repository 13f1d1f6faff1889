"""One packet, one generation: packets marked by two tables and a group that change together (DF-13)."""
import pytest

from frames import mac, numbered, numbers
from rig import flow, group, ops_of

COUNT = 200000


def generation_rows(mark):
    """Table 0 writes the mark into eth.src, table 1 and the group into parts of eth.dst."""
    return [("upsert", flow(0, 1, "ip4", "eth.src = %s; call(1);" % mac(mark))),
            ("upsert", flow(1, 1, "ip4", "eth.dst = %s; group(1);" % mac(mark))),
            ("upsert", group(1, "indirect", ["eth.dst[40..47] = 0x%02x; output(\"p2\");" % (mark & 0xFE)]))]


def consistent(frame):
    """All three parts of the mark are of one generation."""
    source, target = int.from_bytes(frame[6:12], "big"), int.from_bytes(frame[0:6], "big")
    return target & (1 << 40) - 1 == source and target >> 40 == source & 0xFE


@pytest.mark.parametrize("workers", [1, 2])
def test_df13_no_packet_sees_parts_of_two_transactions(switches, workers):
    switch = switches(workers=workers)
    share = COUNT // workers
    queues = [numbered("10.0.0.1", "10.0.0.2", range(n * share, (n + 1) * share)) for n in range(workers)]
    control = switch.control
    control.transaction(generation_rows(1))
    switch.files({"p1": queues, "p2": [[] for _ in range(workers)]}, queues=workers)
    for mark in range(2, 402):
        switch.release("p1", COUNT // 400)
        control.transaction(generation_rows(mark))
    switch.release("p1", COUNT - switch.sent)
    switch.settle()
    frames = switch.stop()["p2"]
    assert sorted(numbers(frames)) == list(range(COUNT))
    assert all(map(consistent, frames))
    marks = {frame[6:12] for frame in frames}
    assert len(marks) > 50, "the stream and the commits did not overlap"


def test_df13_a_dump_is_one_snapshot_while_commits_go_on(switch):
    """Every commit moves all rows from one mark to the next: a dump with two marks would be of two generations."""
    writer, reader = switch.client("writer"), switch.client("reader")

    def rows(mark):
        return [("upsert", flow(0, n, "ip4", "eth.src = %s;" % mac(mark))) for n in range(300)]

    writer.transaction(rows(1))
    for mark in range(2, 22):
        cursor, marks, count = "", set(), 0
        under_way = writer.post("transaction", ops=[])
        while True:
            page = reader.call("get", relation="flow", limit=50, cursor=cursor)
            marks |= {stored.row.flow.actions for stored in page.rows}
            count += len(page.rows)
            cursor = page.cursor
            writer.wait(under_way)
            under_way = writer.post("transaction", ops=ops_of(rows(mark)))
            if not cursor:
                break
        writer.wait(under_way)
        assert (len(marks), count) == (1, 300)


def test_a_barrier_means_that_the_next_packet_sees_the_change(switch):
    rounds = 300
    switch.files({"p1": numbered("10.0.0.1", "10.0.0.2", range(2 * rounds)), "p2": [], "p3": []})
    for turn in range(rounds):
        ack = switch.control.transaction([("upsert", flow(0, 1, "1", 'output("p%d");' % (2 + turn % 2)))])
        assert switch.control.barrier(ack.generation).timeout is False
        switch.send(p1=2)
    outs = switch.stop()
    assert numbers(outs["p2"]) == [n for n in range(2 * rounds) if n // 2 % 2 == 0]
    assert numbers(outs["p3"]) == [n for n in range(2 * rounds) if n // 2 % 2 == 1]
