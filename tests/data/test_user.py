"""The user's own data is used as they wrote it, and told exactly what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch

from evener.data.sources import DataSet, open_data
from evener.errors import CodeNotImportable, CodeRaised, CodeReturnedWrong
from tests.data.jobs import job

BEGIN = """
    import numpy as np, torch
    from evener.shape import Shape
    class Rows:
        shape = Shape("features", (2,), 1)
        def __init__(self, n): self.n = n
        def __len__(self): return self.n
"""
ITEMS = """
        def __getitem__(self, i):
            return np.array([i, 2 * i], np.float32), torch.tensor([float(i)])
"""
FETCH = """
        def fetch(self, ids, epoch):
            rows = np.stack([ids, ids + epoch], 1).astype(np.float32)
            return rows, rows[:, :1]
"""
BUILD = """
    def build(split, count=6):
        return Rows(count) if split == "train" else None
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("my_rows", None)


def opened(*code: str, args: dict[str, object] | None = None) -> DataSet:
    Path("my_rows.py").write_text("".join(dedent(part) for part in [BEGIN + "".join(code)]))
    return open_data(job({"name": "my_rows:build", "args": args or {}}, {"name": "mlp"}))


def test_items_are_stacked() -> None:
    data = opened(ITEMS, BUILD, args={"count": 9})
    assert len(data.train) == 9
    assert data.validation is None
    assert data.codec is None
    assert (data.shape.kind, data.shape.outputs) == ("features", 1)
    inputs, targets = data.train.fetch(np.array([4, 1]), 0)
    assert inputs.tolist() == [[4, 8], [1, 2]]
    assert targets.tolist() == [[4], [1]]


def test_an_own_fetch_is_preferred_and_gets_the_epoch() -> None:
    inputs, targets = opened(ITEMS, FETCH, BUILD).train.fetch(np.array([4, 1]), 3)
    assert inputs.tolist() == [[4, 7], [1, 4]]
    assert isinstance(targets, torch.Tensor)


def test_a_validation_and_a_codec_are_taken() -> None:
    build = """
    class Codec:
        def encode(self, text): return [len(text)]
        def decode(self, tokens): return "x" * tokens[0]
    def build(split):
        rows = Rows(6 if split == "train" else 3)
        rows.codec = Codec()
        return rows
    """
    data = opened(FETCH, build)
    assert data.validation is not None
    assert len(data.validation) == 3
    assert data.codec is not None
    assert data.codec.encode("four") == [4]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("    def build(split): return None\n", r"build\('train'\) returned None"),
        ("    def build(split): return [1, 2]\n", "`shape` is None, not an evener.shape.Shape"),
        ("    def build(split): return iter([1])\n", "a list_iterator has no __len__"),
        (BUILD, "a Rows has neither fetch nor __getitem__"),
    ],
)
def test_a_wrong_build_is_told(code: str, told: str) -> None:
    with pytest.raises(CodeReturnedWrong, match=told) as caught:
        opened(code)
    assert "build(split, **args) returns" in caught.value.fix


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def __getitem__(self, i): return i", "returned a int, not a tuple"),
        ("def __getitem__(self, i): return (i,) * (i + 1)", "not a tuple as the others"),
        ("def __getitem__(self, i): return ('a', i)", "do not stack to a batch"),
        ("def __getitem__(self, i): return (torch.zeros(i), i)", "do not stack to a batch"),
        ("def fetch(self, ids, epoch): return torch.zeros(2)", "a Tensor, not a tuple"),
        ("def fetch(self, ids, epoch): return ()", "a tuple, not a tuple of tensors"),
        ("def fetch(self, ids, epoch): return ('ab', 1)", "what is no tensor"),
        ("def fetch(self, ids, epoch): return (torch.zeros(3), ids)", r"has the shape \(3,\)"),
        ("def fetch(self, ids, epoch): return (torch.zeros(2), 5)", r"has the shape \(\)"),
    ],
)
def test_a_wrong_batch_is_told(body: str, told: str) -> None:
    source = opened(f"        {body}\n", BUILD).train
    with pytest.raises(CodeReturnedWrong, match=told):
        source.fetch(np.array([0, 1]), 0)


@pytest.mark.parametrize("form", ["fetch(self, ids, epoch)", "__getitem__(self, i)"])
def test_what_their_code_raises_is_blamed_by_line(form: str) -> None:
    source = opened(f"        def {form}:\n            return 1 / 0\n", BUILD).train
    with pytest.raises(CodeRaised, match="ZeroDivisionError") as caught:
        source.fetch(np.array([0, 1]), 0)
    assert caught.value.where == f"{Path('my_rows.py').resolve()}:9"


def test_what_building_raises_is_blamed_too() -> None:
    with pytest.raises(CodeRaised, match="got an unexpected keyword argument 'colour'"):
        opened(ITEMS, BUILD, args={"colour": 1})


def test_a_module_that_cannot_be_imported_is_blamed_by_line() -> None:
    with pytest.raises(CodeNotImportable, match="NameError") as caught:
        opened("    undefined_name\n")
    assert caught.value.where.endswith("my_rows.py:8")
