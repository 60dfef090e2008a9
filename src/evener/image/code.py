"""The user's own code in an image: what the job names, and what its script imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evener import errors
from evener.config.schema import Job
from evener.config.script import imported
from evener.config.section import kind_of


def own_code(job: Job, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """What image.include says, the modules and packages that the job names, and its script with
    the modules beside it that it imports, and those that they import."""
    named = [table.name for table in (job.model, job.data) if kind_of(table) == "user"]
    references = [*named, *filter(None, [job.train.loss])]
    found = [folders[0] / path for path in job.image.include]
    for missing in (path for path in found if not path.exists()):
        raise errors.DataMissing(
            f"{missing} is not there", where="image.include", fix="correct the path"
        )
    for module in sorted({name.partition(":")[0].partition(".")[0] for name in references}):
        found += _places(module, folders)
    if job.script.path:
        script = Path(job.script.path)
        found += _with_neighbours(script, (script.parent, *folders))
    return tuple(dict.fromkeys(path.resolve() for path in found))


def _places(module: str, folders: Sequence[Path]) -> list[Path]:
    """Where a module or package is, in the first folder that has it."""
    places = (f / part for f in folders for part in (module, f"{module}.py"))
    return [path for path in places if path.exists()][:1]


def _with_neighbours(script: Path, folders: Sequence[Path]) -> list[Path]:
    found, pending = [script], [script]
    while pending:
        text = pending.pop().read_text(encoding="utf-8", errors="replace")
        new = [p for m in sorted(imported(text)) for p in _places(m, folders) if p not in found]
        found += new
        pending += [file for path in new for file in _files(path)]
    return found


def _files(path: Path) -> Iterator[Path]:
    """A module, or all of a package."""
    yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]
