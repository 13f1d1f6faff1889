"""Anything in any order: rows, ports, packets, traces and events at random. The switch stays whole and its books close."""
import os
import random

import pytest

from chaos import MATCHES, a_packet, actions
from rig import Refused, bridge, flow, group, port, table, wait_until

STEPS = int(os.environ.get("WEFT_STEPS", "1500"))
PORTS = ["p%d" % n for n in range(1, 9)]


class Chaos:
    def __init__(self, switch, chance):
        self.switch, self.chance = switch, chance
        self.clients = [switch.client(name) for name in ("one", "two", "three")]
        self.frames = [a_packet(chance) for _ in range(3000)]
        self.left = len(self.frames)
        self.refusals = {}
        self.watching = switch.client("watcher")
        self.watching.watch()

    def prepare(self):
        outs = {name: [[], []] for name in PORTS[1:]}
        half = len(self.frames) // 2
        self.switch.files({"p1": [self.frames[:half], self.frames[half:]], **outs}, mtu=2000, queues=2)

    def row(self):
        chance = self.chance
        kind = chance.random()
        if kind < 0.75:
            return flow(chance.randrange(4), chance.randrange(6), chance.choice(MATCHES), actions(chance),
                        hard_timeout_s=chance.choice((0, 0, 0, 0, 1)), idle_timeout_s=chance.choice((0, 0, 0, 2)))
        if kind < 0.85:
            return group(chance.randrange(1, 3), chance.choice(("all", "select", "indirect")),
                         [(chance.randrange(4), actions(chance)) for _ in range(chance.randrange(1, 4))])
        if kind < 0.9:
            return table(chance.randrange(5), "t", miss=chance.choice(("", "drop;", actions(chance))), counters_off=chance.random() < 0.3)
        if kind < 0.95:
            return bridge(chance.choice(("main", "inner")), reserved_multicast=chance.choice(("", "drop", "pass", "punt")),
                          learning_off=chance.random() < 0.5, mac_limit=chance.choice((0, 2)))
        number = chance.randrange(10, 14)
        return chance.choice([
            port("p%d" % number, "net_null%d,no-rx=1" % number, number=number), port("p%d" % number, "net_ring%d" % number),
            port("x1", peer="x2"), port("x2", bridge="inner", peer="x1"),
            port("p%d" % number, "net_pcap_bad,rx_pcap=/none")])

    def transact(self):
        client, chance = self.chance.choice(self.clients), self.chance
        ops = [(chance.choice((+1, +1, +1, -1, "upsert", "upsert", "delete")), self.row()) for _ in range(chance.randrange(1, 12))]
        client.transaction(ops, strict=chance.random() < 0.1, scope=chance.choice(("", "", "s")))

    def replace(self):
        ops = [(+1, self.row()) for _ in range(self.chance.randrange(20))]
        self.chance.choice(self.clients).transaction(ops, replace={"relations": ["flow", "group"]})

    def packets(self):
        count = min(self.left, self.chance.randrange(1, 60))
        if count:
            self.left -= count
            self.switch.release("p1", count)

    def packet_out(self):
        self.chance.choice(self.clients).packet_out(a_packet(self.chance), actions(self.chance), port=self.chance.choice(("", "p1", "p5", "none")))

    def trace(self):
        self.chance.choice(self.clients).trace(self.chance.choice(PORTS), packet=a_packet(self.chance))

    def look(self):
        client = self.chance.choice(self.clients)
        self.chance.choice([lambda: list(client.get(self.chance.choice(("flow", "port", "port_status", "learned_mac", "group")), limit=7)),
                            client.digest, client.stats, client.explain, client.pending, client.barrier,
                            lambda: self.switch.control.advance(self.chance.randrange(500))])()

    def step(self):
        try:
            self.chance.choices([self.transact, self.replace, self.packets, self.packet_out, self.trace, self.look],
                                weights=[40, 1, 20, 8, 8, 8])[0]()
        except Refused as refused:
            self.refusals[refused.code] = self.refusals.get(refused.code, 0) + 1


@pytest.mark.parametrize("seed, workers", [(1, 1), (2, 2)])
def test_whatever_happens_the_switch_stays_whole(switches, seed, workers):
    seed = int(os.environ.get("WEFT_SEED", seed))
    print("seed", seed)
    switch = switches("--clock", "manual", workers=workers)
    chaos = Chaos(switch, random.Random(seed))
    chaos.prepare()
    for _ in range(STEPS):
        chaos.step()
    print("refused:", chaos.refusals)
    switch.release("p1", chaos.left)
    chaos.clients[0].transaction(replace={"owner": "one"})
    others = [switch.client(name) for name in ("two", "three")]
    for client, name in zip(others, ("two", "three")):
        client.transaction(replace={"owner": name})
    wait_until(lambda: switch.totals()["received"] >= switch.sent and switch.totals()["held"] == 0, lambda: str(switch.totals()))
    switch.control.barrier()
    totals = switch.books_close()
    assert totals["received"] + totals["made"] > len(chaos.frames)
    assert switch.flows() == {}
    seen = 0
    while chaos.watching.next_event(timeout=0.3) is not None:
        seen += 1
    assert seen > STEPS // 10
    assert "internal" not in chaos.refusals
    switch.stop()
