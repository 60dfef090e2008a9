"""The bytes of event files: checksums, frames and fields, held against known ones."""

from __future__ import annotations

import struct

import pytest

from evener.rundir import tfevents


@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_is_castagnolis(content: bytes, checksum: int) -> None:
    assert tfevents.crc32c(content) == checksum


def test_a_frame_has_its_length_and_its_content_checked() -> None:
    frame = tfevents.frame(b"abc")
    assert frame[:8] == struct.pack("<Q", 3)
    assert frame[12:15] == b"abc"
    assert len(frame) == 8 + 4 + 3 + 4


def test_a_file_begins_with_its_version() -> None:
    content = tfevents.opened(1.5)[12:-4]
    assert content == b"\x09" + struct.pack("<d", 1.5) + b"\x10\x00" + b"\x1a\x0dbrain.Event:2"


def test_whole_numbers_of_any_size_are_written() -> None:
    content = tfevents.begun(0.0, 300)[12:-4]
    assert content[9:] == b"\x10\xac\x02" + b"\x3a\x02\x08\x01"
    before_all = tfevents.begun(0.0, -1)[12:-4]
    assert before_all[9:20] == b"\x10" + b"\xff" * 9 + b"\x01"


def test_a_number_that_is_too_large_for_four_bytes_is_infinite() -> None:
    for value, shown in ((1e300, "inf"), (-1e300, "-inf")):
        content = tfevents.numbers(0.0, 1, {"x": value})[12:-4]
        assert content.endswith(struct.pack("<f", float(shown)))
