"""Packets that want to be expensive: a search by what they really cost the worker, held against the bound that explain prints.
(tests/classifier/hostile_test.cc searches by counted steps, in more kinds of tables, and runs always.)"""
import random
import re
import struct

import pytest

from rig import FULL_SIZE, SANITIZED, Refused, flow, table, wait_until

GENERATIONS, SETS, KINDS, REPEATS = 60, 12, 32, 64
PACKETS = KINDS * REPEATS  # of one measurement
ROUNDS, ATTEMPTS = 3, 5    # the least of so many measurements counts: others use this machine, too


# ---- rules, and the packets near them: (src, dst, protocol, sport, dport)

def access_list(chance, count=2000):
    """Rules of both addresses' prefixes and a port, or none: {field: (value, prefix length)}."""
    rules = []
    for _ in range(count):
        rule = {"src": (chance.getrandbits(32), chance.choice((0, 12, 24))), "dst": (chance.getrandbits(32) & 0x0FFFFFFF, chance.randrange(16, 33))}
        if chance.random() < 0.7:
            rule |= {"proto": (6, 8), "dport": (chance.randrange(1024), 16)}
        rules.append(rule)
    return rules


def thousand_masks(chance):
    """Tuple-space explosion: every length of one prefix against every length of the other."""
    return [{"src": (chance.getrandbits(32), src), "dst": (chance.getrandbits(32), dst)} for src in range(1, 33) for dst in range(1, 33)]


def address(value):
    return "%d.%d.%d.%d" % tuple(value.to_bytes(4, "big"))


def row_of(rule, priority):
    parts = ["ip4.%s == %s/%d" % (field, address(value >> 32 - length << 32 - length), length) for field, (value, length) in rule.items()
             if field in ("src", "dst") and length]
    if "dport" in rule:
        parts.append("tcp.dst == %d" % rule["dport"][0])
    return flow(0, priority, " && ".join(parts) or "ip4", "drop;")


FIELDS = {"src": 32, "dst": 32, "proto": 8, "sport": 16, "dport": 16}


def near(chance, packet, rules, good):
    """A step from one packet to another: a rule's fields, one of them, a bit, or those of a packet that was dear."""
    packet, rule = dict(packet), chance.choice(rules)
    kind = chance.randrange(4)
    if kind == 3:
        packet.update(chance.sample(list(chance.choice(good).items()), 2))
        return packet
    for field in rule if kind == 0 else [chance.choice(list(rule))]:
        value, length = rule[field]
        free = FIELDS[field] - length
        if kind == 2 and length:
            packet[field] ^= 1 << free + chance.randrange(length)
        else:
            packet[field] = value >> free << free | packet[field] & (1 << free) - 1
    return packet


def frame(packet):
    addresses = struct.pack("!II", packet["src"], packet["dst"])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + addresses
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + struct.pack("!HHIIBBHHH", packet["sport"], packet["dport"], 0, 0, 0x50, 2, 99, 0, 0) + bytes(6)


# ---- what they cost

class Scale:
    """Measures sets of packets on one switch, each through a port of its own that goes again."""

    def __init__(self, switch):
        self.switch, self.ports = switch, 0

    def _busy(self):
        return sum(worker["busy_cycles"] for worker in self.switch.control.stats("workers")["workers"].values())

    def weigh(self, sets):
        """Cycles a packet of each set: the least of some rounds, which are in turn."""
        name = "in%d" % self.ports
        self.ports += 1
        frames = [[frame(packet) for packet in packets] for packets in sets]
        self.switch.files({name: [each for _ in range(ROUNDS) for made in frames for each in (made * PACKETS)[:PACKETS]]})
        seen = [[] for _ in sets]
        for _ in range(ROUNDS):
            for at in range(len(sets)):
                before = self._busy()
                self.switch.send(**{name: PACKETS})
                seen[at].append((self._busy() - before) / PACKETS)
        row = next(each.row.port for each in self.switch.control.get("port") if each.row.port.name == name)
        self.switch.control.transaction([-1, row])
        return [min(values) for values in seen]


@pytest.mark.skipif(SANITIZED or not FULL_SIZE, reason="it measures: for a machine that does nothing else, and a build without sanitizers")
@pytest.mark.parametrize("kind", [access_list, thousand_masks])
def test_no_packet_costs_more_than_the_bound_that_explain_prints(switches, kind):
    chance = random.Random(11)
    rules = kind(chance)
    empty, full = switches(), switches()
    empty.control.transaction([+1, row_of(max(rules, key=len), 1)])  # reads the same fields of a packet
    full.control.transaction([(+1, row_of(rule, priority)) for priority, rule in enumerate(rules, 1)])
    explained = lambda: full.control.explain(table=0).tables[0]  # noqa: E731
    bounds = []
    wait_until(lambda: bounds.append(explained().cycles_max) or bounds[-20:] == [bounds[-1]] * 20, "the table comes to rest")
    bound = bounds[-1]

    scale = Scale(full)
    zero = dict.fromkeys(FIELDS, 0)
    sets = [[near(chance, zero, rules, [zero]) for _ in range(KINDS)] for _ in range(SETS)]
    dearest, everything = [], []
    for _ in range(GENERATIONS):
        ranked = sorted(zip(scale.weigh(sets), range(SETS)), reverse=True)
        dearest.append(ranked[0][0])
        best = [sets[at] for _, at in ranked[:SETS // 3]]
        everything = [packet for packets in best for packet in packets]
        sets = best + [[near(chance, packet, rules, everything) if chance.random() < 0.4 else packet for packet in chance.choice(best)]
                       for _ in range(SETS - len(best))]
    chance.shuffle(everything)
    plain = min(Scale(empty).weigh(best))
    weights = scale.weigh(best + [everything])
    for _ in range(ATTEMPTS):
        if max(weights) - plain > bound:
            weights = list(map(min, weights, scale.weigh(best + [everything])))
    found = max(weights)
    print("%s: bound %d cycles; %d cycles a packet without the table, the dearest packets %d more (at first %d)"
          % (kind.__name__, bound, plain, found - plain, dearest[0] - plain))
    assert full.drops().keys() <= {"policy", "no_match"}
    assert found - plain <= bound
    assert found - plain > 20, "of a table that cost nothing it would say nothing"


def test_a_rule_that_would_break_a_configured_bound_is_refused_with_both_numbers(switch):
    control, chance = switch.control, random.Random(12)
    rules = thousand_masks(chance)
    control.transaction([+1, table(0, cycles_max=600)])
    came = 0
    with pytest.raises(Refused) as refused:
        for came, rule in enumerate(rules):
            before = switch.digest_of()
            control.transaction([+1, row_of(rule, 1 + came)])
    assert refused.value.code == "bound_exceeded" and refused.value.nak.op == 0
    said = re.fullmatch(r"flow table 0 priority (\d+): table 0 would cost up to (\d+) cycles a lookup: its cycles_max is 600", refused.value.nak.message)
    assert said and int(said[1]) == 1 + came and int(said[2]) > 600, refused.value.nak.message
    assert switch.digest_of() == before
    assert 5 < came == len(switch.flows())
    wait_until(lambda: control.explain(table=0).tables[0].cycles_max <= 600, "the refused rule is gone")
    ack = control.transaction(["upsert", flow(0, 1, next(iter(switch.flows()))[2], 'output("p1");')])
    assert (ack.added, ack.removed) == (1, 1), "what stands may do something else"
