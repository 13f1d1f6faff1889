"""What is measured: sets of rules, and the packets that are drawn over them. Seeded, so that every run has the same."""
import dataclasses
import lzma
import random
import re

import numpy

from packets import FIRST_MAC, ROUTER_MAC, TCP, UDP, headers
from rules import ANY, possible, prefix_mask, rules


@dataclasses.dataclass
class Policy:
    table: numpy.ndarray     # RULE
    packets: numpy.ndarray   # HEADER, in the order in which they come
    written: int             # rules as their author counts them
    routes: bool = False     # permitted packets are routed: TTL, both MACs

    def hop_macs(self):
        return 0x020000200000 + numpy.arange(64, dtype="u8") if self.routes else None

    router_mac = ROUTER_MAC


def _fill(generator, values, bits):
    """Prefixes with their host bits drawn."""
    host = generator.integers(0, 1 << 32, len(values), dtype="u8")
    return values | (host & ~prefix_mask(bits) & numpy.uint64(0xFFFFFFFF))


# ---- L2 -------------------------------------------------------------------------------------------------------------------

def l2(macs, flows, first_flow=0, packets_min=4096):
    """`flows` UDP 5-tuples spread over `macs` destinations, shuffled, so that neighbours belong to different flows."""
    generator = numpy.random.default_rng(1)
    table = rules(macs, priority=100, ip=False, mac=FIRST_MAC + numpy.arange(macs, dtype="u8"))
    f = generator.permutation(numpy.arange(max(flows, packets_min), dtype="u8") % flows) + first_flow
    packets = headers(len(f), mac=FIRST_MAC + f % macs, src=0x0A000000 + (f * 2654435761 & 0xFFFFFF), dst=0x30000000 + (f * 40503 & 0xFFFF),
                      proto=UDP, sport=1024 + f % 50021, dport=53 + (f >> numpy.uint64(4)) % 1000)
    return Policy(table, packets, macs)


# ---- L3 -------------------------------------------------------------------------------------------------------------------

# Prefixes of each length in a thousand of the Internet's IPv4 table, as BGP reports show it year after year: six in ten are /24.
INTERNET = {8: 0.02, 9: 0.02, 10: 0.05, 11: 0.1, 12: 0.3, 13: 0.6, 14: 1.2, 15: 2, 16: 14, 17: 8.5, 18: 14, 19: 25, 20: 45, 21: 51, 22: 112, 23: 102, 24: 624}
# A network's own table is flatter, and has some hosts and links in it.
ENTERPRISE = {8: 1, 12: 1, 14: 2, 16: 8, 17: 3, 18: 4, 19: 6, 20: 8, 21: 6, 22: 12, 23: 10, 24: 36, 26: 1, 28: 1, 32: 1}


def l3(prefixes, flows, lengths):
    generator = numpy.random.default_rng(3)
    share = numpy.array(list(lengths.values())) / sum(lengths.values())
    found = numpy.zeros(0, "u8")
    while len(found) < prefixes:
        bits = generator.choice(numpy.array(list(lengths), "u8"), prefixes, p=share)
        address = (generator.integers(1, 224, prefixes, dtype="u8") << numpy.uint64(24) | generator.integers(0, 1 << 24, prefixes, dtype="u8"))
        drawn = (address & prefix_mask(bits)) << numpy.uint64(8) | bits
        _, first = numpy.unique(numpy.concatenate([found, drawn]), return_index=True)
        found = numpy.concatenate([found, drawn])[numpy.sort(first)][:prefixes]
    address, bits = found >> numpy.uint64(8), found & numpy.uint64(255)
    table = rules(prefixes, priority=100 + bits, dst=address, dst_bits=bits, hop=generator.integers(0, 64, prefixes))
    at = generator.integers(0, prefixes, flows)
    packets = headers(flows, mac=ROUTER_MAC, src=generator.integers(0x0A000000, 0x0B000000, flows), dst=_fill(generator, address[at], bits[at]),
                      proto=UDP, sport=generator.integers(1024, 65535, flows), dport=generator.integers(1, 1024, flows))
    return Policy(table, packets, prefixes, routes=True)


