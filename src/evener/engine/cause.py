"""What ended a rank, as an error to read: want of memory, a device that fails, or the code.

A device that fails is its machine's affair: the others go on without it. So it has to be told from
what the code did, which would be every rank's, and end the run.
"""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator

import torch

from evener.engine import memory
from evener.errors import DeviceFailed, EvenerError, OutOfMemory, RankFailed

_GPU = re.compile(r"CUDA error|CUDNN_STATUS_|CUBLAS_STATUS_|HIP error")
_CODES_FAULT = "device-side assert"  # such as a label out of range: not the device's
_DISK = (errno.EIO, getattr(errno, "EREMOTEIO", errno.EIO), getattr(errno, "ESTALE", errno.EIO))


def of(error: Exception) -> EvenerError:
    """`error` in words that a person can do something with."""
    failed = next(filter(None, map(_device, _chain(error))), None)
    if failed is not None:
        return failed
    if isinstance(error, EvenerError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return OutOfMemory(
            memory.first_line(error),
            fix="train a smaller model, or where there is more memory",
        )
    return RankFailed(
        f"{type(error).__name__}: {error}",
        where=_place(error),
        fix="the rank's log has the traceback: evener logs RUN --rank N",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """With what it came of: the user's code may be the one that asked the device."""
    while error is not None:
        yield error
        error = error.__cause__


def _device(error: BaseException) -> DeviceFailed | None:
    if isinstance(error, torch.OutOfMemoryError):
        return None
    text = memory.first_line(error)
    if isinstance(error, OSError) and error.errno in _DISK:
        return DeviceFailed(
            f"a disk does not do what it is asked: {text}",
            where=str(error.filename or _place(error)),
            fix="look at the disk (dmesg, smartctl), or leave this machine out",
        )
    says_so = isinstance(error, RuntimeError) and _GPU.search(text)
    if not says_so or _CODES_FAULT in str(error):
        return None
    return DeviceFailed(
        f"the GPU does not do what it is asked: {text}",
        where=_place(error),
        fix="look at the GPU (dmesg, nvidia-smi -q), or leave this machine out",
    )


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
