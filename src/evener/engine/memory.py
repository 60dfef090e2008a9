"""Where memory does not do for a share at once, it is computed in pieces that fit.

An accelerator says that it is full, and no harm is done: the step never happened, and is done again
in smaller pieces. A processor's rank is killed without a word, so it has to look ahead.
"""

from __future__ import annotations

import torch

from evener.engine.training import Training
from evener.errors import CodeRaised, OutOfMemory
from evener.events import Alert
from evener.probe import probe
from evener.rank import device as devices
from evener.rank.group import Group

MOST = 0.85  # of the memory there is: the rest is for what nobody foresaw
FAILURES = (RuntimeError, MemoryError, CodeRaised)  # what may tell that memory is full
_FULL = ("not enough memory", "can't allocate memory")  # of a processor, in torch's plain words


def limit_bytes(training: Training, group: Group) -> float:
    """What this rank may fill: its device, or its part of the machine."""
    device = training.worker.device
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    return probe().memory_bytes / len(neighbours(group)) or float("inf")


def neighbours(group: Group) -> list[int]:
    """The members on this rank's machine, itself included: those that answer at its address."""
    hosts = [m.host for m in group.generation.members]
    return [i for i, host in enumerate(hosts) if host == hosts[group.index]]


def is_full(error: BaseException) -> bool:
    """Whoever asked for the memory, the user's code included."""
    if isinstance(error, CodeRaised) and error.__cause__ is not None:
        error = error.__cause__
    full = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return full or any(words in str(error) for words in _FULL)


def halve(training: Training, error: BaseException) -> None:
    """Put half as much through the model at once from now on."""
    size = training.worker.last_piece
    if size <= 1:
        raise OutOfMemory(
            f"rank {training.rank} has no memory for a single sample: {first_line(error)}",
            where=f"rank {training.rank}, {training.worker.device}",
            fix="train a smaller model, or where there is more memory; leave this machine out",
        ) from error
    if training.worker.device.type == "cuda":
        torch.cuda.empty_cache()
    _take(training, size // 2, f"its memory did not do for {size} samples at once")


def look_ahead(training: Training, group: Group, share: int, grown: dict[int, int]) -> None:
    """Before a processor's rank takes `share` samples: would they fit? `grown` is the memory it had
    used after so many samples at once."""
    (few, before), (more, after) = min(grown.items()), max(grown.items())
    if training.worker.device.type != "cpu" or more <= few or after <= before:
        return
    per_sample = (after - before) / (more - few)
    fit = int((MOST * limit_bytes(training, group) - after) / per_sample) + more
    if fit < min(share, training.cutting(group.size).size or share):
        _take(training, max(fit, 1), f"its memory does not do for {share} samples at once")


def peak_bytes(training: Training) -> int:
    return devices.peak_memory_bytes(training.worker.device)


def first_line(error: BaseException) -> str:
    """What it says, without the advice that torch adds."""
    return str(error).partition("\n")[0] or type(error).__name__


def _take(training: Training, size: int, why: str) -> None:
    training.fits = size
    training.reporter.emit(Alert("note", f"{why}: {size} from now on", training.rank))
