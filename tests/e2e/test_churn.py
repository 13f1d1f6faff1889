"""A large and busy place: many ports, and a thousand of them a second move (OVN-26)."""
import statistics
import threading
import time

from frames import mac, numbered, numbers
from rig import FULL_SIZE, flow, sized

PORTS, SECONDS, MOVES_PER_S = sized(3000, 100_000), sized(4, 600), 1000
STILL = 1000  # of the ports do not move
PORTION = 10  # moves between two portions of packets
WAYS = ['output("p2");', 'output("p3");']


def mac_of(number):
    return mac(0x020000000000 + number)


def at(number, way):
    return flow(0, 100, "eth.dst == " + mac_of(number), WAYS[way])


def stream(count):
    """Numbered frames: the even ones to ports that stay, the odd ones to ports that move."""
    frames = numbered("10.0.0.1", "10.0.0.2", range(count))
    return [bytes.fromhex(mac_of(n // 2 % STILL if n % 2 == 0 else STILL + n * 7919 % (PORTS - STILL)).replace(":", "")) + frame[6:]
            for n, frame in enumerate(frames)]


def test_ovn26_ports_move_a_thousand_times_a_second_and_nobody_else_notices(switch):
    moves = MOVES_PER_S * SECONDS
    frames = stream(2 * moves)
    switch.files({"p1": frames, "p2": [], "p3": []})
    mover = switch.client("mover")
    for start in range(0, PORTS, 10_000):
        mover.transaction([(+1, at(n, 0)) for n in range(start, min(PORTS, start + 10_000))])
    mover.barrier()
    where, took, memory, pause = [0] * PORTS, [], [], threading.Event()
    began = time.monotonic()
    for move in range(moves):
        if (ahead := began + move / MOVES_PER_S - time.monotonic()) > 0:
            pause.wait(ahead)
        which = STILL + move * 7919 % (PORTS - STILL)
        old, new = where[which], 1 - where[which]
        sent = time.perf_counter()
        ack = mover.transaction([(-1, at(which, old)), (+1, at(which, new))])
        took.append(time.perf_counter() - sent)
        assert (ack.added, ack.removed) == (1, 1)
        where[which] = new
        if move % PORTION == PORTION - 1:
            switch.release("p1", 2 * PORTION)
        if move % MOVES_PER_S == 0:
            memory.append(switch.memory_kb())
    lasted = time.monotonic() - began
    switch.settle()
    p99 = statistics.quantiles(took, n=100)[98]
    print("%d ports, %d moves in %.1f s: a commit takes %.2f ms (median), %.2f ms (p99), %.1f ms at most; memory %d kB after a quarter, %d kB at the end"
          % (PORTS, moves, lasted, 1e3 * statistics.median(took), 1e3 * p99, 1e3 * max(took), memory[len(memory) // 4], memory[-1]))
    assert len(switch.flows()) == PORTS
    assert switch.drops() == {}
    outs = switch.stop()
    assert set(outs) == {"p2", "p3"}
    found = {name: numbers(left) for name, left in outs.items()}
    assert [n for n in found["p2"] if n % 2 == 0] == list(range(0, 2 * moves, 2)), "in their order, all at the port that stayed"
    assert sorted(n for left in found.values() for n in left) == list(range(2 * moves))
    assert len(found["p3"]) > moves // 20
    assert memory[-1] < 1.02 * memory[len(memory) // 4] + 4096
    if FULL_SIZE:  # on a machine that does nothing else
        assert p99 < 5e-3
