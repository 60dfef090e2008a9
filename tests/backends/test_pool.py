"""A pool hands on its image: a machine of another version trains in it, in a container."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import errors
from evener.contract import LOOPBACK, RUN_DIR_DEFAULT
from evener.image import archive
from evener.pool import contained, nebula
from evener.pool.contained import APART, NAME, SIDE, Container, Entry
from evener.rundir.layout import RunDir
from tests.backends.places import Docker
from tests.backends.shell import Shell, check_steps, last_step, said, until
from tests.image import archives
from tests.lab import networks as lab
from tests.lab.engine import Daemon, NoLab
from tests.pool.machines import JOB, Machines, code, last_ranks, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OLD = "0.0.9"
MESHED = "evener:meshed"
NET_ADMIN = 12


@pytest.fixture
def image(docker_shell: Shell) -> str:
    built = docker_shell.evener("image", "build", docker_shell.write_job())
    assert built.returncode == 0, said(built)
    return built.stdout.strip()


@pytest.fixture
def meshed(image: str, docker: Docker) -> Iterator[str]:
    """The same with nebula, for which no registry is reached here."""
    call = docker.engine.call
    container = call("create", image, "true").strip()
    for program in (nebula.PROGRAM, nebula.SIGNER):
        call("cp", str(shutil.which(program)), f"{container}:/usr/bin/")
    call("commit", container, MESHED)
    call("rm", container)
    yield MESHED
    call("image", "rm", MESHED)


@pytest.fixture
def machines(tmp_path: Path, daemon: Daemon, docker: Docker, meshed: str) -> Iterator[Machines]:
    """The first, and the engine's, which is behind a router. Gone before their image, and before
    the shell looks what is left."""
    try:
        with lab.networks(behind=0, also=(daemon.network,)) as made:
            places = {0: made.head.inside, 1: daemon.inside}
            found = Machines(tmp_path, places, docker.environ)
            yield found
            found.end()
            docker.engine.call("rm", "--force", NAME, SIDE)
            docker.engine.call("volume", "rm", "--force", NAME)
    except NoLab as reason:
        pytest.skip(str(reason))


def test_a_machine_of_another_version_trains_in_the_pools_image(
    machines: Machines, daemon: Daemon, docker: Docker, meshed: str
) -> None:
    (machines.folder / "job.toml").write_text(JOB)
    typed = code(machines.done(0, "up", "--no-announce", "--image", meshed))
    docker.engine.call("image", "rm", meshed)  # the libraries below it stay
    joins = machines.on(1, "join", typed, evener=OLD)
    assert joins.returncode == 0, said(joins)
    told = " ".join(joins.stderr.split())
    assert f"it runs the pool's image, {meshed} (evener" in told
    assert re.search(r"fetching [\d.]+ [kM]B of it", told), "layers that are here come as well"
    assert "it waits there for work" in joins.stdout
    assert [*machines.states("mesh_by").values()] == ["udp"] * 2

    run = RunDir(machines.folder / RUN_DIR_DEFAULT / "job")
    machines.done(0, "run", "job.toml", "--on", "pool", "--detach")
    until(lambda: trained(run, 0, 1), "it does not train")
    until(lambda: last_step(run) >= 20, "they do not come to step 20")
    daemon.stop()  # as when the machine is restarted
    until(lambda: last_ranks(run) == (0,), "the other does not go on")
    daemon.start()
    until(lambda: last_ranks(run) == (0, 1), "it does not come back by itself")

    assert len(json.loads(machines.done(1, "nodes", "--json", evener=OLD))) == 2
    machines.done(1, "join", evener=OLD)  # it is there
    machines.done(1, "leave", evener=OLD)
    assert _containers(docker) == []
    assert docker.litter() == []
    assert " ev" not in _devices(daemon)
    assert machines.on(1, "join", evener=OLD).returncode == errors.NoPool.exit_status
    until(lambda: last_ranks(run) == (0,), "it has not left")

    by = Entry(typed, meshed, mesh=APART)  # as where an engine has no network of its machine
    for line in (contained.side_line(by), contained.line(by)):
        docker.engine.call(*line)
    until(lambda: len(last_ranks(run)) == 2, "it does not train in a network of its own")
    here = last_step(run)
    until(lambda: last_step(run) > here + 20, "they do not go on")
    assert [*machines.states("mesh_by").values()] == ["udp"] * 2
    assert " ev" not in _devices(daemon)
    assert _rights(docker, NAME) == 0
    assert _rights(docker, SIDE) == 1 << NET_ADMIN
    with contextlib.suppress(errors.DockerFailed):  # it ends with the container
        docker.engine.call("exec", NAME, "python", "-P", "-m", "evener", "leave")
    until(lambda: _containers(docker) == ["exited 0"] * 2, lambda: str(_containers(docker)))
    until(lambda: last_ranks(run) == (0,), "it has not left")
    machines.done(0, "stop")
    assert check_steps(run) == last_step(run)


def _code_of_image(serves: subprocess.Popen[str]) -> str:
    assert serves.stdout is not None
    return next(line.split()[-1] for line in serves.stdout if "evener image fetch" in line)


def _containers(docker: Docker) -> list[str]:
    """In which state they are."""
    state = Container(docker.engine)
    found = [state.state(), state.state(SIDE)]
    return [f"{each.status} {each.exit_status}" for each in found if each is not None]


def _rights(docker: Docker, container: str) -> int:
    """All that any process in it could ever have."""
    said = docker.engine.call("exec", container, "grep", "CapBnd", "/proc/1/status")
    return int(said.split()[1], 16)


def _devices(daemon: Daemon) -> str:
    """Of the engine's network."""
    command = [*daemon.inside, "ip", "-oneline", "link"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_image_goes_by_a_file_and_by_a_server_without_what_is_there(
    docker_shell: Shell, docker: Docker, image: str, tmp_path: Path
) -> None:
    shown = docker_shell.evener("image", "show", docker_shell.write_job()).stdout
    libraries = shown.splitlines()[0].removeprefix("# ")
    file = tmp_path / "image.tar"
    saves = docker_shell.evener("image", "save", image, str(file), "--without", libraries)
    assert saves.returncode == 0, said(saves)
    assert file.stat().st_size < 50_000_000
    docker.engine.call("image", "rm", image)
    loads = docker_shell.evener("image", "load", str(file))
    assert loads.stdout.split() == [image], said(loads)
    assert docker.engine.call("run", "--rm", image, "echo", "runs") == "runs\n"

    with docker_shell.started("image", "serve", image, "--address", LOOPBACK) as serves:
        typed = _code_of_image(serves)
        docker.engine.call("image", "rm", image)
        fetches = docker_shell.evener("image", "fetch", typed)
        assert fetches.stdout.split() == [image], said(fetches)
        assert re.search(r"fetching [\d.]+ [kM]B of it", fetches.stderr), said(fetches)
        assert docker.engine.call("run", "--rm", image, "echo", "runs") == "runs\n"
        joins = docker_shell.evener("join", typed)
        assert (joins.returncode, "evener image fetch" in joins.stderr) == (6, True), said(joins)
        serves.send_signal(signal.SIGINT)
        assert serves.wait(30) == 0
    kept = [folder.rglob("*") for folder in docker_shell.cache.glob("[is]*")]
    assert [file for files in kept for file in files if file.is_file()] == []

    lean = {"sha256:none": "a", "sha256:too": "b"}
    unknown = archives.write(tmp_path / "unknown.tar", lean, left_out="a")
    with pytest.raises(errors.ImageMissing, match="left out"):
        archive.load(docker.engine, unknown)
    lacks = docker_shell.evener("image", "save", "nobody:1", str(file))
    assert lacks.returncode == errors.ImageMissing.exit_status
    assert "no image nobody:1" in lacks.stderr
