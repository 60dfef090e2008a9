"""Folders of pictures: listed once, decoded on demand, cropped alike whoever computes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evener.data import imagenet
from evener.data.sources import DataSet, open_data
from evener.errors import DataDamaged, DataMissing, ExtraMissing, LabelOutOfRange
from tests.data.jobs import job, pixels

CLASSES = ("ant", "bee")


def write_pictures(root: Path, train: int = 4, validation: int = 2) -> None:
    for split, count in (("train", train), ("val", validation)):
        for number, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                raw = pixels(1, 40 + 7 * i, 60, 3, seed=10 * number + i)[0]
                Image.fromarray(raw).save(folder / f"{i}.png")


def opened(root: Path, **keys: object) -> DataSet:
    data = {"name": "imagenet", "path": str(root), "size": 24, **keys}
    return open_data(job(data, {"name": "resnet18"}))


def test_folders_become_classes(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    data = opened(tmp_path)
    assert data.validation is not None
    assert (len(data.train), len(data.validation)) == (8, 4)
    assert (data.shape.input, data.shape.outputs) == ((3, 24, 24), 2)
    inputs, labels = data.train.fetch(np.array([7, 0, 4]), 0)
    assert inputs.shape == (3, 3, 24, 24)
    assert inputs.dtype == torch.float32
    assert labels.tolist() == [1, 0, 1]


def test_validation_shows_the_middle(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    data = opened(tmp_path)
    assert data.validation is not None
    found = data.validation.fetch(np.array([3]), 0)[0][0]
    with Image.open(tmp_path / "val" / "bee" / "1.png") as picture:
        shown = picture.resize((24, 24), Image.Resampling.BILINEAR, (9, 3, 50, 44))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (np.asarray(shown) / 255 - mean) / deviation
    assert np.allclose(found.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_training_crops_are_the_same_in_any_company(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    source = opened(tmp_path).train
    ids = np.arange(8)
    together = source.fetch(ids, 1)[0]
    apart = torch.cat([source.fetch(ids[i : i + 3], 1)[0] for i in (0, 3, 6)])
    assert torch.equal(together, apart)
    assert not torch.equal(together, source.fetch(ids, 2)[0])
    plain = opened(tmp_path, augment=False).train
    assert torch.equal(plain.fetch(ids, 1)[0], plain.fetch(ids, 2)[0])


@given(st.integers(1, 3000), st.integers(1, 3000), st.lists(st.floats(0, 0.999999), min_size=51))
def test_a_crop_is_inside_its_picture(width: int, height: int, numbers: list[float]) -> None:
    for left, top, right, bottom in (
        imagenet.crop(width, height, numbers), imagenet.middle(width, height),
    ):  # fmt: skip
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_crops_are_of_all_sizes_and_shapes() -> None:
    numbers = np.random.default_rng(0).random((2000, 51)).tolist()
    boxes = np.array([imagenet.crop(500, 400, row) for row in numbers])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    part, ratio = wide * high / 200_000, wide / high
    assert part.min() < 0.1
    assert part.max() > 0.9
    assert part.min() > 0.07
    assert ratio.min() < 0.8
    assert ratio.max() > 1.25
    assert ratio.min() > 0.74
    assert ratio.max() < 1.35


def test_a_new_picture_is_found(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    assert len(opened(tmp_path).train) == 8
    Image.fromarray(pixels(1, 30, 30)[0]).save(tmp_path / "train" / "ant" / "grey.JPEG")
    data = opened(tmp_path)
    assert len(data.train) == 9
    assert data.train.fetch(np.array([4]), 0)[0].shape == (1, 3, 24, 24)


def test_names_of_any_alphabet_travel(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    name = "пчела 蜂.png"
    (tmp_path / "train" / "bee" / "3.png").rename(tmp_path / "train" / "bee" / name)
    source = opened(tmp_path).train
    assert isinstance(source, imagenet.Pictures)
    assert source.path(7) == tmp_path / "train" / "bee" / name
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(again.fetch(np.array([7]), 0)[0], source.fetch(np.array([7]), 0)[0])


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no folder train/") as missing:
        opened(tmp_path)
    assert "one folder per class under train/" in missing.value.fix
    write_pictures(tmp_path)
    broken = tmp_path / "train" / "ant" / "1.png"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(DataDamaged, match=r"picture 1\.png cannot be decoded") as damaged:
        opened(tmp_path).train.fetch(np.array([1]), 0)
    assert damaged.value.where == str(broken)


def test_an_empty_picture_is_named_before_training(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "val" / "bee" / "1.png").write_bytes(b"")
    with pytest.raises(DataDamaged, match=r"picture 1\.png is empty"):
        opened(tmp_path)


def test_a_class_without_pictures_or_unknown_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "val" / "cow").mkdir()
    with pytest.raises(LabelOutOfRange, match="'cow' that train/ does not have"):
        opened(tmp_path)
    (tmp_path / "train" / "cow").mkdir()
    with pytest.raises(DataMissing, match="'cow' has no picture"):
        opened(tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing) as caught:
        opened(tmp_path)
    assert "evener[images]" in caught.value.fix
