"""A script's code on its way to containers: which files, how large, and their copy in the run.

The copy is part of the run's folder: it says what was run, and a resumed run goes on with it,
whatever became of the original. What the script writes by relative paths lies beside it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePath

from evener import contract, errors, ignored, units
from evener.config.schema import Job
from evener.ignored import Rule
from evener.image import requirements
from evener.launch.stack import SECRET, STACK
from evener.rundir import layout, outputs
from evener.rundir.layout import RunDir

LARGE_BYTES, MOST_BYTES = 50 * 10**6, 10**9
_EXPORTED = ("compose.yaml", STACK)
_GIT, DOCKER_IGNORE = ".gitignore", ".dockerignore"


@dataclass(frozen=True, slots=True)
class Shipment:
    """`files` by their path in `root`, with sizes. `links` lead from there to what ranks read
    without a copy, of the job's `reads`."""

    root: Path
    script: str
    files: tuple[tuple[str, int], ...]
    links: tuple[tuple[str, str], ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.files)

    @property
    def note(self) -> str:
        count = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        text = f"code: {count} of {self.root}, {units.show_size(self.size_bytes)}"
        if self.size_bytes > LARGE_BYTES:
            biggest = max(self.files, key=lambda each: each[1])[0]
            text += f"; the largest is {biggest}: {DOCKER_IGNORE} can leave out what no rank reads"
        return text


def is_aboard(job: Job, run: RunDir) -> bool:
    """Whether the run has its own copy already, of an earlier start."""
    return _inside(Path(job.script.folder), run.path / contract.WORK)


def shipment(job: Job, run: RunDir, leave_out: Sequence[Path] = ()) -> Shipment:
    """Of the folder the script was called in, where it lies below that, or else its own.

    Folders of runs stay, as do those to `leave_out`. Raises DataMissing, or BadCombination for what
    no code can be.
    """
    script, folder = Path(job.script.path), Path(job.script.folder)
    root = folder if _inside(script, folder) else script.parent
    runs = (run.path.parent, folder / job.log.dir)
    links = tuple(_links(job.script.reads, root))
    data = [root / name for name, _ in links]
    files = tuple(_walk(root, {path.resolve() for path in (*runs, *leave_out, *data)}))
    name = script.relative_to(root).as_posix()
    if name not in dict(files):
        files = (*files, (name, script.stat().st_size))  # ignored or not: it is asked for
    found = Shipment(root, name, files, links)
    if found.size_bytes > MOST_BYTES:
        biggest = max(files, key=lambda each: each[1])[0]
        raise errors.BadCombination(
            f"the script's folder has {units.show_size(found.size_bytes)}, too much for code; the "
            f"largest file is {biggest}",
            where=str(root),
            fix=f"name data in {DOCKER_IGNORE} or {_GIT}, and say where ranks read them: "
            "script.reads",
        )
    return found


def provided_for(
    job: Job, run: RunDir, leave_out: Sequence[Path] = ()
) -> tuple[Job, tuple[str, ...]]:
    """The job with what its script needs in the image, and what a person should know of that and
    of its code."""
    if not job.script.path or is_aboard(job, run):
        return job, ()
    script, folder = Path(job.script.path), Path(job.script.folder)
    beside = requirements.found(script.parent)
    needed = beside if beside.file or not _inside(script, folder) else requirements.found(folder)
    image = job.image
    if not image.dockerfile:
        pip = tuple(dict.fromkeys((*image.pip, *needed.packages)))
        image = image.model_copy(update={"pip": pip})
    notes = (shipment(job, run, leave_out).note, needed.note)
    return job.model_copy(update={"image": image}), tuple(filter(None, notes))


def shipped(job: Job, run: RunDir, leave_out: Sequence[Path] = ()) -> Job:
    """The job as its processes read it, once the script's code is in the run's folder."""
    if not job.script.path:
        return job
    if is_aboard(job, run):
        return _aboard(job, os.path.relpath(job.script.path, job.script.folder))
    what = shipment(job, run, leave_out)
    _load(what, run)
    return _aboard(job, what.script)


def packed(job: Job, run: RunDir, leave_out: Sequence[Path] = ()) -> tuple[Job, bytes]:
    """The same for who puts the code into the run's folder later, elsewhere: `run.code_file`."""
    what = shipment(job, run, leave_out)
    return _aboard(job, what.script), _pack(what)


def _pack(what: Shipment) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        for name, _ in what.files:
            archive.add(what.root / name, name, recursive=False)
        for name, path in what.links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, path
            archive.addfile(link)
    return into.getvalue()


def _load(what: Shipment, run: RunDir) -> None:
    """Into the run's folder: packed for other machines, laid out for those that share it."""
    layout.write_atomic(run.code_file, _pack(what))
    for name, _ in what.files:
        target = run.work / name
        with layout.translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(what.root / name, target)
    outputs.link(run, dict(what.links))


def _links(reads: Sequence[str], root: Path) -> Iterator[tuple[str, str]]:
    """Where a script that is called in `root` finds them by paths that start there."""
    for read in reads:
        with contextlib.suppress(ValueError):  # another drive
            name = PurePath(os.path.relpath(read, root)).as_posix()
            if outputs.is_near(name):
                yield name, os.path.normpath(read)  # as mounts are named


def _aboard(job: Job, script: str) -> Job:
    """Paths start from the folder of the run's job file, wherever that is."""
    work = PurePath("..") / contract.WORK
    told = {"folder": work.as_posix(), "path": (work / PurePath(script)).as_posix()}
    return job.model_copy(update={"script": job.script.model_copy(update=told)})


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _walk(root: Path, leave_out: Set[Path]) -> Iterator[tuple[str, int]]:
    """Names and sizes, in order. Links are followed to files, not to folders."""
    docker = ignored.rules(_lines(root / DOCKER_IGNORE), bound=True)
    known = {"": [*ignored.rules(ignored.ALWAYS), *docker]}
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        base = "" if here == root else f"{here.relative_to(root).as_posix()}/"
        own = [*known.get(base, ()), *ignored.rules(_lines(here / _GIT), base)]
        kept = sorted(f for f in folders if not _left_out(f"{base}{f}", own, folder=True))
        folders[:] = [f for f in kept if not _is_ours(here / f, leave_out)]
        known |= {f"{base}{f}/": own for f in folders}
        for name in sorted(names):
            if (here / name).resolve() in leave_out:
                continue
            if not _left_out(f"{base}{name}", own, folder=False) and (here / name).is_file():
                yield f"{base}{name}", (here / name).stat().st_size


def _is_ours(folder: Path, leave_out: Set[Path]) -> bool:
    """A run, or an exported folder, of whatever name and place: there are secrets in both."""
    exported = (folder / SECRET).is_file() and any((folder / f).is_file() for f in _EXPORTED)
    return exported or RunDir(folder).job_file.is_file() or folder.resolve() in leave_out


def _left_out(path: str, known: list[Rule], *, folder: bool) -> bool:
    return ignored.is_ignored(path, known, folder=folder)


def _lines(file: Path) -> list[str]:
    """With or without the mark that Windows editors put first."""
    return file.read_text("utf-8-sig", "replace").splitlines() if file.is_file() else []
