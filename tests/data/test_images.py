"""Small images: normalised as said, and augmented alike whoever computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evener.data import images
from evener.errors import LabelOutOfRange
from tests.data.jobs import pixels

PICTURES = pixels(40, 3, 8, 8)
CROP = images.Crop(margin=2, flip=True, seed=3)


def test_pixels_are_normalised_per_channel() -> None:
    scale = images.Scale((0.5, 0.25, 0.0), (0.25, 0.5, 1.0))
    found = scale.apply(PICTURES)
    expected = (PICTURES / 255 - np.array(scale.mean)[:, None, None]) / np.array(scale.deviation)[
        :, None, None
    ]
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), expected, atol=1e-6)


@given(st.lists(st.integers(0, 39), min_size=1, max_size=20), st.data())
def test_augmentation_is_the_same_in_any_company(ids: list[int], data: st.DataObject) -> None:
    chosen = np.array(ids)
    together = CROP.apply(PICTURES[chosen], chosen, 4)
    at = data.draw(st.integers(0, len(ids)))
    for part in (slice(0, at), slice(at, None)):
        if len(chosen[part]):
            apart = CROP.apply(PICTURES[chosen[part]], chosen[part], 4)
            assert np.array_equal(apart, together[part])


def test_every_crop_is_a_window_of_the_padded_image() -> None:
    ids = np.arange(40)
    padded = np.pad(PICTURES, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for number, found in zip(ids, CROP.apply(PICTURES, ids, 0), strict=True):
        windows = {
            (down, across, flip): window[..., ::-1] if flip else window
            for down in range(5)
            for across in range(5)
            for flip in (False, True)
            for window in [padded[number, :, down : down + 8, across : across + 8]]
        }
        matching = [place for place, window in windows.items() if np.array_equal(window, found)]
        assert len(matching) == 1
        seen.add(matching[0])
    assert {down for down, _, _ in seen} == set(range(5))
    assert {across for _, across, _ in seen} == set(range(5))
    assert {flip for _, _, flip in seen} == {False, True}


def test_epochs_crop_differently_and_without_flip_nothing_is_mirrored() -> None:
    ids = np.arange(40)
    assert not np.array_equal(CROP.apply(PICTURES, ids, 0), CROP.apply(PICTURES, ids, 1))
    still = images.Crop(margin=0, flip=False, seed=3)
    assert np.array_equal(still.apply(PICTURES, ids, 0), PICTURES)


def test_a_label_without_an_output_is_named() -> None:
    images.check_labels(np.array([0, 9]), 10, Path("labels"))
    with pytest.raises(LabelOutOfRange, match="2 of 4 labels are not 0 to 9; the first is 10, of"):
        images.check_labels(np.array([3, 10, -1, 0]), 10, Path("labels"))
