"""The plan of a run in a pool: every machine that can, each with what it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evener.cluster import Device, Machine
from evener.config.load import load_job
from evener.config.schema import Job
from evener.errors import DeviceMissing
from evener.placement import Joined, plan_pool, with_newcomers

LAB = Machine("lab", "Linux", 8.0, 16 * 10**9, torch="2.13.0+cpu")
GPUS = tuple(Device("cuda", n, "RTX", 24 * 10**9, f"GPU-{n}") for n in range(2))
BIG = replace(LAB, name="big", torch="2.13.0+cu130", devices=GPUS)


def job(*overrides: str) -> Job:
    return load_job("resnet18-cifar10", overrides).job


def test_each_machine_has_an_agent_and_a_rank_for_each_of_its_gpus() -> None:
    plan = plan_pool(job(), [Joined("1", LAB), Joined("2", BIG), Joined("3", LAB)])
    assert [a.machine for a in plan.agents] == ["lab", "big", "lab-2"]
    assert [a.node for a in plan.agents] == ["1", "2", "3"]
    assert [(r.rank, r.device) for r in plan.ranks] == [
        (0, "cpu"), (1, "cuda:0"), (2, "cuda:1"), (3, "cpu"),
    ]  # fmt: skip


def test_who_cannot_train_is_left_out_and_named() -> None:
    joined = [
        Joined("1", LAB),
        Joined("2", LAB, "it is away"),
        Joined("3", replace(LAB, name="old", torch="2.6.0")),
    ]
    plan = plan_pool(job(), joined)
    assert len(plan.agents) == 1
    assert "it is away" in plan.notes[0]
    assert "old, its torch is 2.6.0" in plan.notes[1]
    assert "2 machines wanted" in plan_pool(job("local.workers=2"), joined).notes[2]
    with pytest.raises(DeviceMissing, match="no CUDA GPU"):
        plan_pool(job("local.device=cuda"), joined)


def test_who_joins_later_is_numbered_after_the_others() -> None:
    before = plan_pool(job(), [Joined("2", BIG)])
    grown = with_newcomers(before, job(), [Joined("2", BIG), Joined("1", replace(BIG, name="b2"))])
    assert grown.agents[0] == before.agents[0]
    assert [(r.rank, r.device) for r in grown.agents[1].ranks] == [(2, "cuda:0"), (3, "cuda:1")]
    assert with_newcomers(before, job(), [Joined("2", BIG)]) is before
    assert with_newcomers(before, job("local.workers=1"), [Joined("1", LAB)]) is before


def test_who_has_moved_gets_an_agent_anew_however_many_there_are_to_be() -> None:
    joined = [Joined("2", BIG), Joined("1", LAB)]
    before = plan_pool(job("local.workers=1"), joined)
    grown = with_newcomers(before, job("local.workers=1"), joined, {"2"})
    assert [(agent.agent, agent.node) for agent in grown.agents] == [("a00", "2"), ("a01", "2")]
    assert [agent.machine for agent in grown.agents] == ["big", "big"]