# ---- ACL ------------------------------------------------------------------------------------------------------------------

# Weights of prefix lengths and the ports of the rules, after what real filter sets look like.
SRC_BITS = {0: 20, 8: 3, 16: 8, 20: 4, 24: 20, 27: 5, 28: 5, 30: 5, 32: 30}
DST_BITS = {0: 5, 16: 8, 21: 4, 24: 22, 26: 5, 27: 6, 28: 5, 32: 45}
SERVICES = [20, 21, 22, 23, 25, 53, 80, 110, 119, 123, 143, 161, 389, 443, 445, 514, 993, 1433, 1521, 1723, 2049, 3306, 3389, 5060, 5432, 6379,
            8080, 8443, 9090, 11211]
RANGES = [(1024, 2047), (2048, 4095), (4096, 8191), (8192, 16383), (16384, 32767), (32768, 65535), (6000, 6015), (8000, 8063)]


def _shapes(draw, count):
    """Of the rules: lengths of both prefixes, whether there is a protocol, and how each port is given. Real sets have some tens to hundreds."""
    def port(any_share, exact_share):
        x = draw.random()
        return "any" if x < any_share else "exact" if x < any_share + exact_share else draw.choice(range(len(RANGES)))
    shapes = []
    while len(shapes) < count:
        src, dst = (draw.choices(list(bits), list(bits.values()))[0] for bits in (SRC_BITS, DST_BITS))
        proto = draw.random() < 0.88
        shape = (src, dst, proto, port(0.85, 0.1) if proto else "any", port(0.2, 0.6) if proto else "any")
        if src + dst >= 16 and shape not in shapes:
            shapes.append(shape)
    return shapes


