"""What Swarm says of a task that does not start, as an error that says what to do."""

from __future__ import annotations

import pytest

from evener import errors
from evener.docker.swarm import Task
from evener.launch.swarm import _failed


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("No such image: evener:123", errors.ImageMissing),
        ("invalid mount config for type \"bind\": bind source path does not exist: /data",
         errors.DataMissing),
        ("no suitable node (insufficient resources on 1 node)", errors.DeviceMissing),
        ("starting container failed: something else", errors.StartFailed),
    ],
)  # fmt: skip
def test_each_has_its_error_and_its_machine(said: str, kind: type[errors.EvenerError]) -> None:
    error = _failed(Task("evener-1-oak", "oak", "Rejected", said))
    assert type(error) is kind
    assert said in error.what
