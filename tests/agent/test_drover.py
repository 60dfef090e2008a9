"""What an agent does about a script's processes: start, halt, weigh how they ended, and end."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from evener.agent.child import Child
from evener.agent.drover import BEGUN_S, Drover, Setting
from evener.agent.outside import Outside
from evener.agent.reserve import Reserve, Warm
from evener.agent.team import Driven
from evener.agent.translate import Letter, Over, Reached, Through
from evener.agent.voice import Voice
from evener.config.load import load_job
from evener.events import Event, GenerationFormed, RankLost, StepCommitted
from evener.membership import Generation, words
from evener.membership.generation import Ballot, Member
from evener.placement import AgentPlan, RankPlan
from evener.rundir.layout import RunDir


class FakeChild:
    """A process that ends when the test says so."""

    def __init__(self, log: Path) -> None:
        self.log, self.pid, self.status, self.asked = log, 7, 0, ""
        log.touch()

    def terminate(self) -> None:
        self.asked = "to end"

    def kill(self) -> None:
        self.asked = "killed"

    def tail(self, lines: int) -> list[str]:
        return []


class Stage:
    """An agent with two ranks, whose clock the test moves; a01 with one rank is played by it."""

    def __init__(self, folder: Path, reserve: Reserve | None = None) -> None:
        (folder / "train.py").write_text("")
        self.run = RunDir(folder / "run")
        self.run.create()
        self.now, self.told = 100.0, list[Mapping[str, str]]()
        self.events, self.inputs = list[Event](), list[words.Input]()
        self.ends, self.letters = list[Over](), list[Letter]()
        voice = Voice(
            self.events.append, lambda _: None, self.inputs.append, self.ends.append,
            self.letters.append,
        )  # fmt: skip
        ranks = (RankPlan(0, "cpu", 1, ""), RankPlan(1, "cpu", 1, ""))
        plan = AgentPlan("a00", "here", ranks)
        spare = reserve or Reserve(None)
        exchange, looks = lambda fetch: lambda: True, Outside((), self.events.append)
        setting = Setting(plan, "127.0.0.1", self.run, self._start, spare, exchange, looks)
        self.drover = Drover(load_job("train.py", (), folder).job, setting, voice, lambda: self.now)
        if reserve is None:
            self.drover.data_ready()
        self.mine = [cast("words.RankUp", up).member for up in self.inputs]
        self.children: dict[int, FakeChild] = {}

    def _start(self, driven: Driven, told: Mapping[str, str]) -> Child:
        child = FakeChild(self.run.rank_log(driven.plan.rank))
        self.children[driven.plan.rank] = child
        self.told.append(told)
        return cast("Child", child)

    def form(self, number: int) -> None:
        theirs = Member("a01", 2, 0, "10.0.0.2", 99)
        self.drover.form(Generation(Ballot(number, "a00"), (*self.mine, theirs), 0, 0))
        self.tick()

    def tick(self, seconds: float = 0.1) -> None:
        self.now += seconds
        self.drover.tick(self.now, None, ())

    def end(self, rank: int, status: int, **word: Any) -> None:
        child = self.children[rank]
        child.status = status
        if word:
            file = self.run.logs / f".word_rank_{rank}.json"
            file.write_text(json.dumps(word))
        self.drover.ended(cast("Child", child))

    def of(self, kind: type[Any]) -> list[Any]:
        return [each for each in (*self.events, *self.inputs) if isinstance(each, kind)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.form(1)
    yield made
    made.drover.kill()


def test_every_process_is_told_what_torchrun_would_tell_it(stage: Stage) -> None:
    first, second = stage.told
    assert (first["RANK"], first["LOCAL_RANK"], first["GROUP_RANK"]) == ("0", "0", "0")
    assert (second["RANK"], second["LOCAL_RANK"], second["WORLD_SIZE"]) == ("1", "1", "3")
    assert (second["LOCAL_WORLD_SIZE"], second["GROUP_WORLD_SIZE"]) == ("2", "2")
    assert second["MASTER_PORT"] == str(stage.mine[0].port)
    assert stage.of(words.RankFormed)


def test_all_start_again_when_one_was_killed(stage: Stage) -> None:
    stage.end(1, -9)
    assert stage.of(RankLost)[0].reason == "killed by SIGKILL"
    assert stage.of(words.RankBroken)[0].rank == 1
    stage.drover.halt(Ballot(2, "a00"), urgent=True)
    assert stage.children[0].asked == "killed"
    stage.end(0, -9)
    stage.tick()
    assert {each.rank for each in stage.of(words.RankHalted)} == {0, 1}
    stage.form(2)
    assert stage.told[-1]["TORCHELASTIC_RESTART_COUNT"] == "1"
    assert "started again, as rank 1 of 3" in stage.run.rank_log(1).read_text()


def raised(kind: str, text: str) -> dict[str, str]:
    return {"type": kind, "text": text, "where": "train.py:3"}


def test_an_exception_ends_the_run_once_nobodys_death_explains_it(stage: Stage) -> None:
    stage.end(1, 1, **raised("ValueError", "bad"))
    stage.tick(1.0)
    assert not stage.ends
    stage.tick(1.5)
    assert stage.ends[0].error is not None
    assert stage.ends[0].error["where"] == "train.py:3"


def test_an_echo_of_somebodys_death_is_none(stage: Stage) -> None:
    stage.end(1, 1, **raised("RuntimeError", "Connection closed by peer [10.0.0.2]"))
    stage.tick(3.0)
    stage.drover.halt(Ballot(2, "a00"), urgent=True)
    stage.tick(9.0)
    assert not stage.ends
    stage.form(2)
    stage.end(1, 1, **raised("RuntimeError", "Connection closed by peer [10.0.0.2]"))
    stage.tick(7.0)  # and nobody died: then a connection was lost
    assert stage.of(words.RankBroken)
    assert not stage.ends


def test_a_failure_that_comes_again_is_the_scripts_own(stage: Stage) -> None:
    stage.end(0, 1, **raised("ValueError", "bad"))
    stage.drover.halt(Ballot(2, "a00"), urgent=True)
    stage.form(2)
    stage.end(1, 1, **raised("ValueError", "bad"))
    stage.tick()
    assert stage.ends[0].outcome == "failed"


def test_the_run_is_over_when_all_are_through(stage: Stage) -> None:
    stage.end(0, 0)
    stage.end(1, 0)
    stage.tick(1.0)
    assert not stage.ends
    assert Through("a00", Ballot(1, "a00")) in stage.letters
    stage.drover.told(Through("a01", Ballot(0, "a00")))  # of a generation before
    stage.tick()
    assert not stage.ends
    stage.drover.told(Through("a01", Ballot(1, "a00")))
    stage.tick()
    assert stage.ends[0].outcome == "finished"


def test_a_stop_is_a_stop_whoever_has_ended_first(stage: Stage) -> None:
    stage.drover.wind("somebody asked")
    assert [child.asked for child in stage.children.values()] == ["to end", "to end"]
    stage.drover.others_ended()
    stage.end(0, -15)
    stage.tick(40.0)
    assert stage.children[1].asked == "killed"
    stage.end(1, -9)
    assert stage.ends[-1].outcome == "stopped"


def test_what_the_first_rank_prints_is_told(stage: Stage) -> None:
    log = stage.run.rank_log(0)
    log.write_text("step 1/9: loss 2.5\nstep 2/9: loss 1.5\nstep 3/9: lo")
    stage.tick(0.5)
    assert [(e.step, e.loss) for e in stage.of(StepCommitted)] == [(1, 2.5), (2, 1.5)]
    assert stage.of(GenerationFormed)[-1].total_steps == 9
    stage.tick(1.0)
    assert Reached("a00", 2) in stage.letters
    with log.open("a") as file:
        file.write("ss 1.0\n")
    stage.drover.halt(Ballot(2, "a00"), urgent=True)
    stage.end(0, -9)
    stage.end(1, -9)
    stage.form(2)
    with log.open("a") as file:
        file.write("step 2/9: loss 1.5\n")
    stage.tick(0.5)
    back = stage.of(GenerationFormed)[-1]
    assert (back.step, back.generation % 2) == (2, 1)
    assert math.isnan(stage.of(StepCommitted)[-1].lr)


class FakeWarm(FakeChild):
    """One that waits, warm or not yet."""

    ready, ended, told = False, False, None

    def begin(self, told: Mapping[str, str]) -> None:
        self.told = told


def test_a_start_takes_processes_that_are_warm_and_has_others_made(tmp_path: Path) -> None:
    made: list[FakeWarm] = []

    def warm(driven: Driven) -> Warm:
        made.append(FakeWarm(tmp_path / f"{driven.plan.rank}.log"))
        return cast("Warm", made[-1])

    stage = Stage(tmp_path, Reserve(warm))
    stage.drover.begin()
    stage.drover.data_ready()
    assert stage.of(words.RankUp) == []  # those who train are not halted for one that is cold
    made[0].ready = True
    stage.tick()
    assert stage.of(words.RankUp) == []  # nor twice, for one after the other
    made[1].ready = True
    stage.tick()
    stage.mine = [up.member for up in stage.of(words.RankUp)]
    stage.form(1)
    assert [(process.told or {})["RANK"] for process in made] == ["0", "1"]
    assert stage.told == []
    stage.tick(BEGUN_S)
    assert len(made) == 4
    stage.drover.ended(cast("Child", made[2]))  # it could not live: the next start is a cold one
    stage.form(2)
    assert [told["RANK"] for told in stage.told] == ["0"]
    assert (made[3].told or {})["RANK"] == "1"
    stage.drover.kill()
