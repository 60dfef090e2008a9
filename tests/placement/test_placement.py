"""Placement: every rank gets a device, threads and a reason, for any machine and job."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import placement
from evener.cluster import Device, Machine
from evener.config.schema import Job
from evener.errors import DeviceMissing


def job(train: dict[str, Any] | None = None, **local: Any) -> Job:
    return Job.model_validate(
        {
            "name": "tiny",
            "model": {"name": "linear"},
            "data": {"name": "synthetic_regression"},
            "train": {"steps": 1} | (train or {}),
            "local": local,
        }
    )


def machine(cpus: float = 8, torch: str = "2.13.0", gpus: int = 0, **facts: Any) -> Machine:
    devices = tuple(Device("cuda", i, "GPU", uuid=f"GPU-{i}") for i in range(gpus))
    known: dict[str, Any] = {"memory_bytes": 16 * 10**9, "devices": devices}
    return Machine("oak", "Linux", cpus, torch=torch, **known | facts)


def devices(plan: placement.Plan) -> list[str]:
    return [r.device for r in plan.ranks]


def test_one_rank_with_all_cores_where_nothing_is_asked() -> None:
    plan = placement.plan(job(), [machine()])
    (rank,) = plan.ranks
    assert (rank.rank, rank.device, rank.threads) == (0, "cpu", 8)
    assert "8 cores for 1 rank: 8 threads" in rank.reason
    assert "there is no CUDA GPU" in rank.reason
    assert plan.notes == ()
    assert (plan.job_name, plan.place) == ("tiny", "local")


def test_more_ranks_than_cores_get_one_thread_each_and_a_warning() -> None:
    plan = placement.plan(job(workers=3), [machine(cpus=2)])
    assert [r.threads for r in plan.ranks] == [1, 1, 1]
    assert "2 cores for 3 ranks: 1 thread each; the ranks share cores" in plan.ranks[0].reason
    assert any(note.startswith("3 threads on 2 cores") for note in plan.notes)


def test_a_fraction_of_a_core_is_still_one_thread() -> None:
    plan = placement.plan(job(), [machine(cpus=0.5)])
    assert plan.ranks[0].threads == 1
    assert plan.notes == ()
    assert placement.plan(job(workers=2), [machine(cpus=5.9)]).ranks[1].threads == 2


def test_threads_of_the_job_are_taken_and_too_many_are_noted() -> None:
    plan = placement.plan(job(workers=2, threads=3), [machine(cpus=4)])
    assert [r.threads for r in plan.ranks] == [3, 3]
    assert "3 threads, as the job says" in plan.ranks[0].reason
    assert "6 threads on 4 cores" in plan.notes[0]


def test_auto_takes_every_gpu() -> None:
    plan = placement.plan(job(), [machine(gpus=3)])
    assert devices(plan) == ["cuda:0", "cuda:1", "cuda:2"]
    assert "cuda, because the machine has 3 GPUs" in plan.ranks[0].reason


def test_processors_compute_beside_the_gpus_where_that_is_asked() -> None:
    plan = placement.plan(job(cpu_workers=3, agents=4), [machine(gpus=1)])
    assert devices(plan) == ["cuda:0", "cpu", "cpu", "cpu"]
    assert [r.threads for r in plan.ranks] == [2, 2, 2, 2]
    assert plan.ranks[3].reason.startswith("cpu, one of local.cpu_workers")
    assert [len(agent.ranks) for agent in plan.agents] == [1, 1, 1, 1]


def test_ranks_beyond_the_gpus_share_them_round_robin() -> None:
    plan = placement.plan(job(workers=3, device="cuda"), [machine(gpus=2)])
    assert devices(plan) == ["cuda:0", "cuda:1", "cuda:0"]
    assert plan.notes == ("2 ranks share cuda:0: no faster than one rank on it",)


def test_the_indices_of_the_gpus_that_are_there_are_used() -> None:
    gpus = (Device("cuda", 1, "GPU"), Device("cuda", 3, "GPU"))
    assert devices(placement.plan(job(), [machine(devices=gpus)])) == ["cuda:1", "cuda:3"]


def test_cpu_leaves_gpus_alone() -> None:
    plan = placement.plan(job(device="cpu"), [machine(gpus=2)])
    assert devices(plan) == ["cpu"]
    assert "cpu, as the job says" in plan.ranks[0].reason


def test_an_apple_gpu_is_taken_except_for_64_bit_floats() -> None:
    mac = machine(devices=(Device("mps"),))
    assert devices(placement.plan(job(), [mac])) == ["mps"]
    plan = placement.plan(job({"precision": "fp64"}), [mac])
    assert devices(plan) == ["cpu"]
    assert "mps has no 64-bit floats" in plan.ranks[0].reason


def test_a_torch_without_cuda_leaves_gpus_idle_and_says_so() -> None:
    plan = placement.plan(job(), [machine(gpus=1, torch="2.13.0+cpu")])
    assert devices(plan) == ["cpu"]
    assert plan.notes == ("1 GPU will be idle: torch 2.13.0+cpu is built without CUDA",)


@pytest.mark.parametrize(
    ("asked", "precision", "facts", "said"),
    [
        ("cuda", "fp32", {}, "there is no CUDA GPU"),
        ("mps", "fp32", {"gpus": 2}, "there is no Apple GPU"),
        ("mps", "fp64", {"devices": (Device("mps"),)}, "mps has no 64-bit floats"),
        ("cuda", "fp32", {"gpus": 1, "torch": "2.13.0+cpu"}, "is built without CUDA"),
    ],
)
def test_a_device_that_is_asked_for_and_absent_is_an_error(
    asked: str, precision: str, facts: dict[str, Any], said: str
) -> None:
    with pytest.raises(DeviceMissing, match=said) as caught:
        placement.plan(job({"precision": precision}, device=asked), [machine(**facts)])
    assert caught.value.where == "oak"
    assert "local.device" in caught.value.fix


def test_little_memory_is_noted_with_the_standby_counted() -> None:
    small = machine(memory_bytes=10**9)
    (note,) = placement.plan(job(workers=2), [small]).notes
    assert "2 ranks and 1 standby need about 1.2 GB" in note
    without = job(workers=2).model_copy(
        update={"membership": job().membership.model_copy(update={"standby": False})}
    )
    assert placement.plan(without, [small]).notes == ()
    assert placement.plan(job(workers=9), [machine(cpus=9, memory_bytes=0)]).notes == ()


def test_more_ranks_than_samples_in_a_step_are_noted() -> None:
    plan = placement.plan(job({"global_batch": 2}, workers=3), [machine()])
    assert plan.notes == ("a global batch of 2 samples cannot occupy 3 ranks",)


def test_agents_split_the_ranks_evenly_and_in_order() -> None:
    plan = placement.plan(job(workers=5, agents=2), [machine()])
    assert [(a.agent, [r.rank for r in a.ranks]) for a in plan.agents] == [
        ("a00", [0, 1, 2]),
        ("a01", [3, 4]),
    ]
    assert {a.machine for a in plan.agents} == {"oak"}


@pytest.mark.parametrize("machines", [[], [machine(), machine()]])
def test_a_local_run_has_one_machine(machines: list[Machine]) -> None:
    with pytest.raises(ValueError, match="one machine"):
        placement.plan(job(), machines)


@given(
    workers=st.integers(1, 40),
    agents=st.integers(1, 5),
    cpus=st.floats(0.1, 128),
    gpus=st.integers(0, 8),
)
def test_any_plan_is_whole_and_survives_its_file(
    workers: int, agents: int, cpus: float, gpus: int
) -> None:
    agents = min(agents, workers)
    plan = placement.plan(job(workers=workers, agents=agents), [machine(cpus, gpus=gpus)])
    assert [r.rank for r in plan.ranks] == list(range(workers))
    assert all(r.threads >= 1 and r.reason for r in plan.ranks)
    sizes = [len(a.ranks) for a in plan.agents]
    assert len(sizes) == agents
    assert max(sizes) - min(sizes) <= 1
    assert sum(r.threads for r in plan.ranks) <= max(workers, cpus)
    assert placement.from_dict(json.loads(json.dumps(placement.to_dict(plan)))) == plan


def test_a_plan_of_another_version_is_read_and_a_damaged_one_is_not() -> None:
    plan = placement.plan(job(), [machine()])
    record = placement.to_dict(plan)
    record["agents"][0]["ranks"][0]["cores"] = [0]
    assert placement.from_dict(record | {"v": 9, "mesh": True}) == plan
    with pytest.raises(ValueError, match="damaged plan"):
        placement.from_dict({"job_name": "tiny", "place": "local"})


def test_what_the_ranks_are_for_is_kept_and_a_plan_that_does_not_say_is_for_training() -> None:
    plan = placement.plan(job(), [machine()])
    assert plan.purpose == placement.TRAIN
    bench = replace(plan, purpose=placement.BENCH)
    record = json.loads(json.dumps(placement.to_dict(bench)))
    assert placement.from_dict(record) == bench
    del record["purpose"]
    assert placement.from_dict(record) == plan
