"""A router of flow rows, end to end: thousands of routes in several routing tables, networks told apart by their numbers, and what `weftctl explain` says
of them."""
import ipaddress

from frames import udp
from rig import flow, op, wait_until

HOST, ROUTER, HOP = "02:00:00:00:00:01", "02:00:00:00:00:fe", "02:00:00:00:01:%02x"


def route(vrf, prefix, port, weight=1):
    bits = ipaddress.ip_network(prefix).prefixlen
    match = "metadata == %d && %s" % (vrf, "ip4.dst == %s" % prefix if bits else "ip4")
    return [weight, flow(1, 100 + bits, match,
                         "ip.ttl--; eth.src = %s; eth.dst = %s; output(\"p%d\");" % (ROUTER, HOP % port, port))]


def through(packet, port):
    """The packet as it leaves the router: both MACs, the time to live and its checksum."""
    out = bytearray(packet)
    out[0:6], out[6:12] = bytes.fromhex((HOP % port).replace(":", "")), bytes.fromhex(ROUTER.replace(":", ""))
    out[22] -= 1
    out[24:26] = bytes(2)
    total = sum(int.from_bytes(out[at:at + 2], "big") for at in range(14, 34, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    out[24:26] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(out)


def engine(switch):
    return next(each.engine for each in switch.control.explain(table=1).tables if each.table == 1)


def test_the_longest_prefix_of_each_routing_table_decides_and_memory_comes_back(switch):
    def packet(address):
        return udp("10.9.9.9", address, eth_src=HOST, eth_dst=ROUTER)

    rows = []
    for number, vrf in ((1, 7), (2, 8)):
        rows += [1, flow(0, 1, 'inport == "p%d"' % number, "metadata = %d; goto(1);" % vrf)]
    bulk = []
    for n in range(4000):
        bulk += route(7 + n % 2, str(ipaddress.ip_network((0x20000000 + (n << 12), 20 + n % 5))), 5)
    overlapping = (route(7, "0.0.0.0/0", 3) + route(7, "10.1.0.0/16", 4) + route(7, "10.1.2.0/24", 5) + route(7, "10.1.2.3/32", 6)
                   + route(8, "10.1.2.0/24", 3))
    asked = ["9.0.0.1", "10.1.9.1", "10.1.2.9", "10.1.2.3"]
    switch.files({"p1": [packet(address) for address in asked] + [packet("10.1.2.3")], "p2": [packet(address) for address in asked],
                  "p3": [], "p4": [], "p5": [], "p6": []})
    switch.control.transaction(rows + bulk + overlapping, id="routes")
    switch.control.barrier()
    assert engine(switch).startswith("lpm ("), engine(switch)
    assert "lpm (" in switch.ctl("explain").stdout
    full = switch.control.explain(table=1).tables[0]
    assert full.cycles_max < 1500
    switch.send(p1=4, p2=4)
    switch.control.transaction(route(7, "10.1.2.3/32", 6, -1), id="one less")
    switch.control.barrier()
    switch.send(p1=1)
    assert switch.drops() == {"no_match": 2}
    switch.books_close()
    leaving = [-weight if isinstance(weight, int) else weight for weight in bulk + overlapping]
    switch.control.transaction(leaving, id="all gone")
    switch.control.transaction([1, flow(3, 1, "1", "drop;")], id="another")
    switch.control.barrier()
    assert switch.control.explain(table=1).tables[0].rows == 0
    assert {name: sorted(frames) for name, frames in switch.stop().items()} == {
        "p3": sorted([through(packet(asked[0]), 3), through(packet(asked[2]), 3), through(packet(asked[3]), 3)]),
        "p4": [through(packet(asked[1]), 4)],
        "p5": sorted([through(packet(asked[2]), 5), through(packet("10.1.2.3"), 5)]),
        "p6": [through(packet(asked[3]), 6)]}


def test_routes_that_waited_in_the_exact_match_come_to_rest_without_another_commit(switch):
    """Of one length they are no routes yet; with two lengths more they are, and those that waited move in slices."""
    same = sum((route(0, "10.1.%d.0/24" % n, 1) for n in range(200)), [])
    more = sum((route(0, "10.%d.0.0/16" % (2 + n), 1) + route(0, "10.200.%d.0/28" % n, 1) for n in range(40)), [])
    switch.control.transaction(same, id="same")
    assert engine(switch) == "exact match"
    switch.control.transaction(more, id="more")
    wait_until(lambda: engine(switch).startswith("lpm (") and "exact match" not in engine(switch), lambda: engine(switch))


def test_numbers_of_networks_are_an_array_while_they_are_small(switch):
    """Each source belongs to a network, each network leaves by a port; one moves, then one with a large number comes."""
    networks = range(1, 61)

    def source(number):
        return flow(0, 100, "ip4.src == 10.0.0.%d" % number, "metadata = %d; goto(1);" % number)

    def network(number, port):
        return flow(1, 100, "metadata == %d" % number, 'output("p%d");' % port)

    def explained():
        return next(each for each in switch.control.explain(table=1).tables if each.table == 1)

    packets = [udp("10.0.0.%d" % number, "10.9.9.9") for number in (*networks, 99)]
    switch.files({"p1": packets * 3, "p2": [], "p3": [], "p4": []})
    switch.control.transaction([(+1, row) for number in networks for row in (source(number), network(number, 2 + number % 2))])
    switch.control.transaction([(+1, flow(0, 1, "ip4", "metadata = 99; goto(1);"))])
    switch.control.barrier()
    assert (explained().engine, explained().cache_lines_max) == ("direct index", 2)
    switch.send(p1=len(packets))
    switch.control.transaction([op("upsert", network(7, 4))])
    switch.control.barrier()
    switch.send(p1=len(packets))
    assert switch.drops() == {"no_match": 2}
    switch.control.transaction([(+1, network(70_000, 4)), (+1, network(99, 4))])
    switch.control.barrier()
    assert explained().engine == "exact match"
    switch.send(p1=len(packets))
    switch.books_close()
    outs = switch.stop()
    even, odd, seventh, stranger = packets[1:60:2], packets[0:60:2], packets[6], packets[60]
    assert outs["p2"] == even * 3
    assert outs["p3"] == odd + 2 * [packet for packet in odd if packet != seventh]
    assert outs["p4"] == [seventh, seventh, stranger]
