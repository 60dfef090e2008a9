"""Which checkpoints there are, which verify, which stay: without a look at what they mean."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from evener.config.schema import Checkpoint
from evener.errors import CheckpointDamaged, NoCheckpoint
from evener.rundir import checkpoints

LOSSES = {1: 0.9, 2: 0.3, 3: None, 4: 0.5, 5: 0.7}


def make(root: Path, step: int, metric: float | None = None) -> Path:
    folder = checkpoints.folder_of(root, step)
    folder.mkdir(parents=True)
    data = b"weights of %d" % step
    (folder / "model.safetensors").write_bytes(data)
    facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    files = {"model.safetensors": facts}
    manifest = {"format": 1, "step": step, "metric": metric, "files": files}
    text = json.dumps(manifest).encode()
    (folder / checkpoints.MANIFEST).write_bytes(text)
    (folder / checkpoints.COMMIT).write_text(hashlib.sha256(text).hexdigest())
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for step, loss in LOSSES.items():
        make(tmp_path, step, loss)
    return tmp_path


def steps(root: Path) -> list[int]:
    return [e.step for e in checkpoints.entries(root)]


def test_they_are_in_order_of_their_steps_however_many_digits(root: Path) -> None:
    make(root, 10**9)
    assert steps(root) == [1, 2, 3, 4, 5, 10**9]


def test_all_that_was_written_verifies(root: Path) -> None:
    for folder in checkpoints.folders(root):
        assert checkpoints.verify(folder) == checkpoints.entry(folder)


@pytest.mark.parametrize("name", ["model.safetensors", checkpoints.MANIFEST, checkpoints.COMMIT])
def test_every_flipped_bit_is_found(root: Path, name: str) -> None:
    folder = checkpoints.folder_of(root, 4)
    whole = (folder / name).read_bytes()
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            (folder / name).write_bytes(bytes(flipped))
            with pytest.raises(CheckpointDamaged):
                checkpoints.verify(folder)
    (folder / name).write_bytes(whole)
    checkpoints.verify(folder)


def test_what_is_set_aside_is_no_checkpoint_any_more(root: Path) -> None:
    aside = checkpoints.set_aside(checkpoints.folder_of(root, 4))
    assert steps(root) == [1, 2, 3, 5]
    assert checkpoints.aside(root) == [aside]
    assert (aside / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"keep_last": 1, "keep_best": 0}, {5}),
        ({"keep_last": 2, "keep_best": 1}, {2, 4, 5}),
        ({"keep_last": 1, "keep_best": 2}, {2, 4, 5}),
        ({"keep_last": 1, "keep_best": 1, "metric": "accuracy"}, {1, 5}),
    ],
)
def test_the_newest_and_the_best_stay(
    root: Path, config: dict[str, object], kept: set[int]
) -> None:
    keep = checkpoints.to_keep(checkpoints.entries(root), Checkpoint.model_validate(config))
    assert keep == kept
    gone = checkpoints.prune(root, keep)
    assert {e.step for e in gone} == {*LOSSES} - kept
    assert set(steps(root)) == kept
    assert len(list(root.iterdir())) == len(kept)


@pytest.mark.parametrize(("wanted", "step"), [("last", 5), ("best", 2), (3, 3), ("4", 4)])
def test_one_is_chosen_by_a_word_or_its_step(root: Path, wanted: str | int, step: int) -> None:
    assert checkpoints.choose(root, wanted, "loss").step == step


def test_one_that_is_not_there_names_those_that_are(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NoCheckpoint, match="'7'") as told:
        checkpoints.choose(root, "7", "loss")
    assert "1, 2, 3, 4, 5" in told.value.fix
    with pytest.raises(NoCheckpoint):
        checkpoints.choose(tmp_path / "none", "last", "loss")
