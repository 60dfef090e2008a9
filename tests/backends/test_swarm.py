"""Runs on a real Swarm of three engines, each with a network and a disk of its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evener import contract, errors
from evener.config.schema import Image
from evener.docker import Engine
from evener.events import Alert, CheckpointHome, GenerationFormed, RankStarted
from evener.image import build
from evener.image.build import Content
from evener.launch.swarm import RESERVES
from evener.rundir import checkpoints
from tests.backends import shell as shells
from tests.backends.places import Swarm
from tests.backends.shell import Shell, check_files, check_steps, events, said, until
from tests.lab import swarm as lab
from tests.lab.engine import NoLab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def shell(machines: lab.Swarm, wheels: Path, folder: Path) -> Iterator[Shell]:
    shell = Shell(folder, Swarm(machines, wheels))
    yield shell
    shell.stop_all()
    shell.await_nothing_left()


def test_a_run_goes_to_its_end_and_all_of_it_comes_home(shell: Shell) -> None:
    done = shell.train(shell.write_job(steps=60))
    assert done.returncode == 0, said(done)
    run = shell.run()
    assert check_steps(run, 60) == 60
    assert {e.rank for e in events(run, RankStarted)} == {0, 1, 2}
    check_files(run, ranks=3)
    assert checkpoints.verify(checkpoints.entries(run.checkpoints)[-1].path).step == 60
    assert events(run, CheckpointHome)[-1].step == 60
    assert sorted(run.ledgers()) == [0, 1, 2]
    assert shell.evener("audit").returncode == 0, said(shell.evener("audit"))
    shell.await_nothing_left()
    assert shell.place.left(shell.folder) == []


def test_a_machine_that_is_cut_off_or_drained_is_left_behind_and_comes_back(
    shell: Shell, machines: lab.Swarm
) -> None:
    run = shell.detach(shell.write_long_job())
    shell.await_step(run, 20)

    def train(*ranks: int) -> None:
        until(lambda: events(run, GenerationFormed)[-1].ranks == ranks, f"not only {ranks} train")
        shell.await_step(run, shells.last_step(run) + 20)

    machines.cut(2)
    train(0, 1)
    machines.heal(2)
    train(0, 1, 2)
    with machines.closed(1, 2):  # both reach the manager
        train(0, 1)
    named = "host2 is left out while it and host1 do not hear each other; 4789/udp"
    assert any(e.text.startswith(named) for e in events(run, Alert))
    train(0, 1, 2)
    machines.docker(0, "node", "update", "--availability=drain", "host1")
    train(0, 2)
    machines.docker(0, "node", "update", "--availability=active", "host1")
    train(0, 1, 2)
    assert shell.evener("stop").returncode == 0
    check_steps(run)


def test_a_machine_that_joins_is_used_and_all_get_an_image_of_the_users_own(
    shell: Shell, machines: lab.Swarm, wheels: Path
) -> None:
    libraries = build.recipes(Content(Image(wheels=str(wheels)), "cpu"))[0].tag
    (shell.folder / "Dockerfile").write_text(f"FROM {libraries}\nRUN date > /written\n")
    own = ("-o", "image.dockerfile=Dockerfile", "-o", "image.wheels=")
    machines.leave(2)
    try:
        started = shell.train(shell.write_long_job(), "--detach", *own)
        assert started.returncode == 0, said(started)
        assert re.search(r"host1: \d.* [kM]B", started.stderr), "all was sent, not what is new"
        shell.await_step(shell.run(), 20)
        assert events(shell.run(), GenerationFormed)[-1].ranks == (0, 1)
    finally:
        machines.join(2)
    run = shell.run()
    until(lambda: events(run, GenerationFormed)[-1].ranks == (0, 1, 2), "it is not used",
          shells.BUILD_S)  # fmt: skip  # a gigabyte is read for the megabytes that it lacks
    shell.await_step(run, shells.last_step(run) + 20)
    assert shell.evener("stop").returncode == 0
    check_steps(run)
    shell.await_nothing_left()
    assert shell.place.left(shell.folder) == []


def order(machines: lab.Swarm, *words: str) -> None:
    """Of a node that changes by itself at the same moment Swarm takes none."""

    def taken() -> bool:
        try:
            machines.docker(0, *words)
        except NoLab:
            return False
        return True

    until(taken, f"not taken: {words}")


@contextmanager
def held(machines: lab.Swarm) -> Iterator[None]:
    """The run's network, by a container of the first engine: as by one that lost its power with it,
    which the Swarm may take for there for long."""
    shown = machines.docker(0, "network", "ls", "--filter=name=evener-job", "--format={{.Name}}")
    image = machines.docker(0, "image", "ls", "--quiet").split()[0]
    told = f"--network={shown.strip()}", image, "sleep", "600"
    machines.docker(0, "run", "--detach", "--name=holder", *told)
    try:
        yield
    finally:
        machines.docker(0, "rm", "--force", "holder")


def states(machines: lab.Swarm) -> list[str]:
    """Who is no manager any more is away for a moment."""
    told = machines.docker(0, "node", "ls", "--format={{.Status}} {{.ManagerStatus}}")
    return sorted(line.strip() for line in told.splitlines())


def test_a_run_whose_manager_is_gone_finds_a_home_on_another(
    shell: Shell, machines: lab.Swarm, wheels: Path, tmp_path: Path
) -> None:
    """And stays there when the first one is back, with a head that thinks it is the run's."""
    others = ("host1", "host2")
    for name in others:
        order(machines, "node", "promote", name)
    managers = ["Ready Leader", "Ready Reachable", "Ready Reachable"]
    until(lambda: states(machines) == managers, "not all are managers")
    second = Shell(tmp_path, Swarm(machines, wheels, manager=1))
    home = second.run()
    before = shell.detach(shell.write_long_job())
    try:
        shell.await_step(before, 150)
        Swarm(machines, wheels).kill_janitors(shell.folder)
        machines.engines[0].lose_power()
        known = shells.last_step(before)
        until(lambda: second.evener("swarm", "adopt", "job").returncode == 0, "it is not adopted")
        second.await_step(home, known + 20)
    finally:
        machines.engines[0].start()
    until(lambda: events(home, GenerationFormed)[-1].ranks == (0, 1, 2), "not all train")
    second.await_step(home, shells.last_step(home) + 20)
    assert shell.evener("stop", "job").returncode == errors.RunActive.exit_status
    with held(machines):
        stopped = second.evener("stop")
        assert (stopped.returncode, "network is held" in stopped.stderr) == (6, True), said(stopped)
        assert machines.docker(0, "secret", "ls", "--quiet") == ""
    check_steps(home)
    assert shell.evener("stop", "job").returncode == 0  # what is left where it began
    second.await_nothing_left()
    for name in others:
        order(machines, "node", "demote", name)
    until(lambda: states(machines) == ["Ready", "Ready", "Ready Leader"], "not all are ready")


