"""What Docker says when it fails becomes an error that says what to do."""

from __future__ import annotations

import pytest

from evener import errors
from evener.docker import Engine
from evener.docker.failures import translate
from evener.docker.gpus import judge

SAID = {
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
    "running?": errors.DockerAway,
    "error during connect: this error may indicate that the docker daemon is not running": (
        errors.DockerAway
    ),
    "Got permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock": errors.NotPermitted,
    "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock": (
        errors.NotPermitted
    ),
    "write /var/lib/docker/tmp/x: no space left on device": errors.DiskFull,
    "Error response from daemon: pull access denied for nobody/nothing": errors.ImageMissing,
    "Error: No such image: evener:123": errors.ImageMissing,
    'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: '
    "network is unreachable": errors.ImageMissing,
    "docker: Error response from daemon: driver failed programming external connectivity: Bind "
    "for 127.0.0.1:80 failed: port is already allocated.": errors.PortTaken,
    "Error response from daemon: could not find an available, non-overlapping IPv4 address pool "
    "among the defaults to assign to the network": errors.DockerFailed,
    "Error response from daemon: rpc error: code = FailedPrecondition desc = network khjqpy70p8 is "
    "in use by task i0h867w8txn": errors.DockerFailed,
    'docker: Error response from daemon: could not select device driver "" with capabilities: '
    "[[gpu]].": errors.DeviceMissing,
    "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.": (
        errors.DeviceMissing
    ),
    "nvidia-container-cli: mount error: open failed: /sys/fs/cgroup": errors.DeviceMissing,
    'invalid mount config for type "bind": bind source path does not exist: /home/me/x': (
        errors.DockerFailed
    ),
    "denied: requested access to the resource is denied": errors.NotPermitted,
    "unauthorized: authentication required": errors.NotPermitted,
    'Get "https://10.0.0.7:5000/v2/": http: server gave HTTP response to HTTPS client': (
        errors.DockerFailed
    ),
    "something that nobody has foreseen": errors.DockerFailed,
    "": errors.DockerFailed,
}


@pytest.mark.parametrize(("said", "kind"), SAID.items())
def test_a_failure_has_a_kind_a_place_and_a_next_step(
    said: str, kind: type[errors.EvenerError]
) -> None:
    error = translate("docker run x", said)
    assert type(error) is kind
    assert error.where == "docker run x"
    assert error.fix
    assert (said.splitlines() or ["no reason"])[-1] in error.what


def test_advice_about_commands_that_nobody_typed_is_not_passed_on() -> None:
    said = "docker: Error response from daemon: no luck\n\nRun 'docker run --help' for more\n"
    assert translate("docker run x", said).what.splitlines()[-1].strip().endswith("no luck")


def test_each_thing_that_keeps_a_gpu_from_containers_is_told_from_the_others() -> None:
    found = [
        judge(driver=False, seen=False, toolkit=True),
        judge(driver=True, seen=False, toolkit=True),
        judge(driver=True, seen=True, toolkit=False),
    ]
    reasons = [each.what for each in found if each is not None]
    assert len(set(reasons)) == 3
    assert "Toolkit is not installed" in reasons[2]
    assert judge(driver=True, seen=True, toolkit=True) is None
    runtime = translate("docker run x", 'could not select device driver "" with capabilities: gpu')
    assert "nvidia-ctk runtime configure" in runtime.fix


def test_of_many_lines_the_one_that_says_it_is_shown() -> None:
    said = "Unable to find image 'a:1' locally\nRun 'docker run --help' for more information"
    error = translate("docker run a:1", said)
    assert error.what == "there is no such image: Unable to find image 'a:1' locally"


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(errors.DockerAway, match="no-such-docker"):
        Engine(("no-such-docker",)).call("ps")


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(errors.DockerAway):
        Engine(("sh", "-c", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")).call("ps")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(errors.DockerAway, match="has not answered"):
        Engine(("sh", "-c", "exec sleep 60")).call("ps", timeout_s=0.2)


def test_an_event_is_waited_for_and_not_for_ever() -> None:
    assert Engine(("sh", "-c", "echo it; exec sleep 60")).await_event("type=node", limit_s=60)
    assert not Engine(("sh", "-c", "exec sleep 60")).await_event("type=node", limit_s=0.1)
