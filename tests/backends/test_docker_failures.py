"""What an engine refuses for real: one sentence with a code, and nothing left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evener import errors
from evener.events import RunEnded
from evener.launch.containers import network
from tests.backends.places import Docker
from tests.backends.shell import Shell, events, said
from tests.lab.engine import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MOST_NETWORKS = 100  # an engine's own ranges are good for about thirty


@pytest.fixture
def no_addresses(docker: Docker) -> Iterator[None]:
    """An engine that has no address range left for another network."""
    made: list[str] = []
    try:
        with pytest.raises(errors.DockerFailed, match="no address range left"):
            _fill(docker, made)
        yield
    finally:
        docker.engine.call("network", "rm", *made)


def _fill(docker: Docker, made: list[str]) -> None:
    for number in range(MOST_NETWORKS):
        made.append(docker.engine.call("network", "create", f"full-{number}").strip())


@pytest.mark.usefixtures("no_addresses")
def test_no_address_range_left_for_a_network(docker_shell: Shell) -> None:
    done = docker_shell.train(docker_shell.write_job())
    assert done.returncode == 6, said(done)
    assert "E512: the engine has no address range left" in done.stderr
    assert "docker network prune" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert docker_shell.place.left(docker_shell.folder) == []
    [ended] = events(docker_shell.run(), RunEnded)
    assert ended.outcome == "failed"


def test_a_start_clears_away_what_a_killed_one_left_and_its_own_if_it_fails(
    docker_shell: Shell, docker: Docker
) -> None:
    """Neither the terminal nor the janitor lived to do it. A name that is taken stands for whatever
    an engine refuses half-way through a start."""
    run = docker_shell.detach(docker_shell.write_long_job())
    docker_shell.await_step(run, 5)
    docker.kill_janitors(docker_shell.folder)
    found = docker.containers(run)
    docker.engine.call("kill", *found.values())
    assert docker_shell.place.left(docker_shell.folder)
    docker.engine.call("rm", found["machine-1"])
    taken = f"{network(run)}-machine-1"
    docker.engine.call("create", "--name", taken, BASE, "true")
    try:
        done = docker_shell.evener("resume", "job")
        assert (done.returncode, "E512" in done.stderr) == (6, True), said(done)
        assert "Traceback" not in done.stdout + done.stderr
        assert docker_shell.place.left(docker_shell.folder) == []
    finally:
        docker.engine.call("rm", "--force", taken)
    resumed = docker_shell.evener("resume", "job", "-o", "train.steps=20")
    assert resumed.returncode == 0, said(resumed)
    assert docker_shell.place.left(docker_shell.folder) == []
