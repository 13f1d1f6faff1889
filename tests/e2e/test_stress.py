"""Anything in any order: rows, ports, packets, traces and events at random. The switch stays whole and its books close."""
import os
import random

import pytest

from frames import ARP, Dot1AD, Dot1Q, Ether, ICMP, IP, IPv6, Raw, TCP, UDP
from rig import Refused, bridge, flow, group, port, table, wait_until

STEPS = int(os.environ.get("WEFT_STEPS", "1500"))
PORTS = ["p%d" % n for n in range(1, 9)]
MATCHES = ["1", "ip4", "ip6", "arp", "tcp", "udp.dst == {53, 80..90}", "ip4.dst == 10.0.0.0/8", "vlan.present && vlan.vid == 7",
           "inport == \"p1\"", "inport == {\"p2\", \"p3\"}", "reg0 == 5", "reg1[0..7] > 3", "ip.is_frag", "ip6.src == fe80::/10",
           "eth.mcast", "icmp4 || icmp6", "ip.ttl < 3", "tcp.flags == 0x2/0x12", "!(ip4 || arp)", "ip4.src == 10.0.0.1 || udp.src == 5"]
STATEMENTS = ["output(\"p1\");", "output(\"p2\");", "output(\"p8\");", "output(flood);", "output(normal);", "output(inport);", "output(all);",
              "output(reg3);", "output(\"p4\", max_bytes=40);", "call(0);", "call(1);", "call(2);", "call(3);", "group(1);", "group(2);",
              "ip.ttl--;", "reg0 = 5;", "reg1 = reg0;", "eth.src = 02:00:00:00:00:99;", "eth.dst = eth.src;", "ip4.dst = 10.9.9.9;",
              "tcp.dst = 81;", "udp.src = 7;", "vlan.push(0x8100); vlan.vid = 9;", "vlan.push(0x88a8);", "vlan.pop;", "push(reg0);", "pop(reg2);",
              "inport = \"p5\";", "clone { ip.ttl--; output(\"p3\"); }", "clone { clone { output(flood); } call(2); }", "controller(reason=3);",
              "controller(max_bytes=20);", "ct(zone=1, commit);", "meter(1);", "reg3 = 2;", "ip6.dst = fe80::1;", "output(\"none\");"]
LAST = ["drop;", "goto(1);", "goto(2);", "goto(3);", "output(\"p7\");", ""]


def actions(chance):
    return "".join(chance.choice(STATEMENTS) for _ in range(chance.randrange(4))) + chance.choice(LAST) or "drop;"


def a_packet(chance):
    """Sound, cut, or with bytes changed."""
    layers = Ether(src="02:00:00:00:00:%02x" % chance.randrange(9), dst=chance.choice(
        ["02:00:00:00:00:%02x" % chance.randrange(9), "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:00", "33:33:00:00:00:01"]))
    for _ in range(chance.choice((0, 0, 0, 1, 2, 3))):
        layers /= chance.choice((Dot1Q, Dot1AD))(vlan=chance.randrange(4096))
    layers /= chance.choice([
        lambda: ARP(op=1), lambda: IP(src="10.0.0.1", dst="10.0.0.2", ttl=chance.randrange(4)) / UDP(sport=5, dport=chance.choice((53, 85, 9))),
        lambda: IP(dst="10.0.0.3") / TCP(dport=80, flags="S") / Raw(bytes(chance.randrange(1400))),
        lambda: IP(dst="10.0.0.3", flags="MF", frag=chance.randrange(5)) / Raw(bytes(64)), lambda: IP(dst="10.1.1.1") / ICMP(),
        lambda: IPv6(dst="fe80::2", hlim=chance.randrange(4)) / UDP(dport=53), lambda: Raw(bytes(60))])()
    data = bytearray(bytes(layers))
    if chance.random() < 0.3:
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(14, len(data) + 1):]
    return bytes(data)


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
