"""One end out of what several agents know, and deaths and their reasons in words."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from tests.placement.test_placement import job, machine

from evener import errors
from evener.agent import deaths, ending
from evener.agent.environment import rank_environment
from evener.agent.naming import Names
from evener.agent.translate import Over
from evener.contract import RankEnv, from_environ
from evener.membership.generation import Ballot, Generation, Member
from evener.orders import Done
from evener.placement import plan_containers

PLAN = plan_containers(job(workers=3), machine())
ENDS = (Over("a00", "stopped", 3), Over("a01", "finished", 9), Over("a02", "failed", 5))


def test_whoever_is_heard_first_a_failure_is_the_end() -> None:
    for order in permutations(ENDS):
        known = None
        for over in order:
            known = ending.weightier(known, over)
        assert known == ENDS[2]


def test_an_end_is_not_replaced_by_another_of_its_kind() -> None:
    first, second = Over("a00", "failed", 1, "cause"), Over("a01", "failed", 1, "consequence")
    assert ending.weightier(first, second) is first


def test_of_two_stops_the_later_step_is_where_the_run_stopped() -> None:
    aside, trained = Over("a00", "stopped", 3, "SIGTERM"), Over("a01", "stopped", 9, "SIGTERM")
    assert ending.weightier(aside, trained) is trained
    assert ending.weightier(trained, aside) is trained


@pytest.mark.parametrize(
    ("over", "alive", "waits"),
    [
        (Over("a00", "stopped", 3), ("a00", "a01"), True),
        (Over("a00", "stopped", 3), ("a00",), False),
        (Over("a00", "stopped", 3), ("a00", "a02"), False),
        (Over("a00", "stopped", 3, at_once=True), ("a00", "a01"), False),
        (Over("a00", "finished", 3), ("a00", "a01"), False),
        (Over("a00", "failed", 3), ("a00", "a01"), False),
        (Over("a01", "stopped", 3), ("a00", "a01"), False),
    ],
)
def test_who_had_no_rank_in_the_group_waits_for_those_who_had(
    over: Over, alive: tuple[str, ...], waits: bool
) -> None:
    trains = Generation(Ballot(1, "a00"), (Member("a01", 1, 0, "h", 1),), 4, 0)
    assert ending.known_elsewhere(over, trains, alive, None) is waits
    assert not ending.known_elsewhere(over, None, alive, None)


def test_who_is_in_no_group_yet_leaves_it_to_those_who_train() -> None:
    assert ending.known_elsewhere(Over("a00", "stopped", 0), None, ("a00", "a01"), True)
    assert not ending.known_elsewhere(Over("a00", "failed", 0), None, ("a00", "a01"), True)


def lost(before: Generation | None, after: Generation, alive: Sequence[str], me: str) -> list[int]:
    found = ending.lost_with_agents(before, after, alive, Names(PLAN, me))
    assert [e.reason for e in found] == [
        f"its agent {e.agent} (machine-{e.rank}) is gone" for e in found
    ]
    return [e.rank for e in found]


def test_ranks_that_are_parked_are_not_lost() -> None:
    members = tuple(Member(f"a0{i}", i, 0, "h", 1) for i in range(3))
    before = Generation(Ballot(1, "a00"), members, 4, 0)
    after = Generation(Ballot(2, "a00"), members[:1], 4, 0, parked=members[1:2])
    assert lost(before, after, ["a00"], "a00") == [2]
    assert lost(before, after, ["a01"], "a01") == []
    assert lost(before, after, ["a00", "a02"], "a00") == []  # it lives


def test_one_rank_that_finished_means_all_did() -> None:
    done = [Done("stopped", 7), Done("finished", 8)]
    assert ending.from_done("a00", done, 6, "SIGTERM") == Over("a00", "finished", 8)
    assert ending.from_done("a00", done[:1], 9, "why") == Over("a00", "stopped", 9, "why")
    assert ending.from_done("a00", [], -1, "why").step == -1
    assert ending.to_event(ending.from_done("a00", [], -1, "why")).step == 0


def test_the_lowest_id_alive_records() -> None:
    assert ending.records("a00", [])
    assert ending.records("a00", ["a01", "a02"])
    assert not ending.records("a01", ["a02", "a00"])


def test_ranks_of_a_lost_agent_are_reported_by_the_lowest_left() -> None:
    members = tuple(Member(f"a0{i}", i, 0, "h", 1) for i in range(3))
    before = Generation(Ballot(1, "a00"), members, 4, 0)
    after = Generation(Ballot(2, "a01"), members[1:], 4, 0)
    left = ["a01", "a02"]
    assert lost(before, after, left, "a01") == [0]
    assert lost(before, after, left, "a02") == []
    assert lost(None, after, left, "a01") == []
    assert lost(after, before, left, "a00") == []


def test_a_run_out_of_memory_says_so() -> None:
    kinds = [
        type(ending.lost_too_often(1, 3, "killed by SIGKILL", "a00", out_of_memory))
        for out_of_memory in (False, True)
    ]
    assert kinds == [errors.RanksLost, errors.OutOfMemory]


# ------------------------------------------------------------------------------- deaths


@pytest.mark.parametrize(
    ("status", "last", "out_of_memory", "words"),
    [
        (-signal.SIGKILL, "", False, "killed by SIGKILL"),
        (-signal.SIGKILL, "", True, "killed by SIGKILL: the system was out of memory"),
        (-signal.SIGSEGV, "noise", False, "killed by SIGSEGV"),
        (-200, "", False, "killed by signal 200"),
        (3, "KeyError: 'x'", False, "ended with status 3: KeyError: 'x'"),
        (0, "", False, "ended with status 0"),
    ],
)
def test_a_death_in_words(status: int, last: str, out_of_memory: bool, words: str) -> None:
    assert deaths.describe(status, last, out_of_memory=out_of_memory) == words


def test_a_kill_for_want_of_memory_is_counted_wherever_it_shows(tmp_path: Path) -> None:
    proc, group = tmp_path / "proc", tmp_path / "two/box"
    group.mkdir(parents=True)
    (proc / "self").mkdir(parents=True)
    assert deaths.oom_kills(proc) == 0
    (proc / "vmstat").write_text("nr_free_pages 5\noom_kill 2\n")
    assert deaths.oom_kills(proc) == 2
    (proc / "mounts").write_text(f"cgroup2 {tmp_path}/two cgroup2 rw 0 0\n")
    (proc / "self/cgroup").write_text("0::/box\n")
    (group / "memory.events").write_text("low 0\noom 9\noom_kill 1\noom_group_kill 0\n")
    assert deaths.oom_kills(proc) == 3


# --------------------------------------------------------------------------- environment

TOLD = RankEnv("run", "secret", "a00", "127.0.0.1:1")


def test_the_plans_threads_win_and_a_persons_tuning_stays() -> None:
    env = rank_environment({"OMP_NUM_THREADS": "64", "GOMP_SPINCOUNT": "7"}, TOLD, 2, "lo", {})
    assert (env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"]) == ("2", "2")
    assert env["GOMP_SPINCOUNT"] == "7"
    assert env["GLOO_SOCKET_IFNAME"] == "lo"
    assert from_environ(RankEnv, env) == TOLD


def test_threads_do_not_spin_where_there_are_several() -> None:
    assert rank_environment({}, TOLD, 2, None, {})["GOMP_SPINCOUNT"] == "1000"
    assert "GOMP_SPINCOUNT" not in rank_environment({}, TOLD, 1, None, {})
    passive = rank_environment({"OMP_WAIT_POLICY": "passive"}, TOLD, 2, None, {})
    assert "GOMP_SPINCOUNT" not in passive


def test_without_an_interface_gloo_is_told_none() -> None:
    assert "GLOO_SOCKET_IFNAME" not in rank_environment({}, TOLD, 1, None, {})


def test_the_job_wins_over_the_plan_and_over_the_shell_but_not_over_evener() -> None:
    told = {"OMP_NUM_THREADS": "3", "NCCL_DEBUG": "INFO", "EVENER_AGENT": "a09"}
    env = rank_environment({"NCCL_DEBUG": "WARN"}, TOLD, 2, "lo", told)
    assert (env["OMP_NUM_THREADS"], env["NCCL_DEBUG"]) == ("3", "INFO")
    assert from_environ(RankEnv, env) == TOLD


def test_which_gpus_are_seen_is_the_persons_choice() -> None:
    env = rank_environment({"CUDA_VISIBLE_DEVICES": "1"}, TOLD, 1, None, {})
    assert (env["CUDA_VISIBLE_DEVICES"], env["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
