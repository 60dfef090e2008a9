"""An image that is handed on by itself: to who has its code, and to nobody for anything else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from evener import contract, errors
from evener.contract import LOOPBACK
from evener.docker import Engine
from evener.image import parcel
from evener.image.parcel import Label
from evener.pool import code, entry, fetching, handing, house, images
from evener.pool.client import AnsweredError
from evener.pool.code import Code
from evener.pool.handing import Stand
from tests.image import archives
from tests.pool.serving import caller, serving
from tests.pool.test_images import LABEL, pack, silent
from tests.pool.test_server import owner

PASSED_ON = replace(LABEL, evener="", torch="")  # whose, is not asked


@pytest.fixture(autouse=True)
def _packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the engine would save it."""

    def packed(engine: Engine, image: str, folder: Path, note: Callable[[str], None]) -> Label:
        pack(folder, PASSED_ON)
        return PASSED_ON

    monkeypatch.setattr(parcel, "pack", packed)
    monkeypatch.setenv(contract.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextmanager
def served(told: list[str]) -> Iterator[Stand]:
    with handing.stand(Engine(), "demo:1", LOOPBACK, 0, told.append) as made:
        serves = made.server.serve(sockets=[made.listening])
        thread = threading.Thread(target=lambda: asyncio.run(serves))
        thread.start()
        try:
            yield made
        finally:
            made.server.end()
            thread.join()


def left(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "cache/served").glob("*/*")]


def test_who_has_the_code_gets_what_is_lacking_and_nothing_of_it_stays(tmp_path: Path) -> None:
    told: list[str] = []
    killed = tmp_path / "cache/served" / house.joined_folder().name / "999999999-0abc.left"
    killed.mkdir(parents=True)
    with served(told) as made:
        assert killed not in left(tmp_path)
        by = entry.to_image(made.code)
        server, said = entry.first(by, images.OFFER, {"stacks": [["sha256:a", "sha256:other"]]})
        offer = fetching._read(server, by, said)
        assert offer is not None
        assert offer.label == PASSED_ON
        assert {p.name for p in offer.parts} == {"code.tar", archives.CONFIG, archives.MANIFEST}
        here = tmp_path / "here"
        here.mkdir()
        fetching._fetch(offer, here, silent)
        assert sum(file.stat().st_size for file in here.iterdir()) > 100_000
        assert told == [f"{LOOPBACK} asks for it, and lacks 100 kB"]
        with served(told):  # another one, meanwhile
            assert len(left(tmp_path)) == 2
    assert left(tmp_path) == []


def test_who_has_not_is_told_nothing_and_who_has_can_do_nothing_else() -> None:
    with served([]) as made:
        secret = code.decode(made.code).secret
        for who, path in (("guess", "image"), ("guess", "join"), (secret, "join"), (secret, "x")):
            with pytest.raises(AnsweredError, match="404"):
                caller(made.pool, who).call("POST", path, {"stacks": []})


def test_the_code_of_an_image_joins_nothing_and_another_certificate_hears_nothing() -> None:
    with served([]) as made:
        with pytest.raises(errors.CodeRefused) as refused:
            entry.entrance(made.code)
        assert "evener image fetch" in refused.value.fix
        told = code.decode(made.code)
        other = code.encode(replace(told, pin="ab" * code.PIN_BYTES))
        with pytest.raises(errors.CodeRefused, match="in between") as stranger:
            fetching.offered(replace(entry.to_image(other), search=lambda pin: ()))
        assert "evener image serve" in stranger.value.fix
        wrong = code.encode(replace(told, secret="00" * code.SECRET_BYTES))
        with pytest.raises(errors.CodeRefused, match="nothing of this code"):
            fetching.offered(entry.to_image(wrong))


def test_the_code_of_a_pool_does_too(tmp_path: Path) -> None:
    with serving(tmp_path) as pool:
        pin = pool.pin[: 2 * code.PIN_BYTES]
        secret = str(owner(pool).mint(60.0, 1)["secret"])
        typed = code.encode(Code((LOOPBACK,), pool.port, secret, pin))
        assert fetching.offered(entry.to_image(typed)) is None  # it hands on none yet
        pack(tmp_path / "image")
        offer = fetching.offered(entry.to_image(typed))
    assert offer is not None
    assert (offer.label, offer.by.line.serves) == (LABEL, "evener up")


def test_a_port_that_is_taken_and_a_code_that_is_none_are_one_sentence() -> None:
    with (
        served([]) as made,
        pytest.raises(errors.PortTaken) as taken,
        handing.stand(Engine(), "demo:1", LOOPBACK, made.pool.port, silent),
    ):
        pass
    assert taken.value.fix.startswith("evener image serve --port")
    with pytest.raises(errors.CodeRefused) as wrong:
        entry.to_image("ABC")
    assert wrong.value.where == "evener image fetch"
