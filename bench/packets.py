"""Input files for benchmarks: 60-byte frames (64 on the wire), shuffled by a seeded generator so that neighbours belong to different flows."""
import random
import struct

SOURCE_MAC = 0x020000000001
FIRST_MAC = 0x020000100000  # destination k is FIRST_MAC + k


def mac(number):
    return ":".join("%02x" % (number >> shift & 255) for shift in (40, 32, 24, 16, 8, 0))


def _sum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(dst, src_ip, dst_ip, src_port, dst_port, size=60):
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0, 64, 17, 0, src_ip, dst_ip)
    ip = ip[:10] + struct.pack(">H", _sum(ip)) + ip[12:]
    frame = dst.to_bytes(6, "big") + SOURCE_MAC.to_bytes(6, "big") + b"\x08\x00" + ip
    frame += struct.pack(">HHHH", src_port, dst_port, size - 34, 0)
    return frame.ljust(size, b"\0")


def l2(path, flows, macs, seed=1):
    """`flows` UDP 5-tuples spread over `macs` destinations; at least 4,096 packets, at most one a flow otherwise."""
    order = list(range(max(flows, 4096)))
    random.Random(seed).shuffle(order)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in order:
            f = number % flows
            frame = udp_frame(
                FIRST_MAC + f % macs,
                0x0A000000 + (f * 2654435761 & 0xFFFFFF),
                0x30000000 + (f * 40503 & 0xFFFF),
                1024 + f % 50021,
                53 + (f >> 4) % 1000,
            )
            out.write(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
    return path
