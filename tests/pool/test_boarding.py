"""Which way a machine gets into a pool: by the versions of both, and what a container may do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evener import errors, versions
from evener.cluster import Device, Machine
from evener.contract import LOOPBACK
from evener.docker import DESKTOP, Engine, gpus
from evener.docker.engine import Facts
from evener.image.parcel import Label
from evener.placement import Hindrance
from evener.pool import boarding, code, contained, entry, fetching
from evener.pool.code import PIN_BYTES, Code
from evener.pool.contained import Container, Entry
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
WITH_GPUS = Label("evener:1", "sha256:i", "amd64", versions.EVENER, "2.13.0+cu130")
FOR_CPUS = replace(WITH_GPUS, torch="2.13.0+cpu")
NO_TOOLKIT = Hindrance("the toolkit is not installed", "install it")


def offered(label: Label) -> Offer:
    here = Server(LOOPBACK, 1, pin="ab" * PIN_BYTES)
    return Offer(here, Entrance(here.pin, (here,), "s"), label, ())


@pytest.mark.parametrize(
    ("devices", "label", "hindrance", "refuses", "given", "told"),
    [
        ((GPU,), WITH_GPUS, None, False, [True], ""),
        ((), WITH_GPUS, None, False, [False], ""),
        ((GPU,), FOR_CPUS, None, False, [False], "for processors"),
        ((GPU,), WITH_GPUS, NO_TOOLKIT, False, [False], "install it"),
        ((GPU,), WITH_GPUS, None, True, [True, False], "mend it; then leave and join again"),
    ],
)
def test_a_container_has_the_machines_gpus_where_image_and_engine_can_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: tuple[Device, ...], label: Label,
    hindrance: Hindrance | None, refuses: bool, given: list[bool], told: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    started, notes = list[bool](), list[str]()

    def start(container: Container, by: Entry) -> Joined:
        started.append("--gpus=all" in contained.line(by))
        if by.gpus and refuses:
            raise errors.DeviceMissing("the engine does not know them", fix="mend it")
        return Joined(("x",), "m", "n", "s", container="evener")

    machine = Machine("lab", "Linux", 4.0, 8 * 10**9, devices=devices)
    monkeypatch.setattr(boarding, "probe", lambda: machine)
    monkeypatch.setattr(Engine, "facts", lambda self: Facts(4.0, 8 * 10**9, ()))
    monkeypatch.setattr(gpus, "hindrance", lambda devices, runtimes: hindrance)
    monkeypatch.setattr(contained, "check_free", lambda container: None)
    monkeypatch.setattr(contained, "start", start)
    monkeypatch.setattr(fetching, "bring", lambda offer, engine, note: None)
    monkeypatch.setattr(entry, "listed", lambda joined, started, meshed: {})
    boarding._in_container(offered(label), "AB-CD", None, notes.append)
    assert started == given
    assert told in " ".join(notes)
    assert len(notes) == bool(told)


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
