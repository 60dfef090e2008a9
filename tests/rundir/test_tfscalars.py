"""Event files are read as they were written, in pieces, and past what is no number."""

from __future__ import annotations

import struct

import pytest

from evener.rundir import tfevents, tfscalars
from evener.rundir.tfscalars import Scalars


def test_what_was_written_is_read_however_it_is_cut() -> None:
    written = b"".join(
        (
            tfevents.opened(1.0),
            tfevents.numbers(2.0, 3, {"loss": 0.5, "acc/top1": -2.0}),
            tfevents.text(2.5, 3, "text", "no number"),
            tfevents.frame(b"\x00" * (tfscalars.MOST_BYTES + 1)),  # a picture, say
            tfevents.numbers(3.0, 2**40, {"loss": 0.25}),
        )
    )
    wanted = [Scalars(3, 2.0, {"loss": 0.5, "acc/top1": -2.0}), Scalars(2**40, 3.0, {"loss": 0.25})]
    assert tfscalars.read(written) == (wanted, len(written))
    found: list[Scalars] = []
    at = 0
    for end in range(len(written) + 1):
        scalars, read = tfscalars.read(written[at:end])
        found, at = [*found, *scalars], at + read
    assert (found, at) == (wanted, len(written))


@pytest.mark.parametrize("field", [b"\x22", b"\x2a"])  # as bytes, and as a list of numbers
def test_a_tensor_of_one_number_is_one(field: bytes) -> None:
    tensor = b"\x08\x01" + field + b"\x04" + struct.pack("<f", 0.75)
    value = b"\x0a\x01x" + b"\x42" + bytes([len(tensor)]) + tensor
    summary = b"\x0a" + bytes([len(value)]) + value
    event = b"\x10\x07" + b"\x2a" + bytes([len(summary)]) + summary
    ((scalars,), _) = tfscalars.read(tfevents.frame(event))
    assert (scalars.step, scalars.values) == (7, {"x": 0.75})


def test_what_is_no_event_file_is_told() -> None:
    with pytest.raises(ValueError, match="checksum"):
        tfscalars.read(b"step,loss\n1,0.5\n2,0.25\n")
