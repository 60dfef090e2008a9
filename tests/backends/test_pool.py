"""A pool hands on its image: a machine of another version trains in it, in a container."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import errors
from evener.contract import LOOPBACK, RUN_DIR_DEFAULT
from evener.image import archive
from evener.rundir.layout import RunDir
from tests.backends.places import Docker
from tests.backends.shell import Shell, check_steps, last_step, said, until
from tests.image import archives
from tests.lab.engine import Daemon
from tests.pool.machines import JOB, Machines, code, last_ranks, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OLD = "0.0.9"


@pytest.fixture
def machines(
    tmp_path: Path, daemon: Daemon, docker: Docker, docker_shell: Shell
) -> Iterator[Machines]:
    """All on the engine's loopback, and gone before the shell looks what is left."""
    found = Machines(tmp_path, daemon.inside, docker.environ)
    yield found
    found.end()
    docker.engine.call("rm", "--force", "evener")
    docker.engine.call("volume", "rm", "--force", "evener")


@pytest.fixture
def image(docker_shell: Shell) -> str:
    built = docker_shell.evener("image", "build", docker_shell.write_job())
    assert built.returncode == 0, said(built)
    return built.stdout.strip()


def test_a_machine_of_another_version_trains_in_the_pools_image(
    machines: Machines, daemon: Daemon, docker: Docker, image: str
) -> None:
    (machines.folder / "job.toml").write_text(JOB)
    typed = code(machines.done(0, "up", "--address", LOOPBACK, "--image", image))
    docker.engine.call("image", "rm", image)  # the libraries below it stay
    joins = machines.on(1, "join", typed, evener=OLD)
    assert joins.returncode == 0, said(joins)
    told = " ".join(joins.stderr.split())
    assert f"it runs the pool's image, {image} (evener" in told
    assert re.search(r"fetching [\d.]+ [kM]B of it", told), "layers that are here come as well"
    assert [*machines.states().values()] == ["waiting"] * 2

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
    assert docker.engine.ask("ps", "--all", "--filter=name=^evener$") == []
    assert docker.litter() == []
    assert machines.on(1, "join", evener=OLD).returncode == errors.NoPool.exit_status
    until(lambda: last_ranks(run) == (0,), "it has not left")
    machines.done(0, "stop")
    assert check_steps(run) == last_step(run)


def _code_of_image(serves: subprocess.Popen[str]) -> str:
    assert serves.stdout is not None
    return next(line.split()[-1] for line in serves.stdout if "evener image fetch" in line)


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
