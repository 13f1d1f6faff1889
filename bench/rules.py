"""Rules as columns of numbers: what they say as weft's and as OVS's text, and, by the slowest and plainest way, which of them a packet meets."""
import numpy

from packets import TCP, UDP, ip4, mac

ANY = 256  # as protocol
RULE = numpy.dtype([("priority", "u4"), ("permit", "?"), ("mac", "u8"), ("ip", "?"), ("src", "u8"), ("src_bits", "u1"), ("dst", "u8"),
                    ("dst_bits", "u1"), ("proto", "u2"), ("sport_lo", "u8"), ("sport_hi", "u8"), ("dport_lo", "u8"), ("dport_hi", "u8"),
                    ("hop", "u2")])


def rules(count, **columns):
    """Rules that match every IPv4 packet and permit it, but for what is given. A `mac` of 0 matches all."""
    made = numpy.zeros(count, RULE)
    made["permit"] = True
    made["ip"] = True
    made["proto"] = ANY
    made["sport_hi"] = made["dport_hi"] = 0xFFFF
    for name, values in columns.items():
        made[name] = values
    return made


def prefix_mask(bits):
    """Of numbers or columns."""
    bits = numpy.asarray(bits, "u8")
    return (numpy.uint64(0xFFFFFFFF) << (numpy.uint64(32) - bits)) & numpy.uint64(0xFFFFFFFF)


def first_match(table, packets):
    """For each packet the index of the rule with the highest priority that matches, or -1. Linear, on purpose: it is what others are held against."""
    order = numpy.argsort(-table["priority"].astype("i8"), kind="stable")
    rows = table[order]
    src_mask, dst_mask = prefix_mask(rows["src_bits"]), prefix_mask(rows["dst_bits"])
    any_port = (rows["sport_lo"] == 0) & (rows["sport_hi"] == 0xFFFF) & (rows["dport_lo"] == 0) & (rows["dport_hi"] == 0xFFFF)
    found = numpy.full(len(packets), -1)
    for i, packet in enumerate(packets):
        has_ports = packet["proto"] in (TCP, UDP)
        hit = ((rows["mac"] == 0) | (rows["mac"] == packet["mac"])) & ((packet["src"] ^ rows["src"]) & src_mask == 0)
        hit &= ((packet["dst"] ^ rows["dst"]) & dst_mask == 0) & ((rows["proto"] == ANY) | (rows["proto"] == packet["proto"]))
        if has_ports:
            hit &= (rows["sport_lo"] <= packet["sport"]) & (packet["sport"] <= rows["sport_hi"])
            hit &= (rows["dport_lo"] <= packet["dport"]) & (packet["dport"] <= rows["dport_hi"])
        else:
            hit &= any_port
        at = int(hit.argmax()) if len(hit) else 0
        if len(hit) and hit[at]:
            found[i] = order[at]
    return found


def wants_ports(rule):
    return (rule["sport_lo"], rule["sport_hi"], rule["dport_lo"], rule["dport_hi"]) != (0, 0xFFFF, 0, 0xFFFF)


def possible(table):
    """False for rules that ask for ports of a protocol that has none here; no packet meets them."""
    ported = (table["proto"] == ANY) | (table["proto"] == TCP) | (table["proto"] == UDP)
    asks = (table["sport_lo"] != 0) | (table["sport_hi"] != 0xFFFF) | (table["dport_lo"] != 0) | (table["dport_hi"] != 0xFFFF)
    return ported | ~asks


def _hops(hop_macs, router_mac):
    return ([mac(hop) for hop in hop_macs], mac(router_mac)) if hop_macs is not None else ([], "")


def _rows(table):
    names = table.dtype.names
    for values in table.tolist():
        yield dict(zip(names, values))


# ---- as weft's text -------------------------------------------------------------------------------------------------------

def _weft_port(field, low, high):
    return [] if (low, high) == (0, 0xFFFF) else ["%s == %d" % (field, low) if low == high else "%s == %d..%d" % (field, low, high)]


