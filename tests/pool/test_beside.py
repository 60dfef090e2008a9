"""The mesh in a container of its own: what the two tell each other, and what is not believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evener import contract
from evener.pool import beside, mesh, nebula
from evener.pool.authority import Authority
from evener.pool.beside import Side
from evener.pool.mesh import Mesh
from evener.pool.nebula import Nebula
from tests.pool.test_mesh import _nowhere

PIN = "7f" * 32
FIRST = mesh.address(PIN, mesh.FIRST)
pytestmark = pytest.mark.skipif(
    shutil.which(nebula.SIGNER) is None, reason=f"{nebula.SIGNER} is not installed"
)


class Engine(Nebula):
    """What nebula's process is asked to do; it is not started."""

    def __init__(self) -> None:
        super().__init__(None)
        self.done: list[str] = []

    @property
    def waits(self) -> bool:
        return False

    def reload(self) -> None:
        self.done.append("reload")

    def restart(self) -> None:
        self.done.append("restart")


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Side:
    """As it has begun, and whoever joins finds it."""
    monkeypatch.setenv(contract.MESH_VARIABLE, str(tmp_path / "side"))
    made = Side(tmp_path / "side", engine)
    made.begin()
    return made


def joined(folder: Path) -> Mesh:
    """Whoever shares its network, as the pool has let it in."""
    authority = Authority(folder / "server", PIN, 7077)
    authority.create()
    told = authority.admit("lab", 5, mesh.public_key(folder / "member"))
    mesh.settle(folder / "member", {**told, "blocked": []}, ["192.168.1.10"])
    return Mesh(folder / "member", _nowhere)


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "side" / nebula.CONFIG_NAME).read_text()))


def test_what_who_has_joined_says_is_done_and_its_key_is_not_his(
    side: Side, tmp_path: Path, engine: Engine
) -> None:
    member = joined(tmp_path)
    member.tend()
    assert side.step()
    found = read(tmp_path)
    assert found["static_host_map"] == {FIRST: ["192.168.1.10:7077"]}
    assert found["pki"]["key"] == str(tmp_path / "side" / nebula.KEY_NAME)
    assert not list((tmp_path / "member").glob("*.key"))
    member.block(["ab" * 32])
    member.tend()
    assert side.step()
    member.move(["192.168.1.99"])
    member.tend()
    assert side.step()
    assert engine.done[1:] == ["reload", "restart"]
    assert read(tmp_path)["static_host_map"] == {FIRST: ["192.168.1.99:7077"]}
    member.leave()
    assert not side.step()


@pytest.mark.parametrize(
    "wrong",
    [
        {"static_host_map": {"10.0.0.1": ["192.168.1.10:7077"]}},
        {"static_host_map": {FIRST: ["192.168.1.10"]}},
        {"listen": {"port": "/etc"}},
    ],
)
def test_it_is_told_facts_and_takes_nothing_else(
    side: Side, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    joined(tmp_path).tend()
    assert side.step()
    before, file = read(tmp_path), tmp_path / "side" / beside.TOLD / beside.TOLD_NAME
    said = json.loads(file.read_text())
    more = {"tun": {"unsafe_routes": [{"route": "0.0.0.0/0", "via": FIRST}]}, "sshd": {"a": "b"}}
    file.write_text(json.dumps({**said, "config": said["config"] | more}))
    assert side.step()
    assert read(tmp_path) == before
    for each in (json.dumps({**said, "config": said["config"] | wrong}), "[", "7"):
        file.write_text(each)
        assert side.step()
        assert read(tmp_path) == before


def test_a_network_that_is_another_is_noticed(side: Side, tmp_path: Path) -> None:
    member = joined(tmp_path)
    assert not member.is_elsewhere
    (tmp_path / "side" / beside.NETWORK_NAME).write_text("7")
    assert member.is_elsewhere


def test_by_a_detour_it_asks_at_loopback(side: Side, tmp_path: Path) -> None:
    joined(tmp_path).tend()
    side.step()
    told = json.loads((tmp_path / "member" / nebula.CONFIG_NAME).read_text())
    found = beside.rendered(tmp_path / "side", nebula.detoured(told, 4001, 4002))
    assert found["static_host_map"] == {FIRST: [f"{contract.LOOPBACK}:4001"]}
    assert found["listen"]["port"] == 4002
    assert nebula.ALLOWED not in found["lighthouse"]
