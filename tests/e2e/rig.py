"""weftd as a process, ports over capture files, and network namespaces: what the end-to-end tests stand on."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from frames import read_pcap, write_pcap

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build"))
SHARED = os.path.realpath(os.path.join(ROOT, "..", "shared"))
WEFTD = os.path.join(BUILD, "weftd")
WEFTCTL = os.path.join(BUILD, "weftctl")
sys.path.insert(0, os.path.join(BUILD, "control"))

from weft_client import Client, Error, Refused, bridge, flow, group, meter, op, ops_of, pb, port, table  # noqa: E402,F401

SANITIZED = os.environ.get("WEFT_SANITIZED") == "1"
SANITIZERS_SAY = ("Sanitizer", "runtime error:")  # in a build with one of them, also where it did not end weftd
# Seconds that anything may take at most; a sanitized build needs a second or two to start where a plain one needs 0.1.
FULL_SIZE = os.environ.get("WEFT_FULL_SIZE") == "1"  # tests at the sizes that their claims name, not at those of every run
PATIENCE = float(os.environ.get("WEFT_TEST_PATIENCE", "90" if SANITIZED else "30"))


def sized(usual, full):
    return full if FULL_SIZE else usual


def wait_until(condition, what, seconds=None):
    """Asks until `condition` gives something true, and returns it."""
    deadline = time.monotonic() + (seconds or PATIENCE)
    pause = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain: %s" % (what() if callable(what) else what)
        pause.wait(0.004)


class Namespaces:
    """Network namespaces, each held by a process that ends with us: nothing is left behind, whatever happens to the test.
    An ordinary user gets them inside a user namespace."""

    def __init__(self):
        self.holders = []
        self.user = None
        if os.geteuid() != 0:
            self.user = self._hold(["unshare", "-Ur"])

    def _hold(self, prefix):
        holder = subprocess.Popen(prefix + ["sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.holders.append(holder)
        line = holder.stdout.readline()
        assert line == b"ready\n", "%s: %s" % (" ".join(prefix), holder.stderr.read().decode())
        return holder.pid

    def _prefix(self):
        return ["nsenter", "-U", "--preserve-credentials", "-t", str(self.user)] if self.user else []

    def add(self):
        space = Namespace(self._prefix(), self._hold(self._prefix() + ["unshare", "-n"]))
        space.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        space.run("ip", "link", "set", "lo", "up")
        return space

    def veth(self, a, name_a, b, name_b, mtu=1500):
        """A cable between two namespaces. Offloads are off on both ends: net_af_packet sees what the kernel hands over, and
        unfinished checksums and super-frames would be no packets of a wire."""
        a.run("ip", "link", "add", name_a, "mtu", str(mtu), "type", "veth",
              "peer", "name", name_b, "mtu", str(mtu), "netns", str(b.pid))
        for space, name in ((a, name_a), (b, name_b)):
            space.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            space.run("ip", "link", "set", name, "up")

    def close(self):
        for holder in reversed(self.holders):
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
            holder.stderr.close()


class Namespace:
    def __init__(self, prefix, pid):
        self.pid = pid
        self.prefix = prefix + ["nsenter", "-n", "-t", str(pid)]

    def run(self, *command, check=True, timeout=60):
        done = subprocess.run(self.prefix + list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout)
        assert not check or done.returncode == 0, "%s: %s" % (" ".join(command), done.stdout)
        return done

    def start(self, *command, **more):
        return subprocess.Popen(self.prefix + list(command), **more)

    def host(self, name, address):
        """Gives the namespace's interface an address, as a VM has."""
        self.run("ip", "addr", "add", address, "dev", name)


