"""MNIST from its four files, plain, gzipped, dotted or where torchvision puts them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from evener.data.sources import open_data
from evener.errors import DataDamaged, DataMissing, LabelOutOfRange
from tests.data.jobs import idx_bytes, job, pixels, write_mnist


def opened(folder: Path, **keys: object):  # type: ignore[no-untyped-def]  # of DataSet
    return open_data(job({"name": "mnist", "path": str(folder), **keys}))


@pytest.mark.parametrize("zipped", [False, True])
def test_four_files_become_two_sources(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path, zipped=zipped)
    found = opened(tmp_path)
    assert (len(found.train), len(found.validation)) == (12, 5)
    assert (found.shape.input, found.shape.outputs) == ((1, 28, 28), 10)
    inputs, labels = found.train.fetch(np.array([3, 1, 11]), 0)
    assert labels.tolist() == [3, 1, 1]
    assert labels.dtype == torch.int64
    raw = pixels(12, 28, 28, seed=1)[[3, 1, 11]]
    assert np.allclose(inputs[:, 0].numpy(), (raw / 255 - 0.1307) / 0.3081, atol=1e-5)


def test_other_names_and_places_are_found(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    for path in list(raw.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert len(opened(tmp_path).train) == 12


def test_augmented_pictures_move_but_labels_do_not(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    ids = np.arange(12)
    plain, moved = opened(tmp_path).train, opened(tmp_path, augment=True).train
    assert not torch.equal(plain.fetch(ids, 0)[0], moved.fetch(ids, 0)[0])
    assert torch.equal(plain.fetch(ids, 0)[1], moved.fetch(ids, 0)[1])
    still = opened(tmp_path, augment=True).validation
    assert torch.equal(opened(tmp_path).validation.fetch(ids[:5], 0)[0], still.fetch(ids[:5], 0)[0])


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert len(opened(tmp_path).train) == 12
    write_mnist(tmp_path, train=20)
    assert len(opened(tmp_path).train) == 20


def test_a_missing_file_is_named_with_what_to_put_where(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataMissing, match=r"t10k-labels-idx1-ubyte\.gz is not there") as caught:
        opened(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert "train-images-idx3-ubyte.gz, train-labels" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("train-images-idx3-ubyte", idx_bytes(pixels(12, 28, 28))[:-5], "12 x 28 x 28 values take"),
        ("train-images-idx3-ubyte", b"<html>no such page</html>", "does not begin like an idx"),
        ("train-images-idx3-ubyte", b"", "does not begin like an idx"),
        ("train-labels-idx1-ubyte", idx_bytes(pixels(11)), "12 images, but 11 labels"),
        ("t10k-labels-idx1-ubyte", idx_bytes(pixels(0)), "it has 8 bytes; 0 values take 8"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    write_mnist(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataDamaged, match=told):
        opened(tmp_path)


def test_a_cut_off_gzip_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataDamaged, match="cannot be unpacked") as caught:
        opened(tmp_path)
    assert caught.value.where == str(path)


def test_a_label_above_nine_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = np.array([0] * 11 + [12], np.uint8)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(LabelOutOfRange, match="the first is 12, of sample 11"):
        opened(tmp_path)


def test_real_mnist(real_data: Path) -> None:
    folder = real_data / "mnist-from-png"
    if not folder.is_dir():
        pytest.skip("no real MNIST")
    found = opened(folder)
    assert (len(found.train), len(found.validation)) == (60_000, 10_000)
    inputs, labels = found.train.fetch(np.arange(60_000), 0)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(labels).tolist()[:3] == [5923, 6742, 5958]
    assert abs(float(inputs.mean())) < 1e-3
    assert abs(float(inputs.std()) - 1) < 1e-3
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        raw = np.frombuffer(file.read(), np.uint8, offset=16)
    assert np.array_equal(found.train.pixels.array.reshape(-1), raw)
