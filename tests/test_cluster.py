"""Machines: facts that survive being written down, by this version or another."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from evener import cluster
from evener.cluster import Device, Machine
from tests import drawn


@given(drawn.of(Machine))
def test_a_machine_survives_json(machine: Machine) -> None:
    assert cluster.from_dict(json.loads(json.dumps(cluster.to_dict(machine)))) == machine


def test_what_another_version_adds_is_ignored() -> None:
    machine = Machine("oak", "Linux", 2.5, 10**9, devices=(Device("cuda", 1, "GPU", 8, "u"),))
    record = json.loads(json.dumps(cluster.to_dict(machine)))
    record["colour"] = "red"
    record["devices"][0]["watts"] = 300
    assert cluster.from_dict(record) == machine


def test_what_another_version_leaves_out_has_its_default() -> None:
    machine = cluster.from_dict({"name": "oak", "system": "Linux", "cpus": 2, "memory_bytes": 9})
    assert machine == Machine("oak", "Linux", 2, 9)
    with pytest.raises(TypeError, match="memory_bytes"):
        cluster.from_dict({"name": "oak", "system": "Linux", "cpus": 2})
