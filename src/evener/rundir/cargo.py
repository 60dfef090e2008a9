"""Files of a person that a run needs on other machines: packed on one, unpacked on the others.

    RUN/cargo/cargo.json     {"code": SHA256, "reads": {PATH: SHA256}}
    RUN/cargo/SHA256.tar     what it names; the same content gives the same name

Code is unpacked in the run's folder, data in the cache, where the next run finds it. Whatever a
tar says, nothing is written outside of its folder, and nothing that is no file or folder.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import errors
from evener.rundir import layout
from evener.rundir.layout import RunDir

LIST_NAME = "cargo.json"
CODE, READS = "code", "reads"
_NOT_CODE = {"__pycache__", ".git", ".venv", "node_modules"}
_KEYS = (("data", "path"), ("model", "weights"))  # of the job: paths that ranks read


@dataclass(frozen=True, slots=True)
class Size:
    """Of what would travel."""

    files: int
    size_bytes: int


def size(path: Path) -> Size:
    found = [file.stat().st_size for file in _files(path)]
    return Size(len(found), sum(found))


def pack(run: RunDir, code: Sequence[Path], reads: Sequence[str]) -> None:
    """Into the run's folder, for heads to hand out."""
    shutil.rmtree(run.cargo, ignore_errors=True)
    with layout.translated(run.cargo):
        run.cargo.mkdir(parents=True)
        told: dict[str, Any] = {READS: {path: _packed(run, [Path(path)]) for path in reads}}
        if code:
            told[CODE] = _packed(run, code)
        layout.write_json(run.cargo / LIST_NAME, told)


def _packed(run: RunDir, paths: Sequence[Path]) -> str:
    """The same files give the same bytes: no times, no owners."""
    beside = run.cargo / f".{secrets.token_hex(4)}"
    with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            for file in _files(path):
                name = (Path(path.name) / file.relative_to(path)).as_posix()
                told = tarfile.TarInfo(name)
                told.size, told.mode = file.stat().st_size, 0o644
                with file.open("rb") as content:
                    tar.addfile(told, content)
    sha256 = layout.digest(beside)
    beside.replace(run.cargo / f"{sha256}.tar")
    return sha256


def _files(path: Path) -> list[Path]:
    """What a link points to travels as a file."""
    if not path.is_dir():
        return [path]
    inside = path.rglob("*")
    return sorted(f for f in inside if f.is_file() and not _NOT_CODE & {*f.relative_to(path).parts})


def unpack(run: RunDir, code: Path, cache: Path) -> None:
    """What has come into the run's folder, and the job as it reads on this machine."""
    file = run.cargo / LIST_NAME
    if not file.is_file():
        return
    told = layout.read_json(file)
    if CODE in told:
        _unpacked(run, told[CODE], code)
    here = places(run, cache)
    job = json.loads(run.job_file.read_text(encoding="utf-8"))
    for table, key in _KEYS:
        named = (job.get(table) or {}).get(key)
        if named in here:
            job[table][key] = here[named]
    layout.write_json(run.job_file, job)


def places(run: RunDir, cache: Path) -> dict[str, str]:
    """Where data are that came here, by the path that they have at home."""
    file = run.cargo / LIST_NAME
    told = layout.read_json(file)[READS] if file.is_file() else {}
    return {path: str(_cached(run, sha256, cache)) for path, sha256 in told.items()}


def missing(run: RunDir, cache: Path, names: Sequence[str]) -> list[str]:
    """Of the names in a listing, those that are not here yet: data may be, from an earlier run."""
    return [n for n in names if not (cache / Path(n).stem).is_dir() and not (run.path / n).exists()]


def _cached(run: RunDir, sha256: str, cache: Path) -> Path:
    folder = cache / sha256
    if not folder.is_dir():
        _unpacked(run, sha256, folder)
    return next(folder.iterdir())


def _unpacked(run: RunDir, sha256: str, folder: Path) -> None:
    """Whole or not at all; the tar is gone afterwards."""
    packed = run.cargo / f"{sha256}.tar"
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    with layout.translated(folder):
        if layout.digest(packed) != sha256:
            packed.unlink()
            raise errors.StartFailed(
                "what the run needs did not come as it was sent",
                where=str(packed),
                fix="it is fetched again when the agent starts again",
            )
        beside.mkdir(parents=True)
        with tarfile.open(packed) as tar:
            for member in tar:
                _write(tar, member, beside)
        shutil.rmtree(folder, ignore_errors=True)
        beside.replace(folder)
        packed.unlink()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """What `pack` has written is files. (tarfile's own filters came with Python 3.11.4.)"""
    target = (folder / member.name).resolve()
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or not target.is_relative_to(folder.resolve()):
        raise errors.StartFailed(
            f"what the run needs has {member.name!r} in it, which is no file of its folder",
            where=str(folder),
            fix="start the run again from a machine that you trust",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
