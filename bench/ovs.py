"""Open vSwitch with DPDK in a folder of its own: Debian's openvswitch-switch-dpdk, one core that polls, nothing of the system's own instance touched."""
import contextlib
import os
import re
import subprocess
import tempfile
import time

import rules
from systems import CONTROL_CORE, WORKER_CORE, Poller, Window, on_cores, stop

DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

# Its caches are the exact-match cache (EMC, on by default), the signature-match cache (SMC, off) and the megaflows behind them, which are kept for
# 10 s without a packet. Which combination is best depends on the traffic, so all are measured.
SETTINGS = {
    "default": {},
    "EMC off": {"emc-insert-inv-prob": "0"},
    "SMC on": {"emc-insert-inv-prob": "0", "smc-enable": "true"},
    "EMC off, idle 10 min": {"emc-insert-inv-prob": "0", "max-idle": "600000"},
    "SMC on, idle 10 min": {"emc-insert-inv-prob": "0", "smc-enable": "true", "max-idle": "600000"},
}
SHORT, LONG = ("default", "EMC off", "SMC on"), tuple(SETTINGS)
FIRST_OUTPUT, FIRST_INPUT = 100, 1
PRIORITIES = 65_000
SETTLED_UPCALLS_PER_S = 250
# Ports of one MTU share a pool of 262,144 buffers, and a source keeps its file in it: so each of several sources gets another MTU.
MTUS = (1500, 2500, 3500, 4500)
PRINTED = {"rx": "packets received", "emc": "emc hits", "smc": "smc hits", "megaflow": "megaflow hits", "lookups": "avg. subtable lookups per megaflow hit",
           "miss": "miss with success upcall", "failed": "miss with failed upcall", "idle": "idle cycles", "busy": "processing cycles"}


def installed():
    return os.path.exists(DAEMON)


def version():
    return re.search(r"\d[\d.]+", subprocess.run([DAEMON, "--version"], capture_output=True, text=True).stdout).group()


