"""Fixtures of the end-to-end tests: switches and namespaces that are gone when their test is."""
import pytest

import rig


@pytest.fixture
def switches():
    """Starts switches: switches(...) as rig.Switch(...)."""
    started = []

    def start(*args, **more):
        made = rig.Switch.__new__(rig.Switch)
        started.append(made)
        made.__init__(*args, **more)
        return made

    yield start
    for switch in started:
        if hasattr(switch, "folder"):
            switch.close()


@pytest.fixture
def switch(switches):
    """One switch with one worker and no ports."""
    return switches()


@pytest.fixture
def spaces():
    """Makes network namespaces: spaces.add()."""
    made = rig.Namespaces()
    yield made
    made.close()
