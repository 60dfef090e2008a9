"""A machine of another version: what it is told where there is nothing to run an image with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evener import errors, versions
from evener.contract import LOOPBACK
from evener.docker import Engine
from evener.pool import boarding, code, contained, entry, house
from evener.pool.code import PIN_BYTES, Code
from evener.pool.contained import Entry
from evener.pool.house import Pool
from evener.versions import Versions
from tests.pool.serving import serving
from tests.pool.test_images import pack
from tests.pool.test_server import TOLD, owner


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Ours is another version, and we have nothing of a pool yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def introduction(folder: Path) -> dict[str, Any]:
        return {**TOLD, "evener": "0.0.9"}

    monkeypatch.setattr(entry, "introduction", introduction)
    with serving(tmp_path) as found:
        yield found


def typed(pool: Pool) -> str:
    secret = str(owner(pool).mint(60.0, 1)["secret"])
    return code.encode(Code((LOOPBACK,), pool.port, secret, pool.pin[: 2 * PIN_BYTES]))


def test_without_an_engine_it_hears_of_both_ways(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boarding, "Engine", lambda: Engine(("no-such-docker",)))
    notes: list[str] = []
    with pytest.raises(errors.VersionsDiffer) as refused:
        boarding.join(typed(pool), None, notes.append)
    assert "pip install" in refused.value.fix
    assert "evener up --image" in refused.value.fix
    assert "no-such-docker" in refused.value.fix
    assert notes == []
    assert house.read_joined(house.joined_folder()) is None
    assert owner(pool).tokens()[0]["uses"] == 1


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


def test_what_starts_it_gives_no_rights() -> None:
    line = contained.line(Entry("AB-CD", "evener:1", at="10.0.0.1", gpus=True))
    assert {"--cap-drop=ALL", "--user=65534:65534", "--gpus=all"} <= {*line}
    assert not [word for word in line if "docker.sock" in word or word == "--privileged"]
    assert line[-3:] == ("--at", "10.0.0.1", "AB-CD")