def _weft_match(rule):
    parts = ["eth.dst == " + mac(rule["mac"])] if rule["mac"] else []
    for field in ("src", "dst"):
        bits = rule[field + "_bits"]
        if bits:
            parts.append("ip4.%s == %s" % (field, ip4(rule[field])) + ("/%d" % bits if bits < 32 else ""))
    if not wants_ports(rule):
        if rule["proto"] != ANY:
            parts.append({TCP: "tcp", UDP: "udp"}.get(rule["proto"], "ip.proto == %d" % rule["proto"]))
        if rule["ip"] and not rule["src_bits"] and not rule["dst_bits"]:
            parts.insert(0, "ip4")
        return " && ".join(parts) or "1"
    if not rule["src_bits"] and not rule["dst_bits"]:
        parts.insert(0, "ip4")
    protocols = {TCP: ["tcp"], UDP: ["udp"]}.get(rule["proto"], ["tcp", "udp"])
    kinds = [_weft_port(p + ".src", rule["sport_lo"], rule["sport_hi"]) + _weft_port(p + ".dst", rule["dport_lo"], rule["dport_hi"])
             for p in protocols]
    if len(kinds) == 1:
        return " && ".join(parts + kinds[0])
    return " && ".join(parts + ["(" + " || ".join(" && ".join(kind) for kind in kinds) + ")"])


def weft_flows(table, outputs, hop_macs=None, router_mac=None):
    """(priority, match, actions) of each rule; rule i leaves at output i modulo their number."""
    hops, router = _hops(hop_macs, router_mac)
    for i, rule in enumerate(_rows(table)):
        actions = 'output("%s");' % outputs[i % len(outputs)] if rule["permit"] else "drop;"
        if hops and rule["permit"]:
            actions = "ip.ttl--; eth.src = %s; eth.dst = %s; %s" % (router, hops[rule["hop"]], actions)
        yield rule["priority"], _weft_match(rule), actions


# ---- as OpenFlow text for ovs-ofctl ---------------------------------------------------------------------------------------

def port_prefixes(low, high):
    """The fewest value/mask pairs of 16 bits that make up a range."""
    found = []
    while low <= high:
        size = low & -low or 0x10000
        while low + size - 1 > high:
            size >>= 1
        found.append((low, 0xFFFF & ~(size - 1)))
        low += size
    return found


def _ovs_port(field, value, mask):
    return "" if mask == 0 else ",%s=%d" % (field, value) if mask == 0xFFFF else ",%s=0x%x/0x%x" % (field, value, mask)


def _ovs_matches(rule):
    addresses = ",dl_dst=" + mac(rule["mac"]) if rule["mac"] else ""
    for field in ("src", "dst"):
        if rule[field + "_bits"]:
            addresses += ",nw_%s=%s/%d" % (field, ip4(rule[field]), rule[field + "_bits"])
    if not wants_ports(rule):
        proto = {TCP: ",tcp", UDP: ",udp", ANY: ",ip" if rule["ip"] else ""}.get(rule["proto"], ",ip,nw_proto=%d" % rule["proto"])
        return [proto + addresses]
    protocols = {TCP: ["tcp"], UDP: ["udp"]}.get(rule["proto"], ["tcp", "udp"])
    return ["," + p + addresses + _ovs_port("tp_src", *s) + _ovs_port("tp_dst", *d) for p in protocols
            for s in port_prefixes(rule["sport_lo"], rule["sport_hi"]) for d in port_prefixes(rule["dport_lo"], rule["dport_hi"])]


def ovs_flows(table, outputs, hop_macs=None, router_mac=None):
    """Lines of ovs-ofctl; a range makes several. A table of 16-bit priorities holds no more than 65,000 of them."""
    hops, router = _hops(hop_macs, router_mac)
    for i, rule in enumerate(_rows(table)):
        actions = "output:%d" % outputs[i % len(outputs)] if rule["permit"] else "drop"
        if hops and rule["permit"]:
            actions = "dec_ttl,set_field:%s->eth_src,set_field:%s->eth_dst,%s" % (router, hops[rule["hop"]], actions)
        for match in _ovs_matches(rule):
            yield "priority=%d%s,actions=%s" % (rule["priority"], match, actions)
    yield "priority=0,actions=drop"
