from __future__ import annotations

import math

import pytest

from evener import events, words
from evener.events import Event, Record
from evener.state import RunState
from evener.words import Story, tell


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.84234, "1.842"),
        (12.3456, "12.35"),
        (812.34, "812.3"),
        (23456.7, "23457"),
        (0.031254, "0.03125"),
        (0.5, "0.5000"),
        (0.00052512, "0.0005251"),
        (3.14159e-7, "3.14e-07"),
        (1.5e9, "1.5e+09"),
        (0.0, "0"),
        (-1.5, "-1.500"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (None, "?"),
    ],
)
def test_numbers_are_as_long_as_they_mean_something(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


def test_accuracies_are_shares_and_others_are_numbers() -> None:
    assert words.metric("accuracy", 0.6123) == "accuracy 61.2 %"
    assert words.metric("top5", 0.9) == "top5 90.0 %"
    assert words.metric("perplexity", 6.72) == "perplexity 6.720"


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [([0], "rank 0"), ([0, 1, 2], "ranks 0-2"), ([5, 0, 2, 6, 7], "ranks 0, 2, 5-7")],
)
def test_ranks_are_listed_shortly(numbers: list[int], shown: str) -> None:
    assert words.ranks(numbers) == shown


def test_epochs_are_counted_from_one_and_never_beyond_the_last() -> None:
    assert words.epoch(RunState(total_steps=400, steps_per_epoch=100)) == "epoch 1 of 4"
    assert words.epoch(RunState(total_steps=401, steps_per_epoch=100, epoch=4)) == "epoch 5 of 5"
    assert words.epoch(RunState(total_steps=400, steps_per_epoch=100, epoch=4)) == "epoch 4 of 4"
    assert words.epoch(RunState(total_steps=10, steps_per_epoch=100)) == "epoch 1 of 1"


@pytest.mark.parametrize(
    ("event", "text", "level"),
    [
        (events.RankLost("a00", 2, "killed by signal 9"), "rank 2 lost: killed by signal 9",
         "warning"),
        (events.RankStarted("a00", 2, 1, 99), "rank 2 is back, as process 99", "good"),
        (events.GenerationFormed(2, (0, 1), 120, 0, 400, 100),
         "ranks 0-1 train together from step 120", "good"),
        (events.GenerationFormed(2, (3,), 120, 0, 400, 100), "rank 3 trains from step 120", "good"),
        (events.CheckpointWritten(50, "p", 9_800_000, 0.1, True, 1.0),
         "checkpoint at step 50: 9.8 MB, the best so far", "note"),
        (events.Validated(50, 1, 1.5, 10, {"accuracy": 0.5}, 0.1, False),
         "validation at step 50: loss 1.500, accuracy 50.0 %", "note"),
        (events.SharesChanged(9, (0, 2), (20, 12), "own speeds"),
         "shares of ranks 0, 2 from step 9: 20, 12 (own speeds)", "note"),
        (events.Alert("warning", "disk\nnearly full", 1), "rank 1: disk nearly full", "warning"),
        (events.Alert("warning", "rank 1 takes 2.0 times as long", 1),
         "rank 1 takes 2.0 times as long", "warning"),
        (events.RankParked(3, 40, "the others are as fast without it", 3.0, 0.004),
         "rank 3 stands aside from step 40: the others are as fast without it", "note"),
        (events.RankLeftOut("a00", 3, "it died 3 times"), "rank 3 is left out: it died 3 times",
         "warning"),
        (events.StopAsked("Ctrl-C"), "stopping: Ctrl-C", "note"),
        (events.RunEnded("failed", 7, "x", {"what": "x"}), "failed at step 7", "bad"),
        (events.RunEnded("stopped", 7, "SIGTERM"), "stopped at step 7", "note"),
        (events.RunEnded("finished", 7, "no gain"), "finished at step 7: no gain", "good"),
    ],
)  # fmt: skip
def test_what_happened_is_told_in_a_line(event: Event, text: str, level: str) -> None:
    sentence = tell(Record(event, 1.0, "s", 1))
    assert sentence is not None
    assert (sentence.text, sentence.level) == (text, level)


