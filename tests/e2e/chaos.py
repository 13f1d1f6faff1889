"""Rows and packets of every kind, at random: what the tests that try everything draw from."""
from frames import ARP, Dot1AD, Dot1Q, Ether, ICMP, IP, IPv6, Raw, TCP, UDP

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
