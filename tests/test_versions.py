"""Which versions are one, and how they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

import evener
from evener import versions
from evener.versions import Versions

OURS = Versions("0.1.0", "2.13.0+cpu")


@pytest.mark.parametrize(
    ("other", "packages"),
    [
        (OURS, ()),
        (Versions("0.1.0", "2.13.0+cu130"), ()),
        (Versions("0.1.0", "2.13.0"), ()),
        (Versions("0.1.0", "2.12.1+cpu"), ("torch",)),
        (Versions("0.1.0", "2.13.0a0+git1234"), ("torch",)),
        (Versions("0.1.0", ""), ("torch",)),
        (Versions("0.2.0", "2.13.0"), ("evener",)),
        (Versions("", ""), ("evener", "torch")),
    ],
)
def test_a_build_is_no_version(other: Versions, packages: tuple[str, ...]) -> None:
    assert versions.differing(OURS, other) == packages
    assert versions.differing(other, OURS) == packages


def test_a_greeting_is_heard_as_it_was_said() -> None:
    assert versions.greeted({"role": "agent", **versions.greeting(OURS)}) == OURS


@pytest.mark.parametrize("hello", [{}, {"versions": "2.13"}, {"versions": {}}])
def test_who_says_nothing_has_nothing(hello: dict[str, object]) -> None:
    assert versions.greeted(hello) == Versions("", "")


def test_versions_are_told_as_a_person_reads_them() -> None:
    assert versions.named(OURS, ("evener", "torch")) == "evener 0.1.0 and torch 2.13.0+cpu"
    assert versions.named(Versions("0.1.0", ""), ("torch",)) == "no torch"


def test_what_is_installed_is_what_python_finds_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "torch-9.8.7.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.8.7\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert versions.installed() == Versions(evener.__version__, "9.8.7")
