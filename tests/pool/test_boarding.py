"""Which way a machine gets into a pool: by the versions of both, and what a container may do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evener import errors, versions
from evener.cluster import Device
from evener.contract import LOOPBACK
from evener.docker import DESKTOP, Engine
from evener.image.parcel import Label
from evener.pool import boarding, code, contained
from evener.pool.code import PIN_BYTES, Code
from evener.pool.contained import Entry
from evener.pool.entry import Entrance
from evener.pool.fetching import Offer
from evener.pool.house import Joined, Pool
from evener.pool.paths import AUTO, HOST, MESH
from evener.versions import Versions
from evener.wire.calls import Server
from tests.pool.serving import serving
from tests.pool.test_images import LABEL, pack
from tests.pool.test_server import owner


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """We have nothing of it yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serving(tmp_path) as found:
        yield found


def typed(pool: Pool) -> str:
    secret = str(owner(pool).mint(60.0, 1)["secret"])
    return code.encode(Code((LOOPBACK,), pool.port, secret, pool.pin[: 2 * PIN_BYTES]))


@pytest.mark.parametrize(
    ("torch", "why"),
    [("", "has no torch"), ("2.6.0", "has torch 2.6.0"), ("2.13.0+cu130", "")],
)
def test_torch_is_compared_with_that_of_the_image(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: str, why: str
) -> None:
    monkeypatch.setattr(versions, "installed", lambda: Versions(versions.EVENER, torch))
    assert boarding._unlike(typed(pool), None) == ""  # there is no image
    pack(tmp_path / "image")
    found = boarding._unlike(typed(pool), None)
    assert found == (f"this machine {why}" if why else "")


GPU = Device("cuda", name="NVIDIA RTX A4000", uuid="GPU-1")
FOR_GPUS, FOR_CPUS = "2.13.0+cu130", "2.13.0+cpu"


def offered(label: Label) -> Offer:
    here = Server(LOOPBACK, 1, pin="ab" * PIN_BYTES)
    return Offer(here, Entrance(here.pin, (here,), "s"), label, ())


@pytest.mark.parametrize(
    ("devices", "torch", "programs", "given", "told"),
    [
        ((GPU,), FOR_GPUS, ("nvidia-smi", "nvidia-ctk"), True, ""),
        ((), FOR_GPUS, ("nvidia-smi", "nvidia-ctk"), False, ""),
        ((GPU,), FOR_CPUS, ("nvidia-smi", "nvidia-ctk"), False, "for processors"),
        ((GPU,), FOR_GPUS, ("nvidia-smi",), False, "install the package nvidia-container-toolkit"),
        ((GPU,), FOR_GPUS, ("nvidia-ctk",), False, "install the driver"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the engine brings the toolkit")
def test_a_container_gets_the_machines_gpus_where_image_driver_and_toolkit_are_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: tuple[Device, ...], torch: str,
    programs: tuple[str, ...], given: bool, told: str,
) -> None:  # fmt: skip
    for name in programs:
        (tmp_path / name).touch(0o755)
    says, notes = json.dumps({"NCPU": 2, "MemTotal": 1}), list[str]()
    engine = Engine(("/bin/sh", "-c", f"echo '{says}'"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert boarding._gives_gpus(devices, torch, engine, notes.append) == given
    assert told in " ".join(notes)
    assert len(notes) == bool(told)


def test_where_the_engine_refuses_gpus_it_starts_without_and_is_told_so() -> None:
    started, notes = list[bool](), list[str]()

    def start(by: Entry) -> Joined:
        started.append("--gpus=all" in contained.line(by))
        if by.gpus:
            raise errors.DeviceMissing("the engine does not know them", fix="mend it")
        return Joined(("x",), "m", "n", "s", container="evener")

    boarding._started(start, Entry("AB-CD", "evener:1", gpus=True), notes.append)
    assert started == [True, False]
    assert "mend it; then leave and join again" in notes[0]


def test_what_starts_it_gives_no_rights() -> None:
    line = contained.line(Entry("AB-CD", "evener:1", at="10.0.0.1", gpus=True))
    assert {"--cap-drop=ALL", "--user=65534:65534", "--gpus=all"} <= {*line}
    assert not [word for word in line if "docker.sock" in word or word == "--privileged"]
    assert line[-3:] == ("--at", "10.0.0.1", "AB-CD")


@pytest.mark.parametrize(
    ("network", "nebula", "system", "mesh"),
    [
        (AUTO, "yes", "Debian GNU/Linux 12", contained.SHARED),
        (AUTO, "yes", DESKTOP, contained.APART),
        (MESH, "yes", "Debian GNU/Linux 12", contained.APART),
        (AUTO, "", "Debian GNU/Linux 12", ""),
        (HOST, "yes", DESKTOP, ""),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere engines are in virtual machines")
def test_a_container_is_on_its_machines_network_where_others_may_reach_it_there(
    network: str, nebula: str, system: str, mesh: str
) -> None:
    offer = replace(offered(replace(LABEL, nebula=nebula)), network=network)
    says = json.dumps({"NCPU": 2, "MemTotal": 1, "OperatingSystem": system})
    engine, heard = Engine(("sh", "-c", f"echo '{says}'")), list[str]()
    assert boarding._mesh(offer, engine, heard.append) == mesh
    assert heard == ([] if nebula else ["it is in no mesh: there is no nebula in demo:1"])


@pytest.mark.parametrize(
    ("mesh", "of_side", "of_ranks"),
    [
        (contained.SHARED, ["--network=host"], ["--network=host"]),
        (contained.APART, [], [f"--network=container:{contained.SIDE}"]),
    ],
)
def test_one_right_is_given_to_the_container_of_the_mesh_alone(
    mesh: str, of_side: list[str], of_ranks: list[str]
) -> None:
    by = Entry("AB-CD", "evener:1", mesh=mesh)
    side, ranks = contained.side_line(by), contained.line(by)
    given = [word for word in (*side, *ranks) if word.startswith(("--cap-add", "--device"))]
    assert given == ["--cap-add=NET_ADMIN", "--device=/dev/net/tun"]
    assert "--cap-add=NET_ADMIN" in side
    assert "AB-CD" not in side
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges"} <= {*side} & {*ranks}
    for line, networks in ((side, of_side), (ranks, of_ranks)):
        assert [word for word in line if word.startswith("--network")] == networks