def acl(count, flows, seed=5):
    """`count` different rules of 60 shapes (120 above 1,000 rules), the first with the highest priority, four in five permitting."""
    draw = random.Random(seed)
    shapes = _shapes(draw, 60 if count <= 1000 else 120)
    weights = [1 / (i + 3) for i in range(len(shapes))]
    networks = {field: [draw.getrandbits(32) for _ in range(max(40, count // 20))] for field in ("src", "dst")}

    def address(field, bits):
        network = draw.choice(networks[field])
        value = network & 0xFFFF0000 | draw.getrandbits(16) if bits > 16 and draw.random() < 0.7 else network
        return value & (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF

    def port(kind):
        return (0, 0xFFFF) if kind == "any" else (draw.choice(SERVICES),) * 2 if kind == "exact" else RANGES[kind]

    made = {}
    while len(made) < count:
        src, dst, proto, sport, dport = draw.choices(shapes, weights)[0]
        key = (address("src", src), src, address("dst", dst), dst, draw.choices([TCP, UDP], [7, 3])[0] if proto else ANY, port(sport), port(dport))
        made.setdefault(key, draw.random() < 0.8)
    src, src_bits, dst, dst_bits, proto, sport, dport = zip(*made)
    table = rules(count, priority=10 + count - numpy.arange(count), permit=list(made.values()), src=src, src_bits=src_bits, dst=dst, dst_bits=dst_bits,
                  proto=proto, sport_lo=[p[0] for p in sport], sport_hi=[p[1] for p in sport], dport_lo=[p[0] for p in dport],
                  dport_hi=[p[1] for p in dport])
    return Policy(table, drawn_over(table, flows), count)


def drawn_over(table, flows, seed=6):
    """Packets that each match a rule drawn uniformly (and perhaps one before it)."""
    generator = numpy.random.default_rng(seed)
    rows = table[generator.integers(0, len(table), flows)]
    proto = numpy.where(rows["proto"] == ANY, numpy.where(generator.random(flows) < 0.6, TCP, UDP), rows["proto"])
    return headers(flows, src=_fill(generator, rows["src"], rows["src_bits"]), dst=_fill(generator, rows["dst"], rows["dst_bits"]), proto=proto,
                   sport=generator.integers(rows["sport_lo"], rows["sport_hi"], endpoint=True),
                   dport=generator.integers(rows["dport_lo"], rows["dport_hi"], endpoint=True))


# ---- ClassBench -----------------------------------------------------------------------------------------------------------

FILTER = re.compile(r"@(\d+)\.(\d+)\.(\d+)\.(\d+)/(\d+)\s+(\d+)\.(\d+)\.(\d+)\.(\d+)/(\d+)\s+(\d+)\s*:\s*(\d+)\s+(\d+)\s*:\s*(\d+)\s+"
                    r"0x([0-9a-fA-F]+)/0x([0-9a-fA-F]+)")


def classbench(path, flows):
    """A filter set in ClassBench's format (.xz too), first line first; the flags column is left out, as the authors of classifiers do. Of rules with
    the same match the first stays, and rules go that ask for ports of a protocol without ports: no packet meets them."""
    made = {}
    written = 0
    with (lzma.open if path.endswith(".xz") else open)(path, "rt") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            found = FILTER.match(line.strip())
            if not found:
                raise SystemExit("%s line %d is no ClassBench filter: %s" % (path, number, line.strip()[:80]))
            n = [int(text) for text in found.groups()[:14]]
            proto, mask = (int(text, 16) for text in found.groups()[14:])
            if mask not in (0, 0xFF):
                raise SystemExit("%s line %d: protocol mask 0x%02x is neither 0x00 nor 0xff" % (path, number, mask))
            written += 1
            src, dst = (n[i] << 24 | n[i + 1] << 16 | n[i + 2] << 8 | n[i + 3] for i in (0, 5))
            src, dst = src & int(prefix_mask(n[4])), dst & int(prefix_mask(n[9]))
            made.setdefault((src, n[4], dst, n[9], proto if mask else ANY, n[10], n[11], n[12], n[13]), None)
    columns = ("src", "src_bits", "dst", "dst_bits", "proto", "sport_lo", "sport_hi", "dport_lo", "dport_hi")
    table = rules(len(made), priority=10 + len(made) - numpy.arange(len(made)), permit=numpy.arange(len(made)) % 5 != 0,
                  **dict(zip(columns, map(list, zip(*made)))))
    table = table[possible(table)]
    return Policy(table, drawn_over(table, flows), written)


# ---- tuple-space explosion (Csikor et al., CoNEXT 2019) -------------------------------------------------------------------

TRUSTED, TRUSTED_PORT, SERVICE = 0x0A000001, 12345, 80


def _flips(value, width):
    """For each bit, numbers that agree with `value` above it and differ there: each makes a cache of masks remember another mask."""
    for bit in range(width):
        low = width - 1 - bit
        yield (value >> low << low) ^ 1 << low, low


def tse(attack, benign_flows=100_000, total=200_000, seed=8, denied=False):
    """Three rules that permit, on different fields; with `attack`, 8,192 of 200,000 packets are each made to need a mask of its own in a cache; with
    `denied` as many in the same places are denied like theirs, but are all alike."""
    generator, draw = numpy.random.default_rng(seed), random.Random(seed)
    table = rules(3, priority=[400, 300, 200], proto=TCP)
    table[0]["dport_lo"] = table[0]["dport_hi"] = SERVICE
    table[1]["src"], table[1]["src_bits"] = TRUSTED, 32
    table[2]["sport_lo"] = table[2]["sport_hi"] = TRUSTED_PORT
    flow = generator.integers(0, benign_flows, total)
    packets = headers(total, src=0xC0A80000 + flow % 65536, dst=0x30000001, proto=TCP, sport=20000 + flow * 7919 % 40000, dport=SERVICE)
    if attack or denied:
        hostile = [tuple(value | (draw.getrandbits(low) if low else 0) for value, low in (src, sport, dport))
                   for src in _flips(TRUSTED, 32) for sport in _flips(TRUSTED_PORT, 16) for dport in _flips(SERVICE, 16)]
        draw.shuffle(hostile)
        del hostile[total * 8_192 // 200_000:]
        at = numpy.linspace(0, total - 1, len(hostile)).astype(int)
        if denied:
            packets["dport"][at] = SERVICE + 1
        else:
            packets["src"][at], packets["sport"][at], packets["dport"][at] = (numpy.array(column, "u8") for column in zip(*hostile))
    return Policy(table, packets, 3)
