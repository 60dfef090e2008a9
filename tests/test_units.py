"""Units: what people write is read, what they read is short, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import units


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1024", 1024),
        (1024, 1024),
        ("500 MB", 500 * 10**6),
        ("2GiB", 2 * 2**30),
        ("2 gib", 2 * 2**30),
        ("1.5k", 1500),
        ("7 B", 7),
        (" 3T ", 3 * 10**12),
        ("4.MiB", 4 * 2**20),
    ],
)
def test_sizes_are_read(text: str | int, size_bytes: int) -> None:
    assert units.parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), (1.5, 1.5), ("200ms", 0.2), ("5m", 300), ("5 min", 300), ("1.5 h", 5400),
        ("2d", 172_800), ("0.5s", 0.5),
    ],
)  # fmt: skip
def test_durations_are_read(text: str | float, seconds: float) -> None:
    assert units.parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "MB", "-5", "5 MB/s", "1e3", "nan", "5 parsecs", "1,5 MB"])
def test_nonsense_is_refused_with_the_units_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size; write a number and one of .*MIB"):
        units.parse_size_bytes(text)
    with pytest.raises(ValueError, match=r"is no duration; write a number and one of ms, s"):
        units.parse_duration_s(text)


@pytest.mark.parametrize("text", ["5M", "5MS", "5H"])
def test_durations_are_lower_case(text: str) -> None:
    """`5M` might be meant as months, or as megabytes in the wrong place."""
    with pytest.raises(ValueError, match="is no duration"):
        units.parse_duration_s(text)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"), (7, "7 B"), (999, "999 B"), (999.7, "1.0 kB"), (1000, "1.0 kB"),
        (1_440_000, "1.4 MB"), (99_960, "100 kB"), (102_200_000, "102 MB"),
        (999_999, "1.0 MB"), (16e9, "16.0 GB"), (5e15, "5000 TB"), (-2500, "-2.5 kB"),
    ],
)  # fmt: skip
def test_sizes_are_shown(size_bytes: float, shown: str) -> None:
    assert units.show_size(size_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"), (0.35, "350 ms"), (0.9996, "1.0 s"), (4.21, "4.2 s"), (59.96, "1 min 00 s"),
        (200, "3 min 20 s"), (3599.7, "1 h 00 min"), (7500, "2 h 05 min"), (172_800, "2 d 0 h"),
        (273_600, "3 d 4 h"), (float("inf"), "?"), (float("nan"), "?"),
    ],
)  # fmt: skip
def test_durations_are_shown(seconds: float, shown: str) -> None:
    assert units.show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"), (8, "8"), (2.5, "2.5"), (812, "812"), (999.6, "1.0k"), (12_200, "12.2k"),
        (11_173_962, "11.2M"), (3.1e12, "3100.0G"), (-4_000, "-4.0k"),
    ],
)  # fmt: skip
def test_counts_are_shown(number: float, shown: str) -> None:
    assert units.show_count(number) == shown


@given(st.floats(1, 9.9e14))
def test_a_shown_size_is_short_and_reads_as_nearly_the_same(size_bytes: float) -> None:
    shown = units.show_size(size_bytes)
    assert sum(c.isdigit() for c in shown) <= 3
    assert units.parse_size_bytes(shown) == pytest.approx(size_bytes, rel=0.06, abs=0.6)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_duration_never_shows_as_a_shorter_one(one: float, other: float) -> None:
    def seconds(shown: str) -> float:
        parts = shown.split()
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return sum(units.parse_duration_s(number + unit) for number, unit in pairs)

    short, long = sorted((one, other))
    assert seconds(units.show_duration(short)) <= seconds(units.show_duration(long)) + 1e-9


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (48.0, "48.0 s"), (1.234, "1.23 s"), (0.99996, "1.00 s"), (0.1277, "128 ms"),
        (0.00976, "9.76 ms"), (0.0000227, "22.7 µs"), (1e-9, "0.00 µs"), (float("inf"), "?"),
    ],
)  # fmt: skip
def test_times_that_are_compared_have_three_figures(seconds: float, shown: str) -> None:
    assert units.show_interval(seconds) == shown
