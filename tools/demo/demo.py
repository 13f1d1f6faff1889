#!/usr/bin/python3
"""The story that `./run demo` tells. Runs inside namespaces that demo.sh made; what it starts ends with it."""
import atexit
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.environ["WEFT_BUILD"]
PYTHON = "/usr/bin/python3"
MEGABYTES = 192
PATIENCE = 30.0
#        name    address         port  interface of the VM
VMS = {"VM1": ("10.10.10.101", 2, "eth0"), "VM2": ("10.10.10.102", 3, "eth0"), "VM3": ("10.10.10.103", 4, "eth0")}
NEW_PORT = 5  # where VM2 goes
started = []


def fail(text):
    print("\ndemo: " + text, file=sys.stderr)
    sys.exit(1)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        fail("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def inside(vm, *command):
    return ["ip", "netns", "exec", vm.lower(), *command]


def start(*command, **more):
    process = subprocess.Popen(command, **more)
    started.append(process)
    return process


@atexit.register
def end():
    for process in reversed(started):
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            fail("waited in vain for " + what)
        pause.wait(0.01)


def head(text):
    print("\n%s" % text)


def item(what, value):
    print("   %-22s %s" % (what, value))


def show(text):
    """What a program printed, within the screen."""
    for line in text.splitlines():
        for part in textwrap.wrap(line, 115, subsequent_indent="        ") or [""]:
            print("   " + part)


# ---- the scene

def plug(vm, port, name, address=None):
    """A cable from the VM to the switch. Offloads are off: af_packet sees what the kernel hands over."""
    mac = "02:00:0a:0a:0a:%02x" % int(VMS[vm][0].rsplit(".", 1)[1])
    run("ip", "link", "add", "s%d" % port, "type", "veth", "peer", "name", name, "netns", vm.lower())
    run("ethtool", "-K", "s%d" % port, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    run("ip", "link", "set", "s%d" % port, "up")
    run(*inside(vm, "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"))
    run(*inside(vm, "ip", "link", "set", name, "address", mac))
    if address:
        run(*inside(vm, "ip", "addr", "add", address + "/24", "dev", name))
        run(*inside(vm, "ip", "link", "set", name, "up"))


def make_vms():
    for vm, (address, port, name) in VMS.items():
        run("ip", "netns", "add", vm.lower())
        run(*inside(vm, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"))
        plug(vm, port, name, address)
    plug("VM2", NEW_PORT, "eth1")


def start_weftd(path, log):
    ports = ["--port=p%d=net_af_packet%d,iface=s%d" % (n, n, n) for n in sorted(p for _, p, _ in VMS.values()) + [NEW_PORT]]
    with open(log, "w") as out:
        weftd = start(os.path.join(BUILD, "weftd"), "--socket", path, "--workers", "1", *ports, stdout=out, stderr=out)

    def answers():
        if weftd.poll() is not None:
            with open(log) as said:
                fail("weftd ended: " + said.read().strip())
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(path)
            return True
        except OSError:
            return False
        finally:
            probe.close()
    wait_for(answers, "weftd")
    return weftd


def weftctl(path, *args):
    return run(os.path.join(BUILD, "weftctl"), "--socket", path, *args)


class Controller:
    """controller.py as a process: lines in, answers out."""

    def __init__(self, path):
        self.process = start(PYTHON, os.path.join(HERE, "controller.py"), path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def vm(self, name, address, port):
        self.process.stdin.write("vm %s %s 1 %d\n" % (name, address, port))

    def commit(self):
        self.process.stdin.write("commit\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.strip() == ".":
                return
            print("   " + line.rstrip())
        fail("the controller ended")


# ---- what runs between the VMs

def ping(source, target):
    said = subprocess.run(inside(source, "ping", "-n", "-c", "5", "-i", "0.05", "-W", "2", VMS[target][0]), stdout=subprocess.PIPE, text=True).stdout
    answered = re.search(r"(\d+) received", said)
    times = re.search(r"= [\d.]+/([\d.]+)/", said)
    item("ping %s -> %s" % (source, target), "%s of 5 answered%s" % (answered.group(1), ", %s ms" % times.group(1) if times else ""))
    return int(answered.group(1))


SERVER = """
import http.server, os, sys
os.chdir(sys.argv[1])
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer((sys.argv[2], 8000), Quiet)
print("ready", flush=True)
server.serve_forever()
"""


def serve(vm, folder):
    server = start(*inside(vm, PYTHON, "-c", SERVER, folder, VMS[vm][0]), stdout=subprocess.PIPE)
    if server.stdout.readline() != b"ready\n":
        fail("no HTTP server in " + vm)


class Download:
    def __init__(self, client, server, into):
        self.into = into
        self.process = start(*inside(client, "curl", "-sS", "--max-time", "50", "-o", into, "-w", "%{speed_download} %{time_total}",
                                     "http://%s:8000/file" % VMS[server][0]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def size(self):
        return os.path.getsize(self.into) if os.path.exists(self.into) else 0

    def finish(self):
        said, wrong = self.process.communicate()
        if self.process.returncode != 0:
            fail("the download ended: " + wrong.strip())
        speed, seconds = map(float, said.split())
        with open(self.into, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        return self.size(), digest, seconds, speed * 8 / 1e6


def counters(path):
    """{address: packets} of the controller's rows."""
    rows = [json.loads(line) for line in weftctl(path, "dump", "flow", "--json").splitlines()]
    found = {}
    for row in rows:
        address = re.search(r"ip4.dst == ([\d.]+)", row["flow"]["match"])
        if address:
            found[address.group(1)] = int(row["packets"])
    return found


def main():
    folder = tempfile.mkdtemp(prefix="weft-demo-", dir="/run")
    path = os.path.join(folder, "control.sock")
    began = time.monotonic()
    make_vms()
    start_weftd(path, os.path.join(folder, "weftd.log"))

    print("""weft demo: three VMs (network namespaces, veth cables) on one weftd, and a controller that sends only what changes

   VM1 10.10.10.101 --- p2 .-------.
   VM2 10.10.10.102 --- p3 | weftd |
   VM3 10.10.10.103 --- p4 '-------' p5 --- where VM2 will go""")

    head("1  The controller turns its table VM(name, ip, host, port) into flows, one row a VM")
    controller = Controller(path)
    for vm, (address, port, _) in VMS.items():
        controller.vm(vm, address, port)
    controller.commit()

    head("2  Packets of real kernels go through")
    if ping("VM1", "VM2") + ping("VM1", "VM3") + ping("VM2", "VM3") != 15:
        fail("pings were lost")
    subprocess.run(inside("VM1", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "10.10.10.104"), stdout=subprocess.DEVNULL)
    item("ping VM1 -> .104", "nobody is there: see 5")

    head("3  VM2 moves from p3 to p5 while VM1 downloads %d MB from VM3 and pings VM2 100 times a second" % MEGABYTES)
    data = os.urandom(1 << 20) * MEGABYTES
    wanted = hashlib.sha256(data).hexdigest()
    with open(os.path.join(folder, "file"), "wb") as file:
        file.write(data)
    del data
    serve("VM3", folder)
    before = counters(path)
    download = Download("VM1", "VM3", os.path.join(folder, "got"))
    pinging = start(*inside("VM1", "ping", "-n", "-i", "0.01", VMS["VM2"][0]), stdout=subprocess.PIPE, text=True)
    wait_for(lambda: download.size() > (MEGABYTES << 20) // 4 or download.process.poll() is not None, "a quarter of the download")
    at = download.size()
    run(*inside("VM2", "ip", "link", "set", "eth0", "down"))
    run(*inside("VM2", "ip", "addr", "flush", "dev", "eth0"))
    run(*inside("VM2", "ip", "addr", "add", VMS["VM2"][0] + "/24", "dev", "eth1"))
    run(*inside("VM2", "ip", "link", "set", "eth1", "up"))
    controller.vm("VM2", VMS["VM2"][0], NEW_PORT)
    controller.commit()
    size, digest, seconds, rate = download.finish()
    pinging.send_signal(2)
    said, _ = pinging.communicate()
    sent, answered = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
    after = counters(path)
    item("download VM3 -> VM1", "%d bytes in %.1f s, %.0f Mbit/s, sha256 %s (VM2 left at %d %%)" % (
        size, seconds, rate, "as sent" if digest == wanted else "DIFFERS", 100 * at // max(size, 1)))
    item("ping VM1 -> VM2", "%d of %d answered: VM2 had no cable for a moment" % (answered, sent))
    for vm in ("VM1", "VM3"):
        address = VMS[vm][0]
        item("row of %s" % vm, "%d packets before, %d after: not touched" % (before[address], after[address]))
    if digest != wanted or answered == 0 or after[VMS["VM1"][0]] <= before[VMS["VM1"][0]]:
        fail("the download or the move went wrong")
    if ping("VM1", "VM2") != 5:
        fail("VM2 does not answer at its new port")

    packet = "ip4.src == 10.10.10.101 && ip4.dst == 10.10.10.102 && udp.dst == 53"
    head("4  What happens to a packet from VM1 to VM2 now?   weftctl trace --port p2 '%s'" % packet)
    show(weftctl(path, "trace", "--port", "p2", packet))

    head("5  What was dropped, and why?   weftctl drops")
    show(weftctl(path, "drops"))
    print("\nDone in %.0f seconds. Everything made for this is gone." % (time.monotonic() - began))


if __name__ == "__main__":
    main()
