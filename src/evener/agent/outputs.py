"""A script's files between an agent's own disk and the run's folder on the head's machine.

What it writes is brought home while it runs; before it starts anew on any machine, what others
brought is fetched: so its newest checkpoint is wherever it goes on. Of one file that two machines
wrote, the one that came last holds. Where what could not be fetched, what is here stands.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evener import ignored
from evener.rundir import outputs
from evener.rundir.layout import RunDir
from evener.wire.porter import PIECE_BYTES, Porter

Mark = tuple[int, int]  # size, and when it was written


@dataclass(slots=True)
class Outputs:
    """Of one agent, whose disk is its own. `stays` are lines as of a .gitignore."""

    agent: str
    run: RunDir
    stays: Sequence[str]
    _here: dict[str, Mark] = field(default_factory=dict)  # as it is known at home
    _home: dict[str, Mark] = field(default_factory=dict)  # as it was there then

    def unpack(self) -> None:
        """The code, once in a life of this disk."""
        if not self.run.code_file.is_file():
            return
        with tarfile.open(self.run.code_file) as archive:
            files = [m for m in archive if m.isfile() and outputs.is_below(m.name)]
            if not self.run.work.is_dir():
                for member in files:
                    _lay_out(archive, member, self.run.work / member.name)
            code = {member.name for member in files}
        self._here = {path: mark for path, mark in self._written().items() if path in code}

    def bring(self, porter: Porter) -> None:
        """All that is new here. Raises OSError where the head does not take it."""
        for path, mark in self._written().items():
            if self._here.get(path) != mark and self._bring(porter, path):
                self._here[path] = mark

    def fetch(self, porter: Porter) -> None:
        """All that is newer at home."""
        known = self._rules()
        for path, (size, written) in porter.listing().get("outputs", {}).items():
            file, mark = self.run.work / path, (int(size), int(written))
            is_code = path in self._here and path not in self._home and file.is_file()
            if is_code and file.stat().st_size == size:
                self._home[path] = mark
            if self._home.get(path) == mark or _stays(path, known):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            porter.fetch(outputs.name_at_home(path), file)
            self._home[path], self._here[path] = mark, _mark(self.run, path)

    def _bring(self, porter: Porter, path: str) -> bool:
        """False for a file that is being written, or has gone: the next look sees more."""
        file, name = self.run.work / path, outputs.name_from(self.agent, path)
        try:
            before = _mark(self.run, path)
            sha256 = outputs.digest(file)
            if before[0] == 0:
                porter.bring(name, 0, b"")
            at = 0
            with file.open("rb") as opened:
                while piece := opened.read(PIECE_BYTES):
                    at = porter.bring(name, at, piece)
            whole = before == _mark(self.run, path) and porter.settle(name, sha256)
        except FileNotFoundError:
            return False
        if whole:
            self._home.pop(path, None)  # what we brought is newer than what we knew
        return whole

    def _written(self) -> dict[str, Mark]:
        known = self._rules()
        found = outputs.listing(self.run).items()
        return {path: (mark[0], mark[1]) for path, mark in found if not _stays(path, known)}

    def _rules(self) -> list[ignored.Rule]:
        return ignored.rules((*ignored.ALWAYS, *self.stays))


def _lay_out(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Plain files only, below the folder: an archive could say otherwise."""
    content = archive.extractfile(member)
    assert content is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
    os.utime(target, (member.mtime, member.mtime))


def _mark(run: RunDir, path: str) -> Mark:
    known = (run.work / path).stat()
    return known.st_size, known.st_mtime_ns


def _stays(path: str, known: Sequence[ignored.Rule]) -> bool:
    parts = path.split("/")
    folders = ("/".join(parts[:n]) for n in range(1, len(parts)))
    return ignored.is_ignored(path, known, folder=False) or any(
        ignored.is_ignored(folder, known, folder=True) for folder in folders
    )
