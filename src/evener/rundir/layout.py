"""Where the files of a run lie, and how files land: whole or not at all.

    experiments/NAME/
    ├── configs/      job.json, plan.json, handle.json: what was asked, decided and started;
    │                 profiles.json: what its ranks are known to do
    ├── logs/         head.log, rank_N.log, rank_N_metrics.json, spool_AGENT.*.jsonl,
    │                 ledger_rank_N.txt: what each rank says it computed,
    │                 .reserve: space that the head holds back for how the run ended
    ├── checkpoints/
    ├── work/         a script's code and what it writes, where it runs in containers
    ├── tensorboard/  event files, where the job asks for them (`rundir.tensorboard`)
    ├── run.db        the record of what happened (`rundir.store`)
    └── model.safetensors

A folder is a run once configs/job.json is there.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract, errors

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class RunDir:
    """The folder of one run. Making one touches no disk; `create` does."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def db(self) -> Path:
        return self.path / contract.DB_NAME

    @property
    def configs(self) -> Path:
        return self.path / contract.CONFIGS

    @property
    def logs(self) -> Path:
        return self.path / contract.LOGS

    @property
    def checkpoints(self) -> Path:
        return self.path / contract.CHECKPOINTS

    @property
    def cargo(self) -> Path:
        """What other machines need of this one's files: the user's code, and data."""
        return self.path / contract.CARGO

    @property
    def tensorboard(self) -> Path:
        return self.path / contract.TENSORBOARD

    @property
    def job_file(self) -> Path:
        return self.configs / contract.JOB_NAME

    @property
    def plan_file(self) -> Path:
        return self.configs / contract.PLAN_NAME

    @property
    def handle_file(self) -> Path:
        return self.configs / contract.HANDLE_NAME

    @property
    def profiles_file(self) -> Path:
        """What was measured of its ranks before it began; mostly there is none."""
        return self.configs / contract.PROFILES_NAME

    @property
    def secret_file(self) -> Path:
        """Where containers read the run's secret; the user alone may."""
        return self.configs / contract.SECRET_NAME

    @property
    def export_file(self) -> Path:
        return self.path / contract.EXPORT_NAME

    @property
    def work(self) -> Path:
        """Where a script runs in containers, in a copy of its code, and leaves what it writes."""
        return self.path / contract.WORK

    @property
    def code_file(self) -> Path:
        """The same copy, as it was before the script ran, for machines with disks of their own."""
        return self.configs / contract.CODE_NAME

    @property
    def head_log(self) -> Path:
        return self.logs / "head.log"

    def agent_log(self, agent: str) -> Path:
        return self.logs / f"agent_{agent}.log"

    def rank_log(self, rank: int) -> Path:
        return self.logs / f"rank_{rank}.log"

    def rank_metrics(self, rank: int) -> Path:
        return self.logs / f"rank_{rank}_metrics.json"

    def ledger(self, rank: int) -> Path:
        return self.logs / f"ledger_rank_{rank}.txt"

    def ledgers(self) -> dict[int, Path]:
        """Those that are here, by rank."""
        found = self.logs.glob("ledger_rank_*.txt")
        return {int(p.stem.rpartition("_")[2]): p for p in sorted(found) if p.stem[-1].isdigit()}

    def spool(self, agent: str) -> Path:
        """The name from which an agent's outbox derives the names of its spool files."""
        return self.logs / f"spool_{agent}.jsonl"

    def spools(self) -> list[Path]:
        """Every spool file there is, oldest name first."""
        return sorted(self.logs.glob("spool_*.jsonl"))

    def create(self) -> None:
        """Make the folders; those that are there stay as they are."""
        for folder in (self.configs, self.logs, self.checkpoints):
            with translated(folder):
                folder.mkdir(parents=True, exist_ok=True)


def size_bytes(run: RunDir) -> int:
    """What the run takes of the disk. What vanishes meanwhile counts nothing."""
    total = 0
    for folder, _, files in os.walk(run.path):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  (walk's own)
    return total


def runs(root: Path) -> list[RunDir]:
    """The runs under `root`, by name; none where the folder is missing."""
    found = (job.parent.parent for job in root.glob(f"*/{contract.CONFIGS}/{contract.JOB_NAME}"))
    return [RunDir(path) for path in sorted(found)]


def find(root: Path, name: str) -> RunDir:
    """The run called `name` under `root`; a path to a run's folder is taken too."""
    for path in (root / name, Path(name)):
        if RunDir(path).job_file.is_file():
            return RunDir(path.resolve())
    known = [run.name for run in runs(root)]
    close = difflib.get_close_matches(name, known, n=1)
    fix = "`evener ps --all` lists the runs"
    if close:
        fix = f"did you mean {close[0]!r}? {fix}"
    elif not known:
        fix = "there is no run there yet: start one with `evener run`"
    raise errors.RunNotFound(f"there is no run called {name!r}", where=str(root), fix=fix)


def claim_name(root: Path, wanted: str) -> str:
    """Make the folder `wanted`, or wanted-2, wanted-3, ...: the first that nobody has.

    The folder is made here, so that of two launchers at once each gets its own.
    """
    with translated(root):
        root.mkdir(parents=True, exist_ok=True)
        number, name = 1, wanted
        while True:
            try:
                (root / name).mkdir()
                return name
            except FileExistsError:
                number += 1
                name = f"{wanted}-{number}"


def write_atomic(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Put `content` at `path`: after a crash at any moment the old or the new file is there.

    `mode` is what others may at most do with it; a secret is never readable by them, not even
    for a moment.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with translated(path):
        try:
            with os.fdopen(os.open(temporary, _NEW, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o666) -> None:
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", mode)


def read_json(path: Path) -> Any:
    """What `write_json` wrote. It was ours, so missing or damaged is StoreDamaged."""
    try:
        with translated(path):
            return json.loads(path.read_bytes())
    except FileNotFoundError:
        what = f"{path.name} is missing"
    except (ValueError, RecursionError) as error:
        what = f"{path.name} is not readable JSON: {error}"
    raise errors.StoreDamaged(what, where=str(path), fix="restore the file, or start a new run")


def digest(file: Path) -> str:
    """The sha256 of a file that need not fit into memory."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say a full disk or a missing right at `path` in our own errors; others pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(path) from error
        if error.errno in _FORBIDDEN:
            raise errors.NotPermitted(
                f"the system does not let evener write or read {path.name}: {error.strerror}",
                where=str(path),
                fix="check owner and mode of the folder, or choose another with -o log.dir=FOLDER",
            ) from error
        raise


def disk_full(path: Path) -> errors.DiskFull:
    return errors.DiskFull(
        "no space is left on the disk of the run",
        where=str(path),
        fix="free some space, then go on with `evener resume NAME`",
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows has no handle of a folder; there the rename itself is."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
