"""Which way a machine gets into a pool: by the versions of both, and what a container may do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import versions
from evener.contract import LOOPBACK
from evener.pool import boarding, code, contained
from evener.pool.code import PIN_BYTES, Code
from evener.pool.contained import Entry
from evener.pool.house import Pool
from evener.versions import Versions
from tests.pool.serving import serving
from tests.pool.test_images import pack
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


def test_what_starts_it_gives_no_rights() -> None:
    line = contained.line(Entry("AB-CD", "evener:1", at="10.0.0.1", gpus=True))
    assert {"--cap-drop=ALL", "--user=65534:65534", "--gpus=all"} <= {*line}
    assert not [word for word in line if "docker.sock" in word or word == "--privileged"]
    assert line[-3:] == ("--at", "10.0.0.1", "AB-CD")
