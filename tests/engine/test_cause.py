"""What ended a rank: the code, which is every rank's, or a device, which is its machine's."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from evener.engine import cause
from evener.errors import CodeRaised, DeviceFailed, EvenerError, OutOfMemory, RankFailed

ADVICE = "\nCUDA kernel errors might be asynchronously reported at some other API call.\n"
GONE = torch.AcceleratorError(f"CUDA error: unspecified launch failure{ADVICE}")
ASSERT = torch.AcceleratorError(f"CUDA error: device-side assert triggered{ADVICE}")


def of_the_users_code(error: Exception) -> CodeRaised:
    """As its loss raises it, having asked the device."""
    raised = CodeRaised("your loss raised", where="mine.py:3")
    raised.__cause__ = error
    return raised


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (GONE, DeviceFailed, "unspecified launch failure"),
        (of_the_users_code(GONE), DeviceFailed, "unspecified launch failure"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), DeviceFailed, "CUDNN"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "/data/a.bin"), DeviceFailed, "/data/a.bin"),
        (ASSERT, RankFailed, "device-side assert"),
        (of_the_users_code(ASSERT), CodeRaised, "your loss raised"),
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory, "CUDA out of memory"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), RankFailed, "FileNotFoundError"),
        (of_the_users_code(ValueError("enough")), CodeRaised, "your loss raised"),
        (ZeroDivisionError("division by zero"), RankFailed, "division by zero"),
    ],
)
def test_a_device_that_fails_is_told_from_what_the_code_did(
    error: Exception, kind: type[EvenerError], says: str
) -> None:
    told = cause.of(error)
    assert type(told) is kind
    assert says in told.what
    assert "\n" not in told.what or kind is not DeviceFailed
