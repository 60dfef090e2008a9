"""The plan on a Swarm: a rank on each machine that can have one, and why not on the others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from evener import placement
from evener.errors import DeviceMissing
from evener.placement import Place
from tests.placement.test_placement import job

OAK, ELM = Place("id-oak", "oak", 8), Place("id-elm", "elm", 2.5)


def test_each_machine_has_an_agent_that_is_held_to_it() -> None:
    plan = placement.plan_swarm(job(), [OAK, ELM])
    assert [(a.agent, a.machine, a.node) for a in plan.agents] == [
        ("a00", "oak", "id-oak"),
        ("a01", "elm", "id-elm"),
    ]
    assert [(r.rank, r.device, r.threads) for r in plan.ranks] == [(0, "cpu", 8), (1, "cpu", 2)]
    assert plan.ranks[1].reason.startswith("cpu of elm; 2.5 cores")
    assert plan.place == "swarm"
    assert placement.from_dict(json.loads(json.dumps(placement.to_dict(plan)))) == plan


def test_who_cannot_is_left_out_and_named() -> None:
    plan = placement.plan_swarm(job(), [OAK, Place("x", "ash", 4, "it is down"), ELM])
    assert plan.home == "id-oak"
    assert [a.machine for a in plan.agents] == ["oak", "elm"]
    assert plan.notes == ("left out: ash, it is down",)
    drained = Place("x", "ash", 4, "it is set to drain")
    assert placement.plan_swarm(job(), [drained, OAK]).home == ""


def test_what_a_swarm_does_not_heed_is_said() -> None:
    [note] = placement.plan_swarm(job(cpu_workers=3), [OAK, ELM]).notes
    assert note.startswith("local.cpu_workers does not count here")


def test_fewer_can_be_asked_for_but_not_more() -> None:
    assert [a.machine for a in placement.plan_swarm(job(workers=1), [OAK, ELM]).agents] == ["oak"]
    with pytest.raises(DeviceMissing, match=r"3 machines .* 1 can be used; ash: it is down"):
        placement.plan_swarm(job(workers=3), [OAK, Place("x", "ash", 4, "it is down")])
    with pytest.raises(DeviceMissing, match="0 can be used"):
        placement.plan_swarm(job(), [])


def test_a_machine_that_joins_gets_an_agent_after_the_others() -> None:
    plan = placement.plan_swarm(job(), [OAK])
    grown = placement.with_joined(plan, job(), [OAK, Place("id-2", "oak", 4), ELM])
    assert [(a.agent, a.machine, a.ranks[0].rank) for a in grown.agents] == [
        ("a00", "oak", 0),
        ("a01", "oak-2", 1),
        ("a02", "elm", 2),
    ]
    assert grown.agents[0] is plan.agents[0]
    assert placement.with_joined(plan, job(), [OAK, Place("x", "ash", 4, "it is down")]) is plan
    assert placement.with_joined(plan, job(workers=1), [OAK, ELM]) is plan


def test_names_fit_into_a_network_and_are_never_alike() -> None:
    places = [Place(str(i), name, 1) for i, name in enumerate(("My PC.lan", "oak", "Oak", "_"))]
    names = [a.machine for a in placement.plan_swarm(job(), places).agents]
    assert names == ["my-pc-lan", "oak", "oak-2", "machine"]


ASH = Place("id-ash", "ash", 16, gpu_kind="NVIDIA-GPU", gpus=("MIG-1", "MIG-2"))


def test_a_gpu_that_is_advertised_has_a_rank_of_its_own_and_others_train_beside() -> None:
    plan = placement.plan_swarm(job(), [ASH, OAK])
    assert [(r.rank, r.device, r.threads) for r in plan.ranks] == [
        (0, "cuda:0", 8), (1, "cuda:1", 8), (2, "cpu", 8)
    ]  # fmt: skip
    assert plan.agents[0].limits is not None
    assert plan.agents[0].limits.gpus == ("MIG-1", "MIG-2")
    assert placement.from_dict(json.loads(json.dumps(placement.to_dict(plan)))) == plan
    grown = placement.with_joined(plan, job(), [ASH, OAK, ELM])
    assert [r.rank for r in grown.agents[2].ranks] == [3]


def test_a_gpu_that_nvidia_does_not_know_by_that_name_is_refused() -> None:
    short = Place("id-fir", "fir", 4, gpu_kind="NVIDIA-GPU", gpus=("GPU-45cbf7b3",))
    with pytest.raises(DeviceMissing, match=r"fir calls a GPU GPU-45cbf7b3"):
        placement.plan_swarm(job(), [OAK, short])
    assert placement.plan_swarm(job(workers=1), [OAK, short]).ranks[0].device == "cpu"
    assert placement.plan_swarm(job(device="cpu"), [short]).ranks[0].device == "cpu"


def test_the_network_is_made_for_what_passes_on_the_narrowest_way() -> None:
    narrow, wide = replace(ELM, packet_bytes=1420), replace(OAK, packet_bytes=9000)
    plan = placement.plan_swarm(job(), [wide, narrow])
    assert plan.packet_bytes == 1420
    assert plan.notes[0].startswith("packets of 1420 bytes pass to elm, not 1500")
    assert placement.from_dict(json.loads(json.dumps(placement.to_dict(plan)))) == plan
    usual = placement.plan_swarm(job(), [wide])
    assert usual.packet_bytes == 1500
    assert placement.with_joined(usual, job(), [wide, narrow]) is usual


def test_gpus_are_insisted_on_or_left_alone() -> None:
    only = placement.plan_swarm(job(device="cuda"), [OAK, ASH])
    assert [a.machine for a in only.agents] == ["ash"]
    assert "advertises no GPU" in only.notes[0]
    assert placement.with_joined(only, job(device="cuda"), [ASH, ELM]) is only
    assert {r.device for r in placement.plan_swarm(job(device="cpu"), [ASH]).ranks} == {"cpu"}
    with pytest.raises(DeviceMissing, match=r"oak: local\.device is cuda"):
        placement.plan_swarm(job(device="cuda"), [OAK])
    with pytest.raises(DeviceMissing, match="Apple"):
        placement.plan_swarm(job(device="mps"), [OAK])
