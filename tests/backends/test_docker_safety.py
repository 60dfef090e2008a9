"""What a container of a run may do, and who may reach it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from evener import contract
from evener.launch.base import read_handle
from tests.backends.places import Docker
from tests.backends.shell import Shell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_containers_are_closed_but_for_what_they_need(docker_shell: Shell, docker: Docker) -> None:
    run = docker_shell.detach(docker_shell.write_job(steps=100_000))
    found = docker.containers(run)
    assert set(found) == {"head", "machine-0", "machine-1"}
    text = docker.engine.call("inspect", *found.values())
    secret = run.secret_file.read_text().strip()
    handle = read_handle(run)
    assert handle is not None
    assert secret == handle.secret
    assert secret not in text
    inspected = {each["Name"].rpartition("-")[2]: each for each in json.loads(text)}
    for each in inspected.values():
        _check_host(each["HostConfig"])
        assert each["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
        sources = [mount["Source"] for mount in each["Mounts"]]
        assert not any("docker.sock" in source for source in sources)
        writable = {mount["Destination"] for mount in each["Mounts"] if mount["RW"]}
        assert writable <= {str(run.path.resolve()), contract.IMAGE_CACHE}
        assert len(each["NetworkSettings"]["Networks"]) == 1
    published = [(name, port) for name, each in inspected.items() for port in _published(each)]
    assert published == [("head", "127.0.0.1")]
    assert docker_shell.evener("stop", "--now").returncode == 0


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
