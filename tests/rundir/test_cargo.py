"""What travels of a person's files: the same there as here, once, and nowhere else than it may."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from evener.errors import StartFailed
from evener.rundir import cargo, freight, layout
from evener.rundir.layout import RunDir


@pytest.fixture
def home(tmp_path: Path) -> RunDir:
    """A run on the head's machine, with a person's code and data packed."""
    own = tmp_path / "own"
    (own / "package/__pycache__").mkdir(parents=True)
    (own / "package/__init__.py").write_text("X = 1\n")
    (own / "package/__pycache__/old.pyc").write_text("")
    (own / "words.txt").write_text("to be or not to be")
    run = RunDir(tmp_path / "home")
    run.create()
    layout.write_json(run.job_file, {"data": {"path": str(own / "words.txt")}, "model": {}})
    cargo.pack(run, [own / "package"], [str(own / "words.txt")])
    return run


def arrived(home: RunDir, folder: Path) -> RunDir:
    """What a machine has fetched of it."""
    run = RunDir(folder)
    run.create()
    run.cargo.mkdir()
    run.job_file.write_bytes(home.job_file.read_bytes())
    names = list(freight.listing(home)["cargo"])
    for name in cargo.missing(run, folder.parent / "cache", names):
        (run.path / name).write_bytes((home.path / name).read_bytes())
    return run


def test_code_and_data_are_there_as_they_were_and_the_job_says_where(
    home: RunDir, tmp_path: Path
) -> None:
    there = arrived(home, tmp_path / "there")
    cargo.unpack(there, there.path / "code", tmp_path / "cache")
    found = sorted(p.name for p in (there.path / "code").rglob("*") if p.is_file())
    assert found == ["__init__.py"]
    path = Path(json.loads(there.job_file.read_text())["data"]["path"])
    assert path.is_relative_to(tmp_path / "cache")
    assert path.read_text() == "to be or not to be"
    assert cargo.size(tmp_path / "own" / "package") == cargo.Size(1, 6)


def test_data_that_was_there_before_does_not_travel_again(home: RunDir, tmp_path: Path) -> None:
    first = arrived(home, tmp_path / "first")
    cargo.unpack(first, first.path / "code", tmp_path / "cache")
    second = arrived(home, tmp_path / "second")
    assert len(list(second.cargo.glob("*.tar"))) == 1  # the code
    cargo.unpack(second, second.path / "code", tmp_path / "cache")
    assert (second.path / "code/package/__init__.py").is_file()


def test_the_same_files_have_the_same_name_whenever_they_are_packed(
    home: RunDir, tmp_path: Path
) -> None:
    names = {file.name for file in home.cargo.iterdir()}
    (tmp_path / "own/words.txt").touch()
    cargo.pack(home, [tmp_path / "own/package"], [str(tmp_path / "own/words.txt")])
    assert {file.name for file in home.cargo.iterdir()} == names


def test_what_did_not_come_as_it_was_is_not_unpacked(home: RunDir, tmp_path: Path) -> None:
    there = arrived(home, tmp_path / "there")
    for packed in there.cargo.glob("*.tar"):
        packed.write_bytes(packed.read_bytes()[:-1] + b"x")
    with pytest.raises(StartFailed, match="as it was sent"):
        cargo.unpack(there, there.path / "code", tmp_path / "cache")


def test_a_tar_writes_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    there = RunDir(tmp_path / "there")
    there.create()
    there.cargo.mkdir()
    layout.write_json(there.job_file, {})
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../outside"))
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    (there.cargo / f"{sha256}.tar").write_bytes(content.getvalue())
    layout.write_json(there.cargo / cargo.LIST_NAME, {cargo.CODE: sha256, cargo.READS: {}})
    with pytest.raises(StartFailed, match="no file of its folder"):
        cargo.unpack(there, there.path / "code", tmp_path / "cache")
    assert not (tmp_path / "outside").exists()
