"""The user's code in an image, and what is built, kept and removed of images."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from evener.events import RankBuilt, RunEnded
from tests.backends.places import Docker
from tests.backends.shell import Shell, check_steps, events, said
from tests.lab.engine import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = '[model]\nname = "mine:build"\n'
MINE = """
from torch import nn

from helpers.layers import width


def build(shape):
    return nn.Sequential(nn.Linear(shape.input[0], width), nn.Linear(width, shape.outputs))
"""
BROKEN = """
from torch import nn

from helpers.layers import width


class Broken(nn.Sequential):
    calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 5:
            raise ValueError("enough of it")
        return super().forward(x)


def build(shape):
    return Broken(nn.Linear(shape.input[0], width), nn.Linear(width, shape.outputs))
"""
INCLUDE = 'include = ["helpers"]'
UNFIT = {
    "no-python:1": "RUN rm -f /usr/bin/python3*",
    "no-venv:1": "RUN rm -rf /usr/lib/python3*/venv",
}


def write_code(shell: Shell, width: int, model: str = MINE) -> None:
    (shell.folder / "mine.py").write_text(model)
    helpers = shell.folder / "helpers"
    helpers.mkdir(exist_ok=True)
    (helpers / "__init__.py").touch()
    (helpers / "layers.py").write_text(f"width = {width}\n")


def parameters(width: int) -> int:
    return 16 * width + width + width + 1


def tags(shell: Shell, job: str) -> list[str]:
    shown = shell.evener("image", "show", job)
    assert shown.returncode == 0, said(shown)
    return [
        line.removeprefix("# ") for line in shown.stdout.splitlines() if line.startswith("# evener")
    ]


def test_the_users_code_trains_and_a_change_of_it_rebuilds_the_small_layer(
    docker_shell: Shell, docker: Docker
) -> None:
    job = docker_shell.write_job(model=MODEL, image=INCLUDE)
    write_code(docker_shell, 5)
    libraries, one = tags(docker_shell, job)
    done = docker_shell.train(job)
    assert done.returncode == 0, said(done)
    check_steps(docker_shell.run(), 60)
    assert {e.parameters for e in events(docker_shell.run(), RankBuilt)} == {parameters(5)}

    write_code(docker_shell, 9, BROKEN)  # which is told as it is anywhere
    same, two = tags(docker_shell, job)
    done = docker_shell.train(job)
    assert (done.returncode, "E601" in done.stderr) == (7, True), said(done)
    assert "torch and its company" not in done.stderr
    assert "enough of it" in done.stderr
    assert "mine.py:13" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    changed = docker_shell.run("job-2")
    assert {e.parameters for e in events(changed, RankBuilt)} == {parameters(9)}
    assert [e.outcome for e in events(changed, RunEnded)] == ["failed"]
    assert libraries == same
    assert one != two
    assert docker_shell.place.left(docker_shell.folder) == []


def test_images_are_built_listed_and_pruned_but_for_those_in_use(
    docker_shell: Shell, docker: Docker
) -> None:
    used = docker_shell.write_long_job("used")
    run = docker_shell.detach(used)
    write_code(docker_shell, 3)
    other = docker_shell.write_job("other", model=MODEL, image=INCLUDE)
    built = docker_shell.evener("image", "build", other)
    assert built.returncode == 0, said(built)
    tag = built.stdout.strip()
    assert tag == tags(docker_shell, other)[1]
    listed = json.loads(docker_shell.evener("image", "list", "--json").stdout)
    assert {tag, *tags(docker_shell, used)} <= {each["tag"] for each in listed}
    _leave_a_broken_build(docker, tags(docker_shell, used)[1])
    pruned = docker_shell.evener("image", "prune")
    assert pruned.returncode == 0, said(pruned)
    assert f"removed {tag}" in pruned.stdout
    kept = json.loads(docker_shell.evener("image", "list", "--json").stdout)
    assert {each["tag"] for each in kept} == set(tags(docker_shell, used))
    assert docker.litter() == []
    docker_shell.await_step(run, 5)
    assert docker_shell.evener("stop", "--now").returncode == 0


def _leave_a_broken_build(docker: Docker, base: str) -> None:
    """As a build of ours leaves it that ends half-way."""
    container = docker.engine.call("create", base, "true").strip()
    docker.engine.call("commit", container)
    docker.engine.call("rm", container)
    assert docker.litter()


@pytest.fixture(params=UNFIT)
def unfit(request: pytest.FixtureRequest, docker: Docker) -> Iterator[str]:
    name = str(request.param)
    docker.build(name, f"FROM {BASE}\n{UNFIT[name]}\n")
    yield name
    docker.engine.call("image", "rm", name)


def test_a_base_that_cannot_run_a_rank_is_one_sentence(docker_shell: Shell, unfit: str) -> None:
    job = docker_shell.write_job(image=f'base = "{unfit}"')
    for _ in range(2 if unfit == "no-venv:1" else 1):  # the second finds nothing of the first
        done = docker_shell.train(job)
        assert (done.returncode, "E514" in done.stderr) == (6, True), said(done)
        assert "Traceback" not in done.stdout + done.stderr
        assert docker_shell.place.left(docker_shell.folder) == []
    assert not docker_shell.run().path.exists()