@pytest.mark.parametrize(
    "event",
    [
        events.RankStarted("a00", 2, 0, 99),
        events.CheckpointDropped(1, "p"),
        events.AgentEnded("a00"),
        events.StepCommitted(1, 0, 8, 1.0, 8, 8, 0.1, None, 0.1, 1),
    ],
)
def test_what_is_ordinary_is_not_told(event: Event) -> None:
    assert tell(Record(event, 1.0, "s", 1)) is None


def test_a_skipped_step_is_told() -> None:
    step = events.StepCommitted(5, 0, 8, math.nan, 8, 8, 0.1, None, 0.1, 1, skipped=True)
    sentence = tell(Record(step, 1.0, "s", 1))
    assert sentence is not None
    assert "step 5 skipped" in sentence.text


def _step(number: int, generation: int) -> Event:
    return events.StepCommitted(number, 0, 8, 1.0, 8, 8, 0.1, None, 0.1, generation)


def _told(*happened: tuple[float, Event]) -> list[str]:
    teller = words.Teller()
    return [
        sentence.text
        for number, (at, event) in enumerate(happened)
        for sentence in teller.tell(Record(event, at, "s", number))
    ]


def _formed(generation: int, ranks: tuple[int, ...], step: int) -> Event:
    return events.GenerationFormed(generation, ranks, step, ranks[0], 400, 100)


def test_what_a_loss_has_come_to_is_told_with_the_next_step() -> None:
    told = _told(
        (9.0, _formed(1, (0, 1, 2, 3), 0)),
        (10.0, _step(120, 1)),
        (10.2, events.RankLost("a00", 1, "killed by SIGKILL")),
        (10.3, events.RankLost("a01", 2, "killed by SIGKILL")),
        (10.4, _formed(2, (0, 3), 120)),
        (10.6, _step(121, 2)),
        (10.7, _step(122, 2)),
        (11.0, _formed(3, (0, 1, 3), 122)),
        (11.1, _step(123, 3)),
    )
    assert told[1:] == [
        "rank 1 lost: killed by SIGKILL",
        "rank 2 lost: killed by SIGKILL",
        "ranks 0, 3 train together from step 120",
        "ranks 0, 3 go on after 0.6 s; 0 steps lost",
        "ranks 0-1, 3 train together from step 122",
    ]


def test_steps_that_are_gone_with_all_ranks_are_told() -> None:
    told = _told(
        (9.0, _formed(1, (0,), 0)),
        (10.0, _step(120, 1)),
        (10.2, events.RankLost("a00", 0, "killed by SIGKILL")),
        (14.0, _formed(2, (0,), 100)),
        (14.5, _step(101, 2)),
    )
    assert told[-1] == "rank 0 goes on after 4.5 s; 20 steps lost"


def test_a_loss_that_halted_nobody_or_ended_the_run_is_no_pause() -> None:
    told = _told(
        (9.0, _formed(1, (0, 1), 0)),
        (10.0, _step(120, 1)),
        (10.2, events.RankLost("a00", 7, "killed by SIGKILL")),
        (10.3, _formed(2, (0, 1), 120)),
        (10.4, _step(121, 2)),
        (10.5, events.RankLost("a00", 1, "killed by SIGKILL")),
        (99.0, events.RunStarted("r", "j", "mlp", "d", 2, 1, 8, True, "local")),
        (99.5, _formed(1, (0, 1), 121)),
        (99.9, _step(122, 1)),
    )
    assert not any("go on after" in text for text in told)


def test_a_story_keeps_the_last_and_leaves_out_the_quiet() -> None:
    story = Story()
    for number in range(150):
        story.add([Record(events.Alert("note", f"n{number}"), number, "s", number)])
    story.add([Record(events.RankBuilt(0, "cpu", 1, 10), 200.0, "s", 999)])
    assert [s.text for s in story.last(2)] == ["n148", "n149"]
    assert story.last(0) == []
    assert len(story.last(1000)) < 150
