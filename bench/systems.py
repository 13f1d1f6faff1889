"""weft and testpmd as things to measure: started for one workload, asked for their rate window by window, stopped by their process id."""
import contextlib
import dataclasses
import itertools
import os
import pty
import re
import select
import signal
import subprocess
import time

from places import BUILD
from weft_client import Client, Error

import feed
import rules

WORKER_CORE, CONTROL_CORE = 1, 0


@dataclasses.dataclass
class Window:
    """What a switch did for some seconds."""
    mpps: float           # received
    cycles: float         # of the time stamp counter, for each packet received
    waited: float = 0.0   # share of the time in which the polling thread could not have its core
    lost: int = 0         # for another reason than the rules
    notes: dict = dataclasses.field(default_factory=dict)


def huge_pages():
    with open("/proc/sys/vm/nr_hugepages") as pages:
        return int(pages.read())


@contextlib.contextmanager
def huge_pages_of(megabytes):
    """At least so much in pages of 2 MB while measuring, where we may; what was there before afterwards."""
    before = huge_pages()
    if before < megabytes // 2 and os.geteuid() == 0:
        with open("/proc/sys/vm/nr_hugepages", "w") as pages:
            pages.write(str(megabytes // 2))
    try:
        yield huge_pages()
    finally:
        if huge_pages() != before:
            with open("/proc/sys/vm/nr_hugepages", "w") as pages:
                pages.write(str(before))


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Poller:
    """The thread that polls: what share of a time it stood ready to run and did not, because something else had its core."""

    def __init__(self, pid, names):
        tasks = "/proc/%d/task" % pid
        self.path = None
        for tid in os.listdir(tasks):
            with contextlib.suppress(OSError), open(os.path.join(tasks, tid, "comm")) as comm:
                if comm.read().startswith(names):
                    self.path = os.path.join(tasks, tid, "schedstat")
        self.began, self.waited_s = time.monotonic(), self._waited()

    def _waited(self):
        with contextlib.suppress(OSError, TypeError), open(self.path) as schedstat:
            return int(schedstat.read().split()[1]) / 1e9
        return 0.0

    def share(self):
        return round((self._waited() - self.waited_s) / max(time.monotonic() - self.began, 1e-9), 4)


def on_cores(*cores):
    return lambda: os.sched_setaffinity(0, cores)


class Weft:
    name = "weft"
    count = itertools.count()

    def __init__(self, folder, ports, options=(), extra=(), environment=None, build=BUILD):
        """`ports`: (name, devargs) pairs."""
        self.socket = os.path.join(folder, "weft-%d-%d.sock" % (os.getpid(), next(self.count)))
        command = [os.path.join(build, "weftd"), "--socket", self.socket, "--cores", str(WORKER_CORE)]
        for name, devargs in ports:
            command += ["--port", "%s=%s" % (name, devargs)]
        for option in options:
            command += ["--port-option", option]
        self.log = open(self.socket + ".log", "w+")
        self.process = subprocess.Popen(command + list(extra), stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=on_cores(CONTROL_CORE, WORKER_CORE),
                                        env=dict(os.environ, **(environment or {})))
        try:
            self.client = self._connect()
        except BaseException:
            stop(self.process)
            raise

    def _connect(self):
        end = time.monotonic() + 180  # ports that preload large files take their time
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(Error, OSError):
                return Client(self.socket, name="bench", timeout=120)
            time.sleep(0.05)
        self.log.seek(0)
        raise SystemExit("weftd does not answer on %s:\n%s" % (self.socket, self.log.read()[-2000:]))

    def load(self, policy, outputs):
        made = feed.transactions(rules.weft_flows(policy.table, outputs, policy.hop_macs(), policy.router_mac))
        link = feed.Feed(self.socket)
        began = time.monotonic()
        link.run(made)
        self.client.barrier(link.generation)
        link.close()
        return time.monotonic() - began

    def close(self):
        self.client.close()
        stop(self.process)
        self.log.close()

    def workers(self):
        return list(self.client.stats("workers")["workers"].values())

    def warm(self):
        self.window(1)

    def window(self, seconds):
        poller, lost, before, began = self.poller(), self._lost(), self.workers(), time.monotonic()
        time.sleep(seconds)
        after, took, waited = self.workers(), time.monotonic() - began, poller.share()

        def grown(name):
            return sum(a[name] - b[name] for a, b in zip(after, before))
        packets = grown("received")
        if packets == 0:
            raise SystemExit("weft received nothing for %.1f s" % took)
        return Window(packets / took / 1e6, grown("busy_cycles") / packets, waited, self._lost() - lost)

    def poller(self):
        return Poller(self.process.pid, "worker-")

    def _lost(self):
        reasons = self.client.stats("drops").get("drops", {})
        return sum(values["packets"] for reason, values in reasons.items() if reason not in ("policy", "no_match"))


class Testpmd:
    """DPDK's own forwarder with no table at all: what the ports cost."""

    def __init__(self, mode, devices, folder, environment=None):
        self.name = "testpmd " + mode
        # Port p sends to port p + 1; sources have no output and let go of what they are given.
        command = ["dpdk-testpmd", "-l", "%d,%d" % (CONTROL_CORE, WORKER_CORE), "--main-lcore", str(CONTROL_CORE), "--no-pci", "--no-telemetry",
                   "--file-prefix", "bench%d" % os.getpid()]
        command += ["--in-memory"] if huge_pages() else ["--no-huge", "--no-shconf", "-m", "1024"]
        for device in devices:
            command += ["--vdev", device]
        buffers = 300_000 * max(1, len(devices) - 1)
        command += ["--", "-i", "--nb-cores=1", "--forward-mode=" + mode, "--record-core-cycles", "--no-flush-rx", "--total-num-mbufs=%d" % buffers,
                    "--port-topology=" + ("paired" if len(devices) == 2 else "chained")]
        self.sources = range(len(devices) - 1)
        self.terminal, theirs = pty.openpty()  # to a pipe it would print when its buffer is full
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(os.environ, **(environment or {})))
        os.close(theirs)
        try:
            self._ask("start", "packet forwarding - ports")
        except BaseException:
            self.close()
            raise

    def _ask(self, command, until, patience_s=60):
        """What it says from now on, up to a match of `until`."""
        os.write(self.terminal, command.encode() + b"\n")
        said, end = "", time.monotonic() + patience_s
        while not re.search(until, said, re.S):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                raise SystemExit("testpmd does not answer %r:\n%s" % (command, said[-2000:]))
            try:
                said += os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                raise SystemExit("testpmd ended:\n" + said[-2000:]) from None
        return said

    def warm(self):
        self.window(1)

    def window(self, seconds):
        self._ask("clear fwd stats all", r"clear fwd stats all.*testpmd>")
        poller, began = Poller(self.process.pid, ("lcore-worker", "rte-worker")), time.monotonic()
        time.sleep(seconds)
        waited = poller.share()
        text = self._ask("show fwd stats all", r"CPU cycles/packet.*Clock")
        took = time.monotonic() - began
        packets = int(re.search(r"Accumulated forward statistics.*?RX-packets:\s+(\d+)", text, re.S).group(1))
        return Window(packets / took / 1e6, float(re.search(r"CPU cycles/packet=([\d.]+)", text).group(1)), waited)

    def close(self):
        stop(self.process)
        os.close(self.terminal)
