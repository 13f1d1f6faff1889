"""A controller that is fast enough to measure a switch: requests are made into bytes beforehand, sent without waiting, answers counted."""
import socket
import time

import places  # noqa: F401  (weft_client is found through it)
from weft_client import Error, pb

ID_BYTES = 12


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def flow_op(weight, priority, match, actions):
    """An Op with a Flow of table 0, as Transaction holds it."""
    flow = b"\x18" + _varint(priority) + _field(4, match.encode()) + _field(5, actions.encode())
    return _field(6, b"\x08" + (b"\x02" if weight > 0 else b"\x01") + _field(13, flow))


def of_message(op):
    """An Op that weft_client made, as Transaction holds it."""
    return _field(6, op.SerializeToString())


_ASKED = _field(6, _field(1, b"barrier"))
BARRIER = _varint(len(_ASKED)) + _ASKED  # past the newest generation


class Transaction:
    """A request in bytes, but for the id, which it gets when it is sent."""

    def __init__(self, ops, replace=None):
        of = _field(5, replace.SerializeToString()) if replace else b""
        body = _field(2, _field(1, b"0" * ID_BYTES) + of + b"".join(ops))
        self.data = bytearray(_varint(len(body)) + body)
        self.id_at = self.data.index(b"0" * ID_BYTES)
        self.ops = len(ops)

    def numbered(self, number):
        self.data[self.id_at:self.id_at + ID_BYTES] = b"%0*d" % (ID_BYTES, number)
        return self.data


def transactions(flows, weight=+1, size=1000):
    """From (priority, match, actions), `size` ops each."""
    ops = [flow_op(weight, *flow) for flow in flows]
    return [Transaction(ops[at:at + size]) for at in range(0, len(ops), size)]


def transactions_of(ops, size=1000):
    """From ops as weft_client makes them."""
    made = [of_message(each) for each in ops]
    return [Transaction(made[at:at + size]) for at in range(0, len(made), size)]


class Feed:
    """One connection; at most `ahead` requests without an answer. A refusal ends the run."""

    def __init__(self, path, ahead=64):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect(path)
        self.socket.sendall(b"WEFT")
        self.ahead, self.sent, self.answered, self.changed = ahead, 0, 0, 0
        self.generation, self.past = 0, None
        self.buffer = bytearray()

    def close(self):
        self.socket.close()

    def send(self, transaction):
        while self.sent - self.answered >= self.ahead:
            self._read()
        self.sent += 1
        self.socket.sendall(transaction.numbered(self.sent))

    def finish(self):
        while self.answered < self.sent:
            self._read()

    def barrier(self):
        """Until every worker runs what was sent. Does not wait for the answers in between: they come first anyway."""
        self.past = None
        self.socket.sendall(BARRIER)
        while self.past is None:
            self._read()
        if self.answered < self.sent or self.past < self.generation:
            raise Error("the barrier was answered for generation %d, before %d" % (self.past, self.generation))

    def run(self, made):
        for transaction in made:
            self.send(transaction)
        self.finish()

    def paced(self, made, ops_per_s, seconds, stop=lambda: False):
        """Round and round through `made` at a steady rate; what was reached, in changes a second. Falls behind rather than catch up in bursts."""
        already = self.changed
        began = last = time.monotonic()
        due, at = began, 0
        while last - began < seconds and not stop():
            self.send(made[at % len(made)])
            due = max(due + made[at % len(made)].ops / ops_per_s, last - 0.01)
            at += 1
            last = time.monotonic()
            if due > last:
                time.sleep(due - last)
                last = time.monotonic()
        self.finish()
        return (self.changed - already) / (time.monotonic() - began)

    def _read(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise Error("weftd closed the connection")
        self.buffer += got
        at = 0
        while (whole := self._whole(at)) is not None:
            at = self._take(*whole)
        del self.buffer[:at]

    def _whole(self, at):
        length = shift = 0
        while at < len(self.buffer):
            byte = self.buffer[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return (at, at + length) if at + length <= len(self.buffer) else None
        return None

    def _take(self, begin, end):
        reply = pb.Reply.FromString(bytes(self.buffer[begin:end]))
        kind = reply.WhichOneof("reply")
        if kind == "barrier" and not reply.barrier.timeout:
            self.past = reply.barrier.generation
            return end
        if kind != "ack":
            raise Error("a transaction got %s: %s" % (kind, str(getattr(reply, kind)).replace("\n", " ")))
        self.answered += 1
        self.changed += reply.ack.added + reply.ack.removed
        self.generation = reply.ack.generation
        return end
