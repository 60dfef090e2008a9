"""Profiles on disk: read as a person left them, kept for the ranks of a run, gone when asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.profiles import found

from evener.errors import NotPermitted, ProfilesBroken
from evener.rundir import measured
from evener.rundir.layout import RunDir
from evener.shares import Speed


def test_what_is_kept_for_a_run_its_ranks_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.create()
    assert measured.speeds_of(run) == {}
    measured.keep(run, found.profiles())
    assert measured.speeds_of(run) == {0: Speed(0.01, 0.01), 1: Speed(0.01, 0.04)}
    measured.keep(run, None)
    assert measured.speeds_of(run) == {}


def test_a_file_may_come_from_an_editor_of_windows(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    measured.write(file, found.profiles())
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert measured.read(file) == found.profiles()


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProfilesBroken, match="there are no profiles at"):
        measured.read(tmp_path / "none.json")
    with pytest.raises(ProfilesBroken):
        measured.read(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"job": "caf\xe9"}')
    with pytest.raises(ProfilesBroken, match="not UTF-8"):
        measured.read(tmp_path / "latin.json")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(NotPermitted):
        measured.read(tmp_path / "latin.json")
