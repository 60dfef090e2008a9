"""Text from files, folders and Python itself: tokenised once, split, and read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from evener.data.sources import DataSet, open_data
from evener.errors import DataDamaged, DataMissing, DataTooSmall
from tests.data.jobs import gpt, job


def opened(path: Path | str, block: int = 8, **keys: object) -> DataSet:
    return open_data(job({"name": "text", "path": str(path), **keys}, gpt(block)))


def written(data: DataSet) -> str:
    """All validation text, read back through the codec."""
    assert data.validation is not None
    assert data.codec is not None
    inputs, targets = data.validation.fetch(np.arange(len(data.validation)), 0)
    return data.codec.decode([*inputs.flatten().tolist(), int(targets[-1, -1])])


def test_characters_are_numbered_in_their_order(tmp_path: Path) -> None:
    text = "hello, wörld: žluťoučký 🐎\n" * 20
    (tmp_path / "a.txt").write_text(text, "utf-8")
    data = opened(tmp_path / "a.txt")
    alphabet = sorted(set(text))
    assert data.shape.outputs == len(alphabet)
    assert data.shape.input == (8,)
    assert data.codec is not None
    assert data.codec.encode("hö🐎") == [alphabet.index(c) for c in "hö🐎"]
    assert data.codec.decode(data.codec.encode(text)) == text
    border = int(len(text) * 0.9)
    assert written(data) == text[border : border + len(written(data))]
    assert len(written(data)) > len(text) * 0.1 - 9


def test_bytes_need_no_vocabulary(tmp_path: Path) -> None:
    raw = bytes(range(256)) * 4
    (tmp_path / "a.txt").write_bytes(raw)
    data = opened(tmp_path / "a.txt", tokenizer="byte", validation=0.5)
    assert data.shape.outputs == 256
    assert data.validation is not None
    inputs, targets = data.validation.fetch(np.array([0]), 0)
    assert inputs[0].tolist() == list(raw[512:520])
    assert targets[0].tolist() == list(raw[513:521])


def test_targets_are_the_inputs_moved_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0123456789abcdefghijklmnopqrstuvwxyz" * 10)
    data = opened(tmp_path / "a.txt")
    for epoch in range(4):
        inputs, targets = data.train.fetch(np.arange(len(data.train)), epoch)
        assert inputs.dtype == targets.dtype == torch.int64
        assert inputs.is_contiguous()
        assert targets.is_contiguous()
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert torch.equal(inputs[1:, 0], targets[:-1, -1])


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    files = {
        "b/deep/z.md": "third ",
        "a.txt": "first ",
        "b/a.py": "second ",
        "c.txt": "fourth",
        "b.bin": "no text",
        ".git/x.txt": "hidden",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    data = opened(folder, block=2, tokenizer="byte", validation=0.7)
    together = "first \nsecond \nthird \nfourth"
    assert written(data) == together[int(len(together) * 0.3) :][: len(written(data))]
    (folder / "c.txt").write_text("changed")
    assert written(opened(folder, block=2, tokenizer="byte", validation=0.7)).endswith(
        "third \nchanged"
    )


def test_the_same_text_is_tokenised_once(tmp_path: Path, cache: Path) -> None:
    said: list[str] = []
    (tmp_path / "a.txt").write_text("once upon a time " * 20)
    wanted = job({"name": "text", "path": str(tmp_path / "a.txt")}, gpt())

    def report(text: str, done: int, total: int) -> None:
        said.append(text)

    open_data(wanted, report)
    assert said
    said.clear()
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    moved = job({"name": "text", "path": str(tmp_path / "b.txt")}, gpt())
    data = open_data(moved, report)
    assert not said
    assert data.codec is not None
    assert data.codec.decode(data.codec.encode("time")) == "time"
    assert len(list((cache / "tokens").iterdir())) == 1


def test_pieces_of_characters_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in blocks that cut characters of several bytes in two."""
    monkeypatch.setattr("evener.data.corpus._BLOCK", 3)
    text = "ž🐎aé" * 30
    (tmp_path / "a.txt").write_text(text, "utf-8")
    data = opened(tmp_path / "a.txt", block=4, validation=0.5)
    assert written(data) == text[60:][: len(written(data))]


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_what_is_no_text_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("evener.data.corpus._BLOCK", block)
    (tmp_path / "a.txt").write_bytes("ok ž ".encode() + b"\xff\xfe" + b"more")
    with pytest.raises(DataDamaged, match=r"a\.txt is no UTF-8 text: byte 6 is 0xff") as caught:
        opened(tmp_path / "a.txt")
    assert "tokenizer = 'byte'" in caught.value.fix
    (tmp_path / "b.txt").write_bytes("ends early ž".encode()[:-1])
    with pytest.raises(DataDamaged, match="byte 11 is 0xc5"):
        opened(tmp_path / "b.txt")


def test_missing_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no such file or folder") as caught:
        opened(tmp_path / "novel.txt")
    assert caught.value.where == str(tmp_path / "novel.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataMissing, match=r"no \.txt, \.md, \.py file"):
        opened(tmp_path / "empty")


def test_too_little_text_is_told_in_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("")
    with pytest.raises(DataTooSmall, match="the text is empty"):
        opened(path)
    path.write_text("x" * 17)
    with pytest.raises(DataTooSmall, match=r"15 tokens are for training; .* needs at least 16"):
        opened(path)
    path.write_text("x" * 80)
    with pytest.raises(DataTooSmall, match=r"8 tokens are for validation .* needs at least 9"):
        opened(path)
    path.write_text("x" * 90)
    assert len(opened(path).train) == 9


def test_the_manual_that_comes_with_python() -> None:
    data = opened("builtin:python-manual", block=64)
    assert len(data.train) > 1000
    assert data.codec is not None
    assert data.codec.encode("The import statement")


def test_a_damaged_entry_of_the_cache_is_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.txt").write_text("once upon a time " * 20)
    opened(tmp_path / "a.txt")
    (about,) = cache.glob("tokens/*/about.json")
    record = json.loads(about.read_text())
    assert record["vocabulary"] == "".join(sorted(set("once upon a time ")))
    (about.parent / "tokens.bin").write_bytes(b"\0\0\0")
    with pytest.raises(DataDamaged, match=r"tokens\.bin in the cache cannot be read") as caught:
        opened(tmp_path / "a.txt")
    assert str(about.parent) in caught.value.fix


def test_real_shakespeare(real_data: Path) -> None:
    path = real_data / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        pytest.skip("no real Tiny Shakespeare")
    data = opened(path, block=64)
    assert data.shape.outputs == 65
    assert len(data.train) == (1_003_854 - 64) // 64
    assert data.validation is not None
    assert len(data.validation) == (111_540 - 1) // 64
    assert written(data).startswith(path.read_text()[1_003_854:1_003_954])
