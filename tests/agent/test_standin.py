"""A head whose machine is gone, and who stands in for it until it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from tests.engine.rehearsal import job
from tests.head.serving import SECRET, bound, in_process, made, recorded
from tests.rundir.test_checkpoints import make

from evener.agent.courier import Courier
from evener.agent.standin import StandIn
from evener.contract import AgentEnv
from evener.events import AgentEnded, Alert, RunEnded
from evener.membership import Ballot, Generation, Member
from evener.rundir import checkpoints
from evener.rundir.layout import RunDir
from evener.wire.outbox import Outbox

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def notes(run: RunDir) -> list[str]:
    return [r.event.text for r in recorded(run) if isinstance(r.event, Alert)]


class Machine:
    """What of an agent has to do with the head."""

    def __init__(self, run: RunDir, port: int, *, first: bool) -> None:
        name = "a00" if first else "a01"
        env = AgentEnv(str(run.path), SECRET, name, 0, 1, f"127.0.0.1:{port}", apart=1)
        self.run, self.standin = run, StandIn(env, run)
        self.outbox = Outbox(env.head, SECRET, name, run.spool(name), aside=self.standin.address)
        self.courier = Courier(env, run, look_s=0.2, aside=self.standin.address)
        self.courier.fetch()
        members = tuple(Member(f"a0{n}", n, 0, "127.0.0.1", 1) for n in range(2))
        self.standin.joined(Generation(Ballot(1, "a00"), members, 0, 0), {})

    @property
    def copy(self) -> RunDir:
        return RunDir(self.run.path / "standin" / self.run.name)

    def say(self, text: str) -> None:
        self.outbox.put(Alert("note", text))


@pytest.fixture
def home(tmp_path: Path) -> RunDir:
    run = made(tmp_path / "home")
    run.job_file.write_text(job(checkpoint={"keep_last": 2}).model_dump_json())
    run.plan_file.write_text("{}")
    return run


@contextmanager
def living(run: RunDir, port: int, *, first: bool = True) -> Iterator[Machine]:
    machine = Machine(run, port, first=first)
    with closing(machine.standin), machine.outbox, closing(machine.courier):
        machine.standin.watch(machine.outbox, ())
        machine.courier.watch(machine.outbox.put, machine.outbox.address)
        yield machine


def test_the_first_stands_in_until_home_is_back_and_nothing_is_lost(
    home: RunDir, tmp_path: Path
) -> None:
    with bound() as free:
        port = free.getsockname()[1]
    with ExitStack() as lives:
        with in_process(home, port=port) as head:
            one = lives.enter_context(living(made(tmp_path / "one"), port))
            two = lives.enter_context(living(made(tmp_path / "two"), port, first=False))
            one.say("before")
            wait_for(
                lambda: all(c.db.exists() and notes(c) == ["before"] for c in (one.copy, two.copy))
            )
            head.kill()
        one.say("meanwhile")
        make(one.run.checkpoints, 5)
        wait_for(lambda: "meanwhile" in notes(one.copy))
        wait_for(lambda: [e.step for e in checkpoints.entries(one.copy.checkpoints)] == [5])
        assert one.standin.hosts
        assert not two.standin.hosts
        one.run.export_file.write_bytes(b"weights")
        one.copy.work.mkdir()
        (one.copy.work / "best.pt").write_bytes(b"of a script")
        wait_for(one.copy.export_file.is_file)
        one.outbox.put(RunEnded("finished", 5))
        one.outbox.flush(PATIENCE_S)
        with in_process(home, port=port):
            wait_for(lambda: not one.standin.hosts)
            one.outbox.put(AgentEnded("a00"))
            one.outbox.flush(PATIENCE_S)
            assert [n.partition(":")[0] for n in notes(home)] == [
                "before",
                "meanwhile",
                "the head's machine does not answer",
                "the head is back",
            ]
            assert sum(isinstance(r.event, RunEnded) for r in recorded(home)) == 1
            assert home.export_file.read_bytes() == b"weights"
            assert (home.work / "best.pt").read_bytes() == b"of a script"
            assert checkpoints.entries(home.checkpoints)[-1].step == 5
