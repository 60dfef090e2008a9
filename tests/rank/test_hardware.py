"""What a machine can do: figures, or a note; and no file is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from evener.rank import hardware

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "SPAN_S", 0.01)
    monkeypatch.setattr(hardware, "ENOUGH_S", 0.001)
    monkeypatch.setattr(hardware, "COPY_BYTES", 2**20)
    monkeypatch.setattr(hardware, "DISK_BYTES", (2**20,))


def test_every_figure_is_above_zero_and_the_disk_is_left_as_it_was(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    found = hardware.measure(CPU, 1, tmp_path / "cache")
    assert (found.device, found.threads, found.note) == ("cpu", 1, "")
    assert set(found.matmul_flop_per_s) == {"fp32", "bf16", "fp16", "fp64"}
    assert all(speed > 0 for speed in found.matmul_flop_per_s.values())
    for figure in (
        found.memory_bytes_per_s, found.disk_read_bytes_per_s, found.disk_write_bytes_per_s,
    ):  # fmt: skip
        assert figure is not None
        assert figure > 0
    assert list((tmp_path / "cache").iterdir()) == []
    assert torch.get_num_threads() == threads


def test_a_folder_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = hardware.measure(CPU, 1, tmp_path / "file")
    assert (found.disk_read_bytes_per_s, found.disk_write_bytes_per_s) == (None, None)
    assert found.note.startswith("disk: ")


def test_a_system_that_reads_from_memory_only_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    found = hardware.measure(CPU, 1, tmp_path)
    assert found.disk_read_bytes_per_s is None
    assert found.disk_write_bytes_per_s
    assert "reads it from memory" in found.note


def test_numbers_that_a_device_does_not_know_are_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(device: torch.device, dtype: torch.dtype) -> float:
        if dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return 1e9

    monkeypatch.setattr(hardware, "_product_speed", refused)
    found = hardware.measure(CPU, 1, tmp_path)
    assert found.matmul_flop_per_s["fp32"] == 1e9
    assert found.matmul_flop_per_s["fp64"] != found.matmul_flop_per_s["fp64"]
    assert found.note.startswith("products of fp64: Cannot convert")
