"""The two rules of the VM example, in Python:

    Flow(h, dst=ip, output:p) :- Host(h), VM(_, ip, h, p).
    Flow(h, dst=ip, output:1) :- Host(h), VM(_, ip, o, _), o != h.
"""
from rig import flow

TUNNEL = 1
BEFORE = {"VM1": ("10.10.10.101", 1, 2), "VM2": ("10.10.10.102", 1, 3), "VM3": ("10.10.10.103", 2, 2)}
AFTER = dict(BEFORE, VM2=("10.10.10.102", 2, 3))


def flows(host, vms):
    """{(ip, port)} of one host."""
    return {(ip, at if on == host else TUNNEL) for ip, on, at in vms.values()}


def rows(host, vms, bridge=""):
    return [row(ip, at, bridge) for ip, at in sorted(flows(host, vms))]


def row(ip, at, bridge=""):
    return flow(0, 100, "ip4.dst == " + ip, 'output("%sp%d");' % (bridge, at), bridge=bridge)


def delta(host, before, after, bridge=""):
    """Ops, and nothing that stays the same."""
    old, new = flows(host, before), flows(host, after)
    return [(-1, row(ip, at, bridge)) for ip, at in sorted(old - new)] + [(+1, row(ip, at, bridge)) for ip, at in sorted(new - old)]


def walk(tables, host, inport, dst, peer=None):
    """Where a packet ends, over hosts whose ports 1 are joined: ("out", host, port) or ("drop", reason)."""
    peer = peer or {1: 2, 2: 1}
    while True:
        out = dict(tables[host]).get(dst)
        if out is None:
            return ("drop", "no_match")
        if out == inport:
            return ("drop", "output_to_ingress_port")
        if out != TUNNEL:
            return ("out", host, out)
        host, inport = peer[host], TUNNEL
