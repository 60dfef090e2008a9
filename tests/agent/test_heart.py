"""A clock for patience, which a machine's sleep does not run down."""

from __future__ import annotations

from evener.agent.heart import AwakeClock


def test_a_machine_that_slept_has_lost_no_patience() -> None:
    clock = AwakeClock(100.0)
    assert clock.tick(100.1) == 100.1
    assert clock.tick(160.1) == 100.1  # a closed lid, a paused container
    assert clock.tick(160.2) - 100.2 < 1e-9
    assert clock.at(160.7) - 100.7 < 1e-9
