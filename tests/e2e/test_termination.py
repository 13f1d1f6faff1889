"""Every packet leaves the tables, whatever the tables call (DDL-7). `tests/pipeline/engine_oracle_test` asks the same of the
engine alone, beside the interpreter."""
import random

from chaos import MATCHES, a_packet, actions
from rig import flow, group, port, sized

PIPELINES, PACKETS = sized(200, 10_000), sized(50, 100)
TABLES = 5
LIMITS = {"depth_exceeded", "steps_exceeded", "clones_exceeded", "effects_exceeded"}
LOOPS = ["call(%d); call(%d);", "clone { call(%d); } call(%d);", "call(%d); output(\"p3\"); goto(%d);", "output(\"x1\"); call(%d); call(%d);",
         "clone { output(\"p2\"); } call(%d); goto(%d);", "clone { drop; } clone { drop; } clone { drop; } clone { call(%d); } goto(%d);"]


def pipeline(chance):
    """Rows of a few tables, most of which go on in another one, often one that came before; a patch port leads back in."""
    loops = LOOPS if chance.random() < 0.5 else [chance.choice(LOOPS)]
    rows = [flow(at, 0, "1", chance.choice(loops) % (chance.randrange(TABLES), chance.randrange(TABLES)), bridge=where)
            for at in range(TABLES) for where in ("", "inner") if chance.random() < 0.7]
    rows += [flow(chance.randrange(TABLES), 1 + n, chance.choice(MATCHES), actions(chance), bridge=chance.choice(("", "inner")))
             for n in range(chance.randrange(8))]
    return rows + [group(number, chance.choice(("all", "select", "indirect")), [actions(chance)]) for number in (1, 2)]


def test_ddl7_every_walk_ends(switch):
    chance = random.Random(7)
    kinds = [a_packet(chance) for _ in range(2000)]
    nowhere = [port("p%d" % number, "net_null%d,no-rx=1" % number, number=number) for number in range(2, 9)]
    switch.control.transaction([(+1, row) for row in nowhere] + [+1, port("x1", peer="x2"), +1, port("x2", bridge="inner", peer="x1")])
    switch.files({"p1": [chance.choice(kinds) for _ in range(PIPELINES * PACKETS)]})
    for _ in range(PIPELINES):
        switch.control.transaction([(+1, row) for row in pipeline(chance)], replace={"relations": ["flow", "group"]})
        switch.control.barrier()
        switch.send(p1=PACKETS)  # none of them is lost in a loop
    totals = switch.books_close()
    print(PIPELINES, "pipelines", totals, switch.drops())
    assert totals["received"] == PIPELINES * PACKETS
    assert LIMITS <= set(switch.drops()), switch.drops()
