"""Changes of every kind in random order: exact addresses, prefixes, single services, port ranges, rules that the packets use, groups, meters, settings of
tables. What becomes of the bench's packets stays the same all the time."""
import random

import feed
from packets import FIRST_MAC, ip4, mac
from weft_client import group, meter, op, table

# Number to (priority, match, actions). All differ, and no packet of the bench matches them.
FLOWS = {
    "MAC": lambda n: (100, "eth.dst == " + mac(FIRST_MAC + (1 << 20) + n), 'output("out");'),
    "prefix": lambda n: (300 + n % 9, "ip4.dst == %s/%d" % (ip4(0x0B000000 + (n << 8)), 24 + n % 9), "drop;"),
    "service": lambda n: (60_000, "ip4.src == %s && udp.dst == %d" % (ip4(0x0C000000 + n * 7919), 1 + n * 31 % 65_535), "drop;"),
    "range": lambda n: (500 + n % 100, "ip4.dst == %s && tcp.dst == %d..%d" % (ip4(0x0D000000 + n % 64), n * 7, n * 7 + 3 + n % 9_000), "drop;"),
    "to a group": lambda n: (200, "eth.dst == " + mac(FIRST_MAC + (2 << 20) + n), "group(%d);" % (1 + n % 100)),
}
RARE = {
    "group": lambda n: group(1 + n, "select", [(1, 'output("out");'), (2, "drop;")]),
    "meter": lambda n: meter(1 + n, "pktps", [(1_000 + n, 10)]),
    "table": lambda n: table(1 + n, "t%d" % n, miss='output("out");'),
}
RARE_SHARE = 0.03
IN_USE = "in use"  # the first MACs of the packets: each has one of two wordings of the same
KINDS = (*FLOWS, IN_USE, *RARE)


def _toggled(kind, number, stands):
    """Ops that take the row where it stands and add it otherwise."""
    weight = -1 if stands else +1
    if kind in FLOWS:
        return [feed.flow_op(weight, *FLOWS[kind](number))]
    if kind in RARE:
        return [feed.of_message(op(weight, RARE[kind](number)))]
    match = "eth.dst == " + mac(FIRST_MAC + number)
    plain, marked = feed.flow_op(-weight, 100, match, 'output("out");'), feed.flow_op(weight, 100, match, 'reg0 = 7; output("out");')
    return [plain, marked]


def transactions(used, size=100, toggles=30_000, seed=12, only=None):
    """Can be sent round and round: everything is as before afterwards. `used`: how many MACs of the packets are there to change. `only`: one of KINDS."""
    draw = random.Random(seed)
    many = dict.fromkeys(FLOWS, 5_000) | {IN_USE: used}
    standing, ops, touched, made = set(), [], set(), []

    def close():
        if ops:
            made.append(feed.Transaction(ops))
        ops.clear()
        touched.clear()

    def toggle(row):
        if row in touched:  # two ops that cancel are no change
            return
        ops.extend(_toggled(*row, row in standing))
        touched.add(row)
        standing.symmetric_difference_update({row})
        if len(ops) >= size:
            close()

    for _ in range(toggles):
        kind = only or draw.choice(list(RARE if draw.random() < RARE_SHARE else many))
        toggle((kind, draw.randrange(many.get(kind, 100))))
    close()
    for row in draw.sample(sorted(standing), len(standing)):
        toggle(row)
    close()
    return made
