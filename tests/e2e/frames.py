"""Packets and captures of the end-to-end tests."""
import logging
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402
from scapy.utils import RawPcapReader  # noqa: E402

__all__ = ["ARP", "Dot1AD", "Dot1Q", "Ether", "ICMP", "IP", "IPv6", "Raw", "TCP", "UDP",
           "mac", "Numbered", "numbered", "numbers", "read_pcap", "tagged", "udp", "write_pcap"]

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
KNOWN = (PCAP_HEADER[:4], struct.pack("<I", 0xA1B23C4D))  # the same with nanoseconds, as net_pcap writes it
NUMBER_AT = 42  # of the number in a frame of numbered(): behind Ethernet, IPv4 and UDP


def write_pcap(path, frames):
    """Bulk streams are written here: Scapy takes a second for some tens of thousands of packets."""
    with open(path, "wb") as file:
        file.write(PCAP_HEADER)
        file.write(b"".join(struct.pack("<IIII", 1, i % 1000000, len(f), len(f)) + f for i, f in enumerate(frames)))


def read_pcap(path):
    """The frames of a capture, as bytes."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] not in KNOWN:
        return [bytes(frame) for frame, _ in RawPcapReader(str(path))]
    frames, at = [], len(PCAP_HEADER)
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return frames


def mac(number):
    return ":".join("%02x" % byte for byte in number.to_bytes(6, "big"))


def udp(src, dst, payload=b"weft", eth_src="02:00:00:00:00:01", eth_dst="02:00:00:00:00:02", sport=1000, dport=2000):
    """A UDP frame from IPv4 address to IPv4 address."""
    return bytes(Ether(src=eth_src, dst=eth_dst) / IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / Raw(payload))


def tagged(*tags, payload=b"weft", eth_src="02:00:00:00:00:01", eth_dst="02:00:00:00:00:02", service=False):
    """A UDP frame under VLAN tags, outermost first. `service`: the first is an 802.1ad tag."""
    frame = Ether(src=eth_src, dst=eth_dst)
    for place, tag in enumerate(tags):
        frame /= (Dot1AD if service and place == 0 else Dot1Q)(vlan=tag)
    return bytes(frame / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(payload))


class Numbered:
    """UDP frames that differ in a number, which stands in their payload; without UDP checksum, as IPv4 allows."""

    def __init__(self, src, dst, **more):
        frame = bytearray(udp(src, dst, bytes(18), **more))
        frame[NUMBER_AT - 2:NUMBER_AT] = b"\0\0"
        self.head, self.tail = bytes(frame[:NUMBER_AT]), bytes(frame[NUMBER_AT + 4:])

    def frame(self, number):
        return self.head + number.to_bytes(4, "big") + self.tail


def numbered(src, dst, numbers_, **more):
    """One UDP frame for each number."""
    return list(map(Numbered(src, dst, **more).frame, numbers_))


def numbers(frames):
    return [int.from_bytes(frame[NUMBER_AT:NUMBER_AT + 4], "big") for frame in frames]
