"""Whose the files are, whoever calls: a caller that is not root, and engines that map users."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.backends import shell as shells
from tests.backends.places import Docker
from tests.backends.shell import Shell, check_steps, said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALLER = 1000


@pytest.fixture
def shell(docker: Docker) -> Iterator[Shell]:
    """Of a caller that is not root, but may speak to the engine, as its group docker may."""
    if shutil.which("setpriv") is None:
        pytest.skip("not installed: setpriv")
    socket = Path(docker.host.removeprefix("unix://"))
    with TemporaryDirectory(prefix="evener-caller-", dir="/var/tmp") as name:
        folder = Path(name)
        os.chown(folder, CALLER, CALLER)
        modes = stat.S_IMODE(socket.parent.stat().st_mode), socket.stat().st_gid
        socket.parent.chmod(0o711)
        os.chown(socket, -1, CALLER)
        try:
            shell = Shell(folder, docker, user=CALLER)
            yield shell
            shell.stop_all()
            shell.await_nothing_left()
        finally:
            socket.parent.chmod(modes[0])
            os.chown(socket, -1, modes[1])


def test_what_a_caller_trains_is_the_callers_and_the_secret_is_for_ranks_alone(
    shell: Shell, docker: Docker
) -> None:
    run = shell.detach(shell.write_job(steps=100_000))
    shell.await_step(run, 5)
    for container in docker.containers(run).values():
        ids = docker.engine.call("exec", container, "stat", "-c", "%u %g", "/proc/1").split()
        assert ids == [str(CALLER), str(CALLER)]
        secret = docker.engine.call("exec", container, "cat", "/run/secrets/evener")
        assert secret == run.secret_file.read_text()
    assert stat.S_IMODE(run.secret_file.stat().st_mode) == 0o600
    stopped = shell.evener("stop")
    assert stopped.returncode == 0, said(stopped)
    check_steps(run)
    resumed = shell.evener("resume", "job", "-o", f"train.steps={shells.last_step(run) + 10}")
    assert resumed.returncode == 0, said(resumed)
    made = [path for folder in (run.path, shell.cache) for path in (folder, *folder.rglob("*"))]
    assert {(p.stat().st_uid, p.stat().st_gid) for p in made} == {(CALLER, CALLER)}
