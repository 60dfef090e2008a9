"""A script's files between an agent's own disk and the run's folder on the head's machine.

What it writes is brought home while it runs; before it starts anew on any machine, what others
brought is put in its place: so its newest checkpoint is wherever it goes on. It is fetched as soon
as it has settled at home, for when it is needed the head's machine may be the one that is lost.
Of one file that two machines write, the one that came last holds, and they are told so.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evener import ignored
from evener.rundir import layout, outputs
from evener.rundir.layout import RunDir
from evener.rundir.outputs import Mark
from evener.wire.porter import PIECE_BYTES, Porter

MOST_TOLD = 3  # of files that two machines write: the others are so for the same reason
_AHEAD = ".ahead"  # in an agent's own copy of the run's folder: what waits to be put in its place


@dataclass(slots=True)
class Outputs:
    """Of one agent, whose disk is its own. `stays` are lines as of a .gitignore; `places` says
    where data that came here are, by their path at home."""

    agent: str
    run: RunDir
    stays: Sequence[str]
    places: Mapping[str, str] = field(default_factory=dict)
    _links: list[str] = field(default_factory=list)  # to what the script only reads
    _here: dict[str, Mark] = field(default_factory=dict)  # as it is known at home
    _home: dict[str, Mark] = field(default_factory=dict)  # as it was there then
    _ahead: dict[str, Mark] = field(default_factory=dict)  # as it was there when it was fetched
    _seen: dict[str, Mark] = field(default_factory=dict)  # at the last look ahead
    _shared: list[str] = field(default_factory=list)  # what others write as well
    _told: set[str] = field(default_factory=set)

    def unpack(self) -> None:
        """The code, once in a life of this disk."""
        if not self.run.code_file.is_file():
            return
        with tarfile.open(self.run.code_file) as archive:
            files = [m for m in archive if m.isfile() and outputs.is_below(m.name)]
            if not self.run.work.is_dir():
                for member in files:
                    _lay_out(archive, member, self.run.work / member.name)
            links = {m.name: m.linkname for m in archive if m.issym() and outputs.is_near(m.name)}
            code = {member.name for member in files}
        outputs.link(self.run, {name: self.places.get(to, to) for name, to in links.items()})
        self._links = [f"/{name}" for name in links]
        self._here = {path: mark for path, mark in self._written().items() if path in code}

    def forget(self) -> None:
        """Home is another folder now."""
        self._here.clear()
        self._home.clear()
        self._ahead.clear()

    def bring(self, porter: Porter) -> None:
        """All that is new here. Raises OSError where the head does not take it."""
        for path, mark in self._written().items():
            if self._here.get(path) != mark and self._bring(porter, path):
                self._here[path] = mark

    def fetch(self, porter: Porter) -> None:
        """All that is newer at home is put in its place: nobody runs who would write there."""
        for path, mark in self._newer(porter.listing()):
            if self._ahead.get(path) != mark:
                self._fetch(porter, path, mark)
            self._place(path)

    def make_do(self) -> None:
        """The same where home is out of reach, with what was fetched ahead."""
        for path in list(self._ahead):
            self._place(path)

    def look_ahead(self, porter: Porter) -> None:
        """Fetch what is newer at home, and has been the same for two looks."""
        newer = dict(self._newer(porter.listing()))
        for path, mark in newer.items():
            if self._seen.get(path) == mark != self._ahead.get(path):
                self._fetch(porter, path, mark)
        self._seen = newer

    def _newer(self, listing: Mapping[str, Any]) -> Iterator[tuple[str, Mark]]:
        known = self._rules()
        for path, (size, written) in listing.get("outputs", {}).items():
            file, mark = self.run.work / path, (int(size), int(written))
            is_code = path in self._here and path not in self._home and file.is_file()
            if is_code and file.stat().st_size == size:
                self._home[path] = mark
            if self._home.get(path) != mark and not _stays(path, known):
                yield path, mark

    def _fetch(self, porter: Porter, path: str, mark: Mark) -> None:
        beside = self.run.path / _AHEAD / path
        beside.parent.mkdir(parents=True, exist_ok=True)
        porter.fetch(outputs.name_at_home(path), beside)
        self._ahead[path] = mark

    def _place(self, path: str) -> None:
        file, mark = self.run.work / path, self._ahead.pop(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        (self.run.path / _AHEAD / path).replace(file)
        self._home[path], self._here[path] = mark, _mark(self.run, path)

    def newly_shared(self) -> list[str]:
        """Files that another machine writes too, once of each."""
        found = [path for path in dict.fromkeys(self._shared) if path not in self._told]
        found = found[: MOST_TOLD - len(self._told)]
        self._shared.clear()
        self._told.update(found)
        return found

    def _bring(self, porter: Porter, path: str) -> bool:
        """False for a file that is being written, or has gone: the next look sees more."""
        file, name = self.run.work / path, outputs.name_from(self.agent, path)
        try:
            before = _mark(self.run, path)
            sha256 = layout.digest(file)
            if before[0] == 0:
                porter.bring(name, 0, b"")
            at = 0
            with file.open("rb") as opened:
                while piece := opened.read(PIECE_BYTES):
                    at = porter.bring(name, at, piece)
            if before != _mark(self.run, path):
                return False
            told = porter.settled(name, sha256)
        except FileNotFoundError:
            return False
        if told is not None:
            self._settled(path, told)
        return told is not None

    def _settled(self, path: str, told: Mapping[str, Any]) -> None:
        """What we brought is newer than what we knew. Who replaced something that it did not know
        is not the only one to write there."""
        before = told.get("before")
        if before is not None and tuple(before) != self._home.get(path):
            self._shared.append(path)
        self._ahead.pop(path, None)
        self._home[path] = (int(told["now"][0]), int(told["now"][1]))

    def _written(self) -> dict[str, Mark]:
        known = self._rules()
        found = outputs.listing(self.run).items()
        return {path: (mark[0], mark[1]) for path, mark in found if not _stays(path, known)}

    def _rules(self) -> list[ignored.Rule]:
        return ignored.rules((*ignored.ALWAYS, *self.stays, *self._links))


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
    return outputs.mark(run.work / path)


def _stays(path: str, known: Sequence[ignored.Rule]) -> bool:
    parts = path.split("/")
    folders = ("/".join(parts[:n]) for n in range(1, len(parts)))
    return ignored.is_ignored(path, known, folder=False) or any(
        ignored.is_ignored(folder, known, folder=True) for folder in folders
    )
