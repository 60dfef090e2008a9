"""The folder that `docker compose up` needs and nothing else: written whole, or not at all.

That for `docker stack deploy`, in `stack_folder`, is put into its place in the same way.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evener import contract, errors, placement
from evener.config.load import job_to_json
from evener.config.schema import Job
from evener.image import build, recipe
from evener.image.build import Content
from evener.image.recipe import Recipe
from evener.launch import compose, project, shipment
from evener.launch.base import PRIVATE
from evener.launch.compose import CACHE, IMAGE, RUNS, SECRET, Project, Read
from evener.placement import Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir

COMPOSE, README, KEEP = "compose.yaml", "README.md", ".keep"
NAMES = (RUNS, CACHE, IMAGE, SECRET, README, COMPOSE)
SECRET_BYTES = 32
NOBODYS = 1000  # where a system has no numbers for users: the first one of most
_PATHS = (  # of the user's in a job: table, key, variable that moves it, place in a container
    ("data", "path", compose.DATA, f"{compose.FOLDER}/data"),
    ("model", "weights", compose.WEIGHTS, f"{compose.FOLDER}/weights"),
)


@dataclass(frozen=True, slots=True)
class Export:
    """What the folder is made from."""

    name: str
    job: Job
    plan: Plan
    content: Content
    leave_out: tuple[Path, ...] = ()  # folders that are no code of a script's


@contextlib.contextmanager
def building(target: Path, names: Sequence[str] = NAMES) -> Iterator[Path]:
    """An empty folder beside `target`, which is put into its place when all went well.

    `names` are those it will have, the file that Docker is given the last of them.
    """
    _check_free(target, names[-1])
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    with layout.translated(target):
        beside.mkdir()
        try:
            yield beside
            _put(beside, target, names)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def fill(folder: Path, export: Export) -> tuple[Read, ...]:
    """Write all of it. Returns which data of this machine the containers will look for."""
    run = RunDir(folder / RUNS / export.name)
    run.create()
    job, reads = moved(shipment.shipped(export.job, run, export.leave_out))
    what = build.whole(export.content)
    name = compose.project_name(export.name, secrets.token_hex(4))
    plan = replace(export.plan, place=project.PLACE, code=(contract.IMAGE_CODE,))
    own = Project(name, export.name, what.tag, _owner(), reads)
    lay_image(folder, what)
    (folder / CACHE).mkdir()
    (folder / CACHE / KEEP).touch()
    _write_run(run, job, plan, name)
    write_secret(folder)
    layout.write_atomic(folder / README, _readme(export.name))
    layout.write_atomic(folder / COMPOSE, compose.render(plan, own))
    return reads


def lay_image(folder: Path, what: Recipe) -> None:
    """What the image is built from."""
    (folder / IMAGE).mkdir()
    build.lay_out(what, folder / IMAGE)
    (folder / IMAGE / recipe.CODE_NAME / KEEP).touch()  # so that whatever copies it copies this


def write_secret(folder: Path) -> None:
    layout.write_atomic(folder / SECRET, secrets.token_urlsafe(SECRET_BYTES) + "\n", PRIVATE)


def _write_run(run: RunDir, job: Job, plan: Plan, name: str) -> None:
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_json(run.configs / project.FILE, {"v": project.VERSION, "project": name})
    layout.write_atomic(run.job_file, job_to_json(job))


def moved(job: Job) -> tuple[Job, tuple[Read, ...]]:
    """The job as containers understand it: with no path of this machine."""
    tables, reads = {}, []
    for table, key, variable, place in _PATHS:
        source = getattr(getattr(job, table), key, None)
        if source and not source.startswith("builtin:"):
            target = f"{place}/{Path(source).name}"
            volume = getattr(getattr(job, table), "volume", None)
            reads.append(Read(variable, volume or str(Path(source).resolve()), target))
            tables[table] = getattr(job, table).model_copy(update={key: target})
    for number, path in enumerate(job.script.reads):  # where the script looks for them
        reads.append(Read(f"{compose.READS}_{number}", str(Path(path).resolve()), path))
    tables["image"] = job.image.model_copy(update={"wheels": None})
    tables["log"] = job.log.model_copy(update={"dir": RUNS})
    return job.model_copy(update=tables), tuple(reads)


def _owner() -> tuple[int, int]:
    if sys.platform == "win32":
        return NOBODYS, NOBODYS
    return os.getuid(), os.getgid()


def _readme(name: str) -> str:
    return f"""\
# {name}

- `docker compose up` builds the image, trains and shows it. Ctrl-C stops with a checkpoint, and the
  next `up` goes on from there. With `up -d` it trains alone: `docker compose logs -f progress`.
- The run is in `{RUNS}/{name}`: checkpoints, logs, and at the end `{contract.EXPORT_NAME}`.
- `docker compose up --exit-code-from progress` has the training's exit status, for scripts.
- `docker compose down` removes containers and network; the run stays.
- `{SECRET}` is for the containers alone. Docker Compose 2.20 or later is needed.
"""


# -------------------------------------------------------------------------- its place


def _check_free(target: Path, file: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise errors.BadCommand(f"{target} is a file", where="--output", fix="name a folder")
    if not any(target.iterdir()):
        return
    exported = sorted(target.glob(f"{RUNS}/*/{contract.CONFIGS}/{project.FILE}"))
    if not exported and not (target / file).is_file():
        raise errors.BadCommand(
            f"{target} is not empty, and no earlier export",
            where="--output",
            fix="name another folder, or empty this one",
        )
    begun = [file.parents[1].name for file in exported if RunDir(file.parents[1]).db.exists()]
    if begun:
        raise errors.BadCommand(
            f"{target} has a run in it already: {begun[0]}",
            where="--output",
            fix=f"name another folder; or `docker compose down` there, then remove {target}",
        )


def _put(beside: Path, target: Path, names: Sequence[str]) -> None:
    """The file that Docker is given goes first and comes last."""
    if not target.exists():
        beside.rename(target)
        return
    (target / names[-1]).unlink(missing_ok=True)
    for name in names:
        old = target / name
        if old.is_dir():
            shutil.rmtree(old)
        old.unlink(missing_ok=True)
        if (beside / name).exists():
            (beside / name).replace(old)
