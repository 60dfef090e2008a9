"""What of a run's folder travels where machines have disks of their own.

Out goes what an agent must know before it starts: the configs and the newest checkpoint. Home, to
the machine of the head, comes what agents write: logs and ledgers as they grow, checkpoints whole,
the exported model. Nothing but the names below is ever read or written, whoever asks for it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evener import contract
from evener.errors import CheckpointDamaged
from evener.rundir import checkpoints, layout, outputs
from evener.rundir.layout import RunDir

if TYPE_CHECKING:
    from evener.config.schema import Checkpoint

HOME = ".home"  # in a run's folder at home: tells it from another one of the same run
INCOMING = f"{checkpoints.PARTIAL}incoming-"
STALE_S = 60.0  # of one that is sent no more: it was dropped where it was written
_STEP = r"step-\d{8,15}"
_CONFIG = re.compile(rf"{contract.CONFIGS}/((job|plan|profiles)\.json|{contract.CODE_NAME})")
_CARGO = re.compile(rf"{contract.CARGO}/(cargo\.json|[0-9a-f]{{64}}\.tar)")
_GROWING = re.compile(
    rf"{contract.LOGS}/((agent|prepare)_[\w.-]+\.log|spool_[\w.-]+\.jsonl|"
    r"rank_\d+\.log|ledger_rank_\d+\.txt)"
)
_CHECKPOINT = re.compile(
    rf"{contract.CHECKPOINTS}/({_STEP})/"
    rf"(model\.safetensors|optimizer\.safetensors|state\.json|{checkpoints.MANIFEST}|"
    rf"{checkpoints.COMMIT})"
)


def growing(run: RunDir) -> dict[str, int]:
    """What is brought home piece by piece, by name, with sizes in bytes."""
    found = (f"{contract.LOGS}/{file.name}" for file in run.logs.glob("*"))
    return _sizes(run, filter(_GROWING.fullmatch, found))


def configs(run: RunDir) -> dict[str, int]:
    """What was decided, by name, with sizes in bytes."""
    found = (f"{contract.CONFIGS}/{file.name}" for file in run.configs.glob("*"))
    return _sizes(run, filter(_CONFIG.fullmatch, found))


def of_checkpoint(run: RunDir, folder: Path) -> dict[str, int]:
    """The files of a checkpoint, by name, with sizes in bytes."""
    found = (f"{contract.CHECKPOINTS}/{folder.name}/{file.name}" for file in folder.iterdir())
    return _sizes(run, filter(_CHECKPOINT.fullmatch, found))


def _sizes(run: RunDir, names: Iterable[str]) -> dict[str, int]:
    return {name: (run.path / name).stat().st_size for name in sorted(names)}


# ------------------------------------------------------------------ on the head's machine


def listing(run: RunDir) -> dict[str, Any]:
    """What is here: the configs, the logs so far, and of what the checkpoints consist."""
    known = [entry.path for entry in checkpoints.entries(run.checkpoints)]
    return {
        "configs": configs(run),
        "cargo": _sizes(run, filter(_CARGO.fullmatch, _in_cargo(run))),
        "grown": growing(run),
        "checkpoints": {path.name: of_checkpoint(run, path) for path in known},  # oldest first
        "outputs": outputs.listing(run),
    }


def identity(run: RunDir) -> str:
    """Which folder it is: a head that had to go to another machine finds an empty one there. Who
    asks for the first time asks alone."""
    with contextlib.suppress(FileNotFoundError):
        return (run.path / HOME).read_text(encoding="utf-8")
    made = secrets.token_hex(8)
    layout.write_atomic(run.path / HOME, made)
    return made


def adopt(run: RunDir, times: int) -> None:
    """The folder is a new home of a run, which has had so many with this one."""
    layout.write_atomic(run.path / HOME, f"{times}:{secrets.token_hex(8)}")


def adoptions(home: str) -> int:
    """How often the run had found a new home when that one was made."""
    times = home.rpartition(":")[0]
    return int(times) if times.isdecimal() else 0


def _in_cargo(run: RunDir) -> Iterable[str]:
    return (f"{contract.CARGO}/{file.name}" for file in run.cargo.glob("*"))


def to_send(run: RunDir, name: str) -> Path | None:
    """The file that an agent may have under this name, if it is there."""
    known = any(kind.fullmatch(name) for kind in (_CONFIG, _CHECKPOINT, _CARGO))
    file = run.path / name if known else outputs.to_send(run, name)
    return file if file is not None and file.is_file() else None


def takes(name: str) -> bool:
    """Whether `take` knows what to do with it."""
    known = _GROWING.fullmatch(name) or _CHECKPOINT.fullmatch(name)
    return bool(known) or name == contract.EXPORT_NAME or outputs.takes(name)


def take(run: RunDir, name: str, at: int, data: bytes) -> int:
    """Put `data` at byte `at` of the file, and return how long it is then.

    What is there already is not written again, and no gap is left: who sends looks at the answer
    and goes on from there. A checkpoint grows where nobody takes it for one.
    """
    file = _landing(run, name)
    with layout.translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            size = opened.tell()
            if size >= at:
                opened.write(data[size - at :])
            return opened.tell()


def _landing(run: RunDir, name: str) -> Path:
    if found := _CHECKPOINT.fullmatch(name):
        return run.checkpoints / f"{INCOMING}{found[1]}" / found[2]
    if name == contract.EXPORT_NAME:
        return run.path / f".{name}.incoming"
    if outputs.takes(name):
        return outputs.landing(run, name)
    return run.path / name


def is_checkpoint(name: str) -> bool:
    """Whether a checkpoint's folder could be called so."""
    return bool(re.fullmatch(_STEP, name))


def settle_checkpoint(run: RunDir, name: str, keep: Checkpoint) -> bool:
    """All of a checkpoint was sent: put it in its place, if every byte is as its manifest says, and
    drop those that need not be kept any longer. False: it is to be sent once more."""
    folder, incoming = run.checkpoints / name, run.checkpoints / f"{INCOMING}{name}"
    try:
        checkpoints.verify(incoming if incoming.is_dir() else folder)
    except CheckpointDamaged:
        shutil.rmtree(incoming, ignore_errors=True)
        return False
    if folder.is_dir():  # another one has sent it, too
        shutil.rmtree(incoming, ignore_errors=True)
    else:
        incoming.rename(folder)
    kept = checkpoints.to_keep(checkpoints.entries(run.checkpoints), keep)
    checkpoints.prune(run.checkpoints, kept)
    if folder.is_dir():
        _sweep(run, _newest(folder) - STALE_S)
    return True


def _sweep(run: RunDir, before: float) -> None:
    for begun in run.checkpoints.glob(f"{INCOMING}*"):
        with contextlib.suppress(FileNotFoundError):  # it is settled this moment
            if _newest(begun) < before:
                shutil.rmtree(begun, ignore_errors=True)


def _newest(folder: Path) -> float:
    return max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)


def settle_export(run: RunDir, sha256: str) -> bool:
    """The same of the exported model."""
    landed = _landing(run, contract.EXPORT_NAME)
    if not landed.is_file() or layout.digest(landed) != sha256:
        landed.unlink(missing_ok=True)
        return False
    landed.replace(run.export_file)
    return True