class Ovs:
    name = "ovs"

    def __init__(self, folder, inputs, outputs, setting="default", warm_s=25, environment=None, memory_mb=1024):
        """`inputs`, `outputs`: device arguments. Inputs open with begin(), so that the rules are there before the first packet."""
        self.run = tempfile.mkdtemp(prefix="ovs-", dir=folder)
        self.inputs, self.warm_s = inputs, warm_s
        self.environment = dict(os.environ, OVS_RUNDIR=self.run, OVS_DBDIR=self.run, OVS_LOGDIR=self.run, OVS_SYSCONFDIR=self.run)
        self.processes = []
        try:
            self._start(setting, memory_mb, environment or {})
            self._tool("ovs-vsctl", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=secure")
            self._wait_until(lambda: os.path.exists(os.path.join(self.run, "br0.mgmt")), "bridge br0")
            for i, device in enumerate(outputs):
                self._add_port("out%d" % i, device, FIRST_OUTPUT + i)
        except BaseException:
            self.close()
            raise

    def _start(self, setting, memory_mb, environment):
        database, self.control = os.path.join(self.run, "conf.db"), os.path.join(self.run, "vswitchd.ctl")
        server = "unix:" + os.path.join(self.run, "db.sock")
        self._tool("ovsdb-tool", "create", database, SCHEMA)
        self._spawn(["ovsdb-server", database, "--remote=p" + server, "--unixctl=" + os.path.join(self.run, "ovsdb.ctl"), "-vconsole:off"], {})
        self.database = "--db=" + server
        self._wait_until(lambda: os.path.exists(os.path.join(self.run, "db.sock")), "ovsdb-server")
        settings = {"dpdk-init": "true", "pmd-cpu-mask": hex(1 << WORKER_CORE), "dpdk-lcore-mask": hex(1 << CONTROL_CORE),
                    "dpdk-socket-mem": str(memory_mb), "dpdk-extra": "--no-pci --in-memory", **SETTINGS[setting]}
        self._tool("ovs-vsctl", "--no-wait", "init")
        self._tool("ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", *("other_config:%s=%s" % item for item in settings.items()))
        # In a network namespace of its own: it makes kernel interfaces named like its bridges, and leaves them behind.
        self._spawn(["unshare", "--net", DAEMON, server, "--pidfile=" + os.path.join(self.run, "vswitchd.pid"), "--unixctl=" + self.control,
                     "--log-file=" + os.path.join(self.run, "vswitchd.log"), "-vconsole:off", "-vsyslog:off"], environment)
        self._wait_until(lambda: os.path.exists(self.control) and
                         self._tool("ovs-vsctl", "get", "Open_vSwitch", ".", "dpdk_initialized").strip() == "true", "ovs-vswitchd")

    def _spawn(self, command, environment):
        # It keeps to the control core by itself, and puts its polling thread on the other.
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=on_cores(CONTROL_CORE),
                                               env=dict(self.environment, **environment)))

    def _log(self):
        with contextlib.suppress(OSError), open(os.path.join(self.run, "vswitchd.log")) as log:
            return log.read()[-3000:]
        return ""

    def _wait_until(self, ready, who):
        for _ in range(1200):
            if ready():
                return
            if self.processes[-1].poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("%s does not come up:\n%s" % (who, self._log()))

    def _tool(self, tool, *arguments, given=None, patience_s=300):
        if tool == "ovs-vsctl":
            arguments = (self.database, "--timeout=60") + arguments
        elif tool == "ovs-appctl":
            arguments = ("-t", self.control) + arguments
        done = subprocess.run([tool, *arguments], input=given, capture_output=True, text=True, timeout=patience_s, env=self.environment)
        if done.returncode:
            raise SystemExit("%s %s: %s" % (tool, " ".join(arguments)[:200], (done.stderr or done.stdout)[-2000:]))
        return done.stdout

    def _add_port(self, name, device, number, mtu=None):
        self._tool("ovs-vsctl", "add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk", "options:dpdk-devargs=" + device,
                   "ofport_request=%d" % number, *(["mtu_request=%d" % mtu] if mtu else []))
        error = self._tool("ovs-vsctl", "get", "Interface", name, "error").strip()
        if error not in ("[]", '""'):
            raise SystemExit("OVS port %s (%s): %s" % (name, device, error))

    def load(self, policy, output_count):
        if int(policy.table["priority"].max()) > PRIORITIES:
            raise SystemExit("%d priorities: OpenFlow has 16 bits for them" % len(policy.table))
        lines = rules.ovs_flows(policy.table, [FIRST_OUTPUT + i for i in range(output_count)], policy.hop_macs(), policy.router_mac)
        began = time.monotonic()
        self.change("\n".join(lines) + "\n", "--bundle")
        return time.monotonic() - began

    def change(self, lines, *options):
        self._tool("ovs-ofctl", *options, "-O", "OpenFlow14", "add-flows", "unix:" + os.path.join(self.run, "br0.mgmt"), "-", given=lines)

    def begin(self):
        for i, device in enumerate(self.inputs):
            self._add_port("in%d" % i, device, FIRST_INPUT + i, MTUS[i] if len(self.inputs) > 1 else None)

    def statistics(self):
        text = self._tool("ovs-appctl", "dpif-netdev/pmd-stats-show")
        text = text[text.index("pmd thread"):].split("main thread")[0]
        found = {name: re.search(re.escape(words) + r":\s+([\d.]+)", text) for name, words in PRINTED.items()}
        return {name: float(match.group(1)) if match else 0.0 for name, match in found.items()}

    def drop_outputs(self):
        """Closes their files."""
        for name in self._tool("ovs-vsctl", "list-ports", "br0").split():
            if name.startswith("out"):
                self._tool("ovs-vsctl", "del-port", "br0", name)

    def window(self, seconds):
        self._tool("ovs-appctl", "dpif-netdev/pmd-stats-clear")
        poller, began = self.poller(), time.monotonic()
        time.sleep(seconds)
        s, took, waited = self.statistics(), time.monotonic() - began, poller.share()
        packets = max(s["rx"], 1)
        shares = {name: round(s[name] / packets, 4) for name in ("emc", "smc", "megaflow")}
        return Window(s["rx"] / took / 1e6, (s["idle"] + s["busy"]) / packets, waited, notes=dict(shares, lookups=s["lookups"], upcalls_per_s=(s["miss"] + s["failed"]) / took))

    def poller(self):
        return Poller(self.process.pid, "pmd-c")

    def warm(self):
        """Until the caches know the traffic, or it becomes clear that they never will."""
        end = time.monotonic() + self.warm_s
        while self.window(2).notes["upcalls_per_s"] > SETTLED_UPCALLS_PER_S and time.monotonic() < end:
            pass

    @property
    def process(self):
        """The one that polls."""
        return self.processes[-1]

    def close(self):
        for process in reversed(self.processes):
            stop(process)
