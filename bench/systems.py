"""The switches that are measured: each is started for one workload, asked for its rate window by window, and stopped by its pid."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build"))
sys.path.insert(0, os.path.join(BUILD, "control"))
from weft_client import Client, Error  # noqa: E402

WORKER_CORE, CONTROL_CORE = 1, 0


def tsc_hz():
    """From the kernel's calibration if it says, else from what a second of the counter is."""
    with open("/proc/cpuinfo") as cpuinfo:
        match = re.search(r"^cpu MHz\s*:\s*([0-9.]+)", cpuinfo.read(), re.M)
    return float(match.group(1)) * 1e6


def huge_pages():
    with open("/proc/sys/vm/nr_hugepages") as pages:
        return int(pages.read())


@contextlib.contextmanager
def huge_pages_of(count):
    """At least `count` huge pages of 2 MB while measuring, where we may; what was there before afterwards."""
    before = huge_pages()
    if before < count and os.geteuid() == 0:
        with open("/proc/sys/vm/nr_hugepages", "w") as pages:
            pages.write(str(count))
    try:
        yield huge_pages()
    finally:
        if huge_pages() != before:
            with open("/proc/sys/vm/nr_hugepages", "w") as pages:
                pages.write(str(before))


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Weft:
    name = "weft"

    def __init__(self, folder, ports=(), extra=()):
        self.socket = os.path.join(folder, "weft-%d.sock" % os.getpid())
        command = [os.path.join(BUILD, "weftd"), "--socket", self.socket, "--cores", str(WORKER_CORE)]
        for name, devargs in ports:
            command += ["--port", "%s=%s" % (name, devargs)]
        self.log = open(os.path.join(folder, "weftd.log"), "w+")
        self.process = subprocess.Popen(
            ["taskset", "-c", "%d,%d" % (CONTROL_CORE, WORKER_CORE)] + command + list(extra),
            stdout=self.log, stderr=subprocess.STDOUT)
        self.client = self._connect()

    def _connect(self):
        for _ in range(200):
            if self.process.poll() is not None:
                self.log.seek(0)
                raise SystemExit("weftd ended with %d:\n%s" % (self.process.returncode, self.log.read()[-2000:]))
            with contextlib.suppress(Error):
                return Client(self.socket, name="bench")
            time.sleep(0.05)
        raise SystemExit("weftd does not answer on %s" % self.socket)

    def close(self):
        self.client.close()
        stop(self.process)
        self.log.close()

    def _workers(self):
        return self.client.stats("workers")["workers"].values()

    def window(self, seconds):
        """(Mpps, cycles per packet, drops) over so many seconds."""
        before, began = list(self._workers()), time.monotonic()
        time.sleep(seconds)
        after, took = list(self._workers()), time.monotonic() - began
        packets = sum(a["received"] - b["received"] for a, b in zip(after, before))
        cycles = sum(a["busy_cycles"] - b["busy_cycles"] for a, b in zip(after, before))
        sent = sum(a["sent"] - b["sent"] for a, b in zip(after, before))
        return packets / took / 1e6, cycles / max(packets, 1), packets - sent


class Testpmd:
    def __init__(self, mode, vdevs):
        self.name = "testpmd " + mode
        command = ["dpdk-testpmd", "-l", "%d,%d" % (CONTROL_CORE, WORKER_CORE), "--main-lcore", str(CONTROL_CORE), "--no-pci",
                   "--no-telemetry", "--file-prefix", "bench%d" % os.getpid()]
        command += ["--in-memory", "-m", "1024"] if huge_pages() else ["--no-huge", "--no-shconf", "-m", "1024"]
        for vdev in vdevs:
            command += ["--vdev", vdev]
        command += ["--", "--nb-cores=1", "--forward-mode=" + mode, "--stats-period=1", "--total-num-mbufs=300000", "--no-flush-rx"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.rates = self._rates()

    def _rates(self):
        port, tail = None, []
        for line in self.process.stdout:
            tail = (tail + [line])[-15:]
            if match := re.search(r"NIC statistics for port (\d+)", line):
                port = int(match.group(1))
            if (match := re.search(r"Rx-pps:\s+(\d+)", line)) and port == 0:
                yield int(match.group(1))
        raise SystemExit("testpmd ended:\n" + "".join(tail))

    def window(self, seconds):
        """One line of its own statistics, which is a second."""
        del seconds
        rate = next(self.rates)
        return rate / 1e6, tsc_hz() / max(rate, 1), 0

    def close(self):
        self.process.stdin.close()
        stop(self.process)
