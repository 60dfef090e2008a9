"""What of this machine goes along with a job: code of the user's into the image, data as mounts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from evener import errors
from evener.config.data import OnDisk
from evener.config.schema import Job
from evener.config.section import kind_of
from evener.launch.containers import Mount


def own_code(job: Job, folders: Sequence[Path]) -> tuple[Path, ...]:
    """The user's code: what image.include says, and the modules and packages the job names."""
    named = [table.name for table in (job.model, job.data) if kind_of(table) == "user"]
    references = [*named, *filter(None, [job.train.loss])]
    modules = {name.partition(":")[0].partition(".")[0] for name in references}
    base = folders[0] if folders else Path(job.script.folder)
    found = [base / path for path in job.image.include]
    for missing in (path for path in found if not path.exists()):
        raise errors.DataMissing(
            f"{missing} is not there", where="image.include", fix="correct the path"
        )
    for module in sorted(modules):
        places = (f / part for f in folders for part in (module, f"{module}.py"))
        found += list(itertools.islice((p for p in places if p.exists()), 1))
    return tuple(dict.fromkeys(path.resolve() for path in found))


def mounts(job: Job) -> tuple[Mount, ...]:
    """The same for containers, which see all of it at the same path, or in a volume's place."""
    data = job.data
    volumes = {str(getattr(data, "path", "")): data.volume} if isinstance(data, OnDisk) else {}
    return tuple(Mount(volumes.get(path) or path, path) for path in read_paths(job))


def read_paths(job: Job) -> tuple[str, ...]:
    """Files and folders of this machine that ranks read."""
    named = (getattr(job.data, "path", None), getattr(job.model, "weights", None))
    data = (path for path in named if path and not path.startswith("builtin:"))
    return (*data, *job.script.reads)


def shipped(job: Job) -> tuple[str, ...]:
    """Of the data, what machines of a Swarm get from here."""
    data = job.data
    return (str(getattr(data, "path", "")),) if isinstance(data, OnDisk) and data.ship else ()
