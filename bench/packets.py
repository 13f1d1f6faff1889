"""Packets as columns of numbers, and as frames in pcap files. A frame has 60 bytes (64 on the wire) where nothing else is said."""
import struct

import numpy

SOURCE_MAC = 0x020000000001
FIRST_MAC = 0x020000100000  # destination k is FIRST_MAC + k
ROUTER_MAC = 0x02000000FF00
TCP, UDP = 6, 17

HEADER = numpy.dtype([("mac", "u8"), ("src", "u8"), ("dst", "u8"), ("proto", "u8"), ("sport", "u8"), ("dport", "u8")])


def mac(number):
    return ":".join("%02x" % (int(number) >> shift & 255) for shift in (40, 32, 24, 16, 8, 0))


def ip4(number):
    return ".".join(str(int(number) >> shift & 255) for shift in (24, 16, 8, 0))


def headers(count, **columns):
    made = numpy.zeros(count, HEADER)
    made["mac"] = FIRST_MAC
    for name, values in columns.items():
        made[name] = values
    return made


def _put(frames, at, width, values):
    values = numpy.broadcast_to(numpy.asarray(values, "u8"), len(frames))
    for i in range(width):
        frames[:, at + i] = values >> numpy.uint64(8 * (width - 1 - i)) & numpy.uint64(255)


def _checksum(data, start=0):
    """One's complement sums of rows of an even number of bytes."""
    total = (data[:, 0::2].astype("u8") * 256 + data[:, 1::2]).sum(1, dtype="u8") + numpy.asarray(start, "u8")
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> numpy.uint64(16))
    return ~total & 0xFFFF


def frames_of(packets, size=60):
    """One row of bytes a packet: Ethernet, IPv4, and TCP, UDP or nothing of note. Checksums are right; UDP's is left out, as it may be."""
    frames = numpy.zeros((len(packets), size), "u1")
    _put(frames, 0, 6, packets["mac"])
    _put(frames, 6, 6, SOURCE_MAC)
    _put(frames, 12, 2, 0x0800)
    _put(frames, 14, 1, 0x45)
    _put(frames, 16, 2, size - 14)
    _put(frames, 22, 1, 64)
    _put(frames, 23, 1, packets["proto"])
    _put(frames, 26, 4, packets["src"])
    _put(frames, 30, 4, packets["dst"])
    _put(frames, 24, 2, _checksum(frames[:, 14:34]))
    tcp, udp = packets["proto"] == TCP, packets["proto"] == UDP
    ported = frames[tcp | udp]
    _put(ported, 34, 2, packets["sport"][tcp | udp])
    _put(ported, 36, 2, packets["dport"][tcp | udp])
    frames[tcp | udp] = ported
    part = frames[udp]
    _put(part, 38, 2, size - 34)
    frames[udp] = part
    part = frames[tcp]
    _put(part, 38, 4, 1)
    _put(part, 42, 4, 1)
    _put(part, 46, 2, 0x5010)  # a header of 20 bytes, ACK
    _put(part, 48, 2, 0xFFFF)
    pseudo = part[:, 26:34]
    _put(part, 50, 2, _checksum(part[:, 34:], ~_checksum(pseudo, TCP + size - 34) & 0xFFFF))
    frames[tcp] = part
    return frames


def routed(frames, next_hop_macs, source_mac):
    """What a router sends on: other MACs, one hop less to live."""
    frames = frames.copy()
    _put(frames, 0, 6, next_hop_macs)
    _put(frames, 6, 6, source_mac)
    frames[:, 22] -= 1
    frames[:, 24:26] = 0
    _put(frames, 24, 2, _checksum(frames[:, 14:34]))
    return frames


def write_pcap(path, frames):
    count, size = frames.shape
    records = numpy.zeros((count, 16 + size), "u1")
    records[:, :16] = numpy.frombuffer(struct.pack("<IIII", 1, 0, size, size), "u1")
    records[:, 16:] = frames
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        records.tofile(out)
    return path


def read_pcap(path):
    """The frames of a file, as bytes, in order."""
    with open(path, "rb") as file:
        data = file.read()
    at, seen = 24, []
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        seen.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return seen
