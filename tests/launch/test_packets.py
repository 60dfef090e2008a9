"""What passes to another machine, as the kernel knows it. A narrow way is tried on a real Swarm."""

from __future__ import annotations

import sys

import pytest

from evener.launch import packets


@pytest.mark.skipif(sys.platform != "linux", reason="managers of a Swarm run Linux")
def test_it_is_known_of_ways_from_here() -> None:
    assert packets.passing("127.0.0.1", ["127.0.0.1"])["127.0.0.1"] > 1500
    assert packets.passing("192.0.2.1", ["127.0.0.1"]) == {}  # this machine is another one
    assert packets.passing("127.0.0.1", ["2001:db8::1"]) == {}
