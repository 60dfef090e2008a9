"""What a rank shows of its getting on."""

from __future__ import annotations

import pytest

from evener.rank.pulse import Pulse


def test_rests_may_lie_in_each_other_and_end_with_a_beat() -> None:
    pulse = Pulse()
    pulse.beat()
    with pulse.rest():
        with pulse.rest():
            assert pulse.resting
        assert pulse.resting
    assert not pulse.resting
    assert pulse.beats == 3


def test_a_rest_ends_however_it_ends() -> None:
    pulse = Pulse()
    with pytest.raises(KeyError), pulse.rest():
        raise KeyError
    assert not pulse.resting
