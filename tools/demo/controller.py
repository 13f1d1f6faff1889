#!/usr/bin/python3
"""A controller in a hundred lines. It holds one table, VM(name, ip, host, port), and two rules over it:

    Flow(h, dst=ip, output:p) :- Host(h), VM(_, ip, h, p).
    Flow(h, dst=ip, output:1) :- Host(h), VM(_, ip, o, _), o != h.

and sends the switch of its host what changes, nothing else.

usage: controller.py SOCKET [HOST]        commands on standard input, one a line:
    vm NAME IP HOST PORT    add the VM, or say where it is now
    gone NAME               remove it
    commit                  send the difference, print it and the switch's answer
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.environ.get("WEFT_BUILD", os.path.join(HERE, "..", "..", "build"))
sys.path.insert(0, os.path.join(BUILD, "control"))
from weft_client import Client, Refused, flow, ops_of  # noqa: E402

TUNNEL = 1  # the port that leads to the other hosts


def flows(host, vms):
    """What should stand on `host`: {(ip, port)}. Pure; the switch's state is this and nothing else."""
    return {(ip, port if on == host else TUNNEL) for ip, on, port in vms.values()}


def row(ip, port):
    """One row a VM: its packets, and the ARP requests for it."""
    return flow(0, 100, "ip4.dst == %s || arp.tpa == %s" % (ip, ip), 'output("p%d");' % port)


class Controller:
    def __init__(self, socket, host):
        self.host = host
        self.vms = {}
        self.sent = set()
        self.weft = Client(socket, name="demo-controller")

    def commit(self):
        """Sends the difference to what was sent before: ([(weight, ip, port)], bytes, ACK, seconds until all workers run it)."""
        wanted = flows(self.host, self.vms)
        delta = [(-1, *each) for each in sorted(self.sent - wanted)] + [(+1, *each) for each in sorted(wanted - self.sent)]
        ops = ops_of([(weight, row(ip, port)) for weight, ip, port in delta])
        start = time.monotonic()
        ack = self.weft.transaction(ops)
        self.weft.barrier(ack.generation)
        seconds = time.monotonic() - start
        self.sent = wanted
        return delta, sum(op.ByteSize() for op in ops), ack, seconds


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__.split("usage: ")[1], file=sys.stderr)
        return 2
    controller = Controller(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1)
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        if word == "vm" and len(rest) == 4:
            controller.vms[rest[0]] = (rest[1], int(rest[2]), int(rest[3]))
        elif word == "gone" and len(rest) == 1:
            controller.vms.pop(rest[0], None)
        elif word == "commit":
            try:
                delta, size, ack, seconds = controller.commit()
            except Refused as why:
                print("refused: %s" % why)
            else:
                for weight, ip, port in delta:
                    print("%+d flow  dst %s -> p%d" % (weight, ip, port))
                print("ACK generation %d: %d added, %d removed, %d unchanged; %d bytes; on every worker after %.1f ms" % (
                    ack.generation, ack.added, ack.removed, ack.unchanged, size, seconds * 1e3))
            print(".", flush=True)
        elif word:
            print("what is %r? vm NAME IP HOST PORT, gone NAME, commit" % line.strip(), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
