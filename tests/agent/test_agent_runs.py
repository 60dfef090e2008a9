"""Whole runs of real agents and processes, with what kills, freezes and stops them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.agent.rehearsal import PATIENCE_S, Rehearsal

from evener import contract, errors
from evener.events import (
    AgentEnded,
    Alert,
    DataPrepared,
    GenerationFormed,
    MachineSeen,
    RankLeftOut,
    RankLost,
    RankStarted,
    RunEnded,
    StepCommitted,
    StopAsked,
)

pytestmark = pytest.mark.slow
has_away_signal = pytest.mark.skipif(
    not hasattr(signal, contract.AWAY_SIGNAL), reason="this system has no SIGPWR, nor containers"
)


def formed(run: Rehearsal, *ranks: int, after: int = 0) -> GenerationFormed:
    return run.until(GenerationFormed, lambda g: g.ranks == ranks and g.generation > after)


def pid_of(run: Rehearsal, rank: int, life: int = 0) -> int:
    return run.until(RankStarted, lambda s: (s.rank, s.life) == (rank, life)).pid


def stepped(run: Rehearsal, step: int) -> None:
    run.until(StepCommitted, lambda s: s.step >= step)


def _has_called(pid: int) -> bool:
    """Its agent has answered it: it is not only a process."""
    return any(c.status == "ESTABLISHED" for c in psutil.Process(pid).net_connections())


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_a_run_goes_from_start_to_end(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, steps=30) as run:
        ended = run.end()
        assert (ended.outcome, ended.step, ended.error) == ("finished", 30, None)
        assert [e.samples for e in run.of(DataPrepared)] == [10]
        assert [e.text for e in run.of(Alert)] == ["downloading: 5.0 kB of 10.0 kB"]
        assert run.of(MachineSeen)[0].machine["cpus"] > 0
        assert sorted(e.rank for e in run.of(RankStarted)) == [0, 1, 2]
        assert formed(run, 0, 1, 2).step == 0
        assert run.of(RankLost) == []
        assert run.intake.events[-1][1] == AgentEnded("a00")
        assert run.wait() == {"a00": 0}


def test_a_killed_rank_is_replaced_by_the_standby(tmp_path: Path) -> None:
    with Rehearsal(tmp_path) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 10)
        deadline = time.monotonic() + PATIENCE_S
        while len(run.pids()) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)  # the standby
        (standby,) = set(run.pids()) - {pid_of(run, r) for r in range(3)}
        while not _has_called(standby) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(pid_of(run, 1), signal.SIGKILL)
        lost = run.until(RankLost)
        assert (lost.rank, lost.reason) == (1, "killed by SIGKILL")
        assert pid_of(run, 1, life=1) == standby
        again = formed(run, 0, 1, 2, after=first.generation)
        assert again.step >= 10
        stepped(run, again.step + 5)
        run.signal()
        assert run.end().outcome == "stopped"


def test_without_a_standby_a_new_process_takes_over(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, membership={"standby": False}) as run:
        first = formed(run, 0, 1)
        stepped(run, 5)
        assert len(run.pids()) == 2
        os.kill(pid_of(run, 0), signal.SIGKILL)
        assert formed(run, 0, 1, after=first.generation).step >= 5
        run.signal()
        assert run.end().outcome == "stopped"


def test_a_rank_that_ends_by_itself_is_lost_with_its_last_words(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, steps=60, FAKE_RANK="exit:1") as run:
        assert run.until(RankLost).reason == "ended with status 3: the last words"
        ended = run.end()
        assert (ended.outcome, ended.step) == ("finished", 60)


def test_a_suspended_rank_is_replaced(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, steps=200, FAKE_RANK="freeze:0") as run:
        assert run.until(RankLost).reason == "was suspended for longer than 1 s"
        assert run.end().outcome == "finished"


def test_a_rank_that_hangs_up_is_replaced(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, steps=200, FAKE_RANK="hang-up:1") as run:
        assert run.until(RankLost).reason == "closed its line to the agent"
        assert run.end().outcome == "finished"


def test_ranks_that_die_again_and_again_end_the_run(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, FAKE_RANK="die-at-take:1") as run:
        ended = run.end()
        assert ended.outcome == "failed"
        assert ended.error is not None
        assert ended.error["code"] == errors.RanksLost.code
        assert "died 4 times without a step" in ended.error["what"]
        assert len(run.of(RankLost)) == 4
        assert run.wait() == {"a00": errors.RanksLost.exit_status}


@pytest.mark.parametrize("agents", [1, 3])
def test_a_rank_that_dies_again_and_again_is_left_out_while_others_go_on(
    tmp_path: Path, agents: int
) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=agents, steps=500, FAKE_RANK="die-each-step:1") as run:
        parked = run.until(RankLeftOut)
        assert (parked.rank, parked.agent) == (1, "a00" if agents == 1 else "a01")
        assert parked.reason == (
            "it died 3 times soon after it had joined, the first time: killed by SIGKILL; "
            "it is tried again in 10 minutes"
        )
        assert run.end().outcome == "finished"
        assert len(run.of(RankLost)) == 3


@pytest.mark.parametrize("agents", [1, 2])
def test_a_newcomer_that_does_not_fit_is_left_out_at_once_with_the_reason(
    tmp_path: Path, agents: int
) -> None:
    wishes = {"max_restarts": 1}
    with Rehearsal(
        tmp_path,
        ranks=2,
        agents=agents,
        steps=300,
        membership=wishes,
        FAKE_RANK="unfit-again:1",
    ) as run:
        told = "3 here, and 4 there; mend it; it is tried again in 10 minutes"
        assert run.until(RankLeftOut).reason == told
        assert run.end().outcome == "finished"
        assert len(run.of(RankLost)) == 2


def test_who_was_left_out_comes_back_where_nobody_else_is_left(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, agents=2, FAKE_RANK="die-each-step:1") as run:
        run.until(RankLeftOut)
        run.agents["a00"].kill()
        run.until(RankStarted, lambda e: e.rank == 1 and e.life == 3)


@pytest.mark.parametrize("agents", [1, 3])
def test_what_one_rank_fails_with_once_is_tried_again(tmp_path: Path, agents: int) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=agents, steps=200, FAKE_RANK="fail-once:1") as run:
        lost = run.until(RankLost)
        assert (lost.rank, lost.reason) == (1, "failed: your code raised")
        assert run.end().outcome == "finished"


@pytest.mark.parametrize("agents", [1, 3])
def test_a_machine_whose_gpu_fails_is_left_out_and_does_not_end_the_run(
    tmp_path: Path, agents: int
) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=agents, steps=500, FAKE_RANK="lose-gpu:1") as run:
        out = run.until(RankLeftOut)
        assert out.rank == 1
        assert "the first time: failed: CUDA error: unspecified launch failure" in out.reason
        assert run.end().outcome == "finished"
        assert {e.rank for e in run.of(RankLost)} == {1}


@pytest.mark.parametrize("who", ["", ":1"])
@pytest.mark.parametrize("agents", [1, 3])
def test_what_ranks_fail_with_twice_ends_the_run_once(
    tmp_path: Path, agents: int, who: str
) -> None:
    """All of them at once, or one of them again and again."""
    with Rehearsal(tmp_path, ranks=3, agents=agents, FAKE_RANK=f"fail-from-5{who}") as run:
        ended = run.end()
        assert ended.error is not None
        assert (ended.error["code"], ended.error["where"]) == ("E303", "x.py:1")
        assert set(run.wait().values()) == {errors.CodeRaised.exit_status}


def test_with_no_restarts_the_first_death_ends_the_run(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, membership={"max_restarts": 0}) as run:
        formed(run, 0, 1)
        stepped(run, 5)
        os.kill(pid_of(run, 1), signal.SIGKILL)
        ended = run.end()
        assert ended.error is not None
        assert "died once" in ended.error["what"]


def test_what_a_rank_fails_with_is_how_the_run_ends(tmp_path: Path) -> None:
    """Every rank of every agent fails at once, and still there is one end."""
    with Rehearsal(tmp_path, ranks=3, agents=2, FAKE_RANK="fail") as run:
        ended = run.end()
        assert ended.outcome == "failed"
        assert ended.error is not None
        assert (ended.error["code"], ended.error["where"]) == ("E303", "x.py:1")
        assert len(run.of(AgentEnded)) == 2
        assert set(run.wait().values()) == {errors.CodeRaised.exit_status}


def test_a_rank_that_cannot_import_ends_the_run_with_its_words(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, agents=2, FAKE_RANK="no-import") as run:
        ended = run.end()
        assert ended.error is not None
        assert ended.error["code"] == errors.StartFailed.code
        assert "No module named 'torch'" in ended.error["what"]
        assert ended.error["where"].endswith(".log")


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [("missing", "E201", "no data there"), ("crash", "E505", "something broke")],
)
def test_data_that_cannot_be_prepared_ends_the_run(
    tmp_path: Path, how: str, code: str, words: str
) -> None:
    with Rehearsal(tmp_path, ranks=2, FAKE_PREPARE=how) as run:
        ended = run.end()
        assert ended.error is not None
        assert ended.error["code"] == code
        assert words in ended.error["what"]
        assert run.of(RankStarted) == []


def test_who_comes_later_without_its_data_leaves_the_others_to_their_work(tmp_path: Path) -> None:
    wishes, own = {"join_s": 0.2}, {"a01": {"FAKE_PREPARE": "missing later"}}
    with Rehearsal(tmp_path, ranks=2, agents=2, steps=400, membership=wishes, own=own) as run:
        told = run.until(Alert, lambda alert: alert.level == "warning").text
        assert told == "agent a01 cannot train: no data there; the run goes on without it"
        assert run.end().outcome == "finished"
        assert {e.ranks for e in run.of(GenerationFormed)} == {(0,)}


@pytest.mark.parametrize(
    ("number", "whom"), [(signal.SIGTERM, "all who train"), (signal.SIGINT, "agent a00")]
)
def test_a_signal_stops_the_run_at_a_boundary(
    tmp_path: Path, number: signal.Signals, whom: str
) -> None:
    with Rehearsal(tmp_path) as run:
        formed(run, 0, 1, 2)
        stepped(run, 5)
        run.signal(number)
        ended = run.end()
        reason = f"asked to stop ({number.name} to {whom})"
        assert (ended.outcome, ended.reason) == ("stopped", reason)
        assert ended.step >= 5
        assert run.of(StopAsked) == [StopAsked(reason)]
        assert run.of(RankLost) == []
        assert run.wait() == {"a00": 0}


def test_a_stop_before_there_is_anything_to_stop(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, FAKE_PREPARE="slow") as run:
        run.until(MachineSeen)
        run.signal()
        ended = run.end()
        assert (ended.outcome, ended.step) == ("stopped", 0)


def test_a_second_signal_ends_ranks_that_do_not(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2) as run:
        formed(run, 0, 1)
        stepped(run, 5)
        for rank in range(2):
            os.kill(pid_of(run, rank), signal.SIGSTOP)
        run.signal()
        run.until(StopAsked)
        run.signal()
        ended = run.end()
        assert ended.outcome == "stopped"
        assert ended.reason.endswith("twice")


def test_ranks_die_with_their_agent(tmp_path: Path) -> None:
    with Rehearsal(tmp_path) as run:
        formed(run, 0, 1, 2)
        stepped(run, 5)
        pids = run.pids()
        assert len(pids) >= 3
        os.kill(pids[0], signal.SIGSTOP)  # one that cannot even see its line close
        run.agents["a00"].kill()
        assert gone(pids)


# --------------------------------------------------------------------------- two agents


def test_two_agents_train_as_one_and_end_once(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2, steps=40) as run:
        ended = run.end()
        assert (ended.outcome, ended.step) == ("finished", 40)
        assert formed(run, 0, 1, 2).lead == 0
        assert {e.agent for e in run.of(AgentEnded)} == {"a00", "a01"}
        assert run.wait() == {"a00": 0, "a01": 0}


@pytest.mark.parametrize("victim", ["a00", "a01"])
def test_an_agents_death_is_noticed_and_the_other_goes_on(tmp_path: Path, victim: str) -> None:
    lost, left = ([0, 1], (2,)) if victim == "a00" else ([2], (0, 1))
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents[victim].kill()
        again = formed(run, *left, after=first.generation)
        assert again.step >= 5
        run.until(RankLost, lambda e: e.rank == lost[-1])
        assert {(e.agent, e.rank) for e in run.of(RankLost)} == {(victim, r) for r in lost}
        stepped(run, again.step + 5)
        run.signal()
        ended = run.end()
        assert ended.outcome == "stopped"


def test_a_frozen_agent_is_left_behind_and_comes_back(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents["a01"].send_signal(signal.SIGSTOP)
        alone = formed(run, 0, 1, after=first.generation)
        stepped(run, alone.step + 5)
        run.agents["a01"].send_signal(signal.SIGCONT)
        formed(run, 0, 1, 2, after=alone.generation)
        run.signal()
        assert run.end().outcome == "stopped"


def test_a_signal_to_one_agent_stops_both(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents["a01"].send_signal(signal.SIGINT)
        ended = run.end()
        assert ended.outcome == "stopped"
        assert len(run.of(StopAsked)) == 1
        assert run.wait() == {"a00": 0, "a01": 0}


@pytest.mark.parametrize(("told", "left"), [("a00", (2,)), ("a01", (0, 1))])
def test_an_agent_that_is_told_to_leave_leaves_the_others_to_their_work(
    tmp_path: Path, told: str, left: tuple[int, ...]
) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents[told].send_signal(signal.SIGTERM)
        assert run.agents[told].wait(60) == 0
        alone = formed(run, *left, after=first.generation)
        stepped(run, alone.step + 5)
        assert run.of(StopAsked) == []
        assert {e.agent for e in run.of(RankLost)} <= {told}
        assert [e.agent for e in run.of(AgentEnded)] == [told]
        run.signal()
        assert run.end().outcome == "stopped"


def test_agents_that_are_all_told_to_leave_stop_the_run_at_a_boundary(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        formed(run, 0, 1, 2)
        stepped(run, 5)
        run.signal(signal.SIGTERM)
        ended = run.end()
        assert ended.outcome == "stopped"
        assert ended.reason == "asked to stop (SIGTERM to all who train)"
        assert {e.reason for e in run.of(StopAsked)} == {ended.reason}
        assert run.of(RankLost) == []
        assert run.wait() == {"a00": 0, "a01": 0}


@has_away_signal
def test_agents_whose_machines_all_go_stop_at_one_boundary_and_end_nothing(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        formed(run, 0, 1, 2)
        stepped(run, 5)
        run.signal(signal.SIGPWR)
        assert run.wait() == {"a00": contract.AWAY_STATUS, "a01": contract.AWAY_STATUS}
        assert run.of(RunEnded) == []
        assert run.of(AgentEnded) == []
        assert run.of(RankLost) == []
        assert len([a for a in run.of(Alert) if "goes away" in a.text]) == 2


@has_away_signal
def test_an_agent_whose_machine_goes_alone_leaves_and_comes_back(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents["a00"].send_signal(signal.SIGPWR)
        assert run.agents["a00"].wait(60) == contract.AWAY_STATUS
        alone = formed(run, 2, after=first.generation)
        stepped(run, alone.step + 5)
        run.again("a00")
        formed(run, 0, 1, 2, after=alone.generation)
        run.signal()
        assert run.end().outcome == "stopped"


@has_away_signal
def test_a_stop_comes_before_a_machine_that_goes(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2) as run:
        formed(run, 0, 1)
        stepped(run, 5)
        run.signal(signal.SIGTERM)
        run.signal(signal.SIGPWR)
        assert run.end().outcome == "stopped"
        assert run.wait() == {"a00": 0}


@has_away_signal
def test_a_machine_that_goes_before_there_is_anything_to_stop(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, FAKE_PREPARE="slow") as run:
        run.until(MachineSeen)
        run.signal(signal.SIGPWR)
        assert run.wait() == {"a00": contract.AWAY_STATUS}
        assert run.of(RunEnded) == []


def test_an_agent_that_is_back_counts_generations_on(tmp_path: Path) -> None:
    past = {"phase": "training", "generation": 7}
    with Rehearsal(tmp_path, ranks=2, agents=2, revived=1, state=past) as run:
        assert formed(run, 0, 1).generation >= 8
        run.signal()
        assert run.end().outcome == "stopped"


def test_an_agent_that_is_back_after_the_end_leaves_it_at_that(tmp_path: Path) -> None:
    past = {"phase": "stopped", "generation": 7}
    with Rehearsal(tmp_path, ranks=2, revived=1, state=past, FAKE_PREPARE="slow") as run:
        assert run.wait() == {"a00": 0}
        assert run.of(AgentEnded) == [AgentEnded("a00")]
        assert run.of(RunEnded) == []
        assert run.of(StepCommitted) == []


def other_torch(folder: Path) -> dict[str, str]:
    """An environment in which another torch seems to be installed."""
    found = folder / "other" / "torch-2.0.1.dist-info"
    found.mkdir(parents=True)
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.1\n")
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join([str(found.parent), *inherited])}


@pytest.mark.parametrize(("revived", "status"), [(0, errors.VersionsDiffer.exit_status), (1, 0)])
def test_an_agent_of_another_version_is_refused_and_the_other_goes_on(
    tmp_path: Path, revived: int, status: int
) -> None:
    own = {"a01": other_torch(tmp_path)}
    with Rehearsal(tmp_path, ranks=3, agents=2, steps=40, own=own, revived=revived) as run:
        alert = run.until(Alert, lambda a: a.level == "warning")
        assert "agent a01" in alert.text
        assert "torch 2.0.1, agent a00" in alert.text
        assert run.agents["a01"].wait(60) == status
        ended = run.end()
        assert (ended.outcome, ended.step) == ("finished", 40)
        assert run.agents["a00"].wait(60) == 0
        assert formed(run, 0, 1).step == 0
        assert [a.text for a in run.of(Alert) if a.level == "warning"] == [alert.text]
        assert {e.agent for e in run.of(AgentEnded)} == {"a00", "a01"}
        assert "E506" in (run.run.logs / "agent_a01.log").read_text()


def test_an_agent_that_comes_with_another_version_does_not_get_in(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=3, agents=2) as run:
        first = formed(run, 0, 1, 2)
        stepped(run, 5)
        run.agents["a00"].kill()
        alone = formed(run, 2, after=first.generation)
        run.again("a00", other_torch(tmp_path))
        assert run.agents["a00"].wait(60) == errors.VersionsDiffer.exit_status
        stepped(run, run.of(StepCommitted)[-1].step + 20)
        assert run.of(GenerationFormed)[-1] == alone
        run.signal()
        assert run.end().outcome == "stopped"


def test_an_end_that_its_recorder_did_not_live_to_record(tmp_path: Path) -> None:
    """a01 is done, a00 would record the end and is killed before its own ranks are done."""
    with Rehearsal(tmp_path, ranks=2, agents=2, steps=40, FAKE_RANK="linger:0") as run:
        stepped(run, 40)
        run.agents["a00"].kill()
        run.agents["a01"].wait(60)
        assert [e.outcome for e in run.of(RunEnded)] == ["finished"]
