"""An image comes from a pool part by part. That engines take what comes, others test."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evener import errors, versions
from evener.contract import LOOPBACK
from evener.image import parcel
from evener.image.parcel import Label
from evener.pool import entry, fetching, images
from evener.pool.client import AnsweredError
from evener.pool.entry import Entrance
from evener.pool.fetching import Offer
from evener.pool.house import Pool
from evener.wire.calls import Server
from tests.image import archives
from tests.pool.serving import caller, serving
from tests.pool.test_server import owner

LAYERS = {"sha256:a": "base.tar", "sha256:b": "code.tar"}
LABEL = Label("demo:1", "sha256:i", "amd64", versions.EVENER, "2.13.0+cpu")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with serving(tmp_path) as found:
        yield found


def pack(folder: Path, label: Label = LABEL) -> dict[str, str]:
    """As `evener up --image` does; the hashes by name."""
    folder.mkdir()
    archives.write(folder / "image.tar", LAYERS, b"x" * 100_000)
    digests = parcel._digests(folder / "image.tar")
    told = {"v": 1, "label": asdict(label), "digests": digests}
    (folder / "image.json").write_text(json.dumps(told))
    return digests


def offer(pool: Pool, stacks: list[list[str]]) -> Offer:
    secret = str(owner(pool).mint(60.0, 1)["secret"])
    by = Entrance(pool.pin, (Server(LOOPBACK, pool.port, pin=pool.pin),), secret)
    found = fetching._read(by.servers[0], by, entry.first(by, images.OFFER, {"stacks": stacks})[1])
    assert found is not None
    return found


def silent(text: str) -> None:
    """Nobody listens."""


def test_what_is_lacking_comes_and_makes_the_image_again(pool: Pool, tmp_path: Path) -> None:
    pack(tmp_path / "image")
    found = offer(pool, [["sha256:a", "sha256:other"]])
    assert found.label == LABEL
    assert {p.name for p in found.parts} == {"code.tar", archives.CONFIG, archives.MANIFEST}
    here = tmp_path / "here"
    here.mkdir()
    fetching._fetch(found, here, silent)
    parcel.put_together(found.parts, here, tmp_path / "made.tar")
    with (
        tarfile.open(tmp_path / "image/image.tar") as sent,
        tarfile.open(tmp_path / "made.tar") as came,
    ):
        assert {*sent.getnames()} - {*came.getnames()} == {"base.tar"}
        for name in came.getnames():
            one, other = sent.extractfile(name), came.extractfile(name)
            assert one is not None
            assert other is not None
            assert one.read() == other.read()
    assert owner(pool).tokens()[0]["uses"] == 1  # to fetch it is not to join


def test_it_goes_on_where_it_broke_off_and_is_not_believed_with_another_hash(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = pack(tmp_path / "image")["code.tar"]
    here, heard = tmp_path / "here", []
    here.mkdir()
    begun = here / f".{sha256}.fetched"
    begun.write_bytes(b"x" * 60_000)
    monkeypatch.setattr(fetching._Progress, "heard", lambda self, length: heard.append(length))
    found = offer(pool, [])
    code_alone = replace(found, parts=tuple(p for p in found.parts if p.name == "code.tar"))
    fetching._fetch(code_alone, here, silent)
    assert heard == [100_000]
    assert hashlib.sha256((here / sha256).read_bytes()).hexdigest() == sha256

    (here / sha256).unlink()
    begun.write_bytes(b"y" * 60_000)  # all of it is fetched again
    fetching._fetch(code_alone, here, silent)
    assert (here / sha256).read_bytes() == b"x" * 100_000

    packed = tmp_path / "image/image.tar"
    packed.write_bytes(packed.read_bytes().replace(b"xx", b"zz"))  # a disk that forgets
    (here / sha256).unlink()
    with pytest.raises(errors.StartFailed, match="another hash"):
        fetching._fetch(code_alone, here, silent)


def test_a_stranger_gets_nothing_of_it(pool: Pool, tmp_path: Path) -> None:
    sha256 = pack(tmp_path / "image")["code.tar"]
    for method, path in (("POST", "image"), ("GET", f"image/v1/folder/{sha256}")):
        with pytest.raises(AnsweredError, match="404"):
            caller(pool, "guess").call(method, path, {"stacks": []})


@pytest.mark.parametrize("label", [None, replace(LABEL, evener="0.0.9")])
def test_no_image_is_offered_that_the_pool_would_not_let_in(
    pool: Pool, tmp_path: Path, label: Label | None
) -> None:
    if label is not None:
        pack(tmp_path / "image", label)
    assert caller(pool, pool.owner).call("POST", images.OFFER, {"stacks": []}) == {}


def test_what_is_no_part_of_an_image_is_not_taken() -> None:
    part = {"name": "a", "kind": "0", "link": "", "size": 1, "sha256": "../../x"}
    for wrong in (part, {**part, "sha256": "0" * 64, "kind": "3"}):
        with pytest.raises(ValueError, match="no part"):
            parcel.understood({"label": asdict(LABEL), "parts": [wrong]})
