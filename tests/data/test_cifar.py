"""CIFAR in every form its authors and their users keep it in."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from evener.data.sources import open_data
from evener.errors import DataDamaged, DataMissing, LabelOutOfRange
from tests.data.jobs import cifar_pickle, cifar_records, job, pixels, write_cifar10


def opened(folder: Path, name: str = "cifar10", **keys: object):  # type: ignore[no-untyped-def]
    return open_data(job({"name": name, "path": str(folder), "augment": False, **keys}))


def write_pickles(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_batch_1").write_bytes(cifar_pickle(6, seed=1))
    (folder / "data_batch_2").write_bytes(cifar_pickle(5, seed=2))
    (folder / "test_batch").write_bytes(cifar_pickle(4, seed=3))
    (folder / "batches.meta").write_bytes(b"never read")


def archive(source: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        tar.add(source, "cifar-10-batches")
    return target


def check_small_cifar10(found) -> None:  # type: ignore[no-untyped-def]
    assert (len(found.train), len(found.validation)) == (11, 4)
    assert (found.shape.input, found.shape.outputs) == ((3, 32, 32), 10)
    inputs, labels = found.train.fetch(np.arange(11), 0)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]
    raw = np.concatenate([pixels(6, 3072, seed=1), pixels(5, 3072, seed=2)])
    mean, deviation = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    for channel in range(3):
        expected = raw.reshape(11, 3, 32, 32)[:, channel] / 255
        expected = (expected - mean[channel]) / deviation[channel]
        assert np.allclose(inputs[:, channel].numpy(), expected, atol=1e-5)


def test_the_binary_files(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    check_small_cifar10(opened(tmp_path))


def test_the_python_files(tmp_path: Path) -> None:
    write_pickles(tmp_path)
    check_small_cifar10(opened(tmp_path))


def test_both_forms_side_by_side_are_one_set(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    write_pickles(tmp_path)
    check_small_cifar10(opened(tmp_path))


@pytest.mark.parametrize("write", [write_cifar10, write_pickles])
@pytest.mark.parametrize("named", [False, True])
def test_the_archive(tmp_path: Path, write, named: bool) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "files")
    form = "binary" if write is write_cifar10 else "python"
    (tmp_path / "data").mkdir()
    path = archive(tmp_path / "files", tmp_path / "data" / f"cifar-10-{form}.tar.gz")
    check_small_cifar10(opened(path if named else path.parent))


def test_the_unpacked_archive(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    check_small_cifar10(opened(tmp_path))


def test_any_number_of_records_under_plain_names(tmp_path: Path) -> None:
    (tmp_path / "train_7.bin").write_bytes(cifar_records(7))
    (tmp_path / "test_3.bin").write_bytes(cifar_records(3))
    found = opened(tmp_path)
    assert (len(found.train), len(found.validation)) == (7, 3)


def test_cifar100_learns_the_fine_labels(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(cifar_records(7, labels=2))
    (tmp_path / "test.bin").write_bytes(cifar_records(3, labels=2))
    found = opened(tmp_path, "cifar100")
    assert found.shape.outputs == 100
    assert found.train.fetch(np.arange(7), 0)[1].tolist() == list(range(7))


def test_cifar100_as_pickles(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(cifar_pickle(7, "fine_labels"))
    (tmp_path / "test").write_bytes(cifar_pickle(3, "fine_labels"))
    assert opened(tmp_path, "cifar100").train.fetch(np.arange(7), 0)[1].tolist() == list(range(7))


def test_augmented_by_default(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    ids = np.arange(11)
    plain, moved = opened(tmp_path).train, opened(tmp_path, augment=True).train
    assert not torch.equal(plain.fetch(ids, 0)[0], moved.fetch(ids, 0)[0])
    apart = torch.cat([moved.fetch(ids[:4], 0)[0], moved.fetch(ids[4:], 0)[0]])
    assert torch.equal(moved.fetch(ids, 0)[0], apart)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"data_batch_\*\.bin or train\*\.bin") as caught:
        opened(tmp_path)
    assert caught.value.where == str(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_records(2))
    with pytest.raises(DataMissing, match=r"test\*\.bin or test_batch"):
        opened(tmp_path)
    with pytest.raises(DataMissing):
        opened(tmp_path / "nowhere")


def test_a_cut_off_file_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(cifar_records(5)[:-1])
    with pytest.raises(DataDamaged, match=r"data_batch_2.bin has 15364 bytes, .* 3073-byte"):
        opened(tmp_path)


def test_a_cut_off_archive_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "files")
    path = archive(tmp_path / "files", tmp_path / "cifar-10-binary.tar.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataDamaged, match="cannot be unpacked"):
        opened(path)


def test_a_label_of_another_set_is_named(tmp_path: Path) -> None:
    """CIFAR-100 records read as CIFAR-10 do not even divide; a foreign label is seen too."""
    write_cifar10(tmp_path)
    data = bytearray(cifar_records(3))
    data[3073] = 200
    (tmp_path / "test_batch.bin").write_bytes(data)
    with pytest.raises(LabelOutOfRange, match="the first is 200, of sample 1") as caught:
        opened(tmp_path)
    assert caught.value.where.endswith("test_batch.bin")


def test_a_pickle_of_other_things_is_no_batch(tmp_path: Path) -> None:
    write_pickles(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(cifar_pickle(5, key="titles"))
    with pytest.raises(DataDamaged, match="labels under 'labels'"):
        opened(tmp_path)


def test_an_archive_without_the_set(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme.html"), io.BytesIO())
    with pytest.raises(DataMissing) as caught:
        opened(path)
    assert caught.value.where == str(path)


def test_real_cifar(real_data: Path) -> None:
    folder = real_data / "cifar10-subset-lossless"
    if not folder.is_dir():
        pytest.skip("no real CIFAR")
    found = opened(folder)
    assert (len(found.train), len(found.validation)) == (5085, 1017)
    inputs, labels = found.train.fetch(np.arange(5085), 0)
    assert torch.bincount(labels, minlength=10).min() > 400
    assert inputs.mean((0, 2, 3)).abs().max() < 0.05
    assert (inputs.std((0, 2, 3)) - 1).abs().max() < 0.05
