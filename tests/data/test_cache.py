"""What was computed once is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from evener.contract import cache_folder
from evener.data.cache import entry, of_file, refusals
from evener.errors import DataDamaged, DiskFull, NotPermitted


def test_the_variable_decides(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.setenv("EVENER_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG is a custom of Unix")
def test_without_it_the_system_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVENER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "evener"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "evener"


def test_an_entry_is_made_once() -> None:
    made: list[str] = []

    def fill(folder: Path) -> None:
        made.append(folder.name)
        (folder / "a").write_text("content")

    first = entry("things", ("a", "b"), fill)
    assert entry("things", ("a", "b"), fill) == first
    assert (first / "a").read_text() == "content"
    assert entry("things", ("ab",), fill) != first
    assert len(made) == 2


def test_an_entry_that_failed_leaves_nothing(cache: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "a"))

    with pytest.raises(DiskFull) as caught:
        entry("things", ("a",), fill)
    assert "EVENER_CACHE" in caught.value.fix
    assert list((cache / "things").iterdir()) == []


def test_what_a_killed_process_left_is_swept(cache: Path) -> None:
    made = entry("things", ("a",), lambda folder: None)
    made.rmdir()
    left_over = made.with_name(f".{made.name}.4242")
    left_over.mkdir()
    (left_over / "half").write_text("x")
    assert list(entry("things", ("a",), lambda folder: None).iterdir()) == []
    assert [p.name for p in (cache / "things").iterdir()] == [made.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFull, match="no space is left"),
        refusals(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_other_refusals_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="Permission denied") as caught, refusals(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", "some/file")
    assert caught.value.where == "some/file"
    with pytest.raises(DataDamaged, match="Input/output error"), refusals(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


def test_a_changed_file_has_another_name_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    first = of_file(path)
    assert of_file(path) == first
    os.utime(path, ns=(1, 2))
    assert of_file(path) != first
    path.write_text("longer")
    os.utime(path, ns=(1, 1))
    assert of_file(path) != first
