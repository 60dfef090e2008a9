"""Runs in which ranks are parked: others go on without them, and nothing waits for them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.agent.rehearsal import Rehearsal

from evener import contract
from evener.events import GenerationFormed, RankLost, RunEnded, StepCommitted

pytestmark = pytest.mark.slow


def formed(run: Rehearsal, *ranks: int, after: int = 0) -> GenerationFormed:
    return run.until(GenerationFormed, lambda g: g.ranks == ranks and g.generation > after)


def trains_on(run: Rehearsal, *ranks: int, since: GenerationFormed) -> GenerationFormed:
    """The generation of just these, some steps on."""
    found = formed(run, *ranks, after=since.generation)
    run.until(StepCommitted, lambda s: s.step >= found.step + 20)
    return found


@pytest.mark.parametrize("back", ["self", "others"])
def test_a_rank_is_parked_and_comes_back(tmp_path: Path, back: str) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2, FAKE_PARK="2", FAKE_BACK=back) as run:
        first = formed(run, 0, 1, 2)
        without = trains_on(run, 0, 1, since=first)
        trains_on(run, 0, 1, 2, since=without)
        assert run.of(RankLost) == []
        run.signal()
        assert run.end().outcome == "stopped"


def test_a_parked_rank_is_let_be(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, FAKE_PARK="1") as run:
        without = trains_on(run, 0, since=formed(run, 0, 1))
        run.until(StepCommitted, lambda s: s.step >= without.step + 200)
        assert run.of(GenerationFormed)[-1] == without
        assert run.of(RankLost) == []
        run.signal()
        assert run.end().outcome == "stopped"


@pytest.mark.parametrize("parked", ["2", "0,1", "0,2"])
def test_a_run_finishes_while_ranks_are_parked(tmp_path: Path, parked: str) -> None:
    """Those of the agent that records the end (a00) among them, or all of an agent's."""
    with Rehearsal(tmp_path, ranks=3, agents=2, steps=80, FAKE_PARK=parked) as run:
        ended = run.end()
        assert (ended.outcome, ended.step, ended.error) == ("finished", 80, None)
        assert run.wait() == {"a00": 0, "a01": 0}
        assert run.of(RankLost) == []


@pytest.mark.parametrize(
    ("asked", "parked"),
    [("a00", "2"), ("a01", "2"), ("a00", "0,1"), ("a01", "0,1"), ("a01", "1")],
)
def test_a_stop_ends_the_parked_and_tells_where_the_others_stopped(
    tmp_path: Path, asked: str, parked: str
) -> None:
    working = [r for r in range(3) if str(r) not in parked]
    with Rehearsal(tmp_path, ranks=3, agents=2, FAKE_PARK=parked) as run:
        trains_on(run, *working, since=formed(run, 0, 1, 2))
        run.agents[asked].send_signal(signal.SIGINT)
        ended = run.end()
        assert ended.outcome == "stopped"
        assert ended.step >= max(s.step for s in run.of(StepCommitted))
        assert ended.reason == f"asked to stop (SIGINT to agent {asked})"
        assert run.wait() == {"a00": 0, "a01": 0}
        assert run.of(RankLost) == []


@pytest.mark.parametrize(("victim", "parked", "left"), [("a00", "2", (2,)), ("a01", "0,1", (0, 1))])
def test_the_parked_go_on_where_the_others_die(
    tmp_path: Path, victim: str, parked: str, left: tuple[int, ...]
) -> None:
    working = [r for r in range(3) if str(r) not in parked]
    with Rehearsal(tmp_path, ranks=3, agents=2, FAKE_PARK=parked) as run:
        without = trains_on(run, *working, since=formed(run, 0, 1, 2))
        run.agents[victim].kill()
        trains_on(run, *left, since=without)
        assert {(e.agent, e.rank) for e in run.of(RankLost)} == {(victim, r) for r in working}
        run.signal()
        assert run.end().outcome == "stopped"


def test_the_parked_come_back_when_somebody_dies(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=3, FAKE_PARK="1") as run:
        without = trains_on(run, 0, 2, since=formed(run, 0, 1, 2))
        run.agents["a02"].kill()
        trains_on(run, 0, 1, since=formed(run, 0, after=without.generation))
        assert [e.rank for e in run.of(RankLost)] == [2]
        run.signal()
        assert run.end().outcome == "stopped"


def test_a_parked_rank_that_dies_halts_nobody_until_it_is_replaced(tmp_path: Path) -> None:
    with Rehearsal(
        tmp_path, ranks=3, agents=2, FAKE_PARK="2", membership={"standby": False}
    ) as run:
        without = trains_on(run, 0, 1, since=formed(run, 0, 1, 2))
        run.agents["a01"].kill()
        run.until(StepCommitted, lambda s: s.step >= without.step + 200)
        assert run.of(GenerationFormed)[-1] == without
        run.signal()
        assert run.end().outcome == "stopped"


@pytest.mark.skipif(not hasattr(signal, contract.AWAY_SIGNAL), reason="this system has no SIGPWR")
@pytest.mark.parametrize("parked", ["2", "0,1"])
def test_machines_that_all_go_end_nothing_though_some_ranks_are_parked(
    tmp_path: Path, parked: str
) -> None:
    working = [r for r in range(3) if str(r) not in parked]
    with Rehearsal(tmp_path, ranks=3, agents=2, FAKE_PARK=parked) as run:
        trains_on(run, *working, since=formed(run, 0, 1, 2))
        run.signal(signal.SIGPWR)
        assert run.wait() == {"a00": contract.AWAY_STATUS, "a01": contract.AWAY_STATUS}
        assert run.of(RunEnded) == []
        assert run.of(RankLost) == []
