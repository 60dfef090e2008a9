"""Placement in containers: each a machine with its part of the processors, its GPU, its reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evener import placement
from evener.config.machines import Env, MachineWish
from evener.config.schema import Job
from evener.errors import DeviceMissing
from evener.placement import Hindrance, Limits, Plan
from tests.placement.test_placement import job, machine

NO_TOOLKIT = Hindrance("the toolkit is not installed", "install it")


def with_machines(*wishes: dict[str, Any], **local: Any) -> Job:
    found = tuple(MachineWish.model_validate(wish) for wish in wishes)
    return job(**local).model_copy(update={"machines": found})


def limits(plan: Plan) -> list[Limits]:
    return [agent.limits for agent in plan.agents if agent.limits is not None]


def test_workers_get_equal_parts_of_the_processors() -> None:
    plan = placement.plan_containers(job(workers=4), machine(cpus=6))
    assert [(each.cpus, each.capped) for each in limits(plan)] == [(1.5, False)] * 4
    assert [agent.machine for agent in plan.agents] == [f"machine-{n}" for n in range(4)]
    assert [rank.threads for rank in plan.ranks] == [1] * 4
    assert plan.place == "docker"


def test_a_gpu_each_by_uuid_where_nothing_is_asked() -> None:
    plan = placement.plan_containers(job(), machine(gpus=2))
    assert [each.gpus for each in limits(plan)] == [("GPU-0",), ("GPU-1",)]
    assert [rank.device for rank in plan.ranks] == ["cuda:0", "cuda:0"]
    assert plan.notes == ()


def test_more_workers_than_gpus_share_them_and_are_told() -> None:
    plan = placement.plan_containers(job(workers=3), machine(gpus=2))
    assert [each.gpus for each in limits(plan)] == [("GPU-0",), ("GPU-1",), ("GPU-0",)]
    assert plan.notes == ("2 ranks share GPU-0: no faster than one rank on it",)


def test_processors_compute_beside_the_gpus_where_that_is_asked() -> None:
    plan = placement.plan_containers(job(cpu_workers=2), machine(gpus=1))
    assert [each.gpus for each in limits(plan)] == [("GPU-0",), (), ()]
    assert [rank.device for rank in plan.ranks] == ["cuda:0", "cpu", "cpu"]


def test_machines_of_several_kinds() -> None:
    wishes = ({"cpus": 3, "memory": "2GiB"}, {"count": 2})
    plan = placement.plan_containers(with_machines(*wishes), machine(cpus=8))
    assert [each.cpus for each in limits(plan)] == [3, 2.5, 2.5]
    assert [each.capped for each in limits(plan)] == [True, False, False]
    assert [each.memory_bytes for each in limits(plan)] == [2 * 2**30, 0, 0]
    assert [rank.threads for rank in plan.ranks] == [3, 2, 2]
    assert "3 cores for 1 rank: 3 threads" in plan.ranks[0].reason


def test_named_gpus_go_where_they_are_named_and_the_others_in_order() -> None:
    wishes: tuple[dict[str, Any], ...] = ({}, {"gpus": [2, "GPU-0"]}, {"gpus": "none"}, {})
    plan = placement.plan_containers(with_machines(*wishes), machine(gpus=3))
    assert [each.gpus for each in limits(plan)] == [("GPU-1",), ("GPU-2", "GPU-0"), (), ()]
    assert [(r.rank, r.device) for a in plan.agents for r in a.ranks] == [
        (0, "cuda:0"), (1, "cuda:0"), (2, "cuda:1"), (3, "cpu"), (4, "cpu"),
    ]  # fmt: skip


def test_processors_by_number_are_as_many_as_they_are() -> None:
    plan = placement.plan_containers(with_machines({"cpu_affinity": "0-2,5"}, {}), machine(cpus=8))
    assert [each.cpus for each in limits(plan)] == [4, 4]
    assert limits(plan)[0].cpu_affinity == "0-2,5"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"cpus": 9}, "machine-0 asks for 9 cores, and the engine has 8"),
        ({"cpu_affinity": "7-8"}, "processors 7-8, and the engine has 0 to 7"),
        ({"gpus": 1}, "asks for GPU 1, but there is no such GPU"),
        ({"gpus": "GPU-9"}, "asks for GPU GPU-9, but there is no such GPU"),
    ],
)
def test_what_the_engine_has_not_is_an_error(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceMissing, match=said):
        placement.plan_containers(with_machines(wish), machine(gpus=1))


@pytest.mark.parametrize("asked", [with_machines({"gpus": 0}), job(device="cuda")])
def test_a_gpu_that_no_container_can_have_says_why_and_how_that_is_mended(asked: Job) -> None:
    with pytest.raises(DeviceMissing, match="the toolkit is not installed") as caught:
        placement.plan_containers(asked, machine(gpus=1), NO_TOOLKIT)
    assert caught.value.fix == "install it"


def test_a_gpu_nobody_insists_on_is_left_with_a_note() -> None:
    plan = placement.plan_containers(job(), machine(gpus=1), NO_TOOLKIT)
    assert [rank.device for rank in plan.ranks] == ["cpu"]
    assert plan.notes == ("1 GPU will be idle: the toolkit is not installed (install it)",)
    assert "cpu, because the toolkit is not installed" in plan.ranks[0].reason


def test_an_image_without_cuda_leaves_gpus_alone() -> None:
    image = job().image.model_copy(update={"cuda": "cpu"})
    plan = placement.plan_containers(job().model_copy(update={"image": image}), machine(gpus=1))
    assert [rank.device for rank in plan.ranks] == ["cpu"]
    assert 'image.cuda is "cpu"' in plan.notes[0]


def test_an_apple_gpu_is_nothing_for_a_container() -> None:
    with pytest.raises(DeviceMissing, match="no container can use an Apple GPU"):
        placement.plan_containers(job(device="mps"), machine())


def test_little_memory_is_noted_for_the_machine_that_has_it() -> None:
    wishes = ({"memory": "500MB"}, {"memory": "2GB"})
    plan = placement.plan_containers(with_machines(*wishes), machine())
    (note,) = plan.notes
    assert note.startswith("machine-0: 1 rank and 1 standby need about 800 MB")


def test_threads_that_env_names_are_the_plans() -> None:
    asked = job().model_copy(update={"env": Env({"OMP_NUM_THREADS": 3, "NCCL_DEBUG": "INFO"})})
    for plan in (
        placement.plan(asked, [machine()]),
        placement.plan_containers(asked, machine()),
    ):
        assert plan.ranks[0].threads == 3
        assert "3 threads, as env.OMP_NUM_THREADS says" in plan.ranks[0].reason
        assert plan.env == {"OMP_NUM_THREADS": "3", "NCCL_DEBUG": "INFO"}


def test_a_local_run_says_that_machines_are_for_containers() -> None:
    (note,) = placement.plan(with_machines({"cpus": 1}), [machine()]).notes
    assert note == "[[machines]] limits containers only (--on docker)"


def test_a_plan_survives_its_file() -> None:
    wishes = ({"gpus": [0, 1], "memory": "4GB", "cpu_affinity": "0"}, {"shm_size": "1MB"})
    plan = placement.plan_containers(with_machines(*wishes), machine(gpus=2))
    assert placement.from_dict(json.loads(json.dumps(placement.to_dict(plan)))) == plan