class Switch:
    """One weftd. Ports made by files() read capture files, held until send(); what they sent is seen after stop()."""

    def __init__(self, *args, workers=1, namespace=None, socket_path=None, ready=True, environment=None):
        # Not pytest's folder: the path of a socket may have 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="weft-e2e-")
        self.socket = socket_path or os.path.join(self.folder, "s")
        self.log = os.path.join(self.folder, "log")
        command = [WEFTD, "--socket", self.socket]
        if workers:
            command += ["--workers", str(workers)]
        self.process, self.clients, self._control = None, [], None
        self.command = (namespace.prefix if namespace else []) + command + list(args)
        self.environment = environment
        self.outputs = {}
        self.bridges = {}
        self.sent = 0
        self.start(ready)

    # ---- the process

    def start(self, ready=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment)
        if ready:
            wait_until(self._answers, lambda: "weftd does not answer on its socket: " + self.said() + self._threads())

    def _answers(self):
        assert self.process.poll() is None, "weftd ended with %s: %s" % (self.process.returncode, self.said())
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(self.socket)
            return True
        except OSError:
            return False
        finally:
            probe.close()

    def _threads(self):
        """Where each of its threads is, for what hangs without a word."""
        folder = "/proc/%d/task" % self.process.pid
        lines = []
        for thread in sorted(os.listdir(folder)):
            told = []
            for what in ("comm", "wchan", "syscall", "stat"):
                with contextlib.suppress(OSError), open(os.path.join(folder, thread, what)) as file:
                    told.append(file.read().strip())
            lines.append("\n  thread %s: %s" % (thread, " | ".join(told)))
        return "".join(lines)

    def said(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def wait(self, seconds=None):
        """The exit status, when it ends by itself."""
        return self.process.wait(seconds or PATIENCE)

    def stop(self):
        """Ends weftd as an operator would, and gives what its ports sent: {port: frames}, only of those that sent something."""
        self.hang_up()
        if self.process.poll() is None:
            self.process.terminate()
        status = self.wait()
        assert status == 0, "weftd ended with %s: %s" % (status, self.said())
        return self.outs()

    def outs(self):
        found = {name: self.sent_by(name) for name in self.outputs}
        return {name: frames for name, frames in found.items() if frames}

    def sent_by(self, name):
        """What a port sent so far; complete when the port is closed."""
        return [frame for path in self.outputs[name] if os.path.exists(path) for frame in read_pcap(path)]

    def kill(self):
        self.hang_up()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()

    def hang_up(self):
        for client in self.clients:
            client.close()
        self.clients, self._control = [], None

    def close(self):
        self.kill()
        said = self.said() if os.path.exists(self.log) else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not any(mark in said for mark in SANITIZERS_SAY), said

    def memory_kb(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    # ---- its clients

    def client(self, name="test", **more):
        made = Client(self.socket, name=name, **more)
        self.clients.append(made)
        return made

    @property
    def control(self):
        """A client for what the rig itself asks."""
        if self._control is None:
            self._control = self.client("rig")
        return self._control

    def ctl(self, *args, stdin=None, check=True):
        done = subprocess.run([WEFTCTL, "--socket", self.socket] + list(args), input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        assert not check or done.returncode == 0, "weftctl %s: %s%s" % (" ".join(args), done.stdout, done.stderr)
        return done

    # ---- its ports

    def files(self, inputs, hold=True, first=1, **rows):
        """Adds one port for each name of `inputs`, {name: frames}, numbered in that order from `first`; it is held until send().
        A list of lists of frames makes a port with as many queues. `rows`: more fields for all of them, or {field: {name: value}}."""
        ops = []
        for number, (name, frames) in enumerate(inputs.items(), first):
            extra = {field: value.get(name) if isinstance(value, dict) else value for field, value in rows.items()}
            ops += [+1, self.file_port(name, frames, number=number, hold=hold,
                                       **{field: value for field, value in extra.items() if value is not None})]
        ack = self.control.transaction(ops, strict=True)
        self.wait_open(*inputs)
        return ack

    def file_port(self, name, frames=(), **more):
        """The row of a port over capture files; as many of them for sending as for receiving."""
        queues = frames if frames and isinstance(frames[0], list) else [list(frames)]
        device = "net_pcap_%s" % name
        self.outputs[name] = []
        for queue, content in enumerate(queues):
            come, go = (os.path.join(self.folder, "%s-%d-%s.pcap" % (name, queue, way)) for way in ("in", "out"))
            write_pcap(come, content)
            device += ",rx_pcap=%s,tx_pcap=%s" % (come, go)
            self.outputs[name].append(go)
        self.bridges[name] = more.get("bridge", "")
        return port(name, device, **more)

    def wait_open(self, *names):
        def opened():
            states = {row.row.port_status.name: row.row.port_status for row in self.control.get("port_status")}
            wanted = [states.get(name) for name in names]
            failed = [status.error for status in wanted if status and status.state == "failed"]
            assert not failed, failed
            return all(status and status.state in ("up", "held") for status in wanted)
        wait_until(opened, lambda: "ports %s do not open: %s" % (", ".join(names), self.said()))

    def release(self, name, count):
        """Lets `count` more packets in, without waiting."""
        if count:
            self.control.release(name, count, bridge=self.bridges.get(name, ""))
            self.sent += count

    def send(self, **counts):
        """Lets so many more packets of each port in, and waits until each has found its place."""
        for name, count in counts.items():
            self.release(name, count)
        self.settle()

    def settle(self):
        wait_until(lambda: self.totals()["received"] >= self.sent and self.totals()["held"] == 0,
                   lambda: "%d packets sent, %s" % (self.sent, self.totals()))
        assert self.totals()["received"] == self.sent

    # ---- its books

    def totals(self):
        """All workers' accounts in one."""
        sums = {"received": 0, "made": 0, "sent": 0, "dropped": 0, "taken": 0, "held": 0}
        for values in self.control.stats("workers").get("workers", {}).values():
            for name in sums:
                sums[name] += values[name]
        return sums

    def books_close(self):
        for name, of in self.control.stats("workers")["workers"].items():
            assert of["received"] + of["made"] == of["sent"] + of["dropped"] + of["taken"] + of["held"], (name, of)
        return self.totals()

    def drops(self):
        """{reason: packets}, of reasons that occurred."""
        found = self.control.stats("drops").get("drops", {})
        return {name: values["packets"] for name, values in found.items() if values["packets"]}

    def port_stats(self, name):
        return self.control.stats("ports")["ports"][name]

    def flows(self, **filters):
        """{(table, priority, match): stored row}"""
        return {(row.row.flow.table, row.row.flow.priority, row.row.flow.match): row
                for row in self.control.get("flow", **filters)}

    def digest_of(self, relation="flow"):
        return self.control.digest(relation=relation)
