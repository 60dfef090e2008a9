"""The picture of a run: what it says, and that it fits wherever it is shown."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from evener import events, state
from evener.cli.marks import ASCII, UNICODE, Marks
from evener.cli.render import Canvas, picture
from evener.cli.trails import Trails
from evener.events import Record
from evener.state import RankView, RunState
from evener.words import Story
from tests.synthetic_run import Script, records

SCRIPT = Script(lost_at=130)


def until(step: int, script: Script = SCRIPT) -> list[Record]:
    """What was recorded until `step` was committed, and all that was told at that moment."""
    told: list[Record] = []
    for record in records(script):
        if getattr(record.event, "step", 0) > step:
            break
        told.append(record)
    return told


def lines(
    told: list[Record],
    width: int = 80,
    height: int | None = None,
    marks: Marks = UNICODE,
    hint: str = "",
) -> list[str]:
    story, trails = Story(), Trails()
    story.add(told)
    trails.add(told)
    now = told[-1].time if told else 0.0
    canvas = Canvas(width, marks, height)
    drawn = picture(state.fold(told), story.last(100), canvas, now, hint, trails)
    return [line.plain for line in drawn]


def line_of(label: str, told: list[Record], width: int = 120) -> str:
    return next(line for line in lines(told, width) if line.startswith(label))


def test_the_head_says_what_runs_where_and_for_how_long() -> None:
    first, second, *_ = lines(until(100))
    assert first.split() == ["demo", "training", "local", "·", "3", "ranks"]
    assert second.startswith("gpt on text · batch 96 · 812.3k parameters")
    assert second.endswith("12.0 s")


def test_steps_losses_validation_and_speed_are_numbers_one_can_check() -> None:
    told = until(300)
    step = line_of("step", told)
    assert "300 of 400" in step
    assert "75 %" in step
    assert "epoch 4 of 4" in line_of("step", until(301))
    assert "10.0 s to go" in step
    now = state.fold(told)
    assert now.loss is not None
    assert f"{now.loss:.3f}" in line_of("loss", told)
    assert "1 skipped" in line_of("loss", told)
    assert "1.687   perplexity 5.404   at step 300   the best so far" in line_of("valid", told)
    speed = line_of("speed", told).split("   ")
    assert speed[0].endswith("960 samples/s")
    assert speed[2:4] == ["100 ms a step", "lr 0.00025"]


def test_a_steady_speed_is_a_level_curve_and_a_fall_is_seen() -> None:
    told = until(100)
    steady = line_of("speed", told).split("   ")[1]
    assert set(steady) == {UNICODE.spark[-1]}
    slow = [
        Record(dataclasses.replace(r.event, step=r.event.step + 100, seconds=0.4), r.time, "s", n)
        for n, r in enumerate(told)
        if isinstance(r.event, events.StepCommitted)
    ]
    fallen = line_of("speed", [*told, *slow]).split("   ")[1]
    assert fallen[0] == UNICODE.spark[-1]
    assert fallen[-1] in UNICODE.spark[1:3]


def test_a_rank_has_its_speed_as_a_curve_where_there_is_room() -> None:
    told = until(100)
    assert not any("lately" in line for line in lines(told, 80))
    head, rank_0 = (x for x in lines(told, 120) if x.startswith(("rank ", "   0 ")))
    at = head.index("lately")
    assert rank_0[at : at + 12] == 12 * UNICODE.spark[-1]


def test_the_best_validation_stays_in_sight_when_it_is_not_the_last() -> None:
    assert "best 1.687 at step 300" in line_of("valid", list(records(SCRIPT)))


def test_ranks_show_share_speed_memory_and_time() -> None:
    told = until(100)
    rank_0 = next(line for line in lines(told) if line.startswith("   0"))
    assert rank_0.split()[:9] == [
        "0", "cuda:0", "training", "72", "75", "%", "2310/s", "612", "MB",
    ]  # fmt: skip


def test_a_lost_rank_is_shown_with_its_reason_and_its_return() -> None:
    told = until(130)
    assert any(line.split()[:3] == ["2", "cpu", "lost"] for line in lines(told))
    assert any("killed by signal 9" in line for line in lines(told) if line.startswith("   2"))
    assert any("rank 2 lost: killed by signal 9" in line for line in lines(told))
    back = lines(until(180))
    assert any("back (1x)" in line for line in back)
    assert any("rank 2 is back" in line for line in back)


def test_the_parts_of_a_step_are_letters_where_there_is_no_colour() -> None:
    shown = lines(until(100), marks=dataclasses.replace(UNICODE, block=""))
    rank_1 = next(line for line in shown if line.startswith("   1"))
    bar = rank_1.split()[-1]
    assert bar == "".join(sorted(bar, key="dfbxwo".index))
    assert set(bar) == set("dfbxwo")
    assert any("d data" in line and "x exchange  w wait" in line for line in shown)


def test_waiting_looks_idle() -> None:
    rank_0, rank_1 = (line for line in lines(until(100)) if line.startswith(("   0", "   1")))
    assert rank_0.count(UNICODE.empty) > 5 > rank_1.count(UNICODE.empty)
    assert rank_0.rstrip().endswith(UNICODE.block)  # the optimizer comes after it


def test_a_parked_rank_says_why_in_place_of_its_time() -> None:
    told = until(100)
    reason = "the run is as fast without it: 1.2 s a step, with it 1.2 s"
    parked = events.RankParked(2, 100, reason, 3.0, 0.004)
    shown = lines([*told, Record(parked, told[-1].time, "s", 10**6)], 140)
    row = next(line for line in shown if line.startswith("   2"))
    assert row.split()[:4] == ["2", "cpu", "parked", "-"]
    assert row.endswith(reason)
    assert any(f"rank 2 stands aside from step 100: {reason}" in line for line in shown)


@pytest.mark.parametrize("step", [100, 400])
def test_the_speed_is_held_against_what_the_ranks_do_alone(step: int) -> None:
    wide = next(line for line in lines(until(step), 120) if line.startswith("together"))
    assert wide == (
        "together 960/s, 94 % of the ranks' own speeds (1018/s), 98 % of the possible (979/s)"
    )
    narrow = next(line for line in lines(until(step), 80) if line.startswith("together"))
    assert narrow == "together 960/s, 94 % of the ranks' own speeds, 98 % of the possible"
    alone = records(dataclasses.replace(SCRIPT, ranks=1))
    assert not any(line.startswith("together") for line in lines(list(alone)))


def test_the_text_sample_is_shown() -> None:
    shown = lines(until(100))
    at = shown.index("text at step 100")
    assert shown[at + 1 : at + 3] == ["  ROMEO:", "  What light is this that breaks upon the wall,"]


def test_a_model_cannot_steer_the_terminal() -> None:
    text = state.TextView(1, "", "\x1b[2Jgone\x07 \x9b31m")
    now = dataclasses.replace(state.fold(until(100)), texts=(text,))
    shown = "\n".join(line.plain for line in picture(now, [], Canvas(80, UNICODE), 0.0))
    assert "?[2Jgone? ?31m" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 250])
def test_it_fits_every_window(width: int, marks: Marks) -> None:
    for told, height in itertools.product(map(until, (0, 1, 50, 131, 400)), (5, 12, 23, 60, None)):
        shown = lines(told, width, height, marks, "Ctrl-C stops with a checkpoint")
        assert max(map(len, shown)) < width
        assert height is None or len(shown) <= height
        assert not any("\n" in line for line in shown)
        if marks is ASCII:
            assert "".join(shown).isascii()


def test_at_80_by_24_with_text_everything_has_its_place() -> None:
    shown = lines(until(200), 80, 23, hint="Ctrl-C stops with a checkpoint")
    for label in ("step", "loss", "valid", "speed", "rank", "   0", "   2", "text at", "Ctrl-C"):
        assert any(line.startswith(label) for line in shown), label
    assert shown[-1] == "Ctrl-C stops with a checkpoint"


def test_many_ranks_show_those_in_trouble_and_count_the_others() -> None:
    ranks = tuple(
        RankView(n, "a00", state="lost" if n == 40 else "training", share=2) for n in range(64)
    )
    now = dataclasses.replace(state.fold(until(100)), ranks=ranks, texts=())
    shown = [line.plain for line in picture(now, [], Canvas(80, UNICODE, 24), 0.0)]
    assert any(line.startswith("  40") and "lost" in line for line in shown)
    assert any(line.startswith("and ") and "training" in line for line in shown)
    listed = sum(line[:4].strip().isdigit() for line in shown)
    more = next(int(line.split()[1]) for line in shown if line.startswith("and "))
    assert listed + more == 64


def test_a_long_sentence_goes_on_below_itself_where_there_is_room() -> None:
    words = "rank 1 takes 1.6 times as long as before: another program had its processor"
    alert = events.Alert("warning", f"{words} 48 % of the time", 1)
    told = until(60)
    told = [*told, Record(alert, told[-1].time, "s", 10**6)]
    parts = ("rank 1 takes 1.6 times", " processor 48 % of the time")
    seen = [
        sum(any(part in line for part in parts) for line in lines(told, 80, height))
        for height in range(12, 24)
    ]
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2}
    assert seen[-1] == 2


def test_nothing_recorded_is_a_picture_too() -> None:
    assert RunState().phase in lines([])[0]
    assert not any(line.startswith(("step", "loss", "speed")) for line in lines([]))


def test_an_ended_run_has_neither_speed_nor_hope() -> None:
    told = list(records(SCRIPT))
    assert "samples/s" not in line_of("speed", told)
    assert "to go" not in line_of("step", told)
    assert lines(told)[0].split()[:2] == ["demo", "finished"]


def test_a_start_says_how_many_ranks_are_ready() -> None:
    told = list(records(SCRIPT))[:7]
    assert "starting: 1 of 3 ranks ready" in lines(told)[0]


@pytest.mark.parametrize(
    ("name", "marks"), [("picture.txt", UNICODE), ("picture-ascii.txt", ASCII)]
)
def test_the_picture_is_the_one_that_was_agreed_on(name: str, marks: Marks) -> None:
    """Golden, for 80 columns: look at a changed picture before you store it."""
    told = until(200)
    story, trails = Story(), Trails()
    story.add(told)
    trails.add(told)
    canvas, now = Canvas(80, marks, 23), told[-1].time
    drawn = picture(state.fold(told), story.last(100), canvas, now, "hint", trails)
    shown = "\n".join(line.plain for line in drawn) + "\n"
    shown = re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", shown)  # it depends on the time zone
    assert shown == (Path(__file__).parent / name).read_text(encoding="utf-8")
