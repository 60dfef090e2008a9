"""What a script writes outside of its folder, where that is lost: told of once, while it runs.

A container's /tmp ends with it, and its home is there. So does what lies beside the script's folder
in an agent's own copy of the run's folder, which a path such as ../out leads to. Processes that
are in no container write on disks that stay, and a path of their user's is meant as it is.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from evener import contract
from evener.agent import replica
from evener.agent.leftovers import in_container
from evener.events import Alert, Event
from evener.rundir.layout import RunDir

LOOK_S = 20.0
NAMED = 3
MOST_FILES = 2000  # in one look, which the agent does nothing beside
HOME = Path("/tmp")
_OURS = {
    *(contract.CONFIGS, contract.LOGS, contract.CHECKPOINTS, contract.CARGO),
    *(contract.TENSORBOARD, contract.WORK, contract.EXPORT_NAME, replica.FOLDER),
}
_PASSING = (".", "_", "evener-", "tmp", "torch", "pymp-")  # what libraries do not keep


class Outside:
    """Of one agent. `folders` are those whose content is lost; none, where all stays."""

    def __init__(self, folders: Sequence[Path], emit: Callable[[Event], None]) -> None:
        self._folders, self._emit, self._look_at = folders, emit, LOOK_S

    def look(self, now: float) -> None:
        if not self._folders or now < self._look_at:
            return
        self._look_at = now + LOOK_S
        if found := [*itertools.islice(_kept(self._folders), NAMED + 1)]:
            self._folders = ()
            self._emit(Alert("warning", _text(found)))


def lost(run: RunDir, *, apart: bool) -> list[Path]:
    """Folders that a script may write to, and that nobody has any more when its agent has ended."""
    return [*([HOME] if in_container() else ()), *([run.path] if apart else ())]


def _kept(folders: Sequence[Path]) -> Iterator[Path]:
    """Files that somebody would miss."""
    every = itertools.chain.from_iterable(map(_files, folders))
    for file in itertools.islice(every, MOST_FILES):
        if not file.is_symlink() and file.is_file() and file.stat().st_size:
            yield file


def _files(top: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(top):
        names[:] = [n for n in names if not n.startswith(_PASSING) and _is_lost(Path(folder, n))]
        if Path(folder) == top:
            names[:] = [n for n in names if n not in _OURS]
            files = [f for f in files if f not in _OURS]
        yield from (Path(folder, f) for f in files if not f.startswith(_PASSING))


def _is_lost(folder: Path) -> bool:
    """What is mounted there stays."""
    try:
        return folder.stat().st_dev == folder.parent.stat().st_dev
    except OSError:  # it is gone, or not ours
        return False


def _text(found: Sequence[Path]) -> str:
    more = ", ..." if len(found) > NAMED else ""
    return (
        f"the script writes where it is lost when its container ends: "
        f"{', '.join(map(str, found[:NAMED]))}{more}; what is to be kept goes below the folder "
        "that it runs in, by a relative path"
    )
