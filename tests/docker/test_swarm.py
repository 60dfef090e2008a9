"""What an engine says of its Swarm: who may start a run, and which machines can train."""

from __future__ import annotations

from typing import Any

import pytest

from evener.docker import Engine, swarm
from evener.errors import DockerFailed


def told(
    name: str = "oak",
    state: str = "ready",
    availability: str = "active",
    system: str = "linux",
    processor: str = "x86_64",
) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Spec": {"Availability": availability},
        "Description": {
            "Hostname": name,
            "Platform": {"OS": system, "Architecture": processor},
            "Resources": {"NanoCPUs": 2_500_000_000, "MemoryBytes": 8 * 10**9},
            "Engine": {"EngineVersion": "27.0.1"},
        },
        "Status": {"State": state, "Addr": "10.0.0.7"},
    }


def test_a_machine_is_what_its_engine_says() -> None:
    node = swarm._node(told(), "id-oak")
    assert node == swarm.Node("id-oak", "oak", 2.5, 8 * 10**9, here=True, address="10.0.0.7")


def test_gpus_are_what_its_engine_advertises() -> None:
    ash = told("ash")
    resources = ash["Description"]["Resources"]
    resources["GenericResources"] = [
        {"NamedResourceSpec": {"Kind": "SSD", "Value": "a"}},
        {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-1"}},
        {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-2"}},
    ]
    node = swarm._node(ash, "other")
    assert (node.gpu_kind, node.gpus) == ("NVIDIA-GPU", ("GPU-1", "GPU-2"))
    resources["GenericResources"] = [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]
    node = swarm._node(ash, "other")
    assert (node.gpu_kind, node.gpus) == ("gpu", ("", ""))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"state": "down"}, "it is down"),
        ({"availability": "drain"}, "it is set to drain"),
        ({"system": "windows"}, "it runs windows containers"),
        ({"name": "docker-desktop"}, "it is Docker Desktop, whose overlay network"),
        ({"processor": "aarch64"}, "its processor is aarch64, and the image is built here for x86"),
    ],
)
def test_why_no_rank_can_be_there(facts: dict[str, str], why: str) -> None:
    assert swarm._node(told(**facts), "other", "x86_64").why_not.startswith(why)


def test_no_swarm_is_made_of_docker_desktop() -> None:
    says = """echo '{"OperatingSystem": "Docker Desktop"}'"""
    with pytest.raises(DockerFailed, match="reaches no other machine") as caught:
        swarm.init(Engine(("sh", "-c", says)))
    assert "`evener up`" in caught.value.fix


@pytest.mark.parametrize(
    ("said", "what", "fix"),
    [
        ({"LocalNodeState": "inactive"}, "in no Swarm", "evener swarm init"),
        ({}, "in no Swarm", "evener swarm init"),
        (
            {
                "LocalNodeState": "active",
                "ControlAvailable": False,
                "RemoteManagers": [{"Addr": "10.0.0.1:2377"}],
            },
            "a worker",
            "10.0.0.1:2377",
        ),
    ],
)
def test_only_a_manager_may_start_a_run(said: dict[str, Any], what: str, fix: str) -> None:
    with pytest.raises(DockerFailed, match=what) as caught:
        swarm._check(said)
    assert fix in caught.value.fix
