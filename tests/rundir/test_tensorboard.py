"""tensorboard/: what TensorBoard's own reader finds in it, whatever happened to who wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from evener.events import Event, RankTimed, Record, StepCommitted, TextSampled, Validated
from evener.rundir import tensorboard
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.rundir.tensorboard import TensorBoard


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "demo")
    made.create()
    return made


@pytest.fixture
def store(run: RunDir) -> Iterator[Store]:
    with Store.open(run.db, write=True) as opened:
        yield opened


class Told:
    """Puts events into a record, one second apart."""

    def __init__(self, store: Store) -> None:
        self._store, self._number = store, 0

    def __call__(self, *events: Event) -> None:
        first = self._number
        self._number += len(events)
        told = enumerate(events, start=first + 1)
        self._store.append(Record(event, 1000.0 + n, "a00/1", n) for n, event in told)


@pytest.fixture
def tell(store: Store) -> Told:
    return Told(store)


def committed(step: int, loss: float | None = None) -> StepCommitted:
    value = 1 / step if loss is None else loss
    return StepCommitted(
        step, 0, 32 * step, value, 32.0, 32, 1e-3, None, 0.5, 1, {"accuracy": 0.75}
    )


def validated(step: int) -> Validated:
    return Validated(step, 0, 0.25, 100.0, {"accuracy": 0.5}, 1.0, True)


def read(folder: Path) -> EventAccumulator:
    """As TensorBoard shows it. Of scalars it would keep a sample only, of more than 10,000."""
    return EventAccumulator(str(folder)).Reload()


def curve(folder: Path, tag: str = "train/loss") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in read(folder).Scalars(tag)]


def steps(folder: Path, tag: str = "train/loss") -> list[int]:
    return [step for step, _ in curve(folder, tag)]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*tfevents*"))


def test_tensorboard_shows_the_numbers_of_steps_and_validations(
    run: RunDir, store: Store, tell: Told
) -> None:
    tell(committed(1), committed(2), validated(2))
    TensorBoard(run.tensorboard, store).write()
    shown = read(run.tensorboard)
    assert set(shown.Tags()["scalars"]) == {
        "train/accuracy", "train/loss", "train/lr", "train/samples_per_s", "train/seconds",
        "validation/accuracy", "validation/loss",
    }  # fmt: skip
    first, second = shown.Scalars("train/loss")
    assert (first.wall_time, first.step, first.value) == (1001.0, 1, 1.0)
    assert (second.wall_time, second.step, second.value) == (1002.0, 2, 0.5)
    assert curve(run.tensorboard, "train/samples_per_s") == [(1, 64.0), (2, 64.0)]
    assert curve(run.tensorboard, "validation/loss") == [(2, 0.25)]


def test_tensorboard_shows_a_text_as_it_was_written(run: RunDir, store: Store, tell: Told) -> None:
    tell(TextSampled(7, "ROMEO:", "\n# no *heading*\nünd <b>so</b>"))
    TensorBoard(run.tensorboard, store).write()
    shown = read(run.tensorboard)
    assert shown.Tags()["tensors"] == ["text"]
    assert shown.SummaryMetadata("text").plugin_data.plugin_name == "text"
    [text] = shown.Tensors("text")
    said = text.tensor_proto.string_val[0].decode()
    assert (text.step, said) == (7, "    ROMEO:\n    # no *heading*\n    ünd <b>so</b>")


def test_a_number_that_is_none_is_shown_as_that(run: RunDir, store: Store, tell: Told) -> None:
    tell(committed(1, math.nan), committed(2, 1e300))
    TensorBoard(run.tensorboard, store).write()
    (_, first), (_, second) = curve(run.tensorboard)
    assert math.isnan(first)
    assert second == math.inf


def test_files_grow_by_what_is_new(run: RunDir, store: Store, tell: Told) -> None:
    board = TensorBoard(run.tensorboard, store)
    board.write()
    assert not run.tensorboard.exists()
    tell(committed(1))
    board.write()
    before = (run.tensorboard / files(run.tensorboard)[0]).read_bytes()
    board.write()
    tell(committed(2), RankTimed(0, 2, 1, 16, 300.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 1))
    board.write()
    [name] = files(run.tensorboard)
    assert (run.tensorboard / name).read_bytes().startswith(before)
    assert steps(run.tensorboard) == [1, 2]


def test_another_life_goes_on_in_a_file_of_its_own(run: RunDir, store: Store, tell: Told) -> None:
    for step in range(1, 4):
        tell(committed(step), validated(step))
        TensorBoard(run.tensorboard, store).write()
    assert len(files(run.tensorboard)) == 3
    assert steps(run.tensorboard) == [1, 2, 3]
    assert steps(run.tensorboard, "validation/loss") == [1, 2, 3]


def test_what_was_written_and_not_noted_is_not_shown_twice(
    run: RunDir, store: Store, tell: Told
) -> None:
    tell(*map(committed, range(1, 11)))
    board = TensorBoard(run.tensorboard, store)
    board.write()
    note = run.tensorboard / ".written.json"
    noted = note.read_text()
    tell(*map(committed, range(11, 16)), validated(15))
    board.write()
    note.write_text(noted)  # as after a death just before
    tell(committed(16))
    TensorBoard(run.tensorboard, store).write()
    assert steps(run.tensorboard) == list(range(1, 17))
    assert steps(run.tensorboard, "validation/loss") == [15]


@pytest.mark.parametrize("note", [None, "{nonsense", "[]", '{"seq": "x", "step": 1, "latest": 1}'])
def test_without_a_note_all_is_shown_again_once(
    run: RunDir, store: Store, tell: Told, note: str | None
) -> None:
    tell(*map(committed, range(1, 11)))
    TensorBoard(run.tensorboard, store).write()
    path = run.tensorboard / ".written.json"
    path.unlink()
    if note is not None:
        path.write_text(note)
    TensorBoard(run.tensorboard, store).write()
    assert steps(run.tensorboard) == list(range(1, 11))


def test_a_file_with_a_torn_end_does_not_hide_the_next(
    run: RunDir, store: Store, tell: Told
) -> None:
    tell(committed(1), committed(2))
    board = TensorBoard(run.tensorboard, store)
    board.write()
    noted = (run.tensorboard / ".written.json").read_text()
    tell(committed(3))
    board.write()
    path = run.tensorboard / files(run.tensorboard)[0]
    path.write_bytes(path.read_bytes()[:-7])
    (run.tensorboard / ".written.json").write_text(noted)
    tell(committed(4))
    TensorBoard(run.tensorboard, store).write()
    assert steps(run.tensorboard) == [1, 2, 3, 4]


def test_steps_that_are_done_again_are_shown_as_told_last(
    run: RunDir, store: Store, tell: Told
) -> None:
    board = TensorBoard(run.tensorboard, store)
    tell(*map(committed, range(1, 21)), validated(20))
    board.write()
    tell(*(committed(step, 9.0) for step in range(11, 16)), validated(15))
    board.write()
    found = curve(run.tensorboard)
    assert [step for step, _ in found] == list(range(1, 16))
    assert [value for _, value in found[10:]] == [9.0] * 5
    assert steps(run.tensorboard, "validation/loss") == [15]


def test_a_step_that_two_have_told_is_shown_once(run: RunDir, store: Store, tell: Told) -> None:
    tell(committed(1), committed(2), validated(2), committed(2), committed(3))
    TensorBoard(run.tensorboard, store).write()
    assert steps(run.tensorboard) == [1, 2, 3]
    assert steps(run.tensorboard, "validation/loss") == [2]


def test_a_validation_between_recorded_steps_outlives_its_writer(
    run: RunDir, store: Store, tell: Told
) -> None:
    tell(committed(100), validated(150))
    TensorBoard(run.tensorboard, store).write()
    tell(committed(200))
    TensorBoard(run.tensorboard, store).write()
    assert steps(run.tensorboard, "validation/loss") == [150]
    assert steps(run.tensorboard) == [100, 200]


@pytest.mark.parametrize(
    ("job", "asks"),
    [
        (None, False),
        ("{}", False),
        ("{nonsense", False),
        (json.dumps({"log": {"every_s": 0.5}}), False),
        (json.dumps({"log": {"tensorboard": False}}), False),
        (json.dumps({"log": {"tensorboard": True}}), True),
    ],
)
def test_the_job_says_whether_files_are_wanted(run: RunDir, job: str | None, asks: bool) -> None:
    if job is not None:
        run.job_file.write_text(job)
    assert tensorboard.wanted(run) is asks