def test_a_machine_gets_an_image_from_a_registry_by_its_digest(machines: lab.Swarm) -> None:
    engine, other = (Engine(("docker", "-H", each.host)) for each in machines.engines[:2])
    with TemporaryDirectory() as folder, lab.registry(machines.engines[0]) as registry:
        (Path(folder) / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        labels = {contract.LABEL_IMAGE: "small:1"}
        engine.build(folder, f"{folder}/Dockerfile", "small:1", labels, lambda _: None)
        name = build.pushed(engine, "small:1", f"{registry}/tests", lambda _: None)
        assert "/tests/small@sha256:" in name
        engine.call("image", "rm", "small:1", f"{registry}/tests/small:1")
        assert build.pulled(engine, name, lambda _: None) == "small:1"
        assert build.look(engine, "small:1")["Id"]
        create = ("service", "create", "--detach", "--no-resolve-image", "--name=small")
        only = ("--restart-condition=none", "--constraint=node.hostname==host1")
        engine.call(*create, *only, name, "/nothing")
        until(lambda: bool(other.call("image", "ls", "--quiet", "--filter=reference=*/tests/*")),
              "it does not come")  # fmt: skip
        engine.call("service", "rm", "small")
    engine.call("image", "rm", "small:1")
    for each in (engine, other):
        each.call("image", "rm", "--force", name)


def test_gpus_and_narrow_ways_are_planned_with(shell: Shell, machines: lab.Swarm) -> None:
    job = shell.write_job()
    machines.narrow(0, 1400)
    try:
        shown = shell.train(job, "--dry-run", "-o", "local.device=auto")
    finally:
        machines.narrow(0, 1500)
    assert shown.returncode == 0, said(shown)
    assert "--opt=com.docker.network.driver.mtu=1350" in shown.stdout
    assert "packets of 1400 bytes pass to host2" in shown.stdout
    assert "cuda:0" in shown.stdout
    may_reserve = Engine(("docker", "-H", machines.engines[0].host)).facts().version >= RESERVES
    assert ("--generic-resource=NVIDIA-GPU=1" in shown.stdout) == may_reserve
    assert f"--env=NVIDIA_VISIBLE_DEVICES={lab.GPU}" in shown.stdout


def test_stacks_that_were_exported_train_side_by_side_to_their_ends(
    shell: Shell, machines: lab.Swarm
) -> None:
    host, job = machines.engines[0].host, shell.write_job(steps=60)

    def deploy(name: str, **variables: str) -> None:
        subprocess.run(
            ["docker", "-H", host, "stack", "deploy", "--detach=true", "-c", "stack.yaml", name],
            cwd=shell.folder / name, check=True, capture_output=True, timeout=60,
            env={**os.environ, **variables},
        )  # fmt: skip

    for name, machine in (("one", ()), ("two", ("--workers", "1"))):
        exported = shell.evener("export", "stack", job, "-o", name, *machine)
        assert exported.returncode == 0, said(exported)
    deploy("one")
    deploy("two", EVENER_PORT="7080")
    deploy("one")  # and once more: nothing of it is new
    try:
        for head in ("two_head", "one_head"):
            ended = partial(machines.docker, 0, "service", "ps", "--no-trunc", head)
            until(lambda: "Complete" in ended(), ended)  # noqa: B023  (asked at once)
        assert len(machines.docker(0, "service", "ps", "--quiet", "one_head").split()) == 1
        shown = machines.docker(0, "service", "logs", "--raw", head)
        assert "job begins" in shown
        assert "finished at step 60" in shown
        image = machines.docker(
            0, "service", "inspect", "--format={{.Spec.TaskTemplate.ContainerSpec.Image}}", head
        ).strip()
        machines.docker(0, "run", "--rm", "-v", "one_run:/from:ro", image,
                        "test", "-f", "/from/job/model.safetensors")  # fmt: skip
    finally:
        machines.docker(0, "stack", "rm", "one", "two")
    until(lambda: not machines.docker(0, "ps", "--all", "--quiet"), "its containers stay")
    machines.docker(0, "volume", "rm", "one_run", "two_run")
    shell.await_nothing_left()
