"""VLAN modes of ports, and tags in rules (OVS-7). One bridge as a learning switch; addresses are never learned here, so every
packet floods to all ports that carry its VLAN."""
from frames import Dot1AD, Dot1Q, Ether, IP, Raw, UDP, tagged, udp
from rig import bridge, flow

MODES = {
    "access10": {"vlan_mode": "access", "vlan_tag": 10},
    "access20": {"vlan_mode": "access", "vlan_tag": 20},
    "trunk": {"vlan_mode": "trunk"},
    "trunk20": {"vlan_mode": "trunk", "vlan_trunks": [20, 30]},
    "tagged10": {"vlan_mode": "native_tagged", "vlan_tag": 10},
    "untagged10": {"vlan_mode": "native_untagged", "vlan_tag": 10},
}
PLAIN = tagged()


def vlan(*tags):
    return tagged(*tags)


#        comes in at     as         leaves at, as
MATRIX = [
    ("access10", PLAIN, {"trunk": vlan(10), "tagged10": vlan(10), "untagged10": PLAIN}),
    ("access10", vlan(10), {}),  # an access port takes no tags
    ("access20", PLAIN, {"trunk": vlan(20), "trunk20": vlan(20), "tagged10": vlan(20), "untagged10": vlan(20)}),
    ("trunk", vlan(10), {"access10": PLAIN, "tagged10": vlan(10), "untagged10": PLAIN}),
    ("trunk", vlan(30), {"trunk20": vlan(30), "tagged10": vlan(30), "untagged10": vlan(30)}),
    ("trunk20", vlan(20), {"access20": PLAIN, "trunk": vlan(20), "tagged10": vlan(20), "untagged10": vlan(20)}),
    ("trunk20", vlan(10), {}),
    ("tagged10", PLAIN, {"access10": PLAIN, "trunk": vlan(10), "untagged10": PLAIN}),
    ("tagged10", vlan(10), {"access10": PLAIN, "trunk": vlan(10), "untagged10": PLAIN}),
    ("untagged10", PLAIN, {"access10": PLAIN, "trunk": vlan(10), "tagged10": vlan(10)}),
    ("untagged10", vlan(20), {"access20": PLAIN, "trunk": vlan(20), "trunk20": vlan(20), "tagged10": vlan(20)}),
]


def test_ovs7_the_vlan_modes_of_ports(switch):
    inputs = {name: [frame for at, frame, _ in MATRIX if at == name] for name in MODES}
    fields = {field: {name: mode[field] for name, mode in MODES.items() if field in mode}
              for field in ("vlan_mode", "vlan_tag", "vlan_trunks")}
    switch.control.transaction([+1, bridge("main", learning_off=True), +1, flow(0, 1, "1", "output(normal);")])
    switch.files(inputs, **fields)
    expected = {}
    for name, _, leaves in MATRIX:
        switch.send(**{name: 1})
        for at, frame in leaves.items():
            expected.setdefault(at, []).append(frame)
    assert switch.drops() == {"vlan_filtered": 2}
    switch.books_close()
    assert switch.stop() == expected


def test_ovs7_a_learning_bridge_keeps_vlans_apart(switch):
    there = [tagged(tag, eth_src="02:00:00:00:00:0a", eth_dst="02:00:00:00:00:0b") for tag in (10, 20)]
    back = tagged(10, eth_src="02:00:00:00:00:0b", eth_dst="02:00:00:00:00:0a")
    switch.control.transaction([+1, flow(0, 1, "1", "output(normal);")])
    switch.files({"a": there, "b": [back], "c": []}, vlan_mode="trunk")
    watcher = switch.client("watcher")
    watcher.watch("mac")
    switch.send(b=1)  # floods, and is learned in VLAN 10
    learned = watcher.next_event().mac_learned
    assert (learned.port, learned.vlan, learned.mac) == ("b", 10, "02:00:00:00:00:0b")
    switch.control.barrier()
    switch.send(a=2)  # in VLAN 10 it is known where b is, in VLAN 20 it is not
    assert switch.stop() == {"a": [back], "b": there, "c": [back, there[1]]}


RULES = [
    ("push", "udp.dst == 1", "vlan.push(0x8100); vlan.vid = 100; output(\"out\");"),
    ("push service", "udp.dst == 2", "vlan.push(0x88a8); vlan.vid = 200; output(\"out\");"),
    ("pop", "udp.dst == 3", "vlan.pop; output(\"out\");"),
    ("rewrite", "udp.dst == 4", "vlan.vid = 7; vlan.pcp = 5; output(\"out\");"),
    ("pass", "udp.dst == 5", "output(\"out\");"),
]


def frame(rule, *tags, pcp=0):
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for kind, tag in tags:
        packet /= kind(vlan=tag, prio=pcp)
    return bytes(packet / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=rule) / Raw(b"weft"))


Q, AD = Dot1Q, Dot1AD
TAGS = [
    (frame(1), frame(1, (Q, 100))),
    (frame(1, (Q, 5)), frame(1, (Q, 100), (Q, 5))),
    (frame(2), frame(2, (AD, 200))),
    (frame(2, (Q, 5)), frame(2, (AD, 200), (Q, 5))),
    (frame(3, (Q, 5)), frame(3)),
    (frame(3, (AD, 6), (Q, 5)), frame(3, (Q, 5))),
    (frame(4, (Q, 5)), frame(4, (Q, 7), pcp=5)),
    (frame(5, (AD, 6), (Q, 5)), frame(5, (AD, 6), (Q, 5))),
    (frame(5, (Q, 6), (Q, 5)), frame(5, (Q, 6), (Q, 5))),
]


def test_ovs7_rules_push_pop_and_rewrite_tags(switch):
    switch.files({"in": [came for came, _ in TAGS] + [frame(1, (Q, 1), (Q, 2))], "out": []})
    switch.control.transaction([(+1, flow(0, 1, match, actions)) for _, match, actions in RULES], strict=True)
    switch.send(**{"in": len(TAGS) + 1})
    assert switch.drops() == {"vlan_tags_exceeded": 1}
    assert switch.stop() == {"out": [left for _, left in TAGS]}


def test_ovs7_no_mode_means_that_tags_are_none_of_the_switchs_business(switch):
    frames = [udp("10.0.0.1", "10.0.0.2"), tagged(1), tagged(4095), tagged(0), tagged(2, 3), tagged(2, 3, service=True)]
    switch.files({"p1": frames, "p2": []})
    switch.control.transaction([+1, flow(0, 1, "1", 'output("p2");')])
    switch.send(p1=len(frames))
    assert switch.stop() == {"p2": frames}
