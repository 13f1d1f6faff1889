"""A controller's side of weft's control socket, in the binary encoding.

    from weft_client import Client, flow
    with Client("/run/weft/control.sock", name="my-controller") as weft:
        weft.transaction([+1, flow(0, 100, "ip4.dst == 10.0.0.1", 'output("p1");')])
        for row in weft.get("flow"): print(row.row.flow.match, row.packets)

Every call waits for its reply; post() and wait() pipeline. A NAK is raised as Refused. Needs python3-protobuf, and the schema: weft_pb2.py
beside this file (the build puts both into control/), else made from weft.proto with protoc on first import.
"""
import collections
import hashlib
import os
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))


def _schema():
    try:
        import weft_pb2
        return weft_pb2
    except ImportError:
        pass
    with open(os.path.join(HERE, "weft.proto"), "rb") as proto:
        mark = hashlib.sha256(proto.read()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = os.path.join(base, "weft", mark)
    try:
        os.makedirs(cache, exist_ok=True)
    except OSError:
        cache = tempfile.mkdtemp(prefix="weft-")
    if not os.path.exists(os.path.join(cache, "weft_pb2.py")):
        with tempfile.TemporaryDirectory(dir=cache) as made:  # renamed into place: others may import at this moment
            subprocess.run(["protoc", "--proto_path=" + HERE, "--python_out=" + made, "weft.proto"], check=True)
            os.rename(os.path.join(made, "weft_pb2.py"), os.path.join(cache, "weft_pb2.py"))
    sys.path.insert(0, cache)
    import weft_pb2
    return weft_pb2


pb = _schema()


class Error(Exception):
    """The connection is of no more use."""


class Refused(Exception):
    """A NAK: .nak has id, op, code, path and message."""

    def __init__(self, nak):
        where = "op %d: " % nak.op if nak.HasField("op") else ""
        super().__init__("%s: %s%s" % (nak.code, where, nak.message))
        self.nak = nak
        self.code = nak.code


# ---- rows and ops: an op is (weight or verb, row message) -----------------------------------------------------------------

def bridge(name, **more):
    return pb.Bridge(name=name, **more)


def port(name, devargs="", **more):
    return pb.Port(name=name, devargs=devargs, **more)


def table(number, name="", **more):
    return pb.Table(table=number, name=name, **more)


def flow(number, priority, match, actions, **more):
    return pb.Flow(table=number, priority=priority, match=match, actions=actions, **more)


def group(number, kind, buckets, **more):
    """`buckets`: action texts, or (weight, actions) pairs."""
    made = pb.Group(group=number, type=kind, **more)
    for bucket in buckets:
        weight, actions = bucket if isinstance(bucket, tuple) else (1, bucket)
        made.buckets.add(weight=weight, actions=actions)
    return made


def meter(number, unit, bands, **more):
    made = pb.Meter(meter=number, unit=unit, **more)
    for rate, burst in bands:
        made.bands.add(rate=rate, burst=burst)
    return made


def op(how, row, scope="", version=0, **more):
    """`how`: +1, -1, "upsert" or "delete". `more`: if_version, if_absent, ttl_ms."""
    made = pb.Op(scope=scope, version=version, **more)
    if isinstance(how, str):
        made.verb = how
    else:
        made.weight = how
    getattr(made, type(row).__name__.lower()).CopyFrom(row)
    return made


def ops_of(changes):
    """Ops from ops, (how, row) pairs, or a flat list how, row, how, row."""
    made, rest = [], iter(changes)
    for first in rest:
        if isinstance(first, pb.Op):
            made.append(first)
        elif isinstance(first, tuple):
            made.append(op(*first))
        else:
            made.append(op(first, next(rest)))
    return made


# ---- the connection -------------------------------------------------------------------------------------------------------

def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Client:
    """One connection, one thread. `name` makes transaction ids and rows belong to that client over reconnects."""

    def __init__(self, path="/run/weft/control.sock", name="", timeout=30.0, **hello):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.events = collections.deque()  # that came while a reply was waited for
        self.buffer = bytearray()
        self.owed = collections.deque()    # ids of requests whose replies have not come
        self.replies = {}
        self.next_id = 0
        self.mark = os.urandom(4).hex()    # so that ids differ from those of earlier runs under the same name
        try:
            self.socket.connect(path)
        except OSError as problem:
            self.socket.close()
            raise Error("cannot connect to %s: %s" % (path, problem.strerror or problem)) from None
        self.socket.sendall(b"WEFT")
        self.welcome = self.call("hello", client=name, versions=[1], **hello) if name else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Requests by the names of the schema. Ids are made where none are given.
    def post(self, kind, **fields):
        """Sends without waiting; gives the id for wait()."""
        request = pb.Request()
        body = getattr(request, kind)
        body.SetInParent()
        for field, value in fields.items():
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                getattr(body, field).extend(value)
            elif hasattr(value, "SerializeToString"):
                getattr(body, field).CopyFrom(value)
            else:
                setattr(body, field, value)
        if not body.id:
            self.next_id += 1
            body.id = "%s-%d" % (self.mark, self.next_id)
        data = request.SerializeToString()
        self.socket.sendall(_varint(len(data)) + data)
        self.owed.append(body.id)
        return body.id

    def wait(self, ident):
        """The body of the reply to a post; raises Refused on a NAK."""
        while ident not in self.replies:
            if ident not in self.owed:
                raise Error("no request %r is under way" % ident)
            self._take(self._read())
        reply = self.replies.pop(ident)
        body = getattr(reply, reply.WhichOneof("reply"))
        if reply.WhichOneof("reply") == "nak":
            raise Refused(body)
        return body

    def call(self, kind, **fields):
        return self.wait(self.post(kind, **fields))

    def transaction(self, changes=(), replace=None, **fields):
        """`changes` as for ops_of(); `replace`: a dict of scope, owner, relations. The Ack, or Refused."""
        if replace is not None:
            fields["replace"] = pb.Replace(**replace)
        return self.call("transaction", ops=ops_of(changes), **fields)

    def get(self, relation, **filters):
        """All rows (StoredRow) of one snapshot, page by page."""
        cursor = ""
        while True:
            page = self.call("get", relation=relation, cursor=cursor, **filters)
            yield from page.rows
            cursor = page.cursor
            if not cursor:
                return

    def digest(self, scope="", relation="", part=0, parts=0):
        """{(scope, relation): (rows, digest)}"""
        entries = self.call("digest", scope=scope, relation=relation, part=part, parts=parts).digests
        return {(e.scope, e.relation): (e.rows, e.digest) for e in entries}

    def barrier(self, generation=0, timeout_ms=0):
        return self.call("barrier", generation=generation, timeout_ms=timeout_ms)

    def lease(self, scope, ttl_ms, fence=0):
        return self.call("lease", scope=scope, ttl_ms=ttl_ms, fence=fence).fence

    def watch(self, *topics, **fields):
        return self.call("watch", topics=list(topics), **fields)

    def unwatch(self):
        return self.call("unwatch")

    def packet_out(self, packet, actions, port="", **fields):
        return self.call("packet_out", packet=bytes(packet), actions=actions, port=port, **fields)

    def trace(self, port, match="", packet=b"", **fields):
        return self.call("trace", port=port, match=match, packet=bytes(packet), **fields)

    def explain(self, **fields):
        return self.call("explain", **fields)

    def stats(self, *kinds):
        """{kind: {name: {counter: value}}}"""
        found = {}
        for stat in self.call("stats", kinds=list(kinds)).stats:
            found.setdefault(stat.kind, {})[stat.name] = dict(stat.values)
        return found

    def pending(self):
        return list(self.call("pending").rows)

    def release(self, port, packets=0, **fields):
        return self.call("release", port=port, packets=packets, **fields)

    def advance(self, ms):
        """Moves the clock of a switch that was started with --clock manual."""
        return self.call("clock", advance_ms=ms)

    def next_event(self, timeout=None):
        """The next event, in order; None after `timeout` seconds without one."""
        before = self.socket.gettimeout()
        self.socket.settimeout(before if timeout is None else timeout)
        try:
            while not self.events:
                self._take(self._read())
        except socket.timeout:
            return None
        finally:
            self.socket.settimeout(before)
        return self.events.popleft()

    def _take(self, reply):
        kind = reply.WhichOneof("reply")
        if kind == "event":
            self.events.append(reply.event)
        elif kind == "error":
            raise Error(reply.error.message)
        else:
            self.replies[self.owed.popleft()] = reply  # replies come in the order of the requests

    def _read(self):
        """The next message; a timeout in the middle of one loses nothing."""
        while True:
            length, at = 0, 0
            while at < len(self.buffer):
                length |= (self.buffer[at] & 0x7F) << 7 * at
                at += 1
                if self.buffer[at - 1] < 0x80:
                    if len(self.buffer) < at + length:
                        break
                    reply = pb.Reply.FromString(bytes(self.buffer[at:at + length]))
                    del self.buffer[:at + length]
                    return reply
            got = self.socket.recv(1 << 18)
            if not got:
                raise Error("weftd closed the connection")
            self.buffer += got
