"""The mesh of a pool: what nebula is told, and which network a run is on."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from evener.pool import mesh, nebula
from evener.pool.authority import Authority
from evener.pool.paths import AUTO, HOST, MESH, Ways, chosen


def _nowhere() -> socket.socket:
    raise ConnectionError


DIRECT, BOTH = Ways("10.0.0.1:1", "", ""), Ways("10.0.0.2:1", "100.64.0.2:1", "")
BEHIND = Ways("192.168.1.2:1", "100.64.0.3:1", "it is behind NAT")


@pytest.mark.parametrize(
    ("policy", "machines", "network"),
    [
        (AUTO, [BOTH, BOTH], HOST),
        (AUTO, [BOTH, BEHIND], MESH),
        (AUTO, [BOTH, BEHIND, DIRECT], HOST),  # each leaves one out: directly is faster
        (AUTO, [BOTH, BEHIND, BEHIND, DIRECT], MESH),
        (HOST, [BOTH, BEHIND], HOST),
        (MESH, [BOTH, DIRECT], MESH),
    ],
)
def test_a_run_is_on_the_network_that_reaches_most(
    policy: str, machines: list[Ways], network: str
) -> None:
    assert chosen(policy, machines) == network


def test_why_a_machine_is_left_out_depends_on_the_network() -> None:
    assert "mesh" in DIRECT.why_not(MESH)
    assert BEHIND.why_not(HOST) == "it is behind NAT"
    assert not BEHIND.why_not(AUTO)
    assert BEHIND.door(MESH) == "100.64.0.3:1"


def test_the_first_knows_nobody_and_passes_on_and_others_know_it(tmp_path: Path) -> None:
    pin = "7f" * 32
    first, other = (mesh.address(pin, number) for number in (mesh.FIRST, 300))
    leads = nebula.config(tmp_path, first, first, 7077, ())
    follows = nebula.config(tmp_path, other, first, 7077, ("192.168.1.10",))
    assert leads["lighthouse"]["am_lighthouse"]
    assert leads["relay"]["am_relay"]
    assert leads["listen"]["port"] == 7077
    assert follows["static_host_map"] == {first: ["192.168.1.10:7077"]}
    assert follows["relay"]["relays"] == follows["lighthouse"]["hosts"] == [first]
    assert not follows["relay"]["am_relay"]
    [ranks, asked] = leads["firewall"]["inbound"]
    assert follows["firewall"]["inbound"] == [ranks]
    assert ranks == {"port": nebula.system_ports(), "proto": "tcp", "host": "any"}
    assert asked["port"] == "9"  # whether it is there
    assert len(follows["tun"]["dev"]) <= 15  # the kernel takes no more
    assert other.endswith(".1.44")
    json.dumps(follows)


def test_a_detour_leads_through_loopback_and_nobody_else_is_looked_for_there(
    tmp_path: Path,
) -> None:
    first, other = (mesh.address("7f" * 32, number) for number in (mesh.FIRST, 2))
    told = nebula.config(tmp_path, other, first, 7077, ("192.168.1.10", "10.0.0.1"))
    found = nebula.detoured(told, 4001, 4002)
    assert found["static_host_map"] == {first: ["127.0.0.1:4001"]}
    assert found["listen"]["port"] == 4002
    assert told["listen"]["port"] == 0
    assert not told["lighthouse"]["remote_allow_list"]["127.0.0.0/8"]
    assert "remote_allow_list" not in found["lighthouse"]
    assert found["relay"] == told["relay"]


def test_whoever_may_not_make_a_network_device_has_no_mesh() -> None:
    said = "Name:\tpython\nCapPrm:\t000001ffffffffff\nCapEff:\t{}\n"
    assert mesh.is_net_admin(said.format("000001ffffffffff"))
    assert not mesh.is_net_admin(said.format("0000000000000000"))
    assert not mesh.is_net_admin(said.format("00000000a80425fb"))  # root in a container


@pytest.mark.skipif(bool(mesh.missing()), reason=mesh.missing())
def test_who_joins_is_signed_and_its_key_stays_where_it_was_made(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "server", "7f" * 32, 7077)
    authority.create()
    public = mesh.public_key(tmp_path / "member")
    told = authority.admit("lab 1", 5, public)
    mesh.settle(tmp_path / "member", {**told, "blocked": ["ab"]}, ["192.168.1.10"])
    assert mesh.settled(tmp_path / "member")
    member = mesh.Mesh(tmp_path / "member", _nowhere)
    member.block(["ab", "cd"])
    member.move(["192.168.1.99"])
    found = json.loads((tmp_path / "member" / nebula.CONFIG_NAME).read_text())
    assert found["pki"]["blocklist"] == ["ab", "cd"]
    assert [*found["static_host_map"].values()] == [["192.168.1.99:7077"]]
    assert nebula.address_in(tmp_path / "member") == mesh.address("7f" * 32, 5) + "/16"
    assert mesh.public_key(tmp_path / "member") == public
    assert "PRIVATE" not in json.dumps(told)
