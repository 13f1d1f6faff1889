"""Two switches as two hosts: port 1 of each is the tunnel to the other, a cable here; the VMs' ports are capture files."""
from frames import udp
from rig import Refused, port  # noqa: F401
from vm_oracle import AFTER, BEFORE, delta, rows

ADDRESS = {"VM1": "10.10.10.101", "VM2": "10.10.10.102", "VM3": "10.10.10.103", "nobody": "10.10.10.104"}


def packet(source, target):
    """The one packet from VM to VM of the matrix."""
    return udp(ADDRESS[source], ADDRESS[target], payload=("%s to %s" % (source, target)).encode())


FROM_VM1 = [packet("VM1", "VM2"), packet("VM1", "VM3"), packet("VM1", "nobody")]
FROM_VM2 = [packet("VM2", "VM1"), packet("VM2", "VM3"), packet("VM2", "nobody")]
FROM_VM3 = [packet("VM3", "VM1"), packet("VM3", "VM2"), packet("VM3", "nobody")]


class TwoHosts:
    """Hosts h1 and h2, loaded with the rows before the move. Inputs are {port: frames} of each host."""

    def __init__(self, switches, spaces, inputs1, inputs2):
        space = self.space = spaces.add()
        spaces.veth(space, "t1", space, "t2")
        self.h1 = switches(namespace=space)
        self.h2 = switches(namespace=space)
        for host, (switch, inputs) in enumerate(((self.h1, inputs1), (self.h2, inputs2)), 1):
            switch.control.transaction([+1, port("p1", "net_af_packet_p1,iface=t%d" % host, number=1)])
            switch.wait_open("p1")
            switch.files(inputs, first=2)
            switch.control.transaction([(+1, row) for row in rows(host, BEFORE)], strict=True)

    def switch(self, host):
        return {1: self.h1, 2: self.h2}[host]

    def move(self, *hosts):
        """VM2 moves from host 1 to host 2: the rows of these hosts change. Gives the ACKs."""
        acks = []
        for host in hosts:
            control = self.switch(host).control
            acks.append(control.transaction(delta(host, BEFORE, AFTER), strict=True))
            control.barrier(acks[-1].generation)
        return acks

    def send(self, host, port_name, count, crossing=0, back=0):
        """Lets `count` packets in, `crossing` of which the other host gets, and `back` of those come back."""
        self.switch(3 - host).sent += crossing
        self.switch(host).sent += back
        self.switch(host).send(**{port_name: count})
        self.settle()

    def settle(self):
        self.h1.settle()
        self.h2.settle()

    def stop(self):
        """What left at capture ports, {1: {port: frames}, 2: ...}."""
        return {1: self.h1.stop(), 2: self.h2.stop()}
