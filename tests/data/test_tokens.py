"""Rows of tokens: every cut fits, and an epoch has every token once."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evener.data import tokens
from evener.data.dataset import silent
from evener.data.mapped import Mapped
from evener.data.sources import open_data
from evener.errors import (
    DataDamaged,
    DataMissing,
    DataTooSmall,
    LabelOutOfRange,
    WrongValue,
)  # fmt: skip
from tests.data.jobs import gpt, job, write_tokens


class Numbers(Mapped):
    """Tokens 0, 1, 2, ... without a file."""

    def __init__(self, count: int) -> None:
        super().__init__(Path("nowhere"))
        self.__dict__["array"] = np.arange(count, dtype=np.uint16)


@given(st.integers(1, 40), st.integers(0, 500), st.integers(0, 50), st.integers(0, 2**62))
def test_an_epoch_has_every_token_of_its_cut_once(
    block: int, count: int, epoch: int, seed: int
) -> None:
    source = tokens.Blocks(Numbers(count + 5), 5, count + 5, block, seed)
    assert len(source) == max(0, (count - 1 - (block - 1)) // block)
    if not len(source):
        return
    inputs, targets = source.fetch(np.arange(len(source)), epoch)
    offset = source.offset(epoch)
    assert 0 <= offset < block
    assert inputs.flatten().tolist() == list(range(5 + offset, 5 + offset + len(source) * block))
    assert torch.equal(targets, inputs + 1)
    assert int(targets.max()) < count + 5


@given(st.integers(1, 40), st.integers(0, 500), st.integers(0, 50))
def test_validation_never_moves(block: int, count: int, epoch: int) -> None:
    source = tokens.Blocks(Numbers(count), 0, count, block)
    assert len(source) == max(0, (count - 1) // block)
    if len(source):
        inputs, _ = source.fetch(np.arange(len(source)), epoch)
        assert inputs[0, 0] == 0


def test_epochs_cut_at_different_offsets() -> None:
    source = tokens.Blocks(Numbers(1000), 0, 1000, 50, seed=1)
    assert len({source.offset(epoch) for epoch in range(40)}) > 15


def test_two_files_become_two_sources(tmp_path: Path) -> None:
    write_tokens(tmp_path)
    data = open_data(job({"name": "tokens", "path": str(tmp_path), "vocabulary": 60}, gpt()))
    assert (len(data.train), data.shape.input, data.shape.outputs) == (24, (8,), 60)
    assert data.validation is not None
    inputs, targets = data.validation.fetch(np.array([5]), 3)
    raw = np.fromfile(tmp_path / "val.bin", "<u2")
    assert inputs[0].tolist() == raw[40:48].tolist()
    assert targets[0].tolist() == raw[41:49].tolist()
    assert data.codec is None


def test_a_source_travels_by_name_not_by_content(tmp_path: Path) -> None:
    write_tokens(tmp_path, train=100_000)
    source = open_data(job({"name": "tokens", "path": str(tmp_path)}, gpt())).train
    ids = np.array([1, 2])
    source.fetch(ids, 0)
    travelled = pickle.dumps(source)
    assert len(travelled) < 1000
    assert torch.equal(pickle.loads(travelled).fetch(ids, 0)[0], source.fetch(ids, 0)[0])


def test_missing_damaged_and_empty_files_are_named(tmp_path: Path) -> None:
    wanted = job({"name": "tokens", "path": str(tmp_path)}, gpt())
    with pytest.raises(DataMissing, match=r"train\.bin is not there"):
        open_data(wanted)
    write_tokens(tmp_path)
    (tmp_path / "val.bin").write_bytes(b"\0" * 101)
    with pytest.raises(DataDamaged, match=r"val\.bin has 101 bytes, an odd number"):
        open_data(wanted)
    (tmp_path / "val.bin").write_bytes(b"")
    with pytest.raises(DataTooSmall, match=r"val\.bin is empty"):
        open_data(wanted)
    (tmp_path / "val.bin").write_bytes(b"\0" * 16)
    with pytest.raises(DataTooSmall, match=r"8 tokens are for validation; .* at least 9"):
        open_data(wanted)


def test_a_token_beyond_the_vocabulary_is_named(tmp_path: Path) -> None:
    write_tokens(tmp_path, below=60)
    wanted = job({"name": "tokens", "path": str(tmp_path), "vocabulary": 60}, gpt())
    tokens.check_range(wanted.data, silent)  # type: ignore[arg-type]  # it is Tokens
    changed = np.fromfile(tmp_path / "val.bin", "<u2")
    changed[17] = 60
    (tmp_path / "val.bin").write_bytes(changed.tobytes()[:-2])
    with pytest.raises(LabelOutOfRange, match=r"val\.bin has token 60, .* ends at 59"):
        tokens.check_range(wanted.data, silent)  # type: ignore[arg-type]


def test_a_model_of_the_users_names_its_block_size(tmp_path: Path) -> None:
    write_tokens(tmp_path)

    def sizes(args: dict[str, object]) -> int:
        model = {"name": "my_model:build", "args": args}
        return tokens.block_size(job({"name": "tokens", "path": str(tmp_path)}, model))

    assert sizes({"block_size": 12}) == 12
    assert sizes({}) == 64
    with pytest.raises(WrongValue, match="block_size is 'long'"):
        sizes({"block_size": "long"})
