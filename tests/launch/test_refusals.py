"""What Swarm says of a task that does not start, as an error that says what to do."""

from __future__ import annotations

import pytest

from evener import errors
from evener.docker.swarm import Task
from evener.launch.refusals import refused


@pytest.mark.parametrize(
    ("said", "kind", "fix"),
    [
        ("No such image: evener:123", errors.ImageMissing, "docker save"),
        ("No such image: lan:5000/evener@sha256:12ab", errors.ImageMissing,
         "docker pull lan:5000/evener@sha256:12ab"),
        ('invalid mount config for type "bind": bind source path does not exist: /data',
         errors.DataMissing, "data.ship"),
        ("create x: error looking up volume plugin nfs: plugin not found", errors.NotPermitted,
         "data.ship"),
        ("no suitable node (insufficient resources on 1 node; scheduling constraints not "
         "satisfied on 2 nodes)", errors.DeviceMissing, "evener swarm nodes"),
        ("no suitable node (1 node not available for new tasks; scheduling constraints not "
         "satisfied on 2 nodes)", errors.StartFailed, "docker node ls"),
        ("OCI runtime create failed: exec /usr/bin/python: exec format error", errors.ImageUnfit,
         "drain"),
        ("subnet sandbox join failed for 10.0.1.0/24: error creating vxlan interface: file exists",
         errors.StartFailed, "4789/udp"),
        ("OCI runtime create failed: nvidia-container-cli: device error: unknown device",
         errors.DeviceMissing, "nvidia-container-toolkit"),
        ("task: non-zero exit (6)", errors.StartFailed, "its own"),
        ("starting container failed: something else", errors.StartFailed, "service ps"),
    ],
)  # fmt: skip
def test_each_has_its_error_and_its_machines(
    said: str, kind: type[errors.EvenerError], fix: str
) -> None:
    tasks = [Task(f"evener-1-{n}", n, "Rejected", said) for n in ("oak", "elm", "oak")]
    error = refused(tasks, ["it fell over"])
    assert type(error) is kind
    assert said in error.what
    assert error.where == "oak, elm"
    assert fix in error.fix
    assert ("it fell over" in error.what) == ("non-zero" in said)
