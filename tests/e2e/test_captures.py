"""Real captures go through unchanged, one port in and one out."""
import glob
import os

import pytest

from frames import read_pcap
from rig import SHARED, Switch, bridge, flow

FOLDER = os.path.join(SHARED, "pcaps")
CAPTURES = sorted(os.path.basename(path) for path in glob.glob(os.path.join(FOLDER, "*.pcap")))


@pytest.fixture(scope="module")
def passed():
    """All captures through one switch, one after the other: {name: (came, left, drops)}."""
    switch = Switch()
    try:
        came = {name: read_pcap(os.path.join(FOLDER, name)) for name in CAPTURES}
        switch.files({"p1": [frame for name in CAPTURES for frame in came[name]], "p2": []}, mtu=9000)
        switch.control.transaction([+1, bridge("main", reserved_multicast="pass"), +1, flow(0, 1, "1", 'output("p2");')])
        marks, drops = {}, {}
        for name in CAPTURES:
            before = (switch.port_stats("p2")["tx_packets"], switch.drops())
            switch.send(p1=len(came[name]))
            marks[name] = (before[0], switch.port_stats("p2")["tx_packets"])
            drops[name] = {reason: count - before[1].get(reason, 0) for reason, count in switch.drops().items()
                           if count != before[1].get(reason, 0)}
        switch.books_close()
        left = switch.stop().get("p2", [])
        yield {name: (came[name], left[slice(*marks[name])], drops[name]) for name in CAPTURES}
    finally:
        switch.close()


@pytest.mark.skipif(not CAPTURES, reason="no captures in " + FOLDER)
@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_goes_through_unchanged(passed, name):
    came, left, drops = passed[name]
    assert drops == {}
    assert left == came
