"""Whatever a pickle wants beyond arrays and containers, it does not get."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.data.unpickle import read_batch
from evener.errors import DataDamaged

ROWS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize(
    "rows",
    [ROWS, np.asfortranarray(ROWS), ROWS.astype("<i8"), ROWS.astype(">i4")],
    ids=["rows", "columns", "long", "foreign"],
)
def test_arrays_and_containers_are_read(protocol: int, rows: np.ndarray[Any, Any]) -> None:
    batch = {b"data": rows, "labels": [1, 2, 3], b"batch_label": b"one of five"}
    found = read_batch(pickle.dumps(batch, protocol), "here")
    assert found["labels"] == [1, 2, 3]
    assert np.array_equal(found["data"], rows)
    assert found["data"].dtype == rows.dtype


def test_a_batch_as_python_2_wrote_it() -> None:
    """The published files: protocol 2, numpy's old module names, text that is bytes."""
    old = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\n"
        b"ndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1"
        b"K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06"
        b"\x00\x01\xff\xfe\x04\x05tbU\x06labelsq\x08]q\t(K\x06K\x09eu."
    )
    found = read_batch(old, "here")
    assert found["data"].tolist() == [[0, 1, 255], [254, 4, 5]]
    assert found["labels"] == [6, 9]


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def touch(path: Path) -> list[Any]:
    text = str(path)
    return [
        Calls(Path.touch, path),
        Calls(open, text, "w"),
        Calls(exec, f"open({text!r}, 'w').close()"),
        Calls(subprocess.call, ["touch", text]),
        Calls(getattr, path, "touch"),
        Calls(np.ndarray.tofile, ROWS, text),
        Calls(np.load, text),
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, number: int) -> None:
    target = tmp_path / "touched"
    payload = pickle.dumps({"data": touch(target)[number]}, 2)
    with pytest.raises(DataDamaged, match="which no batch of images needs"):
        read_batch(payload, "here")
    assert not target.exists()


def test_the_payloads_are_real(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    target = tmp_path / "touched"
    pickle.loads(pickle.dumps({"data": touch(target)[2]}, 2))
    assert target.exists()


def raw(program: bytes) -> bytes:
    return b"\x80\x02}U\x04data" + program + b"s."


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R", "made in an unusual way"),
        (b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R", "an array of type 'O'"),
        (b"cnumpy\ndtype\nU\x04V999K\x00K\x01\x87R", "an array of type"),
        (b"c_codecs\nencode\n(U\x01aU\x05rot13tR", "to be encoded as"),
        (b"cbuiltins\neval\n", "builtins.eval"),
        (b"cevener.data.unpickle\n_Array.__init__\n", "no batch of images needs"),
        (b"\x96" + b"\xff" * 7 + b"\x0f", "not a python batch"),  # a bytearray of exabytes
        (b"\x82\x01", "not a python batch"),
        (b"cnumpy\ndtype\n}U\x0c__setstate__K\x01sb", "not a python batch"),
    ],
)
def test_tricks_are_refused(program: bytes, told: str) -> None:
    with pytest.raises(DataDamaged, match=told):
        read_batch(raw(program), "here")


def test_an_array_is_not_made_of_a_number() -> None:
    """bytes(2**40) would be a terabyte of zeros."""
    honest = pickle.dumps({"data": ROWS}, 4)
    start = honest.index(b"C\x0c" + ROWS.tobytes())
    lie = honest[:start] + b"\x8a\x06\0\0\0\0\0\x01" + honest[start + 14 :]
    with pytest.raises(DataDamaged, match="an array made of int"):
        read_batch(lie, "here")


def test_an_array_that_says_more_than_it_has_is_refused() -> None:
    lie = pickle.dumps({"data": ROWS}, 2).replace(b"K\x03K\x04\x86", b"K\x7fK\x04\x86")
    with pytest.raises(DataDamaged, match=r"12 values for an array of shape \(127, 4\)"):
        read_batch(lie, "here")


@pytest.mark.parametrize("data", [b"", b"\x80", b"<html>", pickle.dumps([1]), pickle.dumps("x")])
def test_what_is_no_batch_is_said_so(data: bytes) -> None:
    with pytest.raises(DataDamaged, match="python batch of CIFAR"):
        read_batch(data, "here")


@given(st.integers(0, 300), st.integers(0, 255))
def test_a_flipped_byte_is_damage_or_harmless(place: int, value: int) -> None:
    """Any single wrong byte gives a dictionary or DataDamaged, never another exception."""
    data = bytearray(pickle.dumps({b"data": ROWS, b"labels": [1, 2, 3]}, 2))
    data[place % len(data)] = value
    with contextlib.suppress(DataDamaged):
        assert isinstance(read_batch(bytes(data), "here"), dict)
