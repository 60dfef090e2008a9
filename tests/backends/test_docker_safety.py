"""What a container of a run may do, who may reach it, and whose its files are: a caller's that is
not root."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from evener import contract
from evener.launch.base import read_handle
from evener.rundir.layout import RunDir
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


def test_what_a_caller_trains_is_the_callers_and_containers_are_closed_but_for_what_they_need(
    shell: Shell, docker: Docker
) -> None:
    run = shell.detach(shell.write_long_job())
    shell.await_step(run, 5)
    found = docker.containers(run)
    assert set(found) == {"head", "machine-0", "machine-1"}
    for container in found.values():
        ids = docker.engine.call("exec", container, "stat", "-c", "%u %g", "/proc/1").split()
        assert ids == [str(CALLER), str(CALLER)]
        secret = docker.engine.call("exec", container, "cat", "/run/secrets/evener")
        assert secret == run.secret_file.read_text()
    assert stat.S_IMODE(run.secret_file.stat().st_mode) == 0o600
    _check_closed(run, docker.engine.call("inspect", *found.values()))
    stopped = shell.evener("stop")
    assert stopped.returncode == 0, said(stopped)
    check_steps(run)
    resumed = shell.evener("resume", "job", "-o", f"train.steps={shells.last_step(run) + 10}")
    assert resumed.returncode == 0, said(resumed)
    made = [path for folder in (run.path, shell.cache) for path in (folder, *folder.rglob("*"))]
    assert {(p.stat().st_uid, p.stat().st_gid) for p in made} == {(CALLER, CALLER)}


def _check_closed(run: RunDir, inspected: str) -> None:
    secret = run.secret_file.read_text().strip()
    handle = read_handle(run)
    assert handle is not None
    assert secret == handle.secret
    assert secret not in inspected
    containers = {each["Name"].rpartition("-")[2]: each for each in json.loads(inspected)}
    for each in containers.values():
        _check_host(each["HostConfig"])
        assert each["Config"]["User"] == f"{CALLER}:{CALLER}"
        sources = [mount["Source"] for mount in each["Mounts"]]
        assert not any("docker.sock" in source for source in sources)
        writable = {mount["Destination"] for mount in each["Mounts"] if mount["RW"]}
        assert writable <= {str(run.path.resolve()), contract.IMAGE_CACHE}
        assert len(each["NetworkSettings"]["Networks"]) == 1
    published = [(name, port) for name, each in containers.items() for port in _published(each)]
    assert published == [("head", "127.0.0.1")]


def _published(container: dict[str, Any]) -> list[str]:
    """The addresses of this machine at which it answers."""
    ports = container["NetworkSettings"]["Ports"] or {}
    return [each["HostIp"] for bound in ports.values() for each in bound or ()]


def _check_host(config: dict[str, Any]) -> None:
    assert config["ReadonlyRootfs"]
    assert config["CapDrop"] == ["ALL"]
    assert not config["CapAdd"]
    assert not config["Privileged"]
    assert "no-new-privileges" in config["SecurityOpt"]
    assert config["PidMode"] != "host"
    assert config["NetworkMode"] not in ("host", "default", "bridge")
